//! In a network namespace of the test's own; needs root.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{InstanceId, LinkId, Ownership, VirtualAddress};
use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::address::Prefixed;
use crate::apply::Owner;

fn address(number: u16) -> Prefixed {
    let [high, low] = number.to_be_bytes();
    Prefixed { address: Ipv4Addr::new(10, 0, high, low).into(), prefix_length: 32 }
}

/// Runs in a namespace, with a kernel whose notification socket has the least possible room.
fn in_namespace(test: impl FnOnce(Kernel, u32) + Send + 'static) {
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let kernel = Kernel::with_buffer(&Options::default(), 1).unwrap();
        let loopback = kernel.observed.index_of("lo").unwrap();
        test(kernel, loopback);
    });
    thread.join().unwrap();
}

#[test]
fn notifications_that_were_lost_are_made_up_for_by_reading_everything() {
    in_namespace(|mut kernel, loopback| {
        let mut stranger = Transactor::new(Options::default().timeout).unwrap();
        let add: Vec<_> =
            (0..2000).map(|number| Request::add_address(loopback, address(number), None)).collect();
        assert!(stranger.execute(&add).unwrap().iter().all(Result::is_ok));
        let remove: Vec<_> =
            (0..1500).map(|number| Request::remove_address(loopback, address(number))).collect();
        stranger.execute(&remove).unwrap();
        kernel.refresh();
        assert_eq!(kernel.observed.ours().count(), 500);
        assert!(kernel.take_troubles().iter().any(|text| text.contains("lost")));
        assert!(!kernel.is_stale);
        // And it hears again.
        stranger.execute(&[Request::remove_address(loopback, address(1999))]).unwrap();
        kernel.refresh();
        assert_eq!(kernel.observed.ours().count(), 499);
        assert!(kernel.take_troubles().is_empty());
    });
}

#[test]
fn each_request_of_a_batch_has_its_own_outcome() {
    in_namespace(|mut kernel, loopback| {
        let mut requests: Vec<_> =
            (0..600).map(|number| Request::add_address(loopback, address(number), None)).collect();
        requests[300] = requests[0].clone();
        requests[301] = Request::add_address(9999, address(301), None);
        let outcomes = kernel.execute(&requests).unwrap();
        let failed: Vec<_> = outcomes
            .iter()
            .enumerate()
            .filter_map(|(number, outcome)| outcome.as_ref().err().map(|rejection| (number, rejection.errno)))
            .collect();
        assert_eq!(failed, [(300, libc::EEXIST), (301, libc::ENODEV)]);
        assert_eq!(kernel.observed.ours().count(), 598);
    });
}

#[test]
fn the_kernels_explanation_comes_with_its_errno() {
    in_namespace(|mut kernel, loopback| {
        let nonsense = Prefixed { prefix_length: 33, ..address(1) };
        let outcomes = kernel.execute(&[Request::add_address(loopback, nonsense, None)]).unwrap();
        let rejection = outcomes[0].clone().unwrap_err();
        assert_eq!(rejection.errno, libc::EINVAL);
        assert!(rejection.explanation.contains("refix length"), "{rejection}");
    });
}

#[test]
fn messages_that_do_not_come_from_the_kernel_are_ignored() {
    in_namespace(|mut kernel, loopback| {
        // A new loopback address, as the kernel would tell of it, from another process.
        let mut forger = rtnetlink::sys::Socket::new(rtnetlink::sys::protocols::NETLINK_ROUTE).unwrap();
        forger.bind_auto().unwrap();
        let mut own = rtnetlink::sys::SocketAddr::new(0, 0);
        kernel.monitor.socket_address(&mut own);
        let message = Request::add_address(loopback, address(1), None).message;
        let header = rtnetlink::packet_core::NetlinkHeader::default();
        let mut message = rtnetlink::packet_core::NetlinkMessage::new(header, message.into());
        message.finalize();
        let mut octets = vec![0; message.buffer_len()];
        message.serialize(&mut octets);
        forger.send_to(&octets, &own, 0).unwrap();
        kernel.refresh();
        assert_eq!(kernel.observed.ours().count(), 0);
        // The same octets from the kernel would count.
        let change = crate::netlink::decode::messages(&octets)
            .next()
            .as_ref()
            .and_then(crate::netlink::decode::change);
        kernel.observed.apply(change.unwrap());
        assert_eq!(kernel.observed.ours().count(), 1);
    });
}

/// An instance that holds one address on the loopback link with a lease of two seconds.
fn ownership(generation: u64) -> BTreeMap<InstanceId, Ownership> {
    let instance = InstanceId(0);
    let ownership = Ownership {
        instance,
        generation,
        link: LinkId(0),
        interface: Arc::from("lo"),
        addresses: Arc::new([VirtualAddress::new(address(1).address, 32)]),
        lease: Some(Duration::from_secs(2)),
        virtual_mac: None,
    };
    BTreeMap::from([(instance, ownership)])
}

#[test]
fn of_its_own_renewals_the_kernel_view_hears_nothing_and_of_everything_else_all() {
    in_namespace(|mut kernel, loopback| {
        let mut owner = Owner::default();
        assert_eq!(owner.apply(&mut kernel, &ownership(1))[0].result, Ok(()));
        let heard = |kernel: &mut Kernel| {
            let mut count = 0;
            kernel.monitor.drain(|_| count += 1).unwrap();
            count
        };
        assert_eq!(owner.renew(&mut kernel, &[2], None), None);
        assert_eq!((heard(&mut kernel), kernel.take_troubles()), (0, Vec::new()));
        let mut stranger = Transactor::new(Options::default().timeout).unwrap();
        let renew = Request::renew_address(loopback, address(1), Some(7));
        let add = Request::add_address(loopback, address(2), None);
        stranger.execute(&[renew, add.clone()]).unwrap();
        assert_eq!(heard(&mut kernel), 2);
        // And what was refused is said.
        kernel.transactor.execute(&[Request::remove_address(loopback, address(2))]).unwrap();
        let mut octets = Vec::new();
        crate::netlink::batch::write(&mut octets, &Request::renew_address(99, address(1), None).silent(), 0);
        let refused: Vec<i32> = kernel.renew(&octets).unwrap().iter().map(|one| one.errno).collect();
        assert_eq!(refused, [libc::ENODEV]);
    });
}

#[test]
fn an_address_that_went_just_before_its_renewal_is_held_again_when_it_is_asked_for() {
    in_namespace(|mut kernel, loopback| {
        kernel.execute(&[Request::set_up("lo")]).unwrap();
        let mut owner = Owner::default();
        assert_eq!(owner.apply(&mut kernel, &ownership(1))[0].result, Ok(()));
        let mut stranger = Transactor::new(Options::default().timeout).unwrap();
        stranger.execute(&[Request::remove_address(loopback, address(1))]).unwrap();
        // Nobody has read the notification yet, so the renewal puts the address back, unheard.
        assert_eq!(owner.renew(&mut kernel, &[2], None), None);
        kernel.refresh();
        assert_eq!(owner.holdings.take_losses(&kernel.observed), [(InstanceId(0), address(1).address)]);
        assert_eq!(owner.apply(&mut kernel, &ownership(2))[0].result, Ok(()));
        assert_eq!(kernel.observed.ours().count(), 1);
    });
}
