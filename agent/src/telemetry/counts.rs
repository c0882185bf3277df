//! What is counted from events, and what other parts of the agent count for telemetry. Counts of a removed instance are
//! forgotten, so that memory is bounded by what is configured.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ha_engine::{Cause, Event, EventKind, StateName, Subject};

/// Numbers that other parts of the agent keep up to date and telemetry exports.
#[derive(Debug, Default)]
pub struct NodeCounts {
    /// Open event streams now.
    pub watchers: Arc<AtomicU64>,
    /// Events that slow readers of event streams missed, since the start.
    pub watch_lost: Arc<AtomicU64>,
    /// Events that the `vrrp` thread could not hand over, since the start.
    pub events_lost: Arc<AtomicU64>,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
}

impl NodeCounts {
    /// Counts a reload; a failed one left the old configuration in force.
    pub fn reloaded(&self, success: bool) {
        let counter = if success { &self.reloads } else { &self.failed_reloads };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Reloads that succeeded and that failed.
    pub(super) fn reloads(&self) -> (u64, u64) {
        (self.reloads.load(Ordering::Relaxed), self.failed_reloads.load(Ordering::Relaxed))
    }
}

/// A state change as it is counted.
pub(super) type Transition = (StateName, StateName, Cause);

/// What one instance's events add up to.
#[derive(Debug, Default)]
pub(super) struct InstanceCounts {
    pub(super) transitions: BTreeMap<Transition, u64>,
    pub(super) conflicts: BTreeMap<IpAddr, u64>,
    pub(super) announcements: u64,
}

/// The counts of all instances, by name.
#[derive(Debug, Default)]
pub(super) struct EventCounts {
    pub(super) instances: BTreeMap<Arc<str>, InstanceCounts>,
}

impl EventCounts {
    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event) {
        let name = match &event.subject {
            Subject::Instance(_, name) | Subject::Vip(_, name, _) => Arc::clone(name),
            Subject::Node | Subject::Interface(_) => return,
        };
        if event.kind == EventKind::InstanceRemoved {
            self.instances.remove(&name);
            return;
        }
        let counts = self.instances.entry(name).or_default();
        match (&event.kind, &event.subject) {
            (EventKind::StateChanged { from, to }, _) => {
                *counts.transitions.entry((*from, *to, event.cause)).or_default() += 1;
            }
            (EventKind::Announced { .. }, _) => counts.announcements += 1,
            (_, Subject::Vip(_, _, address)) if is_conflict(event) => {
                *counts.conflicts.entry(*address).or_default() += 1;
            }
            _ => {}
        }
    }
}

fn is_conflict(event: &Event) -> bool {
    event.kind == EventKind::AddressLost || event.cause == Cause::AddressConflict
}
