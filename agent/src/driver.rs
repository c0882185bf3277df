//! The `vrrp` thread from outside: a handle to ask it, and the notices that it sends. Nothing here can make it wait.

mod effects;
mod outbox;
mod ports;
mod run;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ha_engine::{
    Discard, DrainCommand, Event, Inheritance, InstanceConfig, InstanceStatus, Instant, OperatorCommand,
    PeerWord, Refusal, StandingOrder,
};
use tokio::sync::{mpsc, oneshot};

use crate::distribution::Distribution;

pub use thread::{Inbox, Started, start};

/// Asks the `vrrp` thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
}

/// The `vrrp` thread has ended; the agent is about to end too.
#[derive(Debug, thiserror::Error)]
#[error("the vrrp thread has ended")]
pub struct Gone;

/// What can be asked or told; each question is answered once.
#[derive(Debug)]
pub enum Request {
    /// How everything stands.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// Whether it runs.
    Ping(oneshot::Sender<()>),
    /// An operator's command.
    Operate(OperatorCommand, oneshot::Sender<Result<(), Refusal>>),
    /// A drain of the node begins or ends.
    Drain(DrainCommand, oneshot::Sender<Result<(), Refusal>>),
    /// What another node says.
    PeerWord(PeerWord),
    /// A new configuration, whole and valid.
    Reconfigure(Arc<[InstanceConfig]>, oneshot::Sender<()>),
    /// Release everything; answered when the last advert has left.
    Stop(oneshot::Sender<()>),
    /// Leave everything for the next process; answered when the last advert has left.
    Leave(oneshot::Sender<Inheritance>),
}

/// How everything stands, at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// The drain in force.
    pub drain: Option<Arc<StandingOrder>>,
    /// The revision of that wish, which grows with each change.
    pub drain_revision: u64,
    /// By name.
    pub instances: Vec<InstanceStatus>,
    /// Packets that belong to no instance, by link name and reason, and how many; only reasons that occurred.
    pub discarded: Vec<(Arc<str>, Discard, u64)>,
    /// How late the driver woke from its timed waits.
    pub lateness: Distribution,
    /// What waited for the driver, and for those that it tells.
    pub waiting: Waiting,
}

/// How full the queues of the `vrrp` thread were, with their bounds: waiting, capacity.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Waiting {
    /// Requests of the main runtime.
    pub requests: (usize, usize),
    /// Reports of the dataplane.
    pub reports: (usize, usize),
    /// Facts of checks and pools.
    pub facts: (usize, usize),
    /// Events that the journal has not taken yet.
    pub events: (usize, usize),
}

/// The receiving end of the driver's events: bounded; what did not fit is counted.
#[derive(Debug)]
pub struct Notices {
    /// In the order of the engine's decisions.
    pub events: mpsc::Receiver<Box<Event>>,
    /// Events that were dropped because nobody took them in time.
    pub lost: Arc<AtomicU64>,
}

impl Notices {
    /// How many events were dropped since the last call.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

impl Snapshot {
    /// The instance of that name.
    pub fn instance(&self, name: &str) -> Option<&InstanceStatus> {
        let place = self.instances.binary_search_by(|status| (*status.config.name).cmp(name)).ok()?;
        self.instances.get(place)
    }
}

impl Handle {
    /// A handle and the end that the driver reads; requests that do not fit wait at the asker's.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        const WAITING: usize = 1024;
        let (requests, receiver) = mpsc::channel(WAITING);
        (Self { requests }, receiver)
    }

    /// How everything stands now.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Gone> {
        self.ask(Request::Snapshot).await
    }

    /// Returns as soon as the driver has had its turn: proof that it runs.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended.
    pub async fn ping(&self) -> Result<(), Gone> {
        self.ask(Request::Ping).await
    }

    /// Carries out an operator's command.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended; inside, the engine's [`Refusal`].
    pub async fn operate(&self, command: OperatorCommand) -> Result<Result<(), Refusal>, Gone> {
        self.ask(|reply| Request::Operate(command, reply)).await
    }

    /// Begins or ends a drain of the node.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended; inside, the engine's [`Refusal`].
    pub async fn drain(&self, command: DrainCommand) -> Result<Result<(), Refusal>, Gone> {
        self.ask(|reply| Request::Drain(command, reply)).await
    }

    /// Hands over what another node says.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended.
    pub async fn tell(&self, word: PeerWord) -> Result<(), Gone> {
        self.requests.send(Request::PeerWord(word)).await.map_err(|_| Gone)
    }

    /// Puts a configuration in force.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended.
    pub async fn reconfigure(&self, instances: Arc<[InstanceConfig]>) -> Result<(), Gone> {
        self.ask(|reply| Request::Reconfigure(instances, reply)).await
    }

    /// Releases everything.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended.
    pub async fn stop(&self) -> Result<(), Gone> {
        self.ask(Request::Stop).await
    }

    /// Leaves everything as it is for the next process, and says what that must know.
    ///
    /// # Errors
    /// [`Gone`] when the driver has ended.
    pub async fn leave(&self) -> Result<Inheritance, Gone> {
        self.ask(Request::Leave).await
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}
