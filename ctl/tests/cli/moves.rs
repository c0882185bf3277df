//! Drains and transfers: plan, confirmation, and waiting until somebody else is seen to hold what has moved.

use std::time::{Duration, Instant};

use ha_proto::v1;
use ha_proto::v1::r#move::Outcome;
use tonic::Code;

use crate::support::{Cluster, Following, eventually, refused};

/// a answers that web has moved to b; whether b really has it is another matter.
fn to_b() -> Cluster {
    let cluster = Cluster::new();
    cluster.a().world().moves = vec![v1::Move {
        instances: vec!["nodes/a/instances/web".to_owned()],
        outcome: Outcome::Moved as i32,
        successor: "nodes/b".to_owned(),
        successor_address: "192.0.2.2".to_owned(),
        detail: String::new(),
    }];
    cluster
}

/// And it does.
fn really(cluster: Cluster) -> Cluster {
    let other = cluster.b().shared();
    cluster.a().world().effect = Some(Box::new(move |own, _| {
        own.become_state("web", v1::instance::State::Backup);
        other.lock().unwrap().become_state("web", v1::instance::State::Active);
    }));
    cluster
}

#[test]
fn a_drain_is_followed_until_the_address_is_in_the_other_kernel() {
    let cluster = really(to_b());
    let run = cluster.hactl_words(&["drain", "a", "--reason", "new kernel", "--yes"]).ends(0);
    assert!(run.err.contains("drain a for 1h"), "{}", run.err);
    assert!(run.out.contains("a  drained"), "{}", run.out);
    assert!(run.out.contains("web: to b (192.0.2.2)"), "{}", run.out);
    assert!(run.out.contains("seen after "), "{}", run.out);
    let world = cluster.a().world();
    let (asked, made) = (&world.drains[0], &world.drains[1]);
    assert!(asked.validate_only && !made.validate_only);
    assert_eq!((made.reason.as_str(), made.ttl.as_ref().map(|ttl| ttl.seconds)), ("new kernel", Some(3600)));
    assert_eq!((made.name.as_str(), made.request_id.len()), ("nodes/a", 36));
}

#[test]
fn a_move_that_is_not_seen_in_time_ends_with_8() {
    let run = to_b().hactl("drain a --yes --timeout 2s").ends(8);
    assert!(run.err.contains("not seen within 2s: a/web is ACTIVE"), "{}", run.err);
    assert!(run.err.contains("undo with hactl undrain a"), "{}", run.err);
}

#[test]
fn a_move_of_a_node_whose_agent_ends_meanwhile_is_not_followed_any_longer() {
    let mut cluster = to_b();
    let started = Instant::now();
    let drain = Following::start(cluster.command(&["drain", "a", "--yes", "--timeout", "60s"]));
    eventually("the drain is made", || cluster.a().world().drains.len() == 2);
    let calls = cluster.a().world().calls;
    // Its answer is out when hactl looks at what became of it.
    eventually("hactl looks", || cluster.a().world().calls > calls + 1);
    cluster.agents[0].end();
    drain.wait_err("the agent of a ended before its effect was seen");
    assert_eq!(drain.end().0, 8);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn a_dry_run_prints_the_plan_and_changes_nothing() {
    let cluster = to_b();
    let run = cluster.hactl("drain a --dry-run --ttl never").ends(0);
    assert!(run.out.contains("would drain a until undrained\n  web: to b"), "{}", run.out);
    let json = cluster.hactl("drain a --dry-run -o json").ends(0).json();
    assert_eq!(json["items"][0]["moves"][0]["successor"], "b");
    assert_eq!((&json["items"][0]["observed"], &json["kind"]), (&false.into(), &"MoveChange".into()));
    assert!(cluster.a().world().drains.iter().all(|drain| drain.validate_only));
}

#[test]
fn what_nobody_takes_over_ends_with_7_and_says_who_was_asked() {
    let cluster = to_b();
    let message = "nobody takes over web: b is drained; nobody answered priority 0 within 1.1s";
    cluster.a().world().refuse_changes = Some(refused(Code::FailedPrecondition, "NO_SUCCESSOR", message));
    let run = cluster.hactl("drain a --yes").ends(7);
    assert!(run.err.contains("b is drained; nobody answered priority 0"), "{}", run.err);
    cluster.hactl("instance transfer web --yes").ends(7);
}

#[test]
fn a_drain_without_consent_or_of_an_unknown_node_is_not_asked_for() {
    let cluster = to_b();
    cluster.hactl("drain a").ends(2);
    let run = cluster.hactl("drain z --yes").ends(2);
    assert!(run.err.contains("node z is on none"), "{}", run.err);
    assert!(cluster.a().world().drains.is_empty());
}

#[test]
fn an_undrain_is_seen_when_the_node_no_longer_shows_the_drain() {
    let cluster = to_b();
    cluster.a().world().instances[0].drained = true;
    let run = cluster.hactl("undrain a --yes").ends(0);
    assert!(run.out.contains("a  not drained"), "{}", run.out);
    cluster.hactl("undrain a --yes").ends(0);
}

#[test]
fn a_transfer_goes_to_the_holder_names_the_wanted_node_and_can_be_ended() {
    let cluster = really(to_b());
    let run = cluster.hactl("instance transfer web --to b --ttl 10m --yes").ends(0);
    assert!(run.out.contains("a/web  transferred"), "{}", run.out);
    let asked = cluster.a().world().transfers[1].clone();
    assert_eq!((asked.successor.as_str(), asked.name.as_str()), ("nodes/b", "nodes/a/instances/web"));
    assert_eq!(asked.ttl.map(|ttl| ttl.seconds), Some(600));
    let run = cluster.hactl("instance transfer web --end --yes").ends(0);
    assert!(run.out.contains("a/web  may preempt again"), "{}", run.out);
    assert!(cluster.a().world().instances[0].preempt_hold.is_none());
}
