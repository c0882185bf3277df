//! Who reaches whom: hactl the nodes, the nodes each other over the control plane, and Backups the Active router; and the first two as a
//! matrix, rows = who asks, columns = who is seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{InstanceView, LinkView, NodeStatus};
use crate::reach::{Reach, Sight};
use crate::render::{Cell, Layout, Paint, Table, paint};
use crate::span::Span;

/// Up to here each node has a column; beyond it those that somebody does not hear.
const COLUMNS_FOR_ALL: usize = 8;

/// All links: what hactl, the nodes and the Backups reach.
pub(super) fn links(statuses: &[NodeStatus], instances: &[InstanceView], reach: &Reach) -> Vec<LinkView> {
    let mut links: Vec<LinkView> = statuses.iter().map(asked).collect();
    let was_asked: BTreeSet<&str> = statuses.iter().map(NodeStatus::label).collect();
    let others = reach.nodes.iter().filter(|node| !was_asked.contains(node.as_str()));
    links.extend(others.map(|node| link("hactl", node, "API", "NOT_ASKED")));
    links.extend(peers(reach));
    links.extend(instances.iter().filter(|instance| instance.state == "BACKUP").map(adverts));
    links
}

fn link(from: &str, to: &str, over: &'static str, state: &'static str) -> LinkView {
    LinkView {
        from: from.to_owned(),
        to: to.to_owned(),
        over,
        instance: String::new(),
        state,
        reason: String::new(),
        detail: String::new(),
        since: None,
        round_trip: None,
        age: None,
    }
}

fn asked(status: &NodeStatus) -> LinkView {
    LinkView {
        reason: status.reason.clone(),
        detail: status.message.clone(),
        // Half of the round trip is what the clocks are uncertain by.
        round_trip: status.clock_uncertainty.map(|half| Span::from_nanos(half.nanos() * 2)),
        ..link("hactl", status.label(), "API", status.state.word())
    }
}

/// Only between nodes of which some have peers: others have nothing to hear.
fn peers(reach: &Reach) -> Vec<LinkView> {
    let mut links = Vec::new();
    let rows = reach.rows().filter(|_| !reach.with_peers.is_empty() || !reach.untold.is_empty());
    for from in rows {
        for to in reach.nodes.iter().filter(|to| *to != from) {
            let seen = reach.sighting(from, to);
            links.push(LinkView {
                reason: seen.reason,
                detail: seen.detail,
                since: seen.since,
                round_trip: seen.round_trip,
                age: seen.age,
                ..link(from, to, "PEER", seen.sight.word())
            });
        }
    }
    links
}

fn adverts(instance: &InstanceView) -> LinkView {
    let to = instance.observed_active_address.clone().unwrap_or_default();
    let state = if instance.hears_active() { "HEARD" } else { "SILENT" };
    LinkView {
        instance: instance.instance.clone(),
        age: instance.last_advertisement_age,
        ..link(&instance.node, &to, "VRRP", state)
    }
}

/// The matrix; nothing when no node tells of peers.
pub(super) fn matrix(links: &[LinkView], layout: Layout) -> String {
    let told: Vec<&LinkView> = links.iter().filter(|link| link.over != "VRRP").collect();
    let rows: BTreeSet<&str> =
        told.iter().filter(|link| link.over == "PEER").map(|link| link.from.as_str()).collect();
    if rows.is_empty() {
        return String::new();
    }
    let all: BTreeSet<&str> = told.iter().map(|link| link.to.as_str()).collect();
    let lost = told.iter().filter(|link| paint_of(link.state) != Paint::Good);
    let lost: BTreeSet<&str> = lost.map(|link| link.to.as_str()).collect();
    let columns: &BTreeSet<&str> = if all.len() <= COLUMNS_FOR_ALL { &all } else { &lost };
    let headers = ["WHO HEARS".to_owned()].into_iter().chain(columns.iter().map(|node| (*node).to_owned()));
    let mut table = Table::with_headers(headers);
    let by_ends: BTreeMap<(&str, &str), &LinkView> =
        told.iter().map(|link| ((link.from.as_str(), link.to.as_str()), *link)).collect();
    for from in ["hactl"].into_iter().chain(rows) {
        let name =
            if from == "hactl" { Cell::painted(Paint::Dim, from) } else { Cell::painted(Paint::Bold, from) };
        let of = |to: &&str| by_ends.get(&(from, *to)).copied();
        let cells = columns.iter().map(|to| of(to).map_or_else(|| Cell::new(""), cell));
        table.row([name].into_iter().chain(cells).collect());
    }
    let mut out = format!("\n{}", table.render(layout));
    let hidden = all.len() - columns.len();
    if hidden > 0 {
        out.push_str(&paint(Paint::Dim, &format!("and {hidden} more nodes that all who were asked hear")));
        out.push('\n');
    }
    out
}

/// `HEARD 0.4ms`, `SILENT 12s`, `REFUSED CERTIFICATE`.
fn cell(link: &LinkView) -> Cell {
    let more = match link.state {
        "HEARD" | "ANSWERED" => link.round_trip.map(|span| span.to_string()),
        "SILENT" => link.age.map(|span| span.to_string()),
        // The word alone says it.
        "REFUSED" if link.reason == Sight::Refused.word() => None,
        "NEVER" | "REFUSED" | "UNKNOWN" | "FAILED" => {
            Some(link.reason.clone()).filter(|reason| !reason.is_empty())
        }
        _ => None,
    };
    let text = more.map_or_else(|| link.state.to_owned(), |more| format!("{} {more}", link.state));
    Cell::painted(paint_of(link.state), text)
}

fn paint_of(state: &str) -> Paint {
    match state {
        "HEARD" | "ANSWERED" => Paint::Good,
        "NOT_CONFIGURED" | "NOT_ASKED" => Paint::Dim,
        "UNKNOWN" => Paint::Unknown,
        _ => Paint::Bad,
    }
}
