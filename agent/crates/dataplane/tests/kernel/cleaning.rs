//! What a killed agent leaves, and how it goes.

use ha_dataplane::{Options, Scope, cleanup};
use ha_engine::Ownership;

use crate::fixture::{Plane, ownership};
use crate::namespace::Namespace;
use crate::tags;

/// What an earlier process left: two addresses and a macvlan of ours beside strangers' ones.
fn leavings(node: &Namespace) {
    for address in ["192.0.2.100/32", "192.0.2.101/24", "2001:db8::100/128"] {
        tags::add(node, "wire", address, 112);
    }
    node.ip("address add 192.0.2.1/24 dev wire");
    tags::add(node, "wire", "192.0.2.5/24", 113);
    node.ip("link add link wire name vrrp4-9.abcde type macvlan mode bridge");
    node.ip("link set vrrp4-9.abcde alias ha-agent up");
    tags::add(node, "vrrp4-9.abcde", "192.0.2.109/32", 112);
    node.ip("link add link wire name theirs type macvlan mode bridge");
}

fn rest(node: &Namespace) -> (Vec<String>, bool, bool) {
    let addresses =
        node.addresses("wire").into_iter().filter(|line| line.starts_with("192") || line.starts_with("2001"));
    let addresses = addresses.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let links = node.ip("-br link");
    (addresses, links.contains("vrrp4-9.abcde"), links.contains("theirs"))
}

#[test]
fn settling_removes_what_nobody_claims_and_nothing_else() {
    let (node, _other) = Namespace::pair();
    node.write("ipv4/conf/wire/promote_secondaries", "1");
    leavings(&node);
    let mut plane = Plane::new(&node);
    // Adopted, not removed and added.
    plane.own(ownership(1, &["192.0.2.100/32"])).unwrap();
    assert!(node.has("wire", "2001:db8::100/128"));
    plane.handle.settle().unwrap();
    plane.own(ownership(2, &[])).unwrap();
    let mut expected =
        vec!["192.0.2.100/32".to_owned(), "192.0.2.1/24".to_owned(), "192.0.2.5/24".to_owned()];
    let (mut addresses, has_ours, has_theirs) = rest(&node);
    addresses.sort();
    expected.sort();
    assert_eq!((addresses, has_ours, has_theirs), (expected, false, true));
}

#[test]
fn cleaning_up_without_an_agent_removes_all_that_is_ours() {
    let (node, _other) = Namespace::pair();
    node.write("ipv4/conf/wire/promote_secondaries", "1");
    leavings(&node);
    let elsewhere = node.run(|| cleanup(&Scope::Interface("lo".into()))).unwrap();
    assert_eq!(elsewhere, ha_dataplane::Cleaned::default());
    let cleaned = node.run(|| cleanup(&Scope::Interface("wire".into()))).unwrap();
    assert_eq!((cleaned.addresses.len(), cleaned.failures), (4, vec![]));
    assert!(cleaned.addresses.contains(&"wire 192.0.2.101/24".to_owned()), "{:?}", cleaned.addresses);
    assert_eq!(cleaned.links, ["vrrp4-9.abcde"]);
    let (mut addresses, has_ours, has_theirs) = rest(&node);
    addresses.sort();
    assert_eq!(
        (addresses, has_ours, has_theirs),
        (vec!["192.0.2.1/24".into(), "192.0.2.5/24".into()], false, true)
    );
    assert_eq!(node.run(|| cleanup(&Scope::Everywhere)).unwrap(), ha_dataplane::Cleaned::default());
}

#[test]
fn after_settling_a_stray_address_of_ours_goes_at_the_next_heartbeat() {
    let (node, _other) = Namespace::pair();
    let heartbeat = std::time::Duration::from_millis(200);
    let mut plane = Plane::with(&node, Options { heartbeat, ..Options::default() });
    plane.handle.settle().unwrap();
    plane.own(Ownership { ..ownership(1, &["192.0.2.100/32"]) }).unwrap();
    tags::add(&node, "wire", "192.0.2.150/32", 112);
    crate::fixture::eventually("it is gone", || !node.has("wire", "192.0.2.150/32"));
    assert!(node.has("wire", "192.0.2.100/32"));
}
