//! `hactl doctor`: what it finds, and how it ends.

use ha_proto::v1;
use ha_proto::v1::instance::State;
use ha_proto::v1::node_view::Contact::{Reachable, Silent};

use crate::support::Cluster;

/// Three nodes that hear each other and have leases.
fn healthy() -> Cluster {
    let cluster = Cluster::new();
    for agent in &cluster.agents {
        let mut world = agent.world();
        let is_backup = world.name != "a";
        let instance = &mut world.instances[0];
        instance.address_lease = Some(prost_types::Duration { seconds: 3, nanos: 0 });
        if is_backup {
            instance.observed_active_address = "192.0.2.1".to_owned();
            instance.last_advertisement_age = Some(prost_types::Duration { seconds: 0, nanos: 500_000_000 });
        }
    }
    cluster
}

#[test]
fn a_healthy_cluster_has_no_problem() {
    let run = healthy().hactl("doctor").ends(0);
    assert!(run.out.starts_with("DOCTOR  no problem  (3/3 nodes answered)"), "{}", run.out);
    assert_eq!(run.out.matches("1 of 1 Backups").count(), 2, "{}", run.out);
    assert_eq!(run.err, "");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_and_ends_with_3() {
    let cluster = healthy();
    cluster.b().world().clock_ahead = 2;
    cluster.agents[2].world().instances[0].observed_active_address.clear();
    cluster.a().world().conditions = vec![v1::Condition {
        r#type: "MemoryLocked".to_owned(),
        status: v1::condition::Status::False as i32,
        reason: "Refused".to_owned(),
        message: "not permitted".to_owned(),
        ..v1::Condition::default()
    }];
    let run = cluster.hactl("doctor").ends(3);
    assert!(run.out.starts_with("DOCTOR  3 problems  (3/3 nodes answered)"), "{}", run.out);
    for part in [
        "ERROR  c/web does not hear the adverts of a/web\n       next: look for filtered multicast",
        "WARN   a: MemoryLocked is FALSE: not permitted\n       next: the shipped systemd unit",
        "0 of 1 Backups",
    ] {
        assert!(run.out.contains(part), "{part}\n{}", run.out);
    }
    let ahead = run
        .out
        .split("WARN   the clock of b is ")
        .nth(1)
        .and_then(|rest| rest.split_once("s ahead of that of "));
    let ahead: f64 = ahead.expect("the clock is told").0.parse().expect("in seconds");
    assert!((1.9..=2.1).contains(&ahead), "{ahead}");
    let json = cluster.hactl("doctor -o json").ends(3).json();
    let item = &json["items"][0];
    assert_eq!(item["findings"][0]["code"], "NOT_HEARD");
    let silent = item["links"].as_array().unwrap().iter().filter(|link| link["state"] == "SILENT").count();
    assert_eq!(silent, 1, "{item:#}");
}

#[test]
fn a_missing_node_alone_ends_with_4_and_none_at_all_as_they_failed() {
    let mut cluster = healthy();
    cluster.agents[2].end();
    let run = cluster.hactl("doctor").ends(4);
    assert!(run.out.contains("1 problem  (2/3 nodes answered)"), "{}", run.out);
    assert!(run.out.contains("UNREACHABLE"), "{}", run.out);
    cluster.agents[0].end();
    cluster.agents[1].end();
    let json = cluster.hactl("doctor -o json").ends(5).json();
    assert_eq!(json["error"]["exit_code"], 5);
    assert_eq!(json["items"][0]["findings"].as_array().unwrap().len(), 3);
}

/// All three hear each other.
fn meshed() -> Cluster {
    let cluster = healthy();
    let states = [("a", State::Active, 150), ("b", State::Backup, 120), ("c", State::Backup, 100)];
    for (index, agent) in cluster.agents.iter().enumerate() {
        for (other, (name, state, priority)) in
            states.into_iter().enumerate().filter(|(other, _)| *other != index)
        {
            agent.world().hears(name, Reachable, state, priority);
            agent.world().dials(name, cluster.agents[other].endpoint());
        }
    }
    cluster
}

/// The rows of the matrix, each cell by its words.
fn matrix(out: &str) -> Vec<Vec<String>> {
    let table = out.split("WHO HEARS").nth(1).unwrap_or_else(|| panic!("there is no matrix: {out}"));
    let lines = table.lines().skip(1).take_while(|line| !line.is_empty());
    lines
        .map(|line| {
            line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}

#[test]
fn who_hears_whom_is_a_matrix_and_all_of_it_is_in_the_json() {
    let cluster = meshed();
    let run = cluster.hactl("doctor").ends(0);
    let rows = matrix(&run.out);
    assert_eq!(rows.len(), 4, "{}", run.out);
    assert_eq!(rows[1], ["a", "-", "HEARD 400µs", "HEARD 400µs"], "{}", run.out);
    assert!(rows[0][1].starts_with("ANSWERED "), "{}", run.out);
    let json = cluster.hactl("doctor -o json").ends(0).json();
    let links = json["items"][0]["links"].as_array().unwrap();
    let peers: Vec<_> = links.iter().filter(|link| link["over"] == "PEER").collect();
    assert_eq!(peers.len(), 6, "{links:#?}");
    assert!(
        peers.iter().all(|link| link["state"] == "HEARD" && link["round_trip"] == "0.0004s"),
        "{peers:#?}"
    );
}

#[test]
fn one_that_is_not_heard_by_another_is_told_with_both_sides() {
    let cluster = meshed();
    cluster.b().world().peers.clear();
    cluster.b().world().hears("a", Silent, State::Active, 150);
    cluster.b().world().hears("c", Reachable, State::Backup, 100);
    let run = cluster.hactl("doctor").ends(3);
    assert_eq!(matrix(&run.out)[2], ["b", "NEVER NO_ANSWER", "-", "HEARD 400µs"], "{}", run.out);
    let finding =
        "WARN   b does not hear a, and a hears b: b says nothing was heard for 3s\n       next: without";
    assert!(run.out.contains("DOCTOR  1 problem"), "{}", run.out);
    assert!(run.out.contains(finding), "{}", run.out);
    let json = cluster.hactl("doctor -o json").ends(3).json();
    let item = &json["items"][0];
    assert_eq!(item["findings"][0]["code"], "ONE_WAY");
    assert_eq!(item["findings"][0]["nodes"], serde_json::json!(["b", "a"]));
    let lost = item["links"].as_array().unwrap().iter().find(|link| link["state"] == "NEVER").unwrap();
    assert_eq!(
        (&lost["from"], &lost["to"], &lost["reason"]),
        (&"b".into(), &"a".into(), &"NO_ANSWER".into())
    );
    assert_eq!(lost["detail"], "nothing was heard for 3s");
}

#[test]
fn a_hung_node_has_the_name_that_its_peers_know() {
    let cluster = meshed();
    cluster.agents[2].world().hangs = true;
    let run = cluster.hactl("doctor --node-timeout 700ms").ends(4);
    assert!(run.out.contains("ERROR  c does not answer: "), "{}", run.out);
    assert!(run.out.contains("; a and b hear it"), "{}", run.out);
    let run = cluster.hactl("status --node-timeout 700ms").ends(4);
    let wanted = run.out.lines().any(|line| line.starts_with("c     TIMEOUT"));
    assert!(wanted, "{}", run.out);
    let json = cluster.hactl("node list -o json --node-timeout 700ms").ends(4).json();
    assert_eq!(json["nodes"][2]["node"], "c", "{json:#}");
    assert_eq!(json["nodes"][2]["endpoint"], cluster.agents[2].endpoint());
}

#[test]
fn nodes_without_peers_have_no_matrix_and_no_problem() {
    let run = healthy().hactl("doctor").ends(0);
    assert!(!run.out.contains("WHO HEARS"), "{}", run.out);
}
