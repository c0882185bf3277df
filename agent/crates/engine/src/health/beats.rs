//! When runs of a check are due: a beat that never drifts, with a jitter that follows from name and number.

use core::time::Duration;

use super::policy::CheckPolicy;
use crate::units::{Instant, nanos};

/// The beat of a check: due(k) = anchor + k × interval + jitter(k).
#[derive(Clone, Copy, Debug)]
pub(super) struct Beats {
    seed: u64,
    anchor: Instant,
    /// Nanoseconds, not 0.
    interval: u64,
    /// Nanoseconds, at most `interval`.
    jitter: u64,
    /// The next beat.
    next: u64,
    /// No run has begun yet.
    is_new: bool,
}

impl Beats {
    /// A beat whose phase within the interval follows from the name, so that many checks spread.
    pub(super) fn new(policy: &CheckPolicy, now: Instant) -> Self {
        let seed = hash(&policy.name);
        let interval = nanos(policy.interval).max(1_000_000);
        let jitter = share(interval, 100, u64::from(policy.jitter_percent.min(100)));
        let phase = Duration::from_nanos(below(interval, mix(seed)));
        Self { seed, anchor: now.after(phase), interval, jitter, next: 0, is_new: true }
    }

    /// The first run comes sooner than the beat: at once for a single new check, within a millisecond for each of many.
    pub(super) fn first(&self, now: Instant, newcomers: usize) -> Instant {
        const EACH: u64 = 1_000_000;
        let spread = EACH.saturating_mul(newcomers.saturating_sub(1) as u64).min(self.interval);
        now.after(Duration::from_nanos(below(spread, mix(self.seed))))
    }

    /// When the next run is due.
    pub(super) fn due(&self) -> Instant {
        let jitter = below(self.jitter, mix(self.seed ^ self.next));
        self.base(self.next).after(Duration::from_nanos(jitter))
    }

    /// When a run is due that comes `gap` after one that began then.
    pub(super) fn due_after(&self, began: Instant, gap: Duration) -> Instant {
        let jitter = below(self.jitter, mix(self.seed ^ began.as_nanos()));
        began.after(gap).after(Duration::from_nanos(jitter))
    }

    /// The run of the next beat begins. Beats that passed meanwhile are left out.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.is_new {
            return self.align(now);
        }
        self.next += 1;
        self.leave_out(now, Duration::ZERO);
    }

    /// A run begins that is not of the beat: goes on with the first beat that is at least half an interval away.
    pub(super) fn align(&mut self, now: Instant) {
        self.is_new = false;
        let ahead = now.after(Duration::from_nanos(self.interval / 2)).since(self.anchor);
        self.next = nanos(ahead).div_ceil(self.interval);
    }

    /// Leaves out the beats that are more than half an interval late. Returns how many that were.
    pub(super) fn catch_up(&mut self, now: Instant) -> u64 {
        self.leave_out(now, Duration::from_nanos(self.interval / 2))
    }

    fn leave_out(&mut self, now: Instant, tolerated: Duration) -> u64 {
        if self.due().after(tolerated) > now {
            return 0;
        }
        let first = self.next;
        let passed = nanos(now.since(self.base(self.next))) / self.interval;
        self.next = self.next.saturating_add(passed.saturating_sub(1));
        // Jitter and tolerance are within two intervals.
        for _ in 0..3 {
            if self.due().after(tolerated) <= now {
                self.next = self.next.saturating_add(1);
            }
        }
        self.next - first
    }

    fn base(&self, beat: u64) -> Instant {
        self.anchor.after(Duration::from_nanos(self.interval.saturating_mul(beat)))
    }
}

/// `part` of `whole` parts of a number.
fn share(number: u64, whole: u64, part: u64) -> u64 {
    u64::try_from(u128::from(number) * u128::from(part) / u128::from(whole.max(1))).unwrap_or(u64::MAX)
}

/// Evenly below the limit; 0 when that is 0.
fn below(limit: u64, random: u64) -> u64 {
    u64::try_from((u128::from(limit) * u128::from(random)) >> 64).unwrap_or(0)
}

/// FNV-1a.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The finalizer of SplitMix64: near inputs become far outputs.
fn mix(input: u64) -> u64 {
    let mut x = input.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
