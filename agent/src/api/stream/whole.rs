//! How everything stood at one moment, lent to the streams that begin with it. A stream that stands still in the middle keeps none:
//! only the last few are kept, whoever comes back for one that is gone goes on with a newer one, and none is kept that nobody wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tonic::Status;

use super::super::convert::Dependents;
use super::super::shared::Shared;
use super::super::snapshots::View;
use crate::{health, pools};

/// How many are kept at most. At ten thousand routers each has about 8 MiB.
const KEPT: usize = 4;

/// How everything stands.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) instances: Arc<View>,
    pub(super) checks: Arc<View<health::Snapshot>>,
    pub(super) pools: Arc<View<pools::Snapshot>>,
    pub(super) dependents: Dependents,
}

/// Those that are lent, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Wholes(Mutex<VecDeque<Arc<Whole>>>);

/// One that is lent, as long as it is kept.
#[derive(Debug)]
pub(super) struct Lent {
    from: Arc<Wholes>,
    whole: Weak<Whole>,
}

impl Whole {
    /// The effect of every event up to here is in it.
    pub(super) fn sequence(&self) -> u64 {
        self.instances.sequence.min(self.checks.sequence).min(self.pools.sequence)
    }

    fn is_of(
        &self,
        instances: &Arc<View>,
        checks: &Arc<View<health::Snapshot>>,
        pools: &Arc<View<pools::Snapshot>>,
    ) -> bool {
        Arc::ptr_eq(&self.instances, instances)
            && Arc::ptr_eq(&self.checks, checks)
            && Arc::ptr_eq(&self.pools, pools)
    }
}

impl Wholes {
    /// One with the effect of every event up to `sequence`, which must have been reached.
    pub(super) async fn lend(shared: &Shared, sequence: u64) -> Result<(Lent, Arc<Whole>), Status> {
        let instances = shared.snapshots.containing(sequence);
        let checks = shared.checks.containing(sequence);
        let pools = shared.pools.containing(sequence);
        let (instances, checks, pools) = tokio::try_join!(instances, checks, pools)?;
        let from = Arc::clone(&shared.wholes);
        let known = from.lock().back().filter(|last| last.is_of(&instances, &checks, &pools)).cloned();
        let whole = known.unwrap_or_else(|| {
            let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
            from.keep(Arc::new(Whole { instances, checks, pools, dependents }))
        });
        let lent = Lent { from, whole: Arc::downgrade(&whole) };
        Ok((lent, whole))
    }

    fn keep(&self, whole: Arc<Whole>) -> Arc<Whole> {
        let mut kept = self.lock();
        kept.push_back(Arc::clone(&whole));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        whole
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Whole>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// It, if it is still kept.
    pub(super) fn get(&self) -> Option<Arc<Whole>> {
        self.whole.upgrade()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.whole = Weak::new();
        self.from.lock().retain(|whole| Arc::weak_count(whole) > 0);
    }
}
