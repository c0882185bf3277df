//! Metrics about health checks: what they say, what they cost, and how punctual they are.

use super::{Kind, Metric, metric};

/// 1 for the verdict that the check has, 0 for the others.
pub const CHECK_STATUS: Metric = metric(
    "ha_agent.check.status",
    Kind::UpDownCounter,
    "{check}",
    &["check", "verdict"],
    6,
    "1 for the verdict that the check has, 0 for the others.",
);
/// How long attempts of checks took.
pub const CHECK_DURATION: Metric = metric(
    "ha_agent.check.duration",
    Kind::Histogram,
    "s",
    &["kind", "result"],
    0,
    "How long attempts of checks took, by kind and by what they said about their target.",
);
/// How late the thread of the checks saw that something was due.
pub const CHECK_DELAY: Metric = metric(
    "ha_agent.check.delay",
    Kind::Histogram,
    "s",
    &[],
    0,
    "How late the thread of the checks saw that something was due.",
);
/// Attempts that were left out because the one before had not ended.
pub const CHECK_OVERRUNS: Metric = metric(
    "ha_agent.check.overruns",
    Kind::Counter,
    "{attempt}",
    &[],
    0,
    "Attempts of checks that were left out because the one before had not ended.",
);
/// Attempts, watches and commands of checks that are under way.
pub const CHECK_ATTEMPTS: Metric = metric(
    "ha_agent.check.attempts",
    Kind::UpDownCounter,
    "{attempt}",
    &[],
    0,
    "Attempts, watches and commands of checks that are under way.",
);
