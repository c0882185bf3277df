//! Telemetry: what the agent tells about itself. Log lines for people (`logging`), and metrics, traces and event records
//! for OpenTelemetry and Prometheus, all derived from the engine's events and counters. The names are in `TELEMETRY.md`.
//!
//! Nothing here can make the `vrrp` thread wait: it is asked for a snapshot once a second at most, and events come in
//! after the journal took them. A collector that is dead, slow or a black hole costs dropped records, which are counted.

mod cache;
mod calls;
mod config;
mod counts;
mod exporters;
mod failover;
mod flow;
mod lateness;
pub mod logging;
mod metrics;
mod plan;
mod records;
pub mod schema;
mod scrape;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_engine::{Event, EventKind};
use opentelemetry::KeyValue;
use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::metrics::{Histogram, MeterProvider as _};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::logs::SdkLogger;
use tokio::task::JoinHandle;

use crate::driver::{Handle, Snapshot};
use crate::{health, pools};
use cache::SnapshotCache;
use calls::Calls;
use exporters::Exporters;
use failover::Failovers;
use lateness::Delays;
use metrics::{Facts, Histograms};
use scrape::ScrapeServer;

pub use config::{Identity, LogConfig, LogFormat, OtlpConfig, TelemetryConfig};
pub use counts::NodeCounts;
pub use metrics::{KernelView, Peers, PeersView};

/// Where telemetry gets what it tells.
pub struct Sources {
    /// The `vrrp` thread.
    pub driver: Handle,
    /// The thread of the checks.
    pub checks: health::Handle,
    /// The task of the pools.
    pub pools: pools::Handle,
    /// The other nodes.
    pub peers: PeersView,
    /// Numbers that others keep up to date.
    pub node: Arc<NodeCounts>,
    /// Lines that the log lost, from [`logging::Log::lost`].
    pub log_lost: Arc<AtomicU64>,
    /// Asks whether the kernel holds an address now; without it the kernel's last word on the whole ownership counts.
    pub kernel: Option<KernelView>,
}

/// Why telemetry could not start. The agent runs as well without it.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address for Prometheus cannot be had.
    #[error("cannot listen on {address} for Prometheus: {source}")]
    Listen {
        /// As configured.
        address: SocketAddr,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// The OTLP exporter of a signal cannot be built.
    #[error("cannot export {signal}: {reason}")]
    Exporter {
        /// traces, metrics or logs.
        signal: &'static str,
        /// The exporter's words.
        reason: String,
    },
    /// A PEM file cannot be read.
    #[error("cannot read {path}: {source}")]
    Certificate {
        /// Which.
        path: PathBuf,
        /// The kernel's words.
        source: std::io::Error,
    },
    /// The Prometheus exporter cannot be built.
    #[error("cannot export to Prometheus: {0}")]
    Prometheus(String),
}

/// Running telemetry. Ended by [`Telemetry::shutdown`]; merely dropped, it loses what waits.
pub struct Telemetry {
    facts: Arc<Facts>,
    failovers: Mutex<Failovers>,
    logger: Option<SdkLogger>,
    exporters: Option<Exporters>,
    scrape: Option<ScrapeServer>,
    refresher: Option<JoinHandle<()>>,
}

/// Name of the instrumentation scope of all signals.
const SCOPE: &str = "ha_agent";

/// The end of the exporters may take this long.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(900);

/// The snapshot is read at least this often, so that lateness is recorded in small portions.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

impl Telemetry {
    /// Starts exporters and the scrape page, as configured; the `OTEL_*` environment wins. Call inside the main runtime.
    ///
    /// # Errors
    /// [`StartError`] when something configured cannot be had. `TelemetryConfig::default()` always starts.
    pub fn start(config: &TelemetryConfig, identity: Identity, sources: Sources) -> Result<Self, StartError> {
        let plan = plan::plan(config.otlp.as_ref(), &|name| std::env::var(name).ok());
        plan.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let listener = config.prometheus.filter(|_| !plan.disabled).map(scrape::listen).transpose()?;
        let exporters = Exporters::new(&plan, &identity, listener.is_some(), config.maximum_instances)?;
        let meter = exporters.meter.meter(SCOPE);
        let histograms = Histograms::new(&meter);
        let check_overruns = Arc::<AtomicU64>::default();
        let facts = Arc::new(Facts {
            identity,
            cache: SnapshotCache::new(sources.driver, feed_loop_delay(histograms.loop_delay)),
            checks: SnapshotCache::new(
                sources.checks,
                metrics::feed_checks(
                    histograms.check_duration,
                    histograms.check_delay,
                    Arc::clone(&check_overruns),
                ),
            ),
            pools: SnapshotCache::new(sources.pools, |_| ()),
            peers: sources.peers,
            check_overruns,
            events: Mutex::default(),
            node: sources.node,
            flows: exporters.flows.clone(),
            log_lost: sources.log_lost,
            kernel: sources.kernel,
        });
        facts.node.record_calls(Calls::new(histograms.rpc_duration));
        if listener.is_some() || plan.metrics.is_some() {
            // Without a reader the SDK calls each observable instrument an error.
            metrics::register(&meter, &facts);
        }
        let tracer = exporters.tracer.as_ref().map(|provider| provider.tracer(SCOPE));
        let scrape = listener
            .zip(exporters.registry.clone())
            .map(|((address, listener), registry)| ScrapeServer::start(address, listener, registry));
        let is_read = scrape.is_some() || plan.metrics.is_some() || tracer.is_some();
        Ok(Self {
            failovers: Mutex::new(Failovers::new(tracer, histograms.failover)),
            logger: exporters.logger.as_ref().map(|provider| provider.logger(SCOPE)),
            refresher: is_read.then(|| tokio::spawn(keep_fresh(Arc::clone(&facts)))),
            exporters: Some(exporters),
            facts,
            scrape,
        })
    }

    /// Tells of an event: event record, counters, trace. Takes some microseconds and never waits for a
    /// collector; what does not fit is dropped and counted.
    pub fn observe(&self, sequence: u64, incarnation: &str, event: &Event) {
        self.facts.events.lock().unwrap_or_else(PoisonError::into_inner).count(event);
        let is_state = matches!(event.kind, EventKind::StateChanged { .. } | EventKind::Adopted { .. });
        if is_state || event.kind == EventKind::InstanceAdded {
            self.facts.cache.refresh_soon();
        }
        let describe = |name: &str| self.describe(name);
        let span = self.failovers.lock().unwrap_or_else(PoisonError::into_inner).follow(event, &describe);
        if let Some(logger) = &self.logger {
            records::emit(logger, sequence, incarnation, event, span.as_ref());
        }
    }

    /// Where Prometheus scrapes, with the port that the kernel chose if none was configured.
    pub fn scrape_address(&self) -> Option<SocketAddr> {
        self.scrape.as_ref().map(ScrapeServer::address)
    }

    /// Sends what waits and ends, within a second. Call after the release of all addresses: nothing waits for a collector
    /// before clients have been taken care of.
    pub async fn shutdown(mut self) {
        if let Some(exporters) = self.exporters.take() {
            exporters.shutdown(SHUTDOWN_LIMIT).await;
        }
    }

    /// What the last snapshot says of an instance, as span attributes.
    fn describe(&self, name: &str) -> Vec<KeyValue> {
        let snapshot = self.facts.cache.last();
        let found = snapshot.instances.binary_search_by(|instance| (*instance.config.name).cmp(name));
        let instance = found.ok().and_then(|index| snapshot.instances.get(index));
        instance.map_or_else(Vec::new, |instance| {
            let mut attributes = metrics::instance_attributes(&instance.config).to_vec();
            // The name is on the span since it began.
            attributes.retain(|attribute| attribute.key.as_str() != "vrrp_instance");
            attributes
        })
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.refresher.iter().for_each(JoinHandle::abort);
        // Dropped providers end as if they were shut down, and block: on a thread that nobody waits for.
        if let Some(exporters) = self.exporters.take() {
            drop(std::thread::Builder::new().name("end-telemetry".into()).spawn(move || drop(exporters)));
        }
    }
}

/// Cancelled at any await; nothing is lost.
async fn keep_fresh(facts: Arc<Facts>) {
    let mut ticks = tokio::time::interval(REFRESH_INTERVAL);
    loop {
        ticks.tick().await;
        facts.cache.refresh().await;
        facts.checks.refresh().await;
        facts.pools.refresh().await;
    }
}

fn feed_loop_delay(histogram: Histogram<f64>) -> impl FnMut(&Snapshot) + Send {
    let mut delays = Delays::new(histogram, Vec::new());
    move |snapshot| delays.record(&snapshot.lateness)
}

#[cfg(test)]
mod tests;
