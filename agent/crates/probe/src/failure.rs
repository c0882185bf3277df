//! How the kinds end: with a success or a failure and its evidence. Latency and steps are added around them.

use crate::attempt::{Outcome, Reason, Trouble};

/// What a kind found good.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) evidence: String,
    pub(crate) value: Option<i32>,
}

impl Success {
    pub(crate) fn new(evidence: impl Into<String>) -> Self {
        Self { evidence: evidence.into(), value: None }
    }
}

/// Why a kind gave up: the target's fault or ours.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    pub(crate) evidence: String,
    pub(crate) value: Option<i32>,
}

impl Failure {
    /// The target's fault.
    pub(crate) fn failed(reason: Reason, evidence: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed(reason), evidence: evidence.into(), value: None }
    }

    /// Ours.
    pub(crate) fn trouble(trouble: Trouble, evidence: impl Into<String>) -> Self {
        Self { outcome: Outcome::Inconclusive(trouble), evidence: evidence.into(), value: None }
    }
}
