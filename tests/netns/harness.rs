//! The harness proves itself on real peers: it must see the flaws that are known to be there, and must see
//! nothing where nothing is. No agent of ours takes part.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use ha_tests::{
    Capture, Direction, Frr, FrrRouter, Injector, Keepalived, KeepalivedInstance, Lab, Mac, Pinger, Prober,
    VrrpFrame, Wanted, scapy, sweep, tshark, wait_for, wait_until,
};

const SOON: Duration = Duration::from_secs(20);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Two keepaliveds, node 0 preferred, at 100 ms adverts.
fn two_keepaliveds(lab: &Lab, vip: IpAddr) -> [Keepalived; 2] {
    [200, 100].map(|priority| {
        let node = lab.node(usize::from(priority == 100));
        let instance = KeepalivedInstance { interval: 0.1, ..KeepalivedInstance::new(51, priority, &[vip]) };
        Keepalived::start(&node.space, lab.scratch(), &[instance])
    })
}

fn wait_for_holder(lab: &Lab, vip: IpAddr, node: usize) {
    wait_for(&format!("{vip} on node {node} alone"), SOON, || lab.holders(vip) == [node]);
}

#[test]
fn a_killed_keepalived_leaves_two_nodes_answering_arp_and_the_harness_sees_both() {
    let lab = Lab::new(2, 1);
    let vip = IpAddr::from(lab.vip4(0, 1));
    let [mut active, backup] = two_keepaliveds(&lab, vip);
    wait_for_holder(&lab, vip, 0);
    let prober = Prober::start(&lab.client, "eth0", vip, Duration::from_millis(20));
    wait_for("answers of node 0", SOON, || prober.timeline().answerers() == [lab.node(0).mac(0)].into());

    let killed = SystemTime::now();
    active.process.kill();
    wait_for("both nodes holding the address", SOON, || lab.holders(vip) == [0, 1]);
    wait_until(Duration::from_secs(2), || prober.timeline().longest_overlap() > Duration::from_millis(500));
    let timeline = prober.stop();
    println!("{timeline}");

    assert_eq!(timeline.since(killed).answerers(), [lab.node(0).mac(0), lab.node(1).mac(0)].into());
    assert!(timeline.longest_overlap() > Duration::from_millis(500), "{timeline}");
    drop(backup);
}

#[test]
fn a_node_that_dies_whole_leaves_one_holder_and_an_outage_of_the_active_down_interval() {
    let lab = Lab::new(2, 1);
    let vip = IpAddr::from(lab.vip4(0, 1));
    let _peers = two_keepaliveds(&lab, vip);
    wait_for_holder(&lab, vip, 0);
    let prober = Prober::start(&lab.client, "eth0", vip, Duration::from_millis(20));
    let pinger = Pinger::start(&lab.client, vip, MILLISECOND);
    let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
    pinger.wait_for_answers(200, SOON);
    wait_for("an advert", SOON, || !capture.adverts().is_empty());

    lab.cut_off(lab.node(0));
    wait_for("the address on node 1", SOON, || lab.node(1).space.has_address(vip));
    pinger.wait_for_answers(200, SOON);
    let (pings, timeline) = (pinger.stop(), prober.stop());
    println!("{pings}\n{timeline}");

    // Active_Down_Interval of priority 100 at 100 ms is 360.9 ms, counted from the last advert seen.
    let adverts = capture.adverts();
    let times_of = |node: usize| -> Vec<SystemTime> {
        let from = IpAddr::from(lab.node(node).address4(0));
        adverts.iter().filter(|(_, advert)| advert.source == from).map(|(at, _)| *at).collect()
    };
    let last = *times_of(0).last().expect("node 0 sent adverts");
    let first = times_of(1).into_iter().find(|at| *at > last).expect("node 1 took over");
    let took = first.duration_since(last).expect("in order");
    println!("advert to advert: {took:?}");
    assert!((355..500).contains(&took.as_millis()), "{took:?}");
    let outage = pings.longest_outage().duration;
    assert!((240..700).contains(&outage.as_millis()), "{pings}");
    assert_eq!(timeline.longest_overlap(), Duration::ZERO, "{timeline}");
    assert_eq!(lab.node_of(*timeline.last_answerers().first().expect("somebody answers")), Some(1));
}

#[test]
fn an_orderly_stop_is_seen_as_priority_zero_and_a_short_outage() {
    let lab = Lab::new(2, 1);
    let vip = IpAddr::from(lab.vip6(0, 1));
    let link_local = IpAddr::from(Mac::virtual6(51).link_local());
    let instances = [200, 100].map(|priority| KeepalivedInstance {
        interval: 0.1,
        ..KeepalivedInstance::new(51, priority, &[link_local, vip])
    });
    let mut first = Keepalived::start(&lab.node(0).space, lab.scratch(), &instances[..1]);
    let _second = Keepalived::start(&lab.node(1).space, lab.scratch(), &instances[1..]);
    wait_for_holder(&lab, vip, 0);
    let pinger = Pinger::start(&lab.client, vip, MILLISECOND);
    let prober = Prober::start(&lab.client, "eth0", vip, Duration::from_millis(20));
    let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
    pinger.wait_for_answers(100, SOON);

    first.process.terminate(SOON);
    wait_for_holder(&lab, vip, 1);
    pinger.wait_for_answers(100, SOON);
    let (pings, timeline) = (pinger.stop(), prober.stop());
    println!("{pings}\n{timeline}");

    let released = |lab: &Lab| {
        let ours = IpAddr::from(lab.node(0).link_local(0));
        capture.adverts().iter().any(|(_, advert)| advert.source == ours && advert.priority == 0)
    };
    assert!(released(&lab), "no advert of priority 0");
    assert!(pings.longest_outage().duration < Duration::from_millis(360), "{pings}");
    assert_eq!(timeline.answerers(), [lab.node(0).mac(0), lab.node(1).mac(0)].into());
}

#[test]
fn frr_and_keepalived_elect_one_active_and_the_address_moves_when_frr_dies() {
    let lab = Lab::new(2, 1);
    let vip = IpAddr::from(lab.vip4(0, 1));
    let router = FrrRouter { version: 3, vrid: 51, priority: 200, interval: 100, addresses: vec![vip] };
    let mut frr = Frr::start(&lab.node(0).space, lab.scratch(), &[router]);
    wait_for("FRR as Master", SOON, || frr.state(51, "v4").as_deref() == Some("Master"));
    let instance = KeepalivedInstance { interval: 0.1, ..KeepalivedInstance::new(51, 100, &[vip]) };
    let mut keepalived = Keepalived::start(&lab.node(1).space, lab.scratch(), &[instance]);
    keepalived.process.wait_for_log("Entering BACKUP STATE", SOON);
    let prober = Prober::start(&lab.client, "eth0", vip, Duration::from_millis(20));
    let virtual_mac = Mac::virtual4(51);
    wait_for("answers of the virtual MAC", SOON, || prober.timeline().answerers() == [virtual_mac].into());

    lab.cut_off(lab.node(0));
    frr.kill();
    wait_for("answers of node 1", SOON, || prober.timeline().last_answerers() == [lab.node(1).mac(0)].into());
    let timeline = prober.stop();
    println!("{timeline}");
    assert_eq!(timeline.longest_overlap(), Duration::ZERO, "{timeline}");
}

#[test]
fn frr_becomes_master_in_both_versions_and_families_and_tshark_agrees_with_its_adverts() {
    let lab = Lab::new(1, 1);
    let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
    let router = |version, vrid, address| FrrRouter {
        version,
        vrid,
        priority: 100,
        interval: if version == 2 { 1000 } else { 100 },
        addresses: vec![address],
    };
    let routers = [
        router(2, 12, lab.vip4(0, 12).into()),
        router(3, 13, lab.vip4(0, 13).into()),
        router(3, 16, lab.vip6(0, 16).into()),
    ];
    let frr = Frr::start(&lab.node(0).space, lab.scratch(), &routers);
    for (vrid, family) in [(12, "v4"), (13, "v4"), (16, "v6")] {
        wait_for(&format!("Master of {vrid}"), SOON, || frr.state(vrid, family).as_deref() == Some("Master"));
        wait_for("its advert", SOON, || capture.adverts().iter().any(|(_, advert)| advert.vrid == vrid));
    }
    let pcap = lab.scratch().file("frr.pcap");
    capture.write_pcap(&pcap);
    let judged = tshark(&pcap, false);
    assert!(judged.iter().all(|frame| frame.has_good_checksum), "{judged:?}");
    let prober = Prober::start(&lab.client, "eth0", lab.vip6(0, 16), Duration::from_millis(20));
    wait_for("answers for IPv6", SOON, || prober.timeline().answerers() == [Mac::virtual6(16)].into());
}

#[test]
fn a_partition_makes_two_holders_and_its_end_makes_one() {
    let lab = Lab::new(2, 1);
    let vip = IpAddr::from(lab.vip4(0, 1));
    let _peers = two_keepaliveds(&lab, vip);
    wait_for_holder(&lab, vip, 0);

    lab.node(1).cut_vrrp(Direction::Both);
    wait_for("two holders", SOON, || lab.holders(vip) == [0, 1]);
    let answers = sweep(&lab.client, "eth0", &[vip], Duration::from_millis(300));
    assert_eq!(answers[&vip], [lab.node(0).mac(0), lab.node(1).mac(0)].into());

    lab.node(1).heal_vrrp();
    wait_for_holder(&lab, vip, 0);
}

#[test]
fn a_hand_made_advert_of_higher_priority_wins_and_a_bad_checksum_does_not() {
    let lab = Lab::new(1, 1);
    let vip = IpAddr::from(lab.vip4(0, 1));
    let instance = KeepalivedInstance { interval: 0.1, ..KeepalivedInstance::new(51, 100, &[vip]) };
    let mut keepalived = Keepalived::start(&lab.node(0).space, lab.scratch(), &[instance]);
    wait_for_holder(&lab, vip, 0);
    let injector = Injector::new(&lab.client, "eth0");
    let advert = VrrpFrame::v3(lab.client_address4(0), 51, 254, 10, &[vip]);

    let broken = VrrpFrame { checksum: ha_tests::Checksum::Value(0xdead), ..advert.clone() };
    injector.send(&broken.bytes());
    keepalived.process.wait_for_log("checksum", SOON);
    assert_eq!(lab.holders(vip), [0], "a broken advert took the address");

    injector.send(&advert.bytes());
    keepalived.process.wait_for_log("Entering BACKUP STATE", SOON);
}

#[test]
fn tshark_and_scapy_judge_keepalived_sound_and_a_broken_frame_broken() {
    let lab = Lab::new(1, 1);
    let vip = IpAddr::from(lab.vip4(0, 1));
    let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
    let instances = [(51, 3, 0.1), (52, 2, 1.0)].map(|(vrid, version, interval)| {
        let address = lab.vip4(0, vrid).into();
        KeepalivedInstance { version, interval, ..KeepalivedInstance::new(vrid as u8, 100, &[address]) }
    });
    let _keepalived = Keepalived::start(&lab.node(0).space, lab.scratch(), &instances);
    let seen = |version| capture.adverts().iter().any(|(_, advert)| advert.version == version);
    wait_for("adverts of both versions", SOON, || seen(2) && seen(3));
    let sound = lab.scratch().file("sound.pcap");
    capture.write_pcap(&sound);
    for frame in tshark(&sound, false) {
        assert!(frame.has_good_checksum && frame.complaints.is_empty(), "{frame:?}");
    }
    let read = scapy(&sound);
    assert!(read.len() >= 2 && read.iter().all(|frame| frame.rebuilds_the_same), "{read:?}");

    capture.clear();
    let advert = VrrpFrame::v3(lab.client_address4(0), 61, 100, 100, &[vip]);
    let broken = VrrpFrame { checksum: ha_tests::Checksum::Value(0xdead), ..advert };
    Injector::new(&lab.client, "eth0").send(&broken.bytes());
    wait_for("the broken frame", SOON, || capture.adverts().iter().any(|(_, advert)| advert.vrid == 61));
    let path = lab.scratch().file("broken.pcap");
    capture.write_pcap(&path);
    let judged =
        tshark(&path, false).into_iter().find(|frame| frame.vrid == Some(61)).expect("tshark sees it");
    assert!(!judged.has_good_checksum && !judged.complaints.is_empty(), "{judged:?}");
    let judged = scapy(&path).into_iter().find(|frame| frame.vrid == 61).expect("scapy sees it");
    assert!(!judged.rebuilds_the_same, "{judged:?}");
}

#[test]
fn a_lab_goes_away_with_all_that_ran_in_it() {
    let lab = Lab::new(4, 4);
    let names: Vec<String> = lab.nodes().iter().map(|node| node.space.name().to_owned()).collect();
    let vip = IpAddr::from(lab.vip4(0, 1));
    let [active, _backup] = two_keepaliveds(&lab, vip);
    wait_for_holder(&lab, vip, 0);
    let usage = active.process.usage();
    assert!(usage.processes >= 2 && usage.resident > 1 << 20, "{usage:?}");
    let root = active.process.id();

    drop(lab);
    for name in names {
        assert!(!std::path::Path::new("/run/netns").join(&name).exists(), "{name} is still there");
    }
    drop(active);
    assert!(!std::path::Path::new(&format!("/proc/{root}")).exists(), "keepalived is still there");
}

#[test]
fn a_link_can_be_unplugged_deleted_made_anew_and_renamed() {
    let lab = Lab::new(2, 2);
    let node = lab.node(0);
    let carrier = || node.space.ip("-o link show dev eth1").contains("LOWER_UP");
    let reaches = || {
        lab.client.output("ip", &["neigh", "flush", "all"]).is_ok() && {
            let address = IpAddr::from(node.address4(1));
            sweep(&lab.client, "eth1", &[address], Duration::from_millis(100)).contains_key(&address)
        }
    };
    assert!(reaches());
    lab.unplug(node, 1);
    wait_for("carrier loss", SOON, || !carrier());
    assert!(!reaches());
    lab.plug(node, 1);
    wait_for("carrier", SOON, carrier);
    wait_for("answers", SOON, reaches);
    let index = || node.space.run(|| nix_index("eth1"));
    let before = index();
    node.delete_link(1);
    assert!(node.space.try_ip("link show dev eth1").is_err());
    lab.recreate_link(node, 1);
    wait_for("answers of the new link", SOON, reaches);
    assert_ne!(index(), before);
    node.link_down(1);
    node.rename_link("eth1", "other").expect("a link that is down can be renamed everywhere");
    assert!(node.space.try_ip("link show dev other").is_ok());
}

/// The index of a link in the calling thread's namespace.
fn nix_index(link: &str) -> Option<String> {
    let text = std::process::Command::new("ip").args(["-o", "link", "show", "dev", link]).output().ok()?;
    String::from_utf8(text.stdout).ok()?.split(':').next().map(str::to_owned)
}
