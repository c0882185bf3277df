//! Address leases: kept by the heartbeat, ended by the kernel.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ha_engine::{InstanceId, Ownership};

use crate::fixture::{Plane, eventually, ownership};
use crate::namespace::Namespace;

fn leased(instance: u32, seconds: u64, addresses: &[&str]) -> Ownership {
    Ownership { lease: Some(Duration::from_secs(seconds)), ..ownership(instance, addresses) }
}

const BOTH: [&str; 2] = ["192.0.2.100/32", "2001:db8::100/128"];

#[test]
fn a_lease_is_kept_while_the_heart_beats_and_ends_when_it_stops() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(leased(1, 1, &BOTH)).unwrap();
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        assert!(BOTH.iter().all(|address| node.has("wire", address)));
        std::thread::sleep(Duration::from_millis(50));
    }
    plane.beat(false);
    let stopped = Instant::now();
    eventually("the kernel takes them away", || !BOTH.iter().any(|address| node.has("wire", address)));
    let lasted = stopped.elapsed();
    assert!(lasted > Duration::from_millis(300) && lasted < Duration::from_secs(3), "{lasted:?}");
    let mut lost = [plane.wait_for_loss(), plane.wait_for_loss()];
    lost.sort();
    let expected: [IpAddr; 2] = ["192.0.2.100".parse().unwrap(), "2001:db8::100".parse().unwrap()];
    assert_eq!(lost, expected.map(|address| (InstanceId(1), address)));
    // A heart that beats again does not bring them back; an ownership does.
    plane.beat(true);
    std::thread::sleep(Duration::from_millis(700));
    assert!(!BOTH.iter().any(|address| node.has("wire", address)));
    plane.own(leased(1, 1, &BOTH)).unwrap();
    std::thread::sleep(Duration::from_millis(1800));
    assert!(BOTH.iter().all(|address| node.has("wire", address)));
}

#[test]
fn a_short_pause_of_the_heart_costs_nothing() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(leased(1, 3, &BOTH)).unwrap();
    std::thread::sleep(Duration::from_millis(900));
    plane.beat(false);
    std::thread::sleep(Duration::from_millis(1500));
    plane.beat(true);
    std::thread::sleep(Duration::from_millis(2500));
    assert!(BOTH.iter().all(|address| node.has("wire", address)));
}

#[test]
fn lifetimes_are_set_changed_and_taken_off() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    let lifetime = |text: &str| -> String {
        let line = node.addresses("wire").into_iter().find(|line| line.contains(text)).unwrap();
        line.split("valid_lft ").nth(1).unwrap().split(' ').next().unwrap().to_owned()
    };
    let seconds = |text: &str| lifetime(text).trim_end_matches("sec").parse::<u32>().unwrap();
    plane.own(leased(1, 60, &BOTH)).unwrap();
    assert!((58..=60).contains(&seconds("192.0.2.100")) && (58..=60).contains(&seconds("2001:db8::100")));
    plane.own(leased(1, 30, &BOTH)).unwrap();
    assert!((28..=30).contains(&seconds("192.0.2.100")) && (28..=30).contains(&seconds("2001:db8::100")));
    let (name, address) = ("wire".into(), "192.0.2.100".parse().unwrap());
    eventually("the view shows the lease", || plane.handle.kernel_view().get(&name, address).leased);
    plane.own(ownership(1, &BOTH)).unwrap();
    assert_eq!((lifetime("192.0.2.100"), lifetime("2001:db8::100")), ("forever".into(), "forever".into()));
}

#[test]
fn a_lost_address_is_not_restored_by_a_renewal() {
    let (node, _other) = Namespace::pair();
    let mut plane = Plane::new(&node);
    plane.own(leased(1, 1, &BOTH)).unwrap();
    node.ip("address delete 192.0.2.100/32 dev wire");
    plane.wait_for_loss();
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!node.has("wire", "192.0.2.100/32") && node.has("wire", "2001:db8::100/128"));
}
