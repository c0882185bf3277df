//! Exchanges beside each other: each ends once, by its deadline, and none keeps the others waiting.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

use super::*;
use crate::attempt::{Outcome, Reason};
use crate::http::{BodyRules, Http};
use crate::probe::Start;
use crate::spec::Spec;
use crate::testing::pki::DAY;
use crate::testing::{SHORT, page, tcp};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// An exchange with `address` that has `within` to end, and reads the whole body.
fn exchange(address: std::net::SocketAddr, within: Duration) -> Box<Exchange> {
    let body = BodyRules { lacks: Some("canary".to_owned()), ..BodyRules::default() };
    let spec = Http { body, body_limit: 1 << 20, ..page(address) };
    let probe = Arc::new(Probe::new(Spec::Http(spec)).expect("a valid check"));
    match probe.start(Instant::now() + within, false) {
        Start::Exchange(exchange) => exchange,
        other => panic!("{other:?}"),
    }
}

/// A server that answers after `pause`.
async fn answering(pause: Duration) -> std::net::SocketAddr {
    tcp(move |mut stream: TcpStream| async move {
        let _ = stream.read(&mut [0; 1024]).await;
        tokio::time::sleep(pause).await;
        let _ = stream.write_all(ANSWER).await;
        let _ = stream.read(&mut [0]).await;
    })
    .await
}

#[tokio::test]
async fn each_ends_once_with_what_it_was_given() {
    let (quick, slow) = (answering(Duration::ZERO).await, answering(SHORT * 4).await);
    let mut exchanges = Exchanges::new().expect("an epoll set");
    for number in 0..200 {
        let (address, within) = if number % 10 == 0 { (slow, SHORT) } else { (quick, DAY) };
        exchanges.add(number, number * 2, exchange(address, within));
    }
    let mut ended = BTreeMap::new();
    while ended.len() < 200 {
        let (number, tag, attempt) = exchanges.next().await;
        assert_eq!(tag, number * 2);
        assert!(ended.insert(number, attempt.expect("no panic").outcome).is_none(), "{number} ended twice");
    }
    for (number, outcome) in ended {
        let expected = if number % 10 == 0 { Outcome::Failed(Reason::Timeout) } else { Outcome::Passed };
        assert_eq!(outcome, expected, "{number}");
    }
    assert_eq!((exchanges.len(), exchanges.next_deadline()), (0, None));
}

#[tokio::test]
async fn one_that_never_stops_sending_keeps_nobody_waiting() {
    static LINES: [u8; 65_536] = [b'\n'; 65_536];
    let endless = tcp(|mut stream: TcpStream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&LINES).await.is_ok() {}
    })
    .await;
    let quick = answering(Duration::ZERO).await;
    let mut exchanges = Exchanges::new().expect("an epoll set");
    for number in 0..8 {
        exchanges.add(number, (), exchange(endless, DAY));
    }
    exchanges.add(100, (), exchange(quick, DAY));
    let mut order = Vec::new();
    while order.len() < 9 {
        let (number, (), attempt) = exchanges.next().await;
        let outcome = attempt.expect("no panic").outcome;
        let expected = if number == 100 { Outcome::Passed } else { Outcome::Failed(Reason::TooLarge) };
        assert_eq!(outcome, expected, "{number}");
        order.push(number);
    }
    assert_ne!(order.last(), Some(&100), "it ended before somebody who had a megabyte to hear");
}

#[tokio::test]
async fn who_is_given_up_is_closed_and_not_heard_of_again() {
    let (sender, mut gone) = unbounded_channel();
    let address = tcp(move |mut stream: TcpStream| {
        let sender = sender.clone();
        async move {
            let _ = stream.read(&mut [0; 1024]).await;
            let end = stream.read(&mut [0]).await;
            let _ = sender.send(end.is_err() || end.is_ok_and(|length| length == 0));
        }
    })
    .await;
    let mut exchanges = Exchanges::new().expect("an epoll set");
    exchanges.add(1, (), exchange(address, SHORT * 2));
    exchanges.add(2, (), exchange(address, SHORT * 2));
    exchanges.cancel(1);
    assert_eq!(timeout(SHORT, gone.recv()).await.expect("at once"), Some(true));
    let (number, ..) = exchanges.next().await;
    assert_eq!((number, exchanges.len()), (2, 0));
}
