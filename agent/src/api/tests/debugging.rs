//! The log's level over the API: for a while, checked, once, and written down; and the dump of the agent's state.

use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::debug_service_client::DebugServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use super::agent::{Agent, Directory, Setup, config};
use super::reason;

async fn debug(agent: &Agent) -> DebugServiceClient<Channel> {
    DebugServiceClient::new(agent.channel().await)
}

async fn level(agent: &Agent) -> v1::LogLevel {
    let answer = debug(agent).await.get_log_level(v1::GetLogLevelRequest::default()).await;
    answer.unwrap().into_inner().log_level.unwrap()
}

fn wish(level: &str, seconds: i64) -> v1::SetLogLevelRequest {
    v1::SetLogLevelRequest {
        name: "nodes/a/logLevel".to_owned(),
        level: level.to_owned(),
        ttl: (seconds != 0).then_some(prost_types::Duration { seconds, nanos: 0 }),
        reason: "peers do not hear each other".to_owned(),
        request_id: "r1".to_owned(),
        validate_only: false,
    }
}

#[tokio::test]
async fn a_level_is_set_for_a_while_shown_and_ended_and_each_is_written_down() {
    let agent = Agent::start().await;
    let before = level(&agent).await;
    assert_eq!((before.level.as_str(), before.configured_level.as_str()), ("info", "info"));
    assert_eq!((before.name.as_str(), before.level_override), ("nodes/a/logLevel", None));
    let mut client = debug(&agent).await;
    let dry = v1::SetLogLevelRequest { validate_only: true, ..wish("debug", 60) };
    let would = client.set_log_level(dry).await.unwrap().into_inner().log_level.unwrap();
    assert_eq!((would.level.as_str(), level(&agent).await.level.as_str()), ("debug", "info"));
    client.set_log_level(wish("ha_agent::peers=debug", 0)).await.unwrap();
    let set = level(&agent).await;
    assert_eq!(set.level, "info,ha_agent::peers=debug");
    let own = set.level_override.unwrap();
    let lasts = own.expire_time.unwrap().seconds - own.create_time.unwrap().seconds;
    assert!((899..=901).contains(&lasts), "without a ttl it lasts a quarter of an hour, not {lasts} s");
    client.reset_log_level(v1::ResetLogLevelRequest::default()).await.unwrap();
    assert_eq!(level(&agent).await.level_override, None);

    let filter = v1::EventFilter { types: vec!["audit.*".to_owned()], ..Default::default() };
    let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
    let events = agent.events().await.list_events(request).await.unwrap().into_inner().events;
    let audits: Vec<v1::Audit> = events.into_iter().filter_map(|event| event.audit).collect();
    let [set, reset] = &audits[..] else { panic!("{audits:#?}") };
    assert_eq!(set.before, "log level info as configured");
    assert!(set.after.starts_with("log level info,ha_agent::peers=debug by uid="), "{}", set.after);
    assert!(set.after.ends_with(" for 900s"), "{}", set.after);
    assert_eq!(set.reason, "peers do not hear each other");
    assert_eq!((&reset.before, reset.after.as_str()), (&set.after, "log level info as configured"));
}

#[tokio::test]
async fn a_level_ends_when_its_time_is_over() {
    let agent = Agent::start().await;
    debug(&agent).await.set_log_level(wish("debug", 1)).await.unwrap();
    assert_eq!(level(&agent).await.level, "debug");
    let ended = async {
        while level(&agent).await.level != "info" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("it ends by itself");
}

#[tokio::test]
async fn a_level_that_cannot_be_is_refused_with_what_is_wrong() {
    let agent = Agent::start().await;
    let mut client = debug(&agent).await;
    let long = v1::SetLogLevelRequest { reason: "x".repeat(2000), ..wish("debug", 60) };
    let other = v1::SetLogLevelRequest { name: "nodes/b/logLevel".to_owned(), ..wish("debug", 60) };
    for (request, code, word, text) in [
        (wish("debgu", 60), Code::InvalidArgument, "LOG_LEVEL_INVALID", "\"debgu\" is no level"),
        (wish("[x]=trace", 60), Code::InvalidArgument, "LOG_LEVEL_INVALID", "is no target"),
        (wish("", 60), Code::InvalidArgument, "LOG_LEVEL_INVALID", "0 directives"),
        (wish("debug", 90_000), Code::InvalidArgument, "TTL_OUT_OF_RANGE", "1 s .. 24 h"),
        (wish("debug", -1), Code::InvalidArgument, "TTL_OUT_OF_RANGE", "1 s .. 24 h"),
        (long, Code::InvalidArgument, "FIELD_TOO_LONG", "reason"),
        (other, Code::NotFound, "NODE_NOT_FOUND", ""),
    ] {
        let status = client.set_log_level(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, word), "{}", status.message());
        assert!(status.message().contains(text), "{}", status.message());
    }
    assert_eq!(level(&agent).await.level, "info");
}

/// What documents the keys of a dump.
const DOCUMENTED: &str = include_str!("../../../STATE.md");

async fn dump(agent: &Agent) -> (Vec<v1::StateEntry>, v1::DumpStateResponse) {
    let mut stream =
        debug(agent).await.dump_state(v1::DumpStateRequest::default()).await.unwrap().into_inner();
    let (mut entries, mut last) = (Vec::new(), v1::DumpStateResponse::default());
    while let Some(mut message) = stream.message().await.unwrap() {
        entries.append(&mut message.entries);
        last = message;
    }
    (entries, last)
}

fn values(entry: &v1::StateEntry) -> serde_json::Map<String, serde_json::Value> {
    serde_json::from_str(&entry.json).unwrap()
}

/// The keys of each section in the tables of `STATE.md`.
fn documented() -> std::collections::BTreeMap<String, Vec<String>> {
    let mut sections = std::collections::BTreeMap::new();
    for part in DOCUMENTED.split("\n## `").skip(1) {
        let (section, rest) = part.split_once('`').unwrap();
        let rows = rest.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let mut keys: Vec<String> = rows.map(|(key, _)| key.to_owned()).collect();
        keys.sort();
        sections.insert(section.to_owned(), keys);
    }
    sections
}

/// An agent of which a dump has something in every section.
async fn whole(history: &Directory) -> Agent {
    let endpoint = ha_config::PeerEndpoint::Unix("/nowhere/b.sock".into());
    let peer = ha_config::ClusterPeer { name: "b".to_owned(), endpoint };
    let checks = "[[check]]\nname = 'probe'\nkind = 'tcp'\nhost = '127.0.0.1'\nport = 1\n\
                  [[pool]]\nname = 'app'\nport = 80\nserver = [{ name = 'w1', address = '192.0.2.1' }]\n";
    let history = Some(history.0.clone());
    Agent::start_with(Setup { peers: vec![peer], checks: checks.to_owned(), history, ..Setup::default() })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_has_every_documented_key_and_no_other() {
    let history = Directory::new();
    let agent = whole(&history).await;
    let (entries, last) = dump(&agent).await;
    assert!(last.complete && !last.truncated);
    let mut found: std::collections::BTreeMap<String, std::collections::BTreeSet<String>> =
        Default::default();
    for entry in &entries {
        found.entry(entry.section.clone()).or_default().extend(values(entry).keys().cloned());
    }
    // A thread that answers has not this one; the next test has.
    found.get_mut("thread").unwrap().insert("silent".to_owned());
    let found: std::collections::BTreeMap<_, Vec<String>> =
        found.into_iter().map(|(section, keys)| (section, keys.into_iter().collect())).collect();
    assert_eq!(found, documented(), "agent/STATE.md is not what a dump has");
    let web = entries.iter().find(|entry| (&*entry.section, &*entry.name) == ("instance", "web")).unwrap();
    let web = values(web);
    assert!(["LISTENING", "ANNOUNCING", "SETTLED"].contains(&web["substate"].as_str().unwrap()), "{web:?}");
    assert!(web["next_in_s"].as_f64().unwrap() < 10.0, "{web:?}");
    let queue = entries.iter().find(|entry| entry.name == "dataplane.commands").unwrap();
    assert_eq!(queue.json, "{\"capacity\":32768,\"waiting\":3}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_that_hangs_costs_what_it_knows_and_is_named() {
    let agent = Agent::start().await;
    agent.driver.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let (entries, last) = dump(&agent).await;
    assert!(last.complete);
    assert!(entries.iter().all(|entry| entry.section != "instance"));
    let vrrp = entries.iter().find(|entry| (&*entry.section, &*entry.name) == ("thread", "vrrp")).unwrap();
    assert!(vrrp.json.contains("the vrrp thread did not answer within 2 s"), "{}", vrrp.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_routers_are_dumped_in_small_messages_one_dump_at_a_time_and_without_a_password() {
    use ha_engine::Protocol;
    let secret = |number: u16| {
        let mut config = config(&format!("router-{number:05}"), (number % 250 + 1) as u8, 100);
        config.protocol = Protocol::V2 { password: ha_engine::Password::new("hunter22") };
        config
    };
    let instances = (0..10_000).map(secret).collect();
    let agent = Agent::start_with(Setup { instances, ..Default::default() }).await;
    let mut client = debug(&agent).await;
    let mut stream = client.dump_state(v1::DumpStateRequest::default()).await.unwrap().into_inner();
    let busy = client.dump_state(v1::DumpStateRequest::default()).await.unwrap_err();
    assert_eq!((busy.code(), reason(&busy).as_str()), (Code::ResourceExhausted, "TOO_MANY_DUMPS"));
    let (mut entries, mut octets, mut largest) = (0, 0, 0);
    while let Some(message) = stream.message().await.unwrap() {
        let size = prost::Message::encoded_len(&message);
        (octets, largest) = (octets + size, largest.max(size));
        entries += message.entries.iter().filter(|entry| entry.section == "instance").count();
        assert!(message.entries.iter().all(|entry| !entry.json.contains("hunter22")));
    }
    println!("{octets} octets in all, {largest} in the largest message");
    assert_eq!(entries, 10_000);
    assert!(largest < 300_000, "{largest}");
    // The place is free again.
    dump(&agent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_not_read_a_dump_when_the_agent_stops_learns_that_it_is_not_whole() {
    let many =
        (0..10_000).map(|number: u16| config(&format!("router-{number:05}"), (number % 250 + 1) as u8, 100));
    let agent = Agent::start_with(Setup { instances: many.collect(), ..Default::default() }).await;
    let mut client = debug(&agent).await;
    let mut stream = client.dump_state(v1::DumpStateRequest::default()).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    agent.shutdown.cancel();
    let end = loop {
        match stream.message().await {
            Ok(Some(message)) => assert!(!message.complete && !message.truncated),
            end => break end,
        }
    };
    assert_eq!(end.unwrap_err().code(), Code::Unavailable);
}
