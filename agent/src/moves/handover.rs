//! One virtual router, or one sync group, to its successor. The best peer is asked; when none can be, or none answers, the
//! addresses are offered: priority 0 goes out and they stay here until somebody else's advert is heard.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use ha_engine::{
    Actor, Cause, Handover, InstanceStatus, Instant, OperatorAction, OperatorCommand, Refusal, SETTLE,
    StandingOrder, StateName, Version, Way,
};

use super::choice::{Candidate, Choice, Unit};
use super::{Move, Outcome, Shared, WAY};
use crate::clock;
use crate::driver::Snapshot;
use crate::peers::{RouterKey, TakeOverRequest};

/// What is wanted of a unit.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// Why: that of the state change.
    pub(super) cause: Cause,
    pub(super) actor: Arc<Actor>,
    pub(super) hold: Option<StandingOrder>,
    /// This peer and nobody else.
    pub(super) to: Option<Arc<str>>,
    /// How long a successor may take.
    pub(super) limit: Duration,
    /// When everything must be over.
    pub(super) ends: Option<Instant>,
}

/// Peers that are asked one after the other.
const MOST_ASKED: usize = 3;

/// How a try ended.
enum Try {
    Moved(IpAddr),
    /// Not here any more, or never was: nothing to do.
    NotActive,
    /// Why it stays.
    Kept(String),
}

impl Shared {
    /// Moves a unit, or leaves it where it is.
    pub(super) async fn hand_over(&self, unit: &Unit, order: &Order) -> Move {
        let mut choice = unit.choose(&self.peers.view());
        choice.candidates.retain(|one| order.to.as_ref().is_none_or(|to| one.peer == *to));
        let Choice { candidates, others: mut said } = choice;
        for candidate in candidates.iter().take(MOST_ASKED) {
            match self.ask(unit, order, candidate).await {
                Try::Kept(why) => said.push(format!("{} did not take over: {why}", candidate.peer)),
                done => return unit.outcome(done, Some(candidate), &said),
            }
        }
        if order.to.is_some() {
            return unit.outcome(Try::Kept("nobody else was asked".to_owned()), None, &said);
        }
        let done = self.offer(unit, order).await;
        unit.outcome(done, None, &said)
    }

    /// Make before break, by asking a peer of ours.
    async fn ask(&self, unit: &Unit, order: &Order, candidate: &Candidate) -> Try {
        let limit = order.ends.map_or(order.limit, |ends| order.limit.min(ends.since(clock::now())));
        let begun = clock::now();
        let way = Way::Asked { to: candidate.address };
        if let Err(refusal) = self.begin(unit, order, way, begun.after(limit + WAY)).await {
            return refusal;
        }
        let asked = unit.members.iter().filter_map(|member| request(member, order, limit));
        let answers = join_all(asked.map(|request| self.peers.take_over(&candidate.peer, request))).await;
        if let Some(refusal) = answers.into_iter().find_map(Result::err) {
            return Try::Kept(refusal.to_string());
        }
        match self.operate(unit, order, OperatorAction::Withdraw { successor: candidate.address }).await {
            Ok(()) => Try::Moved(candidate.address),
            // It took over, and its answer came too late: VRRP decides between the two.
            Err(refusal) => refusal,
        }
    }

    /// Make before break with whoever takes over.
    async fn offer(&self, unit: &Unit, order: &Order) -> Try {
        let patience = unit.patience();
        let begun = clock::now();
        let until = order.ends.map_or(begun.after(patience), |ends| ends.min(begun.after(patience)));
        if until <= begun {
            return Try::Kept("no time was left to offer it to others".to_owned());
        }
        if let Err(refusal) = self.begin(unit, order, Way::Offered, until).await {
            return refusal;
        }
        let name = unit.name();
        // The engine ends it, one way or the other.
        let ended = self.look(until.after(SETTLE + WAY), |snapshot| ended(snapshot, &name)).await;
        match ended.flatten() {
            Some(successor) => Try::Moved(successor),
            None => Try::Kept(format!("nobody answered priority 0 within {:.1?}", until.since(begun))),
        }
    }

    async fn begin(&self, unit: &Unit, order: &Order, way: Way, until: Instant) -> Result<(), Try> {
        let wish = Handover { way, until, cause: order.cause, hold: order.hold.clone() };
        self.operate(unit, order, OperatorAction::Handover(wish)).await
    }

    async fn operate(&self, unit: &Unit, order: &Order, action: OperatorAction) -> Result<(), Try> {
        let command = OperatorCommand {
            instance: unit.name(),
            action,
            actor: Arc::clone(&order.actor),
            expected_revision: None,
            dry_run: false,
        };
        match self.driver.operate(command).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Refusal::NotActive | Refusal::UnknownInstance)) => Err(Try::NotActive),
            Ok(Err(Refusal::NotHandingOver)) => Err(Try::Kept("it answered too late".to_owned())),
            Ok(Err(refusal)) => Err(Try::Kept(format!("the engine refused it: {refusal:?}"))),
            Err(gone) => Err(Try::Kept(gone.to_string())),
        }
    }
}

impl Unit {
    /// The engine moves the whole group whichever member is named.
    fn name(&self) -> Arc<str> {
        self.names().next().cloned().unwrap_or_default()
    }

    /// How long the worst Backup waits after priority 0 (Skew_Time of priority 1), and a little more.
    fn patience(&self) -> Duration {
        const MARGIN: Duration = Duration::from_millis(100);
        let longest = self.members.iter().map(|member| {
            let interval = member.config.interval.duration();
            // Skew_Time of VRRPv2 does not depend on the interval: at most a second (RFC 3768 §6.1).
            if member.config.version() == Version::V2 { Duration::from_secs(1) } else { interval }
        });
        longest.max().unwrap_or_default() + MARGIN
    }

    fn outcome(&self, done: Try, candidate: Option<&Candidate>, said: &[String]) -> Move {
        let (outcome, address, why) = match done {
            Try::Moved(address) => (Outcome::Moved, Some(address), None),
            Try::NotActive => (Outcome::Moved, None, Some("was no longer Active here".to_owned())),
            Try::Kept(why) => (Outcome::Kept, None, Some(why)),
        };
        let successor = candidate.filter(|_| address.is_some()).map(|candidate| Arc::clone(&candidate.peer));
        let detail: Vec<&str> = said.iter().chain(&why).map(String::as_str).collect();
        let instances = self.names().cloned().collect();
        Move { instances, outcome, successor, address, detail: detail.join("; ") }
    }
}

fn request(member: &InstanceStatus, order: &Order, limit: Duration) -> Option<TakeOverRequest> {
    Some(TakeOverRequest {
        router: RouterKey::of(&member.config),
        holder: member.source?,
        limit,
        cause: order.cause,
        actor: Arc::clone(&order.actor),
    })
}

/// Whether an offer has ended: `Some(None)` when the instance stayed Active.
fn ended(snapshot: &Snapshot, name: &str) -> Option<Option<IpAddr>> {
    let Some(status) = snapshot.instance(name) else { return Some(None) };
    match status.state {
        StateName::Active if status.handing_over => None,
        StateName::Active => Some(None),
        _ => Some(status.evidence.peer.or(status.last_advert.map(|last| last.source))),
    }
}
