//! What happens to operators' intents over a restart of the agent, as part of [`super::EventKind`]. Made by the agent, not by
//! the engine.

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::Severity;

/// What became of an intent that was to survive a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IntentEvent {
    /// It is in force again.
    Restored {
        /// Which.
        intent: Intent,
        /// What is left of its time; `None` = until somebody ends it.
        lasts: Option<Duration>,
    },
    /// Its time ended while the agent did not run.
    Expired {
        /// Which.
        intent: Intent,
        /// When, on the wall clock.
        ended: Arc<str>,
    },
    /// It is not put in force again.
    Dropped {
        /// Which.
        intent: Intent,
        /// Why not.
        why: Arc<str>,
    },
    /// What survives a restart could not be read in time; what is there is put in force when it can be.
    Unread {
        /// What could not be done, in the system's words, with what to do.
        error: Arc<str>,
    },
    /// It ended, and the disk does not take that: until it does, a restart brings it back.
    NotForgotten {
        /// What it was about.
        what: Arc<str>,
        /// What could not be done, in the system's words, with what to do.
        error: Arc<str>,
    },
}

/// An intent, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Intent {
    /// What it is: "override to priority 50".
    pub what: Arc<str>,
    /// Whose.
    pub principal: Arc<str>,
    /// When it was set, on the wall clock.
    pub set: Arc<str>,
    /// The operator's words; may be empty.
    pub reason: Arc<str>,
}

impl IntentEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Restored { .. } => "intent.restored",
            Self::Expired { .. } => "intent.expired",
            Self::Dropped { .. } => "intent.dropped",
            Self::Unread { .. } => "intent.unread",
            Self::NotForgotten { .. } => "intent.not_forgotten",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Restored { .. } | Self::Expired { .. } => Severity::Info,
            Self::Dropped { .. } | Self::NotForgotten { .. } => Severity::Warn,
            // What others rely on may not be in force: a drained node takes part.
            Self::Unread { .. } => Severity::Error,
        }
    }
}

/// The sentence of the log.
impl fmt::Display for IntentEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restored { intent, lasts: Some(lasts) } => {
                write!(f, "{} restored, {intent}, expires in ", intent.what)?;
                write_span(f, *lasts)
            }
            Self::Restored { intent, lasts: None } => {
                write!(f, "{} restored, {intent}, until somebody ends it", intent.what)
            }
            Self::Expired { intent, ended } => {
                write!(f, "{} not restored, {intent}: it expired at {ended}", intent.what)
            }
            Self::Dropped { intent, why } => {
                write!(f, "{} not restored, {intent}: {why}", intent.what)
            }
            Self::Unread { error } => {
                write!(
                    f,
                    "overrides, mutes and drains of before are not in force, they cannot be read: {error}"
                )
            }
            Self::NotForgotten { what, error } => {
                write!(
                    f,
                    "{what} has ended, and a restart would bring it back until the disk takes that: {error}"
                )
            }
        }
    }
}

/// "set by … at … because …".
impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "set by {} at {}", self.principal, self.set)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " because {}", self.reason) }
    }
}

/// The two largest units: "2d 3h", "59m 12s".
fn write_span(f: &mut fmt::Formatter<'_>, span: Duration) -> fmt::Result {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => write!(f, "{seconds}s"),
        (0, 0, _) => write!(f, "{minutes}m {}s", seconds % 60),
        (0, ..) => write!(f, "{hours}h {minutes}m"),
        _ => write!(f, "{days}d {hours}h"),
    }
}
