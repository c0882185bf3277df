//! The last snapshot of the `vrrp` thread: asked for at most once a second, however many readers collect, and never
//! waited for longer than a moment. Each new one feeds the loop-delay histogram.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::metrics::Histogram;
use tokio::runtime::Handle as Runtime;

use super::lateness::Delays;
use crate::driver::{Handle, Snapshot};

/// The last snapshot.
pub(super) struct SnapshotCache {
    driver: Handle,
    runtime: Runtime,
    last: Mutex<Last>,
    /// Held while the driver is asked, so that one question is under way at a time.
    asking: tokio::sync::Mutex<()>,
}

struct Last {
    snapshot: Arc<Snapshot>,
    /// When it was last asked for, with or without success.
    asked: Option<Instant>,
    delays: Delays,
}

/// Younger snapshots are not asked for again.
const FRESH: Duration = Duration::from_secs(1);

/// How long a collection waits for the `vrrp` thread before it goes on with the previous snapshot.
const PATIENCE: Duration = Duration::from_millis(250);

impl SnapshotCache {
    /// An empty one. Call inside the runtime on which the driver's answers shall be awaited.
    pub(super) fn new(driver: Handle, loop_delay: Histogram<f64>) -> Arc<Self> {
        let last =
            Last { snapshot: Arc::default(), asked: None, delays: Delays::new(loop_delay, Vec::new()) };
        let asking = tokio::sync::Mutex::new(());
        Arc::new(Self { driver, runtime: Runtime::current(), last: Mutex::new(last), asking })
    }

    /// The snapshot as it was last read.
    pub(super) fn last(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    /// A snapshot that is at most about a second old, if the `vrrp` thread answers. Blocks for a moment: for threads
    /// outside the runtime only.
    pub(super) fn current_blocking(&self) -> Arc<Snapshot> {
        if self.is_due() {
            self.runtime.block_on(self.refresh());
        }
        self.last()
    }

    /// Reads a new snapshot when the last one is no longer fresh.
    pub(super) async fn refresh(&self) {
        // Cancelled here, nothing has happened yet; cancelled below, the answer of the driver is lost and asked for again.
        let _turn = self.asking.lock().await;
        if !self.is_due() {
            return;
        }
        self.lock().asked = Some(Instant::now());
        if let Ok(Ok(snapshot)) = tokio::time::timeout(PATIENCE, self.driver.snapshot()).await {
            let mut last = self.lock();
            last.delays.record(&snapshot.lateness);
            last.snapshot = snapshot;
        }
    }

    /// Reads a new snapshot soon, if the last one is no longer fresh, without waiting for it.
    pub(super) fn refresh_soon(self: &Arc<Self>) {
        if self.is_due() {
            let cache = Arc::clone(self);
            self.runtime.spawn(async move { cache.refresh().await });
        }
    }

    fn is_due(&self) -> bool {
        self.lock().asked.is_none_or(|asked| asked.elapsed() >= FRESH)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
