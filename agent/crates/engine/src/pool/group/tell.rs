//! What is told of a pool and its servers.

use alloc::format;
use alloc::sync::Arc;
use core::time::Duration;

use super::{Because, Pool, Sink};
use crate::event::{Event, EventKind, Evidence, PoolEvent, Subject};
use crate::track::Verdict;

/// Servers that fail within this time of each other fail at once.
pub const MASS_FAILURE_WINDOW: Duration = Duration::from_secs(10);

impl Pool {
    /// Records something about the pool.
    pub(super) fn tell(&self, sink: &mut Sink<'_>, kind: PoolEvent, because: &Because) {
        let subject = Subject::Pool(Arc::clone(&self.config.name));
        let (evidence_subject, detail) = because.fact.clone().unzip();
        let evidence = Evidence { subject: evidence_subject, detail, ..Evidence::default() };
        let (cause, actor) = (because.cause, because.actor.clone());
        self.record(
            sink,
            Event { at: sink.now, subject, kind: EventKind::Pool(kind), cause, evidence, actor },
        );
    }

    /// Records something about a server, with the check that fails, or else the one that changed.
    pub(super) fn tell_of(&self, sink: &mut Sink<'_>, place: usize, kind: PoolEvent, because: &Because) {
        let Some(server) = self.servers.get(place) else { return };
        let subject = Subject::Server(Arc::clone(&self.config.name), Arc::clone(&server.config.name));
        let concerns = |fact: &(Arc<str>, Arc<str>)| server.config.checks.contains(&fact.0);
        let fact = server.culprit.clone().or_else(|| because.fact.clone().filter(concerns));
        let (evidence_subject, detail) = fact.unzip();
        let evidence = Evidence { subject: evidence_subject, detail, ..Evidence::default() };
        let (cause, actor) = (because.cause, because.actor.clone());
        self.record(
            sink,
            Event { at: sink.now, subject, kind: EventKind::Pool(kind), cause, evidence, actor },
        );
    }

    /// Half of the servers failing together have something in common. Told once until it is less than half again.
    pub(super) fn tell_mass_failure(&mut self, sink: &mut Sink<'_>, because: &Because) {
        let total = self.servers.len();
        let failing = || self.servers.iter().filter(|server| server.health == Verdict::Failing);
        if failing().count() * 2 < total {
            self.is_mass_told = false;
        }
        let failed = failing().filter(|server| sink.now.since(server.failed) <= MASS_FAILURE_WINDOW).count();
        if self.is_mass_told || failed < 2 || failed * 2 < total {
            return;
        }
        self.is_mass_told = true;
        let (failed, total) = (count(failed), count(total));
        self.tell(sink, PoolEvent::MassFailure { failed, total }, because);
    }

    /// The floor is reached when the first failing server is kept, and left when none is.
    pub(super) fn tell_floor(&self, sink: &mut Sink<'_>, kept_before: usize, because: &Because) {
        let event = match (kept_before, self.kept) {
            (0, 0) => return,
            (0, kept) => {
                let failing = self.servers.iter().filter(|server| server.health == Verdict::Failing).count();
                let (floor, total) = (count(self.floor()), count(self.servers.len()));
                PoolEvent::FloorReached { failing: count(failing), kept: count(kept), floor, total }
            }
            (_, 0) => PoolEvent::FloorLeft,
            _ => return,
        };
        self.tell(sink, event, because);
    }

    /// What led to the verdict, one sentence.
    pub(super) fn sentence(&self, because: &Because) -> Arc<str> {
        let (passing, total) = (self.weights.passing, self.weights.total);
        let quorum = super::Quorum::new(&self.config, total).wanted;
        match &because.fact {
            Some((name, detail)) => {
                format!("weight {passing} of {total} passes, quorum {quorum}; last {name}: {detail}").into()
            }
            None => format!("weight {passing} of {total} passes, quorum {quorum}").into(),
        }
    }
}

pub(super) fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
