//! The two verbs that every balancer has, and what they answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Desired, Error, Nginx, Server};

/// One balancer: one nginx, later one kernel's IPVS, one HAProxy, one Envoy. It has any number of pools.
#[derive(Debug)]
#[non_exhaustive]
pub enum Backend {
    /// Files that nginx includes, and its reload.
    Nginx(Nginx),
}

impl Backend {
    /// Reads back what the balancer runs.
    ///
    /// # Errors
    /// When that cannot be found out: a file that may not be read, a process that is hidden.
    pub async fn observe(&self) -> Result<Observed, Error> {
        match self {
            Self::Nginx(nginx) => nginx.observe().await,
        }
    }

    /// Makes the balancer run these pools; others that it has stay as they are.
    ///
    /// Idempotent: where nothing differs nothing is written and nothing is reloaded. All pools share one reload. With no
    /// pool at all it only finishes or undoes what an earlier process left half done: to be called so at start. One call
    /// works at a time. It may be dropped at any `await`: that is like being killed there, and the next call repairs it.
    ///
    /// # Errors
    /// What kept all of them from being in force. Trouble of single pools is in [`Applied::refused`].
    pub async fn apply(&self, pools: &[Desired]) -> Result<Applied, Error> {
        match self {
            Self::Nginx(nginx) => nginx.apply(pools).await,
        }
    }
}

/// What [`Backend::apply`] changed.
#[derive(Debug, Default)]
pub struct Applied {
    /// The pools that are stored anew and in force.
    pub written: Vec<Arc<str>>,
    /// The balancer took over a new configuration.
    pub reloaded: bool,
    /// Pools that the balancer did not accept: they are as they were before. Not empty is to be treated as a failure, tried again later.
    pub refused: Vec<Refusal>,
    /// Pools that the balancer's configuration does not use at all: what is stored for them has no effect.
    pub unused: Vec<Arc<str>>,
}

impl Applied {
    /// Every pool is in force.
    pub fn is_complete(&self) -> bool {
        self.refused.is_empty() && self.unused.is_empty()
    }
}

/// A pool that the balancer did not accept while the others went on.
#[derive(Debug)]
pub struct Refusal {
    /// Its name.
    pub pool: Arc<str>,
    /// Why, with the remedy.
    pub error: Error,
}

/// What [`Backend::observe`] found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// By name. A pool that the balancer has nothing for is absent.
    pub pools: BTreeMap<Arc<str>, PoolView>,
    /// The balancer's process, if it has one and it runs.
    pub process: Option<u32>,
    /// Its processes that serve with the configuration in force.
    pub workers: usize,
    /// Its processes that only end connections of earlier configurations. Each reload may add some.
    pub shutting_down: usize,
}

/// One pool as the balancer has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolView {
    /// Its servers, sorted, as far as `standing` says that they are known.
    pub servers: Vec<Server>,
    /// How far they are in force.
    pub standing: Standing,
}

/// How far a pool's stored servers are what the balancer runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// The balancer runs these servers.
    Running,
    /// They are stored, but it is not proven that the balancer has taken them over. The next apply makes it do so.
    Pending,
    /// They are stored and the balancer does not run: its next start takes them over.
    Stopped,
    /// They are stored where the balancer's configuration does not look.
    Unused,
    /// Something else is stored, not written by this program: its servers are not known. The next apply replaces it.
    Foreign,
}

impl Standing {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Pending => "pending",
            Self::Stopped => "stopped",
            Self::Unused => "unused",
            Self::Foreign => "foreign",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_move<T: Send>(future: T) -> T {
        future
    }

    #[tokio::test]
    async fn both_verbs_may_run_on_a_runtime_with_threads_and_touch_nothing_when_there_is_no_pool() {
        let backend = Backend::Nginx(Nginx::new(crate::Options::default()).unwrap());
        let applied = may_move(backend.apply(&[])).await.unwrap();
        assert!(applied.is_complete() && !applied.reloaded && applied.written.is_empty(), "{applied:?}");
        assert_eq!(may_move(backend.observe()).await.unwrap().pools, BTreeMap::new());
        let unknown = Desired::new("web", vec![]).unwrap();
        assert!(matches!(backend.apply(&[unknown]).await, Err(Error::Internal(_))));
    }
}
