//! What the checks' thread counts: how long attempts take, by kind and by what they said, and how late they begin.

use std::collections::BTreeMap;
use std::time::Duration;

use ha_probe::{Attempt, Outcome};

use crate::distribution::{Distribution, LATENESS, Recorder};

/// Bounds in microseconds for the duration of attempts; what is longer counts in one more bucket.
pub const DURATIONS: &[u64] = &[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000,
    30_000_000,
];

/// How long attempts took, by the word of their kind and by what they said: "PASSED", "FAILED", "INCONCLUSIVE".
pub type Durations = BTreeMap<(&'static str, &'static str), Distribution>;

/// Counts.
pub(super) struct Statistics {
    attempts: BTreeMap<(&'static str, &'static str), Recorder>,
    delays: Recorder,
}

impl Default for Statistics {
    fn default() -> Self {
        Self { attempts: BTreeMap::new(), delays: Recorder::new(LATENESS) }
    }
}

impl Statistics {
    /// An attempt of a check of that kind ended.
    pub(super) fn attempt(&mut self, kind: &'static str, attempt: &Attempt) {
        let said = said(attempt.outcome);
        let recorder = self.attempts.entry((kind, said)).or_insert_with(|| Recorder::new(DURATIONS));
        recorder.record(attempt.latency);
    }

    /// What was due was seen to be due so late.
    pub(super) fn woke(&mut self, late: Duration) {
        self.delays.record(late);
    }

    pub(super) fn durations(&self) -> Durations {
        self.attempts.iter().map(|(key, recorder)| (*key, recorder.read())).collect()
    }

    pub(super) fn delays(&self) -> Distribution {
        self.delays.read()
    }
}

/// What an attempt said about its target, in one word.
pub(crate) const fn said(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "PASSED",
        Outcome::Failed(_) => "FAILED",
        Outcome::Inconclusive(_) => "INCONCLUSIVE",
    }
}

#[cfg(test)]
mod tests {
    use ha_probe::{Reason, Trouble};

    use super::*;

    #[test]
    fn each_attempt_counts_once_under_its_kind_and_what_it_said() {
        let mut statistics = Statistics::default();
        let attempts = [
            ("tcp", Outcome::Passed, 100),
            ("tcp", Outcome::Passed, 101),
            ("tcp", Outcome::Failed(Reason::Timeout), 60_000_000),
            ("http", Outcome::Inconclusive(Trouble::Late), 1),
        ];
        for (kind, outcome, micros) in attempts {
            let latency = Duration::from_micros(micros);
            let attempt =
                Attempt { outcome, latency, evidence: String::new(), value: None, steps: Vec::new() };
            statistics.attempt(kind, &attempt);
        }
        let read: Vec<_> =
            statistics.durations().into_iter().map(|(key, read)| (key, filled(&read))).collect();
        let expected = [
            (("http", "INCONCLUSIVE"), vec![(100_000, 1)]),
            (("tcp", "FAILED"), vec![(u64::MAX, 1)]),
            (("tcp", "PASSED"), vec![(100_000, 1), (250_000, 1)]),
        ];
        assert_eq!(read, expected);
    }

    fn filled(distribution: &Distribution) -> Vec<(u64, u64)> {
        distribution.buckets.iter().copied().filter(|(_, count)| *count > 0).collect()
    }
}
