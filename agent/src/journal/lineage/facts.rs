//! What checks, pools and members of sync groups lead to: what follows from one names it in its evidence.

use std::collections::HashMap;
use std::sync::Arc;

use ha_engine::{CheckEvent, Event, EventKind, Subject, Verdict};

use super::Link;

/// The last links of checks, pools and instances, by the names that evidence has for them.
#[derive(Debug, Default)]
pub(super) struct FactLinks {
    /// The last change of `checks/NAME`, `pools/NAME`, `instances/NAME`.
    changes: HashMap<Arc<str>, Link>,
    /// The last step of the remedy of a check.
    remedies: HashMap<Arc<str>, Link>,
    /// The last event of a pool or of one of its servers, which its balancer follows.
    pools: HashMap<Arc<str>, Link>,
}

/// Entries of each kind at most. Names that come and go with reloads are not worth more: beyond, all are forgotten, and
/// what follows until the next change has no known cause.
const MOST: usize = 65_536;

impl FactLinks {
    pub(super) fn parent(&self, event: &Event) -> Option<Link> {
        let named = || event.evidence.subject.as_ref().and_then(|name| self.changes.get(name));
        let link = match (&event.kind, &event.subject) {
            (EventKind::Check(CheckEvent::RemedyRan { .. } | CheckEvent::RemedyEnded { .. }), subject) => {
                self.remedy_of(subject)
            }
            (EventKind::Check(CheckEvent::Changed { to: Verdict::Failing, .. }), subject) => {
                self.remedy_of(subject).or_else(named)
            }
            (EventKind::Balancer(_), Subject::Pool(pool)) => self.pools.get(pool),
            (
                EventKind::StateChanged { .. }
                | EventKind::PriorityChanged { .. }
                | EventKind::GroupStateChanged { .. }
                | EventKind::Check(CheckEvent::Changed { .. })
                | EventKind::Pool(_),
                _,
            ) => named(),
            _ => None,
        };
        link.cloned()
    }

    pub(super) fn remember(&mut self, event: &Event, link: &Link) {
        match (&event.kind, &event.subject) {
            (EventKind::Check(check), Subject::Check(fact)) => self.remember_check(check, fact, link),
            (EventKind::Pool(_), Subject::Pool(pool)) => {
                put(&mut self.changes, &format!("pools/{pool}").into(), link);
                put(&mut self.pools, pool, link);
            }
            (EventKind::Pool(_), Subject::Server(pool, _)) => put(&mut self.pools, pool, link),
            (EventKind::StateChanged { .. }, Subject::Instance(_, name)) => {
                put(&mut self.changes, &format!("instances/{name}").into(), link);
            }
            (EventKind::InstanceRemoved, Subject::Instance(_, name)) => {
                self.changes.remove(&*format!("instances/{name}"));
            }
            _ => {}
        }
    }

    fn remember_check(&mut self, event: &CheckEvent, fact: &Arc<str>, link: &Link) {
        match event {
            CheckEvent::RemedyStarted
            | CheckEvent::RemedyRan { .. }
            | CheckEvent::RemedyEnded { helped: false } => put(&mut self.remedies, fact, link),
            CheckEvent::RemedyEnded { helped: true } => drop(self.remedies.remove(fact)),
            CheckEvent::Changed { .. } => {
                self.remedies.remove(fact);
                put(&mut self.changes, fact, link);
            }
            _ => {}
        }
    }

    fn remedy_of(&self, subject: &Subject) -> Option<&Link> {
        match subject {
            Subject::Check(fact) => self.remedies.get(fact),
            _ => None,
        }
    }
}

fn put(links: &mut HashMap<Arc<str>, Link>, name: &Arc<str>, link: &Link) {
    if links.len() >= MOST && !links.contains_key(name) {
        links.clear();
    }
    links.insert(Arc::clone(name), link.clone());
}

#[cfg(test)]
impl FactLinks {
    pub(super) fn len(&self) -> usize {
        self.changes.len() + self.remedies.len() + self.pools.len()
    }
}
