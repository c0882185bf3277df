//! Clients that begin to ask and never end.

use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, stream};
use ha_proto::v1;
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::bytes::Bytes;
use tokio::time::timeout;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use super::agent::Agent;
use super::reason;
use super::unread::resident;

const MIB: usize = 1 << 20;
const CONNECTIONS: usize = 24;
const CALLS: usize = 32;

/// Announces so many octets, sends some of them, and says nothing more. Ends when it is refused.
async fn begin(mut channel: Channel, method: &'static str, announced: usize, sent: usize) -> Status {
    static ZEROS: [u8; 8192] = [0; 8192];
    let prefix = [&[0][..], &u32::try_from(announced).unwrap().to_be_bytes()].concat();
    let rest = std::iter::repeat_n(Bytes::from_static(&ZEROS), sent / ZEROS.len());
    let pieces = std::iter::once(Bytes::from(prefix)).chain(rest);
    let pieces = stream::iter(pieces.map(|piece| Ok::<_, Status>(Frame::data(piece))));
    let request = http::Request::post(format!("http://agent{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::new(StreamBody::new(pieces.chain(stream::pending()))))
        .unwrap();
    let answer = channel.ready().await.unwrap().call(request).await.unwrap();
    Status::from_header_map(answer.headers()).expect("a refusal")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_that_is_too_long_for_its_method_is_refused_before_it_is_read() {
    let agent = Agent::start().await;
    for method in [
        "/ha.agent.v1.NodeService/GetNode",
        "/ha.agent.v1.EventService/WatchEvents",
        "/ha.agent.v1.ConfigService/GetConfig",
        "/grpc.health.v1.Health/Watch",
    ] {
        let refusal = timeout(Duration::from_secs(5), begin(agent.channel().await, method, MIB, 0)).await;
        let refusal = refusal.expect("at once");
        let expected = (Code::ResourceExhausted, "REQUEST_TOO_LARGE");
        assert_eq!((refusal.code(), reason(&refusal).as_str()), expected, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn questions_that_never_end_take_bounded_memory_and_nobody_elses_place() {
    let agent = Agent::start().await;
    let before = resident();
    let mut calls = FuturesUnordered::new();
    for _ in 0..CONNECTIONS {
        let channel = agent.channel().await;
        let method = "/ha.agent.v1.ConfigService/ValidateConfig";
        calls.extend((0..CALLS).map(|_| begin(channel.clone(), method, MIB, MIB * 3 / 4).boxed()));
    }
    let granted = if nix::unistd::geteuid().is_root() { 18 } else { 8 };
    for _ in 0..CONNECTIONS * CALLS - granted {
        let refusal = timeout(Duration::from_secs(20), calls.next()).await.expect("in time").unwrap();
        assert_eq!(
            (refusal.code(), reason(&refusal).as_str()),
            (Code::ResourceExhausted, "TOO_MANY_REQUESTS")
        );
    }
    let grown = resident().saturating_sub(before) / MIB;
    println!(
        "{} questions begun, {granted} of them taken in, {grown} MiB resident more",
        CONNECTIONS * CALLS
    );
    assert!(grown < 96, "{grown} MiB");
    agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.expect("what is short is answered");
    assert_eq!(calls.len(), granted);
    drop(calls);
    let text = format!("# {}", "x".repeat(MIB - 2));
    let again = async {
        loop {
            let request = v1::ValidateConfigRequest { text: text.clone() };
            match agent.configs().await.validate_config(request).await {
                Err(refusal) if reason(&refusal) == "TOO_MANY_REQUESTS" => {}
                answer => return answer,
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(10), again)
        .await
        .expect("the room is free again")
        .expect("1 MiB may be judged");
}
