//! RFC 9568 §6.4 and §7.2, RFC 3768 §6.4 and §7.2: what each state does with each event, for both families and versions.

use std::time::Duration;

use ha_engine::{
    AdvertisementInterval, Cause, Family, Input, InstanceConfig, Priority, StateName, Version, VirtualAddress,
};

use crate::router::{Router, Seen, advert, config, group, ip, unicast, v2, v3, v6};

const ALL: [fn(u8) -> InstanceConfig; 3] = [v2, v3, v6];

/// A host below (.2) or above (.20) ours (.10).
fn host(config: &InstanceConfig, above: bool) -> &'static str {
    match (config.family, above) {
        (Family::Ipv4, false) => "192.0.2.2",
        (Family::Ipv4, true) => "192.0.2.20",
        (Family::Ipv6, false) => "fe80::2",
        (Family::Ipv6, true) => "fe80::14",
    }
}

fn advert_to(config: &InstanceConfig, priority: u8) -> Seen {
    Seen::Advert(priority, group(config.family))
}

/// Nothing happens until just before `duration` has passed, and then this.
fn at(router: &mut Router, duration: Duration, expected: &[Seen]) {
    assert_eq!(router.pass(duration - Duration::from_nanos(1)), []);
    assert_eq!(router.pass(Duration::from_nanos(1)), expected);
}

fn takeover(config: &InstanceConfig, priority: u8, cause: Cause) -> Vec<Seen> {
    vec![advert_to(config, priority), Seen::Own(1), Seen::Announce, Seen::State(StateName::Active, cause)]
}

/// (256 − Priority) / 256 seconds in v2, of the interval in v3.
fn skew(config: &InstanceConfig, interval: Duration) -> Duration {
    let base = if config.version() == Version::V2 { Duration::from_secs(1) } else { interval };
    Duration::from_nanos(base.as_nanos() as u64 * (256 - u64::from(config.priority.get())) / 256)
}

#[test]
fn rfc9568_6_4_1_115_an_address_owner_sends_announces_and_becomes_active() {
    for make in ALL {
        let config = make(255);
        let mut router = Router::at(&config, &[]);
        let seen = router.link(ha_engine::LinkCondition::Up, &["192.0.2.10", "fe80::a"]);
        assert_eq!(seen, takeover(&config, 255, Cause::AddressOwner));
        at(&mut router, Duration::from_secs(1), &[advert_to(&config, 255)]);
    }
}

#[test]
fn rfc9568_6_4_1_145_everybody_else_waits_active_down_interval_as_backup() {
    for make in ALL {
        for priority in [1, 100, 254] {
            let config = make(priority);
            let mut router = Router::new(&config);
            assert_eq!(router.state(), StateName::Backup);
            let down = Duration::from_secs(3) + skew(&config, Duration::from_secs(1));
            at(&mut router, down, &takeover(&config, priority, Cause::ActiveDownTimer));
        }
    }
}

#[test]
fn rfc9568_6_4_2_a_backup_that_is_shut_down_says_nothing() {
    for make in ALL {
        let mut router = Router::new(&make(100));
        let seen = router.handle(Input::Stop);
        assert_eq!(seen, [Seen::State(StateName::Initialize, Cause::AgentStop)]);
        assert_eq!(router.pass(Duration::from_secs(60)), []);
    }
}

#[test]
fn rfc9568_6_4_2_420_priority_zero_sets_active_down_timer_to_skew_time() {
    for make in ALL {
        let config = make(100);
        let mut router = Router::new(&config);
        router.hear(&advert(&config, host(&config, true), 200));
        router.pass(Duration::from_millis(700));
        assert_eq!(router.hear(&advert(&config, host(&config, true), 0)), []);
        let skew = skew(&config, Duration::from_secs(1));
        at(&mut router, skew, &takeover(&config, 100, Cause::PeerPriorityZero));
    }
}

#[test]
fn rfc9568_6_4_2_450_an_advert_of_equal_or_higher_priority_restarts_the_timer() {
    for make in ALL {
        for (priority, above) in [(100, false), (100, true), (101, false), (255, false)] {
            let config = make(100);
            let mut router = Router::new(&config);
            router.pass(Duration::from_secs(3));
            assert_eq!(router.hear(&advert(&config, host(&config, above), priority)), []);
            let down = Duration::from_secs(3) + skew(&config, Duration::from_secs(1));
            at(&mut router, down, &takeover(&config, 100, Cause::ActiveDownTimer));
        }
    }
}

#[test]
fn rfc9568_6_4_2_450_without_preempt_mode_a_lower_priority_restarts_the_timer_too() {
    for make in ALL {
        let config = InstanceConfig { preempt: false, ..make(100) };
        let mut router = Router::new(&config);
        router.pass(Duration::from_secs(3));
        assert_eq!(router.hear(&advert(&config, host(&config, false), 1)), []);
        let down = Duration::from_secs(3) + skew(&config, Duration::from_secs(1));
        at(&mut router, down, &takeover(&config, 100, Cause::ActiveDownTimer));
    }
}

#[test]
fn rfc9568_6_4_2_470_with_preempt_mode_a_lower_priority_is_discarded() {
    for make in ALL {
        let config = make(100);
        let mut router = Router::new(&config);
        let down = Duration::from_secs(3) + skew(&config, Duration::from_secs(1));
        router.pass(Duration::from_secs(3));
        assert_eq!(router.hear(&advert(&config, host(&config, true), 99)), []);
        at(&mut router, down - Duration::from_secs(3), &takeover(&config, 100, Cause::LocalPreempt));
    }
}

#[test]
fn rfc9568_6_1_the_address_owner_preempts_whatever_preempt_mode_says() {
    for make in ALL {
        let config = InstanceConfig { preempt: false, preempt_delay: Duration::from_secs(99), ..make(255) };
        let mut router = Router::active(&config);
        router.hear(&advert(&config, host(&config, true), 255));
        assert_eq!(router.state(), StateName::Backup);
        router.hear(&advert(&config, host(&config, true), 254));
        router.pass(Duration::from_secs(4));
        assert_eq!(router.state(), StateName::Active);
    }
}

#[test]
fn rfc9568_6_4_2_v3_adopts_the_interval_of_its_active_router_and_recomputes() {
    for make in [v3, v6] {
        let config = make(100);
        for centiseconds in [1, 10, 250, 3999] {
            let mut router = Router::new(&config);
            let mut frame = advert(&config, host(&config, true), 200);
            frame.interval = centiseconds;
            router.hear(&frame);
            let interval = Duration::from_millis(u64::from(centiseconds) * 10);
            let down = interval * 3 + skew(&config, interval);
            assert_eq!(router.status().active_down_interval, down);
            at(&mut router, down, &takeover(&config, 100, Cause::ActiveDownTimer));
        }
    }
}

#[test]
fn rfc9568_6_4_3_700_priority_zero_is_answered_at_once_and_the_timer_restarts() {
    for make in ALL {
        let config = make(100);
        let mut router = Router::active(&config);
        let seen = router.hear(&advert(&config, host(&config, true), 0));
        assert_eq!(seen, [advert_to(&config, 100)]);
        let seen = router.pass(Duration::from_secs(1));
        assert_eq!(seen.first(), Some(&advert_to(&config, 100)));
    }
}

#[test]
fn rfc9568_6_4_3_725_a_greater_priority_or_an_equal_one_with_a_greater_address_wins() {
    for make in ALL {
        for (priority, above, cause) in [
            (101, false, Cause::PeerHigherPriority),
            (255, true, Cause::PeerHigherPriority),
            (100, true, Cause::PeerEqualPriorityHigherAddress),
        ] {
            let config = make(100);
            let mut router = Router::active(&config);
            let seen = router.hear(&advert(&config, host(&config, above), priority));
            // The advert before the change of state is our last.
            let expected = [advert_to(&config, 100), Seen::Own(0), Seen::State(StateName::Backup, cause)];
            assert_eq!(seen, expected);
            let down = Duration::from_secs(3) + skew(&config, Duration::from_secs(1));
            at(&mut router, down, &takeover(&config, 100, Cause::ActiveDownTimer));
        }
    }
}

#[test]
fn rfc9568_6_4_3_740_who_yields_adopts_the_interval_of_the_winner() {
    for make in [v3, v6] {
        let config = make(100);
        let mut router = Router::active(&config);
        let mut frame = advert(&config, host(&config, true), 200);
        frame.interval = 20;
        router.hear(&frame);
        let interval = Duration::from_millis(200);
        at(
            &mut router,
            interval * 3 + skew(&config, interval),
            &takeover(&config, 100, Cause::ActiveDownTimer),
        );
    }
}

#[test]
fn rfc9568_6_4_3_770_anything_else_is_discarded_and_answered_at_once() {
    for make in ALL {
        for (priority, above) in [(1, true), (99, true), (100, false)] {
            let config = make(100);
            let mut router = Router::active(&config);
            let seen = router.hear(&advert(&config, host(&config, above), priority));
            assert_eq!(seen.first(), Some(&advert_to(&config, 100)), "{priority}");
            assert_eq!(router.state(), StateName::Active);
        }
    }
}

#[test]
fn rfc9568_6_4_3_655_a_shutdown_sends_priority_zero_then_gives_the_addresses_up() {
    for make in ALL {
        let config = make(100);
        let mut router = Router::active(&config);
        let seen = router.handle(Input::Stop);
        let expected =
            [advert_to(&config, 0), Seen::Own(0), Seen::State(StateName::Initialize, Cause::AgentStop)];
        assert_eq!(seen, expected);
        assert_eq!(router.pass(Duration::from_secs(60)), []);
    }
}

#[test]
fn rfc9568_6_4_3_680_adverts_leave_at_the_configured_interval() {
    for (version, family, interval) in [
        (Version::V2, Family::Ipv4, Duration::from_secs(255)),
        (Version::V3, Family::Ipv4, Duration::from_millis(10)),
        (Version::V3, Family::Ipv6, Duration::from_millis(40_950)),
    ] {
        let interval = AdvertisementInterval::new(version, interval).unwrap();
        let config = InstanceConfig { interval, ..config(version, family, 255) };
        let mut router = Router::new(&config);
        for _ in 0..5 {
            at(&mut router, interval.duration(), &[advert_to(&config, 255)]);
        }
    }
}

#[test]
fn rfc9568_6_1_and_rfc3768_6_1_timers_follow_the_formula_to_the_nanosecond_for_every_priority() {
    for priority in 1..=254 {
        for centiseconds in [1_u64, 7, 100, 4095] {
            let interval = Duration::from_millis(centiseconds * 10);
            let own = AdvertisementInterval::new(Version::V3, interval).unwrap();
            let config = InstanceConfig { interval: own, ..v3(priority) };
            let down = Router::new(&config).status().active_down_interval;
            let nanos = centiseconds * 10_000_000;
            assert_eq!(down.as_nanos() as u64, 3 * nanos + (256 - u64::from(priority)) * nanos / 256);
        }
        let down = Router::new(&v2(priority)).status().active_down_interval;
        let skew = (256 - u64::from(priority)) * 1_000_000_000 / 256;
        assert_eq!(down.as_nanos() as u64, 3_000_000_000 + skew);
    }
}

#[test]
fn rfc9568_7_2_adverts_carry_the_configuration_the_source_and_hop_limit_255() {
    for make in ALL {
        let config = make(120);
        let router = Router::active(&config);
        let sent = &router.sent[0];
        let own = ip(if config.family == Family::Ipv4 { "192.0.2.10" } else { "fe80::a" });
        assert_eq!((sent.source, sent.destination, sent.ttl), (own, group(config.family), 255));
        assert_eq!(sent.virtual_mac, None);
        let version = config.version().number();
        assert_eq!(sent.octets[..4], [version << 4 | 1, 7, 120, 1]);
    }
}

#[test]
fn rfc9568_7_3_the_virtual_router_mac_address_is_asked_for_when_configured() {
    for (config, family) in [(v3(255), 1), (v6(255), 2)] {
        let router = Router::new(&InstanceConfig { virtual_mac: true, ..config });
        assert_eq!(router.sent[0].virtual_mac, Some([0, 0, 0x5e, 0, family, 7]));
    }
}

#[test]
fn rfc9568_5_1_1_1_the_source_is_the_primary_address_and_for_ipv6_the_link_local_one() {
    let router = Router::at(&v3(255), &["2001:db8::7", "192.0.2.30", "192.0.2.10"]);
    assert_eq!(router.sent[0].source, ip("192.0.2.30"));
    let router = Router::at(&v6(255), &["192.0.2.30", "2001:db8::7", "fe80::b"]);
    assert_eq!(router.sent[0].source, ip("fe80::b"));
    let router = Router::at(&v6(255), &["192.0.2.30", "2001:db8::7"]);
    assert_eq!((router.state(), router.sent.len()), (StateName::Fault, 0));
}

#[test]
fn rfc9568_5_2_4_the_wire_priority_is_255_for_owners_and_0_for_a_release_only() {
    let owner = Router::active(&v3(255));
    assert!(owner.sent.iter().all(|sent| sent.octets[2] == 255));
    let mut other = Router::active(&v3(254));
    other.handle(Input::Stop);
    let priorities: Vec<u8> = other.sent.iter().map(|sent| sent.octets[2]).collect();
    assert_eq!(priorities, [254, 0]);
    assert_eq!(Priority::new(0), None);
}

#[test]
fn unicast_adverts_go_to_each_peer_with_the_configured_ttl() {
    let config = unicast(v3(255), "192.0.2.20", 255);
    let router = Router::new(&config);
    let sent: Vec<_> = router.sent.iter().map(|sent| (sent.destination, sent.ttl)).collect();
    assert_eq!(sent, [(ip("192.0.2.20"), 255)]);
}

#[test]
fn every_address_is_advertised_owned_and_announced() {
    let many = (1..=20_u8).map(|host| VirtualAddress::new([192, 0, 2, host].into(), 32));
    let config = InstanceConfig { addresses: many.collect(), ..v3(255) };
    let mut router = Router::at(&config, &[]);
    let seen = router.link(ha_engine::LinkCondition::Up, &["192.0.2.10"]);
    assert_eq!(seen[1..3], [Seen::Own(20), Seen::Announce]);
    assert_eq!((router.sent[0].octets[3], router.sent[0].octets.len()), (20, 88));
}
