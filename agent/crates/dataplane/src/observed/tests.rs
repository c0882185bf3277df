//! Notifications in, the engine's view of a link out.

use super::*;

fn link(index: u32, name: &str) -> Link {
    Link {
        index,
        name: name.into(),
        is_up: true,
        is_running: true,
        mac: None,
        mtu: 1500,
        lower: None,
        is_ours: false,
    }
}

fn address(text: &str) -> Address {
    let (address, prefix_length) = text.split_once('/').unwrap();
    Address {
        address: address.parse().unwrap(),
        prefix_length: prefix_length.parse().unwrap(),
        is_ours: false,
        is_usable: true,
        is_secondary: false,
        is_leased: false,
    }
}

fn observed(changes: Vec<Change>) -> Observed {
    let mut observed = Observed::default();
    changes.into_iter().for_each(|change| observed.apply(change));
    observed
}

#[test]
fn the_engine_hears_usable_addresses_of_others_primary_first() {
    let observed = observed(vec![
        Change::Link(link(2, "eth0")),
        Change::Address(2, address("2001:db8::1/64")),
        Change::Address(2, address("fe80::1/64")),
        Change::Address(2, Address { is_secondary: true, ..address("192.0.2.3/24") }),
        Change::Address(2, address("192.0.2.9/24")),
        Change::Address(2, address("10.0.0.1/8")),
        Change::Address(2, Address { is_ours: true, ..address("192.0.2.100/32") }),
        Change::Address(2, Address { is_usable: false, ..address("fe80::2/64") }),
    ]);
    let expected = ["192.0.2.9", "10.0.0.1", "192.0.2.3", "fe80::1", "2001:db8::1"];
    let state = observed.state("eth0");
    assert_eq!(state.addresses, expected.map(|address| address.parse::<IpAddr>().unwrap()));
    assert_eq!(state.condition, LinkCondition::Up);
}

#[test]
fn the_condition_follows_the_links_flags() {
    let table = [(false, true, LinkCondition::Down), (true, false, LinkCondition::NoCarrier)];
    for (is_up, is_running, condition) in table {
        let observed = observed(vec![Change::Link(Link { is_up, is_running, ..link(2, "eth0") })]);
        assert_eq!(observed.state("eth0").condition, condition);
    }
    assert_eq!(Observed::default().state("eth0").condition, LinkCondition::Missing);
}

#[test]
fn names_are_followed_through_renames_swaps_and_new_indices() {
    let mut observed = observed(vec![Change::Link(link(2, "eth0")), Change::Link(link(3, "eth1"))]);
    for step in [link(2, "swap"), link(3, "eth0"), link(2, "eth1")] {
        observed.apply(Change::Link(step));
    }
    assert_eq!((observed.index_of("eth0"), observed.index_of("eth1")), (Some(3), Some(2)));
    assert_eq!(observed.index_of("swap"), None);
    observed.apply(Change::LinkGone(3));
    assert_eq!(observed.index_of("eth0"), None);
    observed.apply(Change::Link(link(7, "eth0")));
    assert_eq!(observed.index_of("eth0"), Some(7));
}

#[test]
fn only_news_counts_as_a_change() {
    let all = vec![Change::Link(link(2, "eth0")), Change::Address(2, address("192.0.2.9/24"))];
    let mut observed = observed(all.clone());
    assert!(observed.take_changed());
    all.iter().cloned().for_each(|change| observed.apply(change));
    observed.apply(Change::AddressGone(2, "192.0.2.77".parse().unwrap(), 24));
    observed.replace(all.clone());
    assert!(!observed.take_changed());
    observed.replace(vec![all[0].clone()]);
    assert!(observed.take_changed());
    assert_eq!(observed.on(2).count(), 0);
}

#[test]
fn an_address_is_found_whatever_its_prefix_length() {
    let observed = observed(vec![
        Change::Address(2, address("192.0.2.9/24")),
        Change::Address(2, Address { is_ours: true, ..address("192.0.2.9/32") }),
        Change::Address(2, address("192.0.2.10/24")),
    ]);
    let found: Vec<_> =
        observed.find(2, "192.0.2.9".parse().unwrap()).map(|found| found.prefix_length).collect();
    assert_eq!(found, [24, 32]);
    assert_eq!(observed.ours().count(), 1);
}
