//! The drain of the node: one wish for all instances, those that a reload brings too.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::Engine;
use crate::event::{Actor, Cause, Event, EventKind, Evidence, MoveEvent, Subject};
use crate::input::Refusal;
use crate::moves::DrainCommand;
use crate::order::StandingOrder;
use crate::output::Effect;
use crate::units::Instant;

/// The drain in force, if there is one.
#[derive(Debug, Default)]
pub(super) struct Drain {
    wish: Option<Arc<StandingOrder>>,
    /// Grows with each change.
    revision: u64,
}

impl Drain {
    pub(super) fn in_force(&self) -> Option<Arc<StandingOrder>> {
        self.wish.clone()
    }

    pub(super) fn expires(&self) -> Option<Instant> {
        self.wish.as_ref().and_then(|drain| drain.expires)
    }
}

impl Engine {
    /// The drain in force, and the revision of that wish, which grows with each change.
    pub fn drain(&self) -> (Option<Arc<StandingOrder>>, u64) {
        (self.drain.in_force(), self.drain.revision)
    }

    pub(super) fn on_drain(&mut self, now: Instant, command: &DrainCommand) {
        let answer = self.check_drain(command);
        if answer.is_ok() && !command.dry_run {
            let cause = if command.drain.is_some() { Cause::AdminDrain } else { Cause::AdminUndrain };
            self.set_drain(now, command.drain.clone().map(Arc::new), cause, Some(Arc::clone(&command.actor)));
        }
        self.effects.push(Effect::Answer(answer));
    }

    /// Of an earlier process of the agent, before there are instances: told then, and not again.
    pub(super) fn inherit_drain(&mut self, now: Instant, drain: Option<&StandingOrder>) {
        let wish = drain.filter(|drain| drain.lasts(now)).cloned().map(Arc::new);
        self.drain = Drain { revision: self.drain.revision + u64::from(wish.is_some()), wish };
    }

    fn check_drain(&self, command: &DrainCommand) -> Result<(), Refusal> {
        let current = self.drain.revision;
        match command.expected_revision {
            Some(expected) if expected != current => Err(Refusal::RevisionMismatch { current }),
            _ => Ok(()),
        }
    }

    pub(super) fn expire_drain(&mut self, now: Instant) {
        if self.drain.expires().is_some_and(|at| at <= now) {
            self.set_drain(now, None, Cause::OverrideExpired, None);
        }
    }

    /// Nothing happens when there is no drain and none is wanted.
    fn set_drain(
        &mut self,
        now: Instant,
        wish: Option<Arc<StandingOrder>>,
        cause: Cause,
        actor: Option<Arc<Actor>>,
    ) {
        if wish.is_none() && self.drain.wish.is_none() {
            return;
        }
        self.drain = Drain { wish: wish.clone(), revision: self.drain.revision + 1 };
        let kind = EventKind::Move(match &wish {
            Some(drain) => MoveEvent::Drained {
                reason: Arc::clone(&drain.reason),
                lasts: drain.expires.map(|at| at.since(now)),
            },
            None => MoveEvent::Undrained,
        });
        let (subject, evidence) = (Subject::Node, Evidence::default());
        let event = Event { at: now, subject, kind, cause, evidence, actor: actor.clone() };
        self.effects.push(Effect::Event(Box::new(event)));
        for id in self.ids_where(|_| true) {
            let (drained, actor) = (wish.is_some(), actor.clone());
            self.with(now, id, |instance, sink| instance.set_drain(sink, drained, cause, actor));
        }
    }
}
