//! The last snapshot of a thread that knows how something stands: asked for at most once a second, however many readers
//! collect, and never waited for longer than a moment. Each new one feeds the histograms whose counts it carries.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle as Runtime;

use crate::{driver, health, pools};

/// Who knows how something stands.
pub(super) trait Source: Send + Sync + 'static {
    /// What it answers.
    type Snapshot: Default + Send + Sync;

    /// How it stands; `None` when the thread has ended.
    fn ask(&self) -> impl Future<Output = Option<Arc<Self::Snapshot>>> + Send;
}

impl Source for driver::Handle {
    type Snapshot = driver::Snapshot;

    async fn ask(&self) -> Option<Arc<driver::Snapshot>> {
        self.snapshot().await.ok()
    }
}

impl Source for health::Handle {
    type Snapshot = health::Snapshot;

    async fn ask(&self) -> Option<Arc<health::Snapshot>> {
        self.snapshot().await.ok()
    }
}

impl Source for pools::Handle {
    type Snapshot = pools::Snapshot;

    async fn ask(&self) -> Option<Arc<pools::Snapshot>> {
        self.snapshot().await.ok()
    }
}

/// The last snapshot.
pub(super) struct SnapshotCache<S: Source = driver::Handle> {
    source: S,
    runtime: Runtime,
    last: Mutex<Last<S::Snapshot>>,
    /// Held while the source is asked, so that one question is under way at a time.
    asking: tokio::sync::Mutex<()>,
}

struct Last<T> {
    snapshot: Arc<T>,
    /// When it was last asked for, with or without success.
    asked: Option<Instant>,
    feed: Box<dyn FnMut(&T) + Send>,
}

/// Younger snapshots are not asked for again.
const FRESH: Duration = Duration::from_secs(1);

/// How long a collection waits for the thread before it goes on with the previous snapshot.
const PATIENCE: Duration = Duration::from_millis(250);

impl<S: Source> SnapshotCache<S> {
    /// An empty one; `feed` is given each new snapshot. Call inside the runtime on which the answers shall be awaited.
    pub(super) fn new(source: S, feed: impl FnMut(&S::Snapshot) + Send + 'static) -> Arc<Self> {
        let last = Last { snapshot: Arc::default(), asked: None, feed: Box::new(feed) };
        let asking = tokio::sync::Mutex::new(());
        Arc::new(Self { source, runtime: Runtime::current(), last: Mutex::new(last), asking })
    }

    /// The snapshot as it was last read.
    pub(super) fn last(&self) -> Arc<S::Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    /// A snapshot that is at most about a second old, if the thread answers. Blocks for a moment: for threads
    /// outside the runtime only.
    pub(super) fn current_blocking(&self) -> Arc<S::Snapshot> {
        // Somebody else's question may be under way, and its answer is the first.
        if self.is_due() || self.asking.try_lock().is_err() {
            self.runtime.block_on(self.refresh());
        }
        self.last()
    }

    /// Reads a new snapshot when the last one is no longer fresh.
    pub(super) async fn refresh(&self) {
        // Cancelled here, nothing has happened yet; cancelled below, the answer is lost and asked for again.
        let _turn = self.asking.lock().await;
        if !self.is_due() {
            return;
        }
        self.lock().asked = Some(Instant::now());
        if let Ok(Some(snapshot)) = tokio::time::timeout(PATIENCE, self.source.ask()).await {
            let mut last = self.lock();
            (last.feed)(&snapshot);
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

    fn lock(&self) -> std::sync::MutexGuard<'_, Last<S::Snapshot>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
