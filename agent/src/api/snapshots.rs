//! How everything stands, for many callers: each thread that knows is asked by one of them at a time, and the others share
//! the answer for a few milliseconds.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_engine::{InstanceStatus, OperatorCommand, Refusal};
use tokio::time::{Instant, sleep_until, timeout};
use tonic::Status;

use super::error::{Reason, refuse_for_now, stopping};
use crate::journal::Journal;
use crate::{driver, health, pools};

/// How long a thread may take to answer; it needs microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whatever happens meanwhile, nobody is asked again sooner, nor before three times as long has passed as the last answer
/// took: who has much to copy has three quarters of the time for adverts.
const MINIMUM_AGE: Duration = Duration::from_millis(1);

/// Who knows how something stands.
pub(crate) trait Source: Send + Sync {
    /// What it answers.
    type Snapshot: Send + Sync;
    /// How old a shared answer may be.
    const MAXIMUM_AGE: Duration;
    /// Whether it is old as soon as something happened: it is shown beside what the kernel has at that moment, and a router
    /// that is not yet Active beside addresses that are held already would look like a fault.
    const FOLLOWS_EVENTS: bool;
    /// Who it is, for the error when it does not answer, and that error's word.
    const WHO: (&'static str, Reason);

    /// How it stands; `Err` when the thread has ended.
    fn ask(&self) -> impl Future<Output = Result<Arc<Self::Snapshot>, ()>> + Send;
}

impl Source for driver::Handle {
    type Snapshot = driver::Snapshot;
    const MAXIMUM_AGE: Duration = Duration::from_millis(20);
    const FOLLOWS_EVENTS: bool = true;
    const WHO: (&'static str, Reason) = ("the vrrp thread", Reason::VrrpThreadSilent);

    async fn ask(&self) -> Result<Arc<driver::Snapshot>, ()> {
        self.snapshot().await.map_err(drop)
    }
}

impl Source for health::Handle {
    type Snapshot = health::Snapshot;
    /// Ten thousand checks are a megabyte to copy, and their results change all the time anyway.
    const MAXIMUM_AGE: Duration = Duration::from_millis(100);
    const FOLLOWS_EVENTS: bool = false;
    const WHO: (&'static str, Reason) = ("the thread of the checks", Reason::ChecksSilent);

    async fn ask(&self) -> Result<Arc<health::Snapshot>, ()> {
        self.snapshot().await.map_err(drop)
    }
}

impl Source for pools::Handle {
    type Snapshot = pools::Snapshot;
    const MAXIMUM_AGE: Duration = Duration::from_millis(20);
    const FOLLOWS_EVENTS: bool = false;
    const WHO: (&'static str, Reason) = ("the task of the pools", Reason::PoolsSilent);

    async fn ask(&self) -> Result<Arc<pools::Snapshot>, ()> {
        self.snapshot().await.map_err(drop)
    }
}

/// Asks, sparingly.
#[derive(Debug)]
pub(crate) struct Snapshots<S: Source = driver::Handle> {
    source: S,
    journal: Arc<Journal>,
    /// Grows with every change, so that nobody gets an answer from before it.
    generation: AtomicU64,
    latest: Mutex<Option<Arc<View<S::Snapshot>>>>,
    asking: tokio::sync::Mutex<()>,
}

/// A snapshot and its place in the history.
#[derive(Debug)]
pub(crate) struct View<T = driver::Snapshot> {
    /// The snapshot contains the effect of every event up to here.
    pub(crate) sequence: u64,
    /// By name.
    pub(crate) snapshot: Arc<T>,
    asked: Instant,
    /// Until the answer.
    took: Duration,
    generation: u64,
}

impl<T> View<T> {
    /// How long the answer took.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }
}

impl View {
    /// The instance of that name.
    pub(crate) fn instance(&self, name: &str) -> Option<&InstanceStatus> {
        self.snapshot.instance(name)
    }
}

impl<S: Source> Snapshots<S> {
    pub(crate) fn new(source: S, journal: Arc<Journal>) -> Self {
        Self {
            source,
            journal,
            generation: AtomicU64::new(0),
            latest: Mutex::new(None),
            asking: Default::default(),
        }
    }

    /// A view not older than a few milliseconds, and not older than any change that was answered before this call, or, of
    /// who follows events, than any event.
    pub(crate) async fn view(&self) -> Result<Arc<View<S::Snapshot>>, Status> {
        self.containing(0).await
    }

    /// The same, and it contains the effect of every event up to `sequence`, which must have been reached.
    pub(crate) async fn containing(&self, sequence: u64) -> Result<Arc<View<S::Snapshot>>, Status> {
        let arrived = Instant::now();
        let suits = |view: &Arc<View<S::Snapshot>>| {
            let is_overtaken = S::FOLLOWS_EVENTS && view.sequence < self.journal.newest();
            let fresh = view.asked >= arrived || !is_overtaken && view.asked.elapsed() <= S::MAXIMUM_AGE;
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
        if let Some(view) =
            self.latest().filter(|view| view.generation == self.generation.load(Ordering::Acquire))
        {
            sleep_until(view.asked + MINIMUM_AGE.max(view.took * 4)).await;
        }
        self.ask().await
    }

    /// Who is asked.
    pub(crate) fn source(&self) -> &S {
        &self.source
    }

    /// Waits for the source's answer to a change; later views contain its effect.
    pub(crate) async fn change<T, E>(&self, answer: impl Future<Output = Result<T, E>>) -> Result<T, Status> {
        let outcome = self.question(answer).await;
        self.generation.fetch_add(1, Ordering::AcqRel);
        outcome
    }

    /// Something was changed past this: later views contain its effect.
    pub(crate) fn outdate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Waits for the source's answer to a question that changes nothing.
    pub(crate) async fn question<T, E>(
        &self,
        answer: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Status> {
        timeout(PATIENCE, answer).await.map_err(|_| silent(S::WHO))?.map_err(|_| stopping())
    }

    async fn ask(&self) -> Result<Arc<View<S::Snapshot>>, Status> {
        let asked = Instant::now();
        let generation = self.generation.load(Ordering::Acquire);
        // Read before asking: what the journal holds now was decided before the answer.
        let sequence = self.journal.newest();
        let answer = timeout(PATIENCE, self.source.ask()).await.map_err(|_| silent(S::WHO))?;
        let snapshot = answer.map_err(|()| stopping())?;
        let view = Arc::new(View { sequence, snapshot, asked, took: asked.elapsed(), generation });
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&view));
        Ok(view)
    }

    fn latest(&self) -> Option<Arc<View<S::Snapshot>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Snapshots {
    /// Carries out a command; later views contain its effect.
    pub(crate) async fn operate(&self, command: OperatorCommand) -> Result<Result<(), Refusal>, Status> {
        self.change(self.source.operate(command)).await
    }
}

fn silent((who, reason): (&str, Reason)) -> Status {
    refuse_for_now(
        reason,
        format!("{who} did not answer within 2 s"),
        "look at the node's load and at the agent's log; whether a change was made is to be read back",
        PATIENCE,
    )
}
