//! Metrics about the other nodes of the cluster.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;

use super::super::schema;
use super::{Emit, Facts, Peers, Registrar};
use crate::clock;
use crate::peers::{ANNOUNCED, Contact, Direction, PeerCounts, PeerView, ReleaseOutcome};

pub(super) fn register(registrar: &Registrar<'_>) {
    registrar.up_down_counter(&schema::PEER_STATUS, status);
    registrar.gauge(&schema::PEER_REPORT_AGE, |facts, emit| {
        let now = clock::now();
        times(facts, emit, |peer| Some(now.since(peer.heard?)));
    });
    registrar.gauge(&schema::PEER_ROUND_TRIP, |facts, emit| times(facts, emit, |peer| peer.round_trip));
    registrar.counter(&schema::PEER_TAKEOVERS, takeovers);
    registrar.counter(&schema::PEER_RELEASES, releases);
}

fn name(peer: &Arc<str>) -> KeyValue {
    KeyValue::new("peer", Arc::clone(peer))
}

fn status(facts: &Facts, emit: Emit<'_, i64>) {
    for peer in (facts.peers)().view.peers.values() {
        let now = peer.contact.as_str();
        for state in Contact::WORDS {
            emit(i64::from(state == now), &[name(&peer.name), KeyValue::new("state", state)]);
        }
    }
}

fn times(facts: &Facts, emit: Emit<'_, f64>, time: impl Fn(&PeerView) -> Option<Duration>) {
    for peer in (facts.peers)().view.peers.values() {
        if let Some(time) = time(peer) {
            emit(time.as_secs_f64(), &[name(&peer.name)]);
        }
    }
}

/// What goes well is told from the beginning, a refusal once it has occurred.
fn takeovers(facts: &Facts, emit: Emit<'_, u64>) {
    each_counted(facts, |peer, mut counts| {
        for direction in [Direction::Transmit, Direction::Receive] {
            counts.takeovers.entry((direction, ANNOUNCED)).or_default();
        }
        for ((direction, outcome), count) in counts.takeovers {
            let direction = KeyValue::new("direction", direction.as_str());
            emit(count, &[direction, KeyValue::new("outcome", outcome), name(peer)]);
        }
    });
}

fn releases(facts: &Facts, emit: Emit<'_, u64>) {
    each_counted(facts, |peer, mut counts| {
        counts.releases.entry(ReleaseOutcome::Taken).or_default();
        for (outcome, count) in counts.releases {
            emit(count, &[KeyValue::new("outcome", outcome.as_str()), name(peer)]);
        }
    });
}

fn each_counted(facts: &Facts, mut visit: impl FnMut(&Arc<str>, PeerCounts)) {
    let Peers { view, mut counts } = (facts.peers)();
    for peer in view.peers.keys() {
        visit(peer, counts.remove(peer).unwrap_or_default());
    }
}
