//! Links that go down, lose their carrier, go away, come back and change their names and addresses.

use std::net::IpAddr;
use std::time::Duration;

use ha_dataplane::Report;
use ha_engine::{LinkCondition, LinkId};

use crate::fixture::{Plane, ownership};
use crate::namespace::Namespace;

fn wait_for(plane: &mut Plane, condition: LinkCondition) -> Option<u32> {
    plane.wait(&format!("{condition:?}"), |report| match report {
        Report::Link { link: LinkId(0), state, ifindex, .. } if state.condition == condition => {
            Some(*ifindex)
        }
        _ => None,
    })
}

fn wait_for_addresses(plane: &mut Plane, expected: &[&str]) {
    let expected: Vec<IpAddr> = expected.iter().map(|address| address.parse().unwrap()).collect();
    plane.wait(&format!("{expected:?}"), |report| match report {
        Report::Link { state, .. } => (state.addresses == expected).then_some(()),
        _ => None,
    });
}

#[test]
fn every_condition_of_a_link_is_told() {
    let (node, other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    let index = wait_for(&mut plane, LinkCondition::Up);
    assert_eq!(index, Some(node.index("wire")));
    other.ip("link set wire down");
    wait_for(&mut plane, LinkCondition::NoCarrier);
    other.ip("link set wire up");
    wait_for(&mut plane, LinkCondition::Up);
    node.ip("link set wire down");
    wait_for(&mut plane, LinkCondition::Down);
    node.ip("link delete wire");
    assert_eq!(wait_for(&mut plane, LinkCondition::Missing), None);
    node.ip("link add wire type veth peer name far");
    node.ip("link set far up");
    node.ip("link set wire up");
    let again = wait_for(&mut plane, LinkCondition::Up);
    assert!(again.is_some() && again != index);
}

#[test]
fn a_link_is_followed_by_its_configured_name() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    wait_for(&mut plane, LinkCondition::Up);
    node.ip("link set wire down");
    node.ip("link set wire name cable");
    node.ip("link set cable up");
    assert_eq!(wait_for(&mut plane, LinkCondition::Missing), None);
    node.ip("link add spare type veth peer name far");
    node.ip("link set spare name wire");
    let index = wait_for(&mut plane, LinkCondition::Down);
    assert_eq!(index, Some(node.index("wire")));
}

#[test]
fn addresses_are_told_without_ours_and_primary_first() {
    let (node, _other) = Namespace::pair();
    node.ip("address flush dev wire");
    node.write("ipv4/conf/wire/promote_secondaries", "1");
    node.ip("address add 192.0.2.1/24 dev wire");
    let mut plane = Plane::new(&node);
    wait_for_addresses(&mut plane, &["192.0.2.1"]);
    node.ip("address add 192.0.2.9/24 dev wire");
    wait_for_addresses(&mut plane, &["192.0.2.1", "192.0.2.9"]);
    plane.own(ownership(1, &["192.0.2.100/32", "2001:db8::100/128"])).unwrap();
    node.ip("address add 2001:db8::1/64 dev wire nodad");
    node.ip("address add fe80::77/64 dev wire nodad");
    wait_for_addresses(&mut plane, &["192.0.2.1", "192.0.2.9", "fe80::77", "2001:db8::1"]);
    node.ip("address delete 192.0.2.1/24 dev wire");
    node.ip("address add 10.0.0.1/8 dev wire");
    wait_for_addresses(&mut plane, &["192.0.2.9", "10.0.0.1", "fe80::77", "2001:db8::1"]);
}

#[test]
fn a_tentative_or_duplicate_address_is_not_usable() {
    let (node, other) = Namespace::pair();
    other.ip("address add 2001:db8::5/64 dev wire nodad");
    node.write("ipv6/conf/wire/accept_dad", "1");
    let mut plane = Plane::new(&node);
    wait_for(&mut plane, LinkCondition::Up);
    node.ip("address add 2001:db8::5/64 dev wire");
    node.ip("address add 192.0.2.1/24 dev wire");
    let duplicate: IpAddr = "2001:db8::5".parse().unwrap();
    let reports = plane.listen(Duration::from_millis(2500));
    assert!(node.addresses("wire").join("\n").contains("dadfailed"), "{:?}", node.addresses("wire"));
    let told: Vec<_> = reports
        .iter()
        .filter_map(|report| match report {
            Report::Link { state, .. } => Some(state.addresses.clone()),
            _ => None,
        })
        .collect();
    assert!(!told.is_empty() && told.iter().all(|addresses| !addresses.contains(&duplicate)), "{told:?}");
}

#[test]
fn ipv6_addresses_that_go_with_a_link_that_goes_down_are_told_when_it_is_up_again() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["2001:db8::100/128"])).unwrap();
    node.ip("link set wire down");
    wait_for(&mut plane, LinkCondition::Down);
    let reports = plane.listen(Duration::from_millis(200));
    assert!(!reports.iter().any(|report| matches!(report, Report::AddressLost { .. })), "{reports:?}");
    node.ip("link set wire up");
    plane.wait_for_loss();
}

#[test]
fn a_storm_of_changes_ends_in_agreement_with_the_kernel() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    wait_for(&mut plane, LinkCondition::Up);
    plane.own(ownership(1, &["192.0.2.100/32"])).unwrap();
    node.run(|| {
        let script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); for j in 1 2 3 4 5 6 7 8 9; do \
            echo address add 10.$i.$j.1/32 dev wire; echo address delete 10.$i.$j.1/32 dev wire; done; done | ip -force -batch -";
        std::process::Command::new("sh").args(["-c", script]).status().unwrap()
    });
    node.ip("address delete 192.0.2.100/32 dev wire");
    node.ip("address add 192.0.2.7/24 dev wire");
    plane.wait_for_loss();
    let interface = "wire".into();
    crate::fixture::eventually("the view agrees with the kernel", || {
        let view = plane.handle.kernel_view();
        let seven = view.get(&interface, "192.0.2.7".parse().unwrap());
        seven.present && !seven.ours && view.addresses.values().filter(|view| view.present).count() <= 3
    });
}
