//! Whoever asks for a change leaves one event, made or refused.

use ha_proto::v1;
use tonic::Code;

use super::agent::Agent;

/// The audit events so far: type, who, request id, reason, before, after, refusal.
async fn audits(agent: &Agent) -> Vec<(String, v1::Event, v1::Audit)> {
    let filter = v1::EventFilter { types: vec!["audit.*".to_owned()], ..Default::default() };
    let request = v1::ListEventsRequest { filter: Some(filter), page_size: 1000, ..Default::default() };
    let events = agent.events().await.list_events(request).await.unwrap().into_inner().events;
    let told = |event: v1::Event| (event.r#type.clone(), event.clone(), event.audit.unwrap());
    events.into_iter().map(told).collect()
}

fn wish(instance: &str, priority: i32, id: &str) -> v1::OverridePriorityRequest {
    v1::OverridePriorityRequest {
        name: format!("nodes/self/instances/{instance}"),
        priority,
        reason: "switch is replaced".to_owned(),
        request_id: id.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn a_change_says_who_what_why_and_how_it_stood_before_and_after() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    client.override_priority(wish("web", 50, "r1")).await.unwrap();
    let dry = v1::OverridePriorityRequest { validate_only: true, ..wish("web", 60, "") };
    client.override_priority(dry).await.unwrap();
    let clear = v1::ClearPriorityRequest { name: "nodes/a/instances/web".to_owned(), ..Default::default() };
    client.clear_priority(clear).await.unwrap();
    let audits = audits(&agent).await;
    let principal = format!("uid={}(unix)", nix::unistd::geteuid());
    let [(kind, event, set), (_, _, cleared)] = &audits[..] else { panic!("{audits:#?}") };
    let actor = event.actor.as_ref().unwrap();
    assert_eq!((kind.as_str(), event.subject.as_str()), ("audit.changed", "nodes/a/instances/web"));
    assert_eq!((actor.principal.as_str(), actor.request_id.as_str()), (principal.as_str(), "r1"));
    assert_eq!(actor.roles.last().map(String::as_str), Some("admin"));
    assert_eq!(event.request_id, "r1");
    assert_eq!(
        (set.method.as_str(), set.reason.as_str()),
        ("/ha.agent.v1.InstanceService/OverridePriority", "switch is replaced")
    );
    assert_eq!(set.before, "priority 100 as configured, effective 100");
    assert_eq!(set.after, format!("priority 50 by {principal}, effective 50"));
    assert_eq!((cleared.before.as_str(), cleared.after.as_str()), (set.after.as_str(), set.before.as_str()));
}

#[tokio::test]
async fn a_refused_change_says_why_and_cannot_flood_the_history() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let refusals = [
        (wish("web", 0, "r1"), Code::InvalidArgument, "INVALID_ARGUMENT", "PRIORITY_OUT_OF_RANGE"),
        (wish("nobody", 9, "r2"), Code::NotFound, "NOT_FOUND", "INSTANCE_NOT_FOUND"),
        (wish("owner", 9, "r3"), Code::FailedPrecondition, "FAILED_PRECONDITION", "ADDRESS_OWNER"),
    ];
    for (request, code, ..) in refusals.clone() {
        assert_eq!(client.override_priority(request).await.unwrap_err().code(), code);
    }
    let told = audits(&agent).await;
    assert_eq!(told.len(), refusals.len());
    for ((kind, event, audit), (_, _, code, reason)) in told.iter().zip(refusals) {
        assert_eq!((kind.as_str(), audit.refusal_code.as_str()), ("audit.refused", code), "{event:?}");
        assert!(audit.refusal_reason.starts_with(reason), "{audit:?}");
        assert_eq!(event.severity(), v1::Severity::Warn);
    }
    for _ in 0..300 {
        assert!(client.override_priority(wish("web", 0, "")).await.is_err());
    }
    let flooded = audits(&agent).await;
    assert!(flooded.len() < 120, "{}", flooded.len());
    // What was left out is counted with the next that is told.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(client.override_priority(wish("web", 0, "")).await.is_err());
    let all = audits(&agent).await;
    let unrecorded: i64 = all.iter().map(|(_, _, audit)| audit.unrecorded_refusals).sum();
    assert_eq!(i64::try_from(all.len()).unwrap() + unrecorded, 304);
}

#[tokio::test]
async fn a_drain_a_transfer_and_an_announcement_say_how_it_stood_before_and_after() {
    let agent = Agent::start().await;
    let mut nodes = agent.nodes().await;
    let active = async {
        while nodes
            .get_drain(v1::GetDrainRequest::default())
            .await
            .unwrap()
            .into_inner()
            .drain
            .unwrap()
            .active_count
            < 2
        {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), active).await.expect("both are Active");
    let announce = v1::AnnounceVipRequest { name: "nodes/a/vips/10.9.0.1".to_owned(), ..Default::default() };
    agent.vips().await.announce_vip(announce).await.unwrap();
    let end = v1::EndTransferRequest { name: "nodes/a/instances/web".to_owned(), ..Default::default() };
    agent.instances().await.end_transfer(end).await.unwrap();
    let drain = v1::DrainNodeRequest { allow_no_successor: true, ..Default::default() };
    nodes.drain_node(drain).await.unwrap();
    nodes.undrain_node(v1::UndrainNodeRequest::default()).await.unwrap();
    let told: Vec<(String, String)> =
        audits(&agent).await.into_iter().map(|(_, _, audit)| (audit.before, audit.after)).collect();
    let principal = format!("uid={}(unix)", nix::unistd::geteuid());
    let drained = format!("drained by {principal}, 2 Active here");
    let [(before, after), told @ ..] = &told[..] else { panic!("{told:?}") };
    assert!(before.starts_with("web is ACTIVE, announced ") && before.ends_with(" times"), "{before}");
    assert_eq!(*after, format!("{before}, and is being announced again"));
    let expected = [
        ("ACTIVE here", "ACTIVE here"),
        ("not drained, 2 Active here", drained.as_str()),
        (drained.as_str(), "not drained, 2 Active here"),
    ];
    let expected = expected.map(|(before, after)| (before.to_owned(), after.to_owned()));
    assert_eq!(told, expected);
}
