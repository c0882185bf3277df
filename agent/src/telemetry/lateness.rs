//! Durations that were counted elsewhere as an OpenTelemetry histogram. The SDK has no histogram that observes counts, so
//! each new one is recorded with a value of its own bucket, chosen so that the sum is right too.

use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;

use crate::distribution::Distribution;

/// Records what is new in each reading.
#[derive(Debug)]
pub(super) struct Delays {
    histogram: Histogram<f64>,
    attributes: Vec<KeyValue>,
    previous: Distribution,
}

impl Delays {
    pub(super) fn new(histogram: Histogram<f64>, attributes: Vec<KeyValue>) -> Self {
        Self { histogram, attributes, previous: Distribution::default() }
    }

    /// Records what came since the reading before.
    pub(super) fn record(&mut self, now: &Distribution) {
        for (count, seconds) in spread(&self.previous, now) {
            for _ in 0..count {
                self.histogram.record(seconds, &self.attributes);
            }
        }
        self.previous = now.clone();
    }
}

/// For each bucket with something new the number and the value to record them with, in seconds. Values lie inside their
/// buckets, and together they have the sum of the measured ones, as far as the buckets allow it.
fn spread(previous: &Distribution, now: &Distribution) -> Vec<(u64, f64)> {
    let empty = Distribution::default();
    let before = if is_continued(previous, now) { previous } else { &empty };
    let buckets = new_in(before, now);
    let total = |pick: fn(&Bucket) -> f64| {
        buckets.iter().map(|bucket| bucket.count as f64 * pick(bucket)).sum::<f64>()
    };
    let (lowest, highest) = (total(|bucket| bucket.low), total(|bucket| bucket.high));
    let sum = (now.sum - before.sum) as f64;
    let share = if highest > lowest { ((sum - lowest) / (highest - lowest)).clamp(0.0, 1.0) } else { 1.0 };
    let value = |bucket: &Bucket| (bucket.low + share * (bucket.high - bucket.low)) / NANOS_PER_SECOND;
    buckets.iter().map(|bucket| (bucket.count, value(bucket))).collect()
}

const NANOS_PER_SECOND: f64 = 1e9;

/// A bucket with the lowest and the highest value that it can hold, in nanoseconds.
struct Bucket {
    count: u64,
    low: f64,
    high: f64,
}

fn new_in(before: &Distribution, now: &Distribution) -> Vec<Bucket> {
    let mut lower = 0;
    let mut buckets = Vec::new();
    for (index, &(bound, count)) in now.buckets.iter().enumerate() {
        let known = before.buckets.get(index).map_or(0, |&(_, count)| count);
        // A bucket reaches from just above the bound before it to its own; the last one to the largest value seen.
        let (low, high) = (if lower == 0 { 0 } else { lower + 1 }, bound.min(now.maximum.max(lower + 1)));
        if count > known {
            buckets.push(Bucket { count: count - known, low: low as f64, high: high as f64 });
        }
        lower = bound.min(u64::MAX - 1);
    }
    buckets
}

/// Whether `now` counts on from `previous`; otherwise who counts began anew.
fn is_continued(previous: &Distribution, now: &Distribution) -> bool {
    let same_bounds = previous.buckets.len() == now.buckets.len();
    let grown = previous.buckets.iter().zip(&now.buckets).all(|(old, new)| old.0 == new.0 && old.1 <= new.1);
    same_bounds && grown && previous.sum <= now.sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(buckets: &[(u64, u64)], sum: u64, maximum: u64) -> Distribution {
        Distribution { buckets: buckets.to_vec(), sum, maximum }
    }

    #[test]
    fn counts_and_sum_are_kept_and_every_value_lies_in_its_bucket() {
        let now = distribution(
            &[(10_000, 3), (100_000, 2), (u64::MAX, 1)],
            3 * 5_000 + 2 * 40_000 + 700_000,
            700_000,
        );
        let spread = spread(&Distribution::default(), &now);
        assert_eq!(spread.iter().map(|(count, _)| *count).collect::<Vec<_>>(), [3, 2, 1]);
        let sum: f64 = spread.iter().map(|(count, seconds)| *count as f64 * seconds).sum();
        assert!((sum - 795_000e-9).abs() < 1e-12, "{sum}");
        let bounds = [(0.0, 10e-6), (10e-6, 100e-6), (100e-6, 700e-6)];
        for ((_, seconds), (low, high)) in spread.iter().zip(bounds) {
            assert!(*seconds >= low && *seconds <= high, "{seconds} in {low}..={high}");
        }
    }

    #[test]
    fn only_what_is_new_is_recorded() {
        let before = distribution(&[(10_000, 3), (u64::MAX, 0)], 15_000, 9_000);
        let now = distribution(&[(10_000, 5), (u64::MAX, 0)], 23_000, 9_000);
        let spread = spread(&before, &now);
        assert_eq!(spread.len(), 1);
        assert_eq!(spread[0].0, 2);
        assert!((spread[0].1 - 4e-6).abs() < 1e-12, "{spread:?}");
    }

    #[test]
    fn a_driver_that_began_anew_is_counted_from_zero() {
        let before = distribution(&[(10_000, 30), (u64::MAX, 0)], 150_000, 9_000);
        let now = distribution(&[(10_000, 1), (u64::MAX, 0)], 5_000, 5_000);
        assert_eq!(spread(&before, &now).iter().map(|(count, _)| count).sum::<u64>(), 1);
    }

    #[test]
    fn a_sum_that_the_buckets_cannot_have_does_not_leave_them() {
        let now = distribution(&[(10_000, 1), (u64::MAX, 0)], 99_000_000, 9_000);
        let spread = spread(&Distribution::default(), &now);
        assert!(spread[0].1 <= 10e-6, "{spread:?}");
    }
}
