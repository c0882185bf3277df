//! The log's level over the API: for a while, checked, once, and written down.

use ha_proto::v1;
use ha_proto::v1::debug_service_client::DebugServiceClient;
use tonic::Code;
use tonic::transport::Channel;

use super::agent::Agent;
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
