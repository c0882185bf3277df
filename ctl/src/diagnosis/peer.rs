//! What is found about the control plane between nodes: who does not hear whom, whom a configuration lacks, and who tells his peers
//! something else than us. Nodes without peers are well without them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, Finding, FindingCode, Severity};
use crate::reach::{Reach, Sight};
use crate::verdict::and;

const UNHEARD: &str = "without the control plane between them a drain lasts longer and VRRP's timers alone tell of a failure: see \
                       the reason, and whether the port of [api] listen is open both ways";

pub(super) fn findings(evidence: &Evidence<'_>) -> Vec<Finding> {
    let reach = evidence.reach;
    let mut findings = untold(reach);
    let nodes: Vec<&str> = reach.nodes.iter().map(String::as_str).collect();
    for (index, one) in nodes.iter().enumerate() {
        for other in &nodes[index + 1..] {
            findings.extend(pair(evidence, one, other));
        }
    }
    findings.extend(unheard(evidence));
    findings.extend(told(evidence));
    findings.extend(not_asked(evidence));
    findings
}

/// What is added to the news that a node does not answer us: how the others see it.
pub(super) fn seen_by_others(reach: &Reach, node: &str) -> String {
    let with = |wanted: fn(Sight) -> bool| -> Vec<&str> {
        reach.rows().filter(|from| wanted(reach.sight(from, node))).collect()
    };
    let (heard, lost) = (with(|sight| sight == Sight::Heard), with(Sight::is_lost));
    let verb = |nodes: &[&str], one: &str, many: &str| {
        if nodes.len() == 1 { one.to_owned() } else { many.to_owned() }
    };
    match (heard.as_slice(), lost.as_slice()) {
        ([], []) => String::new(),
        ([], lost) => format!("; {} {} not hear it either", and(lost), verb(lost, "does", "do")),
        (heard, []) => format!("; {} {} it", and(heard), verb(heard, "hears", "hear")),
        (heard, lost) => format!(
            "; {} {} it, and {} {} not",
            and(heard),
            verb(heard, "hears", "hear"),
            and(lost),
            verb(lost, "does", "do")
        ),
    }
}

fn untold(reach: &Reach) -> Vec<Finding> {
    let tell = |(node, failure): (&String, &crate::failure::Failure)| {
        let (message, remedy) = match failure.code {
            "UNIMPLEMENTED" => (
                format!(
                    "{node} does not tell whether it hears its peers: its agent is older than that question"
                ),
                "upgrade the agent there",
            ),
            _ => (
                format!(
                    "{node} does not tell whether it hears its peers: {} ({})",
                    failure.message, failure.reason
                ),
                &*failure.remedy,
            ),
        };
        Finding::new(Severity::Warn, FindingCode::ViewMissing, &[node], message, remedy)
    };
    reach.untold.iter().map(tell).collect()
}

/// Two nodes, of which at least one told how it sees the other.
fn pair(evidence: &Evidence<'_>, one: &str, other: &str) -> Option<Finding> {
    let reach = evidence.reach;
    let there = (reach.sighting(one, other), one, other);
    let back = (reach.sighting(other, one), other, one);
    match (there.0.sight, back.0.sight) {
        (Sight::Unknown, _) | (_, Sight::Unknown) | (Sight::Heard, Sight::Heard) => None,
        (Sight::NotConfigured, Sight::NotConfigured) => neither(evidence, one, other),
        (Sight::NotConfigured, _) => Some(lacks(one, other)),
        (_, Sight::NotConfigured) => Some(lacks(other, one)),
        (first, second) if first.is_lost() && second.is_lost() => {
            let message = format!(
                "{one} and {other} do not hear each other: {one} says {}; {other} says {}",
                because(&there.0),
                because(&back.0)
            );
            let nodes = [one, other];
            Some(Finding::new(Severity::Warn, FindingCode::PeersApart, &nodes, message, UNHEARD))
        }
        (first, _) => {
            let (sighting, deaf, heard) = if first.is_lost() { there } else { back };
            let message = format!(
                "{deaf} does not hear {heard}, and {heard} hears {deaf}: {deaf} says {}",
                because(&sighting)
            );
            let nodes = [deaf, heard];
            Some(Finding::new(Severity::Warn, FindingCode::OneWay, &nodes, message, UNHEARD))
        }
    }
}

/// Two that have peers and do not know each other, although both have the same virtual router.
fn neither(evidence: &Evidence<'_>, one: &str, other: &str) -> Option<Finding> {
    let have_peers = [one, other].iter().all(|node| evidence.reach.with_peers.contains(*node));
    let shared = have_peers.then(|| shared_router(evidence, one, other))??;
    let message = format!(
        "{one} and {other} both have {shared}, and neither has a [[peer]] for the other, although both have others"
    );
    let remedy = "add [[peer]] on both with name and endpoint of the other, and reload";
    Some(Finding::new(Severity::Warn, FindingCode::PeerLacking, &[one, other], message, remedy))
}

fn shared_router<'a>(evidence: &Evidence<'a>, one: &str, other: &str) -> Option<&'a str> {
    let all = evidence.instances;
    let theirs = all.iter().filter(|instance| instance.node == other).flat_map(|instance| &instance.vips);
    let theirs: BTreeSet<&str> = theirs.map(String::as_str).collect();
    let mut own = all.iter().filter(|instance| instance.node == one);
    let shared = own.find(|instance| instance.vips.iter().any(|vip| theirs.contains(vip.as_str())));
    shared.map(|instance| instance.instance.as_str())
}

fn lacks(node: &str, peer: &str) -> Finding {
    let message =
        format!("{peer} has {node} as its peer, and {node} has no [[peer]] for {peer}: it refuses it");
    let remedy = "add the [[peer]] there, or take it away here, and reload";
    Finding::new(Severity::Warn, FindingCode::PeerLacking, &[node, peer], message, remedy)
}

/// Nodes that answered hactl tell of one that cannot be asked for its side: once, with all who do not hear it. One that was asked and
/// did not answer is told of as missing.
fn unheard(evidence: &Evidence<'_>) -> Vec<Finding> {
    let reach = evidence.reach;
    let is_missing =
        |node: &str| evidence.statuses.iter().any(|status| !status.is_answered() && status.label() == node);
    let silent = reach.nodes.iter().filter(|node| !reach.observers.contains(*node) && !is_missing(node));
    let tell = |node: &String| {
        let by: Vec<&str> = reach.rows().filter(|from| reach.sight(from, node).is_lost()).collect();
        let first = reach.sighting(by.first()?, node);
        let verb = if by.len() == 1 { "does" } else { "do" };
        let message = format!("{} {verb} not hear {node}: {}", and(&by), because(&first));
        let nodes: Vec<&str> = by.iter().copied().chain([node.as_str()]).collect();
        Some(Finding::new(Severity::Warn, FindingCode::PeerNotHeard, &nodes, message, UNHEARD))
    };
    silent.filter_map(tell).collect()
}

/// A node that tells its peers something else than us is two agents, or its peer has not noticed that it began anew.
fn told(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for told in &evidence.reach.told {
        let Some(node) = evidence.nodes.iter().find(|node| node.node == told.of) else { continue };
        for (what, told_to_peer, says) in [
            ("version", &told.version, &node.version),
            ("incarnation", &told.incarnation_id, &node.incarnation_id),
        ] {
            if told_to_peer == says || told_to_peer.is_empty() {
                continue;
            }
            let message = format!(
                "{} says that it has {what} {says}, and {} heard {told_to_peer} from it",
                told.of, told.by
            );
            let remedy = "ask again: it may have just been restarted; else two agents have this name, see hactl node list and the endpoints of [[peer]]";
            let nodes = [told.of.as_str(), told.by.as_str()];
            findings.push(Finding::new(Severity::Warn, FindingCode::ToldDiffers, &nodes, message, remedy));
        }
    }
    findings
}

/// Peers that hactl was not told to ask: what they would say is not in the answer.
fn not_asked(evidence: &Evidence<'_>) -> Option<Finding> {
    let reach = evidence.reach;
    let is_asked = |node: &str| evidence.statuses.iter().any(|status| status.label() == node);
    let mut endpoints: BTreeMap<&str, String> = BTreeMap::new();
    for node in reach.nodes.iter().filter(|node| !is_asked(node)) {
        let endpoint = reach.rows().map(|from| reach.sighting(from, node).endpoint).find(|at| !at.is_empty());
        endpoints.insert(node, endpoint.unwrap_or_default());
    }
    let nodes: Vec<&str> = endpoints.keys().copied().collect();
    (!nodes.is_empty()).then(|| {
        let at: Vec<&str> = endpoints.values().map(String::as_str).collect();
        let (verb, noun) = if nodes.len() == 1 { ("was", "a peer") } else { ("were", "peers") };
        let message = format!("{} {verb} not asked: {noun} of nodes that were, at {}", and(&nodes), and(&at));
        let remedy = "name all nodes with --endpoint, or in a context: hactl context add";
        Finding::new(Severity::Info, FindingCode::NotAsked, &nodes, message, remedy)
    })
}

fn because(sighting: &crate::reach::Sighting) -> String {
    let age = sighting.age.filter(|_| sighting.sight == Sight::Silent);
    let last = age.map(|age| format!(" (last heard {age} ago)")).unwrap_or_default();
    match sighting.detail.as_str() {
        "" => format!("it is {}{last}", sighting.sight.word()),
        detail => format!("{detail}{last}"),
    }
}
