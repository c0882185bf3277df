//! The control plane over TLS: who gets in, with which role, and what happens when certificates change.

pub(super) mod authority;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::instance_service_client::InstanceServiceClient;
use ha_proto::v1::node_service_client::NodeServiceClient;
use ha_proto::v1::watch_events_response::Payload;
use tonic::Code;
use tonic::transport::Channel;

use self::authority::{Authority, Credentials, Holder};
use super::agent::{Agent, Directory, Setup};
use super::reason;
use crate::api::{Certificates, Limits, Principals, Roles, Tcp, TlsError, TlsFiles};

/// An agent that listens with TLS, and its authority.
pub(super) struct Secured {
    pub(super) agent: Agent,
    pub(super) tcp: Tcp,
    pub(super) authority: Authority,
    pub(super) directory: Directory,
}

impl Secured {
    async fn start() -> Self {
        Self::start_as(Setup::default()).await
    }

    async fn start_with(limits: Limits) -> Self {
        Self::start_as(Setup { limits, ..Setup::default() }).await
    }

    /// An agent that is set up so, but for its listener.
    pub(super) async fn start_as(setup: Setup) -> Self {
        let (authority, directory) = (Authority::new(), Directory::new());
        authority.write_node(&directory.0, Holder::default().node("a"));
        Self::start_with_files(setup, authority, directory, None).await
    }

    async fn start_with_files(
        setup: Setup,
        authority: Authority,
        directory: Directory,
        revoked: Option<PathBuf>,
    ) -> Self {
        let certificates = Certificates::load(TlsFiles { revoked, ..files(&directory) }).unwrap();
        let certificates = Arc::new(certificates);
        let tcp = Tcp { listen: vec![authority::free_port()], certificates };
        let agent = Agent::start_with(Setup { tcp: Some(tcp.clone()), ..setup }).await;
        Self { agent, tcp, authority, directory }
    }

    pub(super) fn issue(&self, holder: Holder) -> Credentials {
        self.authority.issue(holder)
    }

    /// A connection; who gets none may only learn that with its first call.
    pub(super) async fn connect(&self, credentials: Option<&Credentials>) -> Option<Channel> {
        self.authority.connect(self.tcp.listen[0], credentials).await.ok()
    }

    /// The certificate that the agent presents to a new connection.
    pub(super) async fn presented(&self, credentials: &Credentials) -> Vec<u8> {
        self.authority.presented(self.tcp.listen[0], credentials).await
    }

    /// What a holder is answered when it looks, and when it changes something.
    async fn ask(&self, credentials: Option<&Credentials>) -> String {
        let channel = match self.authority.connect(self.tcp.listen[0], credentials).await {
            Ok(channel) => channel,
            Err(_) => return "no connection".to_owned(),
        };
        let looked = NodeServiceClient::new(channel.clone()).get_node(v1::GetNodeRequest::default()).await;
        let change = v1::OverridePriorityRequest {
            name: "nodes/self/instances/web".to_owned(),
            priority: 50,
            ..Default::default()
        };
        let changed = InstanceServiceClient::new(channel).override_priority(change).await;
        format!("look {}; change {}", word(looked.map(drop)), word(changed.map(drop)))
    }
}

fn files(directory: &Directory) -> TlsFiles {
    let file = |name: &str| directory.0.join(name);
    TlsFiles {
        certificate: file("node.crt"),
        key: file("node.key"),
        client_ca: file("ca.crt"),
        revoked: None,
    }
}

fn word(outcome: Result<(), tonic::Status>) -> String {
    match outcome {
        Ok(()) => "ok".to_owned(),
        Err(status) if status.code() == Code::PermissionDenied => reason(&status),
        Err(_) => "no connection".to_owned(),
    }
}

const NOBODY: &str = "look no connection; change no connection";

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_has_the_role_that_its_authority_wrote_into_it() {
    let secured = Secured::start().await;
    let both = "look ok; change ok";
    let table = [
        (Holder::default().role("reader"), "look ok; change ROLE_MISSING"),
        (Holder::default().role("operator"), both),
        (Holder::default().role("admin"), both),
        (Holder::default().node("b"), "look ok; change ROLE_MISSING"),
        (Holder::default().role("king"), "look ROLE_MISSING; change ROLE_MISSING"),
        (Holder::default(), "look ROLE_MISSING; change ROLE_MISSING"),
    ];
    for (holder, expected) in table {
        let credentials = secured.issue(holder.clone());
        assert_eq!(secured.ask(Some(&credentials)).await, expected, "{holder:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_cannot_prove_who_it_is_gets_no_connection() {
    let secured = Secured::start().await;
    let stranger = Authority::new().issue(Holder::default().role("admin"));
    let expired = secured.issue(Holder::default().role("admin").expired());
    let early = secured.issue(Holder::default().role("admin").not_yet_valid());
    assert_eq!(secured.ask(None).await, NOBODY, "no certificate");
    assert_eq!(secured.ask(Some(&stranger)).await, NOBODY, "foreign authority");
    assert_eq!(secured.ask(Some(&expired)).await, NOBODY, "expired");
    assert_eq!(secured.ask(Some(&early)).await, NOBODY, "not yet valid");
    let failed = secured.agent.counters.handshakes_failed.load(std::sync::atomic::Ordering::Relaxed);
    assert!(failed >= 4, "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_certificate_gets_no_connection_as_soon_as_the_list_is_read() {
    let (authority, directory) = (Authority::new(), Directory::new());
    let [alice, bob] =
        ["alice", "bob"].map(|name| authority.issue(Holder::default().named(name).role("reader")));
    let node = authority.issue(Holder::default().node("a"));
    authority.write_node(&directory.0, Holder::default());
    authority.write_pair(&directory.0, &node);
    authority.revoke(&directory.0, &[]);
    let list = Some(directory.0.join("revoked.pem"));
    let secured = Secured::start_with_files(Setup::default(), authority, directory, list).await;
    let (authority, folder) = (&secured.authority, &secured.directory.0);
    let looks = "look ok; change ROLE_MISSING";
    assert_eq!([secured.ask(Some(&alice)).await, secured.ask(Some(&bob)).await], [looks; 2]);

    authority.revoke(folder, &[&alice]);
    assert!(secured.tcp.certificates.refresh().unwrap());
    assert_eq!([secured.ask(Some(&alice)).await, secured.ask(Some(&bob)).await], [NOBODY, looks]);

    // A list of somebody else revokes nothing: it is refused, and the one before stays in force.
    for (name, expected) in [("others", "no authority in client_ca"), ("tests", "another CN=tests than that")]
    {
        Authority::named(name).revoke(folder, &[]);
        let error = secured.tcp.certificates.refresh().unwrap_err().to_string();
        assert!(error.contains("revoked.pem holds no usable revocation list"), "{error}");
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!([secured.ask(Some(&alice)).await, secured.ask(Some(&bob)).await], [NOBODY, looks]);

    // Nor is a node that was revoked believed by those that call it.
    assert!(dials(&secured).await, "the node is trusted");
    authority.revoke(folder, &[&alice, &node]);
    assert!(secured.tcp.certificates.refresh().unwrap());
    assert!(!dials(&secured).await, "a revoked node is trusted");
}

/// Whether an agent with these files trusts the one that listens.
async fn dials(secured: &Secured) -> bool {
    let address = secured.tcp.listen[0];
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(secured.tcp.certificates.client());
    connector.connect(address.ip().into(), stream).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_configuration_may_give_a_certificate_another_role() {
    let secured = Secured::start().await;
    let alice = secured.issue(Holder::default().named("alice").role("admin"));
    let named = Principals { certificates: ["alice".to_owned()].into(), ..Principals::default() };
    secured.agent.roles.send_replace(Arc::new(Roles { readers: named, ..Roles::default() }));
    assert_eq!(secured.ask(Some(&alice)).await, "look ok; change ROLE_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_names_the_certificate_that_caused_it() {
    let secured = Secured::start().await;
    let alice = secured.issue(Holder::default().named("alice").role("operator"));
    assert_eq!(secured.ask(Some(&alice)).await, "look ok; change ok");
    let mut events = secured.agent.events().await;
    let listed = events.list_events(v1::ListEventsRequest::default()).await.unwrap().into_inner();
    let actor = listed.events.iter().find_map(|event| event.actor.clone()).unwrap();
    assert_eq!((actor.principal.as_str(), actor.peer_address.as_str()), ("alice(certificate)", "127.0.0.1"));
    assert_eq!(actor.roles, ["reader", "operator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_certificates_are_taken_over_under_an_open_watch() {
    let secured = Secured::start().await;
    let old = secured.issue(Holder::default().role("operator"));
    let channel = secured.authority.connect(secured.tcp.listen[0], Some(&old)).await.unwrap();
    let request = v1::WatchEventsRequest::default();
    let mut watch = EventServiceClient::new(channel).watch_events(request).await.unwrap().into_inner();
    assert!(matches!(watch.message().await.unwrap().unwrap().payload, Some(Payload::Opened(_))));

    let renewed = Authority::new();
    renewed.write_node(&secured.directory.0, Holder::default().node("a"));
    assert!(secured.tcp.certificates.refresh().unwrap());
    let new = renewed.issue(Holder::default().role("operator"));
    let address = secured.tcp.listen[0];
    let refused = secured.authority.connect(address, Some(&old)).await;
    assert!(refused.is_err(), "the node is of another authority now");
    let channel = renewed.connect(address, Some(&new)).await.unwrap();
    let change = v1::OverridePriorityRequest {
        name: "nodes/self/instances/web".to_owned(),
        priority: 50,
        ..Default::default()
    };
    InstanceServiceClient::new(channel).override_priority(change).await.unwrap();
    let told = async {
        loop {
            if let Some(Payload::EventBatch(batch)) = watch.message().await.unwrap().unwrap().payload {
                return batch.events.len();
            }
        }
    };
    let told = tokio::time::timeout(Duration::from_secs(10), told).await.unwrap();
    assert!(told > 0, "the stream that was open before goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_used_leave_the_old_certificate_in_force() {
    let secured = Secured::start().await;
    let reader = secured.issue(Holder::default().role("reader"));
    assert!(!secured.tcp.certificates.refresh().unwrap(), "nothing changed");
    std::fs::write(secured.directory.0.join("node.crt"), "half a certific").unwrap();
    let error = secured.tcp.certificates.refresh().unwrap_err();
    assert!(matches!(error, TlsError::Content { what: "certificate", .. }), "{error}");
    assert!(!secured.tcp.certificates.refresh().unwrap(), "told once for each change");
    assert_eq!(secured.ask(Some(&reader)).await, "look ok; change ROLE_MISSING");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_certificate_has_a_bounded_number_of_connections() {
    let secured = Secured::start_with(Limits { certificate_connections: 2, ..Limits::default() }).await;
    let [busy, other] =
        ["busy", "other"].map(|name| secured.issue(Holder::default().named(name).role("reader")));
    let mut open = Vec::new();
    for _ in 0..2 {
        let channel = secured.authority.connect(secured.tcp.listen[0], Some(&busy)).await.unwrap();
        let mut client = NodeServiceClient::new(channel);
        client.get_node(v1::GetNodeRequest::default()).await.unwrap();
        open.push(client);
    }
    assert_eq!(secured.ask(Some(&busy)).await, NOBODY);
    assert_eq!(secured.ask(Some(&other)).await, "look ok; change ROLE_MISSING");
}

#[test]
fn what_is_wrong_with_files_is_told_with_the_file_and_a_remedy() {
    let (authority, directory) = (Authority::new(), Directory::new());
    let load = || Certificates::load(files(&directory)).map(|certificates| certificates.expires());
    assert!(load().unwrap_err().to_string().contains("node.crt"), "missing");
    authority.write_node(&directory.0, Holder::default().node("a"));
    assert!(load().unwrap() > SystemTime::now());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
    std::fs::set_permissions(directory.0.join("node.key"), mode).unwrap();
    assert!(load().unwrap_err().to_string().contains("chmod 600"), "exposed");
    authority.write_node(&directory.0, Holder::default().node("a"));
    std::fs::copy(directory.0.join("ca.crt"), directory.0.join("node.crt")).unwrap();
    assert!(load().unwrap_err().to_string().contains("cannot be used together"), "another key");
    std::fs::write(directory.0.join("ca.crt"), "").unwrap();
    authority.write_pair(&directory.0, &authority.issue(Holder::default().node("a")));
    assert!(load().unwrap_err().to_string().contains("ca.crt holds no usable certificate"), "empty");
}
