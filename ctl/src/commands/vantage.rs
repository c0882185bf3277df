//! `hactl status --from NODE`: the cluster as that node sees it, and where we see it otherwise.

use ha_proto::v1;

use crate::clock::timestamp;
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::status::{exit, reason_line};
use crate::commands::unknown::unknown_node;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, Snapshot};
use crate::model::{SeenNodeView, SeenVipView, VantageView};
use crate::names;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, Table, paint};
use crate::session::Session;
use crate::vantage::{Asked, differences, reasons_beside, unheard, vips};
use crate::verdict::{Reason, ReasonCode, Verdict, worst};

impl Item for VantageView {
    const KIND: &'static str = "Vantage";

    fn name(&self) -> String {
        format!("nodes/{}", self.observer)
    }
}

/// Prints a node's view of the cluster. The exit code is that of its verdict.
///
/// # Errors
/// When the node does not answer, or the answer cannot be written.
pub(crate) async fn run(context: &Context, from: &str) -> Result<Exit, Stop> {
    let question = async |session: &Session, snapshot: &Snapshot| {
        let is_it = names::last(&snapshot.node.name) == from;
        if is_it { session.cluster_view().await.map(Some) } else { Ok(None) }
    };
    let (cluster, told) = context.ask_with(Scope::Routers, question).await?;
    context.tell_missing(&cluster);
    let Some(told) = told.into_iter().find(|told| told.node == from) else {
        return Err(unknown_node(&cluster, from));
    };
    let seen = told.result.map_err(|failure| Stop::Failure(Box::new(failure), cluster.statuses()))?;
    let seen =
        seen.ok_or_else(|| Failure::internal(format!("{from} was not asked how it sees the cluster")))?;
    let view = view(&cluster, &seen);
    let beside = reasons_beside(&seen, &view.vips);
    let reasons: Vec<&Reason> = view.vips.iter().flat_map(|vip| &vip.reasons).chain(&beside).collect();
    let verdict = view.vips.iter().map(|vip| vip.verdict).max().unwrap_or_default().max(worst(&beside));
    let only_missing = reasons.iter().all(|reason| reason.code == ReasonCode::NodeMissing);

    let mut answer = Report::new("Status");
    answer.complete = view.complete;
    answer.verdict = Some(verdict);
    answer.reasons = beside;
    answer.nodes = cluster.statuses();
    let text = text(context, &view, verdict, &answer.reasons);
    answer.items.push(view);
    context.print(&answer, Some(&text))?;
    Ok(exit(verdict, only_missing))
}

fn view(cluster: &Cluster, seen: &v1::ClusterView) -> VantageView {
    let statuses = cluster.statuses();
    let reported = cluster.reported();
    let asked: Vec<Asked<'_>> = statuses
        .iter()
        .filter(|status| !status.node.is_empty())
        .map(|status| {
            let node = status.node.as_str();
            let of = reported.iter().find(|(reported, _)| *reported == node);
            Asked { node, instances: of.map(|(_, instances)| *instances) }
        })
        .collect();
    let observed = timestamp(seen.observe_time.as_ref());
    VantageView {
        observer: names::last(&seen.observer).to_owned(),
        observe_time: observed,
        complete: seen.complete && unheard(seen).is_empty() && seen.nodes.len() > 1,
        nodes: seen.nodes.iter().map(|node| SeenNodeView::new(node, observed)).collect(),
        vips: vips(seen),
        differences: differences(seen, &asked),
    }
}

fn text(context: &Context, view: &VantageView, verdict: Verdict, beside: &[Reason]) -> String {
    let mut out = headline(view, verdict);
    for reason in beside {
        out.push_str(&format!("{}\n", reason_line(reason)));
    }
    if !view.vips.is_empty() {
        out.push('\n');
        out.push_str(&addresses(&view.vips).render(context.layout()));
    }
    out.push('\n');
    out.push_str(&nodes(context, &view.nodes).render(context.layout()));
    for difference in &view.differences {
        let line = format!("otherwise: {}", crate::render::clean(&difference.message));
        out.push_str(&format!("{}\n", paint(Paint::Warn, &line)));
    }
    out
}

fn headline(view: &VantageView, verdict: Verdict) -> String {
    let heard = view.nodes.iter().filter(|node| matches!(node.contact, "SELF" | "REACHABLE")).count();
    let addresses = match view.vips.len() {
        1 => "1 virtual address".to_owned(),
        count => format!("{count} virtual addresses"),
    };
    let word = paint(Paint::verdict(verdict), verdict.word());
    let all = view.nodes.len();
    format!("{word}  as {} sees it: {addresses}  ({heard}/{all} nodes heard)\n", view.observer)
}

fn addresses(vips: &[SeenVipView]) -> Table {
    let mut table = Table::new(vec!["VIP", "VERDICT", "ACTIVE ON", "FOR", "NEXT"]);
    for vip in vips {
        let cells = vec![
            Cell::painted(Paint::Bold, &vip.address),
            Cell::painted(Paint::verdict(vip.verdict), vip.verdict.word()),
            Cell::new(vip.active_on.join(", ")),
            Cell::new(vip.age.map(|age| age.to_string()).unwrap_or_default()),
            Cell::new(vip.next.join(", ")),
        ];
        table.row_with(cells, vip.reasons.iter().map(reason_line).collect());
    }
    table
}

fn nodes(context: &Context, nodes: &[SeenNodeView]) -> Table {
    let mut table =
        Table::new(vec!["NODE", "CONTACT", "SINCE", "HEARD BEFORE", "ROUND TRIP", "ROUTERS", "VERSION"]);
    for node in nodes {
        let (paint_contact, lines) = match node.contact {
            "SILENT" => {
                (Paint::Bad, vec![paint(Paint::Dim, &format!("    {}", crate::render::clean(&node.detail)))])
            }
            "DIALLING" => (Paint::Warn, Vec::new()),
            _ => (Paint::Good, Vec::new()),
        };
        let span = |span: Option<crate::span::Span>| {
            Cell::new(span.map(|span| span.to_string()).unwrap_or_default())
        };
        let cells = vec![
            Cell::painted(Paint::Bold, &node.node),
            Cell::painted(paint_contact, node.contact),
            Cell::new(context.times.with_age(node.contact_time, node.contact_age)),
            span(node.hear_age),
            span(node.round_trip),
            Cell::new(node.routers.len().to_string()),
            Cell::new(&node.version),
        ];
        table.row_with(cells, lines);
    }
    table
}
