//! One reader of the ring: a cursor that pulls. Its only memory is its position, so a reader that stands still costs
//! nothing and delays nobody; when the ring overtakes it, it is told the exact range that it missed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::{Journal, Range, Record};

/// A cursor in the journal.
#[derive(Debug)]
pub struct Reader {
    journal: Arc<Journal>,
    position: u64,
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

/// A range of records that a reader missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lagged {
    /// Sequence of the first.
    pub first: u64,
    /// Sequence of the last.
    pub last: u64,
}

impl Lagged {
    /// How many records that is.
    pub fn count(self) -> u64 {
        self.last - self.first + 1
    }
}

/// Two losses of one reader are told at least this far apart; what is lost in between joins the second.
const BETWEEN_LOSSES: Duration = Duration::from_secs(1);

impl Reader {
    pub(super) fn new(journal: Arc<Journal>, position: u64, newest: watch::Receiver<u64>) -> Self {
        Self { journal, position, newest, lagged_at: None }
    }

    /// Sequence of the last record that was read or reported missed.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Waits for at least one record and returns at most `most`. May be cancelled: nothing is taken before it returns.
    pub async fn read(&mut self, most: usize) -> Read {
        loop {
            // Marked as seen before looking, so that an append after the look wakes us.
            self.newest.mark_unchanged();
            match self.journal.range(self.position + 1, most.max(1)) {
                Range::Overtaken { oldest } => {
                    if let Some(earliest) = self.next_loss().filter(|earliest| *earliest > Instant::now()) {
                        sleep_until(earliest).await;
                        continue;
                    }
                    return Read::Lagged(self.skip_to(oldest));
                }
                Range::Records(records) => {
                    if let Some(last) = records.last() {
                        self.position = last.sequence;
                        return Read::Records(records);
                    }
                }
            }
            // The sender lives in the journal, which this reader holds: it cannot be gone.
            let _ = self.newest.changed().await;
        }
    }

    /// What [`Self::read`] would return without waiting; `None` when there is nothing yet.
    pub fn try_read(&mut self, most: usize) -> Option<Read> {
        match self.journal.range(self.position + 1, most.max(1)) {
            Range::Overtaken { oldest } => Some(Read::Lagged(self.skip_to(oldest))),
            Range::Records(records) => {
                self.position = records.last()?.sequence;
                Some(Read::Records(records))
            }
        }
    }

    fn next_loss(&self) -> Option<Instant> {
        self.lagged_at.map(|at| at + BETWEEN_LOSSES)
    }

    fn skip_to(&mut self, oldest: u64) -> Lagged {
        let lagged = Lagged { first: self.position + 1, last: oldest - 1 };
        self.position = lagged.last;
        self.lagged_at = Some(Instant::now());
        lagged
    }
}
