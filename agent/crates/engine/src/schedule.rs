//! The earliest deadline of many instances: a heap that knows where each instance stands, so that moving a deadline costs
//! O(log n), stale entries do not exist, and the steady state allocates nothing. Each entry has four children, which lie side
//! by side in memory: half as many levels as with two.

use alloc::vec::Vec;

use crate::units::Instant;

/// Why the engine would wake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// A start-up delay ends.
    StartupDelay,
    /// What an earlier process left can no longer be gone on with.
    Adoption,
    /// Active_Down_Timer.
    ActiveDown,
    /// An advert is overdue: does this node run?
    AdvertOverdue,
    /// Adver_Timer.
    Advertisement,
    /// Addresses are to be announced again.
    Announcement,
    /// Another Active router has not been heard for long enough.
    RivalSilent,
    /// Another node has said for long enough that it is Active too.
    PeerWord,
    /// An instance in Fault may try again.
    FaultHold,
    /// A planned move reaches its limit, or a successor has settled.
    Handover,
    /// What an operator wished for a time ends: an override, a hold, a drain.
    OverrideExpiry,
}

impl Reason {
    /// The word in a dump of the agent's state.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartupDelay => "STARTUP_DELAY",
            Self::Adoption => "ADOPTION",
            Self::ActiveDown => "ACTIVE_DOWN",
            Self::AdvertOverdue => "ADVERT_OVERDUE",
            Self::Advertisement => "ADVERTISEMENT",
            Self::Announcement => "ANNOUNCEMENT",
            Self::RivalSilent => "RIVAL_SILENT",
            Self::PeerWord => "PEER_WORD",
            Self::FaultHold => "FAULT_HOLD",
            Self::Handover => "HANDOVER",
            Self::OverrideExpiry => "OVERRIDE_EXPIRY",
        }
    }
}

/// At most one deadline for each slot number, with what the owner wants to know of it.
#[derive(Debug)]
pub(crate) struct Schedule<R = Reason> {
    heap: Vec<Entry<R>>,
    /// Where in `heap` a slot stands; `ABSENT` when it has no deadline.
    places: Vec<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Entry<R> {
    at: Instant,
    slot: usize,
    reason: R,
}

const ABSENT: usize = usize::MAX;
const CHILDREN: usize = 4;

impl<R> Default for Schedule<R> {
    fn default() -> Self {
        Self { heap: Vec::new(), places: Vec::new() }
    }
}

impl<R: Copy> Schedule<R> {
    /// The earliest deadline with its reason.
    pub(crate) fn first(&self) -> Option<(Instant, R, usize)> {
        self.heap.first().map(|entry| (entry.at, entry.reason, entry.slot))
    }

    /// Sets, moves or removes the deadline of a slot.
    pub(crate) fn set(&mut self, slot: usize, deadline: Option<(Instant, R)>) {
        if self.places.len() <= slot {
            self.places.resize(slot + 1, ABSENT);
        }
        let place = self.places.get(slot).copied().filter(|place| *place != ABSENT);
        match (deadline.map(|(at, reason)| Entry { at, slot, reason }), place) {
            (Some(entry), Some(place)) => self.settle(place, entry),
            (Some(entry), None) => {
                self.heap.push(entry);
                self.settle(self.heap.len() - 1, entry);
            }
            (None, Some(place)) => self.remove(slot, place),
            (None, None) => {}
        }
    }

    fn remove(&mut self, slot: usize, place: usize) {
        self.note(slot, ABSENT);
        // The last one takes its place, unless it is the last one itself.
        if let Some(last) = self.heap.pop()
            && place < self.heap.len()
        {
            self.settle(place, last);
        }
    }

    /// Puts an entry where the heap wants it, beginning at a `place` whose own entry counts no more.
    fn settle(&mut self, place: usize, entry: Entry<R>) {
        let risen = self.rise(place, entry.at);
        let hole = if risen == place { self.sink(place, entry.at) } else { risen };
        self.put(hole, entry);
    }

    /// Moves later entries down until something due at `at` may stand in the hole.
    fn rise(&mut self, mut hole: usize, at: Instant) -> usize {
        while hole > 0 {
            let parent = (hole - 1) / CHILDREN;
            let Some(above) = self.heap.get(parent).copied().filter(|above| at < above.at) else { break };
            self.put(hole, above);
            hole = parent;
        }
        hole
    }

    /// Moves earlier entries up until something due at `at` may stand in the hole.
    fn sink(&mut self, mut hole: usize, at: Instant) -> usize {
        while let Some((place, child)) = self.earliest_child(hole).filter(|(_, child)| child.at < at) {
            self.put(hole, child);
            hole = place;
        }
        hole
    }

    fn earliest_child(&self, place: usize) -> Option<(usize, Entry<R>)> {
        let first = CHILDREN * place + 1;
        let children = self.heap.get(first..self.heap.len().min(first + CHILDREN))?;
        let (number, child) = children.iter().enumerate().min_by_key(|(_, child)| child.at)?;
        Some((first + number, *child))
    }

    fn put(&mut self, place: usize, entry: Entry<R>) {
        if let Some(room) = self.heap.get_mut(place) {
            *room = entry;
        }
        self.note(entry.slot, place);
    }

    fn note(&mut self, slot: usize, place: usize) {
        if let Some(known) = self.places.get_mut(slot) {
            *known = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_deadline_is_that_of_a_plain_map(
            steps in proptest::collection::vec((0_usize..100, proptest::option::weighted(0.8, 0_u64..200)), 1..600),
        ) {
            let mut schedule = Schedule::default();
            let mut model = BTreeMap::new();
            for (slot, at) in steps {
                let deadline = at.map(|at| (Instant::from_nanos(at), Reason::ActiveDown));
                schedule.set(slot, deadline);
                match at {
                    Some(at) => model.insert(slot, at),
                    None => model.remove(&slot),
                };
                let first = schedule.first().map(|(at, ..)| at.as_nanos());
                prop_assert_eq!(first, model.values().min().copied());
            }
        }
    }
}
