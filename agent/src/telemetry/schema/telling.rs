//! Metrics about what the node tells others by itself: its telemetry, its log and its notifiers.

use super::{Kind, Metric, metric};

/// Spans and event records that were dropped because the collector did not take them.
pub const TELEMETRY_DROPPED: Metric = metric(
    "ha_agent.telemetry.dropped",
    Kind::Counter,
    "{record}",
    &["signal"],
    0,
    "Spans and event records that were dropped because the collector did not take them.",
);
/// Spans and event records that the collector took, by signal.
pub const TELEMETRY_EXPORTED: Metric = metric(
    "ha_agent.telemetry.exported",
    Kind::Counter,
    "{record}",
    &["signal"],
    0,
    "Spans and event records that the collector took, by signal.",
);
/// Spans and event records that wait for the collector, by signal.
pub const TELEMETRY_WAITING: Metric = metric(
    "ha_agent.telemetry.waiting",
    Kind::UpDownCounter,
    "{record}",
    &["signal"],
    0,
    "Spans and event records that wait for the collector, by signal.",
);
/// Exports that failed after their retries, by signal.
pub const TELEMETRY_EXPORT_FAILURES: Metric = metric(
    "ha_agent.telemetry.export.failures",
    Kind::Counter,
    "{export}",
    &["signal"],
    0,
    "Exports that failed after their retries, by signal.",
);
/// Log lines that were lost because nobody read them in time.
pub const LOG_LOST: Metric = metric(
    "ha_agent.log.lost",
    Kind::Counter,
    "{line}",
    &[],
    0,
    "Log lines that were lost because nobody read them in time.",
);
/// Events that a notifier was told.
pub const NOTIFY_DELIVERED: Metric = metric(
    "ha_agent.notify.delivered",
    Kind::Counter,
    "{event}",
    &["notifier"],
    0,
    "Events that the receiver of a notifier has taken.",
);
/// Attempts to tell a notifier that failed.
pub const NOTIFY_FAILURES: Metric = metric(
    "ha_agent.notify.failures",
    Kind::Counter,
    "{attempt}",
    &["notifier"],
    0,
    "Attempts to tell a notifier's receiver that failed.",
);
/// Events that a notifier was never told.
pub const NOTIFY_DROPPED: Metric = metric(
    "ha_agent.notify.dropped",
    Kind::Counter,
    "{event}",
    &["notifier"],
    0,
    "Events that a notifier's receiver was never told: too many waited, it was tried for too long, or it refused them.",
);
/// Events that wait to be told.
pub const NOTIFY_WAITING: Metric = metric(
    "ha_agent.notify.waiting",
    Kind::UpDownCounter,
    "{event}",
    &["notifier"],
    0,
    "Events that wait for a notifier's receiver.",
);
