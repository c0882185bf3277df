//! How old a peer's words are when they arrive. What waited for a cable that was cut tells how things stood before; on that
//! nothing may move.

use std::time::Duration;

/// So long the fastest message counts as one without delay; clocks of two machines drift apart by less than 10 ms in it.
const WINDOW: Duration = Duration::from_secs(30);

/// What is older is not acted on: the holder may have gone on, or become Active again. The kernel repeats what a cable lost
/// after 200 ms at the earliest.
pub(super) const FRESH: Duration = Duration::from_millis(100);

/// The clock that all these times are of.
pub(super) fn now() -> Duration {
    Duration::from_nanos(crate::clock::now().as_nanos())
}

/// The age of each message of a stream, against the fastest one lately. The clocks of the two nodes need have nothing in common.
#[derive(Debug, Default)]
pub(super) struct Delay {
    /// Least difference of receipt and sending in this window, and in the one before, in nanoseconds.
    least: [Option<i128>; 2],
    /// When this window began, by the receiver's clock.
    began: Duration,
}

impl Delay {
    /// How much longer than the fastest a message was under way. Both times are of the clocks where they were taken.
    pub(super) fn age(&mut self, sent: Duration, received: Duration) -> Duration {
        if received.saturating_sub(self.began) >= WINDOW {
            self.least = [None, self.least[0]];
            self.began = received;
        }
        let difference = nanos(received) - nanos(sent);
        self.least[0] = Some(self.least[0].map_or(difference, |least| least.min(difference)));
        let least = self.least.iter().flatten().min().copied().unwrap_or(difference);
        Duration::from_nanos(u64::try_from(difference - least).unwrap_or(u64::MAX))
    }
}

fn nanos(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ages(messages: &[(u64, u64)]) -> Vec<u128> {
        let mut delay = Delay::default();
        let time = Duration::from_millis;
        messages.iter().map(|(sent, received)| delay.age(time(*sent), time(*received)).as_millis()).collect()
    }

    #[test]
    fn a_message_is_as_old_as_it_was_slower_than_the_fastest() {
        let clocks_apart = [(5_000, 1_000_001), (6_000, 1_001_000), (6_100, 1_003_600), (7_000, 1_002_001)];
        assert_eq!(ages(&clocks_apart), [0, 0, 2_500, 1]);
    }

    #[test]
    fn what_waited_together_is_old_together() {
        assert_eq!(ages(&[(0, 10), (1_000, 1_010), (1_900, 4_000), (2_000, 4_000)]), [0, 0, 2_090, 1_990]);
    }

    #[test]
    fn clocks_that_drift_are_followed() {
        let drifting: Vec<(u64, u64)> = (0..1_000).map(|second| (second * 1_000, second * 1_001)).collect();
        let ages = ages(&drifting);
        assert!(ages.iter().all(|age| *age <= 60), "{ages:?}");
    }
}
