//! What happens to a pool, its servers, and the balancer behind it, as parts of [`super::EventKind`].

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::Severity;
use crate::track::Verdict;

/// What happened to a pool or to one of its servers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PoolEvent {
    /// The pool won or lost its quorum.
    Changed {
        /// Before.
        from: Verdict,
        /// Now.
        to: Verdict,
        /// Weight of the servers that pass.
        weight: u32,
        /// Weight that is wanted.
        quorum: u32,
    },
    /// A server fails and was taken out.
    ServerLeft(Standing),
    /// A server passes again and is back, slowly if so configured.
    ServerReturned(Standing),
    /// A server fails, but stays because of the floor.
    ServerKept(Standing),
    /// An operator took a server out.
    ServerDrained {
        /// The operator's words.
        reason: Arc<str>,
        /// How long it lasts; `None` = until undrained.
        lasts: Option<Duration>,
    },
    /// A server may be used again: undrained or expired.
    ServerUndrained,
    /// So many servers fail that some are kept in.
    FloorReached {
        /// Servers that fail.
        failing: u32,
        /// Those of them that stay in.
        kept: u32,
        /// The fewest servers that may be in.
        floor: u32,
        /// All servers of the pool.
        total: u32,
    },
    /// No failing server is kept in any more.
    FloorLeft,
    /// The quorum is lost: the sorry server has replaced all others.
    SorryIn,
    /// The quorum is back: the sorry server is not used any more.
    SorryOut,
    /// Half of the servers or more failed within a few seconds: look for what they have in common, or at the check.
    MassFailure {
        /// Servers that failed within [`crate::MASS_FAILURE_WINDOW`].
        failed: u32,
        /// All servers of the pool.
        total: u32,
    },
}

/// How a pool stands after one of its servers changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Servers that are in.
    pub used: u32,
    /// All servers of the pool.
    pub total: u32,
}

/// What the balancer behind a pool did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BalancerEvent {
    /// It runs what the pool wants.
    Applied {
        /// The generation of the set.
        generation: u64,
        /// Servers in it.
        servers: u32,
        /// Since the pool wanted it.
        took: Duration,
    },
    /// It did not take over what the pool wants; tried again.
    Failed {
        /// In the balancer's words, with what to do.
        error: Arc<str>,
    },
}

impl PoolEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "pool.changed",
            Self::ServerLeft(_) => "pool.server_left",
            Self::ServerReturned(_) => "pool.server_returned",
            Self::ServerKept(_) => "pool.server_kept",
            Self::ServerDrained { .. } => "pool.server_drained",
            Self::ServerUndrained => "pool.server_undrained",
            Self::FloorReached { .. } => "pool.floor_reached",
            Self::FloorLeft => "pool.floor_left",
            Self::SorryIn => "pool.sorry_in",
            Self::SorryOut => "pool.sorry_out",
            Self::MassFailure { .. } => "pool.mass_failure",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Changed { to: Verdict::Failing, .. }
            | Self::FloorReached { .. }
            | Self::SorryIn
            | Self::MassFailure { .. } => Severity::Error,
            Self::ServerLeft(_) | Self::ServerKept(_) => Severity::Warn,
            Self::Changed { .. }
            | Self::ServerReturned(_)
            | Self::ServerDrained { .. }
            | Self::ServerUndrained
            | Self::FloorLeft
            | Self::SorryOut => Severity::Info,
        }
    }
}

impl BalancerEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Applied { .. } => "balancer.applied",
            Self::Failed { .. } => "balancer.failed",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Applied { .. } => Severity::Info,
            Self::Failed { .. } => Severity::Error,
        }
    }
}

/// The sentence of the log.
impl fmt::Display for PoolEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { from, to, weight, quorum } => {
                write!(f, "{} to {}: weight {weight} passes, quorum {quorum}", from.as_str(), to.as_str())
            }
            Self::ServerLeft(standing) => write!(f, "server fails and is out; {standing}"),
            Self::ServerReturned(standing) => write!(f, "server passes again and is in; {standing}"),
            Self::ServerKept(standing) => {
                write!(f, "server fails but stays, or too few would be left; {standing}")
            }
            Self::ServerDrained { reason, lasts } => {
                f.write_str("server drained")?;
                if let Some(lasts) = lasts {
                    write!(f, " for {lasts:.1?}")?;
                }
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::ServerUndrained => f.write_str("server no longer drained"),
            Self::FloorReached { failing, kept, floor, total } => write!(
                f,
                "{failing} of {total} servers fail, and {kept} of them stay in: at least {floor} must; look at the check"
            ),
            Self::FloorLeft => f.write_str("no failing server is kept in any more"),
            Self::SorryIn => f.write_str("the quorum is lost: the sorry server has replaced all others"),
            Self::SorryOut => f.write_str("the quorum is back: the sorry server is not used any more"),
            Self::MassFailure { failed, total } => {
                write!(f, "{failed} of {total} servers failed at once: look for what they have in common")
            }
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} servers are in", self.used, self.total)
    }
}

/// The sentence of the log.
impl fmt::Display for BalancerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Applied { generation, servers, took } => {
                write!(f, "the balancer runs set {generation} with {servers} servers, after {took:.3?}")
            }
            Self::Failed { error } => write!(f, "the balancer did not take over the servers: {error}"),
        }
    }
}
