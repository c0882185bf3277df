//! Agents that are each other's peers: what they know of each other, who may say what, and what silence means.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use ha_config::{ClusterPeer, PeerEndpoint};
use ha_engine::{Actor, Cause, InstanceConfig, StateName, VirtualAddress};
use ha_proto::v1;
use ha_proto::v1::peer_service_client::PeerServiceClient;
use ha_proto::v1::peer_service_server::{PeerService, PeerServiceServer};
use ha_proto::v1::watch_reports_response::Payload;
use tokio::net::UnixListener;
use tokio::time::timeout;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, async_trait};

use super::agent::{Agent, Directory, Setup, config};
use super::reason;
use crate::peers::{
    Announced, Contact, HEARTBEAT, Incoming, Quiet, Refusal, Released, RouterKey, TakeOverRequest, View,
};

/// What is waited for comes within milliseconds, unless the machine is busy.
const SOON: Duration = Duration::from_secs(20);

fn peer(name: &str, directory: &Directory) -> ClusterPeer {
    ClusterPeer { name: name.to_owned(), endpoint: PeerEndpoint::Unix(directory.socket()) }
}

fn setup(node: &'static str, directory: Directory, peers: Vec<ClusterPeer>) -> Setup {
    Setup { node, peers, directory: Some(directory), ..Setup::default() }
}

/// Agents a and b, each the other's peer.
async fn pair() -> (Agent, Agent) {
    let (first, second) = (Directory::new(), Directory::new());
    let (to_first, to_second) = (peer("a", &first), peer("b", &second));
    let a = Agent::start_with(setup("a", first, vec![to_second])).await;
    let b = Agent::start_with(setup("b", second, vec![to_first])).await;
    (a, b)
}

async fn until(agent: &Agent, what: &str, holds: impl Fn(&View) -> bool) -> Arc<View> {
    let mut changes = agent.peers.changes();
    let found = timeout(SOON, changes.wait_for(|view| holds(view))).await;
    found.unwrap_or_else(|_| panic!("{what}: {:#?}", agent.peers.view())).unwrap().clone()
}

fn is_reachable(view: &View, name: &str) -> bool {
    view.peers[name].contact == Contact::Reachable
}

fn state_of(view: &View, node: &str, router: &str) -> Option<StateName> {
    Some(view.peers[node].report.as_ref()?.routers.get(router)?.state)
}

fn request(limit: Duration) -> TakeOverRequest {
    TakeOverRequest {
        router: RouterKey::of(&config("web", 1, 100)),
        holder: [10, 9, 9, 9].into(),
        limit,
        cause: Cause::AdminDrain,
        actor: Arc::new(Actor {
            principal: "alice".to_owned(),
            request_id: "r-1".to_owned(),
            ..Actor::default()
        }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_tell_each_other_every_router_and_what_changes() {
    let (a, b) = pair().await;
    let view = until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    let report = view.peers["b"].report.as_ref().unwrap();
    assert_eq!(report.routers.keys().map(|name| &**name).collect::<Vec<_>>(), ["owner", "web"]);
    let web = &report.routers["web"];
    assert_eq!((web.source, web.priority.get()), (Some([10, 9, 9, 9].into()), 100));
    assert_eq!(&*report.config_digest, "abc");
    until(&a, "b's web becomes Active", |view| state_of(view, "b", "web") == Some(StateName::Active)).await;
    until(&b, "and a's", |view| is_reachable(view, "a")).await;
    let change = v1::OverridePriorityRequest {
        name: "nodes/b/instances/web".to_owned(),
        priority: 77,
        ..Default::default()
    };
    b.instances().await.override_priority(change).await.unwrap();
    let priority =
        |view: &View| view.peers["b"].report.as_ref().map(|report| report.routers["web"].priority.get());
    until(&a, "the new priority arrives", |view| priority(view) == Some(77)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_ends_is_silent_keeps_its_last_word_and_comes_back() {
    let (first, second) = (Directory::new(), Directory::new());
    let (to_first, to_second) = (peer("a", &first), peer("b", &second));
    let second_path = second.0.clone();
    let a = Agent::start_with(setup("a", first, vec![to_second])).await;
    let b = Agent::start_with(setup("b", second, vec![to_first.clone()])).await;
    until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    b.shutdown.cancel();
    let view = until(&a, "b is silent", |view| matches!(view.peers["b"].contact, Contact::Silent(_))).await;
    assert!(view.peers["b"].report.is_some());
    assert_eq!(
        view.routers(&RouterKey::of(&config("web", 1, 100))).count(),
        0,
        "a silent peer counts no more"
    );
    drop(b);
    std::fs::create_dir_all(&second_path).unwrap();
    let _b = Agent::start_with(setup("b", Directory(second_path), vec![to_first])).await;
    until(&a, "b is back", |view| is_reachable(view, "b")).await;
    let types = a.journal_types("peer.");
    assert_eq!(types, ["peer.reachable", "peer.silent", "peer.reachable"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_whose_vrrp_thread_hangs_is_silent_although_it_answers() {
    let (a, b) = pair().await;
    until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    b.driver.silent.store(true, std::sync::atomic::Ordering::Relaxed);
    let view = until(&a, "b is silent", |view| !is_reachable(view, "b")).await;
    let Contact::Silent(why) = &view.peers["b"].contact else { panic!("{view:?}") };
    assert!(why.text.contains("nothing was heard for 3s"), "{why}");
    assert_eq!(why.reason, Quiet::NoAnswer);
    b.driver.silent.store(false, std::sync::atomic::Ordering::Relaxed);
    until(&a, "b is back", |view| is_reachable(view, "b")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_that_is_asked_for_reaches_who_acts_and_its_answer_comes_back() {
    let (a, mut b) = pair().await;
    assert!(matches!(a.peers.take_over("nobody", request(SOON)).await, Err(Refusal::Unreachable(_))));
    until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    until(&b, "a is heard", |view| is_reachable(view, "a")).await;
    let announced =
        Announced { held_after: Duration::from_millis(2), announced_after: Duration::from_micros(2500) };
    let answers =
        [Ok(announced), Err(Refusal::Fault), Err(Refusal::VrrpDisagrees), Err(Refusal::UnknownRouter)];
    let acting = tokio::spawn(async move {
        for answer in answers {
            let Some(Incoming::TakeOver(asked)) = b.words.recv().await else { panic!("no request") };
            assert_eq!((&*asked.peer, &asked.request), ("a", &request(Duration::from_secs(2))));
            asked.reply.send(answer).unwrap();
        }
        // Nobody acts on the last one in time.
        let asked = b.words.recv().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        drop(asked);
        b
    });
    for answer in
        [Ok(announced), Err(Refusal::Fault), Err(Refusal::VrrpDisagrees), Err(Refusal::UnknownRouter)]
    {
        assert_eq!(a.peers.take_over("b", request(Duration::from_secs(2))).await, answer);
    }
    assert_eq!(a.peers.take_over("b", request(Duration::from_millis(50))).await, Err(Refusal::Late));
    let mut b = acting.await.unwrap();
    b.words.close();
    assert_eq!(a.peers.take_over("b", request(Duration::from_secs(2))).await, Err(Refusal::Busy));
}

/// A peer of an earlier version, which tells nothing new and does not know `Echo`. Its streams end after two heartbeats.
struct Older {
    refusal: Code,
    asked: Arc<AtomicU64>,
}

#[async_trait]
impl PeerService for Older {
    type WatchReportsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchReportsResponse, Status>> + Send>>;

    async fn watch_reports(
        &self,
        _: Request<v1::WatchReportsRequest>,
    ) -> Result<Response<Self::WatchReportsStream>, Status> {
        let opened = Payload::Opened(v1::PeerOpened { node: "b".to_owned(), ..Default::default() });
        let report = Payload::Report(v1::PeerReport { complete: true, ..Default::default() });
        let heartbeats = futures::stream::unfold((), |()| async {
            tokio::time::sleep(HEARTBEAT).await;
            Some((Payload::Heartbeat(v1::PeerHeartbeat {}), ()))
        });
        let payloads = futures::stream::iter([opened, report]).chain(heartbeats.take(2));
        let message = |payload| Ok(v1::WatchReportsResponse { payload: Some(payload), sent_at: None });
        Ok(Response::new(Box::pin(payloads.map(message))))
    }

    async fn take_over(
        &self,
        _: Request<v1::TakeOverRequest>,
    ) -> Result<Response<v1::TakeOverResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn echo(&self, _: Request<v1::EchoRequest>) -> Result<Response<v1::EchoResponse>, Status> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Err(Status::new(self.refusal, ""))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_know_the_question_is_asked_once_on_each_connection() {
    for (refusal, once) in
        [(Code::Unimplemented, true), (Code::PermissionDenied, true), (Code::Unavailable, false)]
    {
        let (first, second) = (Directory::new(), Directory::new());
        std::fs::create_dir_all(second.socket().parent().unwrap()).unwrap();
        let listener = UnixListener::bind(second.socket()).unwrap();
        let incoming = futures::stream::unfold(listener, |listener| async {
            Some((listener.accept().await.map(|(stream, _)| stream), listener))
        });
        let asked = Arc::new(AtomicU64::new(0));
        let older = PeerServiceServer::new(Older { refusal, asked: Arc::clone(&asked) });
        tokio::spawn(Server::builder().add_service(older).serve_with_incoming(incoming));
        let often =
            Setup { measure_every: Duration::from_millis(20), ..setup("a", first, vec![peer("b", &second)]) };
        let a = Agent::start_with(often).await;
        for connections in 1..=2 {
            until(&a, "b is heard", |view| is_reachable(view, "b")).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let asked = asked.load(Ordering::Relaxed);
            assert!(if once { asked == connections } else { asked > connections }, "{refusal:?}: {asked}");
            assert_eq!(a.peers.view().peers["b"].round_trip, None);
            until(&a, "b is silent", |view| !is_reachable(view, "b")).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_told_to_all_at_once() {
    let (a, mut b) = pair().await;
    until(&b, "a is heard", |view| is_reachable(view, "a")).await;
    let released = |number| Released {
        router: RouterKey::of(&config("web", number, 100)),
        holder: [10, 9, 9, 9].into(),
        successor: Some("b".into()),
        cause: Cause::CheckChanged,
    };
    let all: Vec<Released> = (1..=255).chain(1..=255).map(released).collect();
    a.peers.released(&all);
    let mut heard = Vec::new();
    while heard.len() < all.len() {
        let word = timeout(SOON, b.words.recv()).await.unwrap();
        let Some(Incoming::Released(release)) = word else { panic!("{word:?}") };
        assert_eq!(&*release.peer, "a");
        heard.extend(release.routers);
    }
    assert_eq!(heard, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_peer_is_refused_and_told_what_to_configure() {
    let (_a, b) = pair().await;
    let mut client = PeerServiceClient::new(b.channel().await);
    let status = client.watch_reports(v1::WatchReportsRequest { node: "c".to_owned() }).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::PermissionDenied, "PEER_UNKNOWN"));
    assert!(status.message().contains("[[peer]] name = c"), "{}", status.message());
    let broken = v1::TakeOverRequest { node: "a".to_owned(), ..Default::default() };
    let status = client.take_over(broken).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_MALFORMED"));
    let router = v1::RouterKey {
        virtual_router_id: 51,
        family: v1::instance::Family::Ipv4.into(),
        addresses: vec!["10.9.9.100".to_owned()],
    };
    let of_unknown_age = v1::TakeOverRequest {
        node: "a".to_owned(),
        router: Some(router),
        holder_address: "10.9.9.1".to_owned(),
        time_limit: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
        ..Default::default()
    };
    let status = client.take_over(of_unknown_age).await.unwrap_err();
    assert_eq!(reason(&status), "TAKE_OVER_LATE");
}

/// As many virtual routers with as many addresses as a peer takes: more than a mebibyte of words.
fn large() -> Vec<InstanceConfig> {
    let addresses = (1..=255).map(|host| VirtualAddress::new([192, 168, 100, host].into(), 32));
    let addresses: Arc<[VirtualAddress]> = addresses.collect();
    let router = |number: u16| InstanceConfig {
        name: format!("a-virtual-router-{number:03}").into(),
        interface: format!("eth{}", number / 128).into(),
        addresses: Arc::clone(&addresses),
        startup_delay: Duration::from_secs(3600),
        ..config("", u8::try_from(number % 128 + 1).unwrap(), 100)
    };
    (0..256).map(router).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_of_more_than_one_message_takes_arrives_whole() {
    let (first, second) = (Directory::new(), Directory::new());
    let (to_first, to_second) = (peer("a", &first), peer("b", &second));
    let a = Agent::start_with(Setup { instances: large(), ..setup("a", first, vec![to_second]) }).await;
    let b = Agent::start_with(setup("b", second, vec![to_first])).await;
    let routers = |view: &View| view.peers["a"].report.as_ref().map_or(0, |report| report.routers.len());
    until(&b, "all of a is known", |view| routers(view) == 256).await;
    let addresses = b.peers.view().peers["a"]
        .report
        .as_ref()
        .unwrap()
        .routers
        .values()
        .map(|one| one.key.addresses.len())
        .sum::<usize>();
    assert_eq!(addresses, 256 * 255);
    let all = large();
    let released: Vec<Released> = all
        .iter()
        .map(|config| Released {
            router: RouterKey::of(config),
            holder: [10, 9, 9, 9].into(),
            successor: None,
            cause: Cause::CheckChanged,
        })
        .collect();
    let mut b = b;
    a.peers.released(&released);
    let mut heard = 0;
    while heard < released.len() {
        match timeout(SOON, b.words.recv()).await.expect("in time").unwrap() {
            Incoming::Released(word) => heard += word.routers.len(),
            Incoming::TakeOver(_) => panic!("nobody asked"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_of_a_peer_ends_the_first_and_says_so() {
    let nowhere = Directory::new();
    let agent = Agent::start_with(setup("a", Directory::new(), vec![peer("b", &nowhere)])).await;
    let mut client = PeerServiceClient::new(agent.channel().await);
    let question = v1::WatchReportsRequest { node: "b".to_owned() };
    let mut first = client.watch_reports(question.clone()).await.unwrap().into_inner();
    let _second = client.watch_reports(question).await.unwrap();
    let end = async {
        loop {
            if let Err(status) = first.message().await {
                return status;
            }
        }
    };
    let status = timeout(SOON, end).await.expect("the first ends");
    assert_eq!((status.code(), reason(&status).as_str()), (Code::Unavailable, "STREAM_REPLACED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_to_a_node_that_is_no_peer_is_refused_by_its_name() {
    let nowhere = Directory::new();
    let agent = Agent::start_with(setup("a", Directory::new(), vec![peer("b", &nowhere)])).await;
    for (successor, code, expected) in [
        ("nodes/c", Code::NotFound, "NODE_NOT_FOUND"),
        ("nodes/a", Code::NotFound, "NODE_NOT_FOUND"),
        ("c", Code::InvalidArgument, "NAME_INVALID"),
        ("nodes/b", Code::FailedPrecondition, "NO_SUCCESSOR"),
    ] {
        let request = v1::TransferInstanceRequest {
            name: "nodes/a/instances/owner".to_owned(),
            successor: successor.to_owned(),
            ..Default::default()
        };
        let status = agent.instances().await.transfer_instance(request).await.unwrap_err();
        assert_eq!((status.code(), reason(&status).as_str()), (code, expected), "{successor}: {status:?}");
        if expected == "NODE_NOT_FOUND" {
            assert!(status.message().contains("one of its peers (b)"), "{}", status.message());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_answers_under_another_name_is_not_believed() {
    let (first, second) = (Directory::new(), Directory::new());
    let (wrong, to_first) = (peer("c", &second), peer("a", &first));
    let a = Agent::start_with(setup("a", first, vec![wrong])).await;
    let _b = Agent::start_with(setup("b", second, vec![to_first])).await;
    let view = until(&a, "c is silent", |view| matches!(view.peers["c"].contact, Contact::Silent(_))).await;
    let Contact::Silent(why) = &view.peers["c"].contact else { panic!("{view:?}") };
    assert!(why.text.contains("node b answers there"), "{why}");
    assert_eq!(why.reason, Quiet::OtherNode);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_does_not_know_us_refuses_and_the_view_says_so_in_a_word() {
    let (first, second) = (Directory::new(), Directory::new());
    let to_second = peer("b", &second);
    let a = Agent::start_with(setup("a", first, vec![to_second])).await;
    let _b = Agent::start_with(setup("b", second, Vec::new())).await;
    until(
        &a,
        "b refuses",
        |view| matches!(&view.peers["b"].contact, Contact::Silent(why) if why.reason == Quiet::Refused),
    )
    .await;
    let view = a.nodes().await.get_cluster_view(v1::GetClusterViewRequest::default()).await.unwrap();
    let view = view.into_inner().view.unwrap();
    let b = view.nodes.iter().find(|node| node.name == "nodes/b").unwrap();
    assert_eq!(b.reason, "REFUSED");
    assert!(b.detail.contains("add [[peer]] name = a"), "{}", b.detail);
    assert_eq!(b.hear_time, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_follow_the_configuration() {
    let (a, b) = pair().await;
    until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    a.peers.reconfigure([].into());
    until(&a, "nobody is known", |view| view.peers.is_empty()).await;
    let endpoint = PeerEndpoint::Unix(b.socket.clone());
    a.peers.reconfigure([ClusterPeer { name: "b".to_owned(), endpoint }].into());
    until(&a, "b is heard again", |view| view.peers.contains_key("b") && is_reachable(view, "b")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_tells_how_it_sees_itself_and_its_peers_page_by_page() {
    use v1::node_view::Contact as Seen;
    let (a, b) = pair().await;
    until(&a, "b is heard and the round trip known", |view| view.peers["b"].round_trip.is_some()).await;
    until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    let mut client = v1::node_service_client::NodeServiceClient::new(a.channel().await);
    let (mut page_token, mut routers, mut pages) = (String::new(), Vec::new(), 0);
    let view = loop {
        let request = v1::GetClusterViewRequest { page_size: 1, page_token };
        let answer = client.get_cluster_view(request).await.unwrap().into_inner();
        let view = answer.view.unwrap();
        let named = |node: &v1::NodeView| {
            let node_name = node.name.clone();
            node.routers.iter().map(move |router| format!("{node_name} {}", router.name)).collect::<Vec<_>>()
        };
        routers.extend(view.nodes.iter().flat_map(named));
        pages += 1;
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            break view;
        }
    };
    let contacts: Vec<(&str, Seen)> =
        view.nodes.iter().map(|node| (node.name.as_str(), node.contact())).collect();
    assert_eq!(contacts, [("nodes/a", Seen::Self_), ("nodes/b", Seen::Reachable)]);
    assert_eq!((view.observer.as_str(), view.complete), ("nodes/a", true));
    assert_eq!(routers.len(), pages, "one router a page: {routers:?}");
    let mut sorted = routers.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(routers, sorted);
    assert!(routers.iter().any(|router| router.starts_with("nodes/a ")), "{routers:?}");
    assert!(routers.iter().any(|router| router.starts_with("nodes/b ")), "{routers:?}");
    assert!(view.nodes[1].round_trip.is_some() && view.nodes[1].hear_time.is_some(), "{view:?}");

    b.shutdown.cancel();
    until(&a, "b is silent", |view| !is_reachable(view, "b")).await;
    let answer = client.get_cluster_view(v1::GetClusterViewRequest::default()).await.unwrap().into_inner();
    let view = answer.view.unwrap();
    let seen = &view.nodes[1];
    assert_eq!((view.complete, seen.contact()), (false, Seen::Silent));
    assert!(!seen.detail.is_empty() && !seen.routers.is_empty(), "what it said last: {seen:?}");
    assert_eq!(seen.round_trip, None);
    let broken = v1::GetClusterViewRequest { page_token: "instances:web".to_owned(), ..Default::default() };
    assert_eq!(reason(&client.get_cluster_view(broken).await.unwrap_err()), "PAGE_TOKEN_INVALID");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_peers_ask_of_each_other_and_tell_is_counted() {
    use crate::peers::{Direction, ReleaseOutcome};
    let (a, mut b) = pair().await;
    until(&a, "b is heard", |view| is_reachable(view, "b")).await;
    until(&b, "a is heard", |view| is_reachable(view, "a")).await;
    let _stranger = a.peers.take_over("nobody", request(SOON)).await;
    let asking = tokio::spawn({
        let peers = a.peers.clone();
        async move { peers.take_over("b", request(Duration::from_secs(2))).await }
    });
    let Some(Incoming::TakeOver(asked)) = b.words.recv().await else { panic!("no request") };
    asked.reply.send(Err(Refusal::Drained)).unwrap();
    assert_eq!(asking.await.unwrap(), Err(Refusal::Drained));
    a.peers.released(&[]);
    let released = Released {
        router: RouterKey::of(&config("web", 1, 100)),
        holder: [10, 9, 9, 9].into(),
        successor: None,
        cause: Cause::CheckChanged,
    };
    a.peers.released(&[released]);
    let Some(Incoming::Released(_)) = b.words.recv().await else { panic!("no release") };
    let drained = |direction| [((direction, "TAKE_OVER_DRAINED"), 1)].into();
    let (of_a, of_b) = (a.peers.counts(), b.peers.counts());
    assert_eq!(of_a.keys().map(|name| &**name).collect::<Vec<_>>(), ["b"], "no stranger is counted");
    assert_eq!(of_a["b"].takeovers, drained(Direction::Transmit));
    assert_eq!(of_b["a"].takeovers, drained(Direction::Receive));
    // It is counted once it is handed on.
    let taken = [(ReleaseOutcome::Taken, 1)].into();
    let counted = async {
        while b.peers.counts()["a"].releases != taken {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(SOON, counted).await.expect("the release is counted");
}
