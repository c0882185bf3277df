//! Which instances are Active, for pools that are used only there: read from the journal, so that pools are no burden for
//! the `vrrp` thread.

use std::sync::Arc;

use ha_engine::{EventKind, StateName, Subject};
use tracing::warn;

use crate::driver;
use crate::journal::{Entry, Journal, Read, Reader, Record};

/// A change of state.
pub(super) type Change = (Arc<str>, bool);

/// Follows the states of instances.
pub(super) struct Instances {
    reader: Reader,
    driver: driver::Handle,
    /// Changes were missed: the driver must be asked.
    is_behind: bool,
}

/// Records taken at once.
const CHUNK: usize = 256;

impl Instances {
    pub(super) fn new(journal: &Arc<Journal>, driver: driver::Handle) -> Self {
        Self { reader: journal.reader(0), driver, is_behind: false }
    }

    /// The next changes. May be cancelled: what was missed is remembered, what was read is returned at once.
    pub(super) async fn next(&mut self) -> Vec<Change> {
        loop {
            if self.is_behind {
                match self.driver.snapshot().await {
                    Ok(snapshot) => {
                        self.is_behind = false;
                        let states = snapshot.instances.iter();
                        return states
                            .map(|one| (Arc::clone(&one.config.name), one.state == StateName::Active))
                            .collect();
                    }
                    // The agent ends: nothing changes any more.
                    Err(_gone) => std::future::pending().await,
                }
            }
            match self.reader.read(CHUNK).await {
                Read::Records(records) => {
                    let changes: Vec<Change> = records.iter().filter_map(|record| change(record)).collect();
                    if !changes.is_empty() {
                        return changes;
                    }
                }
                Read::Lagged(lagged) => {
                    warn!(count = lagged.count(), "pools missed events; asking for the states of instances");
                    self.is_behind = true;
                }
            }
        }
    }
}

fn change(record: &Record) -> Option<Change> {
    let Entry::Event(event) = &record.entry else { return None };
    let Subject::Instance(_, name) = &event.subject else { return None };
    match event.kind {
        EventKind::StateChanged { to, .. } | EventKind::Adopted { state: to, .. } => {
            Some((Arc::clone(name), to == StateName::Active))
        }
        EventKind::InstanceRemoved => Some((Arc::clone(name), false)),
        _ => None,
    }
}
