//! What the probe found, in the words of the monitor.

use std::fmt::Display;
use std::sync::Arc;

use ha_probe::command::Ended;
use ha_probe::{Attempt, Outcome as Found, Trouble};

use ha_engine::Outcome;

/// An attempt as a result.
pub(super) fn outcome(attempt: &Attempt) -> Outcome {
    let (latency, value) = (attempt.latency, attempt.value);
    match attempt.outcome {
        Found::Passed => Outcome::Passed { latency, value, detail: attempt.evidence.as_str().into() },
        Found::Failed(reason) => Outcome::Failed {
            reason: reason.as_str(),
            latency,
            value,
            detail: attempt.evidence.as_str().into(),
        },
        Found::Inconclusive(trouble) => {
            Outcome::Inconclusive { detail: explained(trouble, &attempt.evidence) }
        }
    }
}

/// How the command of a remedy ended, in one line: `Ok` when it did what it is for.
pub(super) type RemedyResult = Result<Arc<str>, Arc<str>>;

/// How the command of a remedy ended.
pub(super) fn remedy(ended: &Ended) -> RemedyResult {
    let said: Arc<str> = ended.to_string().into();
    if ended.is_success() { Ok(said) } else { Err(said) }
}

fn explained(trouble: Trouble, evidence: impl Display) -> Arc<str> {
    format!("{}: {evidence}", trouble.as_str()).into()
}

/// An attempt that was not made because of a trouble of this node.
pub(super) fn not_made(trouble: Trouble, why: &str) -> Attempt {
    Attempt {
        outcome: Found::Inconclusive(trouble),
        latency: std::time::Duration::ZERO,
        evidence: why.to_owned(),
        value: None,
        steps: Vec::new(),
    }
}

/// What is said of a check in which the agent itself failed.
pub(super) const PANICKED: &str = "the agent failed inside; look for \"panicked\" in its log and report it";

/// An attempt in which the agent itself failed.
pub(super) fn panicked() -> Attempt {
    not_made(Trouble::Kernel, PANICKED)
}
