//! Planned moves when more goes wrong: the holder fails while others could take over at its word, successors that hang or are
//! drained themselves, and an end in the middle.

use std::{fs, path::PathBuf, thread, time::Duration};

use ha_tests::{AgentInstance, Cluster, Direction, Lab, Node, Pinger, peers_over_sockets, wait_for};
use nix::sys::signal::Signal;

use super::{LOST, MILLISECOND, ask, friends, friends_with, lost_by, succeed};
use crate::common::{FOUR, SOON, only_four, vip};

/// Whether the node became Active at the holder's word; at 1 s adverts its own timers need 3.4 s, and 0.4 s after priority 0.
#[track_caller]
fn took_over_at_the_word(cluster: &Cluster, node: usize) {
    let became = |event: &ha_tests::Told| event.text("current_state") == "ACTIVE";
    let event = cluster.agent(node).wait_for_event("instance.state_changed", SOON, became);
    assert_eq!(event.text("cause"), "PEER_RELEASED", "{event:?}");
}

/// What a node's check looks at.
fn flag(node: &Node, lab: &Lab) -> PathBuf {
    lab.scratch().file(&format!("flag-{}", node.index()))
}

fn with_check(node: &Node, lab: &Lab) -> Vec<AgentInstance> {
    fs::write(flag(node, lab), "1").expect("the test's own folder");
    let check = format!(
        "track = [\"flag\"]\n[[check]]\nname = \"flag\"\nkind = \"file\"\npath = \"{}\"\nfall = 1\nrise = 1\n{}",
        flag(node, lab).display(),
        peers_over_sockets(lab)
    );
    vec![AgentInstance { interval: "1s".to_owned(), ..only_four(node, lab, &check) }]
}

#[test]
fn a_holder_whose_check_fails_names_its_successor_who_needs_no_timer() {
    let mut cluster = friends_with(with_check);
    cluster.expect_errors("FAULT");
    // Nobody hears the priority 0: what moves the address is the word alone.
    cluster.lab.node(0).cut_vrrp(Direction::Out);
    let lost = lost_by(&cluster, || {
        fs::remove_file(flag(cluster.lab.node(0), &cluster.lab)).expect("it was written");
        cluster.wait_for_holder(1);
    });
    cluster.lab.node(0).heal_vrrp();
    took_over_at_the_word(&cluster, 1);
    assert_eq!(cluster.agent(2).state(FOUR), "BACKUP");
    // The holder has let go before it says so: the way of the word is lost, and no more.
    assert!(lost < Duration::from_millis(300), "{lost:?}");
    fs::write(flag(cluster.lab.node(0), &cluster.lab), "1").expect("the test's own folder");
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_holder_whose_link_goes_down_says_so_over_the_control_plane() {
    for is_unplugged in [true, false] {
        let mut cluster = friends();
        cluster.expect_errors("FAULT");
        let lost = lost_by(&cluster, || {
            if is_unplugged {
                cluster.lab.unplug(cluster.lab.node(0), 0);
            } else {
                cluster.lab.node(0).link_down(0);
            }
            cluster.wait_for_holder(1);
        });
        took_over_at_the_word(&cluster, 1);
        assert_eq!(cluster.agent(2).state(FOUR), "BACKUP");
        println!("unplugged: {is_unplugged}, {lost:?} lost");
        assert!(lost < Duration::from_secs(1), "{lost:?}");
        if is_unplugged {
            cluster.lab.plug(cluster.lab.node(0), 0);
        } else {
            cluster.lab.node(0).link_up(0);
        }
        cluster.wait_for_holder(0);
        cluster.audit();
    }
}

#[test]
fn two_drains_at_once_end_on_the_node_that_is_not_drained() {
    let mut cluster = friends();
    let lost = lost_by(&cluster, || {
        thread::scope(|scope| {
            for node in ["node-0", "node-1"] {
                let cluster = &cluster;
                scope.spawn(move || succeed(&ask(cluster, &[0, 1, 2], &["drain", node, "--yes"])));
            }
        });
        cluster.wait_for_holder(2);
    });
    assert!(lost < LOST, "{lost:?}");
    for node in [0, 1] {
        let own = cluster.agent(node).instance(FOUR).expect("the instance is there");
        assert_eq!((own.number("effective_priority"), own.text("state")), (1, "BACKUP"), "{own:?}");
    }
    for node in ["node-0", "node-1"] {
        succeed(&ask(&cluster, &[0, 1, 2], &["undrain", node, "--yes"]));
    }
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_drain_whose_successor_hangs_goes_to_the_next_and_the_late_one_spoils_nothing() {
    let mut cluster = friends();
    cluster.agent(1).process.freeze();
    let lost = lost_by(&cluster, || {
        let said = succeed(&ask(&cluster, &[0], &["drain", "node-0", "--yes"]));
        assert!(said.contains("to node-2"), "{said}");
        wait_for("the address on node 2 alone", SOON, || cluster.lab.holders(vip(&cluster)) == [2]);
    });
    assert!(lost < LOST, "{lost:?}");
    // What node 0 asked of it a while ago must not make a second holder; it is better and preempts in its time.
    let lost = lost_by(&cluster, || {
        cluster.agent(1).process.thaw();
        cluster.wait_for_holder(1);
    });
    assert!(lost < LOST, "{lost:?}");
    let began = cluster.agent(2).events(&["instance.duplicate_active_began"]);
    assert!(began.is_empty(), "{began:?}");
    succeed(&ask(&cluster, &[0, 1, 2], &["undrain", "node-0", "--yes"]));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_drain_whose_successor_dies_in_the_middle_goes_to_the_next() {
    let mut cluster = friends();
    // It hangs when it is asked, and dies with the request in its hands.
    cluster.agent(1).process.freeze();
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    let said = thread::scope(|scope| {
        let drain = scope.spawn(|| succeed(&hactl_of(&cluster, &["drain", "node-0", "--yes"])));
        thread::sleep(Duration::from_millis(300));
        nix::sys::signal::kill(cluster.agent(1).process.id(), Signal::SIGKILL).expect("it is there");
        drain.join().expect("hactl answered")
    });
    assert!(said.contains("to node-2"), "{said}");
    pinger.wait_for_answers(1500, SOON);
    let report = pinger.stop();
    println!("{report}");
    assert!(report.longest_outage().duration < LOST, "{report}");
    wait_for("the address on node 2 alone", SOON, || cluster.lab.holders(vip(&cluster)) == [2]);
    cluster.restart(1);
    cluster.wait_for_holder(1);
    succeed(&ask(&cluster, &[0, 1, 2], &["undrain", "node-0", "--yes"]));
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn a_stop_while_a_drain_is_under_way_still_hands_over() {
    let mut cluster = friends();
    // The drain waits for its answer.
    cluster.agent(1).process.freeze();
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    thread::scope(|scope| {
        let drain = scope.spawn(|| hactl_of(&cluster, &["drain", "node-0", "--yes"]));
        thread::sleep(Duration::from_millis(300));
        cluster.agent(0).process.signal(Signal::SIGTERM);
        let output = drain.join().expect("hactl ended");
        println!("hactl: {output:?}");
    });
    assert_eq!(cluster.agent_mut(0).process.wait(SOON).code(), Some(0));
    wait_for("the address on node 2 alone", SOON, || cluster.lab.holders(vip(&cluster)) == [2]);
    pinger.wait_for_answers(1000, SOON);
    let report = pinger.stop();
    println!("{report}");
    assert!(report.longest_outage().duration < LOST, "{report}");
    cluster.agent(1).process.thaw();
    cluster.wait_for_holder(1);
    // The drain ended with the process.
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

fn hactl_of(cluster: &Cluster, words: &[&str]) -> std::process::Output {
    ask(cluster, &[0], words)
}
