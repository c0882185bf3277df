//! CLOCK_BOOTTIME as [`Instant`]: it never steps and counts suspend.

use ha_engine::Instant;
use nix::time::{ClockId, clock_gettime};

/// Now, in nanoseconds since boot; the clock of every instant that crosses this crate's border.
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every supported kernel has CLOCK_BOOTTIME");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
    Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}
