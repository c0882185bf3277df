//! What happens to a check, as part of [`super::EventKind`].

use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::Severity;
use crate::track::Verdict;

/// What happened to a check. Which result led to it stands in the event's evidence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CheckEvent {
    /// The verdict changed.
    Changed {
        /// Before.
        from: Verdict,
        /// Now.
        to: Verdict,
    },
    /// Enough attempts failed, but before the verdict falls the configured remedy is tried.
    RemedyStarted,
    /// The remedy's command ended. Whether it helped is not known yet.
    RemedyRan {
        /// It said that it did what it is for (exit status 0).
        succeeded: bool,
    },
    /// The check was looked at once more after the remedy.
    RemedyEnded {
        /// It passes again, and the verdict did not fall. If not, the verdict falls now.
        helped: bool,
    },
    /// An operator froze the verdict.
    Muted {
        /// The operator's words.
        reason: Arc<str>,
        /// How long it lasts; `None` = until unmuted.
        lasts: Option<Duration>,
    },
    /// The verdict follows the results again: unmuted or expired.
    Unmuted,
    /// It fell soon after it had recovered, and more than once: this recovery counts only when it lasts.
    Damped {
        /// Falls in a row that each came soon after a recovery.
        falls: u32,
        /// For how long it must pass now before the verdict is PASSING.
        hold: Duration,
    },
    /// Runs were left out because the one before had not ended; told at most once a minute for the whole node. The
    /// subject is the last such check.
    Overrun {
        /// Runs left out, of all checks, since the last such event.
        count: u64,
    },
    /// Attempts ended without saying anything about their target, because of a trouble of this node; told at most once a
    /// minute for the whole node. The subject is the last such check.
    Inconclusive {
        /// Such attempts, of all checks, since the last such event.
        count: u64,
    },
}

impl CheckEvent {
    /// The event's type, stable.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "check.changed",
            Self::RemedyStarted => "check.remedy_started",
            Self::RemedyRan { .. } => "check.remedy_ran",
            Self::RemedyEnded { .. } => "check.remedy_ended",
            Self::Muted { .. } => "check.muted",
            Self::Unmuted => "check.unmuted",
            Self::Damped { .. } => "check.damped",
            Self::Overrun { .. } => "check.overrun",
            Self::Inconclusive { .. } => "check.inconclusive",
        }
    }

    /// How much it should worry an operator.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::RemedyEnded { helped: false } => Severity::Error,
            Self::Changed { to: Verdict::Failing, .. }
            | Self::RemedyStarted
            | Self::RemedyRan { succeeded: false }
            | Self::Damped { .. }
            | Self::Overrun { .. }
            | Self::Inconclusive { .. } => Severity::Warn,
            Self::Changed { .. }
            | Self::RemedyRan { .. }
            | Self::RemedyEnded { .. }
            | Self::Muted { .. }
            | Self::Unmuted => Severity::Info,
        }
    }
}

/// The sentence of the log.
impl fmt::Display for CheckEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { from, to } => write!(f, "{} to {}", from.as_str(), to.as_str()),
            Self::RemedyStarted => f.write_str("fails; trying the remedy before the verdict falls"),
            Self::RemedyRan { succeeded: true } => {
                f.write_str("the remedy ran; looking again after its wait")
            }
            Self::RemedyRan { succeeded: false } => {
                f.write_str("the remedy itself failed; looking again now")
            }
            Self::RemedyEnded { helped: true } => f.write_str("the remedy helped: it passes again"),
            Self::RemedyEnded { helped: false } => f.write_str("the remedy did not help: it still fails"),
            Self::Muted { reason, lasts } => {
                f.write_str("muted")?;
                if let Some(lasts) = lasts {
                    write!(f, " for {lasts:.1?}")?;
                }
                f.write_str(": results do not change the verdict")?;
                if reason.is_empty() { Ok(()) } else { write!(f, ": {reason}") }
            }
            Self::Unmuted => f.write_str("no longer muted: results count again"),
            Self::Damped { falls, hold } => write!(
                f,
                "passes again, but it fell {falls} times soon after it had recovered: it must pass for {hold:.1?} first"
            ),
            Self::Overrun { count } => {
                write!(f, "{count} runs of checks left out, because the run before had not ended")
            }
            Self::Inconclusive { count } => {
                write!(
                    f,
                    "{count} attempts of checks said nothing about their target: this node had a trouble"
                )
            }
        }
    }
}
