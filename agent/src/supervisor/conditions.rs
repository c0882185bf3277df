//! What an operator should know about this node: facts that hold or not, since when.

use std::time::SystemTime;

use tokio::sync::watch;

use crate::api::Condition;

/// The vrrp thread runs with real-time priority.
pub(super) const REALTIME: &str = "RealtimeScheduling";
/// The process is locked in memory.
pub(super) const MEMORY: &str = "MemoryLocked";
/// The configuration file is what runs.
pub(super) const CONFIGURATION: &str = "ConfigCurrent";
/// All other nodes of the cluster are heard on the control plane.
pub(super) const PEERS: &str = "PeersReachable";
/// The certificate of the control plane is good for some time yet.
pub(super) const CERTIFICATE: &str = "CertificateValid";

/// Events of the past survive a restart.
pub(super) const HISTORY: &str = "HistoryKept";

/// All conditions, with everybody who watches them.
pub(super) struct Conditions(watch::Sender<Vec<Condition>>);

impl Conditions {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Vec::new()))
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Vec<Condition>> {
        self.0.subscribe()
    }

    /// `since` moves only when `holds` changes.
    pub(super) fn set(&self, name: &'static str, holds: bool, reason: &str, message: String) {
        self.0.send_modify(|conditions| {
            let holds = Some(holds);
            let before = conditions.iter().position(|condition| condition.name == name);
            let before = before.map(|place| conditions.swap_remove(place));
            let since = before.filter(|condition| condition.holds == holds).map(|condition| condition.since);
            let since = since.unwrap_or_else(SystemTime::now);
            conditions.push(Condition { name, holds, reason: reason.to_owned(), message, since });
            conditions.sort_by_key(|condition| condition.name);
        });
    }
}
