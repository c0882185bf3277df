//! The history of this node: every event of the engine, in order, numbered without holes, in a bounded ring in memory.
//! Logs, metrics and the gRPC stream are readers of it, so they cannot disagree. A reader pulls at its own pace and can
//! delay nobody; one that the ring overtakes is told exactly what it missed.

mod collect;
mod lineage;
mod log;
mod reader;
mod record;
mod wall;

#[cfg(test)]
pub(crate) mod tests;

pub use collect::collect;
pub use log::LOG_TARGET;
pub use reader::{Lagged, Read, Reader};
pub use record::{Entry, Record, subject_name};
pub use wall::WallClock;

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ha_engine::{Event, Instant};
use tokio::sync::watch;

use crate::clock;
use lineage::Lineage;

/// How many records are kept when the configuration does not say.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// The ring of records of one life of the agent.
#[derive(Debug)]
pub struct Journal {
    node: Arc<str>,
    incarnation: Arc<str>,
    started: Instant,
    capacity: usize,
    clock: WallClock,
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Ring {
    records: VecDeque<Arc<Record>>,
    lineage: Lineage,
}

/// A stretch of the ring.
#[derive(Debug)]
pub(crate) enum Range {
    /// In order; empty when nothing is there yet.
    Records(Vec<Arc<Record>>),
    /// The record asked for is no longer kept; the oldest that is has this sequence.
    Overtaken {
        /// At least 2.
        oldest: u64,
    },
}

impl Journal {
    /// An empty journal whose incarnation begins now. `capacity` is a number of records; at least one is kept.
    pub fn new(node: &str, capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            node: node.into(),
            incarnation: new_incarnation().into(),
            started: clock::now(),
            capacity: capacity.max(1),
            clock: WallClock::new(),
            ring: Mutex::default(),
            newest: watch::Sender::new(0),
        })
    }

    /// The node's name, as it stands in resource names.
    pub fn node(&self) -> &Arc<str> {
        &self.node
    }

    /// Sixteen hexadecimal digits, different at each start of the agent.
    pub fn incarnation(&self) -> &Arc<str> {
        &self.incarnation
    }

    /// When the agent started, on the decision clock.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Shows instants of the decision clock to people.
    pub fn wall_clock(&self) -> &WallClock {
        &self.clock
    }

    /// Adds an event and wakes the readers. Returns its sequence.
    pub fn append(&self, event: Box<Event>) -> u64 {
        self.push(event.at, Entry::Event(event))
    }

    /// Says that events were lost before they reached the journal: after what was appended so far, before what follows.
    pub fn append_lost(&self, count: u64) -> u64 {
        self.push(clock::now(), Entry::Lost { count })
    }

    /// Sequence of the newest record; 0 when there is none.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// The oldest record that is still kept.
    pub fn oldest(&self) -> Option<Arc<Record>> {
        self.lock().records.front().cloned()
    }

    /// A reader of everything after `position`: 0 = from the oldest, [`Self::newest`] = from now on.
    pub fn reader(self: &Arc<Self>, position: u64) -> Reader {
        Reader::new(Arc::clone(self), position, self.newest.subscribe())
    }

    /// The newest sequence, for whoever only wants to know that something happened.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// At most `most` records that begin with sequence `first`, oldest first.
    pub(crate) fn range(&self, first: u64, most: usize) -> Range {
        let ring = self.lock();
        let Some(oldest) = ring.records.front().map(|record| record.sequence) else {
            return Range::Records(Vec::new());
        };
        if first < oldest {
            return Range::Overtaken { oldest };
        }
        let skip = usize::try_from(first - oldest).unwrap_or(usize::MAX);
        let end = skip.saturating_add(most).min(ring.records.len());
        Range::Records(ring.records.range(skip.min(end)..end).cloned().collect())
    }

    /// At most `most` records that end just before sequence `end`, newest first; empty when none of them is kept.
    pub(crate) fn range_before(&self, end: u64, most: usize) -> Vec<Arc<Record>> {
        let ring = self.lock();
        let Some(oldest) = ring.records.front().map(|record| record.sequence) else {
            return Vec::new();
        };
        let end = usize::try_from(end.saturating_sub(oldest)).unwrap_or(usize::MAX).min(ring.records.len());
        ring.records.range(end.saturating_sub(most)..end).rev().cloned().collect()
    }

    /// The position after which exactly the newest `count` records that `matches` accepts follow; before the oldest when
    /// there are fewer.
    pub(crate) fn tail(&self, count: usize, mut matches: impl FnMut(&Record) -> bool) -> u64 {
        let mut position = self.newest();
        let mut found = 0;
        while found < count {
            let chunk = self.range_before(position + 1, CHUNK);
            if chunk.is_empty() {
                break;
            }
            for record in chunk {
                position = record.sequence - 1;
                found += usize::from(matches(&record));
                if found == count {
                    break;
                }
            }
        }
        position
    }

    /// The position after which the first record of `time` or later follows.
    pub(crate) fn position_of(&self, time: SystemTime) -> u64 {
        let ring = self.lock();
        let first = ring.records.iter().find(|record| record.wall >= time);
        first.map_or_else(|| self.newest(), |record| record.sequence - 1)
    }

    fn push(&self, at: Instant, entry: Entry) -> u64 {
        let mut ring = self.lock();
        let sequence = self.newest() + 1;
        let (caused_by, request) = ring.lineage.trace(sequence, &entry);
        let record = Record {
            sequence,
            at,
            offset: at.since(self.started),
            wall: self.clock.wall(at),
            entry,
            caused_by,
            request,
        };
        if ring.records.len() == self.capacity {
            ring.records.pop_front();
        }
        ring.records.push_back(Arc::new(record));
        // Under the lock, so that the newest sequence never runs ahead of the ring or behind it.
        self.newest.send_replace(sequence);
        sequence
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many records are taken under one lock.
pub(crate) const CHUNK: usize = 256;

fn new_incarnation() -> String {
    // RandomState is seeded by the kernel; process and time make two starts differ even if it were not.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    std::process::id().hash(&mut hasher);
    SystemTime::now().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
