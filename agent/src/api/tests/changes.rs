//! Changes of priority: request ids, etags, dry runs, limits.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::watch_events_response::Payload;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::agent::Agent;
use super::reason;

fn set(priority: i32) -> v1::OverridePriorityRequest {
    v1::OverridePriorityRequest {
        name: "nodes/self/instances/web".to_owned(),
        priority,
        reason: "maintenance".to_owned(),
        ..Default::default()
    }
}

fn clear() -> v1::ClearPriorityRequest {
    v1::ClearPriorityRequest { name: "nodes/a/instances/web".to_owned(), ..Default::default() }
}

async fn get(agent: &Agent) -> v1::Instance {
    let request = v1::GetInstanceRequest { name: "nodes/a/instances/web".to_owned() };
    agent.instances().await.get_instance(request).await.unwrap().into_inner().instance.unwrap()
}

#[tokio::test]
async fn an_override_is_in_its_answer_in_every_later_answer_and_signed_by_its_author() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let ttl = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let mut request =
        Request::new(v1::OverridePriorityRequest { ttl, request_id: "r1".to_owned(), ..set(50) });
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    let answer = client.override_priority(request).await.unwrap().into_inner().instance.unwrap();
    let later = get(&agent).await;
    for instance in [&answer, &later] {
        assert_eq!((instance.base_priority, instance.effective_priority), (100, 50));
        let sources: Vec<_> =
            instance.priority_contributions.iter().map(|step| (step.source.as_str(), step.delta)).collect();
        assert_eq!(sources, [("config", 100), ("override", -50)]);
        let override_ = instance.priority_override.as_ref().unwrap();
        assert_eq!((override_.priority, override_.reason.as_str()), (50, "maintenance"));
        let lasts = override_.expire_time.unwrap().seconds - override_.create_time.unwrap().seconds;
        assert!((59..=61).contains(&lasts), "{lasts}");
        let actor = override_.actor.as_ref().unwrap();
        assert_eq!(actor.principal, format!("uid={}(unix)", nix::unistd::geteuid()));
        assert_eq!(actor.roles, ["reader", "operator", "admin"]);
        assert_eq!(
            (actor.request_id.as_str(), actor.trace_id.as_str()),
            ("r1", "4bf92f3577b34da6a3ce929d0e0e4736")
        );
    }
    let cleared = client.clear_priority(clear()).await.unwrap().into_inner().instance.unwrap();
    assert_eq!((cleared.effective_priority, cleared.priority_override), (100, None));
    // Nothing to clear is success too.
    assert!(client.clear_priority(clear()).await.is_ok());
}

#[tokio::test]
async fn a_change_is_followed_by_its_id_from_the_token_of_its_answer() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    client
        .override_priority(v1::OverridePriorityRequest { request_id: "other".to_owned(), ..set(70) })
        .await
        .unwrap();
    let request = v1::OverridePriorityRequest { request_id: "mine".to_owned(), ..set(50) };
    let token = client.override_priority(request).await.unwrap().into_inner().resume_token;
    let types = vec!["instance.*".to_owned()];
    let filter = v1::EventFilter { request_id: "mine".to_owned(), types, ..Default::default() };
    let start = Some(v1::watch_events_request::Start::ResumeToken(token));
    let request = v1::WatchEventsRequest { filter: Some(filter), start, ..Default::default() };
    let mut stream = agent.events().await.watch_events(request).await.unwrap().into_inner();
    let mut types = Vec::new();
    while types.len() < 2 {
        let message =
            tokio::time::timeout(Duration::from_secs(5), stream.message()).await.unwrap().unwrap().unwrap();
        if let Some(Payload::EventBatch(batch)) = message.payload {
            for event in batch.events {
                assert_eq!(event.actor.unwrap().request_id, "mine");
                assert_eq!(event.cause, i32::from(v1::Cause::AdminPriority));
                types.push((event.r#type, event.name, event.caused_by_events));
            }
        }
    }
    assert_eq!(types[0].0, "instance.override_set");
    assert_eq!((types[1].0.as_str(), &types[1].2[0]), ("instance.priority_changed", &types[0].1));
}

#[tokio::test]
async fn the_same_id_twice_is_one_effect_and_the_same_answer() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let request = v1::OverridePriorityRequest { request_id: "once".to_owned(), ..set(50) };
    let first = client.override_priority(request.clone()).await.unwrap().into_inner();
    client.override_priority(set(60)).await.unwrap();
    let second = client.override_priority(request.clone()).await.unwrap().into_inner();
    assert_eq!(first, second);
    assert_eq!(get(&agent).await.effective_priority, 60, "the repetition changed nothing");
    assert_eq!(agent.driver.commands.load(Ordering::Relaxed), 2);
    for other in [
        v1::OverridePriorityRequest { priority: 51, ..request.clone() },
        v1::OverridePriorityRequest { reason: "another".to_owned(), ..request.clone() },
    ] {
        let refused = client.override_priority(other).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    }
    let other_method = v1::ClearPriorityRequest { request_id: "once".to_owned(), ..clear() };
    assert_eq!(reason(&client.clear_priority(other_method).await.unwrap_err()), "REQUEST_ID_REUSED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_with_one_id_have_one_effect() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    // Until the agent's SETTINGS have come, a client may open more streams than it is allowed and is refused some.
    client.list_instances(v1::ListInstancesRequest::default()).await.unwrap();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let mut client = client.clone();
            let request = v1::OverridePriorityRequest { request_id: "once".to_owned(), ..set(50) };
            tokio::spawn(async move { client.override_priority(request).await.unwrap().into_inner() })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(agent.driver.commands.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_vanishes_in_the_middle_and_asks_again_gets_the_answer_of_the_one_effect() {
    let agent = Agent::start().await;
    *agent.driver.delay.lock().unwrap() = Duration::from_millis(200);
    let request = v1::OverridePriorityRequest { request_id: "once".to_owned(), ..set(50) };
    let mut vanishing = agent.instances().await;
    let abandoned =
        tokio::time::timeout(Duration::from_millis(50), vanishing.override_priority(request.clone())).await;
    assert!(abandoned.is_err());
    drop(vanishing);
    let answer =
        agent.instances().await.override_priority(request).await.unwrap().into_inner().instance.unwrap();
    assert_eq!(answer.effective_priority, 50);
    assert_eq!(agent.driver.commands.load(Ordering::Relaxed), 1);
    let filter = v1::EventFilter { types: vec!["instance.override_set".to_owned()], ..Default::default() };
    let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
    assert_eq!(agent.events().await.list_events(request).await.unwrap().into_inner().events.len(), 1);
}

#[tokio::test]
async fn a_failure_uses_up_no_id() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let wrong =
        v1::OverridePriorityRequest { request_id: "r".to_owned(), etag: "stale".to_owned(), ..set(50) };
    assert_eq!(client.override_priority(wrong).await.unwrap_err().code(), Code::Aborted);
    let right = v1::OverridePriorityRequest { request_id: "r".to_owned(), ..set(50) };
    assert!(client.override_priority(right).await.is_ok());
}

#[tokio::test]
async fn of_two_operators_with_the_same_etag_one_is_aborted() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let etag = get(&agent).await.etag;
    let first = v1::OverridePriorityRequest { etag: etag.clone(), ..set(50) };
    let answer = client.override_priority(first).await.unwrap().into_inner().instance.unwrap();
    assert_ne!(answer.etag, etag);
    for stale in
        [etag, "nonsense".to_owned(), format!("0123456789abcdef-{}", answer.etag.rsplit('-').next().unwrap())]
    {
        let second = client
            .override_priority(v1::OverridePriorityRequest { etag: stale, ..set(60) })
            .await
            .unwrap_err();
        assert_eq!((second.code(), reason(&second).as_str()), (Code::Aborted, "ETAG_MISMATCH"));
        let told = second.get_details_error_info().unwrap().metadata.remove("etag");
        assert_eq!(told, Some(answer.etag.clone()), "it says which is in force");
    }
    assert_eq!(get(&agent).await.effective_priority, 50);
    let fresh = v1::ClearPriorityRequest { etag: answer.etag, ..clear() };
    assert!(client.clear_priority(fresh).await.is_ok());
}

#[tokio::test]
async fn validate_only_answers_what_would_be_and_changes_nothing() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let before = agent.journal.newest();
    let request = v1::OverridePriorityRequest { validate_only: true, request_id: "r".to_owned(), ..set(50) };
    let would = client.override_priority(request).await.unwrap().into_inner().instance.unwrap();
    assert_eq!((would.effective_priority, would.priority_override.unwrap().priority), (50, 50));
    let is = get(&agent).await;
    assert_eq!((is.effective_priority, is.priority_override, is.etag), (100, None, would.etag));
    assert_eq!((agent.driver.commands.load(Ordering::Relaxed), agent.journal.newest()), (0, before));
    // The id is still free.
    let request = v1::OverridePriorityRequest { request_id: "r".to_owned(), ..set(60) };
    client.override_priority(request).await.unwrap();
    let request = v1::ClearPriorityRequest { validate_only: true, ..clear() };
    let would = client.clear_priority(request).await.unwrap().into_inner().instance.unwrap();
    assert_eq!((would.effective_priority, get(&agent).await.effective_priority), (100, 60));
    let request = v1::OverridePriorityRequest { validate_only: true, etag: "stale".to_owned(), ..set(50) };
    assert_eq!(client.override_priority(request).await.unwrap_err().code(), Code::Aborted);
}

#[tokio::test]
async fn what_is_out_of_range_is_refused_with_its_reason() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let with_ttl = |seconds, nanos| v1::OverridePriorityRequest {
        ttl: Some(prost_types::Duration { seconds, nanos }),
        ..set(50)
    };
    let named = |name: &str| v1::OverridePriorityRequest { name: name.to_owned(), ..set(50) };
    let table = [
        (set(0), Code::InvalidArgument, "PRIORITY_OUT_OF_RANGE"),
        (set(255), Code::InvalidArgument, "PRIORITY_OUT_OF_RANGE"),
        (set(-1), Code::InvalidArgument, "PRIORITY_OUT_OF_RANGE"),
        (set(256 + 50), Code::InvalidArgument, "PRIORITY_OUT_OF_RANGE"),
        (with_ttl(0, 0), Code::InvalidArgument, "TTL_OUT_OF_RANGE"),
        (with_ttl(0, 999_999_999), Code::InvalidArgument, "TTL_OUT_OF_RANGE"),
        (with_ttl(-5, 0), Code::InvalidArgument, "TTL_OUT_OF_RANGE"),
        (with_ttl(365 * 86_400, 1), Code::InvalidArgument, "TTL_OUT_OF_RANGE"),
        (with_ttl(i64::MIN, i32::MIN), Code::InvalidArgument, "TTL_OUT_OF_RANGE"),
        (named("nodes/a/instances/none"), Code::NotFound, "INSTANCE_NOT_FOUND"),
        (named("nodes/b/instances/web"), Code::NotFound, "NODE_NOT_FOUND"),
        (named(""), Code::InvalidArgument, "NAME_INVALID"),
        (named("nodes/a/instances/owner"), Code::FailedPrecondition, "ADDRESS_OWNER"),
        (
            v1::OverridePriorityRequest { reason: "x".repeat(1025), ..set(50) },
            Code::InvalidArgument,
            "FIELD_TOO_LONG",
        ),
        (
            v1::OverridePriorityRequest { request_id: "x".repeat(129), ..set(50) },
            Code::InvalidArgument,
            "FIELD_TOO_LONG",
        ),
    ];
    for (request, code, word) in table {
        let shown = format!("{request:?}");
        let refused = client.override_priority(request).await.expect_err(&shown);
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, word), "{shown}");
    }
    assert_eq!(get(&agent).await.priority_override, None);
    for (seconds, nanos) in [(1, 0), (365 * 86_400, 0)] {
        assert!(client.override_priority(with_ttl(seconds, nanos)).await.is_ok());
    }
}

#[tokio::test]
async fn an_override_ends_when_its_time_has_come() {
    let agent = Agent::start().await;
    let ttl = Some(prost_types::Duration { seconds: 1, nanos: 0 });
    let request = v1::OverridePriorityRequest { ttl, ..set(50) };
    agent.instances().await.override_priority(request).await.unwrap();
    assert_eq!(get(&agent).await.effective_priority, 50);
    let ended = async {
        while get(&agent).await.priority_override.is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
    assert_eq!(get(&agent).await.effective_priority, 100);
}

#[tokio::test]
async fn a_flood_of_changes_is_slowed_down_and_repetitions_are_not() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let first = v1::OverridePriorityRequest { request_id: "first".to_owned(), ..set(50) };
    client.override_priority(first.clone()).await.unwrap();
    let mut reasons = HashSet::new();
    for _ in 0..5 {
        let mut clients = vec![client.clone(); 30];
        let calls = clients.iter_mut().map(|client| client.override_priority(set(50)));
        for refused in futures::future::join_all(calls).await.into_iter().filter_map(Result::err) {
            assert_eq!(refused.code(), Code::ResourceExhausted);
            reasons.insert(reason(&refused));
        }
    }
    assert_eq!(reasons, HashSet::from(["TOO_MANY_MUTATIONS".to_owned()]));
    assert!(client.override_priority(first).await.is_ok());
}
