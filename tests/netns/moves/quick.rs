//! Moves right after one another, and a start right after a stop: what the first began must not make two holders of the second.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use ha_tests::{AgentInstance, Cluster, Lab, peers_over_sockets};

use super::{MILLISECOND, ask, friends_with, succeed};
use crate::common::{FOUR, SOON, only_four, vip};

/// What make before break may take on a busy machine.
pub(super) const OVERLAP: Duration = Duration::from_millis(250);

/// The longest time in which more than one kernel had the address, seen again and again until `done`.
fn longest_overlap(lab: &Lab, address: IpAddr, done: &AtomicBool) -> Duration {
    let (mut longest, mut since) = (Duration::ZERO, None);
    while !done.load(Ordering::Relaxed) {
        if lab.holders(address).len() > 1 {
            longest = longest.max(since.get_or_insert_with(Instant::now).elapsed());
        } else {
            since = None;
        }
        thread::sleep(MILLISECOND);
    }
    longest
}

/// The longest time in which more than one kernel had the address while `act` ran.
pub(super) fn overlap_during(lab: &Lab, address: IpAddr, act: impl FnOnce()) -> Duration {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watch = scope.spawn(|| longest_overlap(lab, address, &done));
        act();
        done.store(true, Ordering::Relaxed);
        watch.join().expect("it only looks")
    })
}

/// Runs hactl with each of these a little after the one before, which may still wait to see its effect.
fn one_upon_the_other(cluster: &Cluster, lines: &[&[&str]]) {
    const PAUSE: Duration = Duration::from_millis(150);
    thread::scope(|scope| {
        for words in lines {
            scope.spawn(|| println!("{}", succeed(&ask(cluster, &[0, 1, 2], words))));
            thread::sleep(PAUSE);
        }
    });
}

#[test]
fn a_drain_its_end_and_a_worse_successor_within_half_a_second_never_leave_two_holders() {
    for (interval, after) in [("1s", 8), ("100ms", 4), ("20ms", 4)] {
        let mut cluster = friends_with(|node, lab| {
            let extra = peers_over_sockets(lab);
            vec![AgentInstance { interval: interval.to_owned(), ..only_four(node, lab, &extra) }]
        });
        let successor = format!("node-1/{FOUR}");
        let overlap = overlap_during(&cluster.lab, vip(&cluster), || {
            one_upon_the_other(
                &cluster,
                &[
                    &["drain", "node-0", "--yes"],
                    &["undrain", "node-0", "--yes"],
                    &["instance", "priority", "set", &successor, "50", "--yes"],
                ],
            );
            thread::sleep(Duration::from_secs(after));
        });
        println!("{interval}: two holders for {overlap:?}");
        assert!(overlap < OVERLAP, "{interval}: {overlap:?}");
        cluster.wait_for_holder(0);
        cluster.audit();
    }
}

#[test]
fn an_agent_that_starts_right_after_its_orderly_stop_is_heard_by_its_successor() {
    for interval in ["100ms", "20ms"] {
        let mut cluster = friends_with(|node, lab| {
            let extra = peers_over_sockets(lab);
            vec![AgentInstance { interval: interval.to_owned(), ..only_four(node, lab, &extra) }]
        });
        assert_eq!(cluster.agent_mut(0).process.terminate(SOON).code(), Some(0));
        cluster.restart(0);
        cluster.wait_for_holder(0);
        for node in 0..3 {
            let rivals = cluster.agent(node).events(&["instance.duplicate_active_began"]);
            assert!(rivals.is_empty(), "{interval}: {rivals:?}");
        }
        cluster.audit();
    }
}
