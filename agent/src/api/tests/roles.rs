//! Every method of the contract, called by every kind of caller over real connections: what comes out is the table in `ROLES.md`.
//! To write it anew: `HA_WRITE_ROLES=1 cargo nextest run -p ha-agent roles`. To see it: the same with `--no-capture`.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use prost_types::{FileDescriptorSet, MethodDescriptorProto};
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use super::agent::Setup;
use super::limits::Raw;
use super::reason;
use super::secure::Secured;
use super::secure::authority::{Authority, Credentials, Holder};
use crate::api::roles::is_stream;
use crate::api::{Principals, Roles};

/// The reviewed table.
const DOCUMENTED: &str = include_str!("../../../ROLES.md");

/// A method that no table knows.
const UNKNOWN: &str = "/ha.agent.v1.NodeService/AnyOther";

/// Users and their only groups, who own nothing here.
const USERS: [(&str, u32); 5] =
    [("other", 61_300), ("reader", 61_301), ("operator", 61_302), ("admin", 61_303), ("root", 0)];

/// Of the socket, so that all of them get a connection.
const GROUP: u32 = 61_399;

/// Set in a process that [`ask_as`] starts.
const SOCKET: &str = "HA_AGENT_TEST_ROLES_OF";

/// What a caller gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answer {
    /// The service's own answer, whatever it is.
    Served,
    /// It is missing the role.
    Denied,
    /// It gets no connection.
    Out,
}

impl Answer {
    const fn word(self) -> &'static str {
        match self {
            Self::Served => "yes",
            Self::Denied => "no",
            Self::Out => "out",
        }
    }
}

/// Every method that is served, as the descriptors have it, and whether it answers with a stream.
fn served() -> Vec<(String, bool)> {
    let descriptors = [
        ha_proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let mut methods = Vec::new();
    for set in descriptors {
        for file in FileDescriptorSet::decode(set).unwrap().file {
            for service in &file.service {
                let path = format!("/{}.{}", file.package(), service.name());
                let method = |method: &MethodDescriptorProto| {
                    (format!("{path}/{}", method.name()), method.server_streaming())
                };
                methods.extend(service.method.iter().map(method));
            }
        }
    }
    methods
}

/// The same, and one that is not served.
fn methods() -> Vec<String> {
    let served = served().into_iter().map(|(method, _)| method);
    let mut methods: Vec<String> = served.chain([UNKNOWN.to_owned()]).collect();
    methods.sort();
    methods
}

#[test]
fn which_answers_are_streams_is_as_the_descriptors_have_it() {
    for (method, streams) in served() {
        assert_eq!(is_stream(&method), streams, "{method}");
    }
}

/// Calls a method with an empty message, and waits for what comes first.
async fn ask(channel: &Channel, method: &str) -> Answer {
    let mut client = Grpc::new(channel.clone());
    if client.ready().await.is_err() {
        return Answer::Out;
    }
    let path = method.parse().unwrap();
    let request = Request::new(futures::stream::iter([Vec::new()]));
    let first = async {
        let mut stream = client.streaming(request, path, Raw).await?.into_inner();
        stream.message().await
    };
    match tokio::time::timeout(Duration::from_secs(10), first).await {
        Ok(Err(status)) => answer_of(&status),
        // A stream that is open has been served.
        Ok(Ok(_)) | Err(_) => Answer::Served,
    }
}

fn answer_of(status: &Status) -> Answer {
    if std::error::Error::source(status).is_some() {
        // Nobody answered: the transport says so.
        return Answer::Out;
    }
    if status.get_details_error_info().is_none() {
        // The reflection service has words of its own.
        return Answer::Served;
    }
    match (status.code(), reason(status).as_str()) {
        (Code::PermissionDenied, "ROLE_MISSING") => Answer::Denied,
        _ => Answer::Served,
    }
}

/// A caller's column.
struct Column {
    name: String,
    answers: Vec<Answer>,
}

async fn with_certificate(secured: &Secured, name: &str, credentials: Option<&Credentials>) -> Column {
    let mut answers = Vec::new();
    let mut channel = None;
    for method in methods() {
        if channel.is_none() {
            channel = secured.connect(credentials).await;
        }
        let answer = match &channel {
            Some(channel) => ask(channel, &method).await,
            None => Answer::Out,
        };
        if answer == Answer::Out {
            channel = None;
        }
        answers.push(answer);
    }
    Column { name: name.to_owned(), answers }
}

/// All kinds of certificates, and none.
async fn certificates(secured: &Secured) -> Vec<Column> {
    let admin = || Holder::default().role("admin");
    let credentials = [
        ("none", None),
        ("foreign", Some(Authority::new().issue(admin()))),
        ("expired", Some(secured.issue(admin().expired()))),
        ("early", Some(secured.issue(admin().not_yet_valid()))),
        ("no role", Some(secured.issue(Holder::default()))),
        ("reader", Some(secured.issue(Holder::default().role("reader")))),
        ("operator", Some(secured.issue(Holder::default().role("operator")))),
        ("admin", Some(secured.issue(admin()))),
        ("node", Some(secured.issue(Holder::default().node("b")))),
    ];
    let mut columns = Vec::new();
    for (name, credentials) in &credentials {
        columns.push(with_certificate(secured, name, credentials.as_ref()).await);
    }
    columns
}

/// What a process of this user is answered.
fn ask_as(secured: &Secured, name: &str, user: u32) -> Column {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "api::tests::roles::a_caller_says_what_it_is_answered", "--nocapture"]);
    command.env(SOCKET, &secured.agent.socket).current_dir("/").uid(user).gid(GROUP);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let answers = text.lines().filter_map(|line| {
        let word = line.strip_prefix("answered ")?;
        [Answer::Served, Answer::Denied, Answer::Out].into_iter().find(|answer| answer.word() == word)
    });
    Column { name: format!("uid: {name}"), answers: answers.collect() }
}

/// The other half of the test below, in a process of its own; by itself it calls nobody.
#[tokio::test]
async fn a_caller_says_what_it_is_answered() {
    let Ok(socket) = std::env::var(SOCKET) else { return };
    let channel = Endpoint::from_shared(format!("unix://{socket}")).unwrap().connect().await.unwrap();
    for method in methods() {
        println!("\nanswered {}", ask(&channel, &method).await.word());
    }
}

fn table(columns: &[Column]) -> String {
    let mut text = String::from("| method |");
    columns.iter().for_each(|column| write!(text, " {} |", column.name).unwrap());
    text.push_str("\n|---|");
    columns.iter().for_each(|_| text.push_str("---|"));
    for (row, method) in methods().iter().enumerate() {
        let shown = method.trim_start_matches("/ha.agent.v1.").trim_start_matches('/');
        write!(text, "\n| `{shown}` |").unwrap();
        columns.iter().for_each(|column| write!(text, " {} |", column.answers[row].word()).unwrap());
    }
    text.push('\n');
    text
}

/// The roles that the users have.
fn roles() -> Arc<Roles> {
    let only = |wanted: &str| {
        let (_, user) = USERS.into_iter().find(|(name, _)| *name == wanted).unwrap();
        Principals { users: [user].into(), ..Principals::default() }
    };
    Arc::new(Roles { readers: only("reader"), operators: only("operator"), admins: only("admin") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_method_answers_every_kind_of_caller_as_documented() {
    let is_root = nix::unistd::geteuid().is_root();
    let setup = Setup { group: is_root.then_some(GROUP), ..Setup::default() };
    let secured = Secured::start_as(setup).await;
    secured.agent.roles.send_replace(roles());
    let mut columns = certificates(&secured).await;
    if is_root {
        let users = USERS.map(|(name, user)| tokio::task::block_in_place(|| ask_as(&secured, name, user)));
        columns.extend(users);
    }
    assert!(
        columns.iter().all(|column| column.answers.len() == methods().len()),
        "everybody called everything"
    );
    let table = table(&columns);
    println!("{table}");
    let (head, documented) = DOCUMENTED.split_at(DOCUMENTED.find("| method |").unwrap());
    if std::env::var_os("HA_WRITE_ROLES").is_some() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/ROLES.md");
        std::fs::write(file, format!("{head}{table}")).unwrap();
        return;
    }
    // Who is no superuser can only be itself: the columns of the certificates are compared.
    let cut = |text: &str| -> Vec<String> {
        let cells = |line: &str| line.split('|').take(columns.len() + 2).collect::<Vec<_>>().join("|");
        text.lines().map(cells).collect()
    };
    assert_eq!(cut(documented), cut(&table), "agent/ROLES.md is not how it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_presented_from_the_next_connection_on_and_open_watches_go_on() {
    use ha_proto::v1;
    use ha_proto::v1::event_service_client::EventServiceClient;
    use ha_proto::v1::watch_events_response::Payload;

    let secured = Secured::start_as(Setup { instances: Vec::new(), ..Setup::default() }).await;
    let reader = secured.issue(Holder::default().role("reader"));
    let channel = secured.connect(Some(&reader)).await.unwrap();
    let request = v1::WatchEventsRequest::default();
    let mut watch = EventServiceClient::new(channel).watch_events(request).await.unwrap().into_inner();
    assert!(matches!(watch.message().await.unwrap().unwrap().payload, Some(Payload::Opened(_))));
    let mut presented = vec![secured.presented(&reader).await];
    for rotation in 1..=5 {
        secured.authority.write_pair(&secured.directory.0, &secured.issue(Holder::default().node("a")));
        assert!(secured.tcp.certificates.refresh().unwrap());
        let now = secured.presented(&reader).await;
        assert!(!presented.contains(&now), "rotation {rotation}: an old certificate is presented");
        presented.push(now);
        let told = secured.agent.journal.append_lost(1);
        let message = tokio::time::timeout(Duration::from_secs(10), watch.message()).await.unwrap();
        let Some(Payload::EventBatch(batch)) = message.unwrap().unwrap().payload else { panic!("no event") };
        let sequences: Vec<i64> = batch.events.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, [i64::try_from(told).unwrap()]);
    }
}
