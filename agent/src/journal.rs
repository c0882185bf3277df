//! The history of this node: every event of the engine, in order, numbered without holes, in a bounded ring in memory.
//! Logs, metrics, the disk and the gRPC stream are readers of it, so they cannot disagree. A reader pulls at its own pace and
//! can delay nobody; one that the ring overtakes is told exactly what it missed. What was in memory before, and in earlier
//! lives of the agent, is in the archive.

mod archive;
mod collect;
mod lineage;
mod log;
mod reader;
mod record;
mod ring;
pub(crate) mod store;
mod wall;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use archive::{Archive, Place, Untold};
pub use collect::collect;
pub use log::LOG_TARGET;
pub(crate) use reader::Mark;
pub use reader::{Lagged, Read, Reader};
pub use record::{Entry, Record, subject_name};
pub use wall::WallClock;

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ha_engine::{Event, Instant};
use tokio::sync::watch;

use crate::clock;
use ring::{Pulled, Ring};

/// How many records are kept when the configuration does not say.
pub const DEFAULT_CAPACITY: usize = 16_384;

/// The ring of records of one life of the agent.
#[derive(Debug)]
pub struct Journal {
    node: Arc<str>,
    incarnation: Arc<str>,
    started: Instant,
    clock: WallClock,
    ring: Mutex<Ring>,
    archive: Archive,
    newest: watch::Sender<u64>,
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
            clock: WallClock::new(),
            ring: Mutex::new(Ring::new(capacity)),
            archive: Archive::default(),
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

    /// The history on disk, of this incarnation and earlier ones; empty while there is none.
    pub(crate) fn archive(&self) -> &Archive {
        &self.archive
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

    /// Records in memory, and how many may be.
    pub(crate) fn fill(&self) -> (usize, usize) {
        let ring = self.lock();
        (ring.len(), ring.capacity())
    }

    /// The oldest record that is still kept.
    pub fn oldest(&self) -> Option<Arc<Record>> {
        self.lock().oldest().cloned()
    }

    /// The oldest sequence of this incarnation that can be told, from memory or disk; 0 when there is none.
    pub(crate) fn oldest_sequence(&self) -> u64 {
        let in_memory = self.oldest().map_or(0, |record| record.sequence);
        match self.archive.oldest() {
            Some(oldest) if oldest.place.incarnation == self.incarnation => {
                in_memory.min(oldest.place.sequence)
            }
            // The disk reaches back beyond this incarnation.
            Some(_) => in_memory.min(1),
            None => in_memory,
        }
    }

    /// When the oldest record was that can be told.
    pub(crate) fn oldest_time(&self) -> Option<SystemTime> {
        let on_disk = self.archive.oldest().map(|oldest| oldest.time);
        on_disk.into_iter().chain(self.oldest().map(|record| record.wall)).min()
    }

    /// A place in this incarnation.
    pub(crate) fn place(&self, sequence: u64) -> Place {
        Place { incarnation: Arc::clone(&self.incarnation), sequence }
    }

    /// A reader of everything after `position`: 0 = from the oldest, [`Self::newest`] = from now on.
    pub fn reader(self: &Arc<Self>, position: u64) -> Reader {
        Reader::new(Arc::clone(self), position, self.newest.subscribe())
    }

    /// The same, but that it waits for somebody else to say that something happened.
    pub(crate) fn reader_woken_by(self: &Arc<Self>, position: u64, pulse: watch::Receiver<u64>) -> Reader {
        Reader::new(Arc::clone(self), position, pulse)
    }

    /// The newest sequence, for whoever only wants to know that something happened.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// At most `most` records that begin with sequence `first`, oldest first.
    pub(crate) fn range(&self, first: u64, most: usize) -> Range {
        let ring = self.lock();
        match ring.oldest() {
            Some(oldest) if first < oldest.sequence => Range::Overtaken { oldest: oldest.sequence },
            _ => Range::Records(ring.after(first.saturating_sub(1), most)),
        }
    }

    /// At most `most` records that end just before sequence `end`, newest first; empty when none of them is kept.
    pub(crate) fn range_before(&self, end: u64, most: usize) -> Vec<Arc<Record>> {
        self.lock().before(end, most)
    }

    /// The position after which exactly the newest `count` records that `matches` accepts follow, and how many do; before
    /// the oldest when there are fewer.
    pub(crate) fn tail(&self, count: usize, mut matches: impl FnMut(&Record) -> bool) -> (u64, usize) {
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
        (position, found)
    }

    /// The position after which the first record of `time` or later follows.
    pub(crate) fn position_of(&self, time: SystemTime) -> u64 {
        self.lock().position_of(time)
    }

    /// Whether every record after `position` is still in memory.
    pub(crate) fn has_all_after(&self, position: u64) -> bool {
        self.lock().missing_after(position) == 0
    }

    /// What a reader at `position` gets that was told of `told` missing records ahead of it.
    fn pull(&self, position: u64, told: u64, most: usize) -> Pulled {
        self.lock().pull(position, told, most)
    }

    fn push(&self, at: Instant, entry: Entry) -> u64 {
        let mut ring = self.lock();
        let sequence = self.newest() + 1;
        let (caused_by, request) = ring.trace(sequence, &entry);
        let record = Record {
            sequence,
            at,
            offset: at.since(self.started),
            wall: self.clock.wall(at),
            entry,
            caused_by,
            request,
        };
        ring.push(record);
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
