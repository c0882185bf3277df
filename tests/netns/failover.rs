//! The addresses move when they must and only then: election, death of a node, death of the daemon, orderly
//! stop, priority.

use std::{net::IpAddr, time::Duration};

use ha_tests::{AgentInstance, Capture, Cluster, Pinger, Prober, Wanted, hactl, wait_for};

use crate::common::{
    FOUR, SIX, SOON, adverts_of, both_families, cluster_with, only_four, pair, usual_cluster, vip,
};

const PROBING: Duration = Duration::from_millis(20);

#[test]
fn three_agents_elect_the_one_of_highest_priority_and_it_alone_advertises() {
    let mut cluster = usual_cluster();
    for (node, state) in [(0, "ACTIVE"), (1, "BACKUP"), (2, "BACKUP")] {
        cluster.agent(node).wait_for_state(FOUR, state, SOON);
        cluster.agent(node).wait_for_state(SIX, state, SOON);
    }
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    wait_for("ten adverts of each family", SOON, || {
        let adverts = capture.adverts();
        [51, 61].iter().all(|vrid| adverts.iter().filter(|(_, advert)| advert.vrid == *vrid).count() >= 10)
    });
    for (_, advert) in capture.adverts() {
        assert_eq!((advert.priority, advert.ttl, advert.interval), (200, 255, 10), "{advert}");
    }
    assert_eq!(adverts_of(&capture, cluster.lab.node(1)), []);
    assert_eq!(adverts_of(&capture, cluster.lab.node(2)), []);
    cluster.audit();
}

#[test]
fn the_addresses_move_when_their_node_dies_and_come_back_with_it() {
    let mut cluster = usual_cluster();
    // Its own link goes: the node that is cut off cannot take part.
    cluster.expect_errors("FAULT");
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), Duration::from_millis(2));
    pinger.wait_for_answers(50, SOON);

    cluster.lab.cut_off(cluster.lab.node(0));
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
    cluster.agent(1).wait_for_state(SIX, "ACTIVE", SOON);
    pinger.wait_for_answers(100, SOON);
    let source = cluster.lab.node(0).address4(0).to_string();
    // Not the election at the start, when nobody had been heard yet.
    let event = cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("current_state") == "ACTIVE"
            && event.text("subject").ends_with(FOUR)
            && event.0["evidence"]["peer_address"].as_str() == Some(&source)
    });
    assert_eq!(event.text("cause"), "ACTIVE_DOWN_TIMER", "{event:?}");
    let report = pinger.stop();
    println!("{report}");

    cluster.lab.reconnect(cluster.lab.node(0));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn two_nodes_may_die_one_after_the_other() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("FAULT");
    for dead in [0, 1] {
        cluster.lab.cut_off(cluster.lab.node(dead));
        cluster.agent(dead + 1).wait_for_state(FOUR, "ACTIVE", SOON);
        cluster.agent(dead + 1).wait_for_state(SIX, "ACTIVE", SOON);
    }
    wait_for("no address on the dead", SOON, || cluster.holders().values().all(|held| *held == [2]));
    cluster.lab.reconnect(cluster.lab.node(1));
    cluster.wait_for_holder(1);
    cluster.lab.reconnect(cluster.lab.node(0));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_killed_daemon_loses_its_addresses_to_the_lease_and_two_nodes_answer_no_longer_than_it() {
    let mut cluster = usual_cluster();
    let prober = Prober::start(&cluster.lab.client, "eth0", vip(&cluster), PROBING);
    wait_for("answers", SOON, || !prober.timeline().answerers().is_empty());

    cluster.agent_mut(0).process.kill();
    // Nobody cleans up: the kernel does it.
    cluster.wait_for_holder(1);
    let (first, second) = (cluster.lab.node(0).mac(0), cluster.lab.node(1).mac(0));
    wait_for("answers of node 1", SOON, || prober.timeline().last_answerers() == [second].into());
    let timeline = prober.stop();
    println!("{timeline}");
    assert_eq!(timeline.answerers(), [first, second].into());
    // The lease of one second, the kernel's grain of one second, and a busy machine.
    assert!(timeline.longest_overlap() < Duration::from_millis(2500), "{timeline}");

    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn without_a_lease_a_killed_daemon_leaves_its_address_and_a_restart_ends_that() {
    let mut cluster = pair("address_lease = \"off\"\npreempt = false");
    cluster.agent_mut(0).process.kill();
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
    wait_for("two holders", SOON, || cluster.holders()[&vip(&cluster)] == [0, 1]);

    cluster.restart(0);
    cluster.wait_for_holder(1);
    cluster.agent(0).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.audit();
}

#[test]
fn what_a_killed_daemon_held_and_is_no_longer_configured_goes_at_the_restart() {
    let mut cluster = pair("address_lease = \"off\"");
    cluster.agent_mut(0).process.kill();
    let other = AgentInstance::new(52, 100, &[cluster.lab.vip4(0, 2).into()]);
    cluster.agent(0).rewrite(&other.toml());
    cluster.restart(0);
    cluster.now_has(&[vip(&cluster), cluster.lab.vip4(0, 2).into()]);
    wait_for("the old address on node 1 alone", SOON, || cluster.holders()[&vip(&cluster)] == [1]);
    cluster.audit();
}

#[test]
fn an_orderly_stop_releases_with_priority_0_last_and_leaves_nothing() {
    let mut cluster = usual_cluster();
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    let begin = std::time::Instant::now();
    let status = cluster.agent_mut(0).process.terminate(SOON);
    assert_eq!(status.code(), Some(0));
    println!("ended after {:?}", begin.elapsed());
    // At its exit, not some time later.
    assert!(cluster.holders().values().all(|held| !held.contains(&0)), "{:?}", cluster.holders());

    cluster.wait_for_holder(1);
    for source in [IpAddr::from(cluster.lab.node(0).address4(0)), cluster.lab.node(0).link_local(0).into()] {
        let adverts = capture.adverts();
        let last = adverts.iter().rfind(|(_, advert)| advert.source == source).expect("an advert of node 0");
        assert_eq!(last.1.priority, 0, "the last advert of {source}");
    }
    cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("current_state") == "ACTIVE"
            && event.text("subject").ends_with(FOUR)
            && event.text("cause") == "PEER_PRIORITY_ZERO"
    });

    for node in [1, 2] {
        assert_eq!(cluster.agent_mut(node).process.terminate(SOON).code(), Some(0));
    }
    cluster.audit_clean();
}

#[test]
fn an_orderly_stop_is_repeated_without_harm_and_works_during_the_start() {
    let mut cluster = pair("");
    let agent = cluster.agent_mut(0);
    for _ in 0..3 {
        agent.process.signal(nix::sys::signal::Signal::SIGTERM);
    }
    assert_eq!(agent.process.wait(SOON).code(), Some(0));
    cluster.wait_for_holder(1);
    // Killed somewhere in its start, again and again; the start that is let through finds nothing in its way.
    for _ in 0..5 {
        let node = cluster.lab.node(0).space.name().to_owned();
        let scratch = cluster.lab.scratch().file("agent-0.toml");
        let mut child = std::process::Command::new("ip")
            .args(["netns", "exec", &node])
            .env("STATE_DIRECTORY", cluster.lab.scratch().file("agent-0.state"))
            .arg(ha_tests::agent_binary())
            .args(["run", "--config"])
            .arg(scratch)
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("ip starts");
        // Long enough to have begun, different each time by itself.
        wait_for("its threads", SOON, || {
            std::fs::read_dir(format!("/proc/{}/task", child.id())).is_ok_and(|tasks| tasks.count() > 1)
                || child.try_wait().is_ok_and(|ended| ended.is_some())
        });
        let _ = child.kill();
        let _ = child.wait();
    }
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_priority_lowered_by_hactl_moves_the_addresses_and_clearing_it_brings_them_back() {
    let mut cluster = usual_cluster();
    let change = |cluster: &Cluster, words: &[&str]| {
        let agents: Vec<_> = (0..3).map(|node| cluster.agent(node)).collect();
        let output = hactl(&agents, &[&["instance", "priority"], words, &["--yes"]].concat());
        assert!(output.status.success(), "{output:?}");
    };
    for name in [FOUR, SIX] {
        change(&cluster, &["set", &format!("node-0/{name}"), "50", "--reason", "maintenance"]);
    }
    cluster.wait_for_holder(1);
    let event = cluster.agent(0).wait_for_event("instance.override_set", SOON, |_| true);
    assert_eq!(event.0["actor"]["principal"].as_str(), Some("uid=0(unix)"), "{event:?}");
    cluster.audit();

    for name in [FOUR, SIX] {
        change(&cluster, &["clear", &format!("node-0/{name}")]);
    }
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_priority_override_ends_by_itself() {
    let mut cluster = pair("");
    let output = hactl(
        &[cluster.agent(0), cluster.agent(1)],
        &["instance", "priority", "set", &format!("node-0/{FOUR}"), "50", "--ttl", "1s", "--yes"],
    );
    assert!(output.status.success(), "{output:?}");
    cluster
        .agent(1)
        .wait_for_event("instance.state_changed", SOON, |event| event.text("current_state") == "ACTIVE");
    let event = cluster.agent(0).wait_for_event("instance.override_cleared", SOON, |_| true);
    assert_eq!(event.text("cause"), "OVERRIDE_EXPIRED", "{event:?}");
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn without_preemption_the_addresses_stay_where_they_are() {
    let mut cluster = cluster_with("preempt = false");
    assert_eq!(cluster.agent_mut(0).process.terminate(SOON).code(), Some(0));
    cluster.wait_for_holder(1);
    cluster.restart(0);
    cluster.agent(0).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.agent(0).wait_for_state(SIX, "BACKUP", SOON);
    // Longer than an Active_Down_Interval of node 0.
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    wait_for("ten more adverts of node 1", SOON, || adverts_of(&capture, cluster.lab.node(1)).len() >= 20);
    assert_eq!(adverts_of(&capture, cluster.lab.node(0)), []);
    cluster.wait_for_holder(1);
    cluster.audit();
}

#[test]
fn equal_priorities_are_settled_by_the_higher_address_after_a_simultaneous_start() {
    let mut cluster = Cluster::start(3, |node, lab| {
        let equal = |instance: AgentInstance| AgentInstance { priority: 100, ..instance };
        both_families(node, lab, "100ms", "").into_iter().map(equal).collect()
    });
    wait_for("one holder", SOON, || cluster.holders().values().all(|held| held.len() == 1));
    cluster.audit();
}

#[test]
fn a_crash_loop_of_the_active_daemon_never_leaves_two_holders_for_long() {
    let mut cluster = Cluster::start(2, |node, lab| vec![only_four(node, lab, "")]);
    cluster.wait_for_holder(0);
    let prober = Prober::start(&cluster.lab.client, "eth0", vip(&cluster), PROBING);
    for _ in 0..4 {
        cluster.agent_mut(0).process.kill();
        cluster.restart(0);
    }
    cluster.wait_for_holder(0);
    cluster.audit();
    let timeline = prober.stop();
    println!("{timeline}");
    assert!(timeline.longest_overlap() < Duration::from_millis(2500), "{timeline}");
}
