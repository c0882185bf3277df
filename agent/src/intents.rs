//! What operators want to survive a restart of the agent: overrides, mutes and drains. Each is a row on disk from before it is in
//! force until it ends, and is in force again before anything is decided when the agent starts.
//!
//! ```text
//!   change    row on disk ─► change made ─► answer       the disk refuses: nothing is made, and the caller is told
//!   end       end made ─► row gone ─► answer             the disk refuses: it has ended, that is told, and the row goes later
//!   start     rows ─► what is configured still ─► engine, monitor, pools, before their first configuration
//! ```
//!
//! After the end of a change nobody needs to remember a row: what is on disk is compared with what is in force whenever
//! something expires, another configuration counts, or changes came into each other's way.

mod keep;
mod restore;
mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::warn;

use crate::journal::Journal;
use crate::journal::store::{Intents, NotKept, Store};
use crate::{driver, health, pools};

pub(crate) use keep::Change;
use keep::UnderWay;
pub(crate) use restore::Restored;
pub(crate) use row::{About, Row};

/// Keeps what is to survive. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// `None` = nothing is kept on disk.
    store: Option<Store>,
    journal: Arc<Journal>,
    driver: driver::Handle,
    checks: health::Handle,
    pools: pools::Handle,
    under_way: Mutex<UnderWay>,
    /// The disk may not say what is in force.
    doubt: Notify,
    /// Rows as they were read at the start: whoever is older than this boot of the machine is not known better elsewhere.
    read: Mutex<BTreeMap<About, Row>>,
    /// Whether everything that is on disk is in force or known to be over: only then may the rest go.
    is_read: AtomicBool,
}

/// How long the start waits for the disk. Who starts listens longer than that before it takes anything.
const PATIENCE: Duration = Duration::from_secs(2);

impl Handle {
    /// What waits for the disk, and how much may; `None` = nothing is kept.
    pub(crate) fn waiting(&self) -> Option<(usize, usize)> {
        self.shared.store.as_ref().map(Store::waiting)
    }

    /// A handle that keeps nothing: whatever is to survive is refused.
    pub fn without_disk(
        journal: Arc<Journal>,
        driver: driver::Handle,
        checks: health::Handle,
        pools: pools::Handle,
    ) -> Self {
        Self::new(None, journal, driver, checks, pools)
    }

    pub(crate) fn new(
        store: Option<Store>,
        journal: Arc<Journal>,
        driver: driver::Handle,
        checks: health::Handle,
        pools: pools::Handle,
    ) -> Self {
        let under_way = Mutex::default();
        let (read, is_read) = (Mutex::default(), AtomicBool::new(false));
        let doubt = Notify::new();
        let shared = Shared { store, journal, driver, checks, pools, under_way, doubt, read, is_read };
        Self { shared: Arc::new(shared) }
    }

    /// What survived, before anything runs; told in the journal. What cannot be read in time is put in force later.
    pub(crate) async fn restore(&self, configured: &ha_config::Configuration) -> Restored {
        let Some(store) = &self.shared.store else { return Restored::default() };
        let read = timeout(PATIENCE, store.intents()).await;
        let late = || NotKept(format!("the disk did not answer within {PATIENCE:?}").into());
        match read.unwrap_or_else(|_| Err(late())) {
            Ok(rows) => {
                let restored = self.judge(rows, configured);
                self.shared.is_read.store(true, Ordering::Release);
                restored
            }
            Err(error) => {
                restore::tell_unread(&self.shared.journal, &error);
                Restored::default()
            }
        }
    }

    /// An earlier process has said itself what was in force; the disk says no more.
    pub(crate) fn note_inherited(&self) {
        self.shared.is_read.store(true, Ordering::Release);
    }

    /// Keeps the disk true from now on. Call inside the main runtime, when everything runs.
    pub(crate) fn serve(&self, configured: Arc<ha_config::Configuration>) {
        let Some(store) = self.shared.store.clone() else { return };
        let this = self.clone();
        // Ends with the process.
        tokio::spawn(async move {
            if !this.is_read() {
                this.restore_late(&store, &configured).await;
            }
            this.watch().await;
        });
    }

    /// What could not be read at the start: as soon as it can be, and unless somebody has decided otherwise since.
    async fn restore_late(&self, store: &Store, configured: &ha_config::Configuration) {
        const PAUSE: Duration = Duration::from_secs(1);
        let rows: Intents = loop {
            match store.intents().await {
                Ok(rows) => break rows,
                // Cancelled here when the agent ends.
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let restored = self.judge(rows, configured);
        if restored.put_in_force(&self.shared).await.is_err() {
            warn!("what was to survive a restart could not be put in force: the agent is ending");
        }
        self.shared.is_read.store(true, Ordering::Release);
    }

    fn judge(&self, rows: Intents, configured: &ha_config::Configuration) -> Restored {
        let mut restored = Restored::new(rows, configured);
        restored.tell(&self.shared.journal);
        let read = std::mem::take(&mut restored.rows);
        *self.shared.read.lock().unwrap_or_else(PoisonError::into_inner) = read;
        restored
    }

    fn node(&self) -> &str {
        self.shared.journal.node()
    }

    fn is_read(&self) -> bool {
        self.shared.is_read.load(Ordering::Acquire)
    }
}
