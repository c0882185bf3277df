//! A driver that answers with a given snapshot, instances, events, and a plain HTTP client.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ha_engine::{
    Actor, AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, Audit, BalancerEvent,
    Cause, CheckEvent, CheckInput, CheckPolicy, ChecksumForm, Counters, Discard, Effective, Event, EventKind,
    Evidence, Family, Inner, InstanceConfig, InstanceId, InstanceStatus, Instant, Intent, IntentEvent,
    JournalEvent, LastAdvert, LinkId, Monitor, MoveEvent, NotifyEvent, Oddity, PeerEvent, PoolEvent,
    Priority, Protocol, Refused, Standing, StateName, Subject, Transport, Verdict, VirtualAddress,
    VirtualRouterId, WireEvent,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::{Identity, NodeCounts, OtlpConfig, Sources, Telemetry, TelemetryConfig};
use crate::clock;
use crate::distribution::Distribution;
use crate::driver::{Handle, Request, Snapshot};
use crate::health;

/// A driver that answers every question with the same snapshot; how often it was asked.
pub(super) fn driver(snapshot: Snapshot) -> (Handle, Arc<AtomicU64>) {
    let (handle, mut requests) = Handle::new();
    let (snapshot, asked) = (Arc::new(snapshot), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if let Request::Snapshot(reply) = request {
                counter.fetch_add(1, Ordering::Relaxed);
                let _ = reply.send(Arc::clone(&snapshot));
            }
        }
    });
    (handle, asked)
}

/// A thread of checks that answers every question with the same snapshot.
pub(super) fn checks(snapshot: health::Snapshot) -> health::Handle {
    let (handle, mut requests) = health::Handle::new();
    let snapshot = Arc::new(snapshot);
    tokio::spawn(async move {
        while let Some(request) = requests.recv().await {
            if let health::Request::Snapshot(reply) = request {
                let _ = reply.send(Arc::clone(&snapshot));
            }
        }
    });
    handle
}

/// One check that passes, after 1024 attempts of which one was late, and two were left out.
pub(super) fn checked() -> health::Snapshot {
    let mut monitor = Monitor::new();
    let policy = CheckPolicy {
        name: "checks/http".into(),
        target: 0,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(3),
        rise: 1,
        fall: 1,
        jitter_percent: 0,
        initial: Verdict::Passing,
        grace: Duration::ZERO,
        backoff: None,
        damping: None,
        remedy: None,
        rule: None,
        watched: false,
    };
    let began = Instant::from_nanos(1);
    let _ = monitor.handle(began, CheckInput::Reconfigure(&[policy])).count();
    let mut status = monitor.status("checks/http").unwrap();
    status.counters.overruns = 2;
    let taken = Distribution {
        buckets: vec![(1_000_000, 1023), (u64::MAX, 1)],
        sum: 600_000_000,
        maximum: 100_000_000,
    };
    health::Snapshot {
        at: began,
        checks: vec![health::CheckView { status, kind: "http", target: "http://192.0.2.1:80/".into() }],
        durations: [(("http", "PASSED"), taken.clone())].into(),
        delays: taken,
        under_way: 3,
        places: 1000,
    }
}

pub(super) fn sources(driver: Handle) -> Sources {
    let (checks, node) = (checks(checked()), Arc::new(NodeCounts::default()));
    let (pools, peers) = (super::cluster::one_pool(), super::cluster::peers());
    Sources { driver, checks, pools, peers, node, log_lost: Arc::default(), kernel: None }
}

pub(super) fn start(driver: Handle, collector: Option<SocketAddr>) -> Telemetry {
    let config = TelemetryConfig {
        otlp: collector.map(|address| OtlpConfig::new(format!("http://{address}"))),
        prometheus: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        ..TelemetryConfig::default()
    };
    let identity = Identity { node: "node-b".into(), version: "0.1.0".into(), incarnation: "7f3a".into() };
    Telemetry::start(&config, identity, sources(driver)).unwrap()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn priority(value: u8) -> Priority {
    Priority::new(value).unwrap()
}

/// An Active instance without a past.
pub(super) fn instance(name: &str, number: u32) -> InstanceStatus {
    let config = InstanceConfig {
        name: name.into(),
        interface: "eth0".into(),
        virtual_router_id: VirtualRouterId::new(51).unwrap(),
        family: Family::Ipv4,
        protocol: Protocol::V3 { checksum: ChecksumForm::PseudoHeader },
        priority: priority(120),
        interval: AdvertisementInterval::DEFAULT,
        longest_adopted_interval: Duration::from_secs(10),
        addresses: Arc::new([VirtualAddress::new(address("10.0.0.10"), 32)]),
        preempt: true,
        preempt_delay: Duration::ZERO,
        startup_delay: Duration::ZERO,
        transport: Transport::Multicast { allowed_sources: Vec::new() },
        source: None,
        announce: AnnouncePolicy::default(),
        address_lost: AddressLostPolicy::Restore,
        lease: AddressLease::Auto,
        virtual_mac: false,
        tracks: Arc::default(),
        group: None,
    };
    InstanceStatus {
        id: InstanceId(number),
        link: LinkId(0),
        config: Arc::new(config),
        source: None,
        known_as: None,
        state: StateName::Active,
        since: clock::now(),
        cause: Cause::ActiveDownTimer,
        evidence: Evidence::default(),
        transitions: 2,
        effective: Effective::explain(priority(120), Some(priority(90)), &[], false),
        override_: None,
        hold: None,
        drained: false,
        handing_over: false,
        is_announced: true,
        revision: 1,
        active_interval: Duration::from_secs(1),
        active_down_interval: Duration::from_millis(3600),
        last_advert: None,
        faults: Vec::new(),
        tracks: Vec::new(),
        wish: None,
        rival: None,
        generation: 1,
        applied: Some(Ok(())),
        inner: Inner::default(),
        counters: Counters { sent: 17, received: 4, duplicate_active: 1, ..Counters::default() },
    }
}

/// The instance "web" is Active, "mail" a Backup that heard an advert 600 ms ago; packets nobody wanted; a late driver.
pub(super) fn snapshot() -> Snapshot {
    let at = clock::now();
    let heard = Instant::from_nanos(at.as_nanos() - 600_000_000);
    let mail = InstanceStatus {
        state: StateName::Backup,
        last_advert: Some(LastAdvert { at: heard, source: address("10.0.0.2"), priority: 150 }),
        ..instance("mail", 1)
    };
    Snapshot {
        at,
        drain: None,
        drain_revision: 0,
        instances: vec![mail, instance("web", 0)],
        discarded: vec![("eth0".into(), Discard::VirtualRouterUnknown, 9)],
        waiting: Default::default(),
        lateness: Distribution {
            buckets: vec![(20_000, 6), (50_000, 3), (u64::MAX, 1)],
            sum: 250_000,
            maximum: 80_000,
        },
    }
}

pub(super) fn web() -> Subject {
    Subject::Instance(InstanceId(0), "web".into())
}

pub(super) fn event(at: Instant, kind: EventKind, cause: Cause) -> Event {
    Event { at, subject: web(), kind, cause, evidence: Evidence::default(), actor: None }
}

/// "web" takes over from a peer that fell silent: heard 3.61 s ago, limit 3.6 s, held after 4 ms, announced after 6 ms.
pub(super) fn takeover(at: Instant) -> [Event; 3] {
    let to_active = EventKind::StateChanged { from: StateName::Backup, to: StateName::Active };
    let evidence = Evidence {
        peer: Some(address("10.0.0.1")),
        peer_priority: Some(150),
        local_priority: Some(priority(120)),
        last_advertisement_age: Some(Duration::from_millis(3610)),
        active_down_interval: Some(Duration::from_millis(3600)),
        ..Evidence::default()
    };
    let held = Duration::from_millis(4);
    let announced = Duration::from_millis(6);
    [
        Event { evidence, ..event(at, to_active, Cause::ActiveDownTimer) },
        event(at.after(held), EventKind::AddressesHeld { took: held }, Cause::ActiveDownTimer),
        event(at.after(announced), EventKind::Announced { took: announced }, Cause::ActiveDownTimer),
    ]
}

/// One event of every kind, with everything filled in that can be.
pub(super) fn every_event() -> Vec<Event> {
    let (peer, took) = (address("10.0.0.1"), Duration::from_millis(5));
    let kinds = [
        EventKind::StateChanged { from: StateName::Initialize, to: StateName::Backup },
        EventKind::Adopted { state: StateName::Active, silent: took },
        EventKind::GroupStateChanged { from: StateName::Active, to: StateName::Backup },
        EventKind::PriorityChanged { from: priority(100), to: priority(90) },
        EventKind::OverrideSet { priority: priority(90), reason: "work".into(), lasts: Some(took) },
        EventKind::OverrideCleared,
        EventKind::ActiveObserved { address: peer, priority: 150 },
        EventKind::DuplicateActiveBegan { address: peer },
        EventKind::DuplicateActiveEnded { address: peer, lasted: took },
        EventKind::AddressesHeld { took },
        EventKind::AddressesReleased { took },
        EventKind::Announced { took },
        EventKind::AddressLost,
        EventKind::AddressFailed { error: "no buffer space".into() },
        EventKind::Stalled { duration: took },
        EventKind::AdvertDiffers { oddity: Oddity::AddressesDiffer, source: peer },
        EventKind::Discarded { reason: Discard::TtlWrong, source: peer, count: 3 },
        EventKind::ConfigurationLoaded { digest: "0123456789abcdef".into() },
        EventKind::ConfigurationRejected { error: "ha-agent.toml:1:1: error: no".into(), count: 1 },
        EventKind::InstanceAdded,
        EventKind::InstanceRemoved,
        EventKind::InstanceChanged,
    ];
    kinds
        .into_iter()
        .chain(check_events())
        .chain(pool_events())
        .chain(notify_events())
        .chain(move_events())
        .chain(peer_events())
        .chain(wire_events())
        .chain(journal_events())
        .map(with_subject)
        .collect()
}

fn check_events() -> impl Iterator<Item = EventKind> {
    let lasts = Some(Duration::from_secs(60));
    let events = [
        CheckEvent::Changed { from: Verdict::Passing, to: Verdict::Failing },
        CheckEvent::RemedyStarted,
        CheckEvent::RemedyRan { succeeded: true },
        CheckEvent::RemedyEnded { helped: false },
        CheckEvent::Muted { reason: "work".into(), lasts },
        CheckEvent::Unmuted,
        CheckEvent::Damped { falls: 2, hold: Duration::from_secs(20) },
        CheckEvent::Overrun { count: 3 },
        CheckEvent::Inconclusive { count: 3 },
    ];
    events.into_iter().map(EventKind::Check)
}

fn pool_events() -> impl Iterator<Item = EventKind> {
    let (lasts, standing) = (Some(Duration::from_secs(60)), Standing { used: 2, total: 3 });
    let pool = [
        PoolEvent::Changed { from: Verdict::Passing, to: Verdict::Failing, weight: 1, quorum: 2 },
        PoolEvent::ServerLeft(standing),
        PoolEvent::ServerReturned(standing),
        PoolEvent::ServerKept(standing),
        PoolEvent::ServerDrained { reason: "work".into(), lasts },
        PoolEvent::ServerUndrained,
        PoolEvent::FloorReached { failing: 3, kept: 1, floor: 1, total: 3 },
        PoolEvent::FloorLeft,
        PoolEvent::SorryIn,
        PoolEvent::SorryOut,
        PoolEvent::MassFailure { failed: 3, total: 3 },
    ];
    let balancer = [
        BalancerEvent::Applied { generation: 7, servers: 2, took: Duration::from_millis(40) },
        BalancerEvent::Failed { error: "nginx -t says no".into() },
    ];
    pool.into_iter().map(EventKind::Pool).chain(balancer.into_iter().map(EventKind::Balancer))
}

fn move_events() -> impl Iterator<Item = EventKind> {
    let lasts = Some(Duration::from_secs(60));
    let events = [
        MoveEvent::Drained { reason: "work".into(), lasts },
        MoveEvent::Undrained,
        MoveEvent::HandoverBegan { to: Some(address("10.0.0.2")) },
        MoveEvent::HandoverFailed,
        MoveEvent::PreemptHeld { reason: "work".into(), lasts },
        MoveEvent::PreemptReleased,
    ];
    events.into_iter().map(EventKind::Move)
}

fn notify_events() -> impl Iterator<Item = EventKind> {
    let events = [
        NotifyEvent::Failing { error: "connection refused".into() },
        NotifyEvent::Dropped { count: 1 },
        NotifyEvent::Recovered { dropped: 3, lasted: Duration::from_secs(60) },
    ];
    events.into_iter().map(EventKind::Notify)
}

fn peer_events() -> impl Iterator<Item = EventKind> {
    let events = [
        PeerEvent::Reachable { after: Duration::from_secs(4) },
        PeerEvent::Silent { why: "connection refused".into() },
    ];
    events.into_iter().map(EventKind::Peer)
}

fn wire_events() -> impl Iterator<Item = EventKind> {
    let events = [
        WireEvent::Reannounced { reason: "work".into() },
        WireEvent::ConflictFound { macs: [[2, 0, 0, 0, 0, 1]].into(), held_here: true },
    ];
    events.into_iter().map(EventKind::Wire)
}

fn journal_events() -> impl Iterator<Item = EventKind> {
    let audit = Audit {
        method: "/ha.agent.v1.InstanceService/OverridePriority".into(),
        reason: "work".into(),
        before: "priority 100".into(),
        after: "priority 50".into(),
        refusal: None,
        unrecorded: 0,
    };
    let refusal = Refused { code: "PERMISSION_DENIED".into(), reason: "ROLE_MISSING: no".into() };
    let refused = Audit { refusal: Some(refusal), ..audit.clone() };
    let events = [
        JournalEvent::Failing { error: "no space left on device".into() },
        JournalEvent::Recovered { lost: 3, lasted: Duration::from_secs(60) },
    ];
    let audits = [audit, refused].into_iter().map(|audit| EventKind::Audit(Arc::new(audit)));
    events.into_iter().map(EventKind::Journal).chain(audits).chain(intent_events())
}

fn intent_events() -> impl Iterator<Item = EventKind> {
    let intent = || Intent {
        what: "drain of the node".into(),
        principal: "uid=0(unix)".into(),
        set: "2026-11-27T00:10:00Z".into(),
        reason: "new kernel".into(),
    };
    let events = [
        IntentEvent::Restored { intent: intent(), lasts: Some(Duration::from_secs(60)) },
        IntentEvent::Expired { intent: intent(), ended: "2026-11-27T01:10:00Z".into() },
        IntentEvent::Dropped { intent: intent(), why: "it is not configured any more".into() },
        IntentEvent::Unread { error: "no such device".into() },
        IntentEvent::NotForgotten { what: "drain of the node".into(), error: "read-only".into() },
    ];
    events.into_iter().map(EventKind::Intent)
}

/// The subject that the engine gives each kind. No wildcard: a new kind of event must be added here and above.
fn with_subject(kind: EventKind) -> Event {
    let subject = match kind {
        EventKind::Stalled { .. }
        | EventKind::ConfigurationLoaded { .. }
        | EventKind::ConfigurationRejected { .. } => Subject::Node,
        EventKind::Move(MoveEvent::Drained { .. } | MoveEvent::Undrained) => Subject::Node,
        EventKind::Move(_) | EventKind::Wire(WireEvent::Reannounced { .. }) => web(),
        EventKind::Wire(WireEvent::ConflictFound { .. }) => {
            Subject::Vip(InstanceId(0), "web".into(), address("10.0.0.1"))
        }
        EventKind::Discarded { .. } => Subject::Interface("eth0".into()),
        EventKind::GroupStateChanged { .. } => Subject::Group("edge".into()),
        EventKind::Check(_) => Subject::Check("checks/http".into()),
        EventKind::Pool(
            PoolEvent::ServerLeft(_)
            | PoolEvent::ServerReturned(_)
            | PoolEvent::ServerKept(_)
            | PoolEvent::ServerDrained { .. }
            | PoolEvent::ServerUndrained,
        ) => Subject::Server("web".into(), "10.0.0.7:80".into()),
        EventKind::Notify(_) => Subject::Notifier("mail".into()),
        EventKind::Peer(_) => Subject::Peer("node-b".into()),
        EventKind::Journal(_) | EventKind::Intent(_) => Subject::Node,
        EventKind::Audit(_) => web(),
        EventKind::Pool(_) | EventKind::Balancer(_) => Subject::Pool("web".into()),
        EventKind::AddressLost | EventKind::AddressFailed { .. } => {
            Subject::Vip(InstanceId(0), "web".into(), address("10.0.0.10"))
        }
        EventKind::StateChanged { .. }
        | EventKind::Adopted { .. }
        | EventKind::PriorityChanged { .. }
        | EventKind::OverrideSet { .. }
        | EventKind::OverrideCleared
        | EventKind::ActiveObserved { .. }
        | EventKind::DuplicateActiveBegan { .. }
        | EventKind::DuplicateActiveEnded { .. }
        | EventKind::AddressesHeld { .. }
        | EventKind::AddressesReleased { .. }
        | EventKind::Announced { .. }
        | EventKind::AdvertDiffers { .. }
        | EventKind::InstanceAdded
        | EventKind::InstanceRemoved
        | EventKind::InstanceChanged => web(),
    };
    let evidence = Evidence {
        peer: Some(address("10.0.0.1")),
        peer_priority: Some(150),
        local_priority: Some(priority(120)),
        last_advertisement_age: Some(Duration::from_millis(400)),
        active_down_interval: Some(Duration::from_millis(3600)),
        stalled: Some(Duration::from_millis(20)),
        subject: Some("checks/http".into()),
        detail: Some("more".into()),
    };
    let actor = Actor {
        principal: "uid=0(unix)".into(),
        roles: vec!["admin".into()],
        peer_address: "10.9.9.9:1".into(),
        request_id: "r1".into(),
        trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
    };
    let (at, cause) = (clock::now(), Cause::AdminPriority);
    Event { at, subject, kind, cause, evidence, actor: Some(Arc::new(actor)) }
}

/// Sends a request as it stands and reads until the server closes.
pub(super) async fn exchange(server: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The page that Prometheus would read.
pub(super) async fn scrape(telemetry: &Telemetry) -> String {
    let server = telemetry.scrape_address().unwrap();
    let answer = exchange(server, "GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n").await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    body.to_owned()
}

/// The value of the one series of that name with these labels.
pub(super) fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let of_name = |line: &&str| line.split(['{', ' ']).next() == Some(name);
    let matching: Vec<&str> =
        page.lines().filter(of_name).filter(|line| labels.iter().all(|label| line.contains(label))).collect();
    assert_eq!(matching.len(), 1, "{name} {labels:?}: {matching:?}\n{page}");
    matching[0].rsplit(' ').next().unwrap().parse().unwrap()
}
