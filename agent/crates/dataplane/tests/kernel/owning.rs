//! Addresses: held, released, lost, and never a stranger's.

use std::sync::Arc;
use std::time::Duration;

use ha_dataplane::{Options, Report};
use ha_engine::InstanceId;

use crate::fixture::{Plane, eventually, ownership};
use crate::namespace::Namespace;
use crate::tags;

#[test]
fn addresses_of_both_families_are_held_tagged_and_released() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/32", "198.51.100.1/24"])).unwrap();
    plane.own(ownership(2, &["2001:db8::100/128", "2001:db8:1::1/64"])).unwrap();
    let all = node.addresses("wire").join("\n");
    for address in ["192.0.2.100/32", "198.51.100.1/24", "2001:db8::100/128", "2001:db8:1::1/64"] {
        assert!(node.has("wire", address), "{address} is not in\n{all}");
    }
    let host = node.addresses("wire").into_iter().find(|line| line.contains("2001:db8::100")).unwrap();
    // Not tentative, and never the source of what the node sends.
    assert!(host.contains("nodad") && host.contains("deprecated") && !host.contains("tentative"), "{host}");
    let mut ours = tags::ours(&node, "wire");
    ours.sort();
    assert_eq!(ours, ["192.0.2.100/32", "198.51.100.1/24", "2001:db8:1::1/64", "2001:db8::100/128"]);
    assert_eq!(node.read("ipv4/conf/wire/promote_secondaries"), "1");
    plane.own(ownership(1, &["192.0.2.100/32"])).unwrap();
    assert!(node.has("wire", "192.0.2.100/32") && !node.has("wire", "198.51.100.1/24"));
    plane.own(ownership(1, &[])).unwrap();
    plane.own(ownership(2, &[])).unwrap();
    assert_eq!(tags::ours(&node, "wire"), [""; 0]);
}

#[test]
fn five_hundred_addresses_are_held_and_read_back() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    let text: Vec<String> =
        (0..500).map(|number| format!("10.9.{}.{}/32", number / 250, number % 250 + 1)).collect();
    for (number, text) in text.iter().enumerate() {
        let instance = u32::try_from(number).unwrap();
        let mut ownership = ownership(instance, &[text]);
        ownership.generation = u64::from(instance) + 1;
        plane.handle.own(ownership).unwrap();
    }
    let mut applied = 0;
    while applied < 500 {
        applied += plane.wait("outcome", |report| match report {
            Report::Applied(applied) => Some(usize::from(applied.result.is_ok())),
            _ => None,
        });
    }
    assert_eq!(tags::ours(&node, "wire").len(), 500);
    let interface: Arc<str> = "wire".into();
    eventually("the view shows all", || {
        let view = plane.handle.kernel_view();
        view.addresses
            .iter()
            .filter(|((name, _), view)| *name == interface && view.present && view.ours)
            .count()
            == 500
    });
    let withdrawn = plane.handle.shutdown().blocking_recv().unwrap();
    assert_eq!((withdrawn.addresses, withdrawn.failures), (500, vec![]));
    assert_eq!(tags::ours(&node, "wire"), [""; 0]);
}

#[test]
fn a_strangers_address_counts_as_held_and_stays_as_it_is() {
    let (node, _other) = Namespace::pair();
    node.ip("address add 192.0.2.1/24 dev wire");
    node.ip("address add 2001:db8::1/64 dev wire nodad");
    let before = node.addresses("wire");
    let mut plane = Plane::new(&node);
    plane.handle.settle().unwrap();
    let mut owner = ownership(1, &["192.0.2.1/32", "2001:db8::1/128"]);
    owner.lease = Some(Duration::from_secs(1));
    plane.own(owner).unwrap();
    assert_eq!(node.addresses("wire"), before);
    std::thread::sleep(Duration::from_millis(500));
    plane.own(ownership(1, &[])).unwrap();
    plane.handle.shutdown().blocking_recv().unwrap();
    assert_eq!(node.addresses("wire"), before);
}

#[test]
fn a_lost_address_is_told_once_and_comes_back_only_with_a_new_ownership() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    let addresses = ["192.0.2.100/32", "192.0.2.101/32", "2001:db8::100/128"];
    plane.own(ownership(7, &addresses)).unwrap();
    for lost in ["192.0.2.101", "2001:db8::100"] {
        let prefix = if lost.contains(':') { 128 } else { 32 };
        node.ip(&format!("address delete {lost}/{prefix} dev wire"));
        assert_eq!(plane.wait_for_loss(), (InstanceId(7), lost.parse().unwrap()));
    }
    let more = plane.listen(Duration::from_millis(300));
    assert!(!more.iter().any(|report| matches!(report, Report::AddressLost { .. })), "{more:?}");
    assert!(!node.has("wire", "192.0.2.101/32"));
    plane.own(ownership(7, &addresses)).unwrap();
    assert!(node.has("wire", "192.0.2.101/32") && node.has("wire", "2001:db8::100/128"));
    node.ip("address delete 192.0.2.101/32 dev wire");
    plane.wait_for_loss();
}

#[test]
fn our_own_releases_are_no_losses() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    for _ in 0..20 {
        plane.own(ownership(1, &["192.0.2.100/32", "2001:db8::100/128"])).unwrap();
        plane.own(ownership(1, &["192.0.2.100/24"])).unwrap();
        plane.own(ownership(1, &[])).unwrap();
    }
    let more = plane.listen(Duration::from_millis(200));
    assert!(!more.iter().any(|report| matches!(report, Report::AddressLost { .. })), "{more:?}");
}

#[test]
fn a_prefix_length_that_changes_is_changed_in_both_families() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/32", "2001:db8::100/128"])).unwrap();
    plane.own(ownership(1, &["192.0.2.100/24", "2001:db8::100/64"])).unwrap();
    let all = node.addresses("wire").join("\n");
    assert!(node.has("wire", "192.0.2.100/24") && node.has("wire", "2001:db8::100/64"), "{all}");
    assert!(!node.has("wire", "192.0.2.100/32") && !node.has("wire", "2001:db8::100/128"), "{all}");
}

#[test]
fn the_networks_own_address_outlives_a_virtual_one_that_came_first() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(ownership(1, &["192.0.2.100/24"])).unwrap();
    node.ip("address add 192.0.2.1/24 dev wire");
    plane.own(ownership(1, &[])).unwrap();
    assert!(node.has("wire", "192.0.2.1/24"), "{:?}", node.addresses("wire"));
}

#[test]
fn a_refusal_comes_in_the_kernels_words() {
    let (node, _other) = Namespace::pair();
    node.write("ipv6/conf/wire/disable_ipv6", "1");
    let mut plane = Plane::new(&node);
    let refusal = plane.own(ownership(1, &["2001:db8::100/128"])).unwrap_err();
    assert!(refusal.contains("2001:db8::100/128") && refusal.contains("wire"), "{refusal}");
    assert!(refusal.contains("ermission denied") || refusal.contains("disabled"), "{refusal}");
    let mut elsewhere = ownership(2, &["192.0.2.100/32"]);
    elsewhere.interface = "nowhere".into();
    let refusal = plane.own(elsewhere).unwrap_err();
    assert!(refusal.contains("no link nowhere"), "{refusal}");
    // The others are not held up.
    plane.own(ownership(3, &["192.0.2.101/32"])).unwrap();
}

#[test]
fn a_slow_reader_misses_no_outcome() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::with(&node, Options { reports: 1, ..Options::default() });
    for generation in 1..=300_u64 {
        let instance = u32::try_from(generation % 30).unwrap();
        let text = format!("10.9.0.{}/32", instance + 1);
        let ownership = ha_engine::Ownership { generation, ..ownership(instance, &[&text]) };
        plane.handle.own(ownership).unwrap();
    }
    eventually("all are there", || tags::ours(&node, "wire").len() == 30);
    let mut latest = std::collections::BTreeMap::new();
    while latest.len() < 30 || latest.values().any(|generation| *generation <= 270) {
        plane.wait("outcome", |report| match report {
            Report::Applied(applied) => latest.insert(applied.instance, applied.generation).or(Some(0)),
            _ => None,
        });
    }
}

#[test]
fn dropping_every_handle_withdraws_everything() {
    let (node, _other) = Namespace::pair();
    let (handle, reports) = node.run(|| ha_dataplane::Dataplane::spawn(Options::default())).unwrap();
    handle.own(ha_engine::Ownership { generation: 1, ..ownership(1, &["192.0.2.100/32"]) }).unwrap();
    eventually("it is held", || node.has("wire", "192.0.2.100/32"));
    drop((handle, reports));
    eventually("it is withdrawn", || !node.has("wire", "192.0.2.100/32"));
}
