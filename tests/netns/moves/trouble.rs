//! Planned moves when more goes wrong: the holder fails while others could take over at its word, successors that hang or are
//! drained themselves, and an end in the middle.

use std::{fs, net::TcpListener, path::PathBuf, thread, time::Duration};

use ha_tests::{
    AgentInstance, Cluster, Direction, Lab, Node, Pinger, peers_over_sockets, wait_for, wait_some,
};
use nix::sys::signal::Signal;

use super::{LOST, MILLISECOND, ask, friends, friends_with, lost_by, succeed};
use crate::common::{FOUR, SIX, SOON, both_families, only_four, vip};

/// Whether the node became Active at the holder's word; at 1 s adverts its own timers need 3.4 s, and 0.4 s after priority 0.
#[track_caller]
fn took_over_at_the_word(cluster: &Cluster, node: usize, router: &str) {
    let became = |event: &ha_tests::Told| {
        event.text("current_state") == "ACTIVE" && event.text("subject").ends_with(router)
    };
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
    took_over_at_the_word(&cluster, 1, FOUR);
    assert_eq!(cluster.agent(2).state(FOUR), "BACKUP");
    // The holder has let go before it says so: the way of the word is lost, and no more.
    assert!(lost < Duration::from_millis(300), "{lost:?}");
    fs::write(flag(cluster.lab.node(0), &cluster.lab), "1").expect("the test's own folder");
    cluster.wait_for_holder(0);
    cluster.audit();
}

/// How a holder loses the link of its routers. Its control plane has a way of its own.
#[derive(Clone, Copy, Debug)]
enum LinkLoss {
    Unplugged,
    Down,
    Deleted,
}

impl LinkLoss {
    fn happen(self, lab: &Lab) {
        match self {
            Self::Unplugged => lab.unplug(lab.node(0), 0),
            Self::Down => lab.node(0).link_down(0),
            Self::Deleted => lab.node(0).delete_link(0),
        }
    }

    fn end(self, lab: &Lab) {
        match self {
            Self::Unplugged => lab.plug(lab.node(0), 0),
            Self::Down => lab.node(0).link_up(0),
            Self::Deleted => lab.recreate_link(lab.node(0), 0),
        }
    }
}

fn both_with_peers(node: &Node, lab: &Lab) -> Vec<AgentInstance> {
    let mut routers = both_families(node, lab, "1s", "");
    // The tables of the file stand behind the last key of the last instance.
    routers[1].extra = peers_over_sockets(lab);
    routers
}

#[test]
fn a_holder_whose_link_is_lost_says_so_over_the_control_plane() {
    for loss in [LinkLoss::Unplugged, LinkLoss::Down, LinkLoss::Deleted] {
        let mut cluster = friends_with(both_with_peers);
        cluster.expect_errors("FAULT");
        let lost = lost_by(&cluster, || {
            loss.happen(&cluster.lab);
            cluster.wait_for_holder(1);
        });
        println!("{loss:?}: {lost:?} lost");
        for router in [FOUR, SIX] {
            took_over_at_the_word(&cluster, 1, router);
            assert_eq!(cluster.agent(2).state(router), "BACKUP");
        }
        // The holder has lost the addresses before it says so: the way of the word, and no timer.
        assert!(lost < Duration::from_millis(300), "{loss:?}: {lost:?}");
        loss.end(&cluster.lab);
        cluster.wait_for_holder(0);
        cluster.audit();
    }
}

/// Waits until a node has asked another to take over; fails when it never does.
#[track_caller]
fn wait_until_asked(cluster: &Cluster, holder: usize, successor: usize) {
    let text = words_of_asking(cluster, successor);
    let log = || cluster.agent(holder).process.log();
    wait_for(&format!("node {holder}: {text}"), SOON, || log().contains(&text));
}

/// Whether a node has asked another to take over.
fn has_asked(cluster: &Cluster, holder: usize, successor: usize) -> bool {
    cluster.agent(holder).process.log().contains(&words_of_asking(cluster, successor))
}

/// The message of `instance.handover_began`.
fn words_of_asking(cluster: &Cluster, successor: usize) -> String {
    format!("handing over to {}", cluster.lab.node(successor).address4(0))
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
        assert!(has_asked(&cluster, 0, 1), "the one that hangs was not asked");
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
        wait_until_asked(&cluster, 0, 1);
        nix::sys::signal::kill(cluster.agent(1).process.id(), Signal::SIGKILL).expect("it is there");
        assert!(!has_asked(&cluster, 0, 2), "it died when it was no longer asked");
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
        wait_until_asked(&cluster, 0, 1);
        cluster.agent(0).process.signal(Signal::SIGTERM);
        assert!(!has_asked(&cluster, 0, 2), "the drain was no longer under way");
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

/// A restart ends telemetry first: a collector that does not answer holds that up.
const COLLECTOR: u16 = 4317;

fn with_collector(node: &Node, lab: &Lab) -> Vec<AgentInstance> {
    let telemetry = format!(
        "[telemetry]\nendpoint = \"http://127.0.0.1:{COLLECTOR}\"\ninterval = \"1s\"\ntimeout = \"5s\"\n"
    );
    let extra = peers_over_sockets(lab) + if node.index() == 0 { &telemetry } else { "" };
    vec![AgentInstance { interval: "1s".to_owned(), ..only_four(node, lab, &extra) }]
}

#[test]
fn a_stop_that_overtakes_a_restart_still_hands_over() {
    let mut cluster = friends_with(with_collector);
    let space = &cluster.lab.node(0).space;
    space.ip("link set lo up");
    let collector = space.run(|| TcpListener::bind(("127.0.0.1", COLLECTOR))).expect("the port is free");
    // Taken, and never answered.
    collector.set_nonblocking(true).expect("a socket");
    let _export = wait_some("an export", SOON, || collector.accept().ok());
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    let process = &mut cluster.agent_mut(0).process;
    process.signal(Signal::SIGUSR2);
    process.wait_for_log("SIGUSR2: leaving everything to the next process", SOON);
    process.signal(Signal::SIGTERM);
    assert_eq!(process.wait(SOON).code(), Some(0));
    let log = process.log();
    assert!(log.contains("SIGTERM: handing over and releasing instead"), "it was not overtaken:\n{log}");
    assert!(log.contains("handed over router-51"), "{log}");
    wait_for("the address on node 1 alone", SOON, || cluster.lab.holders(vip(&cluster)) == [1]);
    pinger.wait_for_answers(1000, SOON);
    let report = pinger.stop();
    println!("{report}");
    assert!(report.longest_outage().duration < LOST, "{report}");
    cluster.restart(0);
    cluster.wait_for_holder(0);
}

fn hactl_of(cluster: &Cluster, words: &[&str]) -> std::process::Output {
    ask(cluster, &[0], words)
}
