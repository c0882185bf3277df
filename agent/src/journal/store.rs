//! The history on disk, and what operators want to survive a restart: an embedded store (redb) in one file, written by a
//! thread of its own that reads the journal at its own pace. Nobody waits for the disk but that thread, and who wants
//! something to survive; when the disk is full, read-only, damaged or slow, history stays in memory, that is said once, and
//! it goes on when it can.

mod intents;
mod open;
mod overlay;
pub(super) mod read;
mod tables;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Journal;
pub(crate) use intents::{Changes, Intents, IsKnown};
use writer::Writer;

/// Where and how much is kept.
#[derive(Clone, Debug)]
pub(crate) struct StoreOptions {
    /// Made with mode 0700 when there is none.
    pub(crate) directory: PathBuf,
    /// Bytes that the file may have.
    pub(crate) size: u64,
    /// What is older goes.
    pub(crate) age: Duration,
}

/// How the history on disk stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is written.
    Kept,
    /// It is not, and why; history is in memory alone.
    InMemory(Arc<str>),
}

/// Told when the standing changes. Must not block.
pub(crate) type Tell = Box<dyn Fn(&Standing) + Send>;

/// Asks the thread that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    requests: mpsc::Sender<Request>,
}

/// Why something is not on disk.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotKept(pub(crate) Arc<str>);

/// What the thread is asked for.
#[derive(Debug)]
enum Request {
    /// To put something on disk now, or not at all.
    Keep(Changes, oneshot::Sender<Result<(), NotKept>>),
    /// To put something on disk as soon as it takes it.
    Settle(Changes, oneshot::Sender<Result<(), NotKept>>),
    /// That nothing else survives a restart, as soon as the disk takes it.
    Replace(Intents, IsKnown),
    /// What survived the last one.
    Intents(oneshot::Sender<Result<Intents, NotKept>>),
    Finish(oneshot::Sender<()>),
}

/// Requests that wait.
const WAITING: usize = 64;

/// How long somebody waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// All of it is locked in memory; the store's trees are a few levels deep.
const STACK: usize = 512 << 10;

/// Begins to keep the journal on disk.
///
/// # Errors
/// When the thread cannot be made.
pub(crate) fn start(
    journal: &Arc<Journal>,
    options: StoreOptions,
    tell: Tell,
) -> std::io::Result<(Store, JoinHandle<()>)> {
    let (requests, asked) = mpsc::channel(WAITING);
    journal.archive().set_opening(true);
    let writer = Writer::new(Arc::clone(journal), options, tell, asked);
    let thread = std::thread::Builder::new().name("journal".to_owned()).stack_size(STACK);
    let thread = thread.spawn(move || writer.run())?;
    Ok((Store { requests }, thread))
}

impl Store {
    /// Requests that wait for the thread, and how many may.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let most = self.requests.max_capacity();
        (most - self.requests.capacity(), most)
    }

    /// Writes what has happened so far and ends. Returns after two seconds in any case: a disk that is slower loses what is not on it.
    pub(crate) async fn finish(&self) {
        let _ = self.ask(Request::Finish).await;
    }

    /// Makes the rows what `changes` say; on disk when this returns.
    ///
    /// # Errors
    /// [`NotKept`] when the disk does not take it within two seconds. It may take it later all the same: say with
    /// [`Self::settle_soon`] what shall be.
    pub(crate) async fn keep(&self, changes: Changes) -> Result<(), NotKept> {
        self.ask(|reply| Request::Keep(changes, reply)).await?
    }

    /// Makes the rows what `changes` say, as soon as the disk takes it.
    ///
    /// # Errors
    /// [`NotKept`] when it does not take it yet.
    pub(crate) async fn settle(&self, changes: Changes) -> Result<(), NotKept> {
        self.ask(|reply| Request::Settle(changes, reply)).await?
    }

    /// The same without waiting for it. `false` = too much waits already.
    pub(crate) fn settle_soon(&self, changes: Changes) -> bool {
        self.requests.try_send(Request::Settle(changes, oneshot::channel().0)).is_ok()
    }

    /// Makes all rows with known names what `intents` say, as soon as the disk takes it. `false` = too much waits already.
    pub(crate) fn replace(&self, intents: Intents, is_known: IsKnown) -> bool {
        self.requests.try_send(Request::Replace(intents, is_known)).is_ok()
    }

    /// All rows, also when the disk cannot be written. Waits as long as that is being decided.
    ///
    /// # Errors
    /// [`NotKept`] when they cannot be read.
    pub(crate) async fn intents(&self) -> Result<Intents, NotKept> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Intents(reply)).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, NotKept> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.requests.send(request(reply)).await.ok()?;
            answer.await.ok()
        };
        // Cancelled here when the disk is too slow; what was asked may still be done.
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(answer) => answer.ok_or_else(ended),
            Err(_) => Err(NotKept(format!("the disk did not answer within {PATIENCE:?}").into())),
        }
    }
}

fn ended() -> NotKept {
    NotKept("the thread of the journal has ended".into())
}

#[cfg(test)]
mod tests;
