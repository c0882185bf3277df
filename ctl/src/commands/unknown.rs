//! What was named and is not there: said with what comes nearest to it, and for certain only when all nodes have answered.

use std::net::IpAddr;

use ha_engine::EVENT_TYPES;

use crate::args::{ExplainTarget, Target};
use crate::cluster::Cluster;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::output::Stop;

/// As many names are offered at the most.
const OFFERED: usize = 4;

/// A node.
pub(super) fn unknown_node(cluster: &Cluster, wanted: &str) -> Stop {
    let failures: Vec<&Failure> = cluster.failures().collect();
    stop(cluster, node_failure(&node_names(cluster), &failures, wanted))
}

/// A virtual address.
pub(super) fn unknown_vip(cluster: &Cluster, address: IpAddr) -> Stop {
    let wanted = address.to_string();
    let near = nearest(&wanted, cluster.vips().into_iter().map(|vip| vip.address));
    stop(cluster, unknown(cluster.is_complete(), wanted, &near, "hactl vip list shows what there is"))
}

/// A virtual router.
pub(super) fn unknown_instance(cluster: &Cluster, target: &Target) -> Stop {
    let all = cluster.instances().into_iter().map(|router| router.name);
    let list = "hactl instance list shows what there is";
    unknown_thing(cluster, "instance", &target.to_string(), all, list)
}

/// What was to be explained.
pub(super) fn unknown_target(cluster: &Cluster, target: &ExplainTarget) -> Stop {
    match target {
        ExplainTarget::Vip(address) => unknown_vip(cluster, *address),
        ExplainTarget::Instance(target) => unknown_instance(cluster, target),
    }
}

/// Anything else below a node, which may be one that does not answer; `known` are the resource names of all that there is of its kind.
pub(super) fn unknown_thing(
    cluster: &Cluster,
    noun: &str,
    wanted: &str,
    known: impl IntoIterator<Item = String>,
    list: &str,
) -> Stop {
    let node = wanted.split_once('/').map(|(node, _)| node);
    if let Some(own) = cluster.failures().find(|failure| Some(&*failure.node) == node) {
        return stop(cluster, own.clone());
    }
    // Names are offered in the form in which one was asked for, with or without the node.
    let depth = wanted.split('/').count();
    let form = |name: String| match names::below_node(&name) {
        below if below.split('/').count() == depth => below,
        _ => names::label(&name),
    };
    let near = nearest(wanted, known.into_iter().map(form));
    stop(cluster, unknown(cluster.is_complete(), format!("{noun} {wanted}"), &near, list))
}

/// That the names of `-n` are there, as [`check_names`] has it.
///
/// # Errors
/// When it is not so.
pub(super) fn check_filter(cluster: &Cluster, patterns: &[String]) -> Result<(), Stop> {
    let failures: Vec<&Failure> = cluster.failures().collect();
    let checked = check_names(&node_names(cluster), &failures, patterns);
    checked.map_err(|failure| stop(cluster, failure))
}

/// That each pattern matches one of the nodes that answered, or at least one does while others failed: an answer about nothing
/// looks like a good one.
///
/// # Errors
/// When it is not so.
pub(super) fn check_names(
    nodes: &[String],
    failures: &[&Failure],
    patterns: &[String],
) -> Result<(), Failure> {
    let is_known = |pattern: &String| nodes.iter().any(|node| names::matches_glob(pattern, node));
    match patterns.iter().find(|pattern| !is_known(pattern)) {
        // A node that did not answer may have the name.
        Some(_) if !failures.is_empty() && patterns.iter().any(is_known) => Ok(()),
        Some(pattern) => Err(node_failure(nodes, failures, pattern)),
        None => Ok(()),
    }
}

fn node_names(cluster: &Cluster) -> Vec<String> {
    cluster.nodes().into_iter().map(|node| node.node).collect()
}

/// It does not answer, when the others know it by that name; or there is none.
fn node_failure(nodes: &[String], failures: &[&Failure], wanted: &str) -> Failure {
    if let Some(own) = failures.iter().find(|failure| &*failure.node == wanted) {
        return (*own).clone();
    }
    let near = nearest(wanted, nodes.iter().cloned());
    unknown(failures.is_empty(), format!("node {wanted}"), &near, "hactl node list shows what there is")
}

fn stop(cluster: &Cluster, failure: Failure) -> Stop {
    Stop::Failure(Box::new(failure), cluster.statuses())
}

fn unknown(complete: bool, what: String, near: &[String], list: &str) -> Failure {
    let remedy = match near {
        [] => list.to_owned(),
        near => format!("did you mean {}? {list}", near.join(" or ")),
    };
    if complete {
        let message = format!("{what} is on none of the nodes asked");
        return Failure::local(Exit::Usage, "NOT_FOUND", "NOT_FOUND", message, remedy);
    }
    let message = format!("{what} is on none of the nodes that answered; others are missing");
    Failure::local(Exit::NodesMissing, "UNAVAILABLE", "NODES_MISSING", message, remedy)
}

/// A type of events that none of this hactl's has, if one of `types` is: agents that are newer may have more.
pub(super) fn unknown_type(types: &[String]) -> Option<Failure> {
    let is_meant = |wanted: &str, known: &str| match wanted.strip_suffix('*') {
        Some(prefix) => known.starts_with(prefix),
        None => wanted == known,
    };
    let wanted = types.iter().find(|wanted| !EVENT_TYPES.iter().any(|known| is_meant(wanted, known)))?;
    let kinds = EVENT_TYPES.iter().filter_map(|known| Some(format!("{}.*", known.split_once('.')?.0)));
    let known = EVENT_TYPES.iter().map(|known| (*known).to_owned()).chain(kinds);
    let near = nearest(wanted, known.filter(|known| known.ends_with('*') == wanted.ends_with('*')));
    let message = format!("there is no event type {wanted}");
    let all = "event types are listed in agent/TELEMETRY.md, Event records; 'instance.*' stands for all that begin so";
    let remedy = match near.as_slice() {
        [] => all.to_owned(),
        near => format!("did you mean {}? {all}", near.join(" or ")),
    };
    Some(Failure::local(Exit::Usage, "NOT_FOUND", "NOT_FOUND", message, remedy))
}

/// A section of the state dump that none of the agents asked has told of, and of which this hactl does not know.
pub(super) fn unknown_section(wanted: &str, known: &[&str]) -> Failure {
    let near = nearest(wanted, known.iter().map(|known| (*known).to_owned()));
    let all = format!("sections are: {}", known.join(", "));
    let remedy = match near.as_slice() {
        [] => all,
        near => format!("did you mean {}? {all}", near.join(" or ")),
    };
    Failure::local(Exit::Usage, "NOT_FOUND", "NOT_FOUND", format!("there is no section {wanted}"), remedy)
}

/// Those of `known` that need the fewest edits, if those are few enough for a slip of the fingers.
fn nearest(wanted: &str, known: impl IntoIterator<Item = String>) -> Vec<String> {
    let wanted = wanted.to_lowercase();
    let edits = |name: String| (strsim::osa_distance(&wanted, &name.to_lowercase()), name);
    let mut all: Vec<(usize, String)> = known.into_iter().map(edits).collect();
    all.sort();
    all.dedup();
    let Some(least) = all.first().map(|(edits, _)| *edits) else { return Vec::new() };
    let is_slip = |edits: usize, name: &str| edits <= (name.len().max(wanted.len()) / 3).max(1);
    let near = all.into_iter().filter(|(edits, name)| *edits == least && is_slip(*edits, name));
    near.map(|(_, name)| name).take(OFFERED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_no_event_has_is_told_with_the_nearest() {
        let wanted = |types: &[&str]| types.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (types, near) in [
            (&["instance.state_chnaged"][..], Some("did you mean instance.state_changed? ")),
            (&["vip.lost", "chek.changed"], Some("did you mean check.changed? ")),
            (&["vpi.*"], Some("did you mean vip.*? ")),
            (&["nonsense"], Some("event types are listed")),
            (&["instance.state_changed", "audit.*", "*", "node.events_lost"], None),
            (&[], None),
        ] {
            let remedy = unknown_type(&wanted(types)).map(|failure| failure.remedy);
            assert_eq!(remedy.is_some(), near.is_some(), "{types:?}");
            assert!(remedy.unwrap_or_default().starts_with(near.unwrap_or_default()), "{types:?}");
        }
    }

    #[test]
    fn the_names_that_need_the_fewest_edits_are_offered() {
        for (wanted, known, offered) in [
            ("nod-a", vec!["node-a", "node-b"], vec!["node-a"]),
            ("node-d", vec!["node-a", "node-b"], vec!["node-a", "node-b"]),
            ("NODE-A", vec!["node-a", "node-b"], vec!["node-a"]),
            ("wbe", vec!["web", "web", "db"], vec!["web"]),
            ("10.0.0.11", vec!["10.0.0.10", "192.0.2.1"], vec!["10.0.0.10"]),
            ("nonsense", vec!["web", "db"], vec![]),
            ("x", vec![], vec![]),
        ] {
            let known = known.into_iter().map(str::to_owned);
            assert_eq!(nearest(wanted, known), offered, "{wanted}");
        }
    }
}
