//! The history on disk, and what operators wanted to survive a restart: an embedded store (redb) in one file, written by a
//! thread of its own that reads the journal at its own pace. Nobody waits for the disk but that thread; when the disk is
//! full, read-only, damaged or slow, history stays in memory, that is said once, and it goes on when it can.

mod intent;
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
pub(crate) use intent::Intent;
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

/// Why something will not survive a restart.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotKept(pub(crate) Arc<str>);

#[derive(Debug)]
enum Request {
    Keep(Box<Intent>, oneshot::Sender<Result<(), NotKept>>),
    Forget(String, oneshot::Sender<Result<(), NotKept>>),
    Intents(oneshot::Sender<Result<Vec<Intent>, NotKept>>),
    Finish(oneshot::Sender<()>),
}

/// How long somebody waits for the disk.
const PATIENCE: Duration = Duration::from_secs(2);

/// Requests that wait.
const WAITING: usize = 64;

/// Begins to keep the journal on disk.
///
/// # Errors
/// When the thread cannot be made.
pub(crate) fn start(
    journal: &Arc<Journal>,
    options: StoreOptions,
    tell: Tell,
) -> std::io::Result<(Store, JoinHandle<()>)> {
    let (requests, receiver) = mpsc::channel(WAITING);
    journal.archive().set_opening(true);
    let writer = Writer::new(Arc::clone(journal), options, tell, receiver);
    let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
    Ok((Store { requests }, thread))
}

#[cfg_attr(not(test), expect(dead_code, reason = "asked by the control plane, next"))]
impl Store {
    /// Keeps an intent, in the place of an earlier one of the same thing; on disk when this returns.
    ///
    /// # Errors
    /// [`NotKept`] when it will not survive.
    pub(crate) async fn keep(&self, intent: Intent) -> Result<(), NotKept> {
        self.ask(|reply| Request::Keep(Box::new(intent), reply)).await?
    }

    /// Forgets the intent of this key; done also when there is none.
    ///
    /// # Errors
    /// [`NotKept`] when it may come back after a restart.
    pub(crate) async fn forget(&self, key: String) -> Result<(), NotKept> {
        self.ask(|reply| Request::Forget(key, reply)).await?
    }

    /// All intents that have not expired.
    ///
    /// # Errors
    /// [`NotKept`] when the disk does not tell.
    pub(crate) async fn intents(&self) -> Result<Vec<Intent>, NotKept> {
        self.ask(Request::Intents).await?
    }

    /// Writes what has happened so far and ends, within two seconds.
    pub(crate) async fn finish(&self) {
        let _ = self.ask(Request::Finish).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, NotKept> {
        let (reply, answer) = oneshot::channel();
        let asking = async {
            self.requests.send(request(reply)).await.ok()?;
            answer.await.ok()
        };
        // Cancelled here when the disk is too slow; what was asked may still be done.
        let answered = tokio::time::timeout(PATIENCE, asking).await;
        match answered {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(NotKept("the thread of the journal has ended".into())),
            Err(_) => Err(NotKept(format!("the disk did not answer within {PATIENCE:?}").into())),
        }
    }
}

#[cfg(test)]
mod tests;
