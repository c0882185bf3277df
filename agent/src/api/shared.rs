//! What all services share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use super::connection::{Place, Places, User};
use super::convert::Context;
use super::error::{Reason, internal, refuse};
use super::gate::Caller;
use super::names::Names;
use super::once::Once;
use super::probe::Probes;
use super::pulse::Pulse;
use super::rate::Rate;
use super::snapshots::{Snapshots, View};
use super::stream::Wholes;
use super::{Asked, Counters, Options};
use crate::intents::{self, Change};
use crate::journal::Journal;
use crate::journal::store::NotKept;
use crate::{configure, health, moves, peers, pools};

/// What all services share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) journal: Arc<Journal>,
    pub(crate) names: Names,
    pub(crate) snapshots: Snapshots,
    pub(crate) checks: Snapshots<health::Handle>,
    pub(crate) pools: Snapshots<pools::Handle>,
    /// How everything stood when streams began that are still told it.
    pub(crate) wholes: Arc<Wholes>,
    /// What the other nodes say.
    pub(crate) peers: peers::Handle,
    /// Moves virtual routers to other nodes.
    pub(crate) moves: moves::Handle,
    pub(crate) configure: configure::Handle,
    /// Keeps what is to survive a restart.
    pub(crate) intents: intents::Handle,
    /// Questions to the wire.
    pub(crate) probes: Probes,
    /// Changes that were made, by request id.
    pub(crate) once: Once,
    /// How often each user may change something.
    pub(crate) rate: Rate,
    /// Cancelled when the agent begins to stop.
    pub(crate) shutdown: CancellationToken,
    /// Wakes the watchers of events.
    pub(crate) pulse: Pulse,
    /// A place for one dump of the state.
    pub(crate) dumps: Arc<Semaphore>,
    watchers: Places,
}

/// A place among the watchers; free again when dropped.
#[derive(Debug)]
pub(crate) struct WatchPlace {
    counters: Arc<Counters>,
    _place: Place,
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        asked: Asked,
        journal: Arc<Journal>,
        shutdown: CancellationToken,
    ) -> Self {
        let watchers = Places::new(options.limits.watchers, options.limits.reserved_watchers);
        let names = Names::new(Arc::clone(journal.node()));
        let Asked { driver, checks, pools, configure, peers, moves, intents } = asked;
        Self {
            snapshots: Snapshots::new(driver, Arc::clone(&journal)),
            checks: Snapshots::new(checks, Arc::clone(&journal)),
            pools: Snapshots::new(pools, Arc::clone(&journal)),
            wholes: Arc::default(),
            configure,
            intents,
            probes: Probes::default(),
            peers,
            moves,
            once: Once::default(),
            rate: Rate::default(),
            options,
            journal,
            names,
            shutdown,
            pulse: Pulse::default(),
            dumps: Arc::new(Semaphore::new(1)),
            watchers,
        }
    }

    /// Makes a change with what it makes of the disk; of a dry run, says whether the disk would take it.
    pub(crate) async fn keeping<T>(
        &self,
        rows: Change,
        dry_run: bool,
        change: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        if dry_run {
            if rows.keeps() {
                self.intents.check().await.map_err(|error| not_kept(&error))?;
            }
            return change.await;
        }
        self.intents.around(rows, change).await.map_err(|error| not_kept(&error))?
    }

    /// For conversions of what a view holds.
    pub(crate) fn context(&self, view: &View) -> Context<'_> {
        Context {
            names: &self.names,
            incarnation: self.journal.incarnation(),
            clock: self.journal.wall_clock(),
            at: view.snapshot.at,
        }
    }

    /// The checks, and the instances that depend on them.
    pub(crate) async fn check_views(&self) -> Result<(Arc<View<health::Snapshot>>, Arc<View>), Status> {
        tokio::try_join!(self.checks.view(), self.snapshots.view())
    }

    /// A place for a watch of this user.
    pub(crate) fn watch_place(&self, user: User) -> Result<WatchPlace, Status> {
        let place = self.watchers.take(user).ok_or_else(|| {
            refuse(
                Reason::TooManyWatchers,
                "too many watches are open on this agent",
                "end some, or poll instead",
            )
        })?;
        let counters = Arc::clone(&self.options.counters);
        counters.watchers.fetch_add(1, Ordering::Relaxed);
        Ok(WatchPlace { counters, _place: place })
    }
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        self.counters.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who sent a request; the gate put it there.
pub(crate) fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    request.extensions().get().cloned().ok_or_else(internal)
}

fn not_kept(error: &NotKept) -> Status {
    refuse(
        Reason::NotKept,
        format!("nothing was changed, it would not survive a restart: {error}"),
        "make the disk take it, or repeat it without survive_restart",
    )
}
