//! `hactl status`: what one reads at 3 a.m. The verdict first, then one line for each virtual address, then the nodes
//! with problems.

use std::collections::BTreeMap;

use crate::args::Format;
use crate::cluster::{Cluster, overall};
use crate::commands::unknown::check_filter;
use crate::commands::{Context, vip};
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{InstanceView, NodeStatus, VipView};
use crate::output::Stop;
use crate::render::{Cell, Paint, Report, Table, paint};
use crate::verdict::{Reason, ReasonCode, Verdict};

/// Up to here each address has its line; beyond it those that are OK are counted (all of them with `-o wide`).
const LINES_FOR_ALL: usize = 40;

/// Prints the verdict over the whole cluster.
///
/// # Errors
/// When the answer cannot be written.
pub(crate) async fn run(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask_quietly(Scope::Problems).await;
    if cluster.nobody().is_none() {
        check_filter(&cluster, &context.global.node)?;
    }
    let filter = context.filter();
    let mut vips = cluster.vips();
    vips.retain(|vip| context.global.node.is_empty() || vip.is_on(|node| filter.wants(node)));
    let beside = cluster.reasons_beside(&vips);
    let (verdict, only_missing) = overall(&vips, &beside);

    let mut answer = Report::new("Status");
    answer.complete = cluster.is_complete();
    answer.verdict = Some(verdict);
    answer.reasons = beside;
    answer.nodes = cluster.statuses();
    answer.error = cluster.nobody();
    answer.items = vips;
    let text = text(context, &cluster, &answer);
    context.print(&answer, Some(&text))?;
    if context.global.output == Format::Name {
        context.out.note(&format!("verdict {}", verdict.word()));
    }
    Ok(match answer.error {
        Some(failure) => failure.exit,
        None => exit(verdict, only_missing),
    })
}

/// What is known to be wrong counts more than what is not known.
pub(super) fn exit(verdict: Verdict, only_missing: bool) -> Exit {
    match (verdict, only_missing) {
        (Verdict::Ok, _) => Exit::Done,
        (_, true) => Exit::NodesMissing,
        (_, false) => Exit::ConditionFalse,
    }
}

fn text(context: &Context, cluster: &Cluster, answer: &Report<VipView>) -> String {
    let mut out = headline(cluster, answer);
    for reason in answer.reasons.iter().filter(|reason| reason.code != ReasonCode::NodeMissing) {
        out.push_str(&reason_line(reason));
        out.push('\n');
    }
    if !answer.items.is_empty() {
        out.push('\n');
        out.push_str(&addresses(context, &answer.items));
    }
    let problems = problems(cluster, &answer.nodes);
    let problems = problems.render(context.layout());
    if !problems.is_empty() {
        out.push('\n');
        out.push_str(&problems);
    }
    out
}

fn headline(cluster: &Cluster, answer: &Report<VipView>) -> String {
    let verdict = answer.verdict.unwrap_or(Verdict::Unknown);
    let (asked, answered) = cluster.counts();
    let wrong = answer.items.iter().filter(|vip| vip.verdict != Verdict::Ok).count();
    let addresses = match answer.items.len() {
        1 => "1 virtual address".to_owned(),
        count => format!("{count} virtual addresses"),
    };
    let wrong = if wrong == 0 { String::new() } else { format!(", {wrong} not OK") };
    let nodes = format!("{answered}/{asked} nodes answered");
    let style = if verdict == Verdict::Ok { Paint::Good } else { Paint::verdict(verdict) };
    let nodes = if answered == asked { nodes } else { paint(Paint::Warn, &nodes) };
    format!("{}  {addresses}{wrong}  ({nodes})\n", paint(style, verdict.word()))
}

fn addresses(context: &Context, vips: &[VipView]) -> String {
    let wide = context.global.output == Format::Wide;
    let all = wide || vips.len() <= LINES_FOR_ALL;
    let mut table = Table::new(vip::headers(wide));
    for vip in vips.iter().filter(|vip| all || vip.verdict != Verdict::Ok) {
        let lines = vip.reasons.iter().filter(|reason| !is_told_below(reason)).map(reason_line).collect();
        table.row_with(vip::cells(vip, wide, &context.times), lines);
    }
    let mut out = table.render(context.layout());
    let hidden = if all { 0 } else { vips.iter().filter(|vip| vip.verdict == Verdict::Ok).count() };
    if hidden > 0 {
        out.push_str(&paint(Paint::Dim, &format!("and {hidden} more that are OK: hactl vip list")));
        out.push('\n');
    }
    out
}

/// Reasons that are the same for every address of a node stand once, among the nodes.
fn is_told_below(reason: &Reason) -> bool {
    reason.verdict == Verdict::Degraded
        && matches!(reason.code, ReasonCode::NodeMissing | ReasonCode::Fault | ReasonCode::Starting)
}

pub(super) fn reason_line(reason: &Reason) -> String {
    format!("  {} {}", paint(Paint::verdict(reason.verdict), "!"), paint(Paint::Plain, &reason.message))
}

/// The nodes that did not answer, and what is wrong on those that did.
fn problems(cluster: &Cluster, nodes: &[NodeStatus]) -> Table {
    let mut table = Table::new(Vec::new());
    let mut rows: Vec<(Vec<Cell>, Vec<String>)> = Vec::new();
    for status in nodes.iter().filter(|status| !status.is_answered()) {
        let cells = vec![
            Cell::painted(Paint::Bold, status.label()),
            Cell::painted(Paint::node(status.state), status.state.word()),
            Cell::new(format!("{} ({})", status.message, status.reason)),
        ];
        let next =
            (!status.remedy.is_empty()).then(|| paint(Paint::Dim, &format!("    next: {}", status.remedy)));
        rows.push((cells, next.into_iter().collect()));
    }
    for ((node, state, why), instances) in troubled(&cluster.instances()) {
        let what = match instances.as_slice() {
            [one] => one.clone(),
            [one, two] => format!("{one}, {two}"),
            [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
            [] => continue,
        };
        let cells = vec![
            Cell::painted(Paint::Bold, node),
            Cell::painted(Paint::state(state), state),
            Cell::new(if why.is_empty() { what } else { format!("{what}: {why}") }),
        ];
        rows.push((cells, Vec::new()));
    }
    for status in nodes {
        for problem in &status.problems {
            let cells = vec![
                Cell::painted(Paint::Bold, status.label()),
                Cell::painted(Paint::Warn, "WARNING"),
                Cell::new(problem),
            ];
            rows.push((cells, Vec::new()));
        }
    }
    if !rows.is_empty() {
        table = Table::new(vec!["NODE", "STATE", "PROBLEM"]);
    }
    for (cells, lines) in rows {
        table.row_with(cells, lines);
    }
    table
}

/// Virtual routers that cannot take part, together where node, state and reason are the same.
fn troubled(instances: &[InstanceView]) -> BTreeMap<(String, &'static str, String), Vec<String>> {
    let mut groups: BTreeMap<(String, &'static str, String), Vec<String>> = BTreeMap::new();
    for instance in instances {
        if matches!(instance.state, "FAULT" | "INITIALIZE") {
            let key = (instance.node.clone(), instance.state, instance.fault_reasons.join("; "));
            groups.entry(key).or_default().push(instance.instance.clone());
        }
    }
    groups
}
