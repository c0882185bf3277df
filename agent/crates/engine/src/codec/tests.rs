//! Golden octets, and adverts of every kind there and back.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::*;
use crate::config::{Password, VirtualAddress};
use crate::fixtures::{self, address};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| byte.is_ascii_hexdigit()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(core::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn with_addresses(config: InstanceConfig, addresses: &[&str]) -> InstanceConfig {
    let addresses = addresses
        .iter()
        .map(|text| {
            let address = address(text);
            VirtualAddress::new(address, if address.is_ipv4() { 32 } else { 128 })
        })
        .collect::<Arc<[_]>>();
    InstanceConfig { addresses, ..config }
}

/// Captures of other vendors' routers, from public packet collections.
const GOLDEN: [(&str, Version, &str, &str); 4] = [
    ("21331e01 0001b5c5 0a000105 0000000000000000", Version::V2, "10.0.1.1", "224.0.0.18"),
    ("212abf03 010af11f 0a042a01 0a042a02 0a042a03 6162636465666768", Version::V2, "10.0.0.91", "224.0.0.18"),
    ("312cbf02 03e8b3c6 0a042c64 0a042cc8", Version::V3, "10.0.0.91", "224.0.0.18"),
    (
        "312dbf02 03e8cfa0 fe80000000000000 02005efffe00022d 2001000000000000 00000000abcd000a",
        Version::V3,
        "fe80::d6ca:6dff:fe66:cf60",
        "ff02::12",
    ),
];

#[test]
fn golden_adverts_have_a_valid_checksum_and_a_changed_bit_makes_it_wrong() {
    for (text, version, source, destination) in GOLDEN {
        let (source, destination) = (address(source), address(destination));
        let octets = hex(text);
        assert!(valid_form(version, &octets, source, destination).is_some(), "{text}");
        for bit in 0..octets.len() * 8 {
            let mut changed = octets.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(valid_form(version, &changed, source, destination), None, "{text}, bit {bit}");
        }
    }
}

#[test]
fn both_checksum_forms_of_a_v3_ipv4_advert_are_told_apart() {
    let (source, group) = (address("10.0.0.91"), address("224.0.0.18"));
    let form = |text: &str, destination| valid_form(Version::V3, &hex(text), source, destination);
    assert_eq!(form("312cbf02 03e8b3c6 0a042c64 0a042cc8", group), Some(ChecksumForm::PseudoHeader));
    assert_eq!(form("312cbf02 03e89eb4 0a042c64 0a042cc8", group), Some(ChecksumForm::MessageOnly));
    let peer = address("10.0.0.92");
    assert_eq!(form("312cbf02 03e8b3c6 0a042c64 0a042cc8", peer), Some(ChecksumForm::MulticastPseudoHeader));
}

#[test]
fn our_adverts_are_octet_for_octet_those_of_other_vendors() {
    let interval =
        |version, seconds| AdvertisementInterval::new(version, Duration::from_secs(seconds)).unwrap();
    let v2 = InstanceConfig {
        protocol: Protocol::V2 { password: None },
        virtual_router_id: VirtualRouterId::new(51).unwrap(),
        interval: interval(Version::V2, 1),
        ..fixtures::config("web", 51, 30)
    };
    let password = InstanceConfig {
        protocol: Protocol::V2 { password: Password::new("abcdefgh") },
        virtual_router_id: VirtualRouterId::new(42).unwrap(),
        interval: interval(Version::V2, 10),
        ..v2.clone()
    };
    let v3 = InstanceConfig {
        virtual_router_id: VirtualRouterId::new(44).unwrap(),
        interval: interval(Version::V3, 10),
        ..fixtures::config("web", 44, 191)
    };
    let v6 = InstanceConfig {
        virtual_router_id: VirtualRouterId::new(45).unwrap(),
        family: Family::Ipv6,
        ..v3.clone()
    };
    let made = [
        (with_addresses(v2, &["10.0.1.5"]), 30),
        (with_addresses(password, &["10.4.42.1", "10.4.42.2", "10.4.42.3"]), 191),
        (with_addresses(v3, &["10.4.44.100", "10.4.44.200"]), 191),
        (with_addresses(v6, &["fe80::200:5eff:fe00:22d", "2001::abcd:a"]), 191),
    ];
    for ((config, priority), (text, _, source, destination)) in made.into_iter().zip(GOLDEN) {
        let mut octets = Vec::new();
        encode(&mut octets, &config, priority, address(source), address(destination));
        assert_eq!(octets, hex(text), "{text}");
    }
}

#[test]
fn an_advert_survives_the_way_there_and_back() {
    for (count, family) in [(1, Family::Ipv4), (255, Family::Ipv4), (1, Family::Ipv6), (80, Family::Ipv6)] {
        let config = InstanceConfig {
            family,
            addresses: (1..=count).map(|number| fixtures::numbered(family, number)).collect(),
            ..fixtures::config("web", 7, 100)
        };
        let source: IpAddr = if family == Family::Ipv4 { address("10.0.0.1") } else { address("fe80::1") };
        let mut octets = Vec::new();
        encode(&mut octets, &config, 0, source, multicast_group(family));
        let advert = Advert::decode(&octets, Version::V3, family).unwrap();
        assert!(advert.has_addresses_of(&config));
        assert_eq!((advert.priority, advert.interval), (0, config.interval));
        for cut in 0..octets.len() {
            assert!(Advert::decode(&octets[..cut], Version::V3, family).is_err());
        }
        octets.push(0);
        assert_eq!(Advert::decode(&octets, Version::V3, family).unwrap_err(), Discard::LengthMismatch);
    }
}

#[test]
fn what_is_not_advertised_stands_in_no_advert_and_is_not_looked_for_in_one() {
    let plain = with_addresses(fixtures::config("web", 7, 100), &["10.0.0.10", "10.0.0.11"]);
    let kept = |text: &str| {
        let prefix_length = if address(text).is_ipv4() { 32 } else { 128 };
        VirtualAddress { advertised: false, ..VirtualAddress::new(address(text), prefix_length) }
    };
    let more = ["2001:db8::10", "10.0.0.12"].map(kept);
    let addresses = plain.addresses.iter().cloned();
    let more = InstanceConfig { addresses: addresses.clone().chain(more).collect(), ..plain.clone() };
    let between = [kept("10.0.0.9")].into_iter().chain(addresses);
    let between = InstanceConfig { addresses: between.collect(), ..plain.clone() };
    let (source, group) = (address("10.0.0.1"), address("224.0.0.18"));
    let octets = |config: &InstanceConfig| {
        let mut octets = Vec::new();
        encode(&mut octets, config, 100, source, group);
        octets
    };
    for config in [&plain, &more, &between] {
        assert_eq!(octets(config), octets(&plain));
        let advert = octets(config);
        assert!(Advert::decode(&advert, Version::V3, Family::Ipv4).unwrap().has_addresses_of(&more));
    }
    let fewer = octets(&with_addresses(plain.clone(), &["10.0.0.10"]));
    assert!(!Advert::decode(&fewer, Version::V3, Family::Ipv4).unwrap().has_addresses_of(&more));
    let another = octets(&with_addresses(plain, &["10.0.0.10", "10.0.0.12"]));
    assert!(!Advert::decode(&another, Version::V3, Family::Ipv4).unwrap().has_addresses_of(&more));
}
