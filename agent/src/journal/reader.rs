//! One reader of the ring: a cursor that pulls. Its only memory is its position, so a reader that stands still costs
//! nothing and delays nobody; when the ring overtakes it, it is told the exact range that it missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ring::Pulled;
use super::{Journal, Record};

/// A cursor in the journal.
#[derive(Debug)]
pub struct Reader {
    journal: Arc<Journal>,
    position: u64,
    /// Missing records after `position` of which this reader was told.
    told: u64,
    /// Changes when something happened, or a moment later.
    newest: watch::Receiver<u64>,
    lagged_at: Option<Instant>,
}

/// What a reader gets.
#[derive(Debug)]
pub enum Read {
    /// The next records, in order, at least one.
    Records(Vec<Arc<Record>>),
    /// Records that this reader can no longer have; what follows them comes next.
    Lagged(Lagged),
}

/// Records that a reader missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lagged {
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
    /// How many in this range; the others follow.
    pub lost: u64,
}

impl Lagged {
    /// How many records that is.
    pub fn count(self) -> u64 {
        self.lost
    }
}

/// Where a reader was, and what it had been told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    position: u64,
    told: u64,
    lagged_at: Option<Instant>,
}

impl Mark {
    /// Sequence of the last record that had been read or reported missed.
    pub(crate) fn position(self) -> u64 {
        self.position
    }
}

/// Two losses of one reader are told at least this far apart; what is lost in between joins the second.
const BETWEEN_LOSSES: Duration = Duration::from_secs(1);

impl Reader {
    pub(super) fn new(journal: Arc<Journal>, position: u64, newest: watch::Receiver<u64>) -> Self {
        Self { journal, position, told: 0, newest, lagged_at: None }
    }

    /// Sequence of the last record that was read or reported missed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where it is now.
    pub(crate) fn mark(&self) -> Mark {
        Mark { position: self.position, told: self.told, lagged_at: self.lagged_at }
    }

    /// Forgets what it read since.
    pub(crate) fn return_to(&mut self, mark: Mark) {
        (self.position, self.told, self.lagged_at) = (mark.position, mark.told, mark.lagged_at);
    }

    /// Goes on after `position`, as if nothing had been told of what is missing behind it.
    pub(crate) fn go_to(&mut self, position: u64) {
        (self.position, self.told) = (position, 0);
    }

    /// A loss was told to whom this reader serves, from elsewhere.
    pub(crate) fn note_loss(&mut self) {
        self.lagged_at = Some(Instant::now());
    }

    /// When the next loss may be told; `None` = at once.
    pub(crate) fn next_loss(&self) -> Option<Instant> {
        self.lagged_at.map(|at| at + BETWEEN_LOSSES).filter(|earliest| *earliest > Instant::now())
    }

    /// Waits for at least one record and returns at most `most`. May be cancelled: nothing is taken before it returns.
    pub async fn read(&mut self, most: usize) -> Read {
        loop {
            // Marked as seen before looking, so that an append after the look wakes us.
            self.newest.mark_unchanged();
            match self.journal.pull(self.position, self.told, most.max(1)) {
                Pulled::Lost(lagged, to) => {
                    if let Some(earliest) = self.next_loss() {
                        sleep_until(earliest).await;
                        continue;
                    }
                    return Read::Lagged(self.skip(lagged, to));
                }
                Pulled::Records(records) if !records.is_empty() => return self.take(records),
                Pulled::Records(_) => {}
            }
            if self.newest.changed().await.is_err() {
                // Nobody says so any more: only the journal itself could, which this reader holds, and it cannot be gone.
                std::future::pending::<()>().await;
            }
        }
    }

    /// What [`Self::read`] would return without waiting; `None` when there is nothing yet.
    pub fn try_read(&mut self, most: usize) -> Option<Read> {
        match self.journal.pull(self.position, self.told, most.max(1)) {
            Pulled::Lost(lagged, to) => Some(Read::Lagged(self.skip(lagged, to))),
            Pulled::Records(records) => (!records.is_empty()).then(|| self.take(records)),
        }
    }

    fn take(&mut self, records: Vec<Arc<Record>>) -> Read {
        if let Some(last) = records.last() {
            self.pass(last.sequence, records.len());
        }
        Read::Records(records)
    }

    fn skip(&mut self, lagged: Lagged, to: u64) -> Lagged {
        self.told += lagged.lost;
        self.pass(to, 0);
        self.note_loss();
        lagged
    }

    /// Goes on to `position`, on the way to which there were `present` records; the others were told as missing.
    fn pass(&mut self, position: u64, present: usize) {
        let missing = (position - self.position).saturating_sub(u64::try_from(present).unwrap_or(u64::MAX));
        self.told = self.told.saturating_sub(missing);
        self.position = position;
    }
}
