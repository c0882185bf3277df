//! How late the driver wakes: a histogram that costs one addition per wake-up.

use std::time::Duration;

use super::Lateness;

/// Upper bounds in microseconds; what is later counts in the last bucket.
const BOUNDS: [u64; 13] =
    [20, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

/// Counts of timed wake-ups by lateness.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    counts: [u64; BOUNDS.len() + 1],
    sum: u64,
    maximum: u64,
}

impl Recorder {
    pub(super) fn record(&mut self, late: Duration) {
        let nanos = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        let place = BOUNDS.partition_point(|bound| bound * 1000 < nanos);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
        self.maximum = self.maximum.max(nanos);
    }

    pub(super) fn read(&self) -> Lateness {
        let bounds = BOUNDS.iter().map(|bound| bound * 1000).chain([u64::MAX]);
        Lateness { buckets: bounds.zip(self.counts).collect(), sum: self.sum, maximum: self.maximum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wake_up_counts_in_the_first_bucket_that_holds_it() {
        let mut recorder = Recorder::default();
        for micros in [0, 20, 21, 2_000_000] {
            recorder.record(Duration::from_micros(micros));
        }
        let read = recorder.read();
        assert_eq!(read.buckets.first(), Some(&(20_000, 2)));
        assert_eq!(read.buckets.get(1), Some(&(50_000, 1)));
        assert_eq!(read.buckets.last(), Some(&(u64::MAX, 1)));
        assert_eq!(read.maximum, 2_000_000_000);
    }
}
