//! Checks on the control plane: what is shown, attempts on demand, mutes.

use std::net::TcpListener;
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::watch_events_response::Payload;
use tonic::Code;

use super::agent::{Agent, Setup, config};
use super::reason;

/// An agent with two checks of a listener of this test, one of a port where nothing listens, and an expression. The first
/// is tracked by the instance `web`, through the expression.
async fn agent(listener: &TcpListener) -> Agent {
    let port = listener.local_addr().unwrap().port();
    let tcp = |name: &str, port: u16, keys: &str| {
        format!(
            "[[check]]\nname = '{name}'\nkind = 'tcp'\nhost = '127.0.0.1'\nport = {port}\ninterval = '50ms'\n\
             jitter = '0%'\nfall = 1\n{keys}\n"
        )
    };
    let mut web = config("web", 1, 100);
    let effect = ha_engine::TrackEffect::Weight { weight: -20, reverse: false };
    web.tracks = [ha_engine::Track { fact: "checks/all".into(), effect }].into();
    let checks = tcp("http", port, "rise = 4")
        + &tcp("other", port, "")
        + &tcp("closed", 1, "")
        + "[[check]]\nname = 'all'\nkind = 'expr'\nall_of = ['http', 'other']\n";
    Agent::start_with(Setup { instances: vec![web], checks, ..Setup::default() }).await
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

async fn get(agent: &Agent, check: &str) -> v1::Check {
    let request = v1::GetCheckRequest { name: format!("nodes/self/checks/{check}") };
    agent.checks().await.get_check(request).await.unwrap().into_inner().check.unwrap()
}

/// The check as soon as its verdict is that.
async fn until(agent: &Agent, check: &str, verdict: v1::Verdict) -> v1::Check {
    for _ in 0..1000 {
        let now = get(agent, check).await;
        if now.verdict() == verdict {
            return now;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{check} is never {verdict:?}");
}

#[tokio::test]
async fn a_check_says_what_it_looks_at_what_it_found_and_what_depends_on_it() {
    let listener = listener();
    let agent = agent(&listener).await;
    let check = until(&agent, "http", v1::Verdict::Passing).await;
    assert_eq!((check.name.as_str(), check.kind.as_str()), ("nodes/a/checks/http", "tcp"));
    assert_eq!(check.target, listener.local_addr().unwrap().to_string());
    assert_eq!((check.last_result.as_str(), check.rise, check.fall), ("PASSED", 4, 1));
    assert!(check.last_evidence.starts_with("connected to 127.0.0.1"), "{}", check.last_evidence);
    assert!(check.last_run_time.is_some() && check.last_run_duration.is_some());
    assert_eq!(check.interval.unwrap().nanos, 50_000_000);
    assert_eq!(check.affected_instances, ["nodes/a/instances/web"]);
    assert!(check.pass_count >= 1 && check.failure_count == 0 && check.change_count == 1);
    let closed = until(&agent, "closed", v1::Verdict::Failing).await;
    assert_eq!((closed.last_result.as_str(), closed.affected_instances.len()), ("REFUSED", 0));
    let all = until(&agent, "all", v1::Verdict::Passing).await;
    assert_eq!(all.members, ["nodes/a/checks/http", "nodes/a/checks/other"]);
    assert_eq!((all.interval, all.next_run_time), (None, None));
}

#[tokio::test]
async fn a_listing_has_pages_and_shows_those_that_fail_alone_when_asked() {
    let listener = listener();
    let agent = agent(&listener).await;
    for check in ["http", "other", "all"] {
        until(&agent, check, v1::Verdict::Passing).await;
    }
    let mut client = agent.checks().await;
    let mut names = Vec::new();
    let mut request = v1::ListChecksRequest { page_size: 3, ..Default::default() };
    loop {
        let page = client.list_checks(request.clone()).await.unwrap().into_inner();
        names.extend(page.checks.into_iter().map(|check| check.name));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(names, ["all", "closed", "http", "other"].map(|name| format!("nodes/a/checks/{name}")));
    let failing = v1::ListChecksRequest { failing: true, ..Default::default() };
    let failing = client.list_checks(failing).await.unwrap().into_inner();
    assert_eq!(
        failing.checks.iter().map(|check| &*check.name).collect::<Vec<_>>(),
        ["nodes/a/checks/closed"]
    );
    assert!(failing.resume_token.starts_with("a/"));
}

#[tokio::test]
async fn an_attempt_on_demand_is_made_once_for_an_id_and_told_step_by_step() {
    let listener = listener();
    let agent = agent(&listener).await;
    let mut client = agent.checks().await;
    let request = |name: &str, id: &str| v1::RunCheckRequest {
        name: format!("nodes/a/checks/{name}"),
        request_id: id.to_owned(),
    };
    let first = client.run_check(request("closed", "r1")).await.unwrap().into_inner();
    let attempt = first.attempt.clone().unwrap();
    assert_eq!((attempt.result.as_str(), attempt.steps.len()), ("REFUSED", 1));
    assert_eq!(attempt.steps[0].name, "connect");
    assert_eq!(first.check.as_ref().unwrap().verdict(), v1::Verdict::Failing);
    let again = client.run_check(request("closed", "r1")).await.unwrap().into_inner();
    assert_eq!(first, again);
    let table = [
        ("none", Code::NotFound, "CHECK_NOT_FOUND"),
        ("all", Code::FailedPrecondition, "CHECK_NOT_RUNNABLE"),
    ];
    for (name, code, word) in table {
        let refused = client.run_check(request(name, "")).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (code, word));
    }
}

#[tokio::test]
async fn a_mute_is_signed_by_its_author_ends_by_itself_and_is_an_event() {
    let listener = listener();
    let agent = agent(&listener).await;
    until(&agent, "http", v1::Verdict::Passing).await;
    let mut client = agent.checks().await;
    let mute = v1::MuteCheckRequest {
        name: "nodes/a/checks/http".to_owned(),
        reason: "new kernel".to_owned(),
        ttl: Some(prost_types::Duration { seconds: 3600, nanos: 0 }),
        request_id: "m1".to_owned(),
        validate_only: true,
        survive_restart: false,
    };
    let would = client.mute_check(mute.clone()).await.unwrap().into_inner().check.unwrap();
    assert_eq!(would.mute.unwrap().reason, "new kernel");
    assert_eq!(get(&agent, "http").await.mute, None);
    let mute = v1::MuteCheckRequest { validate_only: false, ..mute };
    let answer = client.mute_check(mute.clone()).await.unwrap().into_inner();
    assert_eq!(answer, client.mute_check(mute).await.unwrap().into_inner(), "once");
    let muted = get(&agent, "http").await.mute.unwrap();
    let lasts = muted.expire_time.unwrap().seconds - muted.create_time.unwrap().seconds;
    assert!((3599..=3601).contains(&lasts), "{lasts}");
    assert_eq!(muted.actor.unwrap().request_id, "m1");
    drop(listener);
    for _ in 0..1000 {
        if get(&agent, "http").await.measured_verdict() == v1::Verdict::Failing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let frozen = get(&agent, "http").await;
    assert_eq!((frozen.verdict(), frozen.measured_verdict()), (v1::Verdict::Passing, v1::Verdict::Failing));
    let unmute = v1::UnmuteCheckRequest { name: "nodes/a/checks/http".to_owned(), ..Default::default() };
    let unmuted = client.unmute_check(unmute).await.unwrap().into_inner().check.unwrap();
    assert_eq!((unmuted.mute, unmuted.verdict), (None, v1::Verdict::Failing.into()));
    let types = vec!["check.*".to_owned()];
    let filter = v1::EventFilter { request_id: "m1".to_owned(), types, ..Default::default() };
    let request = v1::ListEventsRequest { filter: Some(filter), ..Default::default() };
    let events = agent.events().await.list_events(request).await.unwrap().into_inner().events;
    let told: Vec<_> = events.iter().map(|event| (event.r#type.as_str(), event.subject.as_str())).collect();
    assert_eq!(told, [("check.muted", "nodes/a/checks/http")]);
}

#[tokio::test]
async fn a_stream_shows_checks_and_tells_their_events_by_subject() {
    let listener = listener();
    let agent = agent(&listener).await;
    until(&agent, "all", v1::Verdict::Passing).await;
    let filter = v1::EventFilter { subjects: vec!["nodes/self/checks/-".to_owned()], ..Default::default() };
    let request =
        v1::WatchEventsRequest { filter: Some(filter), include_snapshot: true, ..Default::default() };
    let mut stream = agent.events().await.watch_events(request).await.unwrap().into_inner();
    let mut shown = Vec::new();
    loop {
        let message = tokio::time::timeout(Duration::from_secs(10), stream.message()).await;
        match message.unwrap().unwrap().unwrap().payload.unwrap() {
            Payload::SnapshotEntry(entry) => match entry.resource.unwrap() {
                v1::snapshot_entry::Resource::Check(check) => shown.push(check.name),
                other => panic!("unexpected {other:?}"),
            },
            // From now on nothing listens.
            Payload::SnapshotEnd(_) => shutdown(&listener),
            Payload::EventBatch(batch) => {
                let fell = batch.events.iter().find(|event| event.subject == "nodes/a/checks/all");
                if let Some(event) = fell {
                    assert_eq!(
                        (event.r#type.as_str(), event.cause()),
                        ("check.changed", v1::Cause::CheckChanged)
                    );
                    break;
                }
            }
            Payload::Opened(_) | Payload::Heartbeat(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(shown, ["all", "closed", "http", "other"].map(|name| format!("nodes/a/checks/{name}")));
}

/// Makes a listener refuse, although it stays open.
fn shutdown(listener: &TcpListener) {
    use std::os::fd::AsRawFd;
    nix::sys::socket::shutdown(listener.as_raw_fd(), nix::sys::socket::Shutdown::Both).unwrap();
}
