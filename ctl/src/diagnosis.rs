//! Can the cluster's answers be trusted, and is it fit for the next failure? Findings from what the nodes say of themselves
//! and of each other. Pure: no I/O, and the time is given.

mod node;
mod peer;
mod router;

use jiff::Timestamp;
use serde::Serialize;

use crate::model::{InstanceView, NodeStatus, NodeView, OwnCertificateView};
use crate::reach::Reach;
use crate::span::Span;

#[cfg(test)]
mod tests;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Severity {
    /// Something does not work.
    Error,
    /// Something will not work when it is needed, or an answer may mislead.
    Warn,
    /// Something to know, which may be meant so.
    Info,
}

impl Severity {
    /// The word, as in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Warn => "WARN",
            Severity::Info => "INFO",
        }
    }
}

/// The words for what may be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum FindingCode {
    /// A node did not answer us.
    NodeMissing,
    /// Two agents have the same name.
    NameTwice,
    /// An agent does not speak this hactl's API.
    ApiDiffers,
    /// Not all agents have the same version.
    VersionsDiffer,
    /// Two clocks are too far apart for the order of events.
    ClocksApart,
    /// Our own clock is far from all nodes' clocks.
    OwnClock,
    /// A condition of a node is not as it should be.
    Condition,
    /// A certificate of ours ends soon, or has ended.
    Certificate,
    /// Nodes configure the same virtual router differently.
    ConfigurationDiffers,
    /// Only one node has a virtual router.
    NoPartner,
    /// A node cannot take part in a virtual router.
    Fault,
    /// A Backup does not hear the Active router.
    NotHeard,
    /// Several nodes have the same configured priority.
    EqualPriority,
    /// A killed agent would leave its addresses behind.
    LeaseOff,
    /// A node that answered did not tell whether it hears its peers.
    ViewMissing,
    /// One of two peers hears the other, and is not heard.
    OneWay,
    /// Two peers do not hear each other.
    PeersApart,
    /// Nodes do not hear a peer that hactl could not ask.
    PeerNotHeard,
    /// A node has no `[[peer]]` for one that has it as its peer, or with which it shares a virtual router.
    PeerLacking,
    /// A node tells its peer something else of itself than us.
    ToldDiffers,
    /// Peers that hactl was not told to ask.
    NotAsked,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The word for programs.
    pub code: FindingCode,
    /// The nodes that it is about.
    pub nodes: Vec<String>,
    /// What was found.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    fn new(severity: Severity, code: FindingCode, nodes: &[&str], message: String, remedy: &str) -> Self {
        let nodes = nodes.iter().map(|node| (*node).to_owned()).collect();
        Finding { severity, code, nodes, message, remedy: remedy.to_owned() }
    }
}

/// What is looked at.
pub(crate) struct Evidence<'a> {
    /// Each node asked.
    pub statuses: &'a [NodeStatus],
    /// The nodes that answered.
    pub nodes: &'a [NodeView],
    /// Their virtual routers.
    pub instances: &'a [InstanceView],
    /// How they see each other.
    pub reach: &'a Reach,
    /// Our own certificate and its authority's, if there are any.
    pub certificates: &'a [OwnCertificateView],
    /// Our clock.
    pub now: Timestamp,
}

/// All findings, the worst first.
pub(crate) fn diagnose(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = node::findings(evidence);
    findings.extend(certificates(evidence));
    findings.extend(peer::findings(evidence));
    findings.extend(router::findings(evidence));
    findings.sort_by_key(|finding| finding.severity); // stable: what belongs together stays so
    findings
}

/// A certificate of ours is told about so long before its end; a node tells of its own 14 days before.
const EXPIRY_WARNING: i64 = 30 * 86_400;

fn certificates(evidence: &Evidence<'_>) -> Vec<Finding> {
    let judge = |certificate: &OwnCertificateView| {
        let left = certificate.not_after?.as_second() - evidence.now.as_second();
        let severity = match left {
            ..=0 => Severity::Error,
            1..EXPIRY_WARNING => Severity::Warn,
            _ => return None,
        };
        let when = match left {
            ..=0 => "has ended".to_owned(),
            left => format!("ends in {}", Span::from_nanos(left * 1_000_000_000)),
        };
        let message = format!("{} {when}", certificate.file);
        let remedy = match certificate.usage {
            "ca" => "hactl pki init makes a new authority: all certificates must then be issued anew",
            _ => "hactl pki issue client NAME --replace",
        };
        Some(Finding::new(severity, FindingCode::Certificate, &[], message, remedy))
    };
    evidence.certificates.iter().filter_map(judge).collect()
}
