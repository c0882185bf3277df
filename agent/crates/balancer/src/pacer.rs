//! When to apply: the first change at once, the next ones together, a failure again with growing pauses.
//!
//! Sans-IO. The caller offers what is wanted as it changes, asks for the next deadline, starts a turn when that has come
//! and says how it ended. What was offered meanwhile waits as one value: the latest wins, so memory is bounded whatever
//! the servers do.
//!
//! ```text
//!            offer                start                       succeeded, nothing newer
//!   quiet ──────────► waiting ──────────────► in a turn ─────────────────────────────────► quiet
//!                        ▲                        │ succeeded, something newer: after `spacing`
//!                        └────────────────────────┘ failed: the same again after a pause; something newer after `spacing`
//! ```

use std::time::{Duration, Instant};

/// The shortest spacing of a [`Pacer`].
pub const SHORTEST_SPACING: Duration = Duration::from_millis(100);
/// The longest spacing of a [`Pacer`].
pub const LONGEST_SPACING: Duration = Duration::from_secs(60);
/// The usual spacing of a [`Pacer`].
pub const DEFAULT_SPACING: Duration = Duration::from_secs(1);

/// The first pause after a failure, unless the spacing is longer. Doubled with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// No pause grows beyond it.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Decides when one balancer is given its next configuration.
///
/// Between the end of a turn and the start of the next one lies at least the spacing, so two reloads are never closer
/// than that, however long each takes.
#[derive(Debug)]
pub struct Pacer<T> {
    spacing: Duration,
    /// What should be in force and is not yet known to be.
    wanted: Option<Wanted<T>>,
    in_turn: bool,
    ended: Option<Instant>,
    /// In a row.
    failures: u32,
}

#[derive(Debug)]
struct Wanted<T> {
    value: T,
    since: Instant,
    /// Not tried yet.
    is_new: bool,
}

/// Why a turn is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Something new is wanted.
    Changed,
    /// It did not work; the number of failures in a row.
    Retry(u32),
}

impl<T: Clone> Pacer<T> {
    /// Nothing is wanted yet. A spacing out of range is taken as the nearest that is in range.
    pub fn new(spacing: Duration) -> Self {
        let spacing = spacing.clamp(SHORTEST_SPACING, LONGEST_SPACING);
        Self { spacing, wanted: None, in_turn: false, ended: None, failures: 0 }
    }

    /// `value` is what should be in force from now on, instead of all that was offered before.
    pub fn offer(&mut self, value: T, now: Instant) {
        let since = self.wanted.as_ref().filter(|wanted| wanted.is_new).map_or(now, |wanted| wanted.since);
        self.wanted = Some(Wanted { value, since, is_new: true });
    }

    /// When the next turn is due, and why. `None` during a turn and when nothing is to do.
    pub fn next_deadline(&self) -> Option<(Instant, Reason)> {
        let wanted = self.wanted.as_ref().filter(|_| !self.in_turn)?;
        let not_before = |pause| self.ended.map_or(wanted.since, |ended| wanted.since.max(ended + pause));
        Some(match wanted.is_new {
            true => (not_before(self.spacing), Reason::Changed),
            false => (not_before(self.pause()), Reason::Retry(self.failures)),
        })
    }

    /// Starts the turn that is due: apply what it returns, then call [`Self::succeeded`] or [`Self::failed`].
    pub fn start(&mut self, now: Instant) -> Option<T> {
        let (due, _) = self.next_deadline()?;
        let wanted = self.wanted.as_mut().filter(|_| due <= now)?;
        self.in_turn = true;
        wanted.is_new = false;
        Some(wanted.value.clone())
    }

    /// What was started is in force.
    pub fn succeeded(&mut self, now: Instant) {
        self.end(now);
        self.failures = 0;
        self.wanted.take_if(|wanted| !wanted.is_new);
    }

    /// What was started is not in force.
    pub fn failed(&mut self, now: Instant) {
        self.end(now);
        self.failures = self.failures.saturating_add(1);
    }

    /// How often it failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    fn end(&mut self, now: Instant) {
        self.in_turn = false;
        self.ended = Some(now);
    }

    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(1).min(6);
        let longest = LONGEST_PAUSE.max(self.spacing);
        (FIRST_PAUSE.max(self.spacing) * 2_u32.pow(doublings)).min(longest)
    }
}

#[cfg(test)]
mod tests;
