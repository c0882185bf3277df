//! What others receive of a failover: an OpenTelemetry collector and Prometheus, both of other makers; and that
//! nothing waits for a collector that does not take it.

mod peers;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    process::Command,
    time::{Duration, SystemTime},
};

use ha_tests::{
    Capture, Cluster, Collector, Injector, Item, Namespace, Node, Process, Program, Received, Signal,
    VrrpFrame, Wanted, http_get, require, wait_for, wait_some,
};

use crate::common::{FOUR, SOON, adverts_of, only_four, pair, vip};

/// The document that users build their dashboards on.
const SCHEMA: &str = include_str!("../../agent/TELEMETRY.md");
const INSTANCE: [&str; 4] = ["family", "interface", "vrid", "vrrp_instance"];
const PHASES: [&str; 4] = ["detect", "elect", "configure", "announce"];
const SCRAPED: u16 = 9650;
const CHECK: &str = "scraped";
const NOTIFIER: &str = "told";
const POOL: &str = "app";
/// What the backup of the pair waits after the last advert: three intervals and its skew.
const ACTIVE_DOWN: f64 = 0.341_406_25;

/// More than an agent needs that exports to a collector which takes nothing.
const MOST_RESIDENT: u64 = 80 << 20;

/// A row of the schema's table of metrics.
struct Row {
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    attributes: BTreeSet<&'static str>,
    prometheus: &'static str,
}

fn schema() -> Vec<Row> {
    let rows = SCHEMA.lines().filter(|line| line.starts_with("| `ha_agent."));
    let cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let row = |cells: Vec<&'static str>| Row {
        name: cells[1].trim_matches('`'),
        kind: cells[2],
        unit: cells[3].trim_matches('`'),
        attributes: attributes_in(cells[4]),
        prometheus: cells[5].trim_matches('`'),
    };
    // The table of spans has fewer columns.
    let found: Vec<Row> = cells.filter(|cells| cells.len() == 8).map(row).collect();
    assert!(found.len() > 20, "only {} metrics in the schema", found.len());
    found
}

fn attributes_in(cell: &'static str) -> BTreeSet<&'static str> {
    let own = cell.split_whitespace().map(|word| word.trim_matches('`')).filter(|word| *word != "(instance)");
    let shared = if cell.contains("(instance)") { &INSTANCE[..] } else { &[] };
    own.chain(shared.iter().copied()).collect()
}

/// Starts the agent of a node again, with a scrape endpoint and these lines, one of everything that metrics count: a check,
/// of the scrape endpoint itself, a notifier, and a pool whose server is never checked.
fn restart_with(cluster: &mut Cluster, index: usize, lines: &str) {
    let node = cluster.lab.node(index);
    let scraped = scrape_address(node);
    let counted = format!(
        "[metrics]\nlisten = \"{scraped}\"\n\
         [[check]]\nname = \"{CHECK}\"\nkind = \"tcp\"\nhost = \"{}\"\nport = {}\n\
         [[notify]]\nname = \"{NOTIFIER}\"\ncommand = [\"/bin/true\"]\nuser = \"root\"\n\
         [[pool]]\nname = \"{POOL}\"\nport = 80\n[[pool.server]]\nname = \"one\"\naddress = \"192.0.2.1\"\n",
        scraped.ip(),
        scraped.port()
    );
    let instance = only_four(node, &cluster.lab, "").toml();
    cluster.agent(index).rewrite(&format!("{counted}{lines}{instance}"));
    cluster.restart(index);
}

fn scrape_address(node: &Node) -> SocketAddr {
    (node.address4(0), SCRAPED).into()
}

fn export(to: &str) -> String {
    format!("[telemetry]\nendpoint = \"{to}\"\ninterval = \"1s\"\ntimeout = \"1s\"\n")
}

/// Waits until node 1 has heard node 0 since its own start, and provokes one discard that is counted.
fn settle(cluster: &mut Cluster) {
    cluster.wait_for_holder(0);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.agent(1).wait_for_event("instance.active_observed", SOON, |_| true);
    let stranger = cluster.lab.client_address4(0);
    let far = VrrpFrame { ttl: 254, ..VrrpFrame::v3(stranger, 51, 254, 10, &[vip(cluster)]) };
    Injector::new(&cluster.lab.client, "eth0").send(&far.bytes());
}

/// Death of node 0 as node 1 sees it.
fn kill_active(cluster: &mut Cluster) {
    // Its own link goes: the node that is cut off cannot take part.
    cluster.expect_errors("FAULT");
    cluster.lab.cut_off(cluster.lab.node(0));
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
}

fn revive(cluster: &mut Cluster) {
    cluster.lab.reconnect(cluster.lab.node(0));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_collector_of_other_makers_receives_the_metrics_the_trace_and_the_records_of_a_failover() {
    let mut cluster = pair("");
    let collector = Collector::start(cluster.space(1), cluster.lab.scratch());
    restart_with(&mut cluster, 1, &export(Collector::ENDPOINT));
    settle(&mut cluster);
    collector.wait_for("the margin and the discard", SOON, |received| {
        let name = |name| received.latest(name, &[]).is_some();
        name("ha_agent.vrrp.active_down.margin") && name("ha_agent.vrrp.advertisement.errors")
    });

    kill_active(&mut cluster);
    let received = collector.wait_for("the failover", SOON, |received| {
        received.number("ha_agent.vrrp.instance.status", &[("state", "ACTIVE")], "Value") == 1.0
            && received.number("ha_agent.failover.duration", &[("phase", "announce")], "Count") == 1.0
            && received.number("ha_agent.telemetry.exported", &[("signal", "traces")], "Value") >= 5.0
            && !received.all(Signal::Span, "ha_agent.failover").is_empty()
            && !received.all(Signal::Record, "ha_agent.instance.announced").is_empty()
    });
    has_metrics_of_the_schema(&received, |name| !is_of_peers(name));
    has_the_values_of_a_failover(&received);
    let root = the_trace(&received, cluster.lab.node(0).address4(0)).clone();
    has_the_records(&received, &root, cluster.lab.node(0).address4(0));

    revive(&mut cluster);
    let received = collector
        .wait_for("the release", SOON, |received| !received.all(Signal::Span, "ha_agent.release").is_empty());
    assert_eq!(received.all(Signal::Span, "ha_agent.failover"), [&root], "one takeover, one trace");
    assert_eq!(received.all(Signal::Span, "ha_agent.release").len(), 1);
}

/// Those that a node without peers does not have.
fn is_of_peers(name: &str) -> bool {
    name.starts_with("ha_agent.peer.")
}

/// Each row of the table that is `wanted` arrived: exact name, unit, kind, attributes.
fn has_metrics_of_the_schema(received: &Received, is_wanted: impl Fn(&str) -> bool) {
    for Row { name, kind, unit, attributes, .. } in schema().into_iter().filter(|row| is_wanted(row.name)) {
        let points = received.all(Signal::Point, name);
        let wanted = match kind {
            "gauge" => ("Gauge", ""),
            "histogram" => ("Histogram", ""),
            "counter" => ("Sum", "true"),
            "updowncounter" => ("Sum", "false"),
            other => panic!("{name}: unknown kind {other}"),
        };
        assert!(!points.is_empty(), "{name} did not arrive");
        for point in &points {
            assert_eq!(point.field("Unit"), unit, "{point:?}");
            assert_eq!((point.field("DataType"), point.field("IsMonotonic")), wanted, "{point:?}");
            assert_eq!(point.resource["service.name"], "ha-agent", "{point:?}");
            assert_eq!(point.resource["service.instance.id"], "node-1", "{point:?}");
            let keys: BTreeSet<&str> = point.attributes.keys().map(String::as_str).collect();
            // A packet that belongs to no instance carries only its interface.
            let is_right = match name {
                "ha_agent.vrrp.advertisement.errors" => {
                    keys.is_subset(&attributes) && keys.contains("error.type") && keys.contains("interface")
                }
                _ => keys == attributes,
            };
            assert!(is_right, "{name} has {keys:?}, the schema says {attributes:?}");
        }
        println!("{name}: {} points, unit {unit}, {kind}", points.len());
    }
}

fn has_the_values_of_a_failover(received: &Received) {
    let value = |name: &str, attributes: &[(&str, &str)]| received.number(name, attributes, "Value");
    for (state, wanted) in [("INITIALIZE", 0.0), ("BACKUP", 0.0), ("ACTIVE", 1.0), ("FAULT", 0.0)] {
        let found = value("ha_agent.vrrp.instance.status", &[("state", state), ("vrrp_instance", FOUR)]);
        assert_eq!(found, wanted, "{state}");
    }
    let takeover = [("cause", "ACTIVE_DOWN_TIMER"), ("from", "BACKUP"), ("to", "ACTIVE")];
    assert_eq!(value("ha_agent.vrrp.transitions", &takeover), 1.0);
    assert_eq!(value("ha_agent.vip.status", &[("view", "kernel"), ("state", "PRESENT")]), 1.0);
    assert_eq!(value("ha_agent.vip.status", &[("view", "desired"), ("state", "ABSENT")]), 0.0);
    assert_eq!(value("ha_agent.vip.announcements", &[]), 1.0);
    assert_eq!(value("ha_agent.vrrp.advertisement.errors", &[("error.type", "TTL_WRONG")]), 1.0);
    assert_eq!(value("ha_agent.vrrp.priority", &[("kind", "effective")]), 150.0);
    assert_eq!(
        value("ha_agent.check.status", &[("check", &format!("checks/{CHECK}")), ("verdict", "PASSING")]),
        1.0
    );
    assert!(value("ha_agent.notify.delivered", &[("notifier", NOTIFIER)]) >= 1.0);
    assert_eq!(value("ha_agent.pool.servers", &[("kind", "used"), ("pool", POOL)]), 1.0);
    assert!(value("ha_agent.vrrp.advertisements", &[("direction", "transmit")]) >= 1.0);
    assert!(value("ha_agent.vrrp.advertisements", &[("direction", "receive")]) >= 1.0);
    for phase in PHASES {
        let attributes = [("phase", phase), ("planned", "false")];
        let number = |field: &str| received.number("ha_agent.failover.duration", &attributes, field);
        println!("{phase}: {} s", number("Sum"));
        assert_eq!(number("Count"), 1.0, "{phase}");
        assert!(is_plausible(phase, number("Sum")), "{phase} took {} s", number("Sum"));
    }
}

/// The wait is the interval of the protocol; the work after it is short, also on a busy machine.
fn is_plausible(phase: &str, seconds: f64) -> bool {
    let least = if phase == "detect" { ACTIVE_DOWN - 0.002 } else { 0.0 };
    (least..least + 0.5).contains(&seconds)
}

/// One trace with its four phases end to end; returns its root.
fn the_trace(received: &Received, peer: Ipv4Addr) -> &Item {
    let roots = received.all(Signal::Span, "ha_agent.failover");
    let [root] = roots[..] else { panic!("{} traces of one failover: {roots:?}", roots.len()) };
    let peer = peer.to_string();
    let wanted = [
        ("cause", "ACTIVE_DOWN_TIMER"),
        ("planned", "false"),
        ("peer", peer.as_str()),
        ("peer.priority", "200"),
        ("local.priority", "150"),
        ("vrrp_instance", FOUR),
        ("family", "ipv4"),
        ("interface", "eth0"),
        ("vrid", "51"),
    ];
    wanted.iter().for_each(|(key, value)| assert_eq!(root.attribute(key), *value, "{key} of {root:?}"));
    assert_eq!(root.field("Parent ID"), "");
    assert!(!root.field("Status code").contains("ERROR"), "{root:?}");

    let spans = received.0.iter().filter(|item| item.signal == Signal::Span);
    let mut children: Vec<&Item> = spans.filter(|span| span.field("Parent ID") == root.field("ID")).collect();
    children.sort_by_key(|span| PHASES.iter().position(|phase| *phase == span.name));
    let names: Vec<&str> = children.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, PHASES);
    let mut at = root.field("Start time");
    for span in &children {
        assert_eq!(span.field("Trace ID"), root.field("Trace ID"), "{span:?}");
        assert_eq!(span.field("Start time"), at, "the phases leave a hole before {span:?}");
        at = span.field("End time");
    }
    assert_eq!(at, root.field("End time"), "the last phase ends before the whole");
    println!("trace {}: {names:?}", root.field("Trace ID"));
    root
}

/// The records of the failover, each with the trace; the first of them with cause and evidence.
fn has_the_records(received: &Received, root: &Item, peer: Ipv4Addr) {
    let changes = received.all(Signal::Record, "ha_agent.instance.state_changed");
    let takeovers: Vec<&&Item> = changes.iter().filter(|item| item.attribute("to") == "ACTIVE").collect();
    let [change] = takeovers[..] else { panic!("{} takeovers: {changes:?}", takeovers.len()) };
    println!("{}", change.field("Body"));
    let peer = peer.to_string();
    let wanted = [
        ("from", "BACKUP"),
        ("cause", "ACTIVE_DOWN_TIMER"),
        ("vrrp_instance", FOUR),
        ("evidence.peer", peer.as_str()),
        ("evidence.peer_priority", "200"),
        ("evidence.local_priority", "150"),
        ("evidence.active_down_interval", "0.34140625"),
    ];
    wanted.iter().for_each(|(key, value)| assert_eq!(change.attribute(key), *value, "{key} of {change:?}"));
    let age: f64 = change.attribute("evidence.last_advertisement_age").parse().expect("seconds");
    assert!(is_plausible("detect", age), "the last advert was {age} s old");
    assert_eq!(change.field("SeverityText"), "INFO");
    assert!(change.field("Body").contains("ACTIVE_DOWN_TIMER"), "{change:?}");
    for event in ["state_changed", "addresses_held", "announced"] {
        let name = format!("ha_agent.instance.{event}");
        let records = received.all(Signal::Record, &name);
        let of_trace = |item: &&&Item| item.field("Trace ID") == root.field("Trace ID");
        let [record] = records.iter().filter(of_trace).collect::<Vec<_>>()[..] else {
            panic!("not one {name} in the trace: {records:?}")
        };
        assert_eq!(record.field("Span ID"), root.field("ID"), "{record:?}");
    }
}

/// The newest sample of each series that Prometheus has of a target, by name: labels and value.
type Series = Vec<(BTreeMap<String, String>, f64)>;

fn series_of(cluster: &Cluster, target: SocketAddr) -> Series {
    // {instance="<target>"}[5m]: also what has ended, such as the margin of a former Backup.
    let query = format!("/api/v1/query?query=%7Binstance%3D%22{target}%22%7D%5B5m%5D");
    let answer =
        cluster.lab.client.run(|| http_get((Ipv4Addr::LOCALHOST, 9090).into(), &query)).unwrap_or_default();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
    let found = answer["data"]["result"].as_array().into_iter().flatten();
    let one = |series: &serde_json::Value| {
        let labels = serde_json::from_value(series["metric"].clone()).ok()?;
        Some((labels, series["values"].as_array()?.last()?[1].as_str()?.parse().ok()?))
    };
    found.filter_map(one).collect()
}

fn sample(series: &Series, name: &str, labels: &[(&str, &str)]) -> f64 {
    let fits = |found: &BTreeMap<String, String>| {
        let is = |key: &str, value: &str| found.get(key).is_some_and(|text| text == value);
        is("__name__", name) && labels.iter().all(|(key, value)| is(key, value))
    };
    series.iter().find(|(found, _)| fits(found)).map_or(f64::NAN, |(_, value)| *value)
}

/// Debian's Prometheus at the client, scraping both nodes over the network.
fn start_prometheus(cluster: &Cluster) -> Process {
    require(&[Program::Prometheus]);
    let scratch = cluster.lab.scratch();
    let targets: Vec<String> =
        cluster.lab.nodes().iter().map(|node| format!("\"{}\"", scrape_address(node))).collect();
    let configuration = scratch.write(
        "prometheus.yml",
        &format!(
            "global:\n  scrape_interval: 1s\nscrape_configs:\n- job_name: ha-agent\n  static_configs:\n  - targets: [{}]\n",
            targets.join(", ")
        ),
    );
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", configuration.display()));
    command.arg(format!("--storage.tsdb.path={}", scratch.file("prometheus").display()));
    command.args(["--web.listen-address=127.0.0.1:9090", "--log.level=warn"]);
    Process::start(&cluster.lab.client, "prometheus", command, &scratch.file("prometheus.log"))
}

#[test]
fn prometheus_scrapes_the_same_names_and_values_and_sees_the_failover() {
    let mut cluster = pair("");
    (0..2).for_each(|index| restart_with(&mut cluster, index, ""));
    settle(&mut cluster);
    let _prometheus = start_prometheus(&cluster);
    let [first, second] = [0, 1].map(|index| scrape_address(cluster.lab.node(index)));
    let status = |series: &Series, state: &str| {
        sample(series, "ha_agent_vrrp_instance_status", &[("state", state), ("vrrp_instance", FOUR)])
    };
    wait_for("scrapes of both nodes", SOON, || {
        status(&series_of(&cluster, first), "ACTIVE") == 1.0
            && status(&series_of(&cluster, second), "BACKUP") == 1.0
    });

    kill_active(&mut cluster);
    let series = wait_some("a scrape of the new Active router", SOON, || {
        let announced = [("phase", "announce"), ("planned", "false")];
        let is_over = |series: &Series| {
            status(series, "ACTIVE") == 1.0
                && sample(series, "ha_agent_failover_duration_seconds_count", &announced) == 1.0
        };
        Some(series_of(&cluster, second)).filter(is_over)
    });
    wait_for("the dead node to be down", SOON, || sample(&series_of(&cluster, first), "up", &[]) == 0.0);
    has_every_series_of_the_schema(&series);
    prometheus_has_the_values_of_a_failover(&series);
    revive(&mut cluster);
}

fn has_every_series_of_the_schema(series: &Series) {
    let names: BTreeSet<&str> = series.iter().map(|(labels, _)| labels["__name__"].as_str()).collect();
    for Row { name, kind, prometheus, attributes, .. } in schema() {
        // These are for export by OTLP, which is off here, and for nodes with peers.
        if prometheus.starts_with("ha_agent_telemetry_") || is_of_peers(name) {
            continue;
        }
        let endings: &[&str] = if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        for ending in endings {
            let name = format!("{prometheus}{ending}");
            assert!(names.contains(name.as_str()), "Prometheus has no {name}, only {names:#?}");
            let of_name = series.iter().filter(|(labels, _)| labels["__name__"] == name);
            for (labels, _) in of_name {
                let known = |key: &str| attributes.iter().any(|wanted| wanted.replace('.', "_") == key);
                let added = ["__name__", "instance", "job", "le", "otel_scope_name"];
                let strange = labels.keys().find(|key| !known(key) && !added.contains(&key.as_str()));
                assert_eq!(strange, None, "a label of {name} that the schema does not name: {labels:?}");
            }
            println!("{name}");
        }
    }
}

fn prometheus_has_the_values_of_a_failover(series: &Series) {
    let value = |name: &str, labels: &[(&str, &str)]| sample(series, name, labels);
    for (state, wanted) in [("INITIALIZE", 0.0), ("BACKUP", 0.0), ("ACTIVE", 1.0), ("FAULT", 0.0)] {
        assert_eq!(value("ha_agent_vrrp_instance_status", &[("state", state)]), wanted, "{state}");
    }
    let takeover = [("cause", "ACTIVE_DOWN_TIMER"), ("from", "BACKUP"), ("to", "ACTIVE"), ("vrid", "51")];
    assert_eq!(value("ha_agent_vrrp_transitions_total", &takeover), 1.0);
    assert_eq!(value("ha_agent_vip_status", &[("view", "kernel"), ("state", "PRESENT")]), 1.0);
    assert_eq!(value("ha_agent_vip_announcements_total", &[]), 1.0);
    assert_eq!(value("ha_agent_vrrp_advertisement_errors_total", &[("error_type", "TTL_WRONG")]), 1.0);
    assert_eq!(value("ha_agent_build_info", &[("node", "node-1")]), 1.0);
    assert_eq!(
        value("ha_agent_check_status", &[("check", &format!("checks/{CHECK}")), ("verdict", "PASSING")]),
        1.0
    );
    assert!(value("ha_agent_notify_delivered_total", &[("notifier", NOTIFIER)]) >= 1.0);
    for phase in PHASES {
        let labels = [("phase", phase), ("planned", "false")];
        let sum = value("ha_agent_failover_duration_seconds_sum", &labels);
        println!("{phase}: {sum} s");
        assert_eq!(value("ha_agent_failover_duration_seconds_count", &labels), 1.0, "{phase}");
        assert!(is_plausible(phase, sum), "{phase} took {sum} s");
    }
    assert_eq!(value("target_info", &[("service_instance_id", "node-1"), ("service_name", "ha-agent")]), 1.0);
}

/// Nobody listens: the connection is refused.
#[test]
fn a_dead_collector_delays_nothing() {
    nothing_waits_for(|_| None);
}

/// What is sent is never answered, not even refused.
#[test]
fn a_black_hole_instead_of_a_collector_delays_nothing() {
    nothing_waits_for(|space| {
        space.nft(
            "table inet hole { chain out { type filter hook output priority 0; tcp dport 14317 drop; }; }",
        );
        None
    });
}

/// The kernel accepts the connection and nobody reads it.
#[test]
fn a_collector_that_hangs_delays_nothing() {
    nothing_waits_for(|space| {
        Some(space.run(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 14317)).expect("the port is free")))
    });
}

fn nothing_waits_for(break_collector: impl Fn(&Namespace) -> Option<TcpListener>) {
    let mut cluster = pair("");
    // The exporters say so, once a minute at most.
    cluster.expect_errors(".ExportError");
    let _listeners = [0, 1].map(|index| break_collector(cluster.space(index)));
    (0..2).for_each(|index| restart_with(&mut cluster, index, &export(Collector::ENDPOINT)));
    settle(&mut cluster);
    let moved = |cluster: &Cluster| cluster.agent(1).events(&["instance.state_changed"]).len();
    let before = moved(&cluster);

    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    wait_for("forty adverts", SOON, || adverts_of(&capture, cluster.lab.node(0)).len() >= 40);
    let beat = gaps(&adverts_of(&capture, cluster.lab.node(0)));
    let median = beat[beat.len() / 2];
    println!("{} adverts: median interval {median:?}, longest {:?}", beat.len() + 1, beat[beat.len() - 1]);
    assert!((99..=101).contains(&median.as_millis()), "adverts every {median:?} instead of 100 ms");
    assert_eq!(moved(&cluster), before, "the Backup moved without a reason");

    nothing_was_taken(&cluster);

    takes_over_in_time(&mut cluster, &capture);
    revive(&mut cluster);
    ends_in_time(&mut cluster);
}

/// The records of the start were offered, and no one took them: they failed, or wait for a connection.
fn nothing_was_taken(cluster: &Cluster) {
    let node = cluster.lab.node(1);
    let logs = |name: &str| {
        let page = node.space.run(|| http_get(scrape_address(node), "/metrics")).unwrap_or_default();
        counted(&page, name, "signal=\"logs\"")
    };
    let (failed, waiting) = ("ha_agent_telemetry_export_failures_total", "ha_agent_telemetry_waiting");
    wait_for("records that nobody took", SOON, || logs(failed) > 0.0 || logs(waiting) > 0.0);
    println!("{} exports of records failed, {} records wait", logs(failed), logs(waiting));
    assert_eq!(logs("ha_agent_telemetry_exported_total"), 0.0, "somebody took records");
}

fn counted(page: &str, name: &str, label: &str) -> f64 {
    let lines = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The times between adverts, shortest first.
fn gaps(adverts: &[(SystemTime, u8)]) -> Vec<Duration> {
    let between = |pair: &[(SystemTime, u8)]| pair[1].0.duration_since(pair[0].0).unwrap_or_default();
    let mut found: Vec<Duration> = adverts.windows(2).map(between).collect();
    found.sort();
    found
}

fn takes_over_in_time(cluster: &mut Cluster, capture: &Capture) {
    kill_active(cluster);
    let first_of_new = wait_some("an advert of node 1", SOON, || {
        adverts_of(capture, cluster.lab.node(1)).first().map(|(at, _)| *at)
    });
    let last_of_old = adverts_of(capture, cluster.lab.node(0)).last().expect("forty came").0;
    let silence = first_of_new.duration_since(last_of_old).expect("node 1 spoke later").as_secs_f64();
    println!("takeover {silence:.4} s after the last advert");
    assert!(is_plausible("detect", silence), "takeover {silence} s after the last advert");
    let vip: IpAddr = vip(cluster);
    wait_for("the address on node 1", SOON, || cluster.space(1).has_address(vip));
}

/// The Active router too withdraws and ends, although nobody takes its last spans and records.
fn ends_in_time(cluster: &mut Cluster) {
    for index in [1, 0] {
        let resident = cluster.agent(index).process.usage().resident;
        println!("node {index}: {} MiB resident", resident >> 20);
        assert!(resident < MOST_RESIDENT, "{resident} bytes resident");
        let begin = std::time::Instant::now();
        let status = cluster.agent_mut(index).process.terminate(Duration::from_secs(5));
        println!("node {index} ended after {:?}", begin.elapsed());
        assert!(status.success(), "{status}");
    }
    cluster.audit_clean();
}
