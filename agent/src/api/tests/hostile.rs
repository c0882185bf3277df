//! Clients that speak HTTP/2 and TLS to do harm: each loses its connection, and nobody else notices.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ha_proto::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::time::{Instant, timeout};

use super::agent::{Agent, Setup};
use super::secure::Secured;
use super::secure::authority::Holder;
use crate::api::Limits;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Types of frames (RFC 9113 section 6).
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;

/// Flags of HEADERS.
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut octets = length[1..].to_vec();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// Sends pieces until the agent closes the connection; returns how many it took.
async fn send_until_closed(agent: &Agent, piece: impl Fn(u32) -> Vec<u8>, most: u32) -> u32 {
    let mut stream = UnixStream::connect(&agent.socket).await.unwrap();
    stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    // What it answers is read, so that it is not the full buffer that ends this.
    let closed = tokio::spawn(async move { tokio::io::copy(&mut reading, &mut tokio::io::sink()).await });
    for number in 0..most {
        if closed.is_finished() || writing.write_all(&piece(number)).await.is_err() {
            return number;
        }
        tokio::task::yield_now().await;
    }
    let _ = timeout(Duration::from_secs(5), closed).await.expect("the agent closes the connection");
    most
}

async fn answers(agent: &Agent) {
    let mut client = agent.nodes().await;
    let answer = timeout(Duration::from_secs(5), client.get_node(v1::GetNodeRequest::default())).await;
    assert!(answer.expect("in time").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_end_cost_a_connection_and_no_memory() {
    let agent = Agent::start().await;
    // A literal header field without indexing, of a name and a value of 8 KiB of Huffman-free octets.
    let mut field = vec![0x00, 0x01, b'x', 0x7f, 0x81, 0x3f];
    field.extend([b'y'; 8192]);
    let piece = |number: u32| {
        if number == 0 {
            frame(HEADERS, 0, 1, &[0x83, 0x86, 0x84])
        } else {
            frame(CONTINUATION, 0, 1, &field)
        }
    };
    let sent = send_until_closed(&agent, piece, 4096).await;
    assert!(sent < 200, "{sent} pieces of 8 KiB were taken");
    answers(&agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_as_soon_as_they_are_opened_cost_a_connection() {
    let agent = Agent::start().await;
    let piece = |number: u32| {
        let stream = number * 2 + 1;
        let headers = frame(HEADERS, END_HEADERS, stream, &[0x83, 0x86, 0x84]);
        [headers, frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    let sent = send_until_closed(&agent, piece, 100_000).await;
    assert!(sent < 20_000, "{sent} streams were opened and reset");
    answers(&agent).await;
}

/// Connections of one address that never prove who they are.
async fn held_open(secured: &Secured, from: Ipv4Addr, count: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for number in 0..count {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::V4(from), 0).into()).unwrap();
        let mut stream = socket.connect(secured.tcp.listen[0]).await.unwrap();
        // Every other one begins a TLS record, and never goes on.
        if number % 2 == 0 {
            let _ = stream.write_all(&[22, 3, 1]).await;
        }
        held.push(stream);
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_proves_who_it_is_neither_stays_nor_keeps_others_out() {
    let secured = Secured::start_as(Setup { limits: Limits::default(), ..Setup::default() }).await;
    let began = Instant::now();
    let mut held = held_open(&secured, Ipv4Addr::new(127, 0, 0, 9), 200).await;
    // From another address, while they hold on.
    let reader = secured.issue(Holder::default().role("reader"));
    let channel =
        timeout(Duration::from_secs(4), secured.connect(Some(&reader))).await.expect("at once").unwrap();
    let mut client = v1::node_service_client::NodeServiceClient::new(channel);
    client.get_node(v1::GetNodeRequest::default()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    let mut octets = [0; 64];
    for stream in &mut held {
        let closed = timeout(Duration::from_secs(8), stream.read(&mut octets)).await;
        assert!(matches!(closed, Ok(Ok(0) | Err(_))), "still open after 8 s");
    }
    assert!(secured.agent.counters.connections_refused.load(std::sync::atomic::Ordering::Relaxed) >= 150);
}
