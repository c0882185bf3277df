//! Planned moves on real kernels: what moves is never without a holder, and what cannot move stays.

mod quick;
mod random;
mod trouble;

use std::{process::Output, time::Duration};

use ha_tests::{
    Agent, AgentInstance, Cluster, Keepalived, KeepalivedInstance, Lab, Node, Pinger, hactl,
    peers_over_sockets, wait_for,
};

use crate::common::{FOUR, SOON, only_four, vip};

const MILLISECOND: Duration = Duration::from_millis(1);
/// What a planned move may cost. Measured figures stand in tests/benches; here a busy machine must not fail a test.
pub(crate) const LOST: Duration = Duration::from_millis(60);

fn with_peers(node: &Node, lab: &Lab) -> Vec<AgentInstance> {
    vec![AgentInstance { interval: "1s".to_owned(), ..only_four(node, lab, &peers_over_sockets(lab)) }]
}

/// Three nodes that know each other, with adverts each second.
pub(crate) fn friends() -> Cluster {
    friends_with(with_peers)
}

fn friends_with(instances: impl Fn(&Node, &Lab) -> Vec<AgentInstance>) -> Cluster {
    let cluster = Cluster::start(3, instances);
    cluster.wait_for_holder(0);
    for node in 0..3 {
        for other in (0..3).filter(|other| *other != node) {
            let name = format!("node-{other}");
            cluster
                .agent(node)
                .wait_for_event("peer.reachable", SOON, |event| event.0.to_string().contains(&name));
        }
    }
    cluster
}

fn ask(cluster: &Cluster, nodes: &[usize], words: &[&str]) -> Output {
    let agents: Vec<&Agent> = nodes.iter().map(|node| cluster.agent(*node)).collect();
    hactl(&agents, words)
}

#[track_caller]
fn succeed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    said
}

/// Runs `act` under a pinger and says what was lost of it.
fn lost_by(cluster: &Cluster, act: impl FnOnce()) -> Duration {
    let pinger = Pinger::start(&cluster.lab.client, vip(cluster), MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    act();
    pinger.wait_for_answers(1500, SOON);
    let report = pinger.stop();
    println!("{report}");
    report.longest_outage().duration
}

#[test]
fn a_drain_moves_everything_to_the_best_peer_without_loss_and_an_undrain_brings_it_back() {
    let mut cluster = friends();
    let lost = lost_by(&cluster, || {
        let said =
            succeed(&ask(&cluster, &[0, 1, 2], &["drain", "node-0", "--reason", "new kernel", "--yes"]));
        assert!(said.contains("to node-1"), "{said}");
    });
    assert!(lost < LOST, "{lost:?}");
    cluster.wait_for_holder(1);
    let event = cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("cause") == "ADMIN_DRAIN" && event.text("current_state") == "ACTIVE"
    });
    assert_eq!(event.0["actor"]["principal"].as_str(), Some("uid=0(unix)"), "{event:?}");
    let own = cluster.agent(0).instance(FOUR).expect("the instance is there");
    assert_eq!((own.number("effective_priority"), own.text("state")), (1, "BACKUP"), "{own:?}");
    let again = ask(&cluster, &[0, 1, 2], &["drain", "node-0", "--yes"]);
    assert!(again.status.success(), "already drained is success: {again:?}");

    let lost = lost_by(&cluster, || {
        succeed(&ask(&cluster, &[0, 1, 2], &["undrain", "node-0", "--yes"]));
        cluster.wait_for_holder(0);
    });
    println!("preempted back with {lost:?} lost");
    assert!(lost < LOST, "{lost:?}");
    cluster.audit();
}

#[test]
fn a_transfer_goes_where_the_operator_says_and_the_better_node_leaves_it_there() {
    let mut cluster = friends();
    let lost = lost_by(&cluster, || {
        let words = ["instance", "transfer", FOUR, "--reason", "trial", "--yes"];
        let said = succeed(&ask(&cluster, &[0, 1, 2], &words));
        assert!(said.contains("to node-1"), "{said}");
    });
    assert!(lost < LOST, "{lost:?}");
    cluster.wait_for_holder(1);
    // Longer than an Active_Down_Interval: node 0 is better, and does not preempt.
    std::thread::sleep(Duration::from_secs(5));
    cluster.wait_for_holder(1);
    let words = ["instance", "transfer", FOUR, "--end", "--yes"];
    succeed(&ask(&cluster, &[0, 1, 2], &words));
    cluster.wait_for_holder(0);
    // The worse of two would not keep it.
    let words = ["instance", "transfer", FOUR, "--to", "node-2", "--yes"];
    let refused = ask(&cluster, &[0, 1, 2], &words);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    assert!(said.contains("node-1 would take it from node-2"), "{said}");
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn an_orderly_stop_hands_over_to_the_best_peer_without_loss() {
    let mut cluster = friends();
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    assert_eq!(cluster.agent_mut(0).process.terminate(SOON).code(), Some(0));
    pinger.wait_for_answers(1500, SOON);
    let report = pinger.stop();
    println!("{report}");
    assert!(report.longest_outage().duration < LOST, "{report}");
    cluster.wait_for_holder(1);
    cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("cause") == "PEER_RELEASED" && event.text("current_state") == "ACTIVE"
    });
}

#[test]
fn agents_that_do_not_know_each_other_hand_over_by_vrrp_alone() {
    let mut cluster = Cluster::start(2, |node, lab| {
        vec![AgentInstance { interval: "1s".to_owned(), ..only_four(node, lab, "") }]
    });
    cluster.wait_for_holder(0);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    let lost = lost_by(&cluster, || drop(succeed(&ask(&cluster, &[0, 1], &["drain", "node-0", "--yes"]))));
    assert!(lost < LOST, "{lost:?}");
    cluster.wait_for_holder(1);
    cluster.audit();
}

#[test]
fn keepalived_takes_over_before_the_address_is_given_up() {
    let lab = Lab::new(2, 1);
    let address = lab.vip4(0, 1);
    let keepalived = Keepalived::start(
        &lab.node(1).space,
        lab.scratch(),
        &[KeepalivedInstance::new(51, 100, &[address.into()])],
    );
    let instance = AgentInstance::new(51, 200, &[address.into()]);
    let mut agent = Agent::start(lab.node(0), lab.scratch(), std::slice::from_ref(&instance));
    agent.wait_until_ready(SOON);
    wait_for("the address on node 0 alone", SOON, || lab.holders(address) == [0]);
    let pinger = Pinger::start(&lab.client, address, MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    succeed(&hactl(&[&agent], &["drain", "node-0", "--yes"]));
    wait_for("the address on node 1 alone", SOON, || lab.holders(address) == [1]);
    pinger.wait_for_answers(1500, SOON);
    let report = pinger.stop();
    println!("{report}");
    assert!(report.longest_outage().duration < LOST, "{report}");
    drop(keepalived);
}

#[test]
fn a_drain_that_nobody_could_follow_is_refused_and_loses_nothing_until_it_is_allowed() {
    let mut cluster = friends();
    for node in [1, 2] {
        succeed(&ask(&cluster, &[0, 1, 2], &["drain", &format!("node-{node}"), "--yes"]));
    }
    // Drained nodes are the last resort: with priority 1 they take part in VRRP, so they must be gone to be nobody.
    for node in [1, 2] {
        cluster.lab.cut_off(cluster.lab.node(node));
    }
    cluster.expect_errors("FAULT");
    let lost = lost_by(&cluster, || {
        let refused = ask(&cluster, &[0], &["drain", "node-0", "--yes"]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(7), "{refused:?}");
        for part in ["nobody takes over", "node-1 is", "node-2 is", "nobody answered priority 0"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    });
    assert!(lost < LOST, "{lost:?}");
    cluster.agent(0).wait_for_state(FOUR, "ACTIVE", SOON);
    let own = cluster.agent(0).instance(FOUR).expect("the instance is there");
    assert_eq!(own.number("effective_priority"), own.number("base_priority"), "{own:?}");
    let lost = lost_by(&cluster, || {
        succeed(&ask(&cluster, &[0], &["drain", "node-0", "--allow-no-successor", "--yes"]));
    });
    assert!(lost < LOST, "{lost:?}");
    assert_eq!(cluster.agent(0).state(FOUR), "ACTIVE");
    // Asked again without that, it is refused, and the drain that is in force goes on.
    let refused = ask(&cluster, &[0], &["drain", "node-0", "--yes"]);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    let own = cluster.agent(0).instance(FOUR).expect("the instance is there");
    assert_eq!(own.number("effective_priority"), 1, "{own:?}");
    for node in [1, 2] {
        cluster.lab.reconnect(cluster.lab.node(node));
    }
}
