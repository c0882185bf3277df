//! What led to what: an operator's command or a reload to a priority, a check to a priority or a state, a priority to a
//! state, a state to addresses and announcements, a remedy to a verdict, a server to what the balancer runs. Only what the
//! engine's own words prove: same instance, same actor, same direction, or a subject that the evidence names.

mod facts;

use std::collections::HashMap;
use std::sync::Arc;

use ha_engine::{Event, EventKind, MoveEvent, StateName, Subject};

use super::record::Entry;
use facts::FactLinks;

/// The last links of each chain. As many entries as there are instances, checks and pools.
#[derive(Debug, Default)]
pub(super) struct Lineage {
    instances: HashMap<Arc<str>, Links>,
    facts: FactLinks,
}

#[derive(Debug, Default)]
struct Links {
    /// The last change of the operator's intent: override set or ended.
    intent: Option<Link>,
    /// The last change of state, and to which.
    state: Option<(Link, StateName)>,
}

#[derive(Clone, Debug)]
struct Link {
    sequence: u64,
    request: Option<Arc<str>>,
}

impl Lineage {
    /// The record that led to `entry`, and the operator's request at the beginning of the chain. Remembers `entry`.
    pub(super) fn trace(&mut self, sequence: u64, entry: &Entry) -> (Option<u64>, Option<Arc<str>>) {
        let Entry::Event(event) = entry else { return (None, None) };
        let own = own_request(event);
        let parent = self.parent(event, own.as_ref());
        let request = own.or_else(|| parent.as_ref()?.request.clone());
        self.remember(event, Link { sequence, request: request.clone() });
        (parent.map(|link| link.sequence), request)
    }

    /// A command before what the evidence names: who wanted it is nearer than what it happened to.
    fn parent(&self, event: &Event, own: Option<&Arc<str>>) -> Option<Link> {
        let links = instance_name(&event.subject).and_then(|name| self.instances.get(name));
        let commanded = links.and_then(|links| links.parent(event, own));
        commanded.or_else(|| self.facts.parent(event))
    }

    fn remember(&mut self, event: &Event, link: Link) {
        // Whoever asks for things that are not there must not be remembered.
        if matches!(event.kind, EventKind::Audit(_)) {
            return;
        }
        self.facts.remember(event, &link);
        let Some(name) = instance_name(&event.subject) else { return };
        if event.kind == EventKind::InstanceRemoved {
            self.instances.remove(name);
        } else if let Some(links) = self.instances.get_mut(name) {
            links.remember(event, link);
        } else {
            let mut links = Links::default();
            links.remember(event, link);
            self.instances.insert(Arc::clone(name), links);
        }
    }
}

#[cfg(test)]
impl Lineage {
    pub(super) fn len(&self) -> usize {
        self.instances.len()
    }
}

impl Links {
    fn parent(&self, event: &Event, own: Option<&Arc<str>>) -> Option<Link> {
        match event.kind {
            EventKind::PriorityChanged { .. } | EventKind::StateChanged { .. } => {
                // A state or a priority names the command's actor when a command led to it.
                self.intent.clone().filter(|intent| own.is_some() && intent.request.as_ref() == own)
            }
            EventKind::AddressesHeld { .. } | EventKind::Announced { .. } => self.state_is(StateName::Active),
            EventKind::AddressesReleased { .. } => self
                .state
                .as_ref()
                .filter(|(_, state)| *state != StateName::Active)
                .map(|(link, _)| link.clone()),
            _ => None,
        }
    }

    fn state_is(&self, wanted: StateName) -> Option<Link> {
        self.state.as_ref().filter(|(_, state)| *state == wanted).map(|(link, _)| link.clone())
    }

    fn remember(&mut self, event: &Event, link: Link) {
        match event.kind {
            EventKind::OverrideSet { .. }
            | EventKind::OverrideCleared
            | EventKind::Move(MoveEvent::HandoverBegan { .. }) => self.intent = Some(link),
            EventKind::StateChanged { to, .. } | EventKind::Adopted { state: to, .. } => {
                self.state = Some((link, to));
            }
            _ => {}
        }
    }
}

fn own_request(event: &Event) -> Option<Arc<str>> {
    let request = &event.actor.as_ref()?.request_id;
    (!request.is_empty()).then(|| request.as_str().into())
}

fn instance_name(subject: &Subject) -> Option<&Arc<str>> {
    match subject {
        Subject::Instance(_, name) | Subject::Vip(_, name, _) => Some(name),
        Subject::Node
        | Subject::Interface(_)
        | Subject::Group(_)
        | Subject::Check(_)
        | Subject::Pool(_)
        | Subject::Server(..)
        | Subject::Notifier(_)
        | Subject::Peer(_) => None,
    }
}

#[cfg(test)]
mod tests;
