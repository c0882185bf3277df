//! The history on disk: an embedded store (redb) in one file, written by a thread of its own that reads the journal at its own pace. Nobody waits for the disk but that thread; when the disk is
//! full, read-only, damaged or slow, history stays in memory, that is said once, and it goes on when it can.

mod open;
pub(super) mod read;
mod tables;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Journal;
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

/// Ends the thread that writes. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    finish: mpsc::Sender<oneshot::Sender<()>>,
}

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
    let (finish, asked) = mpsc::channel(1);
    journal.archive().set_opening(true);
    let writer = Writer::new(Arc::clone(journal), options, tell, asked);
    let thread = std::thread::Builder::new().name("journal".to_owned()).stack_size(STACK);
    let thread = thread.spawn(move || writer.run())?;
    Ok((Store { finish }, thread))
}

impl Store {
    /// Writes what has happened so far and ends. Returns after two seconds in any case: a disk that is slower loses what is not on it.
    pub(crate) async fn finish(&self) {
        let (reply, finished) = oneshot::channel();
        let asking = async {
            self.finish.send(reply).await.ok()?;
            finished.await.ok()
        };
        let _ = tokio::time::timeout(PATIENCE, asking).await;
    }
}

#[cfg(test)]
mod tests;
