//! Our packets in other people's decoders: tshark and scapy read everything we send and complain about nothing.

use std::{collections::BTreeSet, net::IpAddr, path::Path, process::Command};

use ha_tests::{
    Advert, Agent, AgentInstance, Capture, Lab, Mac, Program, Wanted, require, scapy, tshark, wait_for,
};
use serde_json::Value;

use crate::versus::SOON;

/// Owners, so that they are Active at once, of every kind of advert.
fn instances(lab: &Lab) -> Vec<AgentInstance> {
    let make = |vrid: u8, version: u8, extra: &str| AgentInstance {
        version,
        interval: if version == 2 { "1s" } else { "100ms" }.to_owned(),
        extra: extra.to_owned(),
        ..AgentInstance::new(vrid, 255, &[lab.vip4(0, u16::from(vrid)).into()])
    };
    let six = [Mac::virtual6(16).link_local().into(), lab.vip6(0, 16).into()];
    let peer = lab.client_address4(0);
    vec![
        make(12, 2, ""),
        make(22, 2, "password = \"abcdefgh\""),
        make(13, 3, ""),
        make(14, 3, &format!("unicast = {{ peers = [\"{peer}\"] }}")),
        AgentInstance { addresses: six.to_vec(), ..make(16, 3, "") },
        AgentInstance {
            addresses: (100..150).map(|number| lab.vip4(0, number).into()).collect(),
            ..make(15, 3, "")
        },
        make(17, 3, "virtual_mac = true"),
    ]
}

/// Captures what these instances send until each has sent some adverts, and stops them in order: priority 0 as well.
fn capture_of(lab: &Lab, instances: &[AgentInstance]) -> Capture {
    let capture = Capture::start(&lab.switch, "br0", Wanted::VrrpAndAnnouncements);
    let mut agent = Agent::start(lab.node(0), lab.scratch(), instances);
    agent.wait_until_ready(SOON);
    let seen = |vrid: u8, priority: u8| {
        capture
            .adverts()
            .iter()
            .filter(|(_, advert)| advert.vrid == vrid && advert.priority == priority)
            .count()
    };
    for instance in instances {
        wait_for(&format!("adverts of {}", instance.vrid), SOON, || seen(instance.vrid, 255) >= 2);
        agent.wait_for_event("instance.announced", SOON, |event| {
            event.text("subject").ends_with(&instance.name)
        });
    }
    assert_eq!(agent.process.terminate(SOON).code(), Some(0));
    for instance in instances {
        wait_for(&format!("the release of {}", instance.vrid), SOON, || seen(instance.vrid, 0) >= 1);
    }
    capture
}

fn vrids_of(adverts: &[Advert]) -> BTreeSet<u8> {
    adverts.iter().map(|advert| advert.vrid).collect()
}

#[test]
fn tshark_and_scapy_read_every_kind_of_advert_and_announcement_without_a_complaint() {
    let lab = Lab::new(1, 1);
    let instances = instances(&lab);
    let capture = capture_of(&lab, &instances);
    let pcap = lab.scratch().file("ours.pcap");
    let written = capture.frames().len();
    capture.write_pcap(&pcap);

    let frames = tshark(&pcap, false);
    assert!(frames.len() >= written, "{} of {written} frames", frames.len());
    for frame in &frames {
        assert!(frame.complaints.is_empty(), "{frame:?}");
        assert!(frame.version.is_none() || frame.has_good_checksum, "{frame:?}");
    }
    let wanted: BTreeSet<u8> = instances.iter().map(|instance| instance.vrid).collect();
    let read: BTreeSet<u8> = frames.iter().filter_map(|frame| frame.vrid).collect();
    assert_eq!(read, wanted);
    let has = |protocol: &str| frames.iter().any(|frame| frame.protocols.iter().any(|name| name == protocol));
    assert!(has("arp") && has("icmpv6"), "no announcements in it");

    let read = scapy(&pcap);
    assert_eq!(read.len(), frames.iter().filter(|frame| frame.version.is_some()).count());
    for frame in &read {
        assert!(frame.rebuilds_the_same, "{frame:?}");
        let instance = instances.iter().find(|instance| instance.vrid == frame.vrid).expect("one of ours");
        assert_eq!((frame.version, &frame.addresses), (instance.version, &instance.addresses), "{frame:?}");
    }
    let adverts: Vec<Advert> = capture.adverts().into_iter().map(|(_, advert)| advert).collect();
    assert_eq!(vrids_of(&adverts), wanted);
    assert!(adverts.iter().all(|advert| advert.ttl == 255 && advert.kind == 1));
}

#[test]
fn the_checksum_over_the_message_alone_is_what_tshark_expects_with_its_other_setting() {
    let lab = Lab::new(1, 1);
    let instance = AgentInstance {
        interval: "100ms".to_owned(),
        extra: "checksum = \"message-only\"".to_owned(),
        ..AgentInstance::new(18, 255, &[lab.vip4(0, 18).into()])
    };
    let capture = capture_of(&lab, &[instance]);
    let pcap = lab.scratch().file("ours.pcap");
    capture.write_pcap(&pcap);
    let is_good = |message_only: bool| {
        let adverts = tshark(&pcap, message_only).into_iter().filter(|frame| frame.vrid.is_some());
        adverts.map(|frame| frame.has_good_checksum && frame.complaints.is_empty()).collect::<BTreeSet<_>>()
    };
    assert_eq!(is_good(true), [true].into());
    // The two forms differ: a judge that finds both good judges nothing.
    assert_eq!(is_good(false), [false].into());
}

#[test]
fn scapy_rebuilds_our_announcements_and_they_name_the_right_mac() {
    let lab = Lab::new(1, 1);
    let instances = instances(&lab);
    let capture = capture_of(&lab, &instances);
    let pcap = lab.scratch().file("ours.pcap");
    capture.write_pcap(&pcap);
    let read = announcements(&pcap);

    for instance in &instances {
        let mac = if instance.extra.contains("virtual_mac") {
            Mac::virtual4(instance.vrid)
        } else {
            lab.node(0).mac(0)
        };
        for address in &instance.addresses {
            let text = address.to_string();
            let found: Vec<&Value> = read.iter().filter(|item| item["address"] == text.as_str()).collect();
            assert!(!found.is_empty(), "{address} was not announced");
            for item in found {
                assert_eq!(item["same"], true, "{item}");
                assert_eq!(item["mac"], mac.to_string().as_str(), "{item}");
                assert_right_way(item, *address);
            }
        }
    }
}

fn assert_right_way(item: &Value, address: IpAddr) {
    if address.is_ipv4() {
        assert_eq!(item["kind"], "arp", "{item}");
        assert_eq!(item["to"], "ff:ff:ff:ff:ff:ff", "{item}");
        assert_eq!(item["operation"], 1, "{item}");
    } else {
        assert_eq!(item["kind"], "na", "{item}");
        assert_eq!((&item["to"], &item["hop_limit"]), (&"ff02::1".into(), &255.into()), "{item}");
        assert_eq!(item["override"], 1, "{item}");
    }
}

fn announcements(pcap: &Path) -> Vec<Value> {
    require(&[Program::Scapy]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/judge_announcements.py");
    let output = Command::new("/usr/bin/python3").arg(script).arg(pcap).output().expect("python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}
