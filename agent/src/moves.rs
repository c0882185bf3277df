//! Planned moves: a drain of the node, a transfer of a virtual router, an orderly stop, and what peers ask of this node. Each
//! holder hands over make before break; the engine keeps the addresses until somebody else has them.
//!
//! ```text
//!   choice.rs     who could take over, and what everybody else says instead
//!   handover.rs   one virtual router, or one sync group, to its successor: asked, else offered to whoever takes over
//!   serve.rs      the other side: a peer asks us to take over, or says that it has released
//!   tell.rs       our own word to the peers when we release without being asked
//! ```

mod choice;
mod handover;
mod serve;
mod tell;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ha_engine::{
    Actor, Cause, DrainCommand, Instant, OperatorAction, OperatorCommand, Refusal, StandingOrder, StateName,
};
use tokio::sync::{Mutex, mpsc};

use crate::driver::{self, Gone, Snapshot};
use crate::journal::Journal;
use crate::{clock, peers};

use choice::Unit;
use handover::Order;

/// How long a successor may take to become Active and to announce; ours need milliseconds.
const ASKED_LIMIT: Duration = Duration::from_secs(1);

/// Beyond the successor's limit: for the way there and back. For so long the holder waits for the answer, and the successor counts
/// the holder's adverts for nothing, each from when it knows of the request: the successor never ends first.
const WAY: Duration = Duration::from_millis(300);

/// Moves things. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    driver: driver::Handle,
    journal: Arc<Journal>,
    peers: peers::Handle,
    /// The last look at the instances, for many that wait at a time.
    latest: Mutex<Option<(Instant, Arc<Snapshot>)>>,
    /// One change at a time: two that cross would ask the same successors.
    turn: Mutex<()>,
}

/// What an operator wants of the node.
#[derive(Clone, Debug)]
pub struct DrainWish {
    /// Free text for colleagues.
    pub reason: Arc<str>,
    /// When it ends by itself.
    pub expires: Option<Instant>,
    /// Whether it is to survive a restart of the agent.
    pub survives: bool,
    /// Who wants it.
    pub actor: Arc<Actor>,
    /// Refuse when the drain is no longer at this revision.
    pub expected_revision: Option<u64>,
    /// Drain although nobody takes over: what nobody wants stays here, at the priority of a last resort.
    pub allow_no_successor: bool,
    /// Say what would be, change nothing.
    pub dry_run: bool,
}

impl DrainWish {
    /// As it will be in force, from now on.
    pub(crate) fn drain(&self) -> StandingOrder {
        StandingOrder {
            reason: Arc::clone(&self.reason),
            actor: Arc::clone(&self.actor),
            since: clock::now(),
            expires: self.expires,
            survives: self.survives,
        }
    }
}

/// What an operator wants of a virtual router.
#[derive(Clone, Debug)]
pub struct TransferWish {
    /// Its instance here.
    pub instance: Arc<str>,
    /// The peer that shall have it; `None` = the best.
    pub to: Option<Arc<str>>,
    /// Free text for colleagues.
    pub reason: Arc<str>,
    /// When this node may preempt again; `None` = when it becomes Active or an operator says so.
    pub expires: Option<Instant>,
    /// Who wants it.
    pub actor: Arc<Actor>,
    /// Refuse when the instance's intent is no longer at this revision.
    pub expected_revision: Option<u64>,
    /// Say what would be, change nothing.
    pub dry_run: bool,
}

/// What became of a virtual router, or of a sync group, that was to be moved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Move {
    /// Its instances here; several for a sync group.
    pub instances: Vec<Arc<str>>,
    /// What became of it.
    pub outcome: Outcome,
    /// The peer that has it now, or would; `None` = whoever takes over.
    pub successor: Option<Arc<str>>,
    /// Where the successor's adverts come from.
    pub address: Option<IpAddr>,
    /// Who was asked and what each said; empty when there is nothing to say.
    pub detail: String,
}

/// What became of a move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was only planned.
    Planned,
    /// Somebody else has it, and this node has withdrawn.
    Moved,
    /// It is where it was.
    Kept,
}

/// Why nothing was moved.
#[derive(Debug)]
pub enum MoveError {
    /// The agent is ending.
    Gone,
    /// The engine says no.
    Refused(Refusal),
    /// Nobody takes over: what was asked and said, for each that stays.
    NoSuccessor(Vec<Move>),
}

impl From<Gone> for MoveError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// One clause for a human: `web: node-b is drained; nobody answered priority 0 within 1.1s`.
impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.instances.join(", "), self.detail)
    }
}

impl Handle {
    /// A handle. Peers are not heard before [`Self::serve`].
    pub fn new(driver: driver::Handle, journal: Arc<Journal>, peers: peers::Handle) -> Self {
        let shared = Shared { driver, journal, peers, latest: Mutex::default(), turn: Mutex::default() };
        Self { shared: Arc::new(shared) }
    }

    /// Does from now on what peers ask, and tells them what they must know. Call inside the main runtime.
    pub fn serve(&self, words: mpsc::Receiver<peers::Incoming>) {
        // Both end with the process, or when nobody can say anything any more.
        tokio::spawn(serve::serve(Arc::clone(&self.shared), words));
        tokio::spawn(tell::tell(Arc::clone(&self.shared)));
    }

    /// Drains the node: its priorities fall to 1 and everything Active here is handed over. Refused, with everything as it was,
    /// when nobody takes something over and that is not allowed.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn drain(&self, wish: DrainWish) -> Result<Vec<Move>, MoveError> {
        let _turn = self.shared.turn.lock().await;
        let order = Order {
            cause: Cause::AdminDrain,
            actor: Arc::clone(&wish.actor),
            hold: None,
            to: None,
            limit: ASKED_LIMIT,
            ends: None,
        };
        let before = self.shared.snapshot().await?;
        self.shared.set_drain(Some(wish.drain()), &wish.actor, wish.expected_revision, wish.dry_run).await?;
        if wish.dry_run {
            return Ok(choice::units(&before).iter().map(|unit| self.shared.plan(unit, None)).collect());
        }
        // Only now: until the drain was in force, another node's drain could make this one Active.
        let units = choice::units(&*self.shared.snapshot().await?);
        let moves = join_all(units.iter().map(|unit| self.shared.hand_over(unit, &order))).await;
        let kept: Vec<Move> = moves.iter().filter(|one| one.outcome == Outcome::Kept).cloned().collect();
        if kept.is_empty() || wish.allow_no_successor {
            return Ok(moves);
        }
        // An earlier drain goes on; without one, what was moved comes back as VRRP says.
        self.shared.set_drain(before.drain.as_deref().cloned(), &wish.actor, None, false).await?;
        Err(MoveError::NoSuccessor(kept))
    }

    /// Ends a drain; succeeds also when there is none. What others hold comes back as VRRP says.
    ///
    /// # Errors
    /// [`MoveError::Refused`] when somebody changed the drain meanwhile.
    pub async fn undrain(
        &self,
        actor: Arc<Actor>,
        expected_revision: Option<u64>,
        dry_run: bool,
    ) -> Result<(), MoveError> {
        let _turn = self.shared.turn.lock().await;
        self.shared.set_drain(None, &actor, expected_revision, dry_run).await
    }

    /// Gives a virtual router, with its sync group, to somebody else, who keeps it although this node is better.
    ///
    /// # Errors
    /// [`MoveError`]; [`Refusal::NotActive`] when it is not Active here.
    pub async fn transfer(&self, wish: TransferWish) -> Result<Move, MoveError> {
        let _turn = self.shared.turn.lock().await;
        let snapshot = self.shared.snapshot().await?;
        let unit = check_transfer(&snapshot, &wish).map_err(MoveError::Refused)?;
        let plan = self.shared.plan(&unit, wish.to.as_ref());
        if plan.outcome == Outcome::Kept {
            return Err(MoveError::NoSuccessor(vec![plan]));
        }
        if wish.dry_run {
            return Ok(plan);
        }
        let hold = StandingOrder {
            reason: Arc::clone(&wish.reason),
            actor: Arc::clone(&wish.actor),
            since: clock::now(),
            expires: wish.expires,
            survives: false,
        };
        let order = Order {
            cause: Cause::AdminTransfer,
            actor: wish.actor,
            hold: Some(hold),
            to: wish.to,
            limit: ASKED_LIMIT,
            ends: None,
        };
        let outcome = self.shared.hand_over(&unit, &order).await;
        if outcome.outcome == Outcome::Moved {
            Ok(outcome)
        } else {
            Err(MoveError::NoSuccessor(vec![outcome]))
        }
    }

    /// Lets an instance preempt again after a transfer; succeeds also when nothing keeps it.
    ///
    /// # Errors
    /// [`MoveError::Refused`].
    pub async fn end_hold(
        &self,
        instance: Arc<str>,
        actor: Arc<Actor>,
        expected_revision: Option<u64>,
        dry_run: bool,
    ) -> Result<(), MoveError> {
        let action = OperatorAction::EndHold;
        let command = OperatorCommand { instance, action, actor, expected_revision, dry_run };
        self.shared.driver.operate(command).await?.map_err(MoveError::Refused)
    }

    /// Hands over everything that is Active here, as far as that goes within `limit`: the agent is about to end.
    pub async fn stop(&self, limit: Duration) -> Vec<Move> {
        let Ok(snapshot) = self.shared.snapshot().await else { return Vec::new() };
        let order = Order {
            cause: Cause::AgentStop,
            actor: Arc::default(),
            hold: None,
            to: None,
            limit: limit / 2,
            ends: Some(clock::now().after(limit)),
        };
        let units = choice::units(&snapshot);
        join_all(units.iter().map(|unit| self.shared.hand_over(unit, &order))).await
    }
}

impl Shared {
    /// How everything stands; a look serves all who ask within a millisecond after it was begun.
    async fn snapshot(&self) -> Result<Arc<Snapshot>, Gone> {
        const SHARED: Duration = Duration::from_millis(1);
        let arrived = clock::now();
        // Cancelled here or below when the caller leaves; the next in line looks instead.
        let mut latest = self.latest.lock().await;
        if let Some((begun, snapshot)) = &*latest
            && *begun >= arrived
            && clock::now().since(*begun) <= SHARED
        {
            return Ok(Arc::clone(snapshot));
        }
        let begun = clock::now();
        let snapshot = self.driver.snapshot().await?;
        *latest = Some((begun, Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    /// Looks again each time something happened, until `done` knows; `None` when the limit has come, or the agent ends.
    async fn look<T>(&self, until: Instant, done: impl Fn(&Snapshot) -> Option<T>) -> Option<T> {
        /// Also without news: what is waited for may have happened between two looks.
        const PAUSE: Duration = Duration::from_millis(20);
        let mut changes = self.journal.changes();
        loop {
            changes.mark_unchanged();
            if let Some(found) = done(&*self.snapshot().await.ok()?) {
                return Some(found);
            }
            let left = until.since(clock::now());
            if left.is_zero() {
                return None;
            }
            // Cancelled by the pause: the next look sees what happened.
            let _ = tokio::time::timeout(PAUSE.min(left), changes.changed()).await;
        }
    }

    async fn set_drain(
        &self,
        drain: Option<StandingOrder>,
        actor: &Arc<Actor>,
        expected_revision: Option<u64>,
        dry_run: bool,
    ) -> Result<(), MoveError> {
        let command = DrainCommand { drain, actor: Arc::clone(actor), expected_revision, dry_run };
        self.driver.drain(command).await?.map_err(MoveError::Refused)
    }
}

fn check_transfer(snapshot: &Snapshot, wish: &TransferWish) -> Result<Unit, Refusal> {
    let status = snapshot.instance(&wish.instance).ok_or(Refusal::UnknownInstance)?;
    if wish.expected_revision.is_some_and(|expected| expected != status.revision) {
        return Err(Refusal::RevisionMismatch { current: status.revision });
    }
    if status.state != StateName::Active {
        return Err(Refusal::NotActive);
    }
    Ok(choice::unit_of(snapshot, status))
}
