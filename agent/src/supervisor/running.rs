//! One life of the daemon: start, serve signals, end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use ha_config::Configuration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::conditions::{Conditions, MEMORY, REALTIME};
use super::reload::{Reloader, info_of};
use super::{certificates, roles, systemd};
use crate::api::{self, ApiError, TlsError};
use crate::driver::{self, Handle, Started};
use crate::journal::{self, Entry, Journal, Read};
use crate::telemetry::{self, Telemetry, logging};

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Log(#[from] logging::LogError),
    #[error(transparent)]
    Dataplane(#[from] ha_dataplane::Error),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("control plane over TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
}

/// What runs beside the `vrrp` thread.
struct Life {
    driver: Handle,
    dataplane: ha_dataplane::Handle,
    thread: std::thread::JoinHandle<()>,
    shutdown: CancellationToken,
    api: tokio::task::JoinHandle<()>,
    telemetry: Option<Arc<Telemetry>>,
    observer: tokio::task::JoinHandle<()>,
    collector: tokio::task::JoinHandle<()>,
}

/// The end of the withdrawal may take this long; the lease does the rest.
const WITHDRAWAL: Duration = Duration::from_secs(3);

/// Runs until SIGTERM or SIGINT.
pub(super) async fn run(file: &Path, configuration: Configuration) -> Result<(), Failure> {
    let log = logging::start(&log_config(&configuration.log))?;
    let mut signals = Signals::new().map_err(Failure::Signals)?;
    let conditions = Arc::new(Conditions::new());
    lock_memory(&configuration.realtime, &conditions);
    let (life, mut reloader) = start(file, configuration, &conditions, log.lost()).await?;
    reloader.began();
    systemd::ready(&status(&reloader.current));
    let watchdog = tokio::spawn(systemd::feed_watchdog(life.driver.clone()));
    loop {
        match signals.next().await {
            Wish::Reload => {
                systemd::reloading();
                reloader.reload().await;
                systemd::ready(&status(&reloader.current));
            }
            Wish::Stop(name) => {
                info!("{name}: releasing and ending");
                break;
            }
        }
    }
    systemd::stopping();
    watchdog.abort();
    life.end().await;
    log.flush();
    Ok(())
}

async fn start(
    file: &Path,
    configuration: Configuration,
    conditions: &Arc<Conditions>,
    log_lost: Arc<AtomicU64>,
) -> Result<(Life, Reloader), Failure> {
    let journal = Journal::new(&configuration.node_name, configuration.api.history);
    let (driver, requests) = Handle::new();
    let realtime = &configuration.realtime;
    let priority = realtime.scheduling.then_some(realtime.priority);
    let options = ha_dataplane::Options {
        priority: priority.map(|own| own.saturating_sub(1).max(1)),
        ..Default::default()
    };
    let (dataplane, reports) = ha_dataplane::Dataplane::spawn(options)?;
    let shutdown = CancellationToken::new();
    let counts = Arc::new(telemetry::NodeCounts::default());
    let (info, info_receiver) = watch::channel(info_of(&configuration));
    let (roles, roles_receiver) = watch::channel(resolve_roles(&configuration));
    let tcp = configuration.api.tls.as_ref().map(certificates::load).transpose()?;
    let api = api::serve(
        api::Options {
            socket: configuration.api.socket.clone(),
            group: roles::socket_group(&configuration.api),
            tcp: tcp.clone(),
            roles: roles_receiver,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: info_receiver,
            conditions: conditions.subscribe(),
            kernel: kernel_state(&dataplane),
            limits: api::Limits::default(),
            counters: Arc::clone(&counts.api),
            observer: Some(counts.observer()),
        },
        driver.clone(),
        Arc::clone(&journal),
        shutdown.clone(),
    )?;
    // The socket is ours now: nobody else runs on this node, and what we find of ours in the kernel was left behind.
    let instances: Arc<[_]> = configuration.instances.clone().into();
    let (_facts, facts) = driver::facts();
    let inbox = driver::Inbox { reports, facts, requests };
    let started = driver::start(priority, dataplane.clone(), inbox, instances).map_err(Failure::Thread)?;
    let Started { notices, troubles, unpunctual, thread } = started;
    note_realtime(priority, unpunctual, conditions);
    tokio::spawn(tell_troubles(troubles));
    let counts = Arc::new(telemetry::NodeCounts::default());
    let telemetry =
        start_telemetry(&configuration, &journal, &driver, &dataplane, log_lost, Arc::clone(&counts)).await;
    let observer = tokio::spawn(observe(Arc::clone(&journal), telemetry.clone(), Arc::clone(&counts)));
    let collector = tokio::spawn(journal::collect(notices, Arc::clone(&journal)));
    let api = tokio::spawn(api);
    let certificates = tcp.map(|tcp| tcp.certificates);
    if let Some(certificates) = &certificates {
        tokio::spawn(certificates::keep(Arc::clone(certificates), Arc::clone(conditions)));
    }
    let life =
        Life { driver: driver.clone(), dataplane, thread, shutdown, api, telemetry, observer, collector };
    let reloader = Reloader {
        file: file.to_owned(),
        current: configuration,
        driver,
        journal,
        conditions: Arc::clone(conditions),
        counts,
        info,
        roles,
        certificates,
    };
    Ok((life, reloader))
}

impl Life {
    /// Priority 0, withdrawal, clients, telemetry; each bounded.
    async fn end(self) {
        // An error says that the thread has ended, which is what we want.
        let _ = timeout(WITHDRAWAL, self.driver.stop()).await;
        match timeout(WITHDRAWAL, self.dataplane.shutdown()).await {
            Ok(Ok(withdrawn)) => {
                withdrawn.failures.iter().for_each(|failure| warn!("cannot withdraw: {failure}"));
                info!(addresses = withdrawn.addresses, "withdrawn");
            }
            _ => warn!("the kernel did not confirm the withdrawal in time; leases end by themselves"),
        }
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
        let _ = timeout(Duration::from_secs(2), self.collector).await;
        self.shutdown.cancel();
        let _ = timeout(Duration::from_millis(2500), self.api).await;
        self.observer.abort();
        let _ = self.observer.await;
        if let Some(telemetry) = self.telemetry.and_then(Arc::into_inner) {
            telemetry.shutdown().await;
        }
    }
}

/// What the process is asked for from outside.
enum Wish {
    Reload,
    Stop(&'static str),
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// A stop wins over a reload. Cancelling loses nothing: signals stay pending.
    async fn next(&mut self) -> Wish {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}

/// Hands the journal's records to telemetry, at its own pace.
async fn observe(
    journal: Arc<Journal>,
    telemetry: Option<Arc<Telemetry>>,
    counts: Arc<telemetry::NodeCounts>,
) {
    const CHUNK: usize = 256;
    let mut reader = journal.reader(0);
    loop {
        // Cancelled here when the agent ends: what was read has been handed on.
        match reader.read(CHUNK).await {
            Read::Records(records) => {
                for record in records {
                    match (&record.entry, &telemetry) {
                        (Entry::Event(event), Some(telemetry)) => {
                            telemetry.observe(record.sequence, journal.incarnation(), event);
                        }
                        (Entry::Event(_), None) => {}
                        (Entry::Lost { count }, _) => counts.lost(*count),
                    }
                }
            }
            Read::Lagged(lagged) => warn!(count = lagged.count(), "telemetry missed events"),
        }
    }
}

async fn tell_troubles(mut troubles: mpsc::Receiver<String>) {
    /// The same trouble is told at most this often.
    const PAUSE: Duration = Duration::from_secs(10);
    let mut told: std::collections::BTreeMap<String, tokio::time::Instant> =
        std::collections::BTreeMap::new();
    while let Some(trouble) = troubles.recv().await {
        let now = tokio::time::Instant::now();
        told.retain(|_, at| now.duration_since(*at) < PAUSE);
        told.entry(trouble).or_insert_with_key(|trouble| {
            warn!("{trouble}");
            now
        });
    }
}

async fn start_telemetry(
    configuration: &Configuration,
    journal: &Journal,
    driver: &Handle,
    dataplane: &ha_dataplane::Handle,
    log_lost: Arc<AtomicU64>,
    node: Arc<telemetry::NodeCounts>,
) -> Option<Arc<Telemetry>> {
    let identity = telemetry::Identity {
        node: configuration.node_name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        incarnation: journal.incarnation().to_string(),
    };
    let view = dataplane.clone();
    let kernel: telemetry::KernelView = Arc::new(move |interface, address| {
        Some(view.kernel_view().get(&Arc::from(interface), address).present)
    });
    let sources = telemetry::Sources { driver: driver.clone(), node, log_lost, kernel: Some(kernel) };
    let config = telemetry_config(configuration);
    match Telemetry::start(&config, identity, sources).await {
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
    telemetry::TelemetryConfig { otlp, prometheus: configuration.metrics.listen, ..Default::default() }
}

fn log_config(log: &ha_config::Log) -> telemetry::LogConfig {
    let format = match log.format {
        ha_config::LogFormat::Auto => telemetry::LogFormat::Auto,
        ha_config::LogFormat::Text => telemetry::LogFormat::Text,
        ha_config::LogFormat::Json => telemetry::LogFormat::Json,
        ha_config::LogFormat::Journald => telemetry::LogFormat::Journald,
    };
    telemetry::LogConfig { level: log.level.as_str().to_owned(), format }
}

fn kernel_state(dataplane: &ha_dataplane::Handle) -> api::KernelState {
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

fn resolve_roles(configuration: &Configuration) -> Arc<api::Roles> {
    let (roles, unknown) = roles::resolve(&configuration.api);
    unknown.iter().for_each(|unknown| warn!("{unknown}"));
    Arc::new(roles)
}

fn lock_memory(realtime: &ha_config::Realtime, conditions: &Conditions) {
    if !realtime.lock_memory {
        return conditions.set(MEMORY, false, "Disabled", "realtime.lock_memory is false".to_owned());
    }
    match ha_dataplane::lock_memory() {
        Ok(()) => conditions.set(MEMORY, true, "Locked", "the process stays in memory".to_owned()),
        Err(error) => {
            warn!("adverts may be late when memory is short: {error}");
            conditions.set(MEMORY, false, "Refused", error.to_string());
        }
    }
}

fn note_realtime(priority: Option<u8>, refused: Option<ha_dataplane::Error>, conditions: &Conditions) {
    match (priority, refused) {
        (None, _) => conditions.set(REALTIME, false, "Disabled", "realtime.scheduling is false".to_owned()),
        (Some(_), Some(error)) => {
            warn!("adverts may be late on a busy machine: {error}");
            conditions.set(REALTIME, false, "Refused", error.to_string());
        }
        (Some(priority), None) => {
            conditions.set(REALTIME, true, "Granted", format!("SCHED_FIFO, priority {priority}"));
        }
    }
}

fn status(configuration: &Configuration) -> String {
    let count = configuration.instances.len();
    format!("{count} virtual router{} configured", if count == 1 { "" } else { "s" })
}
