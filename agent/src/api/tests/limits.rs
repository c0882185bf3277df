//! Clients that want too much.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::node_service_client::NodeServiceClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::Code;
use tonic::client::Grpc;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use super::agent::{Agent, Setup};
use super::reason;
use crate::api::Limits;
use crate::api::connection::{Places, User};

#[tokio::test]
async fn watches_are_limited_and_a_place_that_is_left_is_free_again() {
    let watchers = if nix::unistd::geteuid().is_root() { 3 } else { 6 };
    let limits = Limits { watchers, reserved_watchers: 0, ..Limits::default() };
    let agent = Agent::start_with(Setup { limits, ..Setup::default() }).await;
    let mut client = agent.events().await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(client.watch_events(v1::WatchEventsRequest::default()).await.unwrap());
    }
    let refused = client.watch_events(v1::WatchEventsRequest::default()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "TOO_MANY_WATCHERS"));
    streams.pop();
    let again = async {
        while client.watch_events(v1::WatchEventsRequest::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("the place is free again");
    assert!(client.list_events(v1::ListEventsRequest::default()).await.is_ok(), "other calls go on");
}

#[tokio::test]
async fn connections_are_limited_and_the_administrator_always_gets_in() {
    let limits = Limits { connections: 4, reserved_connections: 2, ..Limits::default() };
    let agent = Agent::start_with(Setup { limits, ..Setup::default() }).await;
    let root = nix::unistd::geteuid().is_root();
    // No other user may have more than half.
    let allowed = if root { 6 } else { 2 };
    let mut held = Vec::new();
    for _ in 0..allowed {
        let mut client = agent.nodes().await;
        client.get_node(v1::GetNodeRequest::default()).await.unwrap();
        held.push(client);
    }
    let mut refused = UnixStream::connect(&agent.socket).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), refused.read(&mut [0; 64])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "closed at once: {read:?}");
    assert_eq!(agent.counters.connections_refused.load(Ordering::Relaxed), 1);
    held.pop();
    let again = async {
        loop {
            let endpoint =
                tonic::transport::Endpoint::from_shared(format!("unix://{}", agent.socket.display()));
            let Ok(channel) = endpoint.unwrap().connect().await else { continue };
            let mut client = v1::node_service_client::NodeServiceClient::new(channel);
            if client.get_node(v1::GetNodeRequest::default()).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("the place is free again");
}

#[tokio::test]
async fn a_call_too_many_on_one_connection_waits_until_another_ends() {
    let agent =
        Agent::start_with(Setup { limits: Limits { streams: 8, ..Limits::default() }, ..Setup::default() })
            .await;
    let channel = agent.channel().await;
    let mut client = EventServiceClient::new(channel.clone());
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(client.watch_events(v1::WatchEventsRequest::default()).await.unwrap());
    }
    let mut nodes = NodeServiceClient::new(channel);
    let call = tokio::spawn(async move { nodes.get_node(v1::GetNodeRequest::default()).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!call.is_finished(), "the ninth call of a connection is answered");
    assert!(agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.is_ok(), "others are");
    streams.pop();
    let answered = tokio::time::timeout(Duration::from_secs(10), call).await.unwrap().unwrap();
    assert!(answered.is_ok(), "{answered:?}");
}

#[test]
fn nobody_but_root_gets_more_than_half_of_the_places() {
    let places = Places::new(10, 2);
    let [one, other] = [User::Unix(1000), User::Certificate(7)];
    let mut held: Vec<_> = (0..10).map_while(|_| places.take(one)).collect();
    assert_eq!(held.len(), 5);
    held.extend((0..10).map_while(|_| places.take(other)));
    assert_eq!(held.len(), 10);
    assert!(places.take(User::Unix(1001)).is_none());
    held.extend((0..10).map_while(|_| places.take(User::ROOT)));
    assert_eq!(held.len(), 12);
    held.clear();
    assert_eq!((0..20).map_while(|_| places.take(User::ROOT)).map(|place| held.push(place)).count(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_says_nothing_is_closed() {
    let agent = Agent::start().await;
    let mut silent = UnixStream::connect(&agent.socket).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
    let mut octets = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), silent.read_to_end(&mut octets)).await;
    assert!(closed.is_ok(), "still open after 30 s");
}

/// Sends octets as they are.
#[derive(Clone, Default)]
pub(super) struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn encode(&mut self, octets: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), tonic::Status> {
        prost::bytes::BufMut::put_slice(buffer, &octets);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = tonic::Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, tonic::Status> {
        let rest = prost::bytes::Buf::remaining(buffer);
        Ok(Some(prost::bytes::Buf::copy_to_bytes(buffer, rest).to_vec()))
    }
}

async fn send(agent: &Agent, path: &'static str, octets: Vec<u8>) -> tonic::Status {
    let mut client = Grpc::new(agent.channel().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(tonic::Request::new(octets), path, Raw).await.expect_err("nonsense is refused")
}

#[tokio::test]
async fn nonsense_is_refused_with_a_reason_and_harms_nobody() {
    const GET: &str = "/ha.agent.v1.NodeService/GetNode";
    let agent = Agent::start().await;
    let malformed: [&[u8]; 4] = [
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f],
        // A name that is not UTF-8.
        &[0x0a, 0x02, 0xc3, 0x28],
        &[0xff; 64],
        &[0x0b; 4096],
    ];
    for octets in malformed {
        let refused = send(&agent, GET, octets.to_vec()).await;
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "REQUEST_MALFORMED"));
    }
    let huge = send(&agent, GET, vec![0; (1 << 20) + 1]).await;
    assert_eq!((huge.code(), reason(&huge).as_str()), (Code::ResourceExhausted, "REQUEST_TOO_LARGE"));
    for path in ["/ha.agent.v1.NodeService/NoMethod", "/no.Service/NoMethod", "/"] {
        let unknown = send(&agent, path, Vec::new()).await;
        let expected = match nix::unistd::geteuid().is_root() {
            true => (Code::Unimplemented, "METHOD_UNKNOWN"),
            false => (unknown.code(), "METHOD_UNKNOWN"),
        };
        assert_eq!((unknown.code(), reason(&unknown).as_str()), expected, "{path}");
    }
    // Unknown fields are the future, not nonsense: field 99 with one octet.
    let mut client = Grpc::new(agent.channel().await);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(GET);
    assert!(client.unary(tonic::Request::new(vec![0x9a, 0x06, 0x01, 0x00]), path, Raw).await.is_ok());
}
