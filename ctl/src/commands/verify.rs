//! `hactl verify [--probe]` and `hactl vip probe`: what the election wants, what the kernels have, and who answers on the
//! wire, for each address over all nodes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use futures::future::join_all;
use futures::stream::{self, StreamExt};
use serde::Serialize;

use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::unknown::unknown_vip;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::{ProbeView, VipView};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, Table, Times, paint};
use crate::session::Session;
use crate::span::Span;
use crate::truth::{Judgement, Place, judge};
use crate::verdict::Verdict;

/// Probes of one node at a time; an agent runs eight for everybody.
const AT_ONCE: usize = 4;
/// A takeover between two answers looks like a fault: what is found is looked at again after this.
const SECOND_LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// An address with what was seen of it.
#[derive(Clone, Debug, Serialize)]
struct TruthView {
    address: String,
    verdict: Verdict,
    #[serde(flatten)]
    judgement: Judgement,
    places: Vec<Place>,
}

impl Item for TruthView {
    const KIND: &'static str = "Truth";

    fn name(&self) -> String {
        format!("vips/{}", self.address)
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["VIP", "VERDICT", "NODE", "STATE", "DESIRED", "KERNEL", "HEARS"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        let nodes: Vec<&str> = self.places.iter().map(|place| place.node.as_str()).collect();
        vec![
            Cell::painted(Paint::Bold, &self.address),
            Cell::painted(Paint::verdict(self.verdict), self.verdict.word()),
            Cell::new(nodes.join(" ")),
        ]
    }
}

/// Looks at every address of the cluster.
///
/// # Errors
/// When no node has answered, or the answer cannot be written.
pub(crate) async fn run(context: &Context, probe: bool, wait: Span) -> Result<Exit, Stop> {
    verify(context, None, probe.then_some(wait)).await
}

/// Asks the wire for one address.
///
/// # Errors
/// When it is not there, no node has answered, or the answer cannot be written.
pub(crate) async fn probe(context: &Context, address: IpAddr, wait: Span) -> Result<Exit, Stop> {
    verify(context, Some(address), Some(wait)).await
}

async fn verify(context: &Context, only: Option<IpAddr>, wait: Option<Span>) -> Result<Exit, Stop> {
    let (mut cluster, mut views) = look(context, only, wait).await?;
    if views.iter().any(|view| !view.judgement.faults.is_empty()) {
        tokio::time::sleep(SECOND_LOOK).await;
        (cluster, views) = look(context, only, wait).await?;
    }
    let verdict = views.iter().map(|view| view.verdict).max().unwrap_or_default();
    let wrong = views.iter().any(|view| !view.judgement.faults.is_empty());
    let doubted = views.iter().any(|view| !view.judgement.unverified.is_empty());
    let text = text(context, &cluster, &views, wait.is_some());
    let (mut answer, exit): (Report<TruthView>, Exit) = context.answer(&cluster, "TruthList", views, false);
    answer.verdict = Some(if answer.complete { verdict } else { verdict.max(Verdict::Unknown) });
    context.print(&answer, Some(&text))?;
    Ok(match (wrong, doubted) {
        (true, _) => Exit::ConditionFalse,
        (false, true) => exit.max(Exit::NodesMissing),
        (false, false) => exit,
    })
}

/// One look at everything: the nodes' own words first, then the wire.
async fn look(
    context: &Context,
    only: Option<IpAddr>,
    wait: Option<Span>,
) -> Result<(Cluster, Vec<TruthView>), Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let mut vips = cluster.vips();
    vips.retain(|vip| only.is_none_or(|only| vip.address.parse() == Ok(only)));
    if let Some(address) = only.filter(|_| vips.is_empty()) {
        return Err(unknown_vip(&cluster, address));
    }
    let heard = match wait {
        Some(wait) => ask_wire(context, &cluster, &vips, wait).await,
        None => BTreeMap::new(),
    };
    let complete = cluster.is_complete();
    let views = vips.iter().map(|vip| view(vip, &heard, complete)).collect();
    Ok((cluster, views))
}

fn view(vip: &VipView, heard: &Heard, complete: bool) -> TruthView {
    let answer = |node: &str| heard.get(&(node.to_owned(), vip.address.clone()));
    let place = |member: &crate::model::MemberView| {
        let probe = answer(&member.node).and_then(|asked| asked.as_ref().ok()).cloned();
        Place {
            node: member.node.clone(),
            state: member.state,
            // What was read together with the wire is fresher.
            desired: probe.as_ref().map_or(member.desired_state, |probe| probe.desired_state),
            kernel: probe.as_ref().map_or(member.kernel_state, |probe| probe.kernel_state),
            probe,
        }
    };
    let places: Vec<Place> = vip.members.iter().map(place).collect();
    let mut judgement = judge(&vip.address, &places, complete);
    let failed = places.iter().filter_map(|place| answer(&place.node)?.as_ref().err());
    judgement
        .unverified
        .extend(failed.filter_map(|failure| Some(failure.to_string().lines().next()?.to_owned())));
    let doubt = (!complete || !judgement.unverified.is_empty()).then_some(Verdict::Unknown);
    let verdict = judgement.faults.iter().map(|fault| fault.verdict).chain(doubt).max().unwrap_or_default();
    TruthView { address: vip.address.clone(), verdict, judgement, places }
}

/// By node and address. A node that cannot ask the wire, because its link is down, takes nothing from what others heard.
type Heard = BTreeMap<(String, String), Result<ProbeView, Failure>>;

/// Has each node that has an address ask its link for it; all nodes at once, each a few addresses at a time.
async fn ask_wire(context: &Context, cluster: &Cluster, vips: &[VipView], wait: Span) -> Heard {
    let mut wanted: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for vip in vips {
        for member in &vip.members {
            wanted.entry(&member.node).or_default().push(&vip.address);
        }
    }
    let filter = context.filter();
    let asked =
        wanted.into_iter().filter(|(node, _)| filter.wants(node)).map(|(node, addresses)| async move {
            let Some(endpoint) = cluster.endpoint_of(node) else { return Vec::new() };
            let limit = context.global.node_timeout;
            let opened =
                tokio::time::timeout(limit.to_duration(), Session::open(&endpoint, Default::default())).await;
            let session = match opened.unwrap_or_else(|_| Err(Failure::node_timeout(limit))) {
                Ok(session) => session,
                Err(failure) => {
                    let failed = |address: &str| {
                        ((node.to_owned(), address.to_owned()), Err(failure.clone().on(node)))
                    };
                    return addresses.into_iter().map(failed).collect();
                }
            };
            let one = |address: &str| probe_one(context, &session, node.to_owned(), address.to_owned(), wait);
            stream::iter(addresses).map(one).buffered(AT_ONCE).collect::<Vec<_>>().await
        });
    join_all(asked).await.into_iter().flatten().collect()
}

async fn probe_one(
    context: &Context,
    session: &Session,
    node: String,
    address: String,
    wait: Span,
) -> ((String, String), Result<ProbeView, Failure>) {
    let name = format!("nodes/{node}/vips/{address}");
    let limit = context.global.node_timeout;
    let patience = limit.to_duration() + wait.to_duration();
    let asked = session.probe_vip(name, Some(wait.to_proto()));
    let probe = tokio::time::timeout(patience, asked).await;
    let probe = probe.unwrap_or_else(|_| Err(Failure::node_timeout(limit)));
    let probe = probe.map(|probe| ProbeView::from(&probe)).map_err(|failure| failure.on(node.clone()));
    ((node, address), probe)
}

fn text(context: &Context, cluster: &Cluster, views: &[TruthView], probed: bool) -> String {
    let (asked, answered) = cluster.counts();
    let faults = views.iter().map(|view| view.judgement.faults.len()).sum::<usize>();
    let layers = if probed { "desired, kernel and wire" } else { "desired and kernel" };
    let doubts = views.iter().map(|view| view.judgement.unverified.len()).sum::<usize>();
    let word = match (faults, views.len()) {
        (0, _) if doubts > 0 => paint(Paint::Unknown, "not everything could be verified"),
        (0, _) if answered < asked => {
            paint(Paint::Unknown, &format!("{layers} agree on the nodes that answered"))
        }
        (0, 1) => paint(Paint::Good, &format!("{layers} agree for 1 address")),
        (0, count) => paint(Paint::Good, &format!("{layers} agree for {count} addresses")),
        (1, _) => paint(Paint::Bad, "1 fault"),
        (count, _) => paint(Paint::Bad, &format!("{count} faults")),
    };
    let mut table = Table::new(TruthView::headers(false));
    for view in views {
        let mut lines: Vec<String> = Vec::new();
        for fault in &view.judgement.faults {
            let mark = paint(Paint::verdict(fault.verdict), "!");
            lines.push(format!("  {mark} {}", paint(Paint::Plain, &fault.message)));
        }
        let unverified = &view.judgement.unverified;
        lines.extend(unverified.iter().map(|text| format!("  {} {text}", paint(Paint::Unknown, "?"))));
        let last = view.places.len().saturating_sub(1);
        for (index, place) in view.places.iter().enumerate() {
            let lines = if index == last { std::mem::take(&mut lines) } else { Vec::new() };
            table.row_with(cells(view, place, index == 0), lines);
        }
    }
    format!("{word}  ({answered}/{asked} nodes answered)\n\n{}", table.render(context.layout()))
}

fn cells(view: &TruthView, place: &Place, first: bool) -> Vec<Cell> {
    let (address, verdict) = if first { (view.address.as_str(), view.verdict.word()) } else { (" ", " ") };
    vec![
        Cell::painted(Paint::Bold, address),
        Cell::painted(Paint::verdict(view.verdict), verdict),
        Cell::new(&place.node),
        Cell::painted(Paint::state(place.state), place.state),
        Cell::new(place.desired),
        Cell::painted(Paint::state(place.kernel), place.kernel),
        Cell::new(hears(place)),
    ]
}

/// Who answered a node, each with how long it took.
fn hears(place: &Place) -> String {
    let Some(probe) = &place.probe else { return "not asked".to_owned() };
    let own = probe.holder_mac.as_ref().map(|mac| format!("answers with {mac}"));
    let others = probe.answers.iter().map(|answer| {
        let latency = answer.latency.map(|latency| format!(" after {latency}")).unwrap_or_default();
        let who = answer.peer_address.clone().unwrap_or_else(|| answer.origin.to_owned());
        format!("{}{latency} ({who})", answer.mac)
    });
    let all: Vec<String> = own.into_iter().chain(others).collect();
    if all.is_empty() { "nobody".to_owned() } else { all.join(", ") }
}
