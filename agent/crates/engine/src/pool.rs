//! Server pools: which servers a balancer is to use, and whether a pool is worth using. Balancing is left to others.

mod config;
mod status;
mod wire;

use core::time::Duration;

pub use config::{Floor, PoolConfig, PoolScope, ServerConfig, SorryServer};
pub use status::{BalancerStatus, Drain, PoolStatus, ServerState, ServerStatus};
pub use wire::{
    Balanced, Desired, DesiredServer, PoolInput, PoolOutput, PoolOutputs, PoolRefusal, RunningServer,
};

/// Servers that fail within this time of each other fail at once.
pub const MASS_FAILURE_WINDOW: Duration = Duration::from_secs(10);

/// Steps in which a server that returned gets its weight.
pub const SLOW_START_STEPS: u32 = 5;
