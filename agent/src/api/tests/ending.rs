//! The end: in time, and said to everybody.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::watch_events_response::Payload;
use tonic::transport::Endpoint;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::agent::{Agent, Setup};
use super::reason;
use crate::api::Limits;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_tells_every_watcher_and_takes_less_than_two_seconds_although_one_is_stalled() {
    let mut agent = Agent::start().await;
    (0..9_000).for_each(|_| assert!(agent.journal.append_lost(1) > 0));
    let mut streams = Vec::new();
    for _ in 0..10 {
        let mut stream =
            agent.events().await.watch_events(v1::WatchEventsRequest::default()).await.unwrap().into_inner();
        assert!(matches!(stream.message().await.unwrap().unwrap().payload, Some(Payload::Opened(_))));
        streams.push(stream);
    }
    let mut health = HealthClient::new(agent.channel().await);
    let mut health = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    // This one never reads: far more waits for it than it lets in.
    let endpoint = Endpoint::from_shared(format!("unix://{}", agent.socket.display())).unwrap();
    let narrow = endpoint.initial_stream_window_size(4096).initial_connection_window_size(65_535);
    let mut narrow = EventServiceClient::new(narrow.connect().await.unwrap());
    let start = Some(v1::watch_events_request::Start::TailCount(i32::MAX));
    let request = v1::WatchEventsRequest { start, ..Default::default() };
    let stalled = narrow.watch_events(request).await.unwrap().into_inner();
    tokio::time::sleep(Duration::from_millis(50)).await;
    let began = Instant::now();
    let last = agent.journal.append_lost(1);
    agent.shutdown.cancel();
    let serving = std::mem::replace(&mut agent.serving, tokio::spawn(async {}));
    let ended = tokio::spawn(async move {
        serving.await.unwrap();
        began.elapsed()
    });
    for mut stream in streams {
        let (mut newest, mut going_away) = (0, false);
        let end = loop {
            match stream.message().await {
                Ok(Some(v1::WatchEventsResponse { payload: Some(Payload::EventBatch(batch)), .. })) => {
                    newest = batch.events.last().unwrap().sequence;
                }
                Ok(Some(message)) => going_away |= matches!(message.payload, Some(Payload::GoingAway(_))),
                Ok(None) => panic!("ended with OK"),
                Err(end) => break end,
            }
        };
        assert!(going_away);
        assert_eq!(newest, i64::try_from(last).unwrap(), "what happened before the stop is told");
        assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "AGENT_STOPPING"));
    }
    let end = loop {
        match health.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended with OK"),
            Err(end) => break end,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
    let took = tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap().unwrap();
    assert!(
        took > Duration::from_secs(1) && took < Duration::from_secs(2),
        "the stalled one was waited for: {took:?}"
    );
    assert!(!agent.socket.exists());
    let counters = &agent.counters;
    let freed = async {
        while counters.watchers.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(1), freed).await.expect("no watch outlives the control plane");
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_with_a_thousand_watchers_takes_less_than_two_seconds() {
    let limits = Limits { watchers: 1100, ..Limits::default() };
    let mut agent = Agent::start_with(Setup { limits, ..Setup::default() }).await;
    let mut watching = Vec::new();
    let mut client = agent.events().await;
    for number in 0..1000 {
        if number % 30 == 0 {
            client = agent.events().await;
        }
        let mut stream = client.watch_events(v1::WatchEventsRequest::default()).await.unwrap().into_inner();
        watching.push(tokio::spawn(async move {
            let mut is_going_away = false;
            loop {
                match stream.message().await {
                    Ok(Some(message)) => {
                        is_going_away |= matches!(message.payload, Some(Payload::GoingAway(_)))
                    }
                    Ok(None) => return (is_going_away, Code::Ok),
                    Err(end) => return (is_going_away, end.code()),
                }
            }
        }));
    }
    assert_eq!(agent.counters.watchers.load(Ordering::Relaxed), 1000);
    let began = Instant::now();
    agent.shutdown.cancel();
    (&mut agent.serving).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for watcher in watching {
        assert_eq!(watcher.await.unwrap(), (true, Code::Unavailable));
    }
}

#[tokio::test]
async fn a_stop_without_clients_is_immediate() {
    let mut agent = Agent::start().await;
    agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.unwrap();
    let began = Instant::now();
    agent.shutdown.cancel();
    (&mut agent.serving).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(1000), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_call_whose_deadline_passes_says_so() {
    let agent = Agent::start().await;
    agent.driver.silent.store(true, Ordering::Relaxed);
    let mut client = agent.nodes().await;
    let mut request = Request::new(v1::GetNodeRequest::default());
    // The client counts too, and would say CANCELLED a little later.
    request.metadata_mut().insert("grpc-timeout", "1500m".parse().unwrap());
    let late = client.get_node(request).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    agent.driver.silent.store(false, Ordering::Relaxed);
    assert!(client.get_node(v1::GetNodeRequest::default()).await.is_ok());
}

#[tokio::test]
async fn a_vrrp_thread_that_does_not_answer_is_named() {
    let agent = Agent::start().await;
    agent.driver.silent.store(true, Ordering::Relaxed);
    let silent = agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.unwrap_err();
    assert_eq!((silent.code(), reason(&silent).as_str()), (Code::Unavailable, "VRRP_THREAD_SILENT"));
}

#[tokio::test]
async fn a_watch_ends_at_its_deadline() {
    let agent = Agent::start().await;
    let mut request = Request::new(v1::WatchEventsRequest::default());
    request.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let mut stream = agent.events().await.watch_events(request).await.unwrap().into_inner();
    let end = loop {
        match tokio::time::timeout(Duration::from_secs(5), stream.message()).await.unwrap() {
            Ok(message) => assert!(message.is_some(), "ended with OK"),
            Err(end) => break end,
        }
    };
    assert_eq!((end.code(), reason(&end).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
}

#[tokio::test]
async fn a_panic_in_a_call_or_a_stream_ends_that_one_alone() {
    let agent = Agent::start().await;
    let mut watching = agent.events().await;
    let mut other = watching.watch_events(v1::WatchEventsRequest::default()).await.unwrap().into_inner();
    agent.driver.broken_kernel.store(true, Ordering::Relaxed);
    let mut client = agent.vips().await;
    let failed = client.list_vips(v1::ListVipsRequest::default()).await.unwrap_err();
    assert_eq!((failed.code(), reason(&failed).as_str()), (Code::Internal, "INTERNAL"));
    let request = v1::WatchEventsRequest { include_snapshot: true, ..Default::default() };
    let mut stream = watching.watch_events(request).await.unwrap().into_inner();
    let failed = loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "ended with OK"),
            Err(failed) => break failed,
        }
    };
    assert_eq!(failed.code(), Code::Internal);
    agent.driver.broken_kernel.store(false, Ordering::Relaxed);
    assert!(client.list_vips(v1::ListVipsRequest::default()).await.is_ok());
    assert!(matches!(other.message().await.unwrap().unwrap().payload, Some(Payload::Opened(_))));
}
