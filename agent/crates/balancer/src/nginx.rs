//! nginx: a file for each pool that its configuration includes, tested by nginx itself, taken over by a reload, and read back
//! as far as that is possible.
//!
//! ```text
//!   apply:  what differs? ── nothing ──► done, nothing written, nothing reloaded
//!              │ something
//!              ▼
//!           store the files ──► nginx -T ──► SIGHUP ──► watch the new workers take over ──► settle: the old files are forgotten
//!                                  │ refused
//!                                  ▼
//!                              the old file back, the other pools go on
//! ```
//!
//! Between storing and settling the old file lies beside the new one, so whoever finds both (this process after being
//! killed, too) knows that the change is unfinished, tests again, and takes it over or puts the old one back.

mod command;
mod evidence;
mod handover;
mod options;
mod process;
mod slot;
mod text;
mod turn;
mod watch;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use self::evidence::{Memory, Snapshot};
pub use self::options::{Form, Options, PoolOptions, Sorry};
use self::process::{Master, Worker};
use self::slot::Slot;
use self::turn::Turn;
use crate::{Applied, Desired, Error, Observed, PoolView, Standing};

/// One nginx with its pools.
#[derive(Debug)]
pub struct Nginx {
    options: Options,
    slots: Slots,
    memory: Mutex<Memory>,
    /// Held by the one apply that works, and by what it does on the disk when it is dropped meanwhile.
    busy: Arc<tokio::sync::Mutex<()>>,
}

type Slots = BTreeMap<Arc<str>, Arc<Slot>>;
type Busy = Arc<OwnedMutexGuard<()>>;
type Snapshots = BTreeMap<Arc<str>, Result<Snapshot, Error>>;

impl Nginx {
    /// Touches nothing yet.
    ///
    /// # Errors
    /// [`Error::Option`] with the option that cannot be used.
    pub fn new(options: Options) -> Result<Self, Error> {
        options.check()?;
        let slot = |(name, pool): (&Arc<str>, &PoolOptions)| (name.clone(), Arc::new(Slot::new(&pool.file)));
        let slots = options.pools.iter().map(slot).collect();
        Ok(Self { options, slots, memory: Mutex::default(), busy: Arc::default() })
    }

    pub(crate) async fn observe(&self) -> Result<Observed, Error> {
        let snapshots = self.snapshots(None).await?;
        let master = match Master::find(&self.options.pid_file) {
            Ok(master) => Some(master),
            Err(Error::NotRunning { .. }) => None,
            Err(error) => return Err(error),
        };
        let workers = master.as_ref().map(Master::workers);
        let mut pools = BTreeMap::new();
        for (pool, snapshot) in snapshots {
            if let Some(view) = self.view(&pool, snapshot, workers.as_deref())? {
                pools.insert(pool, view);
            }
        }
        let workers = workers.unwrap_or_default();
        let shutting_down = workers.iter().filter(|worker| worker.is_shutting_down).count();
        let process = master.map(|master| master.id.pid);
        Ok(Observed { pools, process, workers: workers.len() - shutting_down, shutting_down })
    }

    pub(crate) async fn apply(&self, pools: &[Desired]) -> Result<Applied, Error> {
        let busy: Busy = Arc::new(self.busy.clone().lock_owned().await);
        Turn::new(self, busy, pools)?.run().await
    }

    /// `None` where nothing is stored.
    fn view(
        &self,
        pool: &Arc<str>,
        snapshot: Result<Snapshot, Error>,
        workers: Option<&[Worker]>,
    ) -> Result<Option<PoolView>, Error> {
        let foreign = Ok(Some(PoolView { servers: Vec::new(), standing: Standing::Foreign }));
        let snapshot = match snapshot {
            Ok(snapshot) => snapshot,
            Err(Error::Unsafe { .. }) => return foreign,
            Err(error) => return Err(error),
        };
        let Some(stored) = &snapshot.stored else { return Ok(None) };
        let Some(servers) = str::from_utf8(&stored.text).ok().and_then(text::parse) else { return foreign };
        let standing = match workers {
            _ if self.memory().is_unused(pool) => Standing::Unused,
            None => Standing::Stopped,
            Some(workers) if self.is_proven(pool, &snapshot, workers) => Standing::Running,
            Some(_) => Standing::Pending,
        };
        Ok(Some(PoolView { servers, standing }))
    }

    fn is_proven(&self, pool: &Arc<str>, snapshot: &Snapshot, workers: &[Worker]) -> bool {
        self.memory().is_proven(pool, snapshot, workers, process::time_of_day)
    }

    /// What is stored for each pool.
    async fn snapshots(&self, busy: Option<Busy>) -> Result<Snapshots, Error> {
        let slots = self.slots.clone();
        on_disk(busy, move || slots.into_iter().map(|(pool, slot)| (pool, snapshot(&slot))).collect()).await
    }

    /// Held for moments only, and nothing in it can be half changed.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn snapshot(slot: &Slot) -> Result<Snapshot, Error> {
    Ok(Snapshot { stored: slot.read()?, is_unfinished: slot.is_unfinished()? })
}

/// Does what may wait for a disk where that delays nobody. It goes on to its end when the caller is dropped, and nobody
/// else works on the files until then.
async fn on_disk<T: Send + 'static>(
    busy: Option<Busy>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let task = tokio::task::spawn_blocking(move || {
        let done = work();
        drop(busy);
        done
    });
    task.await.map_err(|error| Error::Internal(format!("the work on nginx's files ended early: {error}")))
}
