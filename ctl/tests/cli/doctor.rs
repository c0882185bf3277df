//! `hactl doctor`: what it finds, and how it ends.

use ha_proto::v1;

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
