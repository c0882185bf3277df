//! What happens to planned moves.

use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::Severity;

/// A planned move, or what stands behind one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MoveEvent {
    /// The node is drained from now on.
    Drained {
        /// The operator's words.
        reason: Arc<str>,
        /// How long it lasts; `None` = until ended.
        lasts: Option<Duration>,
    },
    /// The node is no longer drained.
    Undrained,
    /// A holder looks for somebody who takes over, and keeps the addresses meanwhile.
    HandoverBegan {
        /// The successor that is asked; `None` = whoever hears priority 0.
        to: Option<IpAddr>,
    },
    /// Nobody took over in time; the holder goes on as before.
    HandoverFailed,
    /// After a transfer the instance does not preempt.
    PreemptHeld {
        /// The operator's words.
        reason: Arc<str>,
        /// How long it lasts; `None` = until it becomes Active or an operator ends it.
        lasts: Option<Duration>,
    },
    /// The instance may preempt again.
    PreemptReleased,
}

impl MoveEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Drained { .. } => "node.drained",
            Self::Undrained => "node.undrained",
            Self::HandoverBegan { .. } => "instance.handover_began",
            Self::HandoverFailed => "instance.handover_failed",
            Self::PreemptHeld { .. } => "instance.preempt_held",
            Self::PreemptReleased => "instance.preempt_released",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::HandoverFailed => Severity::Warn,
            _ => Severity::Info,
        }
    }
}

impl fmt::Display for MoveEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drained { reason, lasts } => write_wish(f, "node drained", reason, *lasts),
            Self::Undrained => f.write_str("node no longer drained"),
            Self::HandoverBegan { to: Some(to) } => write!(f, "handing over to {to}"),
            Self::HandoverBegan { to: None } => {
                f.write_str("handing over to whoever takes over; the addresses stay until somebody does")
            }
            Self::HandoverFailed => f.write_str("nobody took over in time; this node goes on"),
            Self::PreemptHeld { reason, lasts } => write_wish(f, "does not preempt", reason, *lasts),
            Self::PreemptReleased => f.write_str("may preempt again"),
        }
    }
}

fn write_wish(f: &mut fmt::Formatter<'_>, what: &str, reason: &str, lasts: Option<Duration>) -> fmt::Result {
    f.write_str(what)?;
    if let Some(lasts) = lasts {
        write!(f, " for {lasts:.1?}")?;
    }
    if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
}
