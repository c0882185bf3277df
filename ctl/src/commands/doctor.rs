//! `hactl doctor`: can the answers be trusted, and will the next failover work?

mod links;

use self::links::{links, matrix};
use crate::commands::pki::own_certificate;
use crate::commands::unknown::check_filter;
use crate::commands::{Context, clock_label};
use crate::diagnosis::{Evidence, Finding, FindingCode, Severity, diagnose};
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{DoctorView, NodeStatus, OwnCertificateView};
use crate::output::Stop;
use crate::reach::Reach;
use crate::render::{Cell, Item, Paint, Report, Table, Times, paint};

/// Examines the cluster.
///
/// # Errors
/// When the answer cannot be written, or -n names a node that is not there.
pub(crate) async fn run(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask_quietly(Scope::Routers).await;
    if cluster.nobody().is_none() {
        check_filter(&cluster, &context.global.node)?;
    }
    let (statuses, nodes, instances) = (cluster.statuses(), cluster.nodes(), cluster.instances());
    let certificates = certificates(context)?;
    let reach = Reach::new(statuses.iter().map(NodeStatus::label), &cluster.views());
    let findings = diagnose(&Evidence {
        statuses: &statuses,
        nodes: &nodes,
        instances: &instances,
        reach: &reach,
        certificates: &certificates,
        now: cluster.now,
    });
    let links = links(&statuses, &instances, &reach);
    let mut answer = Report::new("Doctor");
    answer.complete = cluster.is_complete() && reach.untold.is_empty();
    answer.missing = reach.untold.values().cloned().collect();
    answer.error = cluster.nobody();
    let exit = answer.error.as_ref().map_or_else(|| exit(&findings), |failure| failure.exit);
    answer.items.push(DoctorView { findings, nodes, links, certificates });
    answer.nodes = statuses;
    let text = text(context, &answer);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

/// What is wrong counts more than who is missing.
fn exit(findings: &[Finding]) -> Exit {
    let is_missing = |code| matches!(code, FindingCode::NodeMissing | FindingCode::ViewMissing);
    let serious = findings.iter().filter(|finding| finding.severity != Severity::Info);
    match serious.map(|finding| is_missing(finding.code)).min() {
        None => Exit::Done,
        Some(true) => Exit::NodesMissing,
        Some(false) => Exit::ConditionFalse,
    }
}

/// The certificates that we show to agents, if we do.
fn certificates(context: &Context) -> Result<Vec<OwnCertificateView>, Stop> {
    let mut found = Vec::new();
    if !context.global.endpoint.iter().any(crate::endpoint::Endpoint::needs_tls) {
        return Ok(found);
    }
    for (usage, file) in [("ca", &context.global.cacert), ("client", &context.global.cert)] {
        if let Some(file) = file {
            let not_after = own_certificate(file)?.not_after;
            found.push(OwnCertificateView { file: file.display().to_string(), usage, not_after });
        }
    }
    Ok(found)
}

fn text(context: &Context, answer: &Report<DoctorView>) -> String {
    let Some(view) = answer.items.first() else { return String::new() };
    let serious = view.count(|severity| severity != Severity::Info);
    let verdict = match serious {
        0 => paint(Paint::Good, "no problem"),
        1 => paint(Paint::Bad, "1 problem"),
        count => paint(Paint::Bad, &format!("{count} problems")),
    };
    let notes = match view.findings.len() - serious {
        0 => String::new(),
        1 => ", 1 thing to know".to_owned(),
        count => format!(", {count} things to know"),
    };
    let (asked, answered) = (answer.nodes.len(), view.nodes.len());
    let mut out = format!("DOCTOR  {verdict}{notes}  ({answered}/{asked} nodes answered)\n\n");
    out.push_str(&nodes(context, answer, view).render(context.layout()));
    out.push_str(&matrix(&view.links, context.layout()));
    for finding in &view.findings {
        out.push_str(&finding_text(finding));
    }
    out
}

fn nodes(context: &Context, answer: &Report<DoctorView>, view: &DoctorView) -> Table {
    let mut table = Table::new(vec!["NODE", "API", "VERSION", "CLOCK", "CONFIG", "LOADED", "HEARS ACTIVE"]);
    for status in &answer.nodes {
        let mut cells = vec![
            Cell::painted(Paint::Bold, status.label()),
            Cell::painted(Paint::node(status.state), status.state.word()),
        ];
        let node = view.nodes.iter().find(|node| node.endpoint == status.endpoint);
        if let Some(node) = node {
            let own = || view.links.iter().filter(|link| link.over == "VRRP" && link.from == node.node);
            let (heard, all) = (own().filter(|link| link.state == "HEARD").count(), own().count());
            let paint = if heard == all { Paint::Plain } else { Paint::Bad };
            let heard = if all == 0 { String::new() } else { format!("{heard} of {all} Backups") };
            cells.extend([
                Cell::new(&node.version),
                Cell::new(clock_label(node)),
                Cell::new(node.config_digest.chars().take(12).collect::<String>()),
                Cell::new(context.times.maybe(node.config_load_time)),
                Cell::painted(paint, heard),
            ]);
        }
        table.row(cells);
    }
    table
}

fn finding_text(finding: &Finding) -> String {
    let paint_of = match finding.severity {
        Severity::Error => Paint::Bad,
        Severity::Warn => Paint::Warn,
        Severity::Info => Paint::Dim,
    };
    let head = paint(paint_of, finding.severity.word());
    let gap = " ".repeat(5 - finding.severity.word().len() + 2);
    let next = match finding.remedy.is_empty() {
        true => String::new(),
        false => format!("       {}\n", paint(Paint::Dim, &format!("next: {}", finding.remedy))),
    };
    format!("\n{head}{gap}{}\n{next}", paint(Paint::Plain, &finding.message))
}

impl Item for DoctorView {
    const KIND: &'static str = "Doctor";

    fn name(&self) -> String {
        let codes = self.findings.iter().map(|finding| format!("{:?}", finding.code));
        codes.collect::<Vec<_>>().join("\n")
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["FINDINGS"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![Cell::new(self.findings.len().to_string())]
    }
}
