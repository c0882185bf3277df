//! What is shown of a check: as it stands, without asking anything but the monitor.

use alloc::sync::Arc;
use core::time::Duration;

use super::policy::CheckPolicy;
use super::wire::{CheckId, Outcome};
use crate::order::StandingOrder;
use crate::track::Verdict;
use crate::units::Instant;

/// A check at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckStatus {
    /// Its number.
    pub id: CheckId,
    /// How it is configured.
    pub policy: Arc<CheckPolicy>,
    /// What is told to those who act on it.
    pub verdict: Verdict,
    /// Since when.
    pub since: Instant,
    /// What the results say. Differs from `verdict` while it is muted, damped, or a remedy is tried.
    pub measured: Verdict,
    /// The number that the last result found.
    pub value: Option<i32>,
    /// How far the results are from turning `measured`.
    pub window: WindowPosition,
    /// The last result, conclusive or not.
    pub last: Option<LastResult>,
    /// Results in a row like the last conclusive one.
    pub consecutive: u32,
    /// Since when an attempt is under way.
    pub running: Option<Instant>,
    /// When the next one begins; `None` = an attempt or a remedy is under way, or it has none of its own.
    pub next_run: Option<Instant>,
    /// Between two runs as it is now: longer than configured while it backs off.
    pub interval: Duration,
    /// How long attempts took that said something about the target.
    pub latency: Latency,
    /// Failures do not count until then, or until the first pass.
    pub grace_ends: Option<Instant>,
    /// An operator's mute.
    pub mute: Option<StandingOrder>,
    /// Passes, but is held back: until when, if it goes on passing.
    pub held_until: Option<Instant>,
    /// Falls in a row that came soon after a recovery.
    pub flaps: u32,
    /// Its remedy; `None` = none configured.
    pub remedy: Option<RemedyStatus>,
    /// Since it was added.
    pub counters: CheckCounters,
}

/// Results in a row against the measured verdict, and how many turn it: "2/3".
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct WindowPosition {
    /// So many in a row.
    pub streak: u32,
    /// So many turn it.
    pub wanted: u32,
}

/// The last result of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastResult {
    /// When the attempt ended.
    pub at: Instant,
    /// What it found.
    pub outcome: Outcome,
}

/// How long attempts took that said something about the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Latency {
    /// The last one.
    pub last: Duration,
    /// The shortest.
    pub minimum: Duration,
    /// All divided by their number.
    pub mean: Duration,
    /// The longest.
    pub maximum: Duration,
}

/// A check whose verdict an operator froze, as an earlier process of the agent left it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MutedCheck {
    /// Which, by the name of its fact.
    pub name: Arc<str>,
    /// The frozen verdict.
    pub verdict: Verdict,
    /// The number that went with it.
    pub value: Option<i32>,
    /// Why it is frozen.
    pub mute: StandingOrder,
}

/// The remedy of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RemedyStatus {
    /// What it is at.
    pub state: RemedyState,
    /// When its command was last begun.
    pub last_start: Option<Instant>,
    /// How its command last ended, one line; empty before the first end.
    pub last_result: Arc<str>,
    /// How often it was begun.
    pub runs: u64,
    /// How often the check passed after it.
    pub helped: u64,
}

/// What a remedy is at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RemedyState {
    /// Ready for the next failure episode.
    Idle,
    /// Its command runs.
    Running,
    /// Its command has ended; the check is looked at after a wait, or just now.
    Waiting,
    /// It was tried in this episode.
    Spent,
}

impl RemedyState {
    /// The word in API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Spent => "SPENT",
        }
    }
}

/// What a check counted since it was added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CheckCounters {
    /// Passes.
    pub passed: u64,
    /// Failures.
    pub failed: u64,
    /// Failures among them that did not count because of the grace.
    pub in_grace: u64,
    /// Attempts that said nothing about the target.
    pub inconclusive: u64,
    /// Those among them that ended too late.
    pub late: u64,
    /// Runs left out because the one before had not ended.
    pub overruns: u64,
    /// Changes of the verdict.
    pub changes: u64,
}
