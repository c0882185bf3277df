//! The agent's two clocks: CLOCK_BOOTTIME for every decision (it never steps and counts suspend), the wall clock only to
//! show an instant to people.

use std::time::{Duration, SystemTime};

use ha_engine::Instant;
use nix::time::{ClockId, clock_gettime};

/// Now, on CLOCK_BOOTTIME.
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every supported kernel has CLOCK_BOOTTIME");
    let seconds = u64::try_from(time.tv_sec()).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec()).unwrap_or_default();
    Instant::from_nanos(seconds * 1_000_000_000 + nanos)
}

/// The wall-clock time of an instant, as the wall clock stands now: a step of it moves past instants too.
pub fn wall(instant: Instant) -> SystemTime {
    let now = now();
    let wall = SystemTime::now();
    if instant > now { wall + instant.since(now) } else { wall - now.since(instant) }
}

/// The instant of a wall-clock time, the inverse of [`wall`]; the clock's origin when it lies before that.
pub fn instant(wall: SystemTime) -> Instant {
    let now = now();
    match wall.duration_since(SystemTime::now()) {
        Ok(ahead) => now.after(ahead),
        Err(behind) => {
            let nanos = u64::try_from(behind.duration().as_nanos()).unwrap_or(u64::MAX);
            Instant::from_nanos(now.as_nanos().saturating_sub(nanos))
        }
    }
}

/// Time since `earlier`, on the decision clock.
pub fn elapsed(earlier: Instant) -> Duration {
    now().since(earlier)
}
