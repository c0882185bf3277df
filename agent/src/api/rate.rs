//! How often each user may change something: 20 times a second, after a burst of 50.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;

use super::connection::User;
use super::error::{Reason, refuse_for_now};

const PER_SECOND: f64 = 20.0;
const BURST: f64 = 50.0;

/// A bucket for each user who changed something lately.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    buckets: Mutex<HashMap<User, Bucket>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl Rate {
    /// Takes one change of `user`'s allowance.
    pub(crate) fn take(&self, user: User) -> Result<(), Status> {
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // A full bucket says nothing that no bucket would not.
        buckets.retain(|other, bucket| *other == user || !bucket.is_full(now));
        let bucket = buckets.entry(user).or_insert(Bucket { tokens: BURST, filled: now });
        bucket.fill(now);
        if bucket.tokens < 1.0 {
            return Err(too_many());
        }
        bucket.tokens -= 1.0;
        Ok(())
    }
}

impl Bucket {
    fn level(&self, now: Instant) -> f64 {
        (self.tokens + (now - self.filled).as_secs_f64() * PER_SECOND).min(BURST)
    }

    fn is_full(&self, now: Instant) -> bool {
        self.level(now) >= BURST
    }

    fn fill(&mut self, now: Instant) {
        self.tokens = self.level(now);
        self.filled = now;
    }
}

fn too_many() -> Status {
    refuse_for_now(
        Reason::TooManyMutations,
        "more than 20 changes a second by one user",
        "slow down",
        Duration::from_millis(100),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_burst_of_fifty_passes_then_twenty_a_second_and_users_do_not_share() {
        let rate = Rate::default();
        let passed = (0..60).filter(|_| rate.take(User::Unix(1)).is_ok()).count();
        assert_eq!(passed, 50);
        assert!(rate.take(User::Unix(2)).is_ok());
        tokio::time::advance(Duration::from_secs(1)).await;
        let passed = (0..60).filter(|_| rate.take(User::Unix(1)).is_ok()).count();
        assert_eq!(passed, 20);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(rate.take(User::Unix(3)).is_ok());
        assert_eq!(rate.buckets.lock().unwrap().len(), 1);
    }
}
