//! One process leaves everything where it is, the next one goes on and puts it away.

use std::time::Duration;

use ha_dataplane::Left;
use ha_engine::Ownership;

use crate::fixture::{Plane, eventually, ownership};
use crate::namespace::Namespace;
use crate::tags;

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];

fn leased(instance: u32, seconds: u64, addresses: &[&str]) -> Ownership {
    Ownership { lease: Some(Duration::from_secs(seconds)), ..ownership(instance, addresses) }
}

fn leave(plane: &Plane) -> Left {
    plane.handle.leave().blocking_recv().unwrap()
}

/// What the kernel says of an address: seconds that it is still valid.
fn valid(node: &Namespace, address: &str) -> String {
    let text = node.ip("-o address show dev wire");
    let line = text.lines().find(|line| line.contains(address)).unwrap_or_default();
    line.split("valid_lft ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
}

#[test]
fn who_leaves_leaves_addresses_with_fresh_leases_and_the_next_one_holds_the_same_ones() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(leased(1, 30, &["192.0.2.100/32"])).unwrap();
    plane.own(leased(2, 60, &["2001:db8::100/128"])).unwrap();
    plane.own(ownership(3, &["192.0.2.101/32"])).unwrap();
    let left =
        || valid(&node, "192.0.2.100/32").strip_suffix("sec").and_then(|left| left.parse::<u32>().ok());
    eventually("a second of the lease is over", || left().is_some_and(|left| left < 30));
    assert_eq!(leave(&plane).failures, [""; 0]);
    let left = ["192.0.2.100/32", "2001:db8::100/128", "192.0.2.101/32"].map(|address| valid(&node, address));
    assert_eq!(left, ["30sec", "60sec", "forever"]);

    let mut next = Plane::new(&node);
    next.own(leased(1, 30, &["192.0.2.100/32"])).unwrap();
    next.handle.settle().unwrap();
    eventually("what nobody claims has gone", || tags::ours(&node, "wire") == ["192.0.2.100/32"]);
    let withdrawn = next.handle.shutdown().blocking_recv().unwrap();
    assert_eq!((withdrawn.addresses, withdrawn.failures), (1, vec![]));
}

#[test]
fn without_a_next_process_the_kernel_takes_the_addresses_away() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(leased(1, 1, &["192.0.2.100/32"])).unwrap();
    let _ = leave(&plane);
    assert!(node.has("wire", "192.0.2.100/32"));
    eventually("the lease is over", || !node.has("wire", "192.0.2.100/32"));
}

#[test]
fn a_macvlan_survives_and_the_next_process_knows_what_the_link_was_like_before_it() {
    let (node, _other) = Namespace::pair();
    let settings = || ["arp_ignore", "arp_announce"].map(|key| node.read(&format!("ipv4/conf/wire/{key}")));
    node.write("ipv4/conf/wire/arp_announce", "1");
    let before = settings();
    let link = || node.ip("-o link show type macvlan").split(':').next().unwrap_or_default().to_owned();
    let owned = Ownership { virtual_mac: Some(MAC), ..leased(1, 30, &["192.0.2.100/32"]) };
    let mut plane = Plane::new(&node);
    plane.own(owned.clone()).unwrap();
    let made = link();
    let left = leave(&plane);
    assert_eq!(left.settings.get("wire"), Some(&[0, 1]));
    assert_eq!(link(), made);

    let mut next = Plane::new(&node);
    next.handle.inherit(left.settings).unwrap();
    next.own(owned).unwrap();
    assert_eq!(link(), made, "the same link, not one like it");
    let withdrawn = next.handle.shutdown().blocking_recv().unwrap();
    assert_eq!((withdrawn.links, withdrawn.failures), (1, vec![]));
    assert_eq!((link(), settings()), (String::new(), before));
}
