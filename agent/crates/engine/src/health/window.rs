//! What the results of a check say: rise and fall, exactly.

use crate::track::Verdict;

/// What the results say so far.
///
/// ```text
///           first result              `fall` failures in a row
/// UNKNOWN ──────────────► PASSING ─────────────────────────────► FAILING
///                            ▲                                      │
///                            └──────────────────────────────────────┘
///                                    `rise` passes in a row
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Window {
    pub(super) measured: Verdict,
    /// Results in a row against `measured`.
    pub(super) streak: u32,
    /// The next result decides alone: none was taken yet, or none of this target.
    pub(super) is_fresh: bool,
}

impl Window {
    /// Before the first result. Only a configured verdict must be outvoted; Unknown yields to one result.
    pub(super) fn new(initial: Verdict) -> Self {
        Self { measured: initial, streak: 0, is_fresh: initial == Verdict::Unknown }
    }

    /// Takes one result.
    pub(super) fn push(&mut self, passed: bool, rise: u32, fall: u32) {
        let result = if passed { Verdict::Passing } else { Verdict::Failing };
        if result == self.measured && !self.is_fresh {
            self.streak = 0;
            return;
        }
        self.streak = self.streak.saturating_add(1);
        if self.is_fresh || self.streak >= self.wanted(rise, fall) {
            self.decide(result);
        }
    }

    /// Sets what is measured, whatever the results before said.
    pub(super) fn decide(&mut self, measured: Verdict) {
        *self = Self { measured, streak: 0, is_fresh: false };
    }

    /// Forgets the results, not what they led to: the next one decides.
    pub(super) fn restart(&mut self) {
        *self = Self { streak: 0, is_fresh: true, ..*self };
    }

    /// How many results in a row turn what is measured.
    pub(super) fn wanted(&self, rise: u32, fall: u32) -> u32 {
        match self.measured {
            _ if self.is_fresh => 1,
            Verdict::Failing => rise.max(1),
            Verdict::Passing | Verdict::Unknown => fall.max(1),
        }
    }
}
