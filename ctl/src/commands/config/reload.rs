//! `hactl config reload`: the plan is what each node says its file would change; done when the file's digest is in force.

use std::collections::BTreeMap;

use ha_proto::v1;

use super::{judge_own_files, short, validate};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::change::{Change, Request, outcome_line, require_consent, run as run_change};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::FindingView;
use crate::names;
use crate::output::Stop;
use crate::render::Times;
use crate::session::Session;

/// A reload of the wanted nodes, as planned.
struct Reload {
    reason: String,
    /// By node.
    planned: BTreeMap<String, v1::ReloadConfigResponse>,
}

/// What is in force on a node.
#[derive(Debug, serde::Serialize)]
struct InForce {
    name: String,
    node: String,
    config_digest: String,
    changes: Vec<String>,
}

/// Has the wanted nodes reload.
pub(super) async fn run(context: &Context, reason: String) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Routers).await?;
    context.tell_missing(&cluster);
    let planned = judge_own_files(context, &cluster).await?.all(&cluster)?;
    let planned: BTreeMap<String, v1::ReloadConfigResponse> = planned.into_iter().collect();
    refuse_broken(context, &cluster, &planned)?;
    let things = planned.keys().map(|node| format!("nodes/{node}")).collect();
    let done = run_change(context, &cluster, &Reload { reason, planned }, things).await?;
    Ok(context.everywhere(&cluster, done))
}

/// Says everything that the nodes find, and stops when one of them could not use its file.
fn refuse_broken(
    context: &Context,
    cluster: &Cluster,
    planned: &BTreeMap<String, v1::ReloadConfigResponse>,
) -> Result<(), Stop> {
    let mut findings = Vec::new();
    for (node, answer) in planned {
        let source = answer.config.as_ref().map_or("its file", |config| &config.source);
        findings.extend(answer.findings.iter().map(|finding| FindingView::new(node, source, finding)));
    }
    let text = validate::by_text(&findings);
    text.lines().for_each(|line| context.out.note(line));
    let broken: Vec<&str> =
        planned.iter().filter(|(_, answer)| !answer.valid).map(|(node, _)| node.as_str()).collect();
    if broken.is_empty() {
        return Ok(());
    }
    let message = format!("the file of {} has errors; nothing was reloaded", broken.join(" and of "));
    let remedy = "mend what is said above, then try again; -n NODE reloads the others alone";
    let failure = Failure::local(Exit::Refused, "FAILED_PRECONDITION", "CONFIG_REJECTED", message, remedy);
    Err(Stop::Failure(Box::new(failure), cluster.statuses()))
}

impl Reload {
    fn plan(&self, name: &str) -> Option<&v1::ReloadConfigResponse> {
        self.planned.get(names::node(name))
    }
}

impl Change for Reload {
    type View = InForce;
    const KIND: &'static str = "ConfigChange";
    const SCOPE: Scope = Scope::Routers;

    fn describe(&self, name: &str) -> String {
        let changes = self.plan(name).map(|plan| plan.changes.as_slice()).unwrap_or_default();
        let what: Vec<&str> = changes.iter().map(|change| change.change.as_str()).collect();
        let what =
            if what.is_empty() { "nothing that is in force changes".to_owned() } else { what.join("; ") };
        format!("reload the configuration of {}: {what}", names::node(name))
    }

    async fn call(&self, session: Session, name: String, request: Request) -> Result<(), Failure> {
        let plan = self.plan(&name).cloned().unwrap_or_default();
        let request = v1::ReloadConfigRequest {
            name: format!("{name}/config"),
            etag: plan.config.map(|config| config.etag).unwrap_or_default(),
            // What was planned is what is done, or nothing is.
            expected_digest: plan.digest,
            reason: self.reason.clone(),
            request_id: request.id,
            validate_only: request.validate_only,
        };
        session.reload_config(request).await.map(drop)
    }

    fn look(&self, cluster: &Cluster, name: &str) -> Option<InForce> {
        let node = cluster.nodes().into_iter().find(|node| node.name == name)?;
        let changes = self.plan(name)?.changes.iter().map(|change| change.change.clone()).collect();
        Some(InForce { name: node.name, node: node.node, config_digest: node.config_digest, changes })
    }

    fn missing(&self, view: &InForce) -> Option<String> {
        let wanted = self.planned.get(&view.node).is_some_and(|plan| plan.digest == view.config_digest);
        (!wanted).then(|| format!("{} still has {} in force", view.node, short(&view.config_digest)))
    }

    fn outcome(&self, view: &InForce, _times: &Times) -> String {
        let changes = match view.changes.as_slice() {
            [] => "nothing changed".to_owned(),
            changes => changes.join("; "),
        };
        let what = format!("configuration {} is in force: {changes}", short(&view.config_digest));
        outcome_line(&view.name, &what)
    }
}
