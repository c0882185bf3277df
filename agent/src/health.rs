//! Health checks beside the `vrrp` thread: a thread of its own runs attempts, watches and remedies for the engine's
//! [`ha_engine::Monitor`], and hands changes of verdicts to whoever acts on them. This is that thread from outside.
//!
//! ```text
//!             Run, Watch, RunRemedy                    attempts, watches, commands (ha-probe)
//!   Monitor ────────────────────────► Jobs ◄──────────────────────────────────────────────────
//!      │  ▲                             │
//!      │  └─────────────────────────────┘ Ended, RemedyEnded
//!      └──► Event: journal     Fact: vrrp thread, pools     Answer: who asked
//! ```

mod act;
mod asked;
mod compile;
mod equipment;
mod jobs;
mod outlet;
mod run;
mod shown;
mod statistics;
mod thread;
mod translate;

use std::sync::Arc;

use ha_engine::{Actor, CheckRefusal, CheckStatus, Instant, StandingOrder};
use ha_probe::Attempt;
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::distribution::Distribution;

pub use compile::{Check, Environment, Unusable, compile};
pub use outlet::Outlets;
pub(crate) use statistics::said;
pub use statistics::{DURATIONS, Durations};
pub use thread::{Start, start};

/// Asks the checks' thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    requests: mpsc::Sender<Request>,
}

/// The checks' thread has ended; the agent is about to end too.
#[derive(Debug, thiserror::Error)]
#[error("the thread of the checks has ended")]
pub struct Gone;

/// What can be asked; each is answered once.
#[derive(Debug)]
pub enum Request {
    /// How everything stands.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// How one check stands, by the name of its fact; `None` = there is no such check.
    Check(Arc<str>, oneshot::Sender<Option<CheckView>>),
    /// An operator's command; answered with the check as it stands then, or as it would.
    Operate(Command, oneshot::Sender<Result<CheckView, CheckRefusal>>),
    /// An attempt now, told step by step; dropped unanswered when the check is removed meanwhile.
    RunNow(Arc<str>, oneshot::Sender<Result<Asked, CheckRefusal>>),
    /// All checks from now on, compiled.
    Reconfigure(Arc<[Check]>, oneshot::Sender<()>),
    /// End everything that runs; answered when no command is left.
    Stop(oneshot::Sender<()>),
}

/// What an operator wants of a check.
#[derive(Clone, Debug)]
pub struct Command {
    /// Which, by the name of its fact.
    pub check: Arc<str>,
    /// What.
    pub action: Action,
    /// Who.
    pub actor: Arc<Actor>,
    /// Check and answer, change nothing.
    pub dry_run: bool,
}

/// What an operator does to a check.
#[derive(Clone, Debug)]
pub enum Action {
    /// Freeze its verdict.
    Mute {
        /// Free text for colleagues.
        reason: Arc<str>,
        /// When it ends by itself; `None` = when unmuted.
        expires: Option<Instant>,
        /// Whether it is to survive a restart of the agent.
        survives: bool,
    },
    /// Let results count again.
    Unmute,
}

/// What became of an attempt that was asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// When it began.
    pub began: Instant,
    /// What it found, step by step.
    pub attempt: Attempt,
    /// The check after it.
    pub check: CheckView,
}

/// A check as it stands.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// What the monitor says.
    pub status: CheckStatus,
    /// The word in the configuration.
    pub kind: &'static str,
    /// What it looks at, for people.
    pub target: Arc<str>,
}

/// How everything stands, at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Instant,
    /// By name.
    pub checks: Vec<CheckView>,
    /// How long attempts took since the agent started.
    pub durations: Durations,
    /// How late the thread saw that something was due.
    pub delays: Distribution,
    /// Attempts, watches and commands that are under way.
    pub under_way: usize,
    /// How many may be.
    pub places: usize,
}

impl CheckView {
    /// As it would stand after a command that was checked and not carried out.
    pub(crate) fn would_be(&mut self, command: Command) {
        self.status.mute = match command.action {
            Action::Mute { reason, expires, survives } => {
                Some(StandingOrder { reason, actor: command.actor, since: clock::now(), expires, survives })
            }
            Action::Unmute => None,
        };
    }
}

impl Snapshot {
    /// The check of that name.
    pub fn check(&self, name: &str) -> Option<&CheckView> {
        let place = self.checks.binary_search_by(|view| (*view.status.policy.name).cmp(name)).ok()?;
        self.checks.get(place)
    }
}

impl Handle {
    /// A handle and the end that the thread reads; requests that do not fit wait at the asker's.
    pub fn new() -> (Self, mpsc::Receiver<Request>) {
        const WAITING: usize = 256;
        let (requests, receiver) = mpsc::channel(WAITING);
        (Self { requests }, receiver)
    }

    /// How everything stands now.
    ///
    /// # Errors
    /// [`Gone`] when the thread has ended.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, Gone> {
        self.ask(Request::Snapshot).await
    }

    /// How one check stands.
    ///
    /// # Errors
    /// [`Gone`] when the thread has ended.
    pub async fn check(&self, name: &str) -> Result<Option<CheckView>, Gone> {
        self.ask(|reply| Request::Check(name.into(), reply)).await
    }

    /// Carries out an operator's command.
    ///
    /// # Errors
    /// [`Gone`] when the thread has ended; inside, the engine's [`CheckRefusal`].
    pub async fn operate(&self, command: Command) -> Result<Result<CheckView, CheckRefusal>, Gone> {
        self.ask(|reply| Request::Operate(command, reply)).await
    }

    /// Tries once, now, or right after what is under way.
    ///
    /// # Errors
    /// [`Gone`] when the thread has ended or the check was removed meanwhile; inside, the engine's [`CheckRefusal`].
    pub async fn run_now(&self, name: &str) -> Result<Result<Asked, CheckRefusal>, Gone> {
        self.ask(|reply| Request::RunNow(name.into(), reply)).await
    }

    /// Puts checks in force; those that did not change are not touched.
    ///
    /// # Errors
    /// [`Gone`] when the thread has ended.
    pub async fn reconfigure(&self, checks: Arc<[Check]>) -> Result<(), Gone> {
        self.ask(|reply| Request::Reconfigure(checks, reply)).await
    }

    /// Ends everything that runs.
    ///
    /// # Errors
    /// [`Gone`] when the thread has ended.
    pub async fn stop(&self) -> Result<(), Gone> {
        self.ask(Request::Stop).await
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
