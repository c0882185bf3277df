//! What `hactl doctor` has found.

use serde::Serialize;

use crate::diagnosis::{Finding, Severity};
use crate::model::NodeView;
use crate::span::Span;

/// The health of the cluster's control plane and of its readiness.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DoctorView {
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The nodes that answered, each whole.
    pub nodes: Vec<NodeView>,
    /// Who reaches whom.
    pub links: Vec<LinkView>,
    /// The certificates that hactl uses.
    pub certificates: Vec<OwnCertificateView>,
}

/// Whether one reaches another.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LinkView {
    /// A node's name; `hactl` for ourselves.
    pub from: String,
    /// A node's name or endpoint; over VRRP the address that is heard.
    pub to: String,
    /// `API`: hactl's questions; `PEER`: what a node hears of another over the control plane; `VRRP`: a Backup hears an Active
    /// router's adverts.
    pub over: &'static str,
    /// The virtual router, over VRRP.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// Over the API `ANSWERED`, `UNREACHABLE`, `TIMEOUT`, `DENIED`, `FAILED`, or `NOT_ASKED`; between peers `HEARD`, `SILENT`, `NEVER`,
    /// `REFUSED`, `NOT_CONFIGURED`, or `UNKNOWN` when the node does not tell; over VRRP `HEARD` or `SILENT`.
    pub state: &'static str,
    /// Why it is not reached, in UPPER_SNAKE_CASE.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The same in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Between peers: since when the state is as it is, by the clock of `from`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<jiff::Timestamp>,
    /// Over the API and between peers that hear each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<Span>,
    /// Of the last advert or the last sign of life.
    pub age: Option<Span>,
}

/// A certificate that hactl uses.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OwnCertificateView {
    /// Where it is.
    pub file: String,
    /// `ca` or `client`.
    pub usage: &'static str,
    /// When it ends.
    pub not_after: Option<jiff::Timestamp>,
}

impl DoctorView {
    /// How many findings are at least this bad.
    pub(crate) fn count(&self, worst: impl Fn(Severity) -> bool) -> usize {
        self.findings.iter().filter(|finding| worst(finding.severity)).count()
    }
}
