//! In steady state the engine allocates nothing: not for an advert sent, not for one accepted, not for one discarded.

use std::time::Duration;

use allocation_counter::measure;
use ha_engine::{
    Family, Input, InstanceConfig, Packet, Peer, StateName, Track, TrackEffect, Transport, VirtualRouterId,
};
use ha_tests::{Checksum, VrrpFrame};

use crate::router::{Router, advert, v2, v3, v6};

/// How often memory is allocated for 500 inputs.
fn allocations(router: &mut Router, mut input: impl FnMut(&mut Router)) -> u64 {
    // What grows once has grown after this.
    (0..50).for_each(|_| input(router));
    let counted = measure(|| (0..500).for_each(|_| input(router)));
    counted.count_total
}

fn serve_deadline(router: &mut Router) {
    router.now = router.engine.next_deadline().unwrap().0;
    let sent = router.engine.handle(router.now, Input::Deadline).count();
    assert!(sent > 0);
}

fn serve_packet(router: &mut Router, frame: &VrrpFrame, octets: &[u8]) {
    // All of them within an advertisement interval, so that no timer is due.
    router.now = router.now.after(Duration::from_millis(1));
    let link = router.engine.link("eth0").unwrap();
    let packet =
        Packet { link, source: frame.source, destination: frame.destination, ttl: frame.ttl, octets };
    router.engine.handle(router.now, Input::Packet(packet)).for_each(drop);
}

#[test]
fn an_advert_sent_allocates_nothing() {
    let peers = (1..=9).map(|host| Peer { address: [192, 0, 2, 100 + host].into(), minimum_ttl: 255 });
    let transport = Transport::Unicast { peers: peers.collect(), ttl: 255 };
    for config in [v2(200), v3(200), v6(200), InstanceConfig { transport, ..v3(200) }] {
        let mut router = Router::active(&config);
        assert_eq!(allocations(&mut router, serve_deadline), 0);
        assert!(router.status().counters.sent >= 550);
    }
}

#[test]
fn an_advert_of_a_sync_group_allocates_nothing() {
    let lan = InstanceConfig { name: "lan".into(), virtual_router_id: other_id(), ..v3(200) };
    let members = [v3(200), lan].map(|config| InstanceConfig {
        group: Some("edge".into()),
        tracks: [track("checks/http")].into(),
        ..config
    });
    let mut router = Router::active_group(&members);
    assert_eq!(allocations(&mut router, serve_deadline), 0);
    assert_eq!(router.engine.statuses().filter(|status| status.state == StateName::Active).count(), 2);
}

fn other_id() -> VirtualRouterId {
    VirtualRouterId::new(9).unwrap()
}

fn track(fact: &str) -> Track {
    Track { fact: fact.into(), effect: TrackEffect::Weight { weight: -30, reverse: false } }
}

#[test]
fn an_advert_accepted_allocates_nothing() {
    for config in [v2(100), v3(100), v6(100)] {
        let frame = advert(&config, peer(&config), 200);
        let message = frame.message();
        let mut router = Router::new(&config);
        assert_eq!(allocations(&mut router, |router| serve_packet(router, &frame, &message)), 0);
        assert_eq!((router.state(), router.status().counters.received), (StateName::Backup, 550));
    }
}

#[test]
fn an_advert_that_loses_allocates_nothing() {
    for config in [v2(100), v3(100), v6(100)] {
        let frame = advert(&config, peer(&config), 50);
        let message = frame.message();
        let mut router = Router::active(&config);
        // The first advert of a rival is an event; the others are not.
        router.pass(Duration::from_secs(2));
        assert_eq!(allocations(&mut router, |router| serve_packet(router, &frame, &message)), 0);
        assert_eq!((router.state(), router.status().counters.received), (StateName::Active, 550));
    }
}

#[test]
fn an_advert_discarded_allocates_nothing() {
    for config in [v2(100), v3(100), v6(100)] {
        let good = advert(&config, peer(&config), 200);
        let broken = [
            VrrpFrame { ttl: 1, ..good.clone() },
            VrrpFrame { checksum: Checksum::Value(1), ..good.clone() },
            VrrpFrame { vrid: 99, ..good.clone() },
            VrrpFrame { version: 7, ..good },
        ];
        for frame in broken {
            let message = frame.message();
            let mut router = Router::new(&config);
            assert_eq!(allocations(&mut router, |router| serve_packet(router, &frame, &message)), 0);
            assert_eq!(router.discards()[0].1, 550);
        }
    }
}

fn peer(config: &InstanceConfig) -> &'static str {
    if config.family == Family::Ipv4 { "192.0.2.20" } else { "fe80::14" }
}
