//! Loopback answers; networks for documentation do not.

use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::spec::Spec;
use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, failed};

fn spec(address: IpAddr, count: u8) -> Icmp {
    Icmp { target: at((address, 0).into()), count, tolerated_loss_percent: 0, size: 56 }
}

#[tokio::test]
async fn this_node_answers_in_both_families() {
    for address in [LOOPBACK, Ipv6Addr::LOCALHOST.into()] {
        for (count, size) in [(1, 0), (1, 56), (3, 1400)] {
            let attempt = attempt(Spec::Icmp(Icmp { size, ..spec(address, count) }), SHORT).await;
            assert_eq!(attempt.outcome, PASSED, "{attempt:?}");
            let words = format!("{count} of {count} echo replies from {address}, ");
            assert!(attempt.evidence.starts_with(&words), "{attempt:?}");
        }
    }
}

#[tokio::test]
async fn raw_sockets_serve_as_well_when_the_kernel_lets_us() {
    for address in [SocketAddr::from((LOOPBACK, 0)), SocketAddr::from((Ipv6Addr::LOCALHOST, 0))] {
        let framing = Framing::raw(address, 77);
        let protocol = if address.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
        let opened = Socket::new(Domain::for_address(address), Type::RAW.nonblocking(), Some(protocol));
        let socket = match opened {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return,
            socket => socket.expect("a raw socket"),
        };
        socket.attach_filter(&framing.filter().expect("raw sockets have one")).expect("the filter is valid");
        socket.connect(&address.into()).expect("loopback is there");
        let socket = UdpSocket::from_std(socket.into()).expect("a runtime");
        let echo = Echo { framing, id: 77, token: 5, size: 8 };
        let compiled = Compiled::new(spec(address.ip(), 2)).expect("a valid check");
        let mut tally = Tally::new(2, 2);
        let mut course = Course::new(Instant::now() + SHORT, false);
        compiled.exchange(&socket, &echo, &mut tally, &mut course).await;
        assert_eq!(tally.received(), 2, "{address}: {tally:?}");
    }
}

#[tokio::test]
async fn a_network_without_a_route_is_told_apart_from_silence() {
    let attempt = attempt(Spec::Icmp(spec([240, 0, 0, 1].into(), 1)), SHORT).await;
    let is_no_way = [failed(Reason::NoRoute), failed(Reason::Unreachable), failed(Reason::Timeout)];
    assert!(is_no_way.contains(&attempt.outcome), "{attempt:?}");
    assert_ne!(attempt.outcome, PASSED);
}

#[test]
fn tolerated_loss_is_rounded_in_favour_of_the_target_but_one_reply_is_needed() {
    for (count, percent, replies) in
        [(1, 0, 1), (1, 99, 1), (3, 0, 3), (3, 33, 3), (3, 34, 2), (20, 50, 10), (20, 99, 1)]
    {
        assert_eq!(needed(count, percent), replies, "{count} requests, {percent} %");
    }
}

#[test]
fn the_tally_decides_as_early_as_it_can() {
    let refused = || io::Error::from(ErrorKind::HostUnreachable);
    let mut tally = Tally::new(3, 2);
    let now = Instant::now();
    tally.sent(now);
    tally.reply(Some(0), now);
    tally.reply(Some(0), now);
    tally.reply(Some(9), now);
    tally.reply(None, now);
    assert!(!tally.is_decided(), "a reply counts once: {tally:?}");
    tally.error(refused());
    assert!(!tally.is_decided());
    tally.error(refused());
    assert!(tally.is_decided());
    let failure = tally.conclude((LOOPBACK, 0).into()).expect_err("too few replies");
    assert_eq!(failure.outcome, failed(Reason::Unreachable));
    assert!(
        failure.evidence.starts_with("1 of 1 echo replies from 127.0.0.1; cannot get"),
        "{}",
        failure.evidence
    );
}

#[test]
fn loss_and_silence_have_different_words() {
    let now = Instant::now();
    let tally = |replies: u16| {
        let mut tally = Tally::new(3, 3);
        (0..3).for_each(|_| tally.sent(now));
        (0..replies).for_each(|sequence| tally.reply(Some(sequence), now));
        tally.conclude((LOOPBACK, 0).into()).map_err(|failure| failure.outcome).map(|_| ())
    };
    assert_eq!(tally(0), Err(failed(Reason::Timeout)));
    assert_eq!(tally(2), Err(failed(Reason::Loss)));
    assert_eq!(tally(3), Ok(()));
}

#[test]
fn a_wrong_parameter_is_named() {
    let good = spec(LOOPBACK, 1);
    let cases = [
        (Icmp { count: 0, ..good.clone() }, "count"),
        (Icmp { count: 21, ..good.clone() }, "count"),
        (Icmp { tolerated_loss_percent: 100, ..good.clone() }, "tolerated_loss_percent"),
        (Icmp { size: 1401, ..good }, "size"),
    ];
    for (spec, parameter) in cases {
        assert_eq!(Compiled::new(spec).expect_err(parameter).parameter, parameter);
    }
}
