//! Clients that ask for much and read nothing of it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use ha_engine::{InstanceConfig, VirtualAddress};
use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::instance_service_client::InstanceServiceClient;
use http::uri::PathAndQuery;
use prost::Message;
use tokio::time::{Instant, timeout};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};
use tonic_reflection::pb::v1::ServerReflectionRequest as Question;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use super::agent::{Agent, Setup, config};
use super::limits::Raw;
use super::reason;
use super::secure::Secured;
use super::secure::authority::Holder;
use crate::api::Limits;

const MIB: usize = 1 << 20;

/// Those of the measurement: together they ask for 384 MiB.
const CONNECTIONS: usize = 24;
const CALLS: usize = 32;

/// Ten thousand virtual routers with a hundred addresses each, which take no part yet: a thousand of them have 2.5 MiB.
fn many() -> Vec<InstanceConfig> {
    let address = |host| VirtualAddress::new(Ipv4Addr::new(10, 200, 100, host).into(), 32);
    let addresses: Arc<[VirtualAddress]> = (100..200).map(address).collect();
    let router = |number: u16| InstanceConfig {
        name: format!("router-{number:05}").into(),
        interface: format!("eth{}", number / 255).into(),
        addresses: Arc::clone(&addresses),
        startup_delay: Duration::from_secs(3600),
        ..config("", u8::try_from(number % 255 + 1).expect("at most 255"), 100)
    };
    (0..10_000).map(router).collect()
}

/// A connection that lets in little.
async fn narrow(agent: &Agent) -> Channel {
    let endpoint = Endpoint::from_shared(format!("unix://{}", agent.socket.display())).unwrap();
    let narrow = endpoint.initial_stream_window_size(4096).initial_connection_window_size(65_535);
    narrow.connect().await.unwrap()
}

/// Asks for the largest page that there is, and reads nothing of it.
async fn ask(channel: &Channel) -> Result<Streaming<Vec<u8>>, Status> {
    let mut client = Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let request = v1::ListInstancesRequest { page_size: i32::MAX, ..Default::default() };
    let path = PathAndQuery::from_static("/ha.agent.v1.InstanceService/ListInstances");
    let answer = client.server_streaming(Request::new(request.encode_to_vec()), path, Raw).await?;
    Ok(answer.into_inner())
}

async fn read_page(channel: Channel) -> Result<v1::ListInstancesResponse, Status> {
    let request = v1::ListInstancesRequest { page_size: i32::MAX, ..Default::default() };
    let mut client = InstanceServiceClient::new(channel);
    timeout(Duration::from_secs(20), client.list_instances(request))
        .await
        .expect("in time")
        .map(|answer| answer.into_inner())
}

/// What is granted and what is refused when many ask on each of some connections.
async fn hoard(agent: &Agent) -> (Vec<Streaming<Vec<u8>>>, Vec<Status>) {
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let channel = narrow(agent).await;
        for answer in join_all((0..CALLS).map(|_| ask(&channel))).await {
            match answer {
                Ok(answer) => granted.push(answer),
                Err(status) => refused.push(status),
            }
        }
    }
    (granted, refused)
}

/// Octets of this process in memory.
pub(super) fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_reads_takes_bounded_memory_while_others_are_served_and_all_of_it_is_released() {
    let agent = Agent::start_with(Setup { instances: many(), ..Setup::default() }).await;
    let page = read_page(agent.channel().await).await.unwrap();
    let octets = page.encoded_len();
    assert!(!page.next_page_token.is_empty() && (MIB / 2..MIB * 5 / 8).contains(&octets), "{octets}");
    // Root has its own share beside everybody's; nobody else has more than half.
    let room = if nix::unistd::geteuid().is_root() { 72 * MIB } else { 32 * MIB };
    let before = resident();
    let (granted, refused) = hoard(&agent).await;
    let grown = resident().saturating_sub(before);
    println!(
        "{CONNECTIONS} connections with {CALLS} calls each: {} answers of {octets} octets unread, {} refused, {} MiB resident more",
        granted.len(),
        refused.len(),
        grown / MIB
    );
    assert!(granted.len() * octets <= room && granted.len() + 4 > room / octets, "{}", granted.len());
    assert!(grown < room + 64 * MIB, "{} MiB", grown / MIB);
    for status in &refused {
        assert_eq!((status.code(), reason(status).as_str()), (Code::ResourceExhausted, "TOO_MANY_ANSWERS"));
    }
    let counted = agent.counters.answers_refused.load(Ordering::Relaxed);
    assert_eq!(counted, u64::try_from(refused.len()).unwrap());
    let began = Instant::now();
    agent.nodes().await.get_node(v1::GetNodeRequest::default()).await.expect("what is small is answered");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    // The allocator keeps for the next answers what it has once had: released is what is used again.
    drop(granted);
    for round in 2..=4 {
        let granted = hoard(&agent).await.0;
        let grown_now = resident().saturating_sub(before);
        println!(
            "round {round}: {} unread, {} MiB resident more than at first",
            granted.len(),
            grown_now / MIB
        );
        assert!(granted.len() + 4 > room / octets, "the room is free again: {}", granted.len());
        // What a first round happens to take differs by a quarter; two rounds together would be beyond this.
        assert!(grown_now < room + 64 * MIB, "{} MiB", grown_now / MIB);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_reads_nothing_keeps_no_other_caller_from_an_answer() {
    let limits = Limits { unread_answers: 8 * MIB, ..Limits::default() };
    let secured = Secured::start_as(Setup { limits, instances: many(), ..Setup::default() }).await;
    let hoarder = secured.issue(Holder::default().named("hoarder").role("reader"));
    let other = secured.issue(Holder::default().named("other").role("reader"));
    let mut held = Vec::new();
    let refusal = 'hoard: loop {
        assert!(held.len() < 400, "nothing is refused");
        let channel = secured.connect(Some(&hoarder)).await.unwrap();
        for answer in join_all((0..CALLS).map(|_| ask(&channel))).await {
            match answer {
                Ok(answer) => held.push(answer),
                Err(status) => break 'hoard status,
            }
        }
    };
    assert_eq!(reason(&refusal), "TOO_MANY_ANSWERS");
    for _ in 0..20 {
        let channel = secured.connect(Some(&other)).await.unwrap();
        assert!(!read_page(channel).await.unwrap().instances.is_empty());
    }
}

/// A stream on which a file of the contract is asked for, again and again, with so long a name of the host; nothing of it is read.
async fn ask_for_the_contract(channel: &Channel, name: usize) -> Result<impl Sized + use<>, Status> {
    let file = MessageRequest::FileByFilename("ha/agent/v1/types.proto".to_owned());
    let question = Question { host: "x".repeat(name), message_request: Some(file) };
    let questions = futures::stream::repeat(question).take(20);
    let answers = ServerReflectionClient::new(channel.clone()).server_reflection_info(questions).await?;
    Ok(answers.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_that_nobody_reads_takes_the_places_of_watches_and_little_memory() {
    let agent = Agent::start().await;
    let places = if nix::unistd::geteuid().is_root() { 260 } else { 128 };
    let before = resident();
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let channel = narrow(&agent).await;
        for answer in join_all((0..CALLS).map(|_| ask_for_the_contract(&channel, 1000))).await {
            match answer {
                Ok(answers) => granted.push(answers),
                Err(status) => refused.push(status),
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let grown = resident().saturating_sub(before);
    println!(
        "{} streams unread, {} refused, {} KiB resident more",
        granted.len(),
        refused.len(),
        grown / 1024
    );
    assert_eq!(granted.len(), places);
    assert!(refused.iter().all(|status| reason(status) == "TOO_MANY_WATCHERS"));
    assert!(grown < 96 * MIB, "{grown}");
    drop(granted);
    let free = async {
        while agent.counters.watchers.load(Ordering::Relaxed) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), free).await.expect("their places are free again");
}

#[tokio::test]
async fn a_question_about_the_contract_is_short_because_its_answer_repeats_it() {
    let agent = Agent::start().await;
    let mut client = ServerReflectionClient::new(agent.channel().await);
    for (name, is_answered) in [(4000, true), (5000, false)] {
        let list = MessageRequest::ListServices(String::new());
        let question = Question { host: "x".repeat(name), message_request: Some(list) };
        let answers = client.server_reflection_info(tokio_stream::iter([question])).await;
        let answer = answers.unwrap().into_inner().message().await;
        assert_eq!(answer.unwrap().is_some(), is_answered, "{name}");
    }
}

/// The names of the routers that a watch is shown from now on.
async fn shown(watch: &mut Streaming<v1::WatchEventsResponse>) -> Vec<String> {
    use v1::snapshot_entry::Resource;
    use v1::watch_events_response::Payload;
    let mut names = Vec::new();
    loop {
        match watch.message().await.unwrap().and_then(|message| message.payload) {
            Some(Payload::SnapshotEntry(v1::SnapshotEntry {
                resource: Some(Resource::Instance(instance)),
            })) => {
                names.push(instance.name);
            }
            Some(Payload::Opened(_)) => {}
            Some(Payload::SnapshotEnd(_)) => return names,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_that_stand_still_in_their_snapshot_keep_none_of_it_and_go_on_where_they_were() {
    const WATCHES: usize = 24;
    let agent = Agent::start_with(Setup { instances: many(), ..Setup::default() }).await;
    // Asked once before, so that what asking itself takes does not count.
    read_page(agent.channel().await).await.unwrap();
    let before = resident();
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        // Whoever comes after something has happened is shown how everything stands since.
        agent.journal.append_lost(1);
        let filter =
            v1::EventFilter { subjects: vec!["nodes/-/instances/-".to_owned()], ..Default::default() };
        let request =
            v1::WatchEventsRequest { filter: Some(filter), include_snapshot: true, ..Default::default() };
        let watch = EventServiceClient::new(narrow(&agent).await).watch_events(request).await.unwrap();
        let mut watch = watch.into_inner();
        // It is opened, and has been shown the first.
        for _ in 0..2 {
            timeout(Duration::from_secs(20), watch.message()).await.expect("in time").unwrap().unwrap();
        }
        watches.push(watch);
    }
    let asked = agent.driver.snapshots.load(Ordering::Relaxed);
    assert!(asked >= WATCHES as u64, "each begins with a snapshot of its own: {asked}");
    let grown = resident().saturating_sub(before) / MIB;
    println!("{WATCHES} watches stand still in their snapshots of 10000 routers: {grown} MiB resident more");
    assert!(grown < 96, "{grown} MiB");
    for place in [0, WATCHES - 1] {
        let mut names = timeout(Duration::from_secs(60), shown(&mut watches[place])).await.expect("in time");
        let count = names.len();
        assert!(names.is_sorted(), "in order");
        names.dedup();
        assert_eq!((names.len(), count), (9_999, 9_999), "each once");
    }
}
