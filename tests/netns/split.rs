//! Partitions: VRRP cannot avoid two Active routers then, but it must say so, end it, and tell the neighbours.

use std::{net::IpAddr, time::SystemTime};

use ha_tests::{Cluster, Direction, Prober, wait_for};

use crate::common::{FOUR, SIX, SOON, pair, usual_cluster, vip};

#[test]
fn a_healed_split_has_a_beginning_and_an_end_and_the_survivor_announces_again() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("is Active too");
    for node in [1, 2] {
        cluster.lab.node(node).cut_vrrp(Direction::Both);
    }
    wait_for("three holders", SOON, || cluster.holders().values().all(|held| *held == [0, 1, 2]));
    let prober =
        Prober::start(&cluster.lab.client, "eth0", vip(&cluster), std::time::Duration::from_millis(50));

    let healed = SystemTime::now();
    for node in [1, 2] {
        cluster.lab.node(node).heal_vrrp();
    }
    cluster.wait_for_holder(0);
    // Node 0 never changed its state, and the neighbours may have learned another MAC meanwhile.
    let mac = cluster.lab.node(0).mac(0);
    wait_for("an announcement of the survivor", SOON, || {
        prober.announcements().iter().any(|(at, announced)| *at > healed && *announced == mac)
    });
    for name in [FOUR, SIX] {
        let of = |kind: &str| {
            cluster.agent(0).wait_for_event(kind, SOON, |event| event.text("subject").ends_with(name))
        };
        let (began, ended) = (of("instance.duplicate_active_began"), of("instance.duplicate_active_ended"));
        assert_eq!(began.text("cause"), "DUPLICATE_ACTIVE", "{began:?}");
        assert!(began.number("sequence") < ended.number("sequence"), "{began:?} {ended:?}");
        let rival = cluster.agent(0).instance(name).expect("it answers");
        wait_for("no rival any more", SOON, || {
            cluster.agent(0).instance(name).is_some_and(|instance| instance.text("rival_address").is_empty())
        });
        println!("{}", rival.text("rival_address"));
    }
    cluster.audit();
}

#[test]
fn a_deaf_backup_makes_a_split_that_its_active_router_sees_and_outlives() {
    let mut cluster = pair("");
    cluster.expect_errors("is Active too");
    cluster.lab.node(1).cut_vrrp(Direction::In);
    wait_for("two holders", SOON, || cluster.holders()[&vip(&cluster)] == [0, 1]);
    cluster.agent(0).wait_for_event("instance.duplicate_active_began", SOON, |_| true);
    let rival = cluster.agent(0).instance(FOUR).expect("it answers");
    assert_eq!(rival.text("rival_address"), cluster.lab.node(1).address4(0).to_string());
    // While both are Active it announces at a limited rate: not with each advert of the rival.
    let announcements = |cluster: &Cluster| {
        let answer = cluster.agent(0).ask(&["vip", "list"]);
        answer["items"][0]["members"][0]["announcement_count"].as_i64().unwrap_or_default()
    };
    let begin = (announcements(&cluster), std::time::Instant::now());
    let capture = ha_tests::Capture::start(&cluster.lab.switch, "br0", ha_tests::Wanted::Vrrp);
    wait_for("100 adverts of both", SOON, || capture.adverts().len() >= 100);
    let sent = announcements(&cluster) - begin.0;
    println!("{sent} announcements in {:?}", begin.1.elapsed());
    assert!(sent <= 30, "{sent} announcements while 100 adverts passed");

    cluster.lab.node(1).heal_vrrp();
    cluster.wait_for_holder(0);
    cluster.agent(0).wait_for_event("instance.duplicate_active_ended", SOON, |_| true);
    cluster.audit();
}

#[test]
fn a_ring_in_which_each_hears_one_other_does_not_make_them_run_in_circles() {
    let mut cluster = usual_cluster();
    cluster.expect_errors("is Active too");
    let count = |cluster: &Cluster, node: usize| {
        [FOUR, SIX].iter().fold(0, |sum, name| {
            sum + cluster.agent(node).instance(name).map_or(0, |instance| instance.number("transition_count"))
        })
    };
    let before: Vec<i64> = (0..3).map(|node| count(&cluster, node)).collect();
    let sources = |node: usize| -> [IpAddr; 2] {
        let node = cluster.lab.node(node);
        [node.address4(0).into(), node.link_local(0).into()]
    };
    // 0 hears 1, 1 hears 2, 2 hears 0.
    for (node, silent) in [(0, 2), (1, 0), (2, 1)] {
        cluster.lab.node(node).deaf_to(&sources(silent));
    }
    // Node 1 no longer hears node 0.
    cluster.agent(1).wait_for_state(FOUR, "ACTIVE", SOON);
    let capture = ha_tests::Capture::start(&cluster.lab.switch, "br0", ha_tests::Wanted::Vrrp);
    wait_for("200 adverts", SOON, || capture.adverts().len() >= 200);
    for (node, before) in before.iter().enumerate() {
        let moved = count(&cluster, node) - before;
        println!("node {node}: {moved} transitions");
        // One for each family: node 1 takes over and stays.
        assert!(moved <= 4, "node {node} made {moved} transitions");
    }
    (0..3).for_each(|node| cluster.lab.node(node).heal_vrrp());
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn random_loss_ends_in_one_holder() {
    let mut cluster = pair("");
    cluster.expect_errors("is Active too");
    cluster.lab.node(1).lose_vrrp(Direction::In, 50);
    let capture = ha_tests::Capture::start(&cluster.lab.switch, "br0", ha_tests::Wanted::Vrrp);
    wait_for("60 adverts of node 0", SOON, || {
        crate::common::adverts_of(&capture, cluster.lab.node(0)).len() >= 60
    });
    cluster.lab.node(1).heal_vrrp();
    cluster.wait_for_holder(0);
    cluster.audit();
}
