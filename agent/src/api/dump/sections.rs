//! What stands in a dump. Keys are documented in `STATE.md` and stable; times are seconds before (`_ago_s`) or after (`_in_s`) the moment
//! at which that part was copied. Only what is named here is told, so that no secret can be.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ha_engine::{InstanceStatus, Instant, Verdict};
use serde_json::{Value, json};

use super::super::shared::Shared;
use super::super::snapshots::View;
use super::Entry;
use crate::clock;
use crate::distribution::Distribution;
use crate::health;
use crate::peers::{Contact, PeerCounts, PeerView};
use crate::pools::PoolView;

/// The words of a verdict, in the order in which they are counted.
const VERDICTS: [(Verdict, &str); 3] =
    [(Verdict::Passing, "passing"), (Verdict::Failing, "failing"), (Verdict::Unknown, "unknown")];

impl Shared {
    pub(super) fn agent(&self, view: Option<&View>) -> Entry {
        let config = self.options.config.borrow().clone();
        let conditions = self.options.conditions.borrow();
        let not_true = conditions.iter().filter(|condition| condition.holds != Some(true));
        let log = self.options.log.status();
        let values = json!({
            "node": &**self.journal.node(),
            "version": self.options.version,
            "incarnation": &**self.journal.incarnation(),
            "pid": std::process::id(),
            "uptime_s": ago(self.journal.started(), clock::now()),
            "config_digest": config.digest,
            "config_file": config.file.display().to_string(),
            "log_level": log.level,
            "log_level_configured": &*log.configured,
            "conditions_not_true": not_true.map(|condition| condition.name).collect::<Vec<_>>(),
            "drained": view.map(|view| view.snapshot.drain.is_some()),
            "drain_revision": view.map(|view| view.snapshot.drain_revision),
            "instances": view.map(|view| view.snapshot.instances.len()),
        });
        Entry::new("agent", &**self.journal.node(), values)
    }

    /// The queues between threads that can be seen from here.
    pub(super) fn queues(&self, view: Option<&View>) -> Vec<Entry> {
        let vrrp = view.map(|view| view.snapshot.waiting);
        let (in_memory, most) = self.journal.fill();
        let all = [
            ("vrrp.requests", vrrp.map(|waiting| waiting.requests)),
            ("vrrp.reports", vrrp.map(|waiting| waiting.reports)),
            ("vrrp.facts", vrrp.map(|waiting| waiting.facts)),
            ("vrrp.events", vrrp.map(|waiting| waiting.events)),
            ("dataplane.commands", Some((self.options.dataplane)().waiting)),
            ("checks.requests", Some(self.checks.source().waiting())),
            ("pools.requests", Some(self.pools.source().waiting())),
            ("peers.words", Some(self.peers.waiting())),
            ("journal.requests", self.intents.waiting()),
            ("journal.memory", Some((in_memory, most))),
        ];
        let entry = |(name, (waiting, capacity))| {
            Entry::new("queue", name, json!({ "waiting": waiting, "capacity": capacity }))
        };
        all.into_iter().filter_map(|(name, fill)| Some((name, fill?))).map(entry).collect()
    }

    /// Where the history stands, in memory and on disk.
    pub(super) fn history(&self) -> Entry {
        let on_disk = self.journal.archive().oldest();
        let values = json!({
            "newest": self.journal.newest(),
            "oldest": self.journal.oldest_sequence(),
            "oldest_in_memory": self.journal.oldest().map(|record| record.sequence),
            "oldest_on_disk_incarnation": on_disk.as_ref().map(|oldest| oldest.place.incarnation.to_string()),
            "oldest_on_disk": on_disk.as_ref().map(|oldest| oldest.place.sequence),
            "kept_on_disk": self.intents.waiting().is_some(),
        });
        Entry::new("journal", "journal", values)
    }

    /// What is used of what is allowed on the control plane.
    pub(super) fn limits(&self) -> Entry {
        let (limits, counters) = (self.options.limits, &self.options.counters);
        let (answers, octets) = self.once.fill();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let values = json!({
            "connections": limits.connections,
            "tls_connections": limits.tls_connections,
            "certificate_connections": limits.certificate_connections,
            "calls": limits.streams,
            "watches": limits.watchers,
            "watches_open": read(&counters.watchers),
            "watch_events_lost": read(&counters.lost_events),
            "calls_denied": read(&counters.denied),
            "connections_refused": read(&counters.connections_refused),
            "handshakes_failed": read(&counters.handshakes_failed),
            "answers_refused": read(&counters.answers_refused),
            "answers_kept": answers,
            "answers_kept_octets": octets,
        });
        Entry::new("limits", "api", values)
    }

    /// The sessions with the other nodes.
    pub(super) fn peers_known(&self) -> Vec<Entry> {
        let (view, mut counts, now) = (self.peers.view(), self.peers.counts(), clock::now());
        let all = view.peers.iter();
        all.map(|(name, peer)| self::peer(peer, &counts.remove(name).unwrap_or_default(), now)).collect()
    }
}

fn peer(peer: &PeerView, counts: &PeerCounts, now: Instant) -> Entry {
    let why = match &peer.contact {
        Contact::Silent(why) => Some(why),
        Contact::Dialling | Contact::Reachable => None,
    };
    let takeovers: BTreeMap<String, u64> = counts
        .takeovers
        .iter()
        .map(|((direction, outcome), count)| (format!("{} {outcome}", direction.as_str()), *count))
        .collect();
    let releases: BTreeMap<&str, u64> =
        counts.releases.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect();
    let report = peer.report.as_ref();
    let values = json!({
        "endpoint": &*peer.endpoint,
        "contact": peer.contact.as_str(),
        "reason": why.map(|why| why.reason.as_str()),
        "detail": why.map(|why| &*why.text),
        "since_ago_s": ago(peer.since, now),
        "heard_ago_s": peer.heard.map(|heard| ago(heard, now)),
        "round_trip_ms": peer.round_trip.map(millis),
        "incarnation": report.map(|report| &*report.incarnation),
        "version": report.map(|report| &*report.version),
        "config_digest": report.map(|report| &*report.config_digest),
        "routers": report.map(|report| report.routers.len()),
        "takeovers": takeovers,
        "releases": releases,
    });
    Entry::new("peer", &*peer.name, values)
}

/// The checks, counted.
pub(super) fn monitor(snapshot: &health::Snapshot) -> Entry {
    let count = |holds: &dyn Fn(&ha_engine::CheckStatus) -> bool| {
        snapshot.checks.iter().filter(|view| holds(&view.status)).count()
    };
    let by_verdict: BTreeMap<&str, usize> = VERDICTS
        .into_iter()
        .map(|(verdict, word)| (word, count(&|status| status.verdict == verdict)))
        .collect();
    let values = json!({
        "checks": snapshot.checks.len(),
        "by_verdict": by_verdict,
        "muted": count(&|status| status.mute.is_some()),
        "held": count(&|status| status.held_until.is_some()),
        "running": count(&|status| status.running.is_some()),
        "due": count(&|status| status.next_run.is_some_and(|at| at <= snapshot.at)),
        "under_way": snapshot.under_way,
        "places": snapshot.places,
        "late_max_ms": millis(Duration::from_nanos(snapshot.delays.maximum)),
    });
    Entry::new("monitor", "checks", values)
}

/// A pool, counted.
pub(super) fn pool(view: &PoolView, at: Instant) -> Entry {
    let status = &view.status;
    let values = json!({
        "verdict": status.verdict.as_str(),
        "since_ago_s": ago(status.since, at),
        "servers": status.servers.len(),
        "used": status.used,
        "floor": status.floor,
        "floor_reached": status.floor_reached,
        "sorry_in": status.sorry_in,
        "enabled": status.enabled,
        "generation": status.generation,
        "backend": view.backend,
        "backend_generation": status.balancer.generation,
        "backend_failed": status.balancer.error.is_some(),
        "backend_read_back": status.balancer.read_back,
    });
    Entry::new("pool", &*status.config.name, values)
}

/// A virtual router with its timers.
pub(super) fn instance(status: &InstanceStatus, at: Instant) -> Entry {
    let (config, inner, counters) = (&status.config, &status.inner, &status.counters);
    let applied = match &status.applied {
        None => "PENDING",
        Some(Ok(())) => "DONE",
        Some(Err(_)) => "REFUSED",
    };
    let values = json!({
        "virtual_router_id": config.virtual_router_id.get(),
        "interface": &*config.interface,
        "source": status.source,
        "state": status.state.as_str(),
        "substate": inner.substate,
        "since_ago_s": ago(status.since, at),
        "cause": status.cause.as_str(),
        "transitions": status.transitions,
        "priority": config.priority.get(),
        "effective_priority": status.effective.value.get(),
        "override": status.override_.as_ref().map(|own| own.priority.get()),
        "preempt_held": status.hold.is_some(),
        "handing_over": status.handing_over,
        "group": config.group.as_deref(),
        "wish": status.wish.map(ha_engine::Wish::as_str),
        "revision": status.revision,
        "next_in_s": inner.next.map(|(due, _)| ahead(due, at)),
        "next_reason": inner.next.map(|(_, reason)| reason.as_str()),
        "active_down_in_s": inner.active_down.map(|due| ahead(due, at)),
        "active_down_interval_s": status.active_down_interval.as_secs_f64(),
        "away_s": inner.away.as_secs_f64(),
        "next_advert_in_s": inner.next_advert.map(|due| ahead(due, at)),
        "last_sent_ago_s": inner.last_sent.map(|sent| ago(sent, at)),
        "last_heard_ago_s": status.last_advert.map(|advert| ago(advert.at, at)),
        "last_heard_from": status.last_advert.map(|advert| advert.source),
        "last_heard_priority": status.last_advert.map(|advert| advert.priority),
        "announcement_in_s": inner.announcement.map(|due| ahead(due, at)),
        "announced": status.is_announced,
        "rival": status.rival,
        "faults": status.faults.len(),
        "failures_in_a_row": inner.failures,
        "addresses_lost": inner.losses,
        "peer_words": inner.words,
        "generation": status.generation,
        "applied": applied,
        "sent": counters.sent,
        "received": counters.received,
        "duplicate_active": counters.duplicate_active,
    });
    Entry::new("instance", &*config.name, values)
}

/// How late somebody was, counted in buckets: upper bound in microseconds and how often.
pub(super) fn lateness(of: &Distribution) -> Value {
    let buckets = of.buckets.iter().filter(|(_, count)| *count > 0);
    let shown = buckets.map(|(bound, count)| match bound {
        &u64::MAX => json!(["more", count]),
        bound => json!([bound / 1000, count]),
    });
    Value::Array(shown.collect())
}

pub(super) fn ago(then: Instant, at: Instant) -> f64 {
    -ahead(then, at)
}

/// Negative when it is over.
fn ahead(due: Instant, at: Instant) -> f64 {
    let seconds = |instant: Instant| Duration::from_nanos(instant.as_nanos()).as_secs_f64();
    let exact = seconds(due) - seconds(at);
    // 0 added, so that nothing is "-0.0".
    (exact * 1e6).round() / 1e6 + 0.0
}

pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
