//! Metrics about peers and pools, from given views.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    BalancerStatus, Floor, Instant, PoolConfig, PoolScope, PoolStatus, ServerConfig, ServerState,
    ServerStatus, StandingOrder, Verdict,
};

use super::super::{Peers, PeersView};
use super::fixtures::{driver, every_event, scrape, snapshot, start, value};
use crate::clock;
use crate::peers::{Contact, Direction, PeerCounts, PeerView, Quiet, ReleaseOutcome, View, Why};
use crate::pools;

/// Two peers: one is heard, one was.
pub(super) fn peers() -> PeersView {
    let peer = |name: &str, contact, round_trip| {
        let now = clock::now();
        let (endpoint, since, heard) = ("https://[2001:db8::1]:7443".into(), now, Some(now));
        Arc::new(PeerView { name: name.into(), endpoint, contact, since, heard, report: None, round_trip })
    };
    let known = [
        peer("node-a", Contact::Reachable, Some(Duration::from_micros(400))),
        peer(
            "node-c",
            Contact::Silent(Why { reason: Quiet::NoAnswer, text: "its cable is cut".into() }),
            None,
        ),
    ];
    let counts = PeerCounts {
        takeovers: [((Direction::Transmit, "ANNOUNCED"), 3), ((Direction::Receive, "TAKE_OVER_FAULT"), 1)]
            .into(),
        releases: [(ReleaseOutcome::Taken, 2), (ReleaseOutcome::Late, 1)].into(),
    };
    let view = View { peers: known.into_iter().map(|peer| (Arc::clone(&peer.name), peer)).collect() };
    let (view, counts) = (Arc::new(view), BTreeMap::from([(Arc::<str>::from("node-a"), counts)]));
    Arc::new(move || Peers { view: Arc::clone(&view), counts: counts.clone() })
}

/// A task of pools that answers with one pool of four servers: up, kept, down and drained.
pub(super) fn one_pool() -> pools::Handle {
    let (handle, mut requests) = pools::Handle::new();
    let pool = pools::PoolView { status: status(), backend: Some("nginx") };
    let snapshot = Arc::new(pools::Snapshot { at: Instant::from_nanos(1), pools: vec![pool] });
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if let pools::Request::Snapshot(reply) = request {
                let _ = reply.send(Arc::clone(&snapshot));
            }
        }
    });
    handle
}

fn status() -> PoolStatus {
    use ServerState::{Down, Draining, Kept, Up};
    let servers: Vec<ServerStatus> =
        [("w1", Up), ("w2", Kept), ("w3", Down), ("w4", Draining)].map(server).into();
    PoolStatus {
        config: Arc::new(PoolConfig {
            name: "web".into(),
            servers: servers.iter().map(|server| server.config.clone()).collect(),
            quorum: 2,
            hysteresis: 0,
            sorry: None,
            floor: Floor::Servers(2),
            slow_start: None,
            scope: PoolScope::Always,
        }),
        verdict: Verdict::Failing,
        since: Instant::from_nanos(1),
        servers,
        passing_weight: 1,
        unknown_weight: 0,
        used: 2,
        floor: 2,
        floor_reached: true,
        sorry_in: false,
        enabled: true,
        generation: 7,
        balancer: BalancerStatus::default(),
    }
}

fn server((name, state): (&str, ServerState)) -> ServerStatus {
    let drain = (state == ServerState::Draining).then(|| StandingOrder {
        reason: "new kernel".into(),
        actor: Arc::default(),
        since: Instant::from_nanos(1),
        expires: None,
        survives: false,
    });
    ServerStatus {
        config: ServerConfig {
            name: name.into(),
            address: [10, 0, 1, 1].into(),
            port: 80,
            weight: 1,
            checks: Vec::new(),
            weight_from: None,
        },
        state,
        since: Instant::from_nanos(1),
        desired_weight: 1,
        running_weight: None,
        failing_checks: Vec::new(),
        detail: "".into(),
        drain,
        sorry: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_are_told_with_their_contact_round_trip_takeovers_and_releases() {
    let telemetry = start(driver(snapshot()).0, None);
    let page = scrape(&telemetry).await;
    let table: &[(&str, &[&str], f64)] = &[
        ("ha_agent_peer_status", &["peer=\"node-a\"", "state=\"REACHABLE\""], 1.0),
        ("ha_agent_peer_status", &["peer=\"node-a\"", "state=\"SILENT\""], 0.0),
        ("ha_agent_peer_status", &["peer=\"node-c\"", "state=\"SILENT\""], 1.0),
        ("ha_agent_peer_round_trip_seconds", &["peer=\"node-a\""], 0.0004),
        (
            "ha_agent_peer_takeovers_total",
            &["direction=\"transmit\"", "outcome=\"ANNOUNCED\"", "peer=\"node-a\""],
            3.0,
        ),
        ("ha_agent_peer_takeovers_total", &["direction=\"receive\"", "outcome=\"TAKE_OVER_FAULT\""], 1.0),
        ("ha_agent_peer_releases_total", &["outcome=\"TAKEN\"", "peer=\"node-a\""], 2.0),
    ];
    for (name, labels, expected) in table {
        assert!((value(&page, name, labels) - expected).abs() < 1e-9, "{name} {labels:?}\n{page}");
    }
    assert!(!page.contains("ha_agent_peer_round_trip_seconds{peer=\"node-c\""), "{page}");
    assert!(value(&page, "ha_agent_peer_report_age_seconds", &["peer=\"node-c\""]) < 60.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pools_are_told_with_their_servers_quorum_floor_and_reloads() {
    let telemetry = start(driver(snapshot()).0, None);
    every_event().iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    let page = scrape(&telemetry).await;
    let table: &[(&str, &[&str], f64)] = &[
        ("ha_agent_pool_status", &["pool=\"web\"", "verdict=\"FAILING\""], 1.0),
        ("ha_agent_pool_status", &["pool=\"web\"", "verdict=\"PASSING\""], 0.0),
        ("ha_agent_pool_servers", &["kind=\"total\""], 4.0),
        ("ha_agent_pool_servers", &["kind=\"used\""], 2.0),
        ("ha_agent_pool_servers", &["kind=\"passing\""], 1.0),
        ("ha_agent_pool_servers", &["kind=\"drained\""], 1.0),
        ("ha_agent_pool_servers", &["kind=\"floor\""], 2.0),
        ("ha_agent_pool_floor_status", &["pool=\"web\""], 1.0),
        ("ha_agent_pool_sorry_status", &["pool=\"web\""], 0.0),
        ("ha_agent_balancer_reloads_total", &["outcome=\"success\"", "pool=\"web\""], 1.0),
        ("ha_agent_balancer_reloads_total", &["outcome=\"failure\"", "pool=\"web\""], 1.0),
    ];
    for (name, labels, expected) in table {
        assert!((value(&page, name, labels) - expected).abs() < 1e-9, "{name} {labels:?}\n{page}");
    }
}
