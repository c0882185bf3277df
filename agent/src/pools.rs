//! Server pools beside the checks: a task owns the engine's [`ha_engine::Pools`], hears what the checks find, and has the
//! balancers use what the pools want. This is that task from outside.
//!
//! ```text
//!   checks ──Fact──► Pools ──Desired──► Balance (one reload for all, paced) ──► nginx
//!   journal ─states─►  │  ▲                              │
//!                      │  └───────── Balanced ───────────┘
//!                      └──► Event: journal    Fact: vrrp thread    Answer: who asked
//! ```

mod balance;
mod instances;
mod run;

use std::sync::Arc;

use ha_config::{Nginx, Pool};
use ha_engine::{Actor, Instant, PoolRefusal, PoolStatus};
use tokio::sync::{mpsc, oneshot};

pub use run::{Start, run};

/// What the configuration says of pools and of what balances them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// In the order of the file.
    pub pools: Vec<Pool>,
    /// The nginx of this node.
    pub nginx: Nginx,
}

/// Asks the pools' task. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
}

/// The pools' task has ended; the agent is about to end too.
#[derive(Debug, thiserror::Error)]
#[error("the task of the pools has ended")]
pub struct Gone;

/// What can be asked; each is answered once.
#[derive(Debug)]
pub enum Request {
    /// How everything stands.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// An operator's command; answered with the pool as it stands then.
    Operate(Command, oneshot::Sender<Result<PoolView, PoolRefusal>>),
    /// All pools from now on.
    Reconfigure(Box<Wanted>, oneshot::Sender<()>),
}

/// What an operator wants of a server.
#[derive(Clone, Debug)]
pub struct Command {
    /// Of which pool.
    pub pool: Arc<str>,
    /// Which.
    pub server: Arc<str>,
    /// What.
    pub action: Action,
    /// Who.
    pub actor: Arc<Actor>,
    /// Check and answer, change nothing.
    pub dry_run: bool,
}

/// What an operator does to a server.
#[derive(Clone, Debug)]
pub enum Action {
    /// Take it out.
    Drain {
        /// Free text for colleagues.
        reason: Arc<str>,
        /// When it ends by itself; `None` = when undrained.
        expires: Option<Instant>,
        /// Whether it is to survive a restart of the agent.
        survives: bool,
        /// Although too few servers would be left.
        allow_below_floor: bool,
    },
    /// Put it back.
    Undrain,
}

/// A pool as it stands.
#[derive(Clone, Debug)]
pub struct PoolView {
    /// What the engine says.
    pub status: PoolStatus,
    /// What balances it: "nginx"; `None` = nothing.
    pub backend: Option<&'static str>,
}

/// How everything stands, at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// By name.
    pub pools: Vec<PoolView>,
}

impl Snapshot {
    /// The pool of that name.
    pub fn pool(&self, name: &str) -> Option<&PoolView> {
        let place = self.pools.binary_search_by(|view| (*view.status.config.name).cmp(name)).ok()?;
        self.pools.get(place)
    }
}

impl Handle {
    /// A handle and the end that the task reads; requests that do not fit wait at the asker's.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        const WAITING: usize = 64;
        let (requests, receiver) = mpsc::channel(WAITING);
        (Self { requests }, receiver)
    }

    /// How everything stands now.
    ///
    /// # Errors
    /// [`Gone`] when the task has ended.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Gone> {
        self.ask(Request::Snapshot).await
    }

    /// Carries out an operator's command.
    ///
    /// # Errors
    /// [`Gone`] when the task has ended; inside, the engine's [`PoolRefusal`].
    pub async fn operate(&self, command: Command) -> Result<Result<PoolView, PoolRefusal>, Gone> {
        self.ask(|reply| Request::Operate(command, reply)).await
    }

    /// Puts pools in force; those that did not change are not touched.
    ///
    /// # Errors
    /// [`Gone`] when the task has ended.
    pub async fn reconfigure(&self, wanted: Wanted) -> Result<(), Gone> {
        self.ask(|reply| Request::Reconfigure(Box::new(wanted), reply)).await
    }

    /// Requests that wait, and how many may.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let most = self.requests.max_capacity();
        (most - self.requests.capacity(), most)
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, Gone> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}
