//! Split brain between nodes that know each other: adverts are filtered, the control plane is not.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use ha_tests::{AgentInstance, Cluster, Direction, Lab, Node, peers_over_sockets, wait_for};

use crate::common::{FOUR, SOON, only_four, vip};

/// Two nodes with one router, that are each other's peers.
fn peers(interval: &str, policy: &str) -> Cluster {
    let mut cluster = Cluster::start(2, |node, lab| vec![instance(node, lab, interval, policy)]);
    cluster.wait_for_holder(0);
    for node in [0, 1] {
        cluster.agent(node).wait_for_event("peer.reachable", SOON, |_| true);
    }
    cluster.expect_errors("is Active too");
    cluster.audit();
    cluster
}

/// The tables of the file stand behind the last key of the instance.
fn instance(node: &Node, lab: &Lab, interval: &str, policy: &str) -> AgentInstance {
    let extra = format!("{}[cluster]\nsplit_brain = \"{policy}\"\n", peers_over_sockets(lab));
    AgentInstance { interval: interval.to_owned(), ..only_four(node, lab, &extra) }
}

/// What hactl says, and with which exit code.
fn status(cluster: &Cluster) -> (String, Option<i32>) {
    let (code, text) = cluster.hactl("status -o json");
    let answer: serde_json::Value = serde_json::from_str(&text).expect("hactl prints JSON");
    (answer["verdict"].as_str().unwrap_or_default().to_owned(), Some(code))
}

/// How long several nodes had an address at once, looked at all the time for as long as `span`.
fn owned_twice(cluster: &Cluster, span: Duration) -> Duration {
    let (began, mut last, mut total) = (Instant::now(), Instant::now(), Duration::ZERO);
    let mut seen: BTreeMap<IpAddr, Vec<usize>> = BTreeMap::new();
    while began.elapsed() < span {
        let now = Instant::now();
        if seen.values().any(|holders| holders.len() > 1) {
            total += now - last;
        }
        (seen, last) = (cluster.holders(), now);
    }
    total
}

#[test]
fn a_split_that_no_advert_tells_of_is_found_within_three_adverts_and_ends_on_heal() {
    let mut cluster = peers("1s", "report");
    cluster.lab.node(1).cut_vrrp(Direction::Both);
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
    let split = Instant::now();
    for (node, other) in [(0, 1), (1, 0)] {
        let agent = cluster.agent(node);
        let began = agent.wait_for_event("instance.duplicate_active_began", SOON, |_| true);
        println!("node {node}: {}", began.text("message"));
        let detail = began.0["evidence"]["detail"].as_str().unwrap_or_default().to_owned();
        assert!(
            detail.contains(&format!("node-{other} says over the control plane that it is Active")),
            "{began:?}"
        );
        assert!(detail.contains("its adverts do not arrive here"), "{began:?}");
        assert_eq!(began.0["evidence"]["peer_address"], cluster.lab.node(other).address4(0).to_string());
    }
    println!("found within {:?}", split.elapsed());
    assert!(split.elapsed() < Duration::from_secs(3), "{:?}", split.elapsed());
    assert_eq!(status(&cluster), ("SPLIT_BRAIN".to_owned(), Some(3)));

    cluster.lab.node(1).heal_vrrp();
    cluster.wait_for_holder(0);
    for node in [0, 1] {
        cluster.agent(node).wait_for_event("instance.duplicate_active_ended", SOON, |_| true);
    }
    wait_for("all is well", SOON, || status(&cluster) == ("OK".to_owned(), Some(0)));
    cluster.audit();
}

#[test]
fn with_the_policy_the_loser_yields_within_a_second_and_comes_back_when_the_winner_is_gone() {
    for direction in [Direction::Both, Direction::In] {
        let mut cluster = peers("1s", "yield");
        cluster.lab.node(1).cut_vrrp(direction);
        let twice = owned_twice(&cluster, Duration::from_secs(12));
        println!("{direction:?}: {} was on two nodes for {twice:?}", vip(&cluster));
        assert!(twice > Duration::ZERO, "there was no split");
        assert!(twice < Duration::from_secs(1), "{twice:?}");
        let yielded = cluster.agent(1).wait_for_event("instance.state_changed", SOON, |event| {
            event.text("cause") == "DUPLICATE_ACTIVE"
        });
        println!("{}", yielded.text("message"));
        assert_eq!(yielded.text("current_state"), "BACKUP");
        cluster.wait_for_holder(0);
        // Its word ends with it.
        cluster.agent_mut(0).process.freeze();
        wait_for("node 1 holds the address", SOON, || cluster.holders()[&vip(&cluster)].contains(&1));
        cluster.agent_mut(0).process.thaw();
        cluster.lab.node(1).heal_vrrp();
        cluster.wait_for_holder(0);
        cluster.audit();
    }
}

#[test]
fn with_the_policy_a_dead_node_is_followed_as_if_there_were_none() {
    let mut cluster = peers("100ms", "yield");
    let killed = Instant::now();
    cluster.agent_mut(0).process.freeze();
    wait_for("node 1 holds the address", SOON, || cluster.holders()[&vip(&cluster)].contains(&1));
    let took = killed.elapsed();
    println!("followed after {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(cluster.agent(1).instance(FOUR).expect("it answers").text("state"), "ACTIVE");
    let doubled = cluster.agent(1).events(&["instance.duplicate_active_began"]);
    assert!(doubled.is_empty(), "the last word of a dead node was believed: {doubled:?}");
    cluster.agent_mut(0).process.thaw();
    cluster.wait_for_holder(0);
    cluster.audit();
}
