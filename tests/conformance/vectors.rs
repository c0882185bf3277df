//! Golden adverts that others made: accepted as they are, refused with any bit changed, and made octet for octet alike.

use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    AdvertisementInterval, ChecksumForm, Family, Input, InstanceConfig, Password, Protocol, Version,
    VirtualAddress, VirtualRouterId,
};

use crate::router::{Router, config, group, ip, unicast};

struct Vector<'a> {
    name: &'a str,
    source: &'a str,
    destination: &'a str,
    priority: u8,
    checksum: &'a str,
    octets: Vec<u8>,
    /// A router that would send exactly this.
    config: InstanceConfig,
}

fn vectors() -> Vec<Vector<'static>> {
    let lines = include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(parse).collect()
}

fn parse(line: &str) -> Vector<'_> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [name, version, source, destination, vrid, priority, interval, checksum, password, addresses, octets] =
        fields[..]
    else {
        panic!("{line}")
    };
    let version = if version == "v2" { Version::V2 } else { Version::V3 };
    let family = Family::of(ip(source));
    let priority: u8 = priority.parse().unwrap();
    let unit = if version == Version::V2 { 1000 } else { 10 };
    let interval = Duration::from_millis(interval.parse::<u64>().unwrap() * unit);
    let base = config(version, family, priority.max(1));
    let protocol = match version {
        Version::V2 => Protocol::V2 { password: Password::new(if password == "-" { "" } else { password }) },
        Version::V3 => Protocol::V3 {
            checksum: if checksum == "message" {
                ChecksumForm::MessageOnly
            } else {
                ChecksumForm::PseudoHeader
            },
        },
    };
    let addresses = addresses
        .split(',')
        .map(|text| VirtualAddress::new(ip(text), if family == Family::Ipv4 { 32 } else { 128 }));
    let base = InstanceConfig {
        virtual_router_id: VirtualRouterId::new(vrid.parse().unwrap()).unwrap(),
        interval: AdvertisementInterval::new(version, interval).unwrap(),
        addresses: addresses.collect::<Arc<[_]>>(),
        longest_adopted_interval: Duration::from_secs(60),
        protocol,
        ..base
    };
    let multicast = ip(destination) == group(family);
    let config = if multicast { base } else { unicast(base, destination, 255) };
    Vector { name, source, destination, priority, checksum, octets: unhex(octets), config }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|place| u8::from_str_radix(&text[place..place + 2], 16).unwrap()).collect()
}

/// A router that hears the vector: the destination of a unicast one.
fn listener(vector: &Vector<'_>) -> Router {
    if ip(vector.destination).is_multicast() {
        return Router::new(&vector.config);
    }
    let config = unicast(vector.config.clone(), vector.source, 255);
    Router::at(&config, &[vector.destination])
}

#[test]
fn there_are_vectors_of_each_kind() {
    let vectors = vectors();
    assert!(vectors.len() >= 22);
    for kind in ["message", "pseudo", "group"] {
        assert!(vectors.iter().any(|vector| vector.checksum == kind), "{kind}");
    }
}

#[test]
fn adverts_of_others_are_accepted_and_their_checksum_form_is_counted() {
    for vector in vectors() {
        let mut router = listener(&vector);
        router.hear_octets(ip(vector.source), ip(vector.destination), 255, &vector.octets);
        let status = router.status();
        assert_eq!(status.counters.received, 1, "{}: {:?}", vector.name, router.discards());
        assert_eq!(status.last_advert.unwrap().priority, vector.priority, "{}", vector.name);
        let counters = status.counters;
        let forms = [
            counters.checksum_pseudo_header,
            counters.checksum_message_only,
            counters.checksum_multicast_pseudo_header,
        ];
        let expected = match (vector.config.version(), vector.checksum) {
            (Version::V2, _) => [0, 0, 0],
            (_, "pseudo") => [1, 0, 0],
            (_, "message") => [0, 1, 0],
            _ => [0, 0, 1],
        };
        assert_eq!(forms, expected, "{}", vector.name);
        let odd = router.events.iter().any(|event| event.type_name() == "instance.advertisement_differs");
        assert!(!odd, "{}", vector.name);
    }
}

#[test]
fn an_advert_with_any_bit_changed_is_discarded_and_moves_nothing() {
    for vector in vectors().into_iter().filter(|vector| vector.octets.len() < 100) {
        let mut router = listener(&vector);
        let before = router.fingerprint();
        for bit in 0..vector.octets.len() * 8 {
            let mut octets = vector.octets.clone();
            octets[bit / 8] ^= 1 << (bit % 8);
            let seen = router.hear_octets(ip(vector.source), ip(vector.destination), 255, &octets);
            assert!(seen.is_empty(), "{} bit {bit}", vector.name);
        }
        assert_eq!(router.fingerprint(), before, "{}", vector.name);
        let discarded: u64 = router.discards().iter().map(|(_, count)| count).sum();
        assert_eq!(discarded, vector.octets.len() as u64 * 8, "{}", vector.name);
    }
}

#[test]
fn our_adverts_are_octet_for_octet_those_of_others() {
    for vector in vectors().into_iter().filter(|vector| vector.checksum != "group") {
        let mut router = Router::at(&vector.config, &[vector.source]);
        router.pass(router.status().active_down_interval);
        if vector.priority == 0 {
            router.handle(Input::Stop);
        }
        let sent = router.sent.last().unwrap();
        assert_eq!(sent.octets, vector.octets, "{}", vector.name);
        assert_eq!((sent.source, sent.destination), (ip(vector.source), ip(vector.destination)));
        assert_eq!(sent.ttl, 255, "{}", vector.name);
    }
}
