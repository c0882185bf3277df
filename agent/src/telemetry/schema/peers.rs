//! Metrics about the other nodes of the cluster: at most 32 peers, each with the words below.

use super::{Kind, Metric, metric};

/// 1 for the contact that there is with the peer, 0 for the others.
pub const PEER_STATUS: Metric = metric(
    "ha_agent.peer.status",
    Kind::UpDownCounter,
    "{peer}",
    &["peer", "state"],
    0,
    "1 for the contact that there is with the peer over the control plane, 0 for the others.",
);
/// How old the last sign of life is.
pub const PEER_REPORT_AGE: Metric = metric(
    "ha_agent.peer.report.age",
    Kind::Gauge,
    "s",
    &["peer"],
    0,
    "Age of the peer's last sign of life; none of a peer that was never heard.",
);
/// Round trip to the peer.
pub const PEER_ROUND_TRIP: Metric = metric(
    "ha_agent.peer.round_trip",
    Kind::Gauge,
    "s",
    &["peer"],
    0,
    "Round trip of the last small question to the peer, asked every 10 s; only while it is heard.",
);
/// Takeovers between the peers.
pub const PEER_TAKEOVERS: Metric = metric(
    "ha_agent.peer.takeovers",
    Kind::Counter,
    "{takeover}",
    &["direction", "outcome", "peer"],
    0,
    "Takeovers that were asked for, of the peer (transmit) or by it (receive), by outcome: announced, or why it was refused.",
);
/// Releases that a peer told.
pub const PEER_RELEASES: Metric = metric(
    "ha_agent.peer.releases",
    Kind::Counter,
    "{release}",
    &["outcome", "peer"],
    0,
    "Messages in which the peer said that it lets go of virtual routers, by outcome: taken, or left to VRRP's timers.",
);
