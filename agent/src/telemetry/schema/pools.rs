//! Metrics about server pools and what balances them.

use super::{Kind, Metric, metric};

/// 1 for the verdict that the pool has, 0 for the others.
pub const POOL_STATUS: Metric = metric(
    "ha_agent.pool.status",
    Kind::UpDownCounter,
    "{pool}",
    &["pool", "verdict"],
    0,
    "1 for the verdict that the pool has, 0 for the others; PASSING while it has its quorum.",
);
/// Servers of a pool.
pub const POOL_SERVERS: Metric = metric(
    "ha_agent.pool.servers",
    Kind::Gauge,
    "{server}",
    &["kind", "pool"],
    0,
    "Servers of the pool by kind: total, used, passing, drained, and the floor, the fewest that must be used; without the sorry server.",
);
/// Whether servers that fail are kept.
pub const POOL_FLOOR: Metric = metric(
    "ha_agent.pool.floor.status",
    Kind::UpDownCounter,
    "{pool}",
    &["pool"],
    0,
    "1 while servers that fail are kept because too few would be left, else 0.",
);
/// Whether the sorry server answers.
pub const POOL_SORRY: Metric = metric(
    "ha_agent.pool.sorry.status",
    Kind::UpDownCounter,
    "{pool}",
    &["pool"],
    0,
    "1 while the sorry server has replaced all others, else 0.",
);
/// What the balancer made of the pool's sets.
pub const BALANCER_RELOADS: Metric = metric(
    "ha_agent.balancer.reloads",
    Kind::Counter,
    "{reload}",
    &["outcome", "pool"],
    0,
    "Sets of servers that the pool's balancer was to run, by outcome: success, or failure with the old one kept.",
);
