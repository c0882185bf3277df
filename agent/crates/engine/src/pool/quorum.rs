//! Whether a pool is worth using.

use super::config::{Floor, PoolConfig};
use crate::track::Verdict;

/// Weights that pass, are not known, and are configured in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Weights {
    pub(super) passing: u32,
    pub(super) unknown: u32,
    pub(super) total: u32,
}

/// The limits of a pool's quorum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Quorum {
    /// Wanted at the beginning.
    pub(super) wanted: u32,
    /// A pool that failed passes from here on.
    win: u32,
    /// A pool that passed fails below this.
    pub(super) keep: u32,
}

impl Quorum {
    /// As keepalived's: not more than there is, and never won or kept with nothing.
    pub(super) fn new(config: &PoolConfig, total: u32) -> Self {
        let all = total.max(1);
        let wanted = config.quorum.clamp(1, all);
        Self {
            wanted,
            win: wanted.saturating_add(config.hysteresis).min(all),
            keep: wanted.saturating_sub(config.hysteresis).max(1),
        }
    }

    /// What is not known is not failed: it counts for a pool that passes, and not for one that fails.
    pub(super) fn verdict(self, before: Verdict, weights: Weights) -> Verdict {
        let possible = weights.passing.saturating_add(weights.unknown);
        match before {
            Verdict::Passing if possible < self.keep => Verdict::Failing,
            Verdict::Failing if weights.passing >= self.win => Verdict::Passing,
            Verdict::Unknown if weights.passing >= self.wanted => Verdict::Passing,
            Verdict::Unknown if possible < self.wanted => Verdict::Failing,
            _ => before,
        }
    }
}

impl Floor {
    /// How many of so many servers stay in.
    pub(super) fn of(self, servers: usize) -> usize {
        match self {
            Self::Servers(count) => usize::try_from(count).unwrap_or(usize::MAX).min(servers),
            Self::Percent(share) => (servers * usize::from(share.min(100))).div_ceil(100),
        }
    }
}
