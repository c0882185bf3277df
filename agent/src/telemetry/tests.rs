//! Telemetry from outside: a collector of our own, a plain HTTP client, and collectors that do not answer.

mod cluster;
mod collector;
mod fixtures;
mod schema;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use ha_engine::{Cause, EventKind, InstanceConfig, InstanceStatus, StateName, VirtualAddress};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::clock;
use crate::driver::Snapshot;
use collector::{Collector, attribute, text};
use fixtures::{driver, event, exchange, instance, scrape, snapshot, start, takeover, value};

fn length(span: &Span) -> Duration {
    Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_is_one_trace_from_the_last_advert_to_the_announcement() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    telemetry.facts.cache.refresh().await;
    let decided = clock::now();
    for (sequence, event) in takeover(decided).iter().enumerate() {
        telemetry.observe(sequence as u64, "7f3a", event);
    }
    telemetry.shutdown().await;

    let spans = collector.spans.lock().unwrap();
    let by_name: BTreeMap<&str, &Span> = spans.iter().map(|span| (span.name.as_str(), span)).collect();
    let root = by_name["ha_agent.failover"];
    let milliseconds: Vec<_> =
        ["detect", "elect", "configure", "announce"].map(|name| length(by_name[name]).as_millis()).into();
    assert_eq!(milliseconds, [3600, 10, 4, 2]);
    assert_eq!(length(root), Duration::from_millis(3616));
    let decided = clock::wall(decided).duration_since(UNIX_EPOCH).unwrap();
    let configured_from = Duration::from_nanos(by_name["configure"].start_time_unix_nano);
    assert!(configured_from.abs_diff(decided) < Duration::from_secs(1), "{configured_from:?} {decided:?}");
    for name in ["detect", "elect", "configure", "announce"] {
        assert_eq!((&by_name[name].trace_id, &by_name[name].parent_span_id), (&root.trace_id, &root.span_id));
    }
    let expected = [
        ("vrrp_instance", "web"),
        ("vrid", "51"),
        ("interface", "eth0"),
        ("family", "ipv4"),
        ("cause", "ACTIVE_DOWN_TIMER"),
        ("planned", "false"),
        ("peer", "10.0.0.1"),
        ("peer.priority", "150"),
        ("local.priority", "120"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(&root.attributes, key), value, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_is_a_named_record_within_the_trace_of_its_failover() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    let [to_active, held, announced] = takeover(clock::now());
    for (sequence, event) in [to_active, held, announced].iter().enumerate() {
        telemetry.observe(sequence as u64 + 118, "7f3a", event);
    }
    telemetry.shutdown().await;

    let records = collector.records.lock().unwrap();
    let names: Vec<_> = records.iter().map(|record| record.event_name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ha_agent.instance.state_changed",
            "ha_agent.instance.addresses_held",
            "ha_agent.instance.announced"
        ]
    );
    let first = &records[0];
    assert_eq!(
        text(first.body.as_ref().unwrap()),
        "BACKUP to ACTIVE: ACTIVE_DOWN_TIMER (peer 10.0.0.1, peer priority 150, own priority 120, last advert 3.610s ago, limit 3.600s)"
    );
    let expected = [
        ("vrrp_instance", "web"),
        ("cause", "ACTIVE_DOWN_TIMER"),
        ("from", "BACKUP"),
        ("to", "ACTIVE"),
        ("sequence", "118"),
        ("incarnation", "7f3a"),
        ("evidence.peer", "10.0.0.1"),
        ("evidence.last_advertisement_age", "3.61"),
        ("evidence.active_down_interval", "3.6"),
    ];
    for (key, value) in expected {
        assert_eq!(attribute(&first.attributes, key), value, "{key}");
    }
    assert_eq!(first.severity_text, "INFO");
    let spans = collector.spans.lock().unwrap();
    let root = spans.iter().find(|span| span.name == "ha_agent.failover").unwrap();
    for record in records.iter() {
        assert_eq!(
            (&record.trace_id, &record.span_id),
            (&root.trace_id, &root.span_id),
            "{}",
            record.event_name
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_takeover_that_is_overtaken_ends_as_an_error_and_a_release_is_a_span() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    let at = clock::now();
    let [to_active, ..] = takeover(at);
    let to_backup = EventKind::StateChanged { from: StateName::Active, to: StateName::Backup };
    let released = EventKind::AddressesReleased { took: Duration::from_millis(3) };
    telemetry.observe(1, "7f3a", &to_active);
    telemetry.observe(2, "7f3a", &event(at, to_backup, Cause::PeerHigherPriority));
    telemetry.observe(3, "7f3a", &event(at, released, Cause::PeerHigherPriority));
    let page = scrape(&telemetry).await;
    telemetry.shutdown().await;

    assert!(
        !page.contains("ha_agent_failover_duration_seconds_count"),
        "an unfinished takeover has no duration"
    );
    let spans = collector.spans.lock().unwrap();
    let failover = spans.iter().find(|span| span.name == "ha_agent.failover").unwrap();
    assert_eq!(failover.status.as_ref().unwrap().code, 2);
    let release = spans.iter().find(|span| span.name == "ha_agent.release").unwrap();
    assert_eq!(length(release), Duration::from_millis(3));
    assert_eq!(attribute(&release.attributes, "planned"), "true");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scraped_page_says_how_everything_stands() {
    let telemetry = start(driver(snapshot()).0, None);
    takeover(clock::now()).iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    telemetry.facts.node.reloaded(false);
    telemetry.facts.node.api.watchers.store(3, Ordering::Relaxed);
    telemetry.facts.node.lost(5);
    let observer = telemetry.facts.node.observer();
    let elapsed = Duration::from_micros(200);
    for (method, code) in [
        ("/ha.agent.v1.NodeService/GetNode", tonic::Code::Ok),
        ("/made.Up/Name", tonic::Code::PermissionDenied),
    ] {
        observer(&crate::api::Call { method, code, elapsed });
    }
    let page = scrape(&telemetry).await;

    let web = "vrrp_instance=\"web\"";
    let table: &[(&str, &[&str], f64)] = &[
        ("ha_agent_vrrp_instance_status", &[web, "state=\"ACTIVE\""], 1.0),
        (
            "ha_agent_vrrp_instance_status",
            &[web, "state=\"BACKUP\"", "interface=\"eth0\"", "vrid=\"51\"", "family=\"ipv4\""],
            0.0,
        ),
        (
            "ha_agent_vrrp_transitions_total",
            &["from=\"BACKUP\"", "to=\"ACTIVE\"", "cause=\"ACTIVE_DOWN_TIMER\""],
            1.0,
        ),
        ("ha_agent_vrrp_priority", &[web, "kind=\"base\""], 120.0),
        ("ha_agent_vrrp_priority", &[web, "kind=\"effective\""], 90.0),
        ("ha_agent_vrrp_advertisements_total", &[web, "direction=\"transmit\""], 17.0),
        ("ha_agent_vrrp_advertisements_total", &[web, "direction=\"receive\""], 4.0),
        (
            "ha_agent_vrrp_advertisement_errors_total",
            &["error_type=\"VIRTUAL_ROUTER_UNKNOWN\"", "interface=\"eth0\""],
            9.0,
        ),
        ("ha_agent_vrrp_duplicate_active_detected_total", &[web], 1.0),
        ("ha_agent_vrrp_duplicate_active_status", &[web], 0.0),
        ("ha_agent_override_active", &[web], 0.0),
        ("ha_agent_vip_status", &[web, "vip=\"10.0.0.10\"", "view=\"kernel\"", "state=\"PRESENT\""], 1.0),
        ("ha_agent_vip_status", &["vrrp_instance=\"mail\"", "view=\"desired\"", "state=\"ABSENT\""], 1.0),
        ("ha_agent_vip_announcements_total", &[web], 1.0),
        ("ha_agent_vip_conflicts_total", &[web, "vip=\"10.0.0.10\""], 0.0),
        ("ha_agent_failover_duration_seconds_count", &["phase=\"detect\"", "planned=\"false\""], 1.0),
        ("ha_agent_failover_duration_seconds_sum", &["phase=\"configure\""], 0.004),
        ("ha_agent_loop_delay_seconds_bucket", &["le=\"0.00002\""], 6.0),
        ("ha_agent_loop_delay_seconds_bucket", &["le=\"0.00005\""], 9.0),
        ("ha_agent_loop_delay_seconds_bucket", &["le=\"0.0001\""], 10.0),
        ("ha_agent_loop_delay_seconds_count", &[], 10.0),
        ("ha_agent_api_watchers", &[], 3.0),
        ("ha_agent_config_reloads_total", &["outcome=\"failure\""], 1.0),
        ("ha_agent_events_lost_total", &[], 5.0),
        (
            "rpc_server_call_duration_seconds_count",
            &["rpc_method=\"ha.agent.v1.NodeService/GetNode\"", "rpc_response_status_code=\"OK\""],
            1.0,
        ),
        (
            "rpc_server_call_duration_seconds_count",
            &["rpc_method=\"_OTHER\"", "rpc_response_status_code=\"PERMISSION_DENIED\""],
            1.0,
        ),
        ("ha_agent_build_info", &["version=\"0.1.0\"", "node=\"node-b\""], 1.0),
    ];
    for (name, labels, expected) in table {
        assert!((value(&page, name, labels) - expected).abs() < 1e-9, "{name} {labels:?}");
    }
    assert!((value(&page, "ha_agent_vrrp_active_down_margin_seconds", &[]) - 3.0).abs() < 1e-6);
    assert!((value(&page, "ha_agent_loop_delay_seconds_sum", &[]) - 250e-6).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ways_carry_the_same_names() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    takeover(clock::now()).iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    let page = scrape(&telemetry).await;
    telemetry.shutdown().await;

    let mut pushed: Vec<String> = Vec::new();
    for metric in collector.metrics.lock().unwrap().iter() {
        let known = super::schema::find(&metric.name)
            .unwrap_or_else(|| panic!("{} is not in the schema", metric.name));
        assert_eq!(metric.unit, known.unit, "{}", metric.name);
        assert_eq!(metric.description, known.meaning, "{}", metric.name);
        let monotonic = matches!(&metric.data, Some(Data::Sum(sum)) if sum.is_monotonic);
        assert_eq!(monotonic, known.kind == super::schema::Kind::Counter, "{}", metric.name);
        pushed.push(known.prometheus_name());
    }
    let mut scraped: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    scraped.retain(|name| *name != "target_info");
    pushed.sort();
    scraped.sort_unstable();
    assert_eq!(pushed, scraped);
    let resource = collector.resource.lock().unwrap();
    assert_eq!(attribute(&resource, "service.name"), "ha-agent");
    assert_eq!(attribute(&resource, "service.instance.id"), "node-b");
    assert_eq!(attribute(&resource, "ha_agent.incarnation"), "7f3a");
}

/// The page with so many instances, however long it takes to be made: a client's connection has a limit, and a debug build on a
/// busy machine is slow.
async fn unhurried(telemetry: &Telemetry, instances: usize) -> String {
    while telemetry.facts.cache.last().instances.len() < instances {
        telemetry.facts.cache.refresh().await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let registry = telemetry.exporters.as_ref().and_then(|exporters| exporters.registry.clone()).unwrap();
    let make = move || prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    tokio::task::spawn_blocking(make).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_instances_are_kept_apart() {
    let instances = (0..10_000).map(|number| instance(&format!("i{number:05}"), number)).collect();
    let telemetry = start(driver(Snapshot { instances, ..snapshot() }).0, None);
    let page = unhurried(&telemetry, 10_000).await;
    let count = |name: &str| page.lines().filter(|line| line.starts_with(&format!("{name}{{"))).count();
    assert_eq!(count("ha_agent_vrrp_instance_status"), 40_000);
    assert_eq!(count("ha_agent_vip_status"), 70_000);
    assert_eq!(count("ha_agent_vrrp_priority"), 20_000);
    assert!(!page.contains("otel_metric_overflow"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_instance_disappears_from_the_page_and_from_memory() {
    let telemetry = start(driver(Snapshot::default()).0, None);
    takeover(clock::now()).iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    telemetry.observe(2, "7f3a", &event(clock::now(), EventKind::InstanceRemoved, Cause::ConfigReload));
    assert!(telemetry.facts.events.lock().unwrap().instances.is_empty());
    assert!(!scrape(&telemetry).await.contains("vrrp_instance=\"web\""));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vrrp_thread_is_asked_once_however_many_scrape() {
    let (handle, asked) = driver(snapshot());
    let telemetry = start(handle, None);
    let before = std::time::Instant::now();
    for _ in 0..20 {
        telemetry.facts.cache.refresh().await;
        scrape(&telemetry).await;
    }
    assert!(asked.load(Ordering::Relaxed) <= 2 + before.elapsed().as_secs());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vrrp_thread_that_does_not_answer_does_not_keep_the_page_from_being_made() {
    let (handle, _requests) = crate::driver::Handle::new();
    let telemetry = start(handle, None);
    // Long enough for the collection to ask for itself, not only the task that keeps the snapshot fresh.
    tokio::time::sleep(Duration::from_millis(1300)).await;
    let page = tokio::time::timeout(Duration::from_secs(20), scrape(&telemetry)).await.unwrap();
    assert!(page.contains("ha_agent_build_info"));
}

/// Observes far more than there is room for.
fn flood(telemetry: &Telemetry) -> u64 {
    const EVENTS: u64 = 100_000;
    let changed = event(clock::now(), EventKind::InstanceChanged, Cause::ConfigReload);
    (0..EVENTS).for_each(|sequence| telemetry.observe(sequence, "7f3a", &changed));
    EVENTS
}

fn logs(telemetry: &Telemetry) -> &flow::Flow {
    let (_, flow) = telemetry.facts.flows.iter().find(|(signal, _)| *signal == plan::Signal::Logs).unwrap();
    flow
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_black_hole_costs_counted_records_and_bounded_memory() {
    // Accepts, and never says a word.
    let hole = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let telemetry = start(driver(snapshot()).0, Some(hole.local_addr().unwrap()));
    let observed = flood(&telemetry);
    let flow = logs(&telemetry);
    assert_eq!(flow.delivered(), 0);
    assert!(flow.waiting() <= 2048, "{}", flow.waiting());
    assert_eq!(flow.dropped() + flow.waiting() as u64, observed);
    let dropped = value(&scrape(&telemetry).await, "ha_agent_telemetry_dropped_total", &["signal=\"logs\""]);
    assert!(dropped >= (observed - 2048) as f64);
    // Bounded by the exporters' own 10 s times retries, were it not for the limit.
    tokio::time::timeout(Duration::from_secs(8), telemetry.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_collector_costs_counted_records_and_bounded_memory() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let telemetry = start(driver(snapshot()).0, Some(closed));
    let observed = flood(&telemetry);
    let flow = logs(&telemetry);
    assert_eq!(flow.delivered(), 0);
    assert!(flow.waiting() <= 2048, "{}", flow.waiting());
    let settled = flow.dropped() + flow.waiting() as u64;
    assert!(
        (observed - 512..=observed).contains(&settled),
        "{settled}: at most a batch is on its way from one to the other"
    );
    tokio::time::timeout(Duration::from_secs(8), telemetry.shutdown()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_answers_loses_nothing_and_each_record_is_counted() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    takeover(clock::now()).iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    let flows = telemetry.facts.flows.clone();
    telemetry.shutdown().await;
    let counted: Vec<_> = flows
        .iter()
        .map(|(signal, flow)| (signal.as_str(), flow.delivered(), flow.dropped(), flow.waiting()))
        .collect();
    assert_eq!(counted, [("traces", 5, 0, 0), ("metrics", 0, 0, 0), ("logs", 3, 0, 0)]);
    assert_eq!(collector.spans.lock().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scrape_page_answers_only_what_it_serves() {
    let telemetry = start(driver(snapshot()).0, None);
    let server = telemetry.scrape_address().unwrap();
    let table = [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"),
        ("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200"),
        ("GET /secret HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405"),
        ("nonsense\r\n\r\n", "HTTP/1.1 400"),
    ];
    for (request, expected) in table {
        let answer = exchange(server, request).await;
        assert!(answer.starts_with(expected), "{request:?}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_say_nothing_do_not_keep_the_page_for_ever() {
    let telemetry = start(driver(snapshot()).0, None);
    let server = telemetry.scrape_address().unwrap();
    let mut silent = Vec::new();
    for _ in 0..20 {
        silent.push(TcpStream::connect(server).await.unwrap());
    }
    let page = tokio::time::timeout(Duration::from_secs(60), scrape(&telemetry)).await.unwrap();
    assert!(page.contains("ha_agent_build_info"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let config = TelemetryConfig { prometheus: Some(address), ..TelemetryConfig::default() };
    let identity = Identity { node: "n".into(), version: "v".into(), incarnation: "i".into() };
    let (handle, _) = driver(snapshot());
    let error = Telemetry::start(&config, identity, fixtures::sources(handle)).err().unwrap();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_kernel_is_seen_to_hold_is_told_rather_than_what_was_asked_of_it() {
    let held = |interface: &str, _| (interface == "eth0").then_some(false);
    let config =
        TelemetryConfig { prometheus: Some(([127, 0, 0, 1], 0).into()), ..TelemetryConfig::default() };
    let identity = Identity { node: "n".into(), version: "v".into(), incarnation: "i".into() };
    let refused = InstanceStatus { applied: Some(Err("no".into())), ..instance("zoo", 2) };
    let mut given = snapshot();
    given.instances.push(refused);
    let sources = Sources { kernel: Some(Arc::new(held)), ..fixtures::sources(driver(given).0) };
    let telemetry = Telemetry::start(&config, identity, sources).unwrap();
    let page = scrape(&telemetry).await;
    for (name, state) in [("web", "ABSENT"), ("mail", "ABSENT"), ("zoo", "FAILED")] {
        let labels =
            [&format!("vrrp_instance=\"{name}\"") as &str, "view=\"kernel\"", &format!("state=\"{state}\"")];
        assert!((value(&page, "ha_agent_vip_status", &labels) - 1.0).abs() < 1e-9, "{name} {state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_on_another_link_is_told_with_that_link() {
    let held = |interface: &str, _| Some(interface == "eth1");
    let config =
        TelemetryConfig { prometheus: Some(([127, 0, 0, 1], 0).into()), ..TelemetryConfig::default() };
    let identity = Identity { node: "n".into(), version: "v".into(), incarnation: "i".into() };
    let mut spread = instance("spread", 2);
    let beside =
        VirtualAddress { interface: Some("eth1".into()), ..VirtualAddress::new([192, 0, 2, 9].into(), 32) };
    let own = spread.config.addresses.iter().cloned();
    let with_both = InstanceConfig { addresses: own.chain([beside]).collect(), ..(*spread.config).clone() };
    spread.config = Arc::new(with_both);
    let mut given = snapshot();
    given.instances.push(spread);
    let sources = Sources { kernel: Some(Arc::new(held)), ..fixtures::sources(driver(given).0) };
    let telemetry = Telemetry::start(&config, identity, sources).unwrap();
    let page = scrape(&telemetry).await;
    for (vip, interface, state) in [("10.0.0.10", "eth0", "ABSENT"), ("192.0.2.9", "eth1", "PRESENT")] {
        let [vip, link, state] = [("vip", vip), ("interface", interface), ("state", state)]
            .map(|(key, word)| format!("{key}=\"{word}\""));
        let named = ["vrrp_instance=\"spread\"", &vip, &link];
        let shown = [&named[..], &["view=\"kernel\"", &state]].concat();
        assert!((value(&page, "ha_agent_vip_status", &shown) - 1.0).abs() < 1e-9, "{shown:?}");
        assert!(value(&page, "ha_agent_vip_conflicts_total", &named).abs() < 1e-9, "{named:?}");
    }
}
