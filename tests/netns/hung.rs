//! A daemon that hangs and wakes up: the kernel takes its addresses, and it listens before it speaks.

use std::time::{Duration, Instant, SystemTime};

use ha_tests::{Capture, Prober, Wanted, wait_for, wait_until};

use crate::common::{FOUR, SIX, SOON, adverts_of, cluster_with, usual_cluster, vip};

const PROBING: Duration = Duration::from_millis(20);

#[test]
fn a_hung_daemon_loses_its_addresses_and_wakes_up_as_the_only_holder_it_may_be() {
    let mut cluster = usual_cluster();
    let prober = Prober::start(&cluster.lab.client, "eth0", vip(&cluster), PROBING);
    wait_for("answers", SOON, || !prober.timeline().answerers().is_empty());

    let begin = Instant::now();
    cluster.agent(0).process.freeze();
    cluster.wait_for_holder(1);
    let frozen = begin.elapsed();
    cluster.agent(0).process.thaw();
    let thawed = SystemTime::now();
    // It has the higher priority: it comes back, by the rules.
    cluster.wait_for_holder(0);
    let stalled = cluster.agent(0).wait_for_event("node.stalled", SOON, |_| true);
    println!("frozen for {frozen:?}: {}", stalled.text("message"));
    cluster.audit();
    let timeline = prober.stop();
    println!("{timeline}");
    // Two holders: until the lease ended, and while an advert was on its way after the thaw.
    assert!(timeline.longest_overlap() < Duration::from_millis(2500), "{timeline}");
    let after = timeline.since(thawed).longest_overlap();
    assert!(after < Duration::from_millis(500), "two answered for {after:?} after the thaw: {timeline}");
}

#[test]
fn a_hung_daemon_that_may_not_preempt_says_nothing_when_it_wakes_up() {
    let mut cluster = cluster_with("preempt = false");
    let prober = Prober::start(&cluster.lab.client, "eth0", vip(&cluster), PROBING);
    cluster.agent(0).process.freeze();
    cluster.wait_for_holder(1);
    let second = cluster.lab.node(1).mac(0);
    wait_for("answers of node 1", SOON, || prober.timeline().last_answerers() == [second].into());
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    let thawed = SystemTime::now();
    cluster.agent(0).process.thaw();

    cluster.agent(0).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.agent(0).wait_for_state(SIX, "BACKUP", SOON);
    wait_for("more adverts of node 1", SOON, || adverts_of(&capture, cluster.lab.node(1)).len() >= 20);
    let spoken: Vec<_> = adverts_of(&capture, cluster.lab.node(0));
    assert!(spoken.iter().all(|(_, priority)| *priority == 0), "it spoke before it listened: {spoken:?}");
    let event = cluster.agent(0).wait_for_event("instance.state_changed", SOON, |event| {
        event.text("previous_state") == "ACTIVE" && event.text("subject").ends_with(FOUR)
    });
    assert_eq!(event.text("cause"), "AGENT_STALLED", "{event:?}");
    cluster.wait_for_holder(1);
    cluster.audit();
    let timeline = prober.stop();
    println!("{timeline}");
    assert_eq!(timeline.since(thawed).answerers(), [second].into(), "{timeline}");
}

#[test]
fn a_short_hang_moves_nothing() {
    let mut cluster =
        ha_tests::Cluster::start(2, |node, lab| crate::common::both_families(node, lab, "1s", ""));
    cluster.wait_for_holder(0);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    let before = cluster.agent(1).instance(FOUR).map(|instance| instance.number("transition_count"));
    cluster.agent(0).process.freeze();
    // The fault itself lasts: half of the Active_Down_Interval.
    wait_until(Duration::from_millis(1600), || false);
    cluster.agent(0).process.thaw();
    cluster.agent(0).wait_for_event("node.stalled", SOON, |_| true);
    cluster.wait_for_holder(0);
    cluster.audit();
    let after = cluster.agent(1).instance(FOUR).map(|instance| instance.number("transition_count"));
    assert_eq!(before, after, "the Backup moved");
}

#[test]
fn a_hung_backup_takes_nothing_over_when_it_wakes_up() {
    let mut cluster = usual_cluster();
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::Vrrp);
    cluster.agent(1).process.freeze();
    wait_for("20 adverts of node 0", SOON, || adverts_of(&capture, cluster.lab.node(0)).len() >= 40);
    cluster.agent(1).process.thaw();
    cluster.agent(1).wait_for_event("node.stalled", SOON, |_| true);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    assert_eq!(adverts_of(&capture, cluster.lab.node(1)), [], "a Backup spoke");
    cluster.wait_for_holder(0);
    cluster.audit();
}
