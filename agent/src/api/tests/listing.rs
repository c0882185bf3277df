//! Lists and lookups: pages, names, filters.

use std::sync::atomic::Ordering;
use std::time::Duration;

use ha_proto::v1;
use prost::Message;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use ha_engine::{Fact, Track, TrackEffect, Verdict, VirtualAddress};

use super::agent::{Agent, Setup, config};
use super::reason;

#[tokio::test]
async fn a_node_tells_who_it_is_and_how_it_stands() {
    let agent = Agent::start().await;
    let mut client = agent.nodes().await;
    for name in ["", "nodes/self", "nodes/a"] {
        let request = v1::GetNodeRequest { name: name.to_owned() };
        let node = client.get_node(request).await.unwrap().into_inner().node.unwrap();
        assert_eq!(node.name, "nodes/a");
        assert_eq!(node.incarnation_id, **agent.journal.incarnation());
        assert_eq!((node.version.as_str(), node.config_digest.as_str()), ("1.2.3", "abc"));
        // The address owner is Active at once, the other one listens first.
        assert_eq!((node.instance_count, node.active_count), (2, 1));
        assert_eq!(node.conditions[0].r#type, "RealtimeScheduling");
        assert_eq!(node.conditions[0].status(), v1::condition::Status::False);
        assert!(node.start_time.unwrap().seconds <= node.server_time.unwrap().seconds);
    }
    let other = client.get_node(v1::GetNodeRequest { name: "nodes/b".to_owned() }).await.unwrap_err();
    assert_eq!((other.code(), reason(&other).as_str()), (Code::NotFound, "NODE_NOT_FOUND"));
}

#[tokio::test]
async fn an_instance_shows_its_state_and_how_its_priority_came_about() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    let request = v1::GetInstanceRequest { name: "nodes/self/instances/owner".to_owned() };
    let instance = client.get_instance(request).await.unwrap().into_inner().instance.unwrap();
    assert_eq!(instance.name, "nodes/a/instances/owner");
    assert_eq!(instance.state(), v1::instance::State::Active);
    assert_eq!(instance.last_transition_cause(), v1::Cause::AddressOwner);
    assert_eq!((instance.base_priority, instance.effective_priority), (255, 255));
    assert_eq!(instance.priority_contributions[0].source, "config");
    assert_eq!(instance.vips, ["nodes/a/vips/10.9.0.2"]);
    assert_eq!(instance.interface, "eth0");
    assert_eq!(instance.family(), v1::instance::Family::Ipv4);
    assert_eq!((instance.vrrp_version, instance.virtual_router_id), (3, 2));
    assert_eq!(instance.address_lease.unwrap().seconds, 2);
    let request = v1::GetInstanceRequest { name: "nodes/a/instances/none".to_owned() };
    let missing = client.get_instance(request).await.unwrap_err();
    assert_eq!((missing.code(), reason(&missing).as_str()), (Code::NotFound, "INSTANCE_NOT_FOUND"));
    let malformed = client.get_instance(v1::GetInstanceRequest { name: "web".to_owned() }).await.unwrap_err();
    assert_eq!((malformed.code(), reason(&malformed).as_str()), (Code::InvalidArgument, "NAME_INVALID"));
}

#[tokio::test]
async fn an_instance_shows_what_it_tracks_and_what_its_sync_group_wants() {
    let track = |fact: &str, effect| Track { fact: fact.into(), effect };
    let mut web = config("web", 1, 100);
    web.group = Some("edge".into());
    web.tracks = [
        track("checks/http", TrackEffect::Weight { weight: -30, reverse: false }),
        track("checks/load", TrackEffect::Value { factor: 2 }),
        track("pools/web", TrackEffect::Fault { reverse: true }),
        track("checks/drain", TrackEffect::ValueFault),
    ]
    .into();
    let fact = |name: &str, verdict, value| Fact {
        name: name.into(),
        verdict,
        value,
        damped: false,
        detail: "seen".into(),
        since: crate::clock::now(),
    };
    let facts = vec![
        fact("checks/http", Verdict::Failing, None),
        fact("checks/load", Verdict::Passing, Some(4)),
        fact("checks/load", Verdict::Unknown, None),
        fact("pools/web", Verdict::Passing, None),
    ];
    let agent = Agent::start_with(Setup { instances: vec![web], facts, ..Setup::default() }).await;
    let request = v1::GetInstanceRequest { name: "nodes/a/instances/web".to_owned() };
    let answer = agent.instances().await.get_instance(request).await.unwrap();
    let instance = answer.into_inner().instance.unwrap();
    assert_eq!((instance.state(), instance.effective_priority), (v1::instance::State::Fault, 78));
    assert_eq!(instance.fault_reasons, ["pools/web passes, which is a fault here: seen"]);
    assert_eq!(
        (instance.sync_group.as_str(), instance.wish()),
        ("nodes/a/groups/edge", v1::instance::Wish::Fault)
    );
    let steps: Vec<_> =
        instance.priority_contributions.iter().map(|step| (step.source.as_str(), step.delta)).collect();
    assert_eq!(steps, [("config", 100), ("checks/http", -30), ("checks/load", 8)]);
    let evidence = instance.last_transition_evidence.clone().unwrap();
    assert_eq!((evidence.subject.as_str(), evidence.detail.as_str()), ("nodes/a/pools/web", "seen"));
    let tracks: Vec<_> = instance
        .tracks
        .iter()
        .map(|one| {
            let verdicts = (one.verdict().as_str_name(), one.counted_verdict().as_str_name());
            let worth = (one.delta, one.faulty, one.undecided);
            (one.name.as_str(), one.effect().as_str_name(), (one.weight, one.reverse), verdicts, worth)
        })
        .collect();
    let (unknown, passing, failing) = ("VERDICT_UNKNOWN", "VERDICT_PASSING", "VERDICT_FAILING");
    let expected = [
        ("nodes/a/checks/http", "EFFECT_WEIGHT", (-30, false), (failing, failing), (-30, false, false)),
        ("nodes/a/checks/load", "EFFECT_VALUE", (2, false), (unknown, passing), (8, false, false)),
        ("nodes/a/pools/web", "EFFECT_FAULT", (0, true), (passing, passing), (0, true, false)),
        ("nodes/a/checks/drain", "EFFECT_VALUE_FAULT", (0, false), (unknown, unknown), (0, false, true)),
    ];
    assert_eq!(tracks, expected);
    assert!(instance.tracks[0].last_change_time.is_some() && instance.tracks[3].last_change_time.is_none());
}

#[tokio::test]
async fn a_vip_shows_what_is_wanted_and_what_the_kernel_has() {
    let agent = Agent::start().await;
    let mut client = agent.vips().await;
    let mut list = async || client.list_vips(v1::ListVipsRequest::default()).await.unwrap().into_inner().vips;
    let vips = list().await;
    let states: Vec<_> =
        vips.iter().map(|vip| (vip.address.as_str(), vip.desired_state(), vip.kernel_state())).collect();
    use v1::vip::State::{Absent, Present};
    assert_eq!(states, [("10.9.0.1", Absent, Absent), ("10.9.0.2", Present, Present)]);
    assert_eq!(vips[1].instance, "nodes/a/instances/owner");
    assert_eq!((vips[1].announcement_count, vips[1].last_announce_time.is_some()), (1, true));
    // Never remembered: what somebody else removed is shown as gone at once.
    agent.driver.held.lock().unwrap().clear();
    let vips = list().await;
    assert_eq!((vips[1].desired_state(), vips[1].kernel_state()), (Present, Absent));
}

#[tokio::test]
async fn pages_join_to_the_whole_list_in_order_whatever_their_size() {
    let names: Vec<String> = (1..=150).map(|number| format!("instance-{number:03}")).collect();
    let instances = names.iter().zip(1..).map(|(name, number)| config(name, number, 100)).collect();
    let agent = Agent::start_with(Setup { instances, ..Setup::default() }).await;
    let mut client = agent.instances().await;
    for (page_size, pages) in [(0, 2), (7, 22), (150, 1), (149, 2), (i32::MAX, 1)] {
        let (mut seen, mut page_token, mut count) = (Vec::new(), String::new(), 0);
        loop {
            let request = v1::ListInstancesRequest { parent: "nodes/a".to_owned(), page_size, page_token };
            let page = client.list_instances(request).await.unwrap().into_inner();
            count += 1;
            seen.extend(page.instances.into_iter().map(|instance| instance.name));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(count, pages, "page_size {page_size}");
        assert!(
            seen.iter().eq(names
                .iter()
                .map(|name| format!("nodes/a/instances/{name}"))
                .collect::<Vec<_>>()
                .iter())
        );
    }
    let negative = v1::ListInstancesRequest { page_size: -1, ..Default::default() };
    assert_eq!(client.list_instances(negative).await.unwrap_err().code(), Code::InvalidArgument);
    let strange = v1::ListInstancesRequest { page_token: "vips:x".to_owned(), ..Default::default() };
    assert_eq!(reason(&client.list_instances(strange).await.unwrap_err()), "PAGE_TOKEN_INVALID");
}

#[tokio::test]
async fn events_are_listed_from_both_ends_in_pages_without_hole_or_repetition() {
    let agent = Agent::start().await;
    agent.reached(1).await;
    for _ in 0..500 {
        agent.journal.append_lost(1);
    }
    let newest = agent.journal.newest();
    let mut client = agent.events().await;
    for newest_first in [false, true] {
        let (mut seen, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                v1::ListEventsRequest { page_size: 64, page_token, newest_first, ..Default::default() };
            let page = client.list_events(request).await.unwrap().into_inner();
            seen.extend(page.events.iter().map(|event| event.sequence));
            assert_eq!(page.oldest_available_sequence, 1);
            page_token = page.next_page_token;
            // What happens between two pages changes neither.
            if newest_first {
                agent.journal.append_lost(1);
            }
            if page_token.is_empty() {
                assert!(page.resume_token.ends_with(&format!(".{newest}")), "{}", page.resume_token);
                break;
            }
        }
        let mut expected: Vec<i64> = (1..=i64::try_from(newest).unwrap()).collect();
        if newest_first {
            expected.reverse();
        }
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn a_page_token_of_another_question_or_another_life_is_refused() {
    let agent = Agent::start().await;
    (0..20).for_each(|_| assert!(agent.journal.append_lost(1) > 0));
    let mut client = agent.events().await;
    let request = v1::ListEventsRequest { page_size: 5, ..Default::default() };
    let page_token = client.list_events(request.clone()).await.unwrap().into_inner().next_page_token;
    // Another page size is the same question.
    let same = v1::ListEventsRequest { page_size: 3, page_token: page_token.clone(), ..Default::default() };
    assert!(client.list_events(same).await.is_ok());
    let other =
        v1::ListEventsRequest { newest_first: true, page_token: page_token.clone(), ..request.clone() };
    assert_eq!(reason(&client.list_events(other).await.unwrap_err()), "PAGE_TOKEN_INVALID");
    let of_another_life = page_token.replace(&**agent.journal.incarnation(), "0123456789abcdef");
    let old = v1::ListEventsRequest { page_token: of_another_life, ..request.clone() };
    assert_eq!(reason(&client.list_events(old).await.unwrap_err()), "PAGE_TOKEN_EXPIRED");
    for nonsense in ["x", "events:", "events:1.2.3.4", "events:....", "\u{0}"] {
        let request = v1::ListEventsRequest { page_token: nonsense.to_owned(), ..request.clone() };
        assert!(
            reason(&client.list_events(request).await.unwrap_err()).starts_with("PAGE_TOKEN_"),
            "{nonsense:?}"
        );
    }
}

#[tokio::test]
async fn a_filter_selects_by_every_condition_and_together() {
    let agent = Agent::start().await;
    agent.journal.append_lost(3);
    let mut client = agent.events().await;
    let mut types = async |filter: v1::EventFilter| {
        let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
        let events = client.list_events(request).await.unwrap().into_inner().events;
        events.into_iter().map(|event| (event.r#type, event.subject)).collect::<Vec<_>>()
    };
    let changed = vec!["instance.state_changed".to_owned()];
    let owner = vec!["nodes/self/instances/owner".to_owned()];
    let all = types(v1::EventFilter::default()).await;
    assert!(all.len() > 5);
    let of_owner = types(v1::EventFilter { subjects: owner.clone(), ..Default::default() }).await;
    assert!(!of_owner.is_empty() && of_owner.iter().all(|(_, subject)| subject == "nodes/a/instances/owner"));
    let any =
        types(v1::EventFilter { subjects: vec!["nodes/-/instances/-".to_owned()], ..Default::default() })
            .await;
    assert_eq!(any.len(), all.iter().filter(|(_, subject)| subject.contains("/instances/")).count());
    let errors = v1::EventFilter { min_severity: v1::Severity::Error.into(), ..Default::default() };
    assert_eq!(types(errors).await, [("node.events_lost".to_owned(), "nodes/a".to_owned())]);
    let prefix = types(v1::EventFilter { types: vec!["node.*".to_owned()], ..Default::default() }).await;
    assert_eq!(prefix.len(), 1);
    let both = v1::EventFilter {
        types: changed,
        subjects: owner,
        causes: vec![v1::Cause::AddressOwner.into()],
        ..Default::default()
    };
    assert_eq!(types(both).await.len(), 1);
}

#[tokio::test]
async fn a_filter_that_can_never_match_or_is_too_large_is_refused() {
    let agent = Agent::start().await;
    let mut client = agent.events().await;
    let bad = [
        v1::EventFilter { causes: vec![9999], ..Default::default() },
        v1::EventFilter { min_severity: 77, ..Default::default() },
        v1::EventFilter { types: vec!["x".to_owned(); 65], ..Default::default() },
        v1::EventFilter { request_id: "x".repeat(257), ..Default::default() },
    ];
    for filter in bad {
        let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
        let refused = client.list_events(request).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "FILTER_INVALID"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_calls_ask_the_vrrp_thread_a_few_times() {
    let agent = Agent::start().await;
    let client = agent.instances().await;
    let before = agent.driver.snapshots.load(Ordering::Relaxed);
    let events = agent.journal.newest();
    let began = std::time::Instant::now();
    let calls: Vec<_> = (0..16)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move {
                for _ in 0..125 {
                    client.list_instances(v1::ListInstancesRequest::default()).await.unwrap();
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let asked = agent.driver.snapshots.load(Ordering::Relaxed) - before;
    let events = agent.journal.newest() - events;
    let most = u64::try_from(began.elapsed().as_millis()).unwrap() / 20 + 2 + events;
    assert!(asked <= most, "2000 calls asked {asked} times in {:?}, with {events} events", began.elapsed());
}

#[tokio::test]
async fn an_answer_is_never_older_than_the_newest_event() {
    let agent = Agent::start().await;
    let mut client = agent.instances().await;
    client.list_instances(v1::ListInstancesRequest::default()).await.unwrap();
    for _ in 0..3 {
        let before = agent.driver.snapshots.load(Ordering::Relaxed);
        assert!(agent.journal.append_lost(1) > 0);
        client.list_instances(v1::ListInstancesRequest::default()).await.unwrap();
        assert!(agent.driver.snapshots.load(Ordering::Relaxed) > before);
    }
}

#[tokio::test]
async fn health_follows_the_agent_its_services_and_the_holder_of_an_address() {
    let agent = Agent::start().await;
    let mut client = HealthClient::new(agent.channel().await);
    let table = [
        ("", ServingStatus::Serving),
        ("ha.agent.v1.EventService", ServingStatus::Serving),
        ("vip/10.9.0.2", ServingStatus::Serving),
        ("vip/10.9.0.1", ServingStatus::NotServing),
    ];
    for (service, expected) in table {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(client.check(request).await.unwrap().into_inner().status(), expected, "{service}");
    }
    for service in ["vip/10.9.0.99", "vip/nonsense", "ha.agent.v1.NoService", "ha.agent.v1", "/"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        assert_eq!(reason(&client.check(request).await.unwrap_err()), "SERVICE_UNKNOWN", "{service}");
    }
    let request = HealthCheckRequest { service: "vip/10.9.0.2".to_owned() };
    let mut watch = client.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    agent.driver.held.lock().unwrap().clear();
    let next = tokio::time::timeout(Duration::from_secs(5), watch.message()).await.unwrap();
    assert_eq!(next.unwrap().unwrap().status(), ServingStatus::NotServing);
    let service = "vip/10.9.0.2".to_owned();
    let mut request = tonic::Request::new(HealthCheckRequest { service });
    request.set_timeout(Duration::from_millis(400));
    let mut watch = client.watch(request).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let end = tokio::time::timeout(Duration::from_secs(5), watch.message()).await.expect("ends in time");
    assert_eq!(reason(&end.unwrap_err()), "DEADLINE_EXCEEDED");
    let request = HealthCheckRequest { service: "nobody".to_owned() };
    let mut unknown = client.watch(request).await.unwrap().into_inner();
    assert_eq!(unknown.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
}

#[tokio::test]
async fn reflection_serves_the_contract_and_health_knows_each_of_its_services() {
    let agent = Agent::start().await;
    let mut client = ServerReflectionClient::new(agent.channel().await);
    let ask = |message| ServerReflectionRequest { host: String::new(), message_request: Some(message) };
    let requests = [
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("ha.agent.v1.EventService".to_owned())),
    ];
    let mut answers = client.server_reflection_info(tokio_stream::iter(requests)).await.unwrap().into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no list")
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["ha.agent.v1.EventService", "ha.agent.v1.InstanceService", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let mut health = HealthClient::new(agent.channel().await);
    for service in names.into_iter().map(str::to_owned) {
        let answer = health.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    }
    let Some(MessageResponse::FileDescriptorResponse(file)) =
        answers.message().await.unwrap().unwrap().message_response
    else {
        panic!("no file")
    };
    let file = prost_types::FileDescriptorProto::decode(&*file.file_descriptor_proto[0]).unwrap();
    assert_eq!(file.name(), "ha/agent/v1/event_service.proto");
}

#[tokio::test]
async fn an_address_shows_its_own_link_and_whether_it_is_advertised() {
    let mut web = config("web", 1, 255);
    let beside = VirtualAddress {
        interface: Some("eth1".into()),
        advertised: false,
        ..VirtualAddress::new("2001:db8::1".parse().unwrap(), 64)
    };
    web.addresses = web.addresses.iter().cloned().chain([beside]).collect();
    let agent = Agent::start_with(Setup { instances: vec![web], ..Setup::default() }).await;
    let request = v1::ListVipsRequest { parent: "nodes/a".to_owned(), ..v1::ListVipsRequest::default() };
    let vips = agent.vips().await.list_vips(request).await.unwrap().into_inner().vips;
    let seen: Vec<_> =
        vips.iter().map(|vip| (vip.address.as_str(), vip.interface.as_str(), vip.unadvertised)).collect();
    assert_eq!(seen, [("10.9.0.1", "eth0", false), ("2001:db8::1", "eth1", true)]);
}
