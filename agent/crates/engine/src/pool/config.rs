//! A pool of servers as configured.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// A pool of servers as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolConfig {
    /// Unique on the node. Its fact is `pools/NAME`.
    pub name: Arc<str>,
    /// In the order of the configuration.
    pub servers: Vec<ServerConfig>,
    /// The pool passes while the weight of its passing servers is at least this, from 1; 0 counts as 1, and more than the
    /// weight of all servers counts as that weight.
    pub quorum: u32,
    /// The quorum is won at `quorum` + this and lost below `quorum` − this, so that it does not flap.
    pub hysteresis: u32,
    /// What replaces all servers while the quorum is lost; `None` = nothing. Not used while `floor` keeps servers in.
    pub sorry: Option<SorryServer>,
    /// How many servers stay in whatever their checks say.
    pub floor: Floor,
    /// A server that returns gets its weight in [`crate::SLOW_START_STEPS`] equal steps over this time; `None` = at once.
    pub slow_start: Option<Duration>,
    /// Where it is used.
    pub scope: PoolScope,
}

/// A server as configured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// Unique in its pool: the configured name, or `address:port`.
    pub name: Arc<str>,
    /// Where it is.
    pub address: IpAddr,
    /// Where it is.
    pub port: u16,
    /// Its share of the load relative to the others, and what it adds to the quorum; from 1, 0 counts as 1.
    pub weight: u32,
    /// The facts of its checks; it is up when all of them pass. Without any it is always up.
    pub checks: Vec<Arc<str>>,
    /// The fact whose value is the weight instead, once one is told, as keepalived's `misc_dynamic`; one of `checks`. A
    /// value of 0 or less takes the server out like a failure.
    pub weight_from: Option<Arc<str>>,
}

/// Who says that there is nobody to answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SorryServer {
    /// Where it is.
    pub address: IpAddr,
    /// Where it is.
    pub port: u16,
}

/// How many servers stay in whatever their checks say, so that a broken check cannot empty a pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Floor {
    /// So many; 0 = the pool may become empty.
    Servers(u32),
    /// This share of all servers of the pool, rounded up; 0..=100.
    Percent(u8),
}

/// On which nodes a pool is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PoolScope {
    /// On every node.
    Always,
    /// Only where this instance is Active. Its checks run and its verdict is known on every node.
    WhenActive(Arc<str>),
}
