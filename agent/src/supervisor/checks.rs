//! Checks and pools: started together, changed together, ended together.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ha_config::Configuration;
use ha_engine::{CheckStatus, DrainedServer, MutedCheck, PoolStatus};
use ha_probe::command::Commands;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::configuration::Loaded;
use crate::facts::{self, Facts};
use crate::health::{self, Check, Outlets};
use crate::journal::Journal;
use crate::{driver, pools};

/// What checks and pools need of the rest of the agent.
pub(super) struct Surroundings {
    pub(super) journal: Arc<Journal>,
    pub(super) driver: driver::Handle,
    /// Tells the `vrrp` thread.
    pub(super) facts: Facts,
    pub(super) commands: Commands,
    /// Attempts that may be under way at once.
    pub(super) places: usize,
    /// What an earlier process left frozen.
    pub(super) muted: Vec<MutedCheck>,
    /// What an earlier process left drained.
    pub(super) drained: Vec<DrainedServer>,
}

/// Checks and pools from outside, before anything of them runs.
pub(super) struct Prepared {
    pub(super) checks: health::Handle,
    pub(super) pools: pools::Handle,
    for_checks: mpsc::Receiver<health::Request>,
    for_pools: mpsc::Receiver<pools::Request>,
}

/// Running checks and pools.
pub(super) struct Running {
    checks: health::Handle,
    thread: JoinHandle<()>,
    pools: pools::Handle,
    end_of_pools: CancellationToken,
}

/// Commands have a second and a half to end; what then still runs is ended by its launcher.
const LAST_WORDS: Duration = Duration::from_secs(2);

impl Prepared {
    pub(super) fn new() -> Self {
        let (checks, for_checks) = health::Handle::new();
        let (pools, for_pools) = pools::Handle::new();
        Self { checks, pools, for_checks, for_pools }
    }

    /// Begins. Call inside the main runtime.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub(super) fn start(self, loaded: &Loaded, around: Surroundings) -> std::io::Result<Running> {
        let Surroundings { journal, driver, facts, commands, places, muted, drained } = around;
        let (for_pools, of_checks) = facts::channel();
        let end_of_pools = CancellationToken::new();
        tokio::spawn(pools::run(pools::Start {
            journal: Arc::clone(&journal),
            driver,
            of_checks,
            for_instances: facts.another(),
            requests: self.for_pools,
            wanted: wanted_pools(&loaded.configuration),
            drained,
            end: end_of_pools.clone(),
        }));
        let outlets = Outlets { journal, instances: facts, pools: for_pools };
        let checks: Arc<[Check]> = Arc::clone(&loaded.checks);
        let start = health::Start { outlets, requests: self.for_checks, commands, places, checks, muted };
        Ok(Running { checks: self.checks, pools: self.pools, thread: health::start(start)?, end_of_pools })
    }
}

/// What the pools' task is told of a configuration.
pub(super) fn wanted_pools(configuration: &Configuration) -> pools::Wanted {
    pools::Wanted { pools: configuration.pools.clone(), nginx: configuration.nginx.clone() }
}

impl Running {
    /// What operators have frozen and drained; as far as it is told in time.
    pub(super) async fn held(&self) -> (Vec<MutedCheck>, Vec<DrainedServer>) {
        let checks = timeout(LAST_WORDS, self.checks.snapshot());
        let pools = timeout(LAST_WORDS, self.pools.snapshot());
        let (checks, pools) = tokio::join!(checks, pools);
        let muted = match checks {
            Ok(Ok(checks)) => checks.checks.iter().filter_map(|view| muted(&view.status)).collect(),
            _ => {
                warn!("the checks do not answer: their mutes are not left to the next process");
                Vec::new()
            }
        };
        let drained = match pools {
            Ok(Ok(pools)) => pools.pools.iter().flat_map(|view| drained(&view.status)).collect(),
            _ => {
                warn!("the pools do not answer: drains of their servers are not left to the next process");
                Vec::new()
            }
        };
        (muted, drained)
    }

    /// Ends every attempt and every command. Balancers keep what they have.
    pub(super) async fn end(self) {
        self.end_of_pools.cancel();
        // An error says that the thread has ended, which is what we want.
        if timeout(LAST_WORDS, self.checks.stop()).await.is_err() {
            warn!("the checks did not end in time");
        }
        let _ = timeout(LAST_WORDS, tokio::task::spawn_blocking(move || self.thread.join())).await;
    }
}

fn muted(status: &CheckStatus) -> Option<MutedCheck> {
    let (name, verdict, value) = (Arc::clone(&status.policy.name), status.verdict, status.value);
    status.mute.clone().map(|mute| MutedCheck { name, verdict, value, mute })
}

fn drained(status: &PoolStatus) -> impl Iterator<Item = DrainedServer> + '_ {
    status.servers.iter().filter_map(|server| {
        let (pool, name) = (Arc::clone(&status.config.name), Arc::clone(&server.config.name));
        server.drain.clone().map(|drain| DrainedServer { pool, server: name, drain })
    })
}
