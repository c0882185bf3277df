//! An instance whose addresses are on several links.

use std::time::Duration;

use ha_engine::{Announcement, InstanceId, Ownership};

use crate::fixture::{Plane, announcement, eventually, ownership};
use crate::namespace::Namespace;
use crate::sockets::Capture;
use crate::tags;

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];

/// What announces.
const FILTER: &str = "arp or (icmp6 and ip6[40] = 136)";

/// Two namespaces with two links between them.
fn pair() -> (Namespace, Namespace) {
    let (node, other) = Namespace::pair();
    node.connect(&other, "side");
    (node, other)
}

/// What of ours each link has.
fn ours(node: &Namespace) -> [Vec<String>; 2] {
    ["wire", "side"].map(|link| tags::ours(node, link))
}

#[test]
fn each_address_is_on_its_link_and_goes_from_there() {
    let (node, _other) = pair();
    let mut plane = Plane::new(&node);
    let all = ["192.0.2.100/32", "198.51.100.1/24@side", "2001:db8::1/64@side"];
    plane.own(ownership(1, &all)).unwrap();
    assert_eq!(ours(&node), [vec!["192.0.2.100/32"], vec!["198.51.100.1/24", "2001:db8::1/64"]]);
    // One that changes its link, and one that is wanted on both by different instances.
    plane.own(ownership(1, &["192.0.2.100/32", "198.51.100.1/24", "2001:db8::1/64@side"])).unwrap();
    assert_eq!(ours(&node), [vec!["192.0.2.100/32", "198.51.100.1/24"], vec!["2001:db8::1/64"]]);
    plane.own(ownership(2, &["2001:db8::1/64"])).unwrap();
    plane.own(ownership(1, &[])).unwrap();
    assert_eq!(ours(&node), [vec!["2001:db8::1/64"], vec![]]);
    plane.own(ownership(2, &[])).unwrap();
    assert_eq!(ours(&node), [[""; 0]; 2]);
}

#[test]
fn a_loss_and_a_missing_link_are_told_whichever_link_it_is() {
    let (node, _other) = pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/32", "198.51.100.1/32@side"])).unwrap();
    node.ip("address del 198.51.100.1/32 dev side");
    assert_eq!(plane.wait_for_loss(), (InstanceId(1), "198.51.100.1".parse().unwrap()));
    // What goes with its link is told as the link's state.
    plane.own(ownership(1, &["192.0.2.100/32", "198.51.100.1/32@side", "2001:db8::1/128@side"])).unwrap();
    node.ip("link set side down");
    let losses = plane.listen(Duration::from_millis(300));
    assert!(losses.iter().all(|report| !format!("{report:?}").contains("AddressLost")), "{losses:?}");
    node.ip("link del side");
    let refusal = plane.own(ownership(1, &["192.0.2.100/32", "198.51.100.1/32@side"])).unwrap_err();
    assert!(refusal.contains("there is no link side"), "{refusal}");
    plane.own(ownership(1, &[])).unwrap();
    assert_eq!(tags::ours(&node, "wire"), [""; 0]);
}

#[test]
fn leases_are_renewed_on_every_link_and_end_on_every_link() {
    let (node, _other) = pair();
    let mut plane = Plane::new(&node);
    let lease = Some(Duration::from_secs(1));
    plane.own(Ownership { lease, ..ownership(1, &["192.0.2.100/32", "198.51.100.1/32@side"]) }).unwrap();
    plane.handle.settle().unwrap();
    std::thread::sleep(Duration::from_millis(2500));
    assert!(node.has("wire", "192.0.2.100/32") && node.has("side", "198.51.100.1/32"));
    plane.beat(false);
    eventually("both are gone", || {
        !node.has("wire", "192.0.2.100/32") && !node.has("side", "198.51.100.1/32")
    });
}

#[test]
fn each_address_is_announced_on_its_link_and_in_the_way_of_its_family() {
    let (node, other) = pair();
    let mut plane = Plane::new(&node);
    let all = ["192.0.2.100/32", "2001:db8::1/64", "198.51.100.1/24@side", "2001:db8:1::1/64@side"];
    plane.own(ownership(1, &all)).unwrap();
    let captures = ["wire", "side"].map(|link| Capture::start_on(&other, link, FILTER, 2));
    assert_eq!(plane.announce(announcement(1, &all)), 4);
    let texts = captures.map(Capture::finish);
    for (text, addresses) in texts.iter().zip(all.chunks(2)) {
        let bare = |address: &str| address.split('/').next().unwrap().to_owned();
        let [four, six] = [addresses[0], addresses[1]].map(bare);
        assert!(text.contains(&format!("Request who-has {four} (ff:ff:ff:ff:ff:ff) tell {four}")), "{text}");
        assert!(text.contains(&format!("{six} > ff02::1")), "{text}");
    }
    let view = || plane.handle.kernel_view();
    eventually("the view has it", || {
        view().get(&"side".into(), "198.51.100.1".parse().unwrap()).announcements == 1
    });
    assert_eq!(view().get(&"wire".into(), "198.51.100.1".parse().unwrap()).announcements, 0);
}

#[test]
fn the_virtual_mac_is_for_the_instances_own_link_and_family() {
    let (node, other) = pair();
    let mut plane = Plane::new(&node);
    let all = ["192.0.2.100/32", "2001:db8::1/64", "198.51.100.1/24@side"];
    plane.own(Ownership { virtual_mac: Some(MAC), ..ownership(1, &all) }).unwrap();
    assert_eq!(ours(&node), [["2001:db8::1/64"], ["198.51.100.1/24"]]);
    let links = node.ip("-br link show type macvlan");
    let macvlan = links.split('@').next().unwrap().to_owned();
    assert!(node.has(&macvlan, "192.0.2.100/32"), "{links}");
    let captures =
        [("wire", 2), ("side", 1)].map(|(link, count)| Capture::start_on(&other, link, FILTER, count));
    assert_eq!(plane.announce(Announcement { virtual_mac: Some(MAC), ..announcement(1, &all) }), 3);
    let [wire, side] = captures.map(Capture::finish);
    assert!(wire.contains("00:00:5e:00:01:07 > ff:ff:ff:ff:ff:ff"), "{wire}");
    assert!(wire.contains(&format!("{} > 33:33:00:00:00:01", node.mac("wire"))), "{wire}");
    assert!(side.contains(&format!("{} > ff:ff:ff:ff:ff:ff", node.mac("side"))), "{side}");
    plane.own(ownership(1, &[])).unwrap();
    assert_eq!(node.ip("-br link show type macvlan"), "");
    assert_eq!(ours(&node), [[""; 0]; 2]);
}
