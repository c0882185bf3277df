//! Virtual router MAC addresses: the address is answered for by 00:00:5e:00:01:VRID (IPv6: 02) and by nothing else,
//! wherever it is.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use ha_tests::{Capture, Cluster, Mac, Pinger, Prober, Wanted, sweep, wait_for};

use crate::common::{SOON, both_families, cluster_with, vip};

fn macvlans(cluster: &Cluster, node: usize) -> usize {
    cluster.space(node).ip("-o link show type macvlan").lines().count()
}

#[test]
fn only_the_virtual_mac_ever_answers_and_it_moves_with_the_addresses() {
    let mut cluster = cluster_with("virtual_mac = true");
    let six = IpAddr::from(cluster.lab.vip6(0, 1));
    let four = vip(&cluster);
    let probers = [four, six]
        .map(|address| Prober::start(&cluster.lab.client, "eth0", address, Duration::from_millis(20)));
    let capture = Capture::start(&cluster.lab.switch, "br0", Wanted::VrrpAndAnnouncements);
    let virtual_macs = [Mac::virtual4(51), Mac::virtual6(61)];
    for (prober, mac) in probers.iter().zip(virtual_macs) {
        wait_for("answers", SOON, || prober.timeline().answerers() == [mac].into());
    }
    let stopped = SystemTime::now();
    cluster.agent_mut(0).process.terminate(SOON);
    cluster.wait_for_holder(1);
    assert_eq!(macvlans(&cluster, 0), 0, "a macvlan was left");
    assert_eq!(macvlans(&cluster, 1), 2);
    for (prober, mac) in probers.iter().zip(virtual_macs) {
        let answered =
            || prober.timeline().since(stopped).probes().iter().any(|probe| !probe.answers.is_empty());
        wait_for(&format!("answers of {mac} after the takeover"), SOON, answered);
        wait_for(&format!("an announcement of {mac}"), SOON, || {
            prober.announcements().iter().any(|(at, announced)| *at > stopped && *announced == mac)
        });
    }
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
    for (prober, mac) in probers.into_iter().zip(virtual_macs) {
        let timeline = prober.stop();
        println!("{timeline}");
        assert_eq!(timeline.answerers(), [mac].into(), "{timeline}");
    }
    let sources: std::collections::BTreeSet<_> =
        capture.adverts().iter().map(|(_, advert)| (advert.vrid, advert.source_mac)).collect();
    println!("adverts were sent from {sources:?}");
}

#[test]
fn a_client_reaches_the_address_through_the_virtual_mac_without_learning_another() {
    let mut cluster = Cluster::start(2, |node, lab| both_families(node, lab, "100ms", "virtual_mac = true"));
    cluster.wait_for_holder(0);
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), Duration::from_millis(2));
    pinger.wait_for_answers(50, SOON);
    let before = cluster.lab.client.ip(&format!("neigh show {}", vip(&cluster)));
    cluster.agent_mut(0).process.terminate(SOON);
    cluster.wait_for_holder(1);
    pinger.wait_for_answers(100, SOON);
    let after = cluster.lab.client.ip(&format!("neigh show {}", vip(&cluster)));
    let mac =
        |shown: &str| shown.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).map(str::to_owned);
    assert_eq!(mac(&before), Some(Mac::virtual4(51).to_string()), "{before}");
    assert_eq!(mac(&after), mac(&before));
    println!("{}", pinger.stop());
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
}

#[test]
fn the_macvlan_of_a_killed_agent_is_used_again_or_removed_by_the_next() {
    let mut cluster = Cluster::start(2, |node, lab| both_families(node, lab, "100ms", "virtual_mac = true"));
    cluster.wait_for_holder(0);
    cluster.agent_mut(0).process.kill();
    cluster.wait_for_holder(1);
    let vips = [vip(&cluster), cluster.lab.vip6(0, 1).into()];
    wait_for("the virtual MACs alone", SOON, || {
        let answers = sweep(&cluster.lab.client, "eth0", &vips, Duration::from_millis(200));
        answers.get(&vips[0]).is_some_and(|macs| *macs == [Mac::virtual4(51)].into())
            && answers.get(&vips[1]).is_some_and(|macs| *macs == [Mac::virtual6(61)].into())
    });
    cluster.restart(0);
    cluster.wait_for_holder(0);
    cluster.audit();
    for node in [0, 1] {
        assert_eq!(cluster.agent_mut(node).process.terminate(SOON).code(), Some(0));
    }
    cluster.audit_clean();
}
