//! Checks and pools: started together, changed together, ended together.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ha_probe::command::Commands;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::warn;

use super::configuration::Loaded;
use crate::facts::{self, Facts};
use crate::health::{self, Check, Outlets};
use crate::journal::Journal;

/// What checks and pools need of the rest of the agent.
pub(super) struct Surroundings {
    pub(super) journal: Arc<Journal>,
    /// Tells the `vrrp` thread.
    pub(super) facts: Facts,
    pub(super) commands: Commands,
    /// Attempts that may be under way at once.
    pub(super) places: usize,
}

/// Checks and pools from outside, before anything of them runs.
pub(super) struct Prepared {
    pub(super) checks: health::Handle,
    for_checks: mpsc::Receiver<health::Request>,
}

/// Running checks and pools.
pub(super) struct Running {
    checks: health::Handle,
    thread: JoinHandle<()>,
}

/// Commands have a second and a half to end; what then still runs is ended by its launcher.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Prepared {
    pub(super) fn new() -> Self {
        let (checks, for_checks) = health::Handle::new();
        Self { checks, for_checks }
    }

    /// Begins. Call inside the main runtime.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub(super) fn start(self, loaded: &Loaded, around: Surroundings) -> std::io::Result<Running> {
        let Surroundings { journal, facts, commands, places } = around;
        let (for_pools, _of_servers) = facts::channel();
        let outlets = Outlets { journal, instances: facts, pools: for_pools };
        let checks: Arc<[Check]> = Arc::clone(&loaded.checks);
        let start = health::Start { outlets, requests: self.for_checks, commands, places, checks };
        Ok(Running { checks: self.checks, thread: health::start(start)? })
    }
}

impl Running {
    /// Ends every attempt and every command. Balancers keep what they have.
    pub(super) async fn end(self) {
        // An error says that the thread has ended, which is what we want.
        if timeout(LAST_WORDS, self.checks.stop()).await.is_err() {
            warn!("the checks did not end in time");
        }
        let _ = timeout(LAST_WORDS, tokio::task::spawn_blocking(move || self.thread.join())).await;
    }
}
