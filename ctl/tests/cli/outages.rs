//! How long an address had no holder.

use ha_proto::v1;
use ha_proto::v1::instance::State;

use crate::support::{Cluster, VIP, at, transition};

/// Becomes Active after this many milliseconds of silence.
fn takes(node: &str, cause: v1::Cause, silent_ms: i32) -> v1::Event {
    let silence =
        prost_types::Duration { seconds: i64::from(silent_ms / 1_000), nanos: silent_ms % 1_000 * 1_000_000 };
    let evidence = v1::Evidence {
        peer_address: "192.0.2.9".to_owned(),
        last_advertisement_age: Some(silence),
        ..v1::Evidence::default()
    };
    v1::Event { evidence: Some(evidence), ..transition(node, "BACKUP", "ACTIVE", cause) }
}

const SINCE: &str = "2023-11-14T22:13:00Z"; // twenty seconds before `at(_, 0)`

/// a leaves at 10 s, b takes over 0.6 s later; b's clock is 2 s ahead. b dies, c takes over after 3.6 s of silence.
fn night() -> Cluster {
    let cluster = Cluster::new();
    cluster.b().world().clock_ahead = 2;
    cluster.a().emit(at(transition("a", "ACTIVE", "FAULT", v1::Cause::CheckChanged), 10_000));
    cluster.b().emit(at(takes("b", v1::Cause::PeerPriorityZero, 600), 12_600));
    cluster.agents[2].emit(at(takes("c", v1::Cause::ActiveDownTimer, 3_600), 30_000));
    cluster.a().world().become_state("web", State::Backup);
    cluster.agents[2].world().become_state("web", State::Active);
    cluster
}

#[test]
fn each_outage_is_told_with_both_its_ends_on_one_clock() {
    let mut cluster = night();
    {
        let mut world = cluster.b().world();
        world.incarnation = "b2".to_owned();
        world.emit(at(transition("b", "INITIALIZE", "BACKUP", v1::Cause::AgentStart), 42_000));
    }
    let line = format!("vip outages {VIP} --since {SINCE}");
    let run = cluster.hactl(&line).ends(0);
    assert!(run.out.starts_with("VIP 10.0.0.10/24  2 outages in "), "{}", run.out);
    let json = cluster.hactl(&format!("{line} -o json")).ends(0).json();
    let outages = json["items"][0]["outages"].as_array().unwrap();
    let seconds =
        |value: &serde_json::Value| -> f64 { value.as_str().unwrap().trim_end_matches('s').parse().unwrap() };
    let error = seconds(&outages[0]["uncertainty"]);
    assert!((seconds(&outages[0]["duration"]) - 0.6).abs() <= error + 0.001, "{}", outages[0]);
    assert_eq!(outages[0]["length"], "TOLD");
    assert_eq!((&outages[0]["before"]["node"], &outages[0]["after"]["node"]), (&"a".into(), &"b".into()));
    assert_eq!(outages[0]["before"]["state"], "FAULT");
    assert_eq!(outages[0]["before"]["event"], "nodes/a/events/a1.1");
    assert_eq!((&outages[1]["length"], seconds(&outages[1]["duration"])), (&"AT_MOST".into(), 3.6));
    assert!(run.out.contains("≤ 3.6s"), "{}", run.out);
    // A node that does not answer may have held: its successor's evidence still tells.
    cluster.agents[1].end();
    let json = cluster.hactl(&format!("{line} -o json")).ends(4).json();
    let lengths: Vec<&str> = json["items"][0]["outages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["length"].as_str().unwrap())
        .collect();
    assert_eq!(lengths, ["AT_MOST"], "{json:#}");
    assert_eq!(json["complete"], false);
}

#[test]
fn an_address_that_never_moved_had_no_outage() {
    let cluster = Cluster::new();
    let run = cluster.hactl(&format!("vip outages {VIP}")).ends(0);
    assert!(run.out.starts_with("VIP 10.0.0.10/24  no outage in 1d"), "{}", run.out);
}

#[test]
fn an_outage_that_lasts_says_so_and_histories_that_begin_late_are_told() {
    let cluster = Cluster::new();
    let now = cluster.a().world().now();
    let earlier = |seconds| Some(prost_types::Timestamp { seconds: now.seconds - seconds, nanos: 0 });
    cluster.a().world().become_state("web", State::Fault);
    let left = transition("a", "ACTIVE", "FAULT", v1::Cause::InterfaceChanged);
    cluster.a().emit(v1::Event { event_time: earlier(60), ..left });
    cluster.b().world().history_begins = earlier(600);
    let run = cluster.hactl(&format!("vip outages {VIP} --since 1h")).ends(0);
    assert!(run.out.contains("1 outage in 1h"), "{}", run.out);
    assert!(run.out.contains("it lasts"), "{}", run.out);
    assert!(run.out.contains("the history of b begins at"), "{}", run.out);
}

#[test]
fn a_time_in_the_future_is_a_mistake() {
    let run = Cluster::new().hactl(&format!("vip outages {VIP} --since 2999-01-01T00:00:00Z")).ends(2);
    assert!(run.err.contains("--since lies in the future"), "{}", run.err);
}
