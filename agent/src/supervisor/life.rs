//! What runs beside the `vrrp` thread, and how everything ends.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::checks;
use super::keeping::Keeping;
use crate::api::Claim;
use crate::driver::Handle;
use crate::journal::{Entry, Journal, Read};
use crate::moves::{self, Outcome};
use crate::notify::Notifications;
use crate::telemetry::{self, Telemetry};

/// Everything that runs.
pub(super) struct Life {
    pub(super) driver: Handle,
    pub(super) moves: moves::Handle,
    pub(super) dataplane: ha_dataplane::Handle,
    pub(super) thread: JoinHandle<()>,
    pub(super) collector: Task,
    pub(super) beside: Beside,
    /// That no other agent runs here; given up last.
    pub(super) claim: Claim,
}

/// What is not needed for adverts and addresses.
pub(super) struct Beside {
    pub(super) checks: checks::Running,
    pub(super) shutdown: CancellationToken,
    pub(super) api: Task,
    pub(super) telemetry: Option<Arc<Telemetry>>,
    pub(super) observer: Task,
    pub(super) notifications: Notifications,
    pub(super) keeping: Option<Keeping>,
}

type Task = tokio::task::JoinHandle<()>;

/// The end of the withdrawal may take this long; the lease does the rest.
pub(super) const WITHDRAWAL: Duration = Duration::from_secs(3);

/// Everything that follows the handover, when nothing of it ends before its bound.
pub(super) const AFTER_HANDOVER: Duration = Duration::from_secs(15);

impl Life {
    /// Handover, priority 0 for what is left, withdrawal, checks with their commands, whoever is told and clients, telemetry; each bounded.
    /// The handover takes `stop_timeout` at most.
    pub(super) async fn end(self, stop_timeout: Duration) {
        hand_over(&self.moves, stop_timeout).await;
        release(&self.driver, &self.dataplane).await;
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
        self.beside.end(Some(self.collector)).await;
    }
}

/// Everything that others take goes to them without loss.
pub(super) async fn hand_over(moves: &moves::Handle, stop_timeout: Duration) {
    /// The engine ends each handover by itself; this is for a driver that does not answer.
    const MARGIN: Duration = Duration::from_secs(1);
    if stop_timeout.is_zero() {
        return;
    }
    let Ok(moves) = timeout(stop_timeout + MARGIN, moves.stop(stop_timeout)).await else { return };
    for one in &moves {
        match one.outcome {
            Outcome::Moved => info!("handed over {}", one.instances.join(", ")),
            Outcome::Planned | Outcome::Kept => warn!("released without a successor: {one}"),
        }
    }
}

/// Releases everything that this node holds.
pub(super) async fn release(driver: &Handle, dataplane: &ha_dataplane::Handle) {
    // An error says that the thread has ended, which is what we want.
    let _ = timeout(WITHDRAWAL, driver.stop()).await;
    match timeout(WITHDRAWAL, dataplane.shutdown()).await {
        Ok(Ok(withdrawn)) => {
            withdrawn.failures.iter().for_each(|failure| warn!("cannot withdraw: {failure}"));
            info!(addresses = withdrawn.addresses, "withdrawn");
        }
        _ => warn!("the kernel did not confirm the withdrawal in time; leases end by themselves"),
    }
}

impl Beside {
    /// Ends in order. The collector, when the driver has ended: so that the last events are told, too.
    pub(super) async fn end(self, collector: Option<Task>) {
        self.checks.end().await;
        if let Some(collector) = collector {
            let _ = timeout(Duration::from_secs(2), collector).await;
        }
        self.shutdown.cancel();
        // Side by side: each may take its two seconds.
        let api = timeout(Duration::from_millis(2500), self.api);
        let _ = tokio::join!(self.notifications.finish(), api);
        // Last, so that everything is in it.
        if let Some(keeping) = self.keeping {
            keeping.end().await;
        }
        self.observer.abort();
        let _ = self.observer.await;
        if let Some(telemetry) = self.telemetry.and_then(Arc::into_inner) {
            telemetry.shutdown().await;
        }
    }
}

/// Hands the journal's records to telemetry, at its own pace.
pub(super) async fn observe(
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

pub(super) async fn tell_troubles(mut troubles: mpsc::Receiver<String>) {
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
