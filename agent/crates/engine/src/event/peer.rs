//! Other nodes of the cluster that come and go on the control plane, as part of [`super::EventKind`]. Made by the agent, not by the engine.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::Severity;

/// Whether another node is heard on the control plane. Adverts are not meant: those are VRRP's own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PeerEvent {
    /// It is heard, and its report is whole.
    Reachable {
        /// How long it was not.
        after: Duration,
    },
    /// It is not heard.
    Silent {
        /// What happened, and what to do.
        why: Arc<str>,
    },
}

impl PeerEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Reachable { .. } => "peer.reachable",
            Self::Silent { .. } => "peer.silent",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Reachable { .. } => Severity::Info,
            Self::Silent { .. } => Severity::Warn,
        }
    }
}

/// The sentence of the log.
impl fmt::Display for PeerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reachable { after } => write!(f, "heard on the control plane, after {after:.1?}"),
            Self::Silent { why } => write!(f, "not heard on the control plane: {why}"),
        }
    }
}
