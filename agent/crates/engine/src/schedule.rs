//! The earliest deadline of many instances: a binary heap that knows where each instance stands, so that moving a
//! deadline costs O(log n), stale entries do not exist, and the steady state allocates nothing.

use alloc::vec::Vec;

use crate::units::Instant;

/// Why the engine would wake.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Reason {
    /// A start-up delay ends.
    StartupDelay,
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
    /// An instance in Fault may try again.
    FaultHold,
    /// An operator's override ends.
    OverrideExpiry,
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
    reason: R,
    slot: usize,
}

const ABSENT: usize = usize::MAX;

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
        let place = self.places.get(slot).copied().unwrap_or(ABSENT);
        match (deadline, self.heap.get_mut(place)) {
            (Some((at, reason)), Some(entry)) => {
                *entry = Entry { at, reason, slot };
                self.settle(place);
            }
            (Some((at, reason)), None) => {
                self.heap.push(Entry { at, reason, slot });
                self.settle(self.heap.len() - 1);
            }
            (None, Some(_)) => self.remove(place),
            (None, None) => {}
        }
    }

    fn remove(&mut self, place: usize) {
        let removed = self.heap.swap_remove(place);
        self.note(removed.slot, ABSENT);
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// Moves the entry at `place` to where the heap wants it.
    fn settle(&mut self, place: usize) {
        let place = self.sift_up(place);
        self.sift_down(place);
    }

    fn sift_up(&mut self, mut place: usize) -> usize {
        while place > 0 && self.is_before(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        self.note_place(place);
        place
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            let child = if self.is_before(right, left) { right } else { left };
            if !self.is_before(child, place) {
                return self.note_place(place);
            }
            self.swap(place, child);
            place = child;
        }
    }

    /// False when either does not exist.
    fn is_before(&self, left: usize, right: usize) -> bool {
        match (self.heap.get(left), self.heap.get(right)) {
            (Some(left), Some(right)) => left.at < right.at,
            _ => false,
        }
    }

    fn swap(&mut self, left: usize, right: usize) {
        self.heap.swap(left, right);
        self.note_place(left);
        self.note_place(right);
    }

    fn note_place(&mut self, place: usize) {
        if let Some(slot) = self.heap.get(place).map(|entry| entry.slot) {
            self.note(slot, place);
        }
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
            steps in proptest::collection::vec((0_usize..20, proptest::option::of(0_u64..100)), 1..300),
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
