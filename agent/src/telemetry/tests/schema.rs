//! The documentation against the code: what `TELEMETRY.md` says is what is registered, emitted and received.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::schema::{INSTANCE, INSTANCE_ATTRIBUTES, METRICS};
use super::collector::{Collector, attribute};
use super::fixtures::{driver, every_event, scrape, snapshot, start, takeover};
use crate::api::Call;
use crate::clock;

const DOCUMENTATION: &str = include_str!("../../../TELEMETRY.md");

/// The cells of the table below a heading, without code marks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = DOCUMENTATION.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells =
        |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    rows.map(cells).collect()
}

#[test]
fn the_table_of_metrics_is_what_the_code_registers() {
    let expected: Vec<Vec<String>> = METRICS
        .iter()
        .map(|metric| {
            let attributes = metric.attributes.join(" ");
            [
                metric.name,
                metric.kind.as_str(),
                metric.unit,
                &attributes,
                &metric.prometheus_name(),
                metric.meaning,
            ]
            .map(str::to_owned)
            .to_vec()
        })
        .collect();
    let printed =
        |rows: &[Vec<String>]| rows.iter().map(|row| format!("| {} |", row.join(" | "))).collect::<Vec<_>>();
    assert_eq!(
        printed(&table("Metrics")),
        printed(&expected),
        "expected:\n{}",
        printed(&expected).join("\n")
    );
    assert!(METRICS.iter().all(|metric| metric.unit != "1"), "Prometheus would call it a ratio");
    assert!(INSTANCE_ATTRIBUTES.is_sorted() && DOCUMENTATION.contains(INSTANCE));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_metric_of_the_table_is_scraped_with_the_labels_that_it_says() {
    let telemetry = start(driver(snapshot()).0, None);
    takeover(clock::now()).iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    let call =
        Call { method: "/ha.agent.v1.NodeService/GetNode", code: tonic::Code::Ok, elapsed: Duration::ZERO };
    telemetry.facts.node.observer()(&call);
    telemetry.facts.node.notifications.of("mail");
    let page = scrape(&telemetry).await;
    for metric in METRICS {
        let name = metric.prometheus_name();
        let kind = match metric.kind.as_str() {
            "counter" => "counter",
            "histogram" => "histogram",
            _ => "gauge",
        };
        assert!(page.contains(&format!("# TYPE {name} {kind}\n")), "{name} {kind}\n{page}");
        let series = page.lines().filter(|line| {
            line.strip_prefix(&name)
                .is_some_and(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_count"))
        });
        let mut allowed: Vec<String> =
            metric.attribute_names().iter().map(|name| name.replace('.', "_")).collect();
        allowed.sort();
        let mut seen = 0;
        for line in series {
            seen += 1;
            let labels = labels(line);
            let complete = labels == allowed;
            // Packets that belong to no instance have fewer.
            let of_a_link =
                metric.name == "ha_agent.vrrp.advertisement.errors" && labels == ["error_type", "interface"];
            assert!(complete || of_a_link, "{line}: {labels:?} instead of {allowed:?}");
        }
        assert!(seen > 0, "{name} has no series");
    }
}

fn labels(line: &str) -> Vec<String> {
    let inner = line.split_once('{').map_or("", |(_, rest)| rest.rsplit_once('}').unwrap().0);
    let mut names: Vec<String> =
        inner.split("\",").filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect();
    names.sort();
    names
}

/// Attributes that records of every kind may have.
fn is_common(key: &str) -> bool {
    let common = [
        "sequence",
        "incarnation",
        "cause",
        "vrrp_instance",
        "vip",
        "interface",
        "group",
        "check",
        "pool",
        "server",
        "notifier",
        "peer.node",
    ];
    common.contains(&key) || key.starts_with("evidence.") || key.starts_with("actor.")
}

#[test]
fn the_list_of_event_types_has_each_and_no_other() {
    let mut types: Vec<&str> = every_event().iter().map(ha_engine::Event::type_name).collect();
    types.push("node.events_lost"); // the journal's own
    types.sort_unstable();
    types.dedup();
    assert_eq!(types, ha_engine::EVENT_TYPES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_event_records_is_what_a_collector_receives() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    let events = every_event();
    for (sequence, event) in events.iter().enumerate() {
        telemetry.observe(sequence as u64, "7f3a", event);
    }
    telemetry.shutdown().await;
    let received: BTreeMap<String, (String, String)> = collector
        .records
        .lock()
        .unwrap()
        .iter()
        .map(|record| {
            let own = record
                .attributes
                .iter()
                .map(|attribute| attribute.key.as_str())
                .filter(|key| !is_common(key));
            let attributes = own.collect::<Vec<_>>().join(" ");
            (record.event_name.clone(), (record.severity_text.clone(), attributes))
        })
        .collect();
    assert_eq!(received.len(), events.len());
    let documented: BTreeMap<String, (String, String)> = table("Event records")
        .into_iter()
        .map(|row| (row[0].clone(), (row[1].clone(), row[2].clone())))
        .collect();
    assert_eq!(documented, received);
    let records = collector.records.lock().unwrap();
    let set = records.iter().find(|record| record.event_name == "ha_agent.instance.override_set").unwrap();
    assert_eq!(attribute(&set.attributes, "actor.principal"), "uid=0(unix)");
    assert_eq!(attribute(&set.attributes, "actor.request_id"), "r1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_table_of_spans_is_what_a_collector_receives() {
    let (collector, address) = Collector::start().await;
    let telemetry = start(driver(snapshot()).0, Some(address));
    let at = clock::now();
    takeover(at).iter().for_each(|event| telemetry.observe(1, "7f3a", event));
    for kind in [
        ha_engine::EventKind::StateChanged {
            from: ha_engine::StateName::Active,
            to: ha_engine::StateName::Backup,
        },
        ha_engine::EventKind::AddressesReleased { took: Duration::from_millis(1) },
    ] {
        telemetry.observe(2, "7f3a", &super::event(at, kind, ha_engine::Cause::AdminPriority));
    }
    telemetry.shutdown().await;
    let mut received: Vec<String> =
        collector.spans.lock().unwrap().iter().map(|span| span.name.clone()).collect();
    received.sort();
    let mut documented: Vec<String> = table("Spans").into_iter().map(|row| row[0].clone()).collect();
    documented.sort();
    assert_eq!(documented, received);
}
