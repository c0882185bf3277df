//! Flap damping: recoveries that did not last before must last longer now.

use core::time::Duration;

use super::policy::Damping;
use crate::units::Instant;

/// What is remembered of a check's ups and downs.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Damper {
    /// When the verdict last recovered.
    recovered: Option<Instant>,
    /// Falls in a row that came soon after a recovery.
    pub(super) flaps: u32,
    /// It passes, and if it goes on passing until then it has recovered.
    pub(super) held_until: Option<Instant>,
    /// That this recovery is held back has been told.
    pub(super) is_told: bool,
}

impl Damper {
    /// The verdict fell.
    pub(super) fn on_fall(&mut self, now: Instant, damping: Option<Damping>) {
        let soon = |recovered: Instant| damping.is_some_and(|damping| now.since(recovered) < damping.within);
        self.flaps = if self.recovered.is_some_and(soon) { self.flaps.saturating_add(1) } else { 0 };
        self.held_until = None;
        self.is_told = false;
    }

    /// The verdict recovered.
    pub(super) fn on_recovery(&mut self, now: Instant) {
        self.recovered = Some(now);
        self.held_until = None;
    }

    /// How long the next recovery must last before it counts; `None` = it counts at once.
    pub(super) fn hold(&self, damping: Option<Damping>) -> Option<Duration> {
        let damping = damping.filter(|_| self.flaps > 0)?;
        let doublings = (self.flaps - 1).min(31);
        Some(damping.hold.saturating_mul(1 << doublings).min(damping.longest))
    }
}
