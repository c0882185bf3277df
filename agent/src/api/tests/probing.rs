//! Addresses asked for on the wire, and announced again.

use std::sync::Arc;

use futures::StreamExt;
use ha_proto::v1;
use ha_proto::v1::vip_answer::Origin;

use super::agent::Agent;
use super::reason;

const WEB: &str = "nodes/a/vips/10.9.0.1";

async fn probe(agent: &Agent) -> v1::VipProbe {
    let request = v1::ProbeVipRequest { name: WEB.to_owned(), timeout: None };
    agent.vips().await.probe_vip(request).await.unwrap().into_inner().probe.unwrap()
}

#[tokio::test]
async fn somebody_who_answers_beside_the_holder_is_a_conflict_that_is_told_once() {
    let agent = Agent::start().await;
    let address = "10.9.0.1".parse().unwrap();
    agent.driver.held.lock().unwrap().push(address);
    let quiet = probe(&agent).await;
    assert_eq!((&*quiet.holder_mac, quiet.answers.len(), quiet.conflict), ("02:00:00:00:00:01", 0, false));

    agent.driver.answering.lock().unwrap().push((address, [2, 0, 0, 0, 0, 9]));
    let before = agent.journal.newest();
    let loud = probe(&agent).await;
    assert!(loud.conflict);
    assert_eq!((&*loud.answers[0].mac, loud.answers[0].origin()), ("02:00:00:00:00:09", Origin::Unknown));
    assert!(probe(&agent).await.conflict);
    let filter = v1::EventFilter { types: vec!["vip.conflict".to_owned()], ..Default::default() };
    let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
    let events = agent.events().await.list_events(request).await.unwrap().into_inner().events;
    assert_eq!(events.len(), 1, "twice the same within a minute is one event");
    assert!(events[0].sequence > i64::try_from(before).unwrap());
    assert_eq!(events[0].cause(), v1::Cause::AddressConflict);
    let message = "this node holds it, and 02:00:00:00:00:09 answers for it";
    assert!(events[0].message.starts_with(message), "{}", events[0].message);
}

#[tokio::test]
async fn a_probe_of_what_is_no_virtual_address_or_for_ever_is_refused() {
    let agent = Agent::start().await;
    let mut vips = agent.vips().await;
    let hour = Some(prost_types::Duration { seconds: 3600, nanos: 0 });
    let table = [
        ("nodes/a/vips/10.9.9.9", None, "VIP_NOT_FOUND"),
        ("nodes/a/vips/nonsense", None, "NAME_INVALID"),
        ("nodes/b/vips/10.9.0.1", None, "NODE_NOT_FOUND"),
        (WEB, hour, "TIME_OUT_OF_RANGE"),
    ];
    for (name, timeout, word) in table {
        let answer = vips.probe_vip(v1::ProbeVipRequest { name: name.to_owned(), timeout }).await;
        assert_eq!(reason(&answer.unwrap_err()), word, "{name}");
    }
}

#[tokio::test]
async fn only_an_active_router_announces_again_and_it_is_told_who_wanted_it() {
    let agent = Agent::start().await;
    let mut vips = agent.vips().await;
    let request = |address: &str| v1::AnnounceVipRequest {
        name: format!("nodes/a/vips/{address}"),
        reason: "a switch was replaced".to_owned(),
        request_id: "7".to_owned(),
        validate_only: false,
    };
    // web listens for its Active_Down_Interval yet; the owner is Active at once.
    let refused = vips.announce_vip(request("10.9.0.1")).await.unwrap_err();
    assert_eq!(reason(&refused), "VIP_NOT_HELD");
    assert!(refused.message().contains("web is BACKUP on this node"), "{}", refused.message());
    vips.announce_vip(request("10.9.0.2")).await.unwrap();
    let types = vec!["instance.*".to_owned()];
    let filter = v1::EventFilter { request_id: "7".to_owned(), types, ..Default::default() };
    let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
    let mut events = agent.events().await;
    let events = loop {
        let events = events.list_events(request.clone()).await.unwrap().into_inner().events;
        if !events.is_empty() {
            break events;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&*events[0].r#type, events[0].cause()), ("instance.reannounced", v1::Cause::AdminAnnounce));
    assert!(events[0].message.ends_with("announced again: a switch was replaced"), "{}", events[0].message);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_have_few_places_and_nobody_but_root_more_than_half_of_them() {
    const PROBES: usize = 12;
    let agent = Agent::start().await;
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (holds, is_held) = tokio::sync::oneshot::channel();
    let driver = Arc::clone(&agent.driver);
    let wire = tokio::task::spawn_blocking(move || {
        // Nobody answers on the wire until this is dropped.
        let _held = driver.answering.lock().unwrap();
        holds.send(()).unwrap();
        let _ = released.recv();
    });
    is_held.await.unwrap();
    let mut probes = futures::stream::FuturesUnordered::new();
    for _ in 0..PROBES {
        let mut client = agent.vips().await;
        let request = v1::ProbeVipRequest { name: "nodes/a/vips/10.9.0.2".to_owned(), timeout: None };
        probes.push(tokio::spawn(async move { client.probe_vip(request).await.map(drop) }));
    }
    let places = if nix::unistd::geteuid().is_root() { 9 } else { 4 };
    for _ in 0..PROBES - places {
        let refused = probes.next().await.unwrap().unwrap().unwrap_err();
        assert_eq!(reason(&refused), "TOO_MANY_PROBES");
    }
    drop(release);
    wire.await.unwrap();
    let answered = probes.map(|probe| probe.unwrap()).collect::<Vec<_>>().await;
    assert!(answered.len() == places && answered.iter().all(Result::is_ok), "{answered:?}");
}
