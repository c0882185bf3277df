//! Shows instants of the decision clock on the wall clock, so that the same instant always reads the same unless the wall
//! clock was really set.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ha_engine::Instant;

use crate::clock;

/// Difference of the two clocks, followed when it moves by more than reading them one after the other explains.
#[derive(Debug)]
pub struct WallClock {
    /// Nanoseconds of the wall clock since 1970 less those of the decision clock.
    difference: AtomicI64,
}

/// Below this a difference is noise of reading two clocks, or slewing that nobody sees.
const TOLERANCE_NANOS: u64 = 1_000_000;

impl WallClock {
    pub(super) fn new() -> Self {
        Self { difference: AtomicI64::new(difference()) }
    }

    /// The wall-clock time of an instant, as the wall clock stands now.
    pub fn wall(&self, instant: Instant) -> SystemTime {
        let seen = difference();
        if seen.abs_diff(self.difference.load(Ordering::Relaxed)) > TOLERANCE_NANOS {
            self.difference.store(seen, Ordering::Relaxed);
        }
        let nanos = i128::from(instant.as_nanos()) + i128::from(self.difference.load(Ordering::Relaxed));
        UNIX_EPOCH + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

fn difference() -> i64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let boot = clock::now().as_nanos();
    i64::try_from(wall).unwrap_or(i64::MAX).saturating_sub(i64::try_from(boot).unwrap_or(i64::MAX))
}
