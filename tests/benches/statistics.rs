//! Distributions of few samples: nothing is assumed about their shape, every percentile is a sample that was seen.

use std::time::Duration;

/// Samples in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Distribution {
    sorted: Vec<f64>,
}

impl Distribution {
    /// From samples in any order.
    pub(crate) fn new(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        Self { sorted: samples }
    }

    /// In milliseconds.
    pub(crate) fn of_durations(durations: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(durations.into_iter().map(milliseconds).collect())
    }

    /// The samples, smallest first.
    pub(crate) fn samples(&self) -> &[f64] {
        &self.sorted
    }

    /// By nearest rank: the smallest sample that `percent` of 100 do not exceed. NaN without samples.
    pub(crate) fn percentile(&self, percent: f64) -> f64 {
        let rank = (percent / 100.0 * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    /// The mean of the two middle samples, or the middle one.
    pub(crate) fn median(&self) -> f64 {
        let count = self.sorted.len();
        let at = |place: usize| self.sorted.get(place).copied().unwrap_or(f64::NAN);
        if count.is_multiple_of(2) && count > 0 {
            (at(count / 2 - 1) + at(count / 2)) / 2.0
        } else {
            at(count / 2)
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.sorted.first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn max(&self) -> f64 {
        self.sorted.last().copied().unwrap_or(f64::NAN)
    }

    /// How many samples lie within `bound` of zero.
    pub(crate) fn within(&self, bound: f64) -> usize {
        self.sorted.iter().filter(|sample| sample.abs() <= bound).count()
    }
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_the_median_is_the_middle() {
        let distribution = Distribution::new((1..=100).rev().map(f64::from).collect());
        assert_eq!(distribution.percentile(95.0), 95.0);
        assert_eq!(distribution.percentile(99.9), 100.0);
        assert_eq!(distribution.percentile(0.0), 1.0);
        assert_eq!(distribution.median(), 50.5);
        assert_eq!((distribution.min(), distribution.max()), (1.0, 100.0));
        assert_eq!(Distribution::new(vec![3.0, 1.0, 2.0]).median(), 2.0);
    }

    #[test]
    fn no_samples_are_no_number() {
        assert!(Distribution::default().median().is_nan());
        assert!(Distribution::default().percentile(95.0).is_nan());
    }

    #[test]
    fn errors_on_both_sides_count() {
        assert_eq!(Distribution::new(vec![-0.5, 0.5, -2.0, 2.0]).within(1.0), 2);
    }
}
