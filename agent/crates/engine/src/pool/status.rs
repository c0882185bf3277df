//! What is shown of a pool: as it stands, without asking anything but the pools.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::config::{PoolConfig, ServerConfig};
use crate::order::StandingOrder;
use crate::track::Verdict;
use crate::units::Instant;

/// A pool at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PoolStatus {
    /// How it is configured.
    pub config: Arc<PoolConfig>,
    /// Passing while it has its quorum.
    pub verdict: Verdict,
    /// Since when.
    pub since: Instant,
    /// Its servers in the order of the configuration; the sorry server, if there is one, last.
    pub servers: Vec<ServerStatus>,
    /// Weight of the servers that pass.
    pub passing_weight: u32,
    /// Weight of those not known yet.
    pub unknown_weight: u32,
    /// Servers that are in.
    pub used: u32,
    /// The fewest servers that must be in.
    pub floor: u32,
    /// Servers that fail are kept because of it.
    pub floor_reached: bool,
    /// The sorry server has replaced all others.
    pub sorry_in: bool,
    /// Whether the pool is used on this node now.
    pub enabled: bool,
    /// The generation of the set that is wanted.
    pub generation: u64,
    /// What the balancer made of it.
    pub balancer: BalancerStatus,
}

/// What the balancer made of a pool's set.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BalancerStatus {
    /// The newest generation that it is known to have taken over; `None` = none yet.
    pub generation: Option<u64>,
    /// When it did.
    pub applied: Option<Instant>,
    /// Why it did not take over the newest; `None` = it did, or has not said yet.
    pub error: Option<Arc<str>>,
    /// Whether what it runs could be read back.
    pub read_back: bool,
}

/// A server of a pool at one instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerStatus {
    /// How it is configured.
    pub config: ServerConfig,
    /// What it is at.
    pub state: ServerState,
    /// Since when.
    pub since: Instant,
    /// What the balancer is to use; 0 = no new sessions.
    pub desired_weight: u32,
    /// What the balancer was last seen to use; `None` = not in it, or not known.
    pub running_weight: Option<u32>,
    /// The facts of its checks that fail.
    pub failing_checks: Vec<Arc<str>>,
    /// What the first of them saw, one sentence.
    pub detail: Arc<str>,
    /// An operator's drain.
    pub drain: Option<StandingOrder>,
    /// Whether this is the sorry server.
    pub sorry: bool,
}

/// What a server is at.
///
/// ```text
///            first verdict passes                  fails, too few would be left
/// UNKNOWN ───────────────────────► UP ───────────────────────────────────────────► KEPT
///    │                             ▲ │ fails                                       │  ▲
///    │ first verdict fails         │ └──────────────► DOWN ◄───────────────────────┘  │
///    └──────────────────────────►  │                  │  │   another server returned  │
///                        full      │     passes again │  └────────────────────────────┘
///                        weight    │                  ▼       another one fell, or left
///                                  └───────────── SLOW_START
///
/// an operator's drain: from anywhere to DRAINING; its end: to where the checks say
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ServerState {
    /// All its checks pass: in.
    Up,
    /// A check fails: out.
    Down,
    /// No check fails, but not all are known: in.
    Unknown,
    /// An operator took it out: no new sessions.
    Draining,
    /// A check fails, but it is in because too few servers would be left.
    Kept,
    /// All its checks pass again: in, with a weight that grows.
    SlowStart,
    /// The sorry server while it is not needed: out.
    Standby,
}

impl ServerState {
    /// The word in API and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::Unknown => "UNKNOWN",
            Self::Draining => "DRAINING",
            Self::Kept => "KEPT",
            Self::SlowStart => "SLOW_START",
            Self::Standby => "STANDBY",
        }
    }
}

/// A server that an operator drained, as an earlier process of the agent left it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DrainedServer {
    /// Of which pool.
    pub pool: Arc<str>,
    /// Which.
    pub server: Arc<str>,
    /// Why it is out.
    pub drain: StandingOrder,
}
