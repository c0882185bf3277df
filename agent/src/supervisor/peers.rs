//! What an operator should know of the other nodes: whether all of them are heard on the control plane.

use std::sync::Arc;

use super::conditions::{Conditions, PEERS};
use crate::peers::{Contact, Handle, View};

/// Keeps the condition, where there are peers. For ever; dropped when the agent ends.
pub(super) async fn watch_over(peers: Handle, conditions: Arc<Conditions>) {
    let mut changes = peers.changes();
    let mut told = None;
    loop {
        let standing = standing(&changes.borrow_and_update(), told.is_some());
        if let Some((holds, reason, message)) = standing.clone().filter(|_| told != standing) {
            conditions.set(PEERS, holds, reason, message);
            told = standing;
        }
        // Cancelled here when the agent ends.
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// `None` while there is nothing to say: there never were peers, or all that are not heard are dialled for the first time.
fn standing(view: &View, had_peers: bool) -> Option<(bool, &'static str, String)> {
    let silent: Vec<String> = view
        .peers
        .values()
        .filter_map(|peer| match &peer.contact {
            Contact::Silent(why) => Some(format!("{}: {why}", peer.name)),
            Contact::Dialling | Contact::Reachable => None,
        })
        .collect();
    if !silent.is_empty() {
        return Some((false, "PeerSilent", silent.join("; ")));
    }
    if view.peers.is_empty() {
        return had_peers.then(|| (true, "NoPeers", "no other node is configured any more".to_owned()));
    }
    let all_heard = view.peers.values().all(|peer| peer.contact == Contact::Reachable);
    all_heard.then(|| (true, "AllHeard", format!("{} other nodes are heard", view.peers.len())))
}
