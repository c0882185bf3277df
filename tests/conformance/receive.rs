//! RFC 9568 §7.1 with its errata, RFC 3768 §7.1, RFC 2338 §5.3.6: what is discarded, why, and that it moves nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use ha_engine::{
    AdvertisementInterval, Discard, EventKind, Family, InstanceConfig, Oddity, Password, Protocol, StateName,
    Transport, Version,
};
use ha_tests::{Checksum, VrrpFrame};

use crate::router::{Router, Seen, advert, config, ip, unicast, v2, v3, v6};

/// A rule, a router, an advert that breaks it, and the name of the discard.
struct Case {
    rule: &'static str,
    config: InstanceConfig,
    frame: VrrpFrame,
    reason: Discard,
}

fn case(rule: &'static str, config: &InstanceConfig, frame: VrrpFrame, reason: Discard) -> Case {
    Case { rule, config: config.clone(), frame, reason }
}

/// An advert that would win, changed.
fn winning(config: &InstanceConfig, change: impl FnOnce(&mut VrrpFrame)) -> VrrpFrame {
    let source = if config.family == Family::Ipv4 { "192.0.2.20" } else { "fe80::14" };
    let mut frame = advert(config, source, 254);
    change(&mut frame);
    frame
}

fn cases() -> Vec<Case> {
    [cases_of_all_versions(), cases_of_v2(), cases_of_unicast()].into_iter().flatten().collect()
}

fn cases_of_all_versions() -> Vec<Case> {
    let mut cases = Vec::new();
    for (version, family) in
        [(Version::V2, Family::Ipv4), (Version::V3, Family::Ipv4), (Version::V3, Family::Ipv6)]
    {
        let config = config(version, family, 100);
        let mut add = |rule, reason, change: &dyn Fn(&mut VrrpFrame)| {
            cases.push(case(rule, &config, winning(&config, change), reason));
        };
        add("MUST verify that the TTL or Hop Limit is 255", Discard::TtlWrong, &|frame| frame.ttl = 254);
        add("MUST verify that the TTL or Hop Limit is 255", Discard::TtlWrong, &|frame| frame.ttl = 1);
        add("MUST verify the VRRP version", Discard::VersionUnknown, &|frame| frame.version = 4);
        add("MUST verify the VRRP version", Discard::VersionUnknown, &|frame| frame.version = 0);
        add("MUST verify the VRRP version", Discard::VersionMismatch, &|frame| frame.version ^= 1);
        add("a packet with unknown type MUST be discarded", Discard::TypeUnknown, &|frame| frame.kind = 2);
        add("a packet with unknown type MUST be discarded", Discard::TypeUnknown, &|frame| frame.kind = 0);
        add("MUST contain the complete packet", Discard::Truncated, &|frame| frame.cut = Some(0));
        add("MUST contain the complete packet", Discard::Truncated, &|frame| frame.cut = Some(7));
        add("MUST contain the complete packet", Discard::LengthMismatch, &|frame| frame.cut = Some(8));
        add("MUST contain the complete packet", Discard::LengthMismatch, &|frame| frame.count = Some(2));
        add("MUST contain the complete packet", Discard::LengthMismatch, &|frame| frame.count = Some(255));
        add("no octets behind the packet", Discard::LengthMismatch, &|frame| frame.trailer = vec![0; 8]);
        add("MUST verify the VRRP checksum", Discard::ChecksumWrong, &|frame| {
            frame.checksum = Checksum::Value(0)
        });
        add("MUST verify that the VRID is configured", Discard::VirtualRouterUnknown, &|frame| {
            frame.vrid = 8
        });
        add("VRID 0 is nobody's", Discard::VirtualRouterUnknown, &|frame| frame.vrid = 0);
        add("count 0 is ignored (erratum 8299)", Discard::CountZero, &|frame| frame.addresses.clear());
        let zero = |frame: &mut VrrpFrame| frame.interval = 0;
        add("interval 0 is invalid (erratum 8301)", Discard::IntervalZero, &zero);
        let own = ip(if family == Family::Ipv4 { "192.0.2.10" } else { "fe80::a" });
        add("our own advert is not a peer's", Discard::SourceIsOurs, &|frame| frame.source = own);
        let elsewhere = ip(if family == Family::Ipv4 { "192.0.2.10" } else { "ff02::1" });
        add("the destination is the group (§5.1)", Discard::DestinationWrong, &|frame| {
            frame.destination = elsewhere;
        });
    }
    cases
}

fn cases_of_v2() -> Vec<Case> {
    let open = v2(100);
    let secret = InstanceConfig { protocol: Protocol::V2 { password: Password::new("secret") }, ..v2(100) };
    let allowed = vec![ip("192.0.2.21")];
    let listed = InstanceConfig { transport: Transport::Multicast { allowed_sources: allowed }, ..v3(100) };
    let typed = |kind: u8, data: &[u8; 8]| {
        let data = *data;
        move |frame: &mut VrrpFrame| {
            frame.auth_type = kind;
            frame.auth_data = data;
        }
    };
    let kind = "MUST verify that the Auth Type matches (RFC 3768 §7.1)";
    let data = "MUST check the Authentication Data (RFC 2338 §5.3.6.2)";
    let (wrong_kind, wrong) = (Discard::AuthenticationTypeMismatch, Discard::AuthenticationFailed);
    vec![
        case(kind, &open, winning(&open, typed(1, b"secret\0\0")), wrong_kind),
        case(kind, &open, winning(&open, typed(2, &[0; 8])), wrong_kind),
        case(kind, &secret, winning(&secret, typed(0, &[0; 8])), wrong_kind),
        case(data, &secret, winning(&secret, typed(1, b"secret\0x")), wrong),
        case(data, &secret, winning(&secret, typed(1, b"Secret\0\0")), wrong),
        case(data, &secret, winning(&secret, typed(1, &[0; 8])), wrong),
        case(
            "MUST verify that the Adver Interval is the same (RFC 3768 §7.1)",
            &open,
            winning(&open, |frame| frame.interval = 2),
            Discard::IntervalMismatch,
        ),
        case("only allowed sources", &listed, winning(&listed, |_| {}), Discard::SourceNotAllowed),
    ]
}

fn cases_of_unicast() -> Vec<Case> {
    let config = unicast(v3(100), "192.0.2.20", 250);
    let to = |destination: &'static str| move |frame: &mut VrrpFrame| frame.destination = ip(destination);
    vec![
        case(
            "only peers",
            &config,
            winning(&config, |frame| {
                frame.source = ip("192.0.2.99");
                frame.destination = ip("192.0.2.10");
            }),
            Discard::SourceNotAllowed,
        ),
        case("not to the group", &config, winning(&config, |_| {}), Discard::DestinationWrong),
        case("only to us", &config, winning(&config, to("192.0.2.11")), Discard::DestinationWrong),
        case(
            "not from too far away",
            &config,
            winning(&config, |frame| {
                frame.destination = ip("192.0.2.10");
                frame.ttl = 249;
            }),
            Discard::TtlWrong,
        ),
    ]
}

#[test]
fn an_advert_that_breaks_a_rule_is_discarded_by_name_and_moves_nothing_in_any_state() {
    for Case { rule, config, frame, reason } in cases() {
        let owner = InstanceConfig { priority: ha_engine::Priority::OWNER, ..config.clone() };
        for mut router in [Router::new(&config), Router::active(&config), Router::active(&owner)] {
            let state = router.state();
            let before = router.fingerprint();
            assert_eq!(router.hear(&frame), [], "{rule} in {state:?}");
            assert_eq!(router.discards(), [(reason, 1)], "{rule} in {state:?}");
            assert_eq!(router.fingerprint(), before, "{rule} in {state:?}");
            assert_eq!(router.status().counters.received, 0, "{rule} in {state:?}");
        }
    }
}

#[test]
fn the_same_adverts_unbroken_are_accepted() {
    for config in [v2(100), v3(100), v6(100)] {
        let mut router = Router::active(&config);
        let seen = router.hear(&winning(&config, |_| {}));
        assert!(matches!(seen.last(), Some(Seen::State(StateName::Backup, _))), "{seen:?}");
    }
    let config = unicast(v3(100), "192.0.2.20", 250);
    let mut router = Router::new(&config);
    router.hear(&winning(&config, |frame| {
        frame.destination = ip("192.0.2.10");
        frame.ttl = 250;
    }));
    assert_eq!(router.status().counters.received, 1, "{:?}", router.discards());
}

#[test]
fn a_router_that_only_elects_has_adverts_without_addresses_and_takes_them() {
    for usual in [v2(100), v3(100), v6(100)] {
        let config = InstanceConfig { addresses: [].into(), ..usual.clone() };
        let mut router = Router::active(&config);
        let sent = router.sent.last().expect("it is Active").octets.clone();
        assert_eq!(sent[3], 0, "the count of addresses");
        let seen = router.hear(&winning(&config, |frame| frame.addresses.clear()));
        assert!(matches!(seen.last(), Some(Seen::State(StateName::Backup, _))), "{seen:?}");
        let mut router = Router::active(&config);
        let seen = router.hear(&winning(&usual, |_| {}));
        assert!(matches!(seen.last(), Some(Seen::State(StateName::Backup, _))), "{seen:?}");
    }
}

#[test]
fn every_discard_has_a_case() {
    let reached: BTreeSet<Discard> = cases().iter().map(|case| case.reason).collect();
    assert_eq!(reached, Discard::ALL.into_iter().collect());
}

#[test]
fn hostile_packets_are_told_by_name_without_a_flood() {
    let mut router = Router::new(&v3(100));
    for _ in 0..1000 {
        for case in cases_of_all_versions().into_iter().filter(|case| case.config == v3(100)) {
            router.hear(&case.frame);
        }
        router.pass(Duration::from_millis(1));
    }
    let told = router.events.iter().filter(|event| matches!(event.kind, EventKind::Discarded { .. })).count();
    let reasons = router.discards().len();
    assert!(reasons >= 11, "{:?}", router.discards());
    assert_eq!(told, reasons);
    assert_eq!(router.discards().iter().map(|(_, count)| count).sum::<u64>(), 20_000);
}

#[test]
fn rfc2338_5_3_6_1_authentication_data_is_ignored_without_authentication() {
    let mut router = Router::new(&v2(100));
    router.hear(&winning(&v2(100), |frame| frame.auth_data = *b"whatever"));
    assert_eq!(router.status().counters.received, 1);
}

#[test]
fn rfc9568_5_2_6_the_reserved_field_is_ignored_on_receipt() {
    let mut router = Router::new(&v3(100));
    router.hear(&winning(&v3(100), |frame| frame.interval |= 0xf000));
    assert_eq!(router.status().counters.received, 1, "{:?}", router.discards());
    assert_eq!(router.status().active_interval, Duration::from_secs(1));
}

#[test]
fn rfc9568_5_2_8_both_forms_of_the_ipv4_checksum_are_accepted() {
    for checksum in [Checksum::Usual, Checksum::MessageOnly] {
        let mut router = Router::new(&v3(100));
        router.hear(&winning(&v3(100), |frame| frame.checksum = checksum));
        assert_eq!(router.status().counters.received, 1, "{checksum:?}");
    }
}

#[test]
fn rfc9568_5_2_8_an_ipv6_checksum_without_pseudo_header_is_wrong() {
    let mut router = Router::new(&v6(100));
    let message = winning(&v6(100), |frame| frame.checksum = Checksum::Value(0)).message();
    let sum = ha_tests::checksum(&[&message]);
    router.hear(&winning(&v6(100), |frame| frame.checksum = Checksum::Value(sum)));
    assert_eq!(router.discards(), [(Discard::ChecksumWrong, 1)]);
}

#[test]
fn rfc9568_7_1_another_interval_is_not_dropped_but_told_and_adopted() {
    let mut router = Router::new(&v3(100));
    router.hear(&winning(&v3(100), |frame| frame.interval = 300));
    assert_eq!(router.status().active_interval, Duration::from_secs(3));
    assert!(oddities(&router).contains(&Oddity::IntervalDiffers));
}

#[test]
fn another_address_list_is_told_and_not_dropped() {
    for config in [v2(100), v3(100), v6(100)] {
        let mut router = Router::new(&config);
        let other = ip(if config.family == Family::Ipv4 { "192.0.2.99" } else { "fe80::99" });
        router.hear(&winning(&config, |frame| frame.addresses = vec![other]));
        assert_eq!(router.status().counters.received, 1);
        assert_eq!(oddities(&router), [Oddity::AddressesDiffer]);
    }
}

#[test]
fn rfc9568_5_2_9_the_order_of_addresses_does_not_matter_but_the_first_ipv6_one_is_link_local() {
    let both = [ip("fe80::1"), ip("2001:db8::1")];
    let addresses = both.map(|address| ha_engine::VirtualAddress::new(address, 128));
    let config = InstanceConfig { addresses: addresses.into(), ..v6(100) };
    let mut router = Router::new(&config);
    router.hear(&winning(&config, |frame| frame.addresses = both.to_vec()));
    assert_eq!(oddities(&router), []);
    router.hear(&winning(&config, |frame| frame.addresses = vec![both[1], both[0]]));
    assert_eq!(oddities(&router), [Oddity::FirstAddressNotLinkLocal]);
}

#[test]
fn an_oddity_is_told_once_a_minute() {
    let mut router = Router::new(&v3(100));
    for _ in 0..130 {
        router.hear(&winning(&v3(100), |frame| frame.interval = 300));
        router.pass(Duration::from_secs(1));
    }
    assert_eq!(oddities(&router), [Oddity::IntervalDiffers; 3]);
}

fn oddities(router: &Router) -> Vec<Oddity> {
    let odd = router.events.iter().filter_map(|event| match event.kind {
        EventKind::AdvertDiffers { oddity, .. } => Some(oddity),
        _ => None,
    });
    odd.collect()
}

#[test]
fn rfc9568_7_1_erratum_8298_an_address_owner_hears_another_owner() {
    let config = v3(255);
    let mut router = Router::active(&config);
    let seen = router.hear(&advert(&config, "192.0.2.20", 255));
    assert!(matches!(seen.last(), Some(Seen::State(StateName::Backup, _))), "{seen:?}");
    let mut router = Router::active(&config);
    let seen = router.hear(&advert(&config, "192.0.2.2", 255));
    assert!(matches!(seen.first(), Some(Seen::Advert(255, _))), "{seen:?}");
    assert_eq!(router.state(), StateName::Active);
}

#[test]
fn an_interval_longer_than_the_bound_is_cut_to_it() {
    let bound = Duration::from_secs(5);
    let config = InstanceConfig { longest_adopted_interval: bound, ..v3(100) };
    let mut router = Router::new(&config);
    router.hear(&winning(&config, |frame| frame.interval = 4095));
    let status = router.status();
    let interval = AdvertisementInterval::new(Version::V3, bound).unwrap();
    assert_eq!(status.active_interval, bound);
    assert_eq!(status.active_down_interval, interval.active_down_interval(Version::V3, config.priority));
    assert!(oddities(&router).contains(&Oddity::IntervalTooLong));
}
