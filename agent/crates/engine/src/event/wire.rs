//! What happens to addresses on the wire beside the election.

use alloc::sync::Arc;
use core::fmt;

use super::Severity;

/// Something about an address on the wire.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum WireEvent {
    /// An operator had the addresses of an instance announced again.
    Reannounced {
        /// The operator's words.
        reason: Arc<str>,
    },
    /// Somebody answers for the address who should not. Made by the agent, which asked the wire, and not by the engine.
    ConflictFound {
        /// The MAC addresses that answered; beside this node, if it holds the address.
        macs: Arc<[[u8; 6]]>,
        /// Whether this node holds the address.
        held_here: bool,
    },
}

impl WireEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Reannounced { .. } => "instance.reannounced",
            Self::ConflictFound { .. } => "vip.conflict",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Reannounced { .. } => Severity::Info,
            Self::ConflictFound { .. } => Severity::Error,
        }
    }
}

impl fmt::Display for WireEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reannounced { reason } if reason.is_empty() => f.write_str("addresses announced again"),
            Self::Reannounced { reason } => write!(f, "addresses announced again: {reason}"),
            Self::ConflictFound { macs, held_here } => {
                f.write_str(if *held_here { "this node holds it, and " } else { "" })?;
                for (index, mac) in macs.iter().enumerate() {
                    let [a, b, c, d, e, g] = mac;
                    f.write_str(if index == 0 { "" } else { " and " })?;
                    write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")?;
                }
                f.write_str(if macs.len() == 1 { " answers for it" } else { " answer for it" })
            }
        }
    }
}
