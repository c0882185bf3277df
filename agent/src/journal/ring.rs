//! The records in memory: the newest, and of noise at most a quarter, so that it pushes nothing else out. Where noise went
//! earlier than its neighbours, sequences have holes, which are counted exactly.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::lineage::Lineage;
use super::reader::Lagged;
use super::record::{Entry, Record};

/// The newest records of one life of the agent.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    /// Ascending.
    records: VecDeque<Arc<Record>>,
    /// Sequences of those that are noise, ascending.
    noise: VecDeque<u64>,
    lineage: Lineage,
}

/// What a reader gets at its position.
#[derive(Debug)]
pub(super) enum Pulled {
    /// Records are missing ahead that it was not told of; it goes on after the given sequence.
    Lost(Lagged, u64),
    /// In order; empty when there is nothing yet.
    Records(Vec<Arc<Record>>),
}

impl Ring {
    /// At least one record is kept.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            records: VecDeque::new(),
            noise: VecDeque::new(),
            lineage: Lineage::default(),
        }
    }

    /// What led to an entry that is about to be pushed.
    pub(super) fn trace(&mut self, sequence: u64, entry: &Entry) -> (Option<u64>, Option<Arc<str>>) {
        self.lineage.trace(sequence, entry)
    }

    /// Sequences ascend.
    pub(super) fn push(&mut self, record: Record) {
        if self.records.len() == self.capacity {
            self.make_room();
        }
        if record.is_noise() {
            self.noise.push_back(record.sequence);
        }
        self.records.push_back(Arc::new(record));
    }

    /// The oldest noise goes while there is too much of it, otherwise the oldest record.
    fn make_room(&mut self) {
        let too_noisy = self.noise.len() > self.capacity / 4;
        let place = self.noise.front().filter(|_| too_noisy).map_or(0, |first| self.index_after(first - 1));
        if let Some(gone) = self.records.remove(place)
            && self.noise.front() == Some(&gone.sequence)
        {
            self.noise.pop_front();
        }
    }

    pub(super) fn oldest(&self) -> Option<&Arc<Record>> {
        self.records.front()
    }

    fn newest(&self) -> u64 {
        self.records.back().map_or(0, |record| record.sequence)
    }

    /// Where the first record after `position` is.
    fn index_after(&self, position: u64) -> usize {
        self.records.partition_point(|record| record.sequence <= position)
    }

    /// At most `most` records after `position`, oldest first.
    pub(super) fn after(&self, position: u64, most: usize) -> Vec<Arc<Record>> {
        let begin = self.index_after(position);
        let end = begin.saturating_add(most).min(self.records.len());
        self.records.range(begin..end).cloned().collect()
    }

    /// At most `most` records before sequence `end`, newest first.
    pub(super) fn before(&self, end: u64, most: usize) -> Vec<Arc<Record>> {
        let end = self.index_after(end.saturating_sub(1));
        self.records.range(end.saturating_sub(most)..end).rev().cloned().collect()
    }

    /// The position after which the first record of `time` or later follows.
    pub(super) fn position_of(&self, time: SystemTime) -> u64 {
        let first = self.records.iter().find(|record| record.wall >= time);
        first.map_or_else(|| self.newest(), |record| record.sequence - 1)
    }

    /// How many records after `position` are no longer here.
    pub(super) fn missing_after(&self, position: u64) -> u64 {
        let present = u64::try_from(self.records.len() - self.index_after(position)).unwrap_or(u64::MAX);
        self.newest().saturating_sub(position).saturating_sub(present)
    }

    /// What a reader at `position` gets that was told of `told` missing records ahead of it.
    pub(super) fn pull(&self, position: u64, told: u64, most: usize) -> Pulled {
        let lost = self.missing_after(position).saturating_sub(told);
        match self.hole_after(position).filter(|_| lost > 0) {
            Some((first, last)) => {
                let next =
                    self.records.get(self.index_after(position)).map_or(position, |next| next.sequence - 1);
                Pulled::Lost(Lagged { first, last, lost }, next)
            }
            None => Pulled::Records(self.after(position, most)),
        }
    }

    /// The first and the last missing sequence after `position`. Sequences ascend by at least one from place to place, so
    /// both are found by halving.
    fn hole_after(&self, position: u64) -> Option<(u64, u64)> {
        let begin = self.index_after(position);
        let (length, newest) = (self.records.len() - begin, self.newest());
        let rest = |place: usize| u64::try_from(place).unwrap_or(u64::MAX);
        let is_first_missing = |place: usize| {
            self.records.get(begin + place).is_none_or(|record| record.sequence != position + 1 + rest(place))
        };
        let before = partition(length, |place| !is_first_missing(place));
        let after = partition(length, |place| {
            self.records
                .get(begin + place)
                .is_some_and(|record| newest - record.sequence != rest(length - 1 - place))
        });
        let first = position + 1 + rest(before);
        let last = self.records.get(begin + after)?.sequence - 1;
        (first <= last).then_some((first, last))
    }
}

/// How many of the first places satisfy `holds`, which none does after one that does not.
fn partition(length: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, length);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

impl Ring {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

#[cfg(test)]
impl Ring {
    pub(super) fn chains(&self) -> usize {
        self.lineage.len()
    }
}
