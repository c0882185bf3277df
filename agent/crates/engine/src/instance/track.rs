//! What tracked facts do to an instance: they move its priority, put it into Fault, and let it start.

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Instance, Sink, State};
use crate::event::{Cause, EventKind, Evidence};
use crate::fault::Fault;
use crate::priority::Effective;
use crate::track::{TrackedFact, Verdict};

impl Instance {
    /// News of a tracked fact.
    pub(crate) fn on_fact(&mut self, sink: &mut Sink<'_>, news: &TrackedFact) {
        let tracks = self.tracked.iter_mut().filter(|tracked| tracked.track == news.track);
        tracks.for_each(|tracked| tracked.clone_from(news));
        let evidence = self.evidence_of_fact(news);
        self.on_tracked(sink, Cause::CheckChanged, evidence);
    }

    /// What is tracked changed, or what is known of it. Whoever releases does so with its last priority's advert behind it,
    /// and whoever comes back does so with its new priority.
    pub(super) fn on_tracked(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        if self.has_fault() && !matches!(self.state, State::Fault) {
            self.become_fault(sink, cause, evidence.clone());
        }
        self.reprioritise(sink, cause, evidence.clone());
        match self.state {
            State::Initialize { starts: None } => self.start(sink, self.cause, Evidence::default()),
            _ => self.resume(sink, cause, evidence),
        }
    }

    fn evidence_of_fact(&self, tracked: &TrackedFact) -> Evidence {
        Evidence {
            subject: Some(Arc::clone(&tracked.track.fact)),
            detail: tracked.detail(),
            ..Evidence::default()
        }
    }

    /// Takes over what is to be tracked; without effect until [`Self::on_tracked`]. The evidence names the first fact whose
    /// worth is another than before.
    pub(super) fn retrack(&mut self, tracked: Vec<TrackedFact>) -> Evidence {
        let before = core::mem::replace(&mut self.tracked, tracked);
        let worth = |of: &[TrackedFact], name: &str| {
            let found = of.iter().find(|tracked| &*tracked.track.fact == name);
            found.map_or((0, false), |tracked| (tracked.delta, tracked.faulty))
        };
        let changed = self.tracked.iter().chain(&before).find(|tracked| {
            let name = &tracked.track.fact;
            worth(&self.tracked, name) != worth(&before, name)
        });
        changed.map(|tracked| self.evidence_of_fact(tracked)).unwrap_or_default()
    }

    /// Whether an unweighted fact must be known before this instance takes part.
    pub(super) fn is_undecided(&self) -> bool {
        self.tracked.iter().any(TrackedFact::is_undecided)
    }

    /// The fact that keeps it from starting, if one does: more telling than that it would start.
    pub(super) fn why_faulty(&self) -> Option<(Cause, Evidence)> {
        let faulty = self.tracked.iter().find(|tracked| tracked.faulty)?;
        Some((Cause::CheckChanged, self.evidence_of_fact(faulty)))
    }

    /// The faults that tracked facts mean.
    pub(super) fn check_faults(&self) -> impl Iterator<Item = Fault> + '_ {
        self.tracked.iter().filter(|tracked| tracked.faulty).map(|tracked| {
            let detail = tracked.detail().unwrap_or_default();
            let name = Arc::clone(&tracked.track.fact);
            match tracked.counted {
                Verdict::Failing => Fault::CheckFailing(name, detail),
                _ => Fault::CheckPassing(name, detail),
            }
        })
    }

    /// The effective priority may have changed: peers learn it at once, our own timer follows.
    pub(super) fn reprioritise(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        let override_ = self.override_.as_ref().map(|own| own.priority);
        let effective = Effective::explain(self.config.priority, override_, &self.tracked, self.drained);
        let before = core::mem::replace(&mut self.effective, effective).value;
        let now = self.priority();
        if before == now {
            return;
        }
        self.tell(sink, EventKind::PriorityChanged { from: before, to: now }, cause, evidence);
        match self.state {
            State::Active(_) => self.advertise_change(sink),
            _ => self.rearm_active_down(),
        }
    }
}
