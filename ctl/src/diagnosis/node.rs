//! What is found about nodes: who is missing, names, versions, clocks, conditions.

use std::collections::BTreeMap;

use super::peer::seen_by_others;
use super::{Evidence, Finding, FindingCode, Severity};
use crate::model::{ConditionView, NodeView};
use crate::span::Span;
use crate::verdict::and;

/// The API that this hactl speaks.
const API: &str = "ha.agent.v1";

/// Clocks that are further apart than this make histories hard to read: a takeover takes less.
const CLOCKS_APART: i64 = 250_000_000;

/// The condition of an agent that hears all its peers.
const PEERS: &str = "PeersReachable";

pub(super) fn findings(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = missing(evidence);
    findings.extend(names(evidence.nodes));
    findings.extend(versions(evidence.nodes));
    findings.extend(clocks(evidence.nodes));
    for node in evidence.nodes {
        // Of peers more is told than the condition has: both sides of it.
        let is_told_otherwise = |kind: &str| kind == PEERS && evidence.reach.observers.contains(&node.node);
        let conditions = node.conditions.iter().filter(|condition| !is_told_otherwise(&condition.kind));
        findings.extend(conditions.filter_map(|condition| self::condition(node, condition)));
    }
    findings
}

fn missing(evidence: &Evidence<'_>) -> Vec<Finding> {
    let away = evidence.statuses.iter().filter(|status| !status.is_answered());
    let tell = |status: &crate::model::NodeStatus| {
        let others = seen_by_others(evidence.reach, status.label());
        let message =
            format!("{} does not answer: {} ({}){others}", status.label(), status.message, status.reason);
        Finding::new(Severity::Error, FindingCode::NodeMissing, &[status.label()], message, &status.remedy)
    };
    away.map(tell).collect()
}

fn names(nodes: &[NodeView]) -> Vec<Finding> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        places.entry(&node.node).or_default().push(&node.endpoint);
    }
    let twice = places.into_iter().filter(|(_, endpoints)| endpoints.len() > 1);
    let tell = |(name, endpoints): (&str, Vec<&str>)| {
        let message = format!("the agents at {} all call themselves {name}", and(&endpoints));
        let remedy = "give each its own node.name in its configuration, and restart it";
        Finding::new(Severity::Error, FindingCode::NameTwice, &[name], message, remedy)
    };
    twice.map(tell).collect()
}

fn versions(nodes: &[NodeView]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in nodes.iter().filter(|node| !node.api_versions.iter().any(|version| version == API)) {
        let spoken = node.api_versions.join(" ");
        let message = format!("{} speaks {spoken}, and not {API}", node.node);
        let remedy = "use the hactl that came with its agent, or upgrade the agent";
        findings.push(Finding::new(Severity::Error, FindingCode::ApiDiffers, &[&node.node], message, remedy));
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in nodes {
        versions.entry(&node.version).or_default().push(&node.node);
    }
    if versions.len() > 1 {
        let each: Vec<String> =
            versions.iter().map(|(version, nodes)| format!("{} on {}", version, and(nodes))).collect();
        let message = format!("the agents differ: {}", each.join("; "));
        let remedy = "during an upgrade this is meant so; else upgrade the others, Backups first";
        findings.push(Finding::new(Severity::Warn, FindingCode::VersionsDiffer, &[], message, remedy));
    }
    findings
}

fn clocks(nodes: &[NodeView]) -> Option<Finding> {
    let remedy = "see timedatectl (chronyc tracking) there; until it is right, orders marked ~ are guesses";
    let latest = nodes.iter().max_by_key(|node| node.clock_offset)?;
    let earliest = nodes.iter().min_by_key(|node| node.clock_offset)?;
    let error = latest.clock_uncertainty.nanos().saturating_add(earliest.clock_uncertainty.nanos());
    let apart = latest.clock_offset.nanos().saturating_sub(earliest.clock_offset.nanos());
    if apart.saturating_sub(error) > CLOCKS_APART {
        let message = format!(
            "the clock of {} is {} ahead of that of {} (±{})",
            latest.node,
            Span::from_nanos(apart),
            earliest.node,
            Span::from_nanos(error)
        );
        let nodes = [latest.node.as_str(), earliest.node.as_str()];
        return Some(Finding::new(Severity::Warn, FindingCode::ClocksApart, &nodes, message, remedy));
    }
    // The nodes agree with each other; so it is we who are wrong, if anybody is.
    let own = if earliest.clock_offset.nanos() > 0 { earliest } else { latest };
    let off = own.clock_offset.abs().nanos().saturating_sub(own.clock_uncertainty.nanos());
    let all_on_one_side = (earliest.clock_offset.nanos() > 0) == (latest.clock_offset.nanos() > 0);
    (off > CLOCKS_APART && all_on_one_side).then(|| {
        let message =
            format!("the clock of this machine is {} off all nodes' clocks", own.clock_offset.abs());
        Finding::new(Severity::Info, FindingCode::OwnClock, &[], message, "see timedatectl on this machine")
    })
}

fn condition(node: &NodeView, condition: &ConditionView) -> Option<Finding> {
    let severity = match (condition.status, condition.reason.as_str()) {
        ("TRUE", _) => return None,
        (_, "Expired") => Severity::Error,
        (_, "Disabled") => Severity::Info, // somebody has configured it so
        _ => Severity::Warn,
    };
    let remedy = match condition.kind.as_str() {
        "RealtimeScheduling" => {
            "the shipped systemd unit gives CAP_SYS_NICE; without it a busy machine makes adverts late"
        }
        "MemoryLocked" => {
            "the shipped systemd unit gives CAP_IPC_LOCK and LimitMEMLOCK; without them swapping makes adverts late"
        }
        "ConfigCurrent" => "ha-agent check on that node shows what is wrong; then systemctl reload ha-agent",
        _ => "",
    };
    let message = format!("{}: {}", node.node, condition.sentence());
    Some(Finding::new(severity, FindingCode::Condition, &[&node.node], message, remedy))
}
