//! What the tests of all kinds need: attempts with a deadline, listeners on this node that behave as told.

pub(crate) mod pki;

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::Instant;

use crate::attempt::{Attempt, Outcome, Reason};
use crate::evidence::EVIDENCE_LIMIT;
use crate::exchange::{Exchange, Exchanges};
use crate::http::{BodyRules, Http, HttpVersion, StatusSet};
use crate::probe::{Probe, Start};
use crate::spec::Spec;
use crate::target::{Host, Target};

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Long enough for an exchange on this node, short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(400);

pub(crate) const PASSED: Outcome = Outcome::Passed;

pub(crate) fn failed(reason: Reason) -> Outcome {
    Outcome::Failed(reason)
}

/// `address` as a target.
pub(crate) fn at(address: SocketAddr) -> Target {
    Target::new(Host::Address(address.ip()), address.port())
}

/// A page at `address`, whatever its body.
pub(crate) fn page(address: SocketAddr) -> Http {
    Http {
        target: at(address),
        tls: None,
        version: HttpVersion::One,
        method: "GET".to_owned(),
        path: "/health?token=canary".to_owned(),
        host: None,
        headers: Vec::new(),
        status: StatusSet::default(),
        body: BodyRules::default(),
        body_limit: 1 << 16,
    }
}

/// One attempt with a trace, as the agent makes it, which must keep its deadline and the rules for evidence.
pub(crate) async fn attempt(spec: Spec, within: Duration) -> Attempt {
    let probe = Arc::new(Probe::new(spec).expect("a valid check"));
    let begun = Instant::now();
    let attempt = match probe.start(begun + within, true) {
        Start::Done(attempt) => attempt,
        Start::Running(running) => running.await,
        Start::Exchange(exchange) => drive(exchange).await,
    };
    // Generous: a machine that is busy with other things fails nothing.
    assert!(begun.elapsed() < within + Duration::from_secs(5), "{:?}: {attempt:?}", begun.elapsed());
    assert!(attempt.evidence.chars().count() <= EVIDENCE_LIMIT, "{attempt:?}");
    assert!(!attempt.evidence.is_empty() && !attempt.evidence.contains(char::is_control), "{attempt:?}");
    attempt
}

async fn drive(exchange: Box<Exchange>) -> Attempt {
    let mut exchanges = Exchanges::new().expect("an epoll set");
    exchanges.add(7, "tag", exchange);
    let (number, tag, attempt) = exchanges.next().await;
    assert_eq!((number, tag, exchanges.len()), (7, "tag", 0));
    attempt.expect("it does not panic")
}

/// A UDP server that answers each datagram with the datagrams that `answer` makes of it.
pub(crate) async fn udp(mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind((LOOPBACK, 0)).await.expect("a socket");
    let address = socket.local_addr().expect("its address");
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            for datagram in answer(&buffer[..length]) {
                socket.send_to(&datagram, from).await.expect("loopback takes it");
            }
        }
    });
    address
}

/// A TCP server that treats each connection as told.
pub(crate) async fn tcp<F>(mut treat: impl FnMut(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(treat(stream));
        }
    });
    address
}

/// A port where nothing listens.
pub(crate) async fn closed() -> SocketAddr {
    let listener = TcpListener::bind((LOOPBACK, 0)).await.expect("a listener");
    listener.local_addr().expect("its address")
}
