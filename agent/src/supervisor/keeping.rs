//! The history on disk: where it is, and what the node's conditions say of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::timeout;
use tracing::warn;

use super::conditions::{Conditions, HISTORY};
use crate::journal::Journal;
use crate::journal::store::{self, Standing, Store, StoreOptions};

/// Where the history is when neither the configuration nor systemd says.
const DIRECTORY: &str = "/var/lib/ha-agent";

/// The history on disk while the agent runs.
pub(super) struct Keeping {
    pub(super) store: Store,
    thread: JoinHandle<()>,
}

/// Begins to keep the history, when that is wanted. Without it the agent runs as well.
pub(super) fn begin(
    wanted: &ha_config::Journal,
    journal: &Arc<Journal>,
    conditions: &Arc<Conditions>,
) -> Option<Keeping> {
    if !wanted.enabled {
        return None;
    }
    let directory = directory(wanted);
    let options = StoreOptions { directory: directory.clone(), size: wanted.size, age: wanted.age };
    let told = Arc::clone(conditions);
    let tell = Box::new(move |standing: &Standing| note(&told, &directory, standing));
    match store::start(journal, options, tell) {
        Ok((store, thread)) => Some(Keeping { store, thread }),
        Err(error) => {
            warn!(%error, "history is kept in memory alone: cannot start its thread");
            None
        }
    }
}

impl Keeping {
    /// Writes what has happened, within a bounded time.
    pub(super) async fn end(self) {
        self.store.finish().await;
        let joined = timeout(Duration::from_millis(500), tokio::task::spawn_blocking(|| self.thread.join()));
        if joined.await.is_err() {
            warn!("the disk did not take the end of the history in time");
        }
    }
}

fn directory(wanted: &ha_config::Journal) -> PathBuf {
    // systemd names several with colons between them.
    let given = std::env::var("STATE_DIRECTORY").ok();
    let given = given.and_then(|given| given.split(':').next().map(PathBuf::from));
    let given = given.filter(|given| given.is_absolute());
    wanted.directory.clone().or(given).unwrap_or_else(|| PathBuf::from(DIRECTORY))
}

fn note(conditions: &Conditions, directory: &Path, standing: &Standing) {
    match standing {
        Standing::Kept => {
            let message = format!("history survives a restart, in {}", directory.display());
            conditions.set(HISTORY, true, "Kept", message);
        }
        Standing::InMemory(why) => {
            let message = format!("history is in memory alone and ends with the agent: {why}");
            conditions.set(HISTORY, false, "InMemory", message);
        }
    }
}
