//! What happens to those who are told of events, as part of [`super::EventKind`]. Made by the agent, not by the engine.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::Severity;

/// What happened to a notifier. Each is told once in an episode, which begins with a failure and ends with a success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotifyEvent {
    /// A delivery failed; those that may are tried again.
    Failing {
        /// What could not be done, in the receiver's or the kernel's words.
        error: Arc<str>,
    },
    /// An event was dropped, the first of this episode: too many waited, or it was tried for too long.
    Dropped {
        /// Events dropped so far.
        count: u64,
    },
    /// A delivery succeeded again.
    Recovered {
        /// Events that were dropped in between.
        dropped: u64,
        /// Since the first failure.
        lasted: Duration,
    },
}

impl NotifyEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "notifier.failing",
            Self::Dropped { .. } => "notifier.dropped",
            Self::Recovered { .. } => "notifier.recovered",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Failing { .. } => Severity::Warn,
            Self::Dropped { .. } => Severity::Error,
            Self::Recovered { .. } => Severity::Info,
        }
    }
}

/// The sentence of the log.
impl fmt::Display for NotifyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { error } => write!(f, "cannot be told: {error}"),
            Self::Dropped { count } => {
                write!(
                    f,
                    "{count} events dropped that it should have been told, and maybe more until it recovers"
                )
            }
            Self::Recovered { dropped: 0, lasted } => {
                write!(f, "is told again, after {lasted:.1?}; nothing was lost")
            }
            Self::Recovered { dropped, lasted } => {
                write!(f, "is told again, after {lasted:.1?}; {dropped} events were dropped")
            }
        }
    }
}
