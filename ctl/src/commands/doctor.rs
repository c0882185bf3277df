//! `hactl doctor`: can the answers be trusted, and will the next failover work?

mod links;

use self::links::{links, matrix};
use crate::cluster::NodeFilter;
use crate::commands::pki::own_certificate;
use crate::commands::unknown::check_filter;
use crate::commands::{Context, clock_label};
use crate::diagnosis::{Evidence, Finding, FindingCode, Severity, diagnose};
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{DoctorView, NodeState, NodeStatus, OwnCertificateView};
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
    // All nodes are compared, whichever are shown.
    let view = narrowed(DoctorView { findings, nodes, links, certificates }, &context.filter());
    let exit = answer.error.as_ref().map_or_else(|| exit(&view.findings), |failure| failure.exit);
    answer.items.push(view);
    answer.nodes = statuses;
    let text = text(context, &answer);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

/// What concerns the nodes of -n, all of them without. That others are missing is said in any case: what they would tell may concern these.
fn narrowed(view: DoctorView, filter: &NodeFilter<'_>) -> DoctorView {
    let DoctorView { mut findings, mut nodes, mut links, certificates } = view;
    findings.retain(|finding| {
        let is_about = finding.nodes.is_empty() || finding.nodes.iter().any(|node| filter.wants(node));
        is_about || is_missing(finding.code)
    });
    nodes.retain(|node| filter.wants(&node.node));
    links.retain(|link| filter.wants(&link.from) || filter.wants(&link.to));
    DoctorView { findings, nodes, links, certificates }
}

fn is_missing(code: FindingCode) -> bool {
    matches!(code, FindingCode::NodeMissing | FindingCode::ViewMissing)
}

/// What is wrong counts more than who is missing.
fn exit(findings: &[Finding]) -> Exit {
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
    let is_answered = |status: &&NodeStatus| status.state == NodeState::Answered;
    let (asked, answered) = (answer.nodes.len(), answer.nodes.iter().filter(is_answered).count());
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
    let filter = context.filter();
    for status in answer.nodes.iter().filter(|status| filter.wants(status.label())) {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(code: FindingCode, nodes: &[&str]) -> Finding {
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        Finding { severity: Severity::Warn, code, nodes, message: String::new(), remedy: String::new() }
    }

    #[test]
    fn of_a_node_that_is_named_everything_is_shown_and_of_others_that_they_are_missing() {
        let findings = vec![
            finding(FindingCode::NodeMissing, &["node-c"]),
            finding(FindingCode::ClocksApart, &["node-a", "node-b"]),
            finding(FindingCode::LeaseOff, &["node-a"]),
            finding(FindingCode::LeaseOff, &["node-b"]),
            finding(FindingCode::OwnClock, &[]),
        ];
        let table: [(&[&str], &[usize]); 3] =
            [(&[], &[0, 1, 2, 3, 4]), (&["node-b"], &[0, 1, 3, 4]), (&["x*", "node-a"], &[0, 1, 2, 4])];
        for (wanted, expected) in table {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            let certificates = Vec::new();
            let view =
                DoctorView { findings: findings.clone(), nodes: Vec::new(), links: Vec::new(), certificates };
            let expected: Vec<Finding> = expected.iter().map(|place| findings[*place].clone()).collect();
            assert_eq!(narrowed(view, &NodeFilter(&wanted)).findings, expected, "{wanted:?}");
        }
    }
}
