//! Status, nodes, virtual routers and addresses, while all is well and while it is not.

use ha_proto::v1;
use ha_proto::v1::instance::State;

use crate::support::{Cluster, VIP, at, transition};

#[test]
fn status_is_ok_when_one_node_holds_the_address_and_all_answer() {
    let cluster = Cluster::new();
    let run = cluster.hactl("status").ends(0);
    let lines: Vec<&str> = run.out.lines().collect();
    assert!(lines[0].starts_with("OK  1 virtual address  (3/3 nodes answered)"), "{}", run.out);
    assert!(lines[3].starts_with("10.0.0.10/24  OK       a "), "{}", run.out);
    assert!(lines[3].contains("ACTIVE_DOWN_TIMER: 192.0.2.9 (prio 200) silent for 3.61s (limit 3.6s)"));
    assert_eq!(lines.len(), 4, "{}", run.out);
    assert_eq!(run.err, "");
}

#[test]
fn an_address_in_two_kernels_is_a_split_brain() {
    let cluster = Cluster::new();
    cluster.b().world().become_state("web", State::Active);
    let run = cluster.hactl("status").ends(3);
    assert!(run.out.starts_with("SPLIT_BRAIN  "), "{}", run.out);
    assert!(run.out.contains("  ! the kernels of a and b hold the address\n"), "{}", run.out);
    let json = cluster.hactl("status -o json").ends(3).json();
    assert_eq!(json["verdict"], "SPLIT_BRAIN");
    assert_eq!(json["items"][0]["held_by"], serde_json::json!(["a", "b"]));
    assert_eq!(json["items"][0]["reasons"][0]["code"], "SEVERAL_HOLDERS");
}

#[test]
fn a_rival_heard_by_the_active_node_is_a_split_brain() {
    let cluster = Cluster::new();
    cluster.a().world().instances[0].rival_address = "192.0.2.66".to_owned();
    let run = cluster.hactl("status").ends(3);
    assert!(run.out.contains("a is ACTIVE and hears another Active router at 192.0.2.66"), "{}", run.out);
}

#[test]
fn nobody_active_is_no_active() {
    let cluster = Cluster::new();
    cluster.a().world().become_state("web", State::Backup);
    assert!(cluster.hactl("status").ends(3).out.starts_with("NO_ACTIVE  "));
}

#[test]
fn an_active_node_whose_kernel_lacks_the_address_is_degraded() {
    let cluster = Cluster::new();
    cluster.a().world().vips[0].kernel_state = v1::vip::State::Absent as i32;
    let run = cluster.hactl("status").ends(3);
    assert!(run.out.starts_with("DEGRADED  "), "{}", run.out);
    assert!(run.out.contains("a is ACTIVE, but its kernel has no such address"), "{}", run.out);
}

#[test]
fn a_fault_is_told_with_its_reason_among_the_nodes() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.b().world();
        world.become_state("web", State::Fault);
        world.instances[0].fault_reasons = vec!["link eth0 is down".to_owned()];
    }
    let run = cluster.hactl("status").ends(3);
    assert!(run.out.starts_with("DEGRADED  "), "{}", run.out);
    assert!(run.out.contains("b     FAULT  web: link eth0 is down"), "{}", run.out);
}

#[test]
fn a_condition_of_a_node_is_shown_and_does_not_change_the_verdict() {
    let cluster = Cluster::new();
    cluster.b().world().conditions = vec![v1::Condition {
        r#type: "RealtimeScheduling".to_owned(),
        status: v1::condition::Status::False as i32,
        message: "CAP_SYS_NICE is missing".to_owned(),
        ..v1::Condition::default()
    }];
    let run = cluster.hactl("status").ends(0);
    assert!(run.out.contains("RealtimeScheduling is FALSE: CAP_SYS_NICE is missing"), "{}", run.out);
}

#[test]
fn nodes_that_disagree_about_the_virtual_router_are_told() {
    let cluster = Cluster::new();
    cluster.b().world().instances[0].virtual_router_id = 52;
    let run = cluster.hactl("status").ends(3);
    assert!(run.out.contains("a has virtual router 51, b has virtual router 52"), "{}", run.out);
}

#[test]
fn lists_turn_all_pages_and_show_every_address_once() {
    let cluster = Cluster::new();
    for agent in &cluster.agents {
        let mut world = agent.world();
        let state = if world.name == "a" { State::Active } else { State::Backup };
        for number in 11..20 {
            world.add(&format!("r{number}"), &format!("10.0.0.{number}"), state, 100);
        }
        world.add("six", "2001:db8::10", state, 100);
    }
    let run = cluster.hactl("vip list --no-headers").ends(0);
    let addresses: Vec<&str> = run.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(addresses.len(), 11, "{}", run.out);
    assert_eq!((addresses[0], addresses[10]), ("10.0.0.10/24", "2001:db8::10/64"));
    let run = cluster.hactl("instance list -o name -n a").ends(0);
    assert_eq!(run.out.lines().count(), 11);
    assert!(run.out.lines().all(|line| line.starts_with("nodes/a/instances/")));
}

#[test]
fn a_long_status_shows_what_is_wrong_and_counts_the_rest() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.a().world();
        for number in 20..70 {
            world.add(&format!("r{number}"), &format!("10.0.1.{number}"), State::Active, 100);
        }
        world.vips[7].kernel_state = v1::vip::State::Failed as i32;
    }
    let run = cluster.hactl("status").ends(3);
    assert!(run.out.starts_with("DEGRADED  51 virtual addresses, 1 not OK"), "{}", run.out);
    assert!(
        run.out.contains("10.0.1.26/24") && run.out.contains("its kernel refused the address"),
        "{}",
        run.out
    );
    assert!(run.out.contains("and 50 more that are OK"), "{}", run.out);
    assert!(run.out.lines().count() < 10, "{}", run.out);
    assert!(cluster.hactl("status -o wide").ends(3).out.lines().count() > 51);
}

#[test]
fn a_vip_is_told_with_why_before_gap_and_next() {
    let cluster = Cluster::new();
    // b was Active until 1000 ms, a took over at 4600 ms; a's clock is an hour ahead.
    cluster.b().emit(at(transition("b", "BACKUP", "ACTIVE", v1::Cause::LocalPreempt), 0));
    let mut left = at(transition("b", "ACTIVE", "FAULT", v1::Cause::CheckChanged), 61_000);
    left.evidence = Some(v1::Evidence {
        subject: "nodes/b/checks/haproxy".to_owned(),
        detail: "exit 1".to_owned(),
        ..v1::Evidence::default()
    });
    cluster.b().emit(left);
    {
        let mut world = cluster.a().world();
        world.clock_ahead = 3_600;
        let taken = at(transition("a", "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer), 3_600_000 + 64_600);
        world.instances[0].last_transition_time = taken.event_time;
        world.emit(taken);
    }
    let run = cluster.hactl("vip get 10.0.0.10/24").ends(0);
    for part in [
        "VIP 10.0.0.10/24  held by a  since 2023-11-14T23:14:24.600Z (",
        "verdict OK  (3/3 nodes answered)",
        "why      ACTIVE_DOWN_TIMER: 192.0.2.9 (prio 200) silent for 3.61s (limit 3.6s)  event a/a1.1",
        "before   b, ACTIVE 1m1s, left for FAULT: CHECK_CHANGED: haproxy: exit 1  event b/b1.2",
        "s without an ACTIVE node (±",
        "now      a eff 150 | next b eff 120 (handover 0 s, crash 3s)",
        "kernel   a PRESENT, b ABSENT, c ABSENT",
    ] {
        assert!(run.out.contains(part), "{part}\n{}", run.out);
    }
    let json = cluster.hactl("vip get 10.0.0.10 -o json").ends(0).json();
    let gap: f64 = json["items"][0]["before"]["gap"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    let error = json["items"][0]["before"]["gap_uncertainty"].as_str().unwrap();
    let error: f64 = error.trim_end_matches('s').parse().unwrap();
    assert!((gap - 3.6).abs() <= error + 0.001, "{gap} ± {error}");
}

#[test]
fn a_holder_that_died_and_does_not_tell_is_not_mistaken_for_the_one_before_it() {
    let mut cluster = Cluster::new();
    // b yielded to somebody who then died, and b took over again: b is not the holder before b.
    cluster.b().emit(at(transition("b", "BACKUP", "ACTIVE", v1::Cause::LocalPreempt), 0));
    cluster.b().emit(at(transition("b", "ACTIVE", "BACKUP", v1::Cause::PeerHigherPriority), 10_000));
    let mut taken = at(transition("b", "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer), 20_000);
    taken.evidence = Some(v1::Evidence { peer_address: "192.0.2.9".to_owned(), ..v1::Evidence::default() });
    {
        let mut world = cluster.b().world();
        world.become_state("web", State::Active);
        world.instances[0].last_transition_time = taken.event_time;
        world.emit(taken);
    }
    cluster.agents[0].end();
    let run = cluster.hactl("vip get 10.0.0.10").ends(4);
    assert!(run.out.contains("before   192.0.2.9, whose node does not tell why it left"), "{}", run.out);
    assert!(!run.out.contains("gap"), "{}", run.out);
}

#[test]
fn what_is_not_there_is_said_so() {
    let cluster = Cluster::new();
    for line in ["vip get 10.9.9.9", "instance get nothing", "instance get b/nothing", "node get nobody"] {
        let run = cluster.hactl(line).ends(2);
        assert!(run.err.contains("is on none of the nodes asked"), "{line}: {}", run.err);
        assert_eq!(run.out, "", "{line}");
    }
}

#[test]
fn one_thing_is_shown_whole() {
    let cluster = Cluster::new();
    let run = cluster.hactl("instance get b/web").ends(0);
    assert!(run.out.starts_with("INSTANCE b/web  BACKUP  since "), "{}", run.out);
    assert!(!run.out.contains("a/web"));
    assert_eq!(cluster.hactl("instance get web").ends(0).out.matches("INSTANCE ").count(), 3);
    let run = cluster.hactl("node get c").ends(0);
    assert!(run.out.starts_with("NODE c  version 0.1.0"), "{}", run.out);
    let run = cluster.hactl("node list").ends(0);
    assert_eq!(run.out.lines().count(), 4, "{}", run.out);
}

#[test]
fn a_node_asked_by_two_ways_is_counted_once() {
    let cluster = Cluster::new();
    let link = cluster.directory.path().join("again.sock");
    std::os::unix::fs::symlink(&cluster.a().path, &link).unwrap();
    let again = format!("unix:{}", link.display());
    let run = cluster.hactl_words(&["status", "--endpoint", &again]).ends(0);
    assert!(run.out.starts_with("OK  "), "{}", run.out);
    assert!(run.err.contains("is the same node as"), "{}", run.err);
}

#[test]
fn a_filter_shows_some_nodes_and_still_judges_by_all() {
    let cluster = Cluster::new();
    let run = cluster.hactl("vip list -n c -o json").ends(0);
    assert_eq!(run.json()["items"][0]["verdict"], "OK");
    assert_eq!(run.json()["items"][0]["held_by"], serde_json::json!(["a"]));
    assert!(cluster.hactl("vip list -n nobody --no-headers").ends(2).out.is_empty());
    assert!(cluster.hactl(&format!("vip get {VIP}")).ends(0).out.contains(VIP));
}
