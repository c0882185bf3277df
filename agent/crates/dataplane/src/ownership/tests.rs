//! Desired × observed → operations, as tables.

use ha_engine::VirtualAddress;

use super::*;
use crate::netlink::decode::{Address, Change, Link};

fn address(text: &str) -> Prefixed {
    let (address, prefix_length) = text.split_once('/').unwrap();
    Prefixed { address: address.parse().unwrap(), prefix_length: prefix_length.parse().unwrap() }
}

/// `@eth1` behind it: on that link.
fn virtual_address(text: &str) -> VirtualAddress {
    let (text, interface) = text.split_once('@').map_or((text, None), |(text, link)| (text, Some(link)));
    let Prefixed { address, prefix_length } = address(text);
    VirtualAddress { interface: interface.map(Into::into), ..VirtualAddress::new(address, prefix_length) }
}

fn addresses(texts: &[&str]) -> Vec<Prefixed> {
    texts.iter().map(|text| address(text)).collect()
}

struct Case {
    wanted: &'static [&'static str],
    previous: &'static [&'static str],
    /// "!": ours.
    kernel: &'static [&'static str],
    elsewhere: &'static [&'static str],
    has_new_lease: bool,
    operations: &'static [&'static str],
}

const CASE: Case =
    Case { wanted: &[], previous: &[], kernel: &[], elsewhere: &[], has_new_lease: false, operations: &[] };

#[test]
fn desired_and_observed_give_the_least_operations() {
    let table = [
        Case { wanted: &["10.0.0.1/32"], operations: &["+10.0.0.1/32"], ..CASE },
        // What is there stays untouched, unless it needs another lifetime.
        Case { wanted: &["10.0.0.1/32"], kernel: &["!10.0.0.1/32"], ..CASE },
        Case {
            wanted: &["10.0.0.1/32"],
            kernel: &["!10.0.0.1/32"],
            has_new_lease: true,
            operations: &["~10.0.0.1/32"],
            ..CASE
        },
        // A stranger's address counts as held, whatever its prefix length, and gets no lifetime of ours.
        Case { wanted: &["10.0.0.1/32"], kernel: &["10.0.0.1/32"], has_new_lease: true, ..CASE },
        Case { wanted: &["10.0.0.1/32"], kernel: &["10.0.0.1/24"], has_new_lease: true, ..CASE },
        // Release removes ours alone.
        Case {
            previous: &["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"],
            kernel: &["!10.0.0.1/32", "10.0.0.2/32"],
            operations: &["-10.0.0.1/32"],
            ..CASE
        },
        // What another instance wants stays.
        Case { previous: &["10.0.0.1/32"], kernel: &["!10.0.0.1/32"], elsewhere: &["10.0.0.1/32"], ..CASE },
        // Removals come first: IPv6 cannot have an address twice.
        Case {
            wanted: &["2001:db8::1/64", "2001:db8::2/128"],
            previous: &["2001:db8::1/128", "2001:db8::3/128"],
            kernel: &["!2001:db8::1/128", "!2001:db8::3/128"],
            operations: &["-2001:db8::1/128", "-2001:db8::3/128", "+2001:db8::1/64", "+2001:db8::2/128"],
            ..CASE
        },
        // Left behind by an earlier process with another prefix length.
        Case {
            wanted: &["10.0.0.1/32"],
            kernel: &["!10.0.0.1/24"],
            operations: &["-10.0.0.1/24", "+10.0.0.1/32"],
            ..CASE
        },
        Case {
            wanted: &["10.0.0.1/32"],
            kernel: &["!10.0.0.1/24"],
            elsewhere: &["10.0.0.1/24"],
            operations: &["+10.0.0.1/32"],
            ..CASE
        },
    ];
    for (number, case) in table.iter().enumerate() {
        let wanted = addresses(case.wanted);
        let kernel: Vec<_> = case
            .kernel
            .iter()
            .map(|text| (address(text.trim_start_matches('!')), text.starts_with('!')))
            .collect();
        let present = |wanted: IpAddr| {
            let found = kernel.iter().filter(|(found, _)| found.address == wanted);
            found
                .map(|(found, is_ours)| Present { prefix_length: found.prefix_length, is_ours: *is_ours })
                .collect()
        };
        let elsewhere = addresses(case.elsewhere);
        let is_claimed = |address| wanted.contains(&address) || elsewhere.contains(&address);
        let operations = plan(&wanted, &addresses(case.previous), case.has_new_lease, present, is_claimed);
        let operations: Vec<_> = operations
            .iter()
            .map(|operation| match operation {
                Operation::Remove(address) => format!("-{address}"),
                Operation::Add(address) => format!("+{address}"),
                Operation::Renew(address) => format!("~{address}"),
            })
            .collect();
        assert_eq!(operations, case.operations, "case {number}");
    }
}

fn ownership(generation: u64, addresses: &[&str]) -> Ownership {
    Ownership {
        instance: InstanceId(1),
        generation,
        link: ha_engine::LinkId(0),
        interface: "eth0".into(),
        addresses: addresses.iter().map(|text| virtual_address(text)).collect(),
        lease: None,
        virtual_mac: None,
    }
}

fn link(is_up: bool) -> Change {
    Change::Link(Link {
        index: 2,
        name: "eth0".into(),
        is_up,
        is_running: is_up,
        mac: None,
        mtu: 1500,
        lower: None,
        is_ours: false,
    })
}

fn present(text: &str) -> Change {
    let Prefixed { address, prefix_length } = address(text);
    let present = Address {
        address,
        prefix_length,
        is_ours: true,
        is_usable: true,
        is_secondary: false,
        is_leased: true,
    };
    Change::Address(2, present)
}

#[test]
fn a_loss_is_told_once_and_only_while_the_link_is_up() {
    let mut holdings = Holdings::default();
    let mut observed = Observed::default();
    let (kept, lost): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    holdings.put(InstanceId(1), Holding::new(&ownership(1, &["2001:db8::1/128", "2001:db8::2/128"])));
    holdings.get_mut(InstanceId(1)).unwrap().held = [kept, lost].into();
    for change in [link(false), present("2001:db8::1/128")] {
        observed.apply(change);
    }
    assert_eq!(holdings.take_losses(&observed), []);
    observed.apply(link(true));
    assert_eq!(holdings.take_losses(&observed), [(InstanceId(1), lost)]);
    assert_eq!(holdings.take_losses(&observed), []);
}

#[test]
fn what_was_never_held_cannot_be_lost() {
    let mut holdings = Holdings::default();
    let mut observed = Observed::default();
    observed.apply(link(true));
    holdings.put(InstanceId(1), Holding::new(&ownership(1, &["10.0.0.1/32"])));
    assert_eq!(holdings.take_losses(&observed), []);
}

#[test]
fn claims_are_counted_over_instances() {
    let mut holdings = Holdings::default();
    let device = Device { interface: "eth0".into(), virtual_mac: None };
    holdings.put(InstanceId(1), Holding::new(&ownership(1, &["10.0.0.1/32"])));
    holdings.put(InstanceId(2), Holding::new(&ownership(2, &["10.0.0.1/32"])));
    holdings.put(InstanceId(1), Holding::new(&ownership(3, &[])));
    assert!(holdings.claims(&device, address("10.0.0.1/32")) && holdings.uses(&device));
    holdings.put(InstanceId(2), Holding::new(&ownership(4, &["10.0.0.2/32"])));
    assert!(!holdings.claims(&device, address("10.0.0.1/32")) && holdings.uses(&device));
    holdings.put(InstanceId(2), Holding::new(&ownership(5, &[])));
    assert!(!holdings.uses(&device));
}

#[test]
fn a_link_local_address_on_a_macvlan_gets_the_links_route() {
    let table = [
        ("fe80::1/128", true, "fe80::1/64"),
        ("fe80::1/10", true, "fe80::1/10"),
        ("fe80::1/128", false, "fe80::1/128"),
        ("2001:db8::1/128", true, "2001:db8::1/128"),
        ("10.0.0.1/32", true, "10.0.0.1/32"),
    ];
    for (given, has_virtual_mac, expected) in table {
        assert_eq!(on_device(address(given), has_virtual_mac), address(expected));
    }
}
