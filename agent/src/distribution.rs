//! How long something takes, many times a second: counts in buckets, which cost one addition each and no memory that grows.

use std::time::Duration;

/// Durations since the agent started.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Distribution {
    /// How many, by upper bound in nanoseconds; the last bound is `u64::MAX`.
    pub buckets: Vec<(u64, u64)>,
    /// Sum of all, in nanoseconds.
    pub sum: u64,
    /// The largest, in nanoseconds.
    pub maximum: u64,
}

/// Takes durations.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    /// Upper bounds in microseconds, ascending.
    bounds: &'static [u64],
    counts: Vec<u64>,
    sum: u64,
    maximum: u64,
}

/// Bounds in microseconds for the lateness of timed waits; what is later counts in the last bucket.
pub(crate) const LATENESS: &[u64] =
    &[20, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 1_000_000];

impl Recorder {
    /// Nothing yet. `bounds` are in microseconds and ascend; what is longer counts in one more bucket.
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0, maximum: 0 }
    }

    /// Adds one.
    pub(crate) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let place = self.bounds.partition_point(|bound| bound * 1000 < nanos);
        if let Some(count) = self.counts.get_mut(place) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(nanos);
        self.maximum = self.maximum.max(nanos);
    }

    /// All so far.
    pub(crate) fn read(&self) -> Distribution {
        let bounds = self.bounds.iter().map(|bound| bound * 1000).chain([u64::MAX]);
        let buckets = bounds.zip(self.counts.iter().copied()).collect();
        Distribution { buckets, sum: self.sum, maximum: self.maximum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_counts_in_the_first_bucket_that_holds_it() {
        let mut recorder = Recorder::new(LATENESS);
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
