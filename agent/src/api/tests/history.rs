//! History that survives the agent: listed and watched across its lives.

use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;

use super::agent::{Agent, Directory, Setup};
use crate::api::convert::timestamp;

async fn life(directory: &Directory, capacity: usize) -> Agent {
    Agent::start_with(Setup {
        instances: Vec::new(),
        journal_capacity: capacity,
        history: Some(directory.0.clone()),
        ..Setup::default()
    })
    .await
}

fn happen(agent: &Agent, count: u64) {
    (0..count).for_each(|_| assert!(agent.journal.append_lost(1) > 0));
}

/// Waits until the disk has what has happened.
async fn on_disk(agent: &Agent) {
    let (newest, incarnation) = (agent.journal.newest(), agent.journal.incarnation().clone());
    let written = async {
        while agent.journal.archive().locate(&incarnation).await.is_none_or(|known| known.newest < newest) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.expect("the disk is written");
}

type Told = (String, i64);

fn told(event: &v1::Event) -> Told {
    (event.incarnation_id.clone(), event.sequence)
}

fn all(agent: &Agent, count: i64) -> Vec<Told> {
    (1..=count).map(|sequence| (agent.journal.incarnation().to_string(), sequence)).collect()
}

/// What a watch tells until it has told `count` events; losses and resyncs by their words.
async fn watched(agent: &Agent, start: Start, count: usize) -> (Vec<Told>, Vec<String>, String) {
    let request = v1::WatchEventsRequest { start: Some(start), ..Default::default() };
    let mut stream = agent.events().await.watch_events(request).await.unwrap().into_inner();
    let (mut events, mut words, mut token) = (Vec::new(), Vec::new(), String::new());
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while events.len() < count {
        let message = tokio::time::timeout_at(limit, stream.message()).await;
        let message = message.unwrap_or_else(|_| panic!("told {} of {count}: {words:?}", events.len()));
        let message = message.unwrap().unwrap();
        token = message.resume_token;
        match message.payload.unwrap() {
            Payload::EventBatch(batch) => {
                assert!(batch.events.iter().all(|event| event.incarnation_id == message.incarnation_id));
                events.extend(batch.events.iter().map(told));
            }
            Payload::Lagged(lagged) => words.push(format!(
                "lost {} of {}..{}",
                lagged.lost_count, lagged.first_lost_sequence, lagged.last_lost_sequence
            )),
            Payload::ResyncRequired(resync) => words.push(resync.reason().as_str_name().to_owned()),
            _ => {}
        }
    }
    (events, words, token)
}

async fn listed(agent: &Agent, page_size: i32, newest_first: bool) -> Vec<Told> {
    let mut client = agent.events().await;
    let (mut events, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListEventsRequest { page_size, newest_first, page_token, ..Default::default() };
        let answer = client.list_events(request).await.unwrap().into_inner();
        events.extend(answer.events.iter().map(told));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_listed_and_watched_across_lives_as_if_there_had_been_one() {
    let directory = Directory::new();
    let first = life(&directory, 10_000).await;
    happen(&first, 300);
    let mut expected = all(&first, 300);
    let (_, _, token) = watched(&first, Start::TailCount(10), 10).await;
    first.stop().await;
    let second = life(&directory, 10_000).await;
    happen(&second, 40);
    on_disk(&second).await;
    expected.extend(all(&second, 40));
    second.stop().await;
    // The third keeps 16 in memory: the rest of its own life is on the disk, too.
    let third = life(&directory, 16).await;
    for _ in 0..10 {
        happen(&third, 10);
        on_disk(&third).await;
    }
    expected.extend(all(&third, 100));

    assert_eq!(listed(&third, 77, false).await, expected);
    let backwards: Vec<Told> = expected.iter().rev().cloned().collect();
    assert_eq!(listed(&third, 77, true).await, backwards);
    // The token of the first life, after everything it told; and a place in its middle.
    assert_eq!(watched(&third, Start::ResumeToken(token), 140).await.0, expected[300..]);
    let middle = format!("a/{}.250", expected[0].0);
    let (events, words, last) = watched(&third, Start::ResumeToken(middle), 190).await;
    assert_eq!((events.as_slice(), words.len()), (&expected[250..], 0), "{words:?}");
    assert!(last.ends_with(".100"), "{last}");
    assert_eq!(watched(&third, Start::TailCount(400), 400).await.0, expected[40..]);
    let since = std::time::SystemTime::UNIX_EPOCH;
    assert_eq!(watched(&third, Start::SinceTime(since.into()), 440).await.0, expected);
    // And then it is live.
    happen(&third, 3);
    assert_eq!(watched(&third, Start::ResumeToken(last), 3).await.0.last().unwrap().1, 103);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_life_that_was_cut_off_is_said_to_be_unknown() {
    let directory = Directory::new();
    let first = life(&directory, 100).await;
    happen(&first, 20);
    on_disk(&first).await;
    let incarnation = first.journal.incarnation().to_string();
    // Killed: the file as it is now, when nothing writes it, without what an end in order writes into it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let copy = Directory::new();
    std::fs::copy(directory.0.join("history.redb"), copy.0.join("history.redb")).unwrap();
    let second = life(&copy, 100).await;
    happen(&second, 5);
    let token = format!("a/{incarnation}.15");
    let (events, words, _) = watched(&second, Start::ResumeToken(token), 10).await;
    assert_eq!(words, ["REASON_END_UNKNOWN"]);
    assert_eq!(
        events.iter().map(|(_, sequence)| *sequence).collect::<Vec<_>>(),
        [16, 17, 18, 19, 20, 1, 2, 3, 4, 5]
    );
    // It saw more than the disk did, or says so.
    for saw in ["23", "18446744073709551615"] {
        let token = format!("a/{incarnation}.{saw}");
        let (events, words, _) = watched(&second, Start::ResumeToken(token), 5).await;
        assert_eq!((words.len(), events[0].1), (1, 1), "{saw}");
    }
    assert_eq!(listed(&second, 100, false).await.len(), 25, "whatever clients say, history stays");
}

#[tokio::test]
async fn an_agent_whose_disk_is_gone_answers_from_memory() {
    let directory = Directory::new();
    let in_the_way = directory.0.join("file");
    std::fs::write(&in_the_way, "not a directory").unwrap();
    let history = Some(in_the_way.join("history"));
    let agent = Agent::start_with(Setup { instances: Vec::new(), history, ..Setup::default() }).await;
    agent.reached(1).await;
    happen(&agent, 5);
    let events = listed(&agent, 100, false).await;
    assert_eq!(events.len(), 6, "one of them says that history is in memory alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_says_that_the_disk_did_not_answer_and_how_far_memory_goes_back() {
    let directory = Directory::new();
    let first = life(&directory, 100).await;
    happen(&first, 10);
    on_disk(&first).await;
    first.stop().await;
    let second = life(&directory, 100).await;
    happen(&second, 10);
    on_disk(&second).await;
    let oldest = second.journal.oldest().unwrap();
    for newest_first in [true, false] {
        let request = || v1::ListEventsRequest { newest_first, page_size: 1000, ..Default::default() };
        let hanging = second.journal.archive().hang().await;
        let answer = second.events().await.list_events(request()).await.unwrap().into_inner();
        assert!(answer.past_missing, "{answer:?}");
        assert_eq!(answer.oldest_available_time, Some(timestamp(oldest.wall)));
        let mut incarnations: Vec<_> = answer.events.iter().map(|event| &event.incarnation_id).collect();
        incarnations.dedup();
        assert_eq!(incarnations, [&second.journal.incarnation().to_string()]);
        drop(hanging);
        let answer = second.events().await.list_events(request()).await.unwrap().into_inner();
        assert!(!answer.past_missing && answer.events.len() >= 20, "{answer:?}");
        assert!(answer.oldest_available_time.unwrap().seconds <= timestamp(oldest.wall).seconds);
    }
}
