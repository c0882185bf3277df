//! What the configuration says, in the words of the parts that it is for.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ha_config::Configuration;
use tracing::warn;

use super::roles;
use crate::api;
use crate::journal::Journal;
use crate::telemetry::{self, Telemetry};

/// Where telemetry gets what it tells.
pub(super) fn sources(
    asked: &api::Asked,
    dataplane: &ha_dataplane::Handle,
    log_lost: Arc<AtomicU64>,
    node: &Arc<telemetry::NodeCounts>,
) -> telemetry::Sources {
    let view = dataplane.clone();
    let kernel: telemetry::KernelView = Arc::new(move |interface, address| {
        Some(view.kernel_view().get(&Arc::from(interface), address).present)
    });
    let handle = asked.peers.clone();
    let peers: telemetry::PeersView =
        Arc::new(move || telemetry::Peers { view: handle.view(), counts: handle.counts() });
    telemetry::Sources {
        driver: asked.driver.clone(),
        checks: asked.checks.clone(),
        pools: asked.pools.clone(),
        peers,
        node: Arc::clone(node),
        log_lost,
        kernel: Some(kernel),
    }
}

/// How the dataplane thread stands.
pub(super) fn dataplane_state(dataplane: &ha_dataplane::Handle) -> api::DataplaneView {
    let dataplane = dataplane.clone();
    Arc::new(move || api::DataplaneState { heartbeat: dataplane.last_alive(), waiting: dataplane.waiting() })
}

/// Asks the links of this node.
pub(super) fn wire() -> api::Wire {
    Arc::new(|interface, addresses, patience| {
        ha_dataplane::who_has(interface, addresses, patience).map_err(|error| error.to_string())
    })
}

/// Starts what is configured; without it the agent runs as well.
pub(super) fn start_telemetry(
    configuration: &Configuration,
    journal: &Journal,
    sources: telemetry::Sources,
) -> Option<Arc<Telemetry>> {
    let identity = telemetry::Identity {
        node: configuration.node_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: journal.incarnation().to_string(),
    };
    match Telemetry::start(&telemetry_config(configuration), identity, sources) {
        Ok(telemetry) => Some(Arc::new(telemetry)),
        Err(error) => {
            // Addresses matter more than dashboards.
            warn!("running without telemetry: {error}");
            None
        }
    }
}

fn telemetry_config(configuration: &Configuration) -> telemetry::TelemetryConfig {
    let own = &configuration.telemetry;
    let otlp = own.endpoint.as_ref().map(|endpoint| telemetry::OtlpConfig {
        traces: own.traces,
        metrics: own.metrics,
        logs: own.logs,
        timeout: own.timeout,
        metric_interval: own.interval,
        ..telemetry::OtlpConfig::new(endpoint)
    });
    let maximum_instances = kept_apart(configuration);
    telemetry::TelemetryConfig { otlp, prometheus: configuration.metrics.listen, maximum_instances }
}

/// For how many virtual routers, addresses or checks metrics are kept apart until the next start: memory is taken for all of
/// them at once, so for what is configured, and for reloads that bring a quarter more.
fn kept_apart(configuration: &Configuration) -> usize {
    const LEAST: usize = 1000;
    let instances = &configuration.instances;
    let addresses: usize = instances.iter().map(|instance| instance.addresses.len()).sum();
    let most = instances.len().max(addresses).max(configuration.checks.len());
    most.saturating_add(most / 4).max(LEAST)
}

/// The agent's own log.
pub(super) fn log_config(log: &ha_config::Log) -> telemetry::LogConfig {
    let format = match log.format {
        ha_config::LogFormat::Auto => telemetry::LogFormat::Auto,
        ha_config::LogFormat::Text => telemetry::LogFormat::Text,
        ha_config::LogFormat::Json => telemetry::LogFormat::Json,
        ha_config::LogFormat::Journald => telemetry::LogFormat::Journald,
    };
    telemetry::LogConfig { level: log.level.as_str().to_owned(), format }
}

/// What the kernel has of an address.
pub(super) fn kernel_state(dataplane: &ha_dataplane::Handle) -> api::KernelState {
    let dataplane = dataplane.clone();
    Arc::new(move |interface, address| {
        let seen = dataplane.kernel_view().get(interface, address);
        Some(api::KernelAddress {
            present: seen.present,
            last_announce: seen.announced,
            announcements: seen.announcements,
        })
    })
}

/// Who may do what; says which names nobody has.
pub(super) fn roles(configuration: &Configuration) -> Arc<api::Roles> {
    let (roles, unknown) = roles::resolve(&configuration.api);
    unknown.iter().for_each(|unknown| warn!("{unknown}"));
    Arc::new(roles)
}
