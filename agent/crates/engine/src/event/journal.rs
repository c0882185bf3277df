//! What happens to the history on disk, as part of [`super::EventKind`]. Made by the agent, not by the engine.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::Severity;

/// What happened to the history on disk. Each is told once in an episode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JournalEvent {
    /// It cannot be written; until it can, history is kept in memory alone.
    Failing {
        /// What could not be done, in the system's words, with what to do.
        error: Arc<str>,
    },
    /// It is written again.
    Recovered {
        /// Events that are missing on disk because memory did not hold them long enough.
        lost: u64,
        /// Since the first failure.
        lasted: Duration,
    },
}

impl JournalEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Failing { .. } => "journal.failing",
            Self::Recovered { .. } => "journal.recovered",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Failing { .. } => Severity::Warn,
            Self::Recovered { .. } => Severity::Info,
        }
    }
}

/// The sentence of the log.
impl fmt::Display for JournalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failing { error } => {
                write!(f, "history is kept in memory alone and will not survive a restart: {error}")
            }
            Self::Recovered { lost: 0, lasted } => {
                write!(f, "history is on disk again, after {lasted:.1?}; nothing was lost")
            }
            Self::Recovered { lost, lasted } => {
                write!(f, "history is on disk again, after {lasted:.1?}; {lost} events are missing there")
            }
        }
    }
}
