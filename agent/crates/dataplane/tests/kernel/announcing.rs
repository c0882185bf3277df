//! Gratuitous ARP and neighbour advertisements as the other side sees them.

use std::time::Duration;

use crate::fixture::{Plane, announcement, eventually, ownership};
use crate::namespace::Namespace;
use crate::sockets::Capture;

#[test]
fn the_other_side_sees_announcements_of_held_addresses_only() {
    let (node, other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/32", "192.0.2.101/32"])).unwrap();
    plane.own(ownership(2, &["2001:db8::100/128"])).unwrap();
    let capture = Capture::start(&other, "arp or (icmp6 and ip6[40] = 136)", 3);
    assert_eq!(plane.announce(announcement(1, &["192.0.2.100/32", "192.0.2.101/32", "192.0.2.102/32"])), 2);
    assert_eq!(plane.announce(announcement(2, &["2001:db8::100/128", "2001:db8::101/128"])), 1);
    let (text, mac) = (capture.finish(), node.mac("wire"));
    for address in ["192.0.2.100", "192.0.2.101"] {
        assert!(
            text.contains(&format!("Request who-has {address} (ff:ff:ff:ff:ff:ff) tell {address}")),
            "{text}"
        );
    }
    assert!(text.contains(&format!("{mac} > ff:ff:ff:ff:ff:ff")), "{text}");
    assert!(text.contains(&format!("{mac} > 33:33:00:00:00:01")), "{text}");
    assert!(text.contains("2001:db8::100 > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement"), "{text}");
    assert!(text.contains("tgt is 2001:db8::100, Flags [override]"), "{text}");
    assert!(text.contains("hlim 255"), "{text}");
}

#[test]
fn announcements_move_the_other_sides_neighbour_entries() {
    let (node, other) = Namespace::pair();
    other.ip("address add 192.0.2.2/24 dev wire");
    other.ip("address add 2001:db8::2/64 dev wire nodad");
    for address in ["192.0.2.100", "2001:db8::100"] {
        other.ip(&format!("neighbour add {address} lladdr 02:00:00:00:00:01 nud stale dev wire"));
    }
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/32", "2001:db8::100/128"])).unwrap();
    assert_eq!(plane.announce(announcement(1, &["192.0.2.100/32", "2001:db8::100/128"])), 2);
    let mac = node.mac("wire");
    for address in ["192.0.2.100", "2001:db8::100"] {
        eventually("the neighbour entry has moved", || {
            other.ip(&format!("neighbour show {address} dev wire")).contains(&mac)
        });
    }
}

#[test]
fn a_router_says_so_in_its_advertisements() {
    let (node, other) = Namespace::pair();
    node.write("ipv6/conf/wire/forwarding", "1");
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["2001:db8::100/128"])).unwrap();
    let capture = Capture::start(&other, "icmp6 and ip6[40] = 136 and ip6 src 2001:db8::100", 1);
    plane.announce(announcement(1, &["2001:db8::100/128"]));
    let text = capture.finish();
    assert!(text.contains("Flags [router, override]"), "{text}");
}

#[test]
fn the_view_tells_when_and_how_often_an_address_was_announced() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/32"])).unwrap();
    for _ in 0..3 {
        plane.announce(announcement(1, &["192.0.2.100/32"]));
    }
    let (name, address) = ("wire".into(), "192.0.2.100".parse().unwrap());
    eventually("three are counted", || plane.handle.kernel_view().get(&name, address).announcements == 3);
    let view = plane.handle.kernel_view().get(&name, address);
    assert!(view.announced.is_some() && view.present && view.ours && view.prefix_length == 32);
    plane.own(ownership(1, &[])).unwrap();
    eventually("it is gone", || !plane.handle.kernel_view().get(&name, address).present);
    assert_eq!(plane.announce(announcement(1, &["192.0.2.100/32"])), 0);
}

#[test]
fn a_thousand_announcements_leave_the_node_together() {
    let (node, other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    let texts: Vec<String> =
        (0..1000).map(|number| format!("10.9.{}.{}/32", number / 250, number % 250 + 1)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    plane.own(ownership(1, &texts)).unwrap();
    let count = |namespace: &Namespace| -> u64 {
        let (_, text) = namespace.shell("cat", "/proc/thread-self/net/dev");
        let line = text.lines().find(|line| line.trim_start().starts_with("wire:")).unwrap().to_owned();
        line.split_whitespace().nth(2).unwrap().parse().unwrap()
    };
    let before = count(&other);
    assert_eq!(plane.announce(announcement(1, &texts)), 1000);
    eventually("all have arrived", || count(&other) >= before + 1000);
    std::thread::sleep(Duration::from_millis(10));
}
