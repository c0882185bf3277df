//! `hactl support`: what somebody else needs to understand a cluster, in one file and without its secrets.

mod bundle;
mod local;

use std::path::{Path, PathBuf};

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use self::bundle::Bundle;
use crate::clock::Clock;
use crate::cluster::{Cluster, overall};
use crate::commands::Context;
use crate::commands::config::cut;
use crate::commands::debug;
use crate::commands::events::views;
use crate::commands::lacks::lost_past;
use crate::commands::unknown::check_filter;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{More, Scope, Snapshot};
use crate::model::{CheckView, ConfigView, EventView, NodeStatus, PoolView, StateView};
use crate::output::Stop;
use crate::render::{Cell, Item, Report, Times};
use crate::session::{History, Session};

/// How many events of each node go into the bundle.
const EVENTS: usize = 5_000;

/// What a node tells beside its snapshot; what it does not tell is why.
struct Told {
    history: Result<History, Failure>,
    config: Result<v1::Config, Failure>,
    state: Result<(Vec<v1::StateEntry>, bool), Failure>,
}

/// What was written.
#[derive(Debug, Serialize)]
pub(crate) struct BundleView {
    /// Where it is.
    file: String,
    /// Its length.
    octets: u64,
    /// What is in it.
    contents: Vec<String>,
}

/// Writes the bundle.
///
/// # Errors
/// When it cannot be written, or -n names a node that is not there.
pub(crate) async fn run(context: &Context, file: Option<PathBuf>, with_local: bool) -> Result<Exit, Stop> {
    let more = async |session: &Session, _: &Snapshot| {
        let request = v1::ListEventsRequest::default();
        let (history, config, state) =
            tokio::join!(session.newest_events(request, EVENTS), session.config(), session.dump_state());
        Ok(Told { history, config, state })
    };
    let (cluster, mut told) = Cluster::ask_with(&context.global, Scope::Everything, more).await;
    if cluster.nobody().is_none() {
        check_filter(&cluster, &context.global.node)?;
    }
    told.retain(|more| context.filter().wants(&more.node));
    let now = Timestamp::now();
    let name = format!("hactl-support-{}", now.strftime("%Y%m%dT%H%M%SZ"));
    let file = file.unwrap_or_else(|| PathBuf::from(format!("{name}.tar.gz")));
    let mut bundle = Bundle::create(&file, &name, now)?;
    let filled = fill(&mut bundle, context, &cluster, told, with_local);
    let (lacks, written) = match filled.and_then(|lacks| Ok((lacks, bundle.finish()?))) {
        Ok(filled) => filled,
        Err(failure) => {
            // Half a bundle would be taken for a whole one.
            let _ = std::fs::remove_file(&file);
            return Err(failure.into());
        }
    };
    report(context, &cluster, &file, written, lacks)
}

fn report(
    context: &Context,
    cluster: &Cluster,
    file: &Path,
    (octets, contents): (u64, Vec<String>),
    lacks: Vec<Failure>,
) -> Result<Exit, Stop> {
    let view = BundleView { file: file.display().to_string(), octets, contents };
    let text = format!(
        "{}  {} files, {} KiB; read it before you give it away: names and addresses of your network are in it\n",
        view.file,
        view.contents.len(),
        octets.div_ceil(1024)
    );
    let mut answer = Report::new("SupportBundle");
    answer.complete = cluster.is_complete();
    if !answer.complete {
        context.tell_missing(cluster);
    }
    answer.nodes = cluster.statuses();
    answer.items = vec![view];
    // A bundle of a cluster in which nobody answers is what one needs then.
    let exit = context.without(cluster, &mut answer, cluster.exit(context.global.require), lacks);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

/// Puts in what is known; tells what nodes that answered have left out.
fn fill(
    bundle: &mut Bundle,
    context: &Context,
    cluster: &Cluster,
    told: Vec<More<Told>>,
    with_local: bool,
) -> Result<Vec<Failure>, Failure> {
    bundle.text("README.txt", README)?;
    let vips = cluster.vips();
    let beside = cluster.reasons_beside(&vips);
    let mut status = Report::new("Status");
    status.complete = cluster.is_complete();
    status.verdict = Some(overall(&vips, &beside).0);
    (status.reasons, status.nodes, status.error) = (beside, cluster.statuses(), cluster.nobody());
    status.items = vips;
    bundle.json("status.json", &status)?;
    bundle.json("hactl.json", &Observation::new(context, cluster))?;
    bundle.json("nodes.json", &cluster.nodes())?;
    bundle.json("instances.json", &cluster.instances())?;
    for (node, _, snapshot) in cluster.snapshots().filter(|(node, ..)| context.filter().wants(node)) {
        let checks: Vec<CheckView> =
            snapshot.checks.iter().map(|check| CheckView::new(check, snapshot.clock, cluster.now)).collect();
        let pools: Vec<PoolView> =
            snapshot.pools.iter().map(|pool| PoolView::new(pool, snapshot.clock, cluster.now)).collect();
        bundle.json(&format!("{node}/checks.json"), &checks)?;
        bundle.json(&format!("{node}/pools.json"), &pools)?;
    }
    let lacks = histories(bundle, told)?;
    if with_local {
        local::add(bundle)?;
    }
    Ok(lacks)
}

/// Each node's configuration, and the events of all as one history; and what of that could not be had.
fn histories(bundle: &mut Bundle, told: Vec<More<Told>>) -> Result<Vec<Failure>, Failure> {
    let mut histories: Vec<(String, Clock, Vec<v1::Event>)> = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for More { node, clock, result, .. } in told {
        let told = match result {
            Ok(told) => told,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        match told.config {
            Ok(config) => {
                let config = ConfigView::from(config);
                failures.extend(cut(&config));
                bundle.json(&format!("{node}/config.json"), &config)?;
            }
            Err(failure) => failures.push(failure.on(node.clone())),
        }
        state(bundle, &node, told.state)?;
        match told.history {
            Ok(history) => {
                failures.extend(lost_past(&node, &history));
                histories.push((node, clock, history.events));
            }
            Err(failure) => failures.push(failure.on(node)),
        }
    }
    let events: Vec<EventView> = views(histories, usize::MAX);
    bundle.json_lines("events.jsonl", &events)?;
    bundle.json("missing.json", &failures)?;
    Ok(failures)
}

/// What the agent is like within. Who is not admin does not get it, an older agent does not have it, and a dump may be cut: the
/// bundle is whole without, and says so.
fn state(
    bundle: &mut Bundle,
    node: &str,
    told: Result<(Vec<v1::StateEntry>, bool), Failure>,
) -> Result<(), Failure> {
    let lack = match told {
        Ok((entries, is_whole)) => {
            let views: Vec<StateView> =
                entries.into_iter().map(|entry| StateView::new(node, entry)).collect();
            bundle.json_lines(&format!("{node}/state.jsonl"), &views)?;
            (!is_whole).then(|| debug::cut(node))
        }
        Err(failure) => Some(failure),
    };
    match lack {
        Some(failure) => bundle.text(&format!("{node}/state-missing.txt"), &format!("{failure}\n")),
        None => Ok(()),
    }
}

/// Who looked, and how.
#[derive(Serialize)]
struct Observation {
    version: &'static str,
    time: Timestamp,
    endpoints: Vec<String>,
    nodes: Vec<NodeStatus>,
}

impl Observation {
    fn new(context: &Context, cluster: &Cluster) -> Self {
        Observation {
            version: env!("CARGO_PKG_VERSION"),
            time: cluster.now,
            endpoints: context.global.endpoint.iter().map(ToString::to_string).collect(),
            nodes: cluster.statuses(),
        }
    }
}

const README: &str = "\
What hactl saw of a cluster, to be given to whoever helps.

status.json      the verdict, each virtual address, each node: as hactl status -o json
nodes.json       the nodes that answered, with conditions and clocks
instances.json   the virtual routers of all nodes
events.jsonl     the newest 5000 events of each node, merged, one a line
NODE/config.json the configuration in force on NODE, as the node tells it: without secrets
NODE/checks.json, NODE/pools.json
NODE/state.jsonl the agent's own inner state, for whoever looks for a fault in it; state-missing.txt says what of it is not there
                 and why (it needs the role admin). What its keys mean stands in agent/STATE.md
missing.json     what could not be had, and why
                 With -n there are history, configuration, checks, pools and state of those nodes alone; the rest is of all.
hactl.json       who looked, at which nodes
local/           the machine on which hactl ran: links, addresses, routes, neighbours, the agent's log

Secrets are left out: no key, no password and no file that holds one is read. In what programs and servers said, values
after words such as password, token or Authorization and names in URLs stand as ***. Names and addresses of the network are
in it.
";

impl Item for BundleView {
    const KIND: &'static str = "SupportBundle";

    fn name(&self) -> String {
        self.file.clone()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["FILE", "OCTETS"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![Cell::new(&self.file), Cell::new(self.octets.to_string())]
    }
}
