//! The instruments: every metric of the schema, observed from the last snapshot and the counts. One set of instruments
//! feeds OTLP and Prometheus alike.

mod checks;
mod instances;
mod nodes;
mod peers;
mod pools;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, Meter};
use opentelemetry_sdk::metrics::{Aggregation, Instrument, Stream};

use super::cache::SnapshotCache;
use super::config::Identity;
use super::counts::{EventCounts, NodeCounts};
use super::flow::Flow;
use super::plan::Signal;
use super::schema::{self, Metric};
use crate::peers::{PeerCounts, View};
use crate::{health, pools as server_pools};
pub(super) use checks::feed as feed_checks;
pub(super) use instances::instance_attributes;

/// Everything that the instruments look at.
pub(super) struct Facts {
    pub(super) identity: Identity,
    pub(super) cache: Arc<SnapshotCache>,
    pub(super) checks: Arc<SnapshotCache<health::Handle>>,
    pub(super) pools: Arc<SnapshotCache<server_pools::Handle>>,
    pub(super) peers: PeersView,
    /// Attempts of checks that were left out.
    pub(super) check_overruns: Arc<AtomicU64>,
    pub(super) events: Mutex<EventCounts>,
    pub(super) node: Arc<NodeCounts>,
    pub(super) flows: Vec<(Signal, Arc<Flow>)>,
    pub(super) log_lost: Arc<AtomicU64>,
    pub(super) kernel: Option<KernelView>,
}

/// Asks whether the kernel has an address on a link, by name, now; `None` = not known.
pub type KernelView = Arc<dyn Fn(&str, std::net::IpAddr) -> Option<bool> + Send + Sync>;

/// What is known of the other nodes.
#[derive(Default)]
pub struct Peers {
    /// How each stands.
    pub view: Arc<View>,
    /// What happened with each.
    pub counts: BTreeMap<Arc<str>, PeerCounts>,
}

/// Asks what is known of the other nodes, now. Must not block.
pub type PeersView = Arc<dyn Fn() -> Peers + Send + Sync>;

/// Takes the points of one collection.
type Emit<'a, T> = &'a mut dyn FnMut(T, &[KeyValue]);

/// The histograms, which are fed as things happen.
pub(super) struct Histograms {
    pub(super) failover: Histogram<f64>,
    pub(super) loop_delay: Histogram<f64>,
    pub(super) rpc_duration: Histogram<f64>,
    pub(super) check_duration: Histogram<f64>,
    pub(super) check_delay: Histogram<f64>,
}

impl Histograms {
    pub(super) fn new(meter: &Meter) -> Self {
        let histogram = |metric: &Metric| {
            meter.f64_histogram(metric.name).with_unit(metric.unit).with_description(metric.meaning).build()
        };
        Self {
            failover: histogram(&schema::FAILOVER_DURATION),
            loop_delay: histogram(&schema::LOOP_DELAY),
            rpc_duration: histogram(&schema::RPC_DURATION),
            check_duration: histogram(&schema::CHECK_DURATION),
            check_delay: histogram(&schema::CHECK_DELAY),
        }
    }
}

/// What the SDK shall do otherwise than by default: buckets, and how many series it keeps apart.
pub(super) fn view(
    maximum_instances: usize,
) -> impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static {
    move |instrument| {
        let metric = schema::find(instrument.name())?;
        let builder = Stream::builder();
        let builder = match (metric.series_per_instance, metric.most_series()) {
            (0, None) => builder,
            // The SDK takes memory for as many at once.
            (0, Some(most)) => builder.with_cardinality_limit(most),
            (series, _) => {
                builder.with_cardinality_limit(series.saturating_mul(maximum_instances.clamp(1, 1_000_000)))
            }
        };
        let builder = match buckets(metric) {
            Some(boundaries) => builder
                .with_aggregation(Aggregation::ExplicitBucketHistogram { boundaries, record_min_max: false }),
            None => builder,
        };
        builder.build().ok()
    }
}

fn buckets(metric: &Metric) -> Option<Vec<f64>> {
    match metric.name {
        name if name == schema::LOOP_DELAY.name || name == schema::CHECK_DELAY.name => {
            Some(schema::LOOP_DELAY_BOUNDS.iter().map(|nanos| *nanos as f64 / 1e9).collect())
        }
        name if name == schema::CHECK_DURATION.name => {
            Some(health::DURATIONS.iter().map(|micros| *micros as f64 / 1e6).collect())
        }
        name if name == schema::FAILOVER_DURATION.name => Some(schema::FAILOVER_BOUNDS.to_vec()),
        name if name == schema::RPC_DURATION.name => Some(schema::RPC_BOUNDS.to_vec()),
        _ => None,
    }
}

/// Makes the instruments that are observed at collection.
pub(super) fn register(meter: &Meter, facts: &Arc<Facts>) {
    let registrar = Registrar { meter, facts };
    nodes::register(&registrar);
    instances::register(&registrar);
    checks::register(&registrar);
    pools::register(&registrar);
    peers::register(&registrar);
}

/// Makes observed instruments out of schema entries.
struct Registrar<'a> {
    meter: &'a Meter,
    facts: &'a Arc<Facts>,
}

impl Registrar<'_> {
    fn counter(&self, metric: &Metric, observe: fn(&Facts, Emit<'_, u64>)) {
        let facts = Arc::clone(self.facts);
        self.meter
            .u64_observable_counter(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_callback(move |observer| {
                observe(&facts, &mut |value, attributes| observer.observe(value, attributes))
            })
            .build();
    }

    fn up_down_counter(&self, metric: &Metric, observe: fn(&Facts, Emit<'_, i64>)) {
        let facts = Arc::clone(self.facts);
        self.meter
            .i64_observable_up_down_counter(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_callback(move |observer| {
                observe(&facts, &mut |value, attributes| observer.observe(value, attributes))
            })
            .build();
    }

    fn gauge(&self, metric: &Metric, observe: fn(&Facts, Emit<'_, f64>)) {
        let facts = Arc::clone(self.facts);
        self.meter
            .f64_observable_gauge(metric.name)
            .with_unit(metric.unit)
            .with_description(metric.meaning)
            .with_callback(move |observer| {
                observe(&facts, &mut |value, attributes| observer.observe(value, attributes))
            })
            .build();
    }
}
