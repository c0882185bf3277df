//! Metrics about checks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ha_engine::Verdict;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Histogram;

use super::super::lateness::Delays;
use super::super::schema;
use super::{Emit, Facts, Registrar};
use crate::health::Snapshot;

pub(super) fn register(registrar: &Registrar<'_>) {
    registrar.up_down_counter(&schema::CHECK_STATUS, status);
    registrar.counter(&schema::CHECK_OVERRUNS, |facts, emit| {
        drop(facts.checks.current_blocking());
        emit(facts.check_overruns.load(Ordering::Relaxed), &[]);
    });
    registrar.up_down_counter(&schema::CHECK_ATTEMPTS, |facts, emit| {
        let under_way = facts.checks.current_blocking().under_way;
        emit(i64::try_from(under_way).unwrap_or(i64::MAX), &[]);
    });
}

fn status(facts: &Facts, emit: Emit<'_, i64>) {
    for view in &facts.checks.current_blocking().checks {
        let name = Arc::clone(&view.status.policy.name);
        let mut attributes = [KeyValue::new("check", name), KeyValue::new("verdict", "")];
        for verdict in [Verdict::Unknown, Verdict::Passing, Verdict::Failing] {
            attributes[1] = KeyValue::new("verdict", verdict.as_str());
            emit(i64::from(view.status.verdict == verdict), &attributes);
        }
    }
}

/// Records how long attempts took, how late they began and how many were left out, as each new snapshot says.
pub(in crate::telemetry) fn feed(
    duration: Histogram<f64>,
    delay: Histogram<f64>,
    overruns: Arc<AtomicU64>,
) -> impl FnMut(&Snapshot) + Send {
    let mut known = HashMap::new();
    let mut durations: BTreeMap<(&'static str, &'static str), Delays> = BTreeMap::new();
    let mut delays = Delays::new(delay, Vec::new());
    move |snapshot| {
        for (key @ (kind, result), distribution) in &snapshot.durations {
            let attributes = || vec![KeyValue::new("kind", *kind), KeyValue::new("result", *result)];
            let recorded =
                durations.entry(*key).or_insert_with(|| Delays::new(duration.clone(), attributes()));
            recorded.record(distribution);
        }
        delays.record(&snapshot.delays);
        overruns.fetch_add(new_overruns(&mut known, snapshot), Ordering::Relaxed);
    }
}

/// What came since the snapshot before. A check that is gone takes its count with it, and the metric must not shrink.
fn new_overruns(known: &mut HashMap<Arc<str>, u64>, snapshot: &Snapshot) -> u64 {
    let counted =
        snapshot.checks.iter().map(|view| (&view.status.policy.name, view.status.counters.overruns));
    let now: HashMap<Arc<str>, u64> =
        counted.filter(|(_, count)| *count > 0).map(|(name, count)| (Arc::clone(name), count)).collect();
    // One that was added anew counts from 0 again.
    let grown = |(name, count): (&Arc<str>, &u64)| {
        let before = known.get(name).copied().filter(|before| before <= count).unwrap_or_default();
        count - before
    };
    let new = now.iter().map(grown).sum();
    *known = now;
    new
}
