//! What is counted from events, and what other parts of the agent count for telemetry. Counts of a removed instance are
//! forgotten, so that memory is bounded by what is configured.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use ha_engine::{BalancerEvent, Cause, Event, EventKind, StateName, Subject};

use super::calls::Calls;
use crate::{api, notify};

/// Numbers that other parts of the agent keep up to date and telemetry exports.
#[derive(Default)]
pub struct NodeCounts {
    /// What the control plane counts: hand the same to [`crate::api::Options`].
    pub api: Arc<api::Counters>,
    /// What notifications count: hand the same to [`crate::notify::Notifications::start`].
    pub notifications: notify::Tally,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    events_lost: AtomicU64,
    /// There is nothing to record calls with before telemetry runs.
    calls: OnceLock<Calls>,
}

impl NodeCounts {
    /// Counts a reload; a failed one left the old configuration in force.
    pub fn reloaded(&self, success: bool) {
        let counter = if success { &self.reloads } else { &self.failed_reloads };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts events that the `vrrp` thread could not hand over.
    pub fn lost(&self, events: u64) {
        self.events_lost.fetch_add(events, Ordering::Relaxed);
    }

    /// What the control plane tells of each call: hand it to [`crate::api::Options`].
    pub fn observer(self: &Arc<Self>) -> api::Observer {
        let counts = Arc::clone(self);
        Arc::new(move |call| {
            if let Some(calls) = counts.calls.get() {
                calls.record(call);
            }
        })
    }

    /// Records calls from now on.
    pub(super) fn record_calls(&self, calls: Calls) {
        // Set before by other telemetry of the same process: that one goes on.
        let _ = self.calls.set(calls);
    }

    /// Events lost since the start.
    pub(super) fn events_lost(&self) -> u64 {
        self.events_lost.load(Ordering::Relaxed)
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
    /// Sets that the balancer of each pool took over and did not.
    pub(super) balancers: BTreeMap<Arc<str>, (u64, u64)>,
}

impl EventCounts {
    /// Counts an event.
    pub(super) fn count(&mut self, event: &Event) {
        if let (EventKind::Balancer(outcome), Subject::Pool(pool)) = (&event.kind, &event.subject) {
            return self.count_balancer(pool, outcome);
        }
        let name = match &event.subject {
            Subject::Instance(_, name) | Subject::Vip(_, name, _) => Arc::clone(name),
            Subject::Node
            | Subject::Interface(_)
            | Subject::Group(_)
            | Subject::Check(_)
            | Subject::Pool(_)
            | Subject::Server(..)
            | Subject::Notifier(_)
            | Subject::Peer(_) => return,
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

    /// Names of pools come from configurations: what more than these had since the start is not counted apart.
    fn count_balancer(&mut self, pool: &Arc<str>, outcome: &BalancerEvent) {
        const MOST_POOLS: usize = 4096;
        if self.balancers.len() >= MOST_POOLS && !self.balancers.contains_key(pool) {
            return;
        }
        let (success, failure) = self.balancers.entry(Arc::clone(pool)).or_default();
        match outcome {
            BalancerEvent::Applied { .. } => *success += 1,
            BalancerEvent::Failed { .. } => *failure += 1,
        }
    }
}

fn is_conflict(event: &Event) -> bool {
    event.kind == EventKind::AddressLost || event.cause == Cause::AddressConflict
}
