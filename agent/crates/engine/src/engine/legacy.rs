//! A whole node's virtual routers, left by one process of the agent and gone on with by the next.

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Engine;
use crate::event::StateName;
use crate::instance::Instance;
use crate::legacy::{Inheritance, Legacy};
use crate::order::StandingOrder;
use crate::units::Instant;

impl Engine {
    /// What an earlier process left, for the first configuration. None of it is news.
    pub(super) fn on_inherit(&mut self, now: Instant, inheritance: &Inheritance) {
        inheritance.facts.iter().for_each(|fact| self.facts.learn(fact.clone()));
        self.inherit_drain(now, inheritance.drain.as_ref());
        let named = |legacy: &Legacy| (Arc::clone(&legacy.name), legacy.clone());
        self.restored = inheritance.overrides.iter().cloned().collect();
        self.legacies = inheritance.routers.iter().map(named).collect();
    }

    /// Ends without a word but adverts: what is held stays held, for the next process.
    pub(super) fn on_leave(&mut self, now: Instant) {
        for id in self.ids_where(|_| true) {
            self.with(now, id, Instance::leave);
            self.schedule.set(id.0 as usize, None);
        }
        self.stopped = true;
    }

    /// What the next process needs to go on; to be asked after [`crate::Input::Leave`].
    pub fn inheritance(&self, now: Instant) -> Inheritance {
        Inheritance {
            routers: self.instances.iter().flatten().map(|instance| instance.legacy(now)).collect(),
            facts: self.facts.counted(),
            drain: self.drain.in_force().map(|drain| StandingOrder::clone(&drain)),
            overrides: Vec::new(),
        }
    }

    /// Whether an Active router of an earlier process may still be gone on with, so that its addresses must stay.
    pub fn awaits_adoption(&self) -> bool {
        self.instances.iter().flatten().any(|instance| instance.inherited() == Some(StateName::Active))
    }
}
