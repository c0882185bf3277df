//! How everything stands, for many callers: the `vrrp` thread is asked by one of them at a time, and the others share the
//! answer for a few milliseconds.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_engine::{InstanceStatus, OperatorCommand, Refusal};
use tokio::time::{Instant, timeout};
use tonic::Status;

use super::error::{Reason, refuse_for_now, stopping};
use crate::driver::{Handle, Snapshot};
use crate::journal::Journal;

/// How old a shared answer may be.
const MAXIMUM_AGE: Duration = Duration::from_millis(20);

/// How long the `vrrp` thread may take to answer; it needs microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks the driver, sparingly.
#[derive(Debug)]
pub(crate) struct Snapshots {
    driver: Handle,
    journal: Arc<Journal>,
    /// Grows with every change, so that nobody gets an answer from before it.
    generation: AtomicU64,
    latest: Mutex<Option<Arc<View>>>,
    asking: tokio::sync::Mutex<()>,
}

/// A snapshot and its place in the history.
#[derive(Debug)]
pub(crate) struct View {
    /// The snapshot contains the effect of every event up to here.
    pub(crate) sequence: u64,
    /// By name.
    pub(crate) snapshot: Arc<Snapshot>,
    asked: Instant,
    generation: u64,
}

impl View {
    /// The instance of that name.
    pub(crate) fn instance(&self, name: &str) -> Option<&InstanceStatus> {
        let instances = &self.snapshot.instances;
        let place = instances.binary_search_by(|status| status.config.name.as_ref().cmp(name)).ok()?;
        instances.get(place)
    }
}

impl Snapshots {
    pub(crate) fn new(driver: Handle, journal: Arc<Journal>) -> Self {
        Self {
            driver,
            journal,
            generation: AtomicU64::new(0),
            latest: Mutex::default(),
            asking: Default::default(),
        }
    }

    /// A view not older than a few milliseconds, and not older than any change that was answered before this call.
    pub(crate) async fn view(&self) -> Result<Arc<View>, Status> {
        self.containing(0).await
    }

    /// The same, and it contains the effect of every event up to `sequence`, which must have been reached.
    pub(crate) async fn containing(&self, sequence: u64) -> Result<Arc<View>, Status> {
        let arrived = Instant::now();
        let suits = |view: &Arc<View>| {
            let fresh = view.asked >= arrived || view.asked.elapsed() <= MAXIMUM_AGE;
            fresh && view.generation == self.generation.load(Ordering::Acquire) && view.sequence >= sequence
        };
        if let Some(view) = self.latest().filter(suits) {
            return Ok(view);
        }
        // Cancelled here or below when the caller leaves; the next in line asks instead.
        let _turn = self.asking.lock().await;
        if let Some(view) = self.latest().filter(suits) {
            return Ok(view);
        }
        self.ask().await
    }

    /// Carries out a command; later views contain its effect.
    pub(crate) async fn operate(&self, command: OperatorCommand) -> Result<Result<(), Refusal>, Status> {
        let outcome = timeout(PATIENCE, self.driver.operate(command)).await;
        self.generation.fetch_add(1, Ordering::AcqRel);
        outcome.map_err(|_| silent())?.map_err(|_| stopping())
    }

    async fn ask(&self) -> Result<Arc<View>, Status> {
        let asked = Instant::now();
        let generation = self.generation.load(Ordering::Acquire);
        // Read before asking: what the journal holds now, the engine decided before it answers.
        let sequence = self.journal.newest();
        let answer = timeout(PATIENCE, self.driver.snapshot()).await.map_err(|_| silent())?;
        let snapshot = answer.map_err(|_| stopping())?;
        let view = Arc::new(View { sequence, snapshot, asked, generation });
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&view));
        Ok(view)
    }

    fn latest(&self) -> Option<Arc<View>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn silent() -> Status {
    refuse_for_now(
        Reason::VrrpThreadSilent,
        "the vrrp thread did not answer within 2 s",
        "look at the node's load and at the agent's log; whether a change was made is to be read back",
        PATIENCE,
    )
}
