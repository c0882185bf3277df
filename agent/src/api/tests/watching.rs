//! The watch contract under load, stalls and restarts.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;
use tonic::Streaming;
use tonic::transport::Channel;

use super::agent::{Agent, Setup, config};

type Stream = Streaming<v1::WatchEventsResponse>;

async fn watch(client: &mut EventServiceClient<Channel>, request: v1::WatchEventsRequest) -> Stream {
    client.watch_events(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Stream) -> v1::WatchEventsResponse {
    let message = tokio::time::timeout(Duration::from_secs(20), stream.message()).await.expect("in time");
    message.expect("no error").expect("no end")
}

async fn payload(stream: &mut Stream) -> Payload {
    next(stream).await.payload.unwrap()
}

/// The next `count` sequences; fails on anything but events and heartbeats.
async fn sequences(stream: &mut Stream, count: usize) -> Vec<i64> {
    let mut seen = Vec::new();
    while seen.len() < count {
        match payload(stream).await {
            Payload::EventBatch(batch) => seen.extend(batch.events.iter().map(|event| event.sequence)),
            Payload::Heartbeat(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    seen
}

fn from(token: &str) -> v1::WatchEventsRequest {
    v1::WatchEventsRequest { start: Some(Start::ResumeToken(token.to_owned())), ..Default::default() }
}

async fn quiet() -> Agent {
    let agent = Agent::start_with(Setup { instances: Vec::new(), ..Setup::default() }).await;
    assert_eq!(agent.journal.newest(), 0);
    agent
}

fn flood(agent: &Agent, count: u64) {
    (0..count).for_each(|_| assert!(agent.journal.append_lost(1) > 0));
}

#[tokio::test]
async fn a_stream_opens_first_then_shows_everything_then_what_happens() {
    let agent = Agent::start().await;
    let request = v1::WatchEventsRequest { include_snapshot: true, ..Default::default() };
    let mut stream = watch(&mut agent.events().await, request).await;
    let first = next(&mut stream).await;
    assert_eq!(
        (first.node.as_str(), first.incarnation_id.as_str()),
        ("nodes/a", &**agent.journal.incarnation())
    );
    let Some(Payload::Opened(opened)) = first.payload else { panic!("not opened first") };
    assert_eq!(opened.heartbeat_interval.unwrap().seconds, 10);
    let mut names = Vec::new();
    let end = loop {
        match payload(&mut stream).await {
            Payload::SnapshotEntry(entry) => names.push(match entry.resource.unwrap() {
                v1::snapshot_entry::Resource::Node(node) => node.name,
                v1::snapshot_entry::Resource::Instance(instance) => instance.name,
                v1::snapshot_entry::Resource::Vip(vip) => vip.name,
                v1::snapshot_entry::Resource::Check(check) => check.name,
                v1::snapshot_entry::Resource::Pool(pool) => pool.name,
            }),
            Payload::SnapshotEnd(end) => break end.sequence,
            other => panic!("unexpected {other:?}"),
        }
    };
    let expected = [
        "nodes/a",
        "nodes/a/instances/owner",
        "nodes/a/vips/10.9.0.2",
        "nodes/a/instances/web",
        "nodes/a/vips/10.9.0.1",
    ];
    assert_eq!(names, expected);
    assert!(end >= opened.newest_sequence);
    flood(&agent, 3);
    let seen = sequences(&mut stream, 3).await;
    assert_eq!(seen.last().copied(), Some(i64::try_from(agent.journal.newest()).unwrap()));
    assert!(seen.is_sorted() && seen[0] > opened.newest_sequence);
}

#[tokio::test]
async fn a_snapshot_shows_only_the_subjects_that_are_watched() {
    let agent = Agent::start().await;
    let filter = v1::EventFilter { subjects: vec!["nodes/self/vips/-".to_owned()], ..Default::default() };
    let request =
        v1::WatchEventsRequest { filter: Some(filter), include_snapshot: true, ..Default::default() };
    let mut stream = watch(&mut agent.events().await, request).await;
    assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
    for _ in 0..2 {
        let Payload::SnapshotEntry(entry) = payload(&mut stream).await else { panic!("no entry") };
        assert!(matches!(entry.resource, Some(v1::snapshot_entry::Resource::Vip(_))));
    }
    assert!(matches!(payload(&mut stream).await, Payload::SnapshotEnd(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_and_what_follows_it_lead_to_the_state_that_a_later_snapshot_shows() {
    let instances = (1..=20).map(|number| config(&format!("i{number}"), number, 100)).collect();
    let agent = Agent::start_with(Setup { instances, ..Setup::default() }).await;
    let mut changing = agent.instances().await;
    let changes = tokio::spawn(async move {
        for step in 0..40 {
            let name = format!("nodes/a/instances/i{}", step % 20 + 1);
            let request = v1::OverridePriorityRequest { name, priority: step + 1, ..Default::default() };
            changing.override_priority(request).await.unwrap();
        }
    });
    let mut client = agent.events().await;
    for _ in 0..10 {
        let request = v1::WatchEventsRequest { include_snapshot: true, ..Default::default() };
        let mut stream = watch(&mut client, request).await;
        let (mut overridden, mut end) = (0, None);
        while end.is_none() {
            match payload(&mut stream).await {
                Payload::SnapshotEntry(v1::SnapshotEntry {
                    resource: Some(v1::snapshot_entry::Resource::Instance(instance)),
                }) => overridden += usize::from(instance.priority_override.is_some()),
                Payload::SnapshotEnd(snapshot) => end = Some(snapshot.sequence),
                _ => {}
            }
        }
        // Every override that the journal told before the snapshot is in the snapshot.
        let filter =
            v1::EventFilter { types: vec!["instance.override_set".to_owned()], ..Default::default() };
        let request = v1::ListEventsRequest { filter: Some(filter), page_size: 1000, ..Default::default() };
        let events = client.list_events(request).await.unwrap().into_inner().events;
        let mut told: Vec<_> = events
            .into_iter()
            .filter(|event| Some(event.sequence) <= end)
            .map(|event| event.subject)
            .collect();
        told.sort();
        told.dedup();
        assert!(overridden >= told.len(), "{overridden} in the snapshot, {} told before {end:?}", told.len());
    }
    changes.await.unwrap();
}

/// Clients that subscribe and leave at the first event, again and again. HTTP/2 libraries close a connection after a thousand
/// streams that were left while something was under way, so it is another one each turn.
async fn subscribe_in_turns(agent: &Agent, left: &std::sync::Arc<std::sync::atomic::AtomicI64>) {
    let mut watchers = Vec::new();
    let mut client = agent.events().await;
    for number in 0..24 {
        if number % 6 == 0 {
            client = agent.events().await;
        }
        let (mut client, left) = (client.clone(), std::sync::Arc::clone(left));
        watchers.push(tokio::spawn(async move {
            for _ in 0..100 {
                if left.fetch_sub(1, Ordering::Relaxed) <= 0 {
                    return;
                }
                let mut stream = watch(&mut client, v1::WatchEventsRequest::default()).await;
                let Payload::Opened(opened) = payload(&mut stream).await else { panic!("not opened first") };
                let seen = sequences(&mut stream, 1).await;
                let expected: Vec<i64> = (opened.newest_sequence + 1..).take(seen.len()).collect();
                assert_eq!(seen, expected);
            }
        }));
    }
    for watcher in watchers {
        watcher.await.unwrap();
    }
}

/// Tries of the test below; `HA_WATCH_TRIES=100000` for all of them.
fn tries() -> u64 {
    std::env::var("HA_WATCH_TRIES").map_or(10_000, |text| text.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_event_after_subscribing_is_never_missed() {
    // Nothing is gone before it is told, however slow the machine is.
    let setup = Setup { instances: Vec::new(), journal_capacity: 1 << 20, ..Setup::default() };
    let agent = Agent::start_with(setup).await;
    let left = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(i64::try_from(tries()).unwrap()));
    let began = Instant::now();
    let journal = std::sync::Arc::clone(&agent.journal);
    let stop = tokio_util::sync::CancellationToken::new();
    let stopped = stop.clone();
    let appending = std::thread::spawn(move || {
        while !stopped.is_cancelled() {
            journal.append_lost(1);
            // At ever other moments of a subscription: 0.1 to 3.9 ms apart.
            let apart = journal.newest().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            std::thread::sleep(Duration::from_micros(100 + apart % 3800));
        }
    });
    while left.load(Ordering::Relaxed) > 0 {
        subscribe_in_turns(&agent, &left).await;
    }
    stop.cancel();
    appending.join().unwrap();
    println!("{} tries in {:?}", tries(), began.elapsed());
}

#[tokio::test]
async fn every_message_carries_a_token_from_which_a_new_connection_goes_on_exactly() {
    let agent = quiet().await;
    flood(&agent, 1);
    let mut stream = watch(&mut agent.events().await, v1::WatchEventsRequest::default()).await;
    let mut tokens = vec![(next(&mut stream).await.resume_token, 1)];
    flood(&agent, 300);
    let mut handled = 1;
    while handled < 301 {
        let message = next(&mut stream).await;
        let Some(Payload::EventBatch(batch)) = message.payload else { panic!("no batch") };
        handled = batch.events.last().unwrap().sequence;
        tokens.push((message.resume_token, handled));
    }
    drop(stream);
    flood(&agent, 10);
    assert!(tokens.len() >= 3);
    for (token, handled) in tokens {
        let mut stream = watch(&mut agent.events().await, from(&token)).await;
        assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
        let count = usize::try_from(311 - handled).unwrap();
        let expected: Vec<i64> = (handled + 1..=311).collect();
        assert_eq!(sequences(&mut stream, count).await, expected);
    }
}

#[tokio::test]
async fn a_token_that_leads_nowhere_is_answered_with_the_reason_and_a_snapshot() {
    use v1::resync_required::Reason;
    let setup = Setup { journal_capacity: 50, ..Setup::default() };
    let agent = Agent::start_with(setup).await;
    flood(&agent, 200);
    let incarnation = agent.journal.incarnation();
    let table = [
        (format!("a/{incarnation}.3"), Reason::TokenExpired),
        ("a/0123456789abcdef.3".to_owned(), Reason::IncarnationChanged),
        (format!("b/{incarnation}.3"), Reason::TokenUnknown),
        (format!("a/{incarnation}.99999"), Reason::TokenUnknown),
        (format!("a/{incarnation}.-1"), Reason::TokenUnknown),
        (format!("a/{incarnation}"), Reason::TokenUnknown),
        ("nonsense".to_owned(), Reason::TokenUnknown),
        (String::new(), Reason::TokenUnknown),
    ];
    let mut client = agent.events().await;
    for (token, expected) in table {
        let mut stream = watch(&mut client, from(&token)).await;
        assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
        let Payload::ResyncRequired(resync) = payload(&mut stream).await else { panic!("{token} was taken") };
        assert_eq!((resync.reason(), resync.snapshot_follows), (expected, true), "{token}");
        let end = loop {
            match payload(&mut stream).await {
                Payload::SnapshotEntry(_) => {}
                Payload::SnapshotEnd(end) => break end.sequence,
                other => panic!("unexpected {other:?}"),
            }
        };
        flood(&agent, 1);
        assert_eq!(sequences(&mut stream, 1).await, [end + 1]);
    }
    // The oldest place that can still be gone on from.
    let oldest = agent.journal.oldest().unwrap().sequence;
    let mut stream = watch(&mut client, from(&format!("a/{incarnation}.{}", oldest - 1))).await;
    assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
    assert_eq!(sequences(&mut stream, 1).await[0], i64::try_from(oldest).unwrap());
}

#[tokio::test]
async fn a_list_is_gone_on_with_by_watching_without_hole_or_repetition() {
    let agent = quiet().await;
    flood(&agent, 30);
    let mut client = agent.events().await;
    let request = v1::ListEventsRequest { page_size: 20, ..Default::default() };
    let list = client.list_events(request).await.unwrap().into_inner();
    assert_eq!(list.events.last().unwrap().sequence, 20);
    let mut stream = watch(&mut client, from(&list.resume_token)).await;
    assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
    assert_eq!(sequences(&mut stream, 10).await, (21..=30).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_tail_and_a_time_begin_in_the_past() {
    let agent = Agent::start().await;
    agent.reached(3).await;
    let middle = SystemTime::now();
    tokio::time::sleep(Duration::from_millis(5)).await;
    flood(&agent, 20);
    let newest = i64::try_from(agent.journal.newest()).unwrap();
    let filter = v1::EventFilter { types: vec!["node.events_lost".to_owned()], ..Default::default() };
    let mut client = agent.events().await;
    for (start, count) in
        [(Start::TailCount(5), 5), (Start::SinceTime(middle.into()), 20), (Start::TailCount(0), 0)]
    {
        let request =
            v1::WatchEventsRequest { filter: Some(filter.clone()), start: Some(start), ..Default::default() };
        let mut stream = watch(&mut client, request).await;
        assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
        let expected: Vec<i64> = (newest - count + 1..=newest).collect();
        assert_eq!(sequences(&mut stream, expected.len()).await, expected);
    }
    let negative = v1::WatchEventsRequest { start: Some(Start::TailCount(-1)), ..Default::default() };
    assert_eq!(client.watch_events(negative).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn heartbeats_come_in_the_interval_asked_for_and_bookmark_what_did_not_match() {
    let agent = quiet().await;
    let filter = v1::EventFilter { types: vec!["vip.*".to_owned()], ..Default::default() };
    let heartbeat_interval = Some(prost_types::Duration { seconds: 0, nanos: 1 });
    let request = v1::WatchEventsRequest { filter: Some(filter), heartbeat_interval, ..Default::default() };
    let mut stream = watch(&mut agent.events().await, request).await;
    let Payload::Opened(opened) = payload(&mut stream).await else { panic!("not opened first") };
    assert_eq!(opened.heartbeat_interval.unwrap().seconds, 1, "cut to the shortest");
    flood(&agent, 7);
    let began = Instant::now();
    let message = next(&mut stream).await;
    let Some(Payload::Heartbeat(heartbeat)) = message.payload else { panic!("no heartbeat") };
    assert_eq!(heartbeat.newest_sequence, 7);
    assert!(message.resume_token.ends_with(".7"));
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_reader_loses_exactly_what_it_is_told_and_delays_nobody() {
    const COUNT: u64 = 60_000;
    const CAPACITY: usize = 2_000;
    let setup = Setup { instances: Vec::new(), journal_capacity: CAPACITY, ..Setup::default() };
    let agent = Agent::start_with(setup).await;
    // Two connections: a stalled one shares nothing with the other.
    let mut stalled = watch(&mut agent.events().await, v1::WatchEventsRequest::default()).await;
    let mut attentive = watch(&mut agent.events().await, v1::WatchEventsRequest::default()).await;
    assert!(matches!(payload(&mut stalled).await, Payload::Opened(_)));
    assert!(matches!(payload(&mut attentive).await, Payload::Opened(_)));
    let mut slowest = Duration::ZERO;
    let mut expected = 1;
    // The attentive reader takes each batch before the next is made.
    while expected <= COUNT {
        flood(&agent, 500);
        let began = Instant::now();
        let seen = sequences(&mut attentive, 500).await;
        slowest = slowest.max(began.elapsed());
        assert!(
            seen.iter()
                .copied()
                .eq((expected..expected + 500).map(|sequence| i64::try_from(sequence).unwrap()))
        );
        expected += 500;
    }
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Now the stalled one looks: what it gets and what it is told it lost make up everything, once.
    let (mut position, mut lost, mut losses) = (0, 0, Vec::new());
    while position < i64::try_from(COUNT).unwrap() {
        let message = next(&mut stalled).await;
        match message.payload.unwrap() {
            Payload::EventBatch(batch) => {
                for event in batch.events {
                    position += 1;
                    assert_eq!(event.sequence, position);
                }
            }
            Payload::Lagged(lagged) => {
                assert_eq!(lagged.first_lost_sequence, position + 1);
                assert_eq!(lagged.lost_count, lagged.last_lost_sequence - lagged.first_lost_sequence + 1);
                position = lagged.last_lost_sequence;
                lost += lagged.lost_count;
                losses.push(SystemTime::try_from(message.server_time.unwrap()).unwrap());
            }
            Payload::Heartbeat(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!(lost > 0, "60 000 events fit into the buffers of a stalled reader");
    // By the agent's clock: two that were sent a second apart may be read together.
    let apart =
        |earlier: &SystemTime, later: &SystemTime| later.duration_since(*earlier).unwrap().as_millis() >= 990;
    assert!(losses.is_sorted_by(apart), "{losses:?}");
    assert_eq!(agent.counters.lost_events.load(Ordering::Relaxed), u64::try_from(lost).unwrap());
    // What the agent keeps for it: the ring, and a place.
    let kept = agent.journal.newest() - agent.journal.oldest().unwrap().sequence + 1;
    assert_eq!(kept, u64::try_from(CAPACITY).unwrap());
}

/// Resident memory of this process in octets.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_however_many_readers_stall_and_however_much_happens() {
    // Other tests in this process use memory too.
    let name = "api::tests::watching::memory_stays_flat_however_many_readers_stall_and_however_much_happens";
    if !crate::journal::tests::is_alone(name) {
        return;
    }
    let setup = Setup { instances: Vec::new(), journal_capacity: 1_000, ..Setup::default() };
    let agent = Agent::start_with(setup).await;
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut client = agent.events().await;
        for _ in 0..16 {
            let mut stream = watch(&mut client, v1::WatchEventsRequest::default()).await;
            assert!(matches!(payload(&mut stream).await, Payload::Opened(_)));
            stalled.push(stream);
        }
    }
    flood(&agent, 20_000);
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = resident();
    for _ in 0..10 {
        flood(&agent, 20_000);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let growth = resident().saturating_sub(before);
    assert!(growth < 16 << 20, "200 000 events made memory grow by {growth} octets");
    assert_eq!(agent.counters.watchers.load(Ordering::Relaxed), 32);
}
