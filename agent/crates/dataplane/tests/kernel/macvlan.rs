//! Virtual router MAC addresses: only they stand for the virtual address.

use ha_dataplane::{FrameSocket, VrrpSocket};
use ha_engine::{Announcement, Family, Ownership};

use crate::fixture::{Plane, announcement, eventually, ownership};
use crate::namespace::Namespace;
use crate::sockets::Capture;

const MAC: [u8; 6] = [0, 0, 0x5e, 0, 1, 7];
const MAC_TEXT: &str = "00:00:5e:00:01:07";
const MAC6: [u8; 6] = [0, 0, 0x5e, 0, 2, 7];
const MAC6_TEXT: &str = "00:00:5e:00:02:07";

fn virtual_ownership(instance: u32, mac: [u8; 6], addresses: &[&str]) -> Ownership {
    Ownership { virtual_mac: Some(mac), ..ownership(instance, addresses) }
}

fn macvlans(node: &Namespace) -> Vec<String> {
    let text = node.ip("-br link show type macvlan");
    text.lines().map(|line| line.split(['@', ' ']).next().unwrap().to_owned()).collect()
}

/// Neighbour entry that the client learns by asking.
fn resolve(client: &Namespace, address: &str) -> String {
    client.ip("neighbour flush all");
    let (is_answered, text) = client.shell("ping", &format!("-c 2 -W 2 -i 0.2 {address}"));
    assert!(is_answered, "{text}");
    client.ip(&format!("neighbour show {address} dev wire"))
}

fn pair() -> (Namespace, Namespace) {
    let (node, client) = Namespace::pair();
    node.ip("address add 192.0.2.1/24 dev wire");
    client.ip("address add 192.0.2.2/24 dev wire");
    node.ip("address add 2001:db8::1/64 dev wire nodad");
    client.ip("address add 2001:db8::2/64 dev wire nodad");
    (node, client)
}

#[test]
fn only_the_virtual_mac_answers_for_a_virtual_ipv4_address() {
    let (node, client) = pair();
    // The strictest reverse path check, as many distributions set it.
    for scope in ["all", "default", "wire"] {
        node.write(&format!("ipv4/conf/{scope}/rp_filter"), "1");
    }
    let mut plane = Plane::new(&node);
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    let links = macvlans(&node);
    assert_eq!(links.len(), 1);
    assert!(links[0].starts_with("vrrp4-7.") && node.has(&links[0], "192.0.2.100/32"), "{links:?}");
    assert!(!node.addresses(&links[0]).join("\n").contains("inet6"), "{:?}", node.addresses(&links[0]));
    let capture = Capture::start(&client, "arp[6:2] = 2 and src host 192.0.2.100", 99);
    let learned = resolve(&client, "192.0.2.100");
    assert!(learned.contains(MAC_TEXT), "{learned}");
    // What the node itself sends, even from the virtual address, does not tie it to the link's own MAC.
    node.ip("neighbour flush all");
    let (is_answered, text) = node.shell("ping", "-c 1 -W 2 -I 192.0.2.100 192.0.2.2");
    assert!(is_answered, "{text}");
    let learned = client.ip("neighbour show 192.0.2.100 dev wire");
    assert!(learned.contains(MAC_TEXT), "{learned}");
    let answers = capture.stop();
    assert!(answers.contains(MAC_TEXT) && !answers.contains(&node.mac("wire")), "{answers}");
    // The node's own address is still its own.
    let own = resolve(&client, "192.0.2.1");
    assert!(own.contains(&node.mac("wire")), "{own}");
}

#[test]
fn only_the_virtual_mac_answers_for_virtual_ipv6_addresses() {
    let (node, client) = pair();
    let mut plane = Plane::new(&node);
    plane.own(virtual_ownership(1, MAC6, &["fe80::100/128", "2001:db8::100/128"])).unwrap();
    assert!(macvlans(&node)[0].starts_with("vrrp6-7."));
    let learned = resolve(&client, "2001:db8::100");
    assert!(learned.contains(MAC6_TEXT), "{learned}");
    let (is_answered, text) = client.shell("ping", "-c 2 -W 2 -i 0.2 fe80::100%wire");
    assert!(is_answered, "{text}");
    let learned = client.ip("neighbour show fe80::100 dev wire");
    assert!(learned.contains(MAC6_TEXT), "{learned}");
}

#[test]
fn announcements_carry_the_virtual_mac() {
    let (node, client) = pair();
    let mut plane = Plane::new(&node);
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    plane.own(virtual_ownership(2, MAC6, &["2001:db8::100/128"])).unwrap();
    let capture = Capture::start(&client, "src host 2001:db8::100 or (arp and src host 192.0.2.100)", 2);
    let four = Announcement { virtual_mac: Some(MAC), ..announcement(1, &["192.0.2.100/32"]) };
    assert_eq!(plane.announce(four), 1);
    let six = Announcement { virtual_mac: Some(MAC6), ..announcement(2, &["2001:db8::100/128"]) };
    assert_eq!(plane.announce(six), 1);
    let text = capture.finish();
    assert!(text.contains(&format!("{MAC_TEXT} > ff:ff:ff:ff:ff:ff")), "{text}");
    assert!(text.contains(&format!("{MAC6_TEXT} > 33:33:00:00:00:01")), "{text}");
    assert!(
        text.contains(&format!("destination link-address option (2), length 8 (1): {MAC6_TEXT}")),
        "{text}"
    );
}

#[test]
fn a_macvlan_lives_as_long_as_its_addresses_and_leaves_no_trace() {
    let (node, _client) = pair();
    let mut plane = Plane::new(&node);
    let settings = || ["arp_ignore", "arp_announce"].map(|key| node.read(&format!("ipv4/conf/wire/{key}")));
    node.write("ipv4/conf/wire/arp_announce", "1");
    let before = settings();
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    plane.own(virtual_ownership(2, [0, 0, 0x5e, 0, 1, 8], &["192.0.2.101/32"])).unwrap();
    assert_eq!((macvlans(&node).len(), settings()), (2, ["1".to_owned(), "2".to_owned()]));
    plane.own(virtual_ownership(1, MAC, &[])).unwrap();
    assert_eq!((macvlans(&node).len(), settings()), (1, ["1".to_owned(), "2".to_owned()]));
    plane.own(virtual_ownership(2, [0, 0, 0x5e, 0, 1, 8], &[])).unwrap();
    assert_eq!((macvlans(&node).len(), settings()), (0, before.clone()));
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    let withdrawn = plane.handle.shutdown().blocking_recv().unwrap();
    assert_eq!((withdrawn.links, withdrawn.failures), (1, vec![]));
    assert_eq!((macvlans(&node).len(), settings()), (0, before));
}

#[test]
fn a_macvlan_that_somebody_removes_is_a_loss_and_comes_back_with_a_new_ownership() {
    let (node, client) = pair();
    let mut plane = Plane::new(&node);
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    node.ip(&format!("link delete {}", macvlans(&node)[0]));
    plane.wait_for_loss();
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    assert!(resolve(&client, "192.0.2.100").contains(MAC_TEXT));
}

#[test]
fn a_strangers_link_of_that_name_is_left_alone() {
    let (node, _client) = pair();
    let mut plane = Plane::new(&node);
    plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    let name = macvlans(&node)[0].clone();
    plane.own(virtual_ownership(1, MAC, &[])).unwrap();
    node.ip(&format!("link add {name} type veth peer name far"));
    let refusal = plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap_err();
    assert!(refusal.contains(&name) && refusal.contains("not ours"), "{refusal}");
    assert!(node.ip("-br link").contains(&name));
}

/// Both have the same MAC then; a macvlan in private mode would hide the other's adverts from the link.
#[test]
fn two_active_routers_with_the_same_virtual_mac_hear_each_other() {
    let (left, right) = pair();
    let mut planes = [Plane::new(&left), Plane::new(&right)];
    for plane in &mut planes {
        plane.own(virtual_ownership(1, MAC, &["192.0.2.100/32"])).unwrap();
    }
    let (from, to) = (left.index("wire"), right.index("wire"));
    let mut frames = left.run(move || FrameSocket::open("wire", from)).unwrap();
    let mut socket = right.run(move || VrrpSocket::open("wire", to, Family::Ipv4)).unwrap();
    frames.queue(MAC, "192.0.2.1".parse().unwrap(), "224.0.0.18".parse().unwrap(), 255, b"advert").unwrap();
    assert_eq!(frames.flush().sent, 1);
    let mut count = 0;
    eventually("the advert arrives", || {
        let _ = socket.recv_batch(|received| {
            assert_eq!(received.octets, b"advert");
            count += 1;
        });
        count > 0
    });
    std::thread::sleep(std::time::Duration::from_millis(50));
    let _ = socket.recv_batch(|_| count += 1);
    assert_eq!(count, 1);
}
