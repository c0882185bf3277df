//! What is found in clusters that differ from a healthy one in one thing.

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;

use super::*;
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Answer, Snapshot};
use crate::model::OwnCertificateView;

const MS: i64 = 1_000_000;

/// A cluster of two nodes that is as it should be.
struct Patient {
    nodes: Vec<NodeView>,
    instances: Vec<v1::Instance>,
    statuses: Vec<NodeStatus>,
    certificates: Vec<OwnCertificateView>,
    /// How each node sees the others, or why it does not tell.
    views: Vec<(String, Result<v1::ClusterView, Failure>)>,
}

impl Patient {
    fn healthy() -> Self {
        let nodes: Vec<NodeView> = ["a", "b"].map(node).into();
        let answered = |node: &NodeView| {
            NodeStatus::answered(&node.node, node.endpoint.clone(), &node.version, Some(Clock::default()))
        };
        Patient {
            statuses: nodes.iter().map(answered).collect(),
            nodes,
            instances: vec![
                instance("a", v1::instance::State::Active, 150),
                instance("b", v1::instance::State::Backup, 100),
            ],
            certificates: Vec::new(),
            views: vec![hears("a", "b"), hears("b", "a")],
        }
    }

    /// The node of that view as it sees that other one.
    fn sight(&mut self, from: &str, to: &str) -> &mut v1::NodeView {
        let (_, view) = self.views.iter_mut().find(|(node, _)| node == from).unwrap();
        let nodes = &mut view.as_mut().unwrap().nodes;
        nodes.iter_mut().find(|node| node.name == format!("nodes/{to}")).unwrap()
    }

    /// That node does not hear that other one any more.
    fn cut(&mut self, from: &str, to: &str, reason: &str) {
        let sight = self.sight(from, to);
        sight.contact = Contact::Silent.into();
        sight.reason = reason.to_owned();
        sight.detail = "its cable is cut".to_owned();
    }

    /// That node has no peers.
    fn alone(&mut self, node: &str) {
        let (_, view) = self.views.iter_mut().find(|(name, _)| name == node).unwrap();
        view.as_mut().unwrap().nodes.retain(|node| node.contact() == Contact::Self_);
    }

    /// It does not answer us.
    fn away(&mut self, node: &str) {
        let failure = Failure::local(Exit::Unreachable, "UNAVAILABLE", "NOTHING_LISTENING", "x", "");
        let status = self.statuses.iter_mut().find(|status| status.node == node).unwrap();
        *status = NodeStatus::failed(Some(node), status.endpoint.clone(), &failure);
        self.nodes.retain(|known| known.node != node);
        self.instances.retain(|known| !known.name.starts_with(&format!("nodes/{node}/")));
        self.views.retain(|(name, _)| name != node);
    }

    fn messages(&self) -> Vec<Finding> {
        let instances: Vec<InstanceView> = self
            .instances
            .iter()
            .map(|instance| InstanceView::new(instance, Clock::default(), Timestamp::UNIX_EPOCH))
            .collect();
        let views: Vec<_> = self.views.iter().map(|(node, view)| (node.clone(), view.as_ref())).collect();
        diagnose(&Evidence {
            statuses: &self.statuses,
            nodes: &self.nodes,
            instances: &instances,
            reach: &Reach::new(self.statuses.iter().map(NodeStatus::label), &views),
            certificates: &self.certificates,
            now: Timestamp::UNIX_EPOCH,
        })
    }

    fn findings(&self) -> Vec<(Severity, FindingCode)> {
        self.messages().iter().map(|finding| (finding.severity, finding.code)).collect()
    }
}

/// A node that hears one other.
fn hears(observer: &str, peer: &str) -> (String, Result<v1::ClusterView, Failure>) {
    let own = v1::NodeView {
        name: format!("nodes/{observer}"),
        contact: Contact::Self_.into(),
        ..Default::default()
    };
    let other = v1::NodeView {
        name: format!("nodes/{peer}"),
        endpoint: format!("https://{peer}:7443"),
        contact: Contact::Reachable.into(),
        version: "0.1.0".to_owned(),
        ..Default::default()
    };
    let observer_name = format!("nodes/{observer}");
    let view = v1::ClusterView { observer: observer_name, nodes: vec![own, other], ..Default::default() };
    (observer.to_owned(), Ok(view))
}

fn node(name: &str) -> NodeView {
    let snapshot = Snapshot {
        node: v1::Node {
            name: format!("nodes/{name}"),
            version: "0.1.0".to_owned(),
            api_versions: vec!["ha.agent.v1".to_owned()],
            ..v1::Node::default()
        },
        clock: Clock { offset: Span::ZERO, uncertainty: Span::from_nanos(MS) },
        instances: Vec::new(),
        vips: Vec::new(),
        checks: Vec::new(),
        pools: Vec::new(),
        peers: Ok(v1::ClusterView::default()),
    };
    let endpoint: Endpoint = format!("unix:/run/{name}.sock").parse().unwrap();
    let result: Result<Snapshot, Failure> = Ok(snapshot.clone());
    NodeView::new(&Answer { endpoint, name: Some(name.to_owned()), result }, &snapshot)
}

fn instance(node: &str, state: v1::instance::State, priority: i32) -> v1::Instance {
    let millis = |ms: i64| Some(Span::from_nanos(ms * MS).to_proto());
    let is_backup = state == v1::instance::State::Backup;
    v1::Instance {
        name: format!("nodes/{node}/instances/web"),
        virtual_router_id: 51,
        vrrp_version: 3,
        state: state as i32,
        base_priority: priority,
        effective_priority: priority,
        advertisement_interval: millis(1_000),
        active_down_interval: millis(3_600),
        last_advertisement_age: millis(300).filter(|_| is_backup),
        observed_active_address: if is_backup { "192.0.2.1".to_owned() } else { String::new() },
        vips: vec![format!("nodes/{node}/vips/10.0.0.10")],
        address_lease: millis(3_000),
        ..v1::Instance::default()
    }
}

fn condition(kind: &str, reason: &str) -> crate::model::ConditionView {
    (&v1::Condition {
        r#type: kind.to_owned(),
        status: v1::condition::Status::False as i32,
        reason: reason.to_owned(),
        ..v1::Condition::default()
    })
        .into()
}

#[test]
fn nothing_is_found_in_a_healthy_cluster() {
    assert_eq!(Patient::healthy().findings(), []);
}

/// One change, and what must be found.
type Case = (&'static str, fn(&mut Patient), Severity, FindingCode);

#[test]
fn each_thing_that_is_wrong_is_found_and_nothing_else() {
    let cases: [Case; 17] = [
        ("a node is away", |p| p.away("b"), Severity::Error, FindingCode::NodeMissing),
        (
            "two agents have one name",
            |p| {
                p.nodes[1].node = "a".to_owned();
                p.views.truncate(1);
                p.alone("a");
            },
            Severity::Error,
            FindingCode::NameTwice,
        ),
        (
            "another API",
            |p| p.nodes[1].api_versions = vec!["ha.agent.v9".to_owned()],
            Severity::Error,
            FindingCode::ApiDiffers,
        ),
        (
            "versions differ",
            |p| {
                p.nodes[1].version = "0.2.0".to_owned();
                p.sight("a", "b").version = "0.2.0".to_owned();
            },
            Severity::Warn,
            FindingCode::VersionsDiffer,
        ),
        (
            "a clock is 2 s ahead",
            |p| p.nodes[1].clock_offset = Span::from_nanos(2_000 * MS),
            Severity::Warn,
            FindingCode::ClocksApart,
        ),
        (
            "our own clock is 2 s behind",
            |p| p.nodes.iter_mut().for_each(|node| node.clock_offset = Span::from_nanos(2_000 * MS)),
            Severity::Info,
            FindingCode::OwnClock,
        ),
        (
            "no real-time scheduling",
            |p| p.nodes[0].conditions = vec![condition("RealtimeScheduling", "Refused")],
            Severity::Warn,
            FindingCode::Condition,
        ),
        (
            "real-time scheduling is not wanted",
            |p| p.nodes[0].conditions = vec![condition("RealtimeScheduling", "Disabled")],
            Severity::Info,
            FindingCode::Condition,
        ),
        (
            "the agent's certificate has ended",
            |p| p.nodes[0].conditions = vec![condition("CertificateValid", "Expired")],
            Severity::Error,
            FindingCode::Condition,
        ),
        (
            "our certificate ends in ten days",
            |p| p.certificates = vec![ends_after(10)],
            Severity::Warn,
            FindingCode::Certificate,
        ),
        (
            "our certificate has ended",
            |p| p.certificates = vec![ends_after(-1)],
            Severity::Error,
            FindingCode::Certificate,
        ),
        (
            "another virtual router id",
            |p| p.instances[1].virtual_router_id = 52,
            Severity::Error,
            FindingCode::ConfigurationDiffers,
        ),
        (
            "another interval",
            |p| p.instances[1].advertisement_interval = Some(Span::from_nanos(MS).to_proto()),
            Severity::Warn,
            FindingCode::ConfigurationDiffers,
        ),
        ("alone", |p| drop(p.instances.pop()), Severity::Warn, FindingCode::NoPartner),
        (
            "a Backup is deaf",
            |p| p.instances[1].observed_active_address.clear(),
            Severity::Error,
            FindingCode::NotHeard,
        ),
        (
            "priorities are equal",
            |p| p.instances[1].base_priority = 150,
            Severity::Info,
            FindingCode::EqualPriority,
        ),
        ("no lease", |p| p.instances[1].address_lease = None, Severity::Info, FindingCode::LeaseOff),
    ];
    for (what, change, severity, code) in cases {
        let mut patient = Patient::healthy();
        change(&mut patient);
        assert_eq!(patient.findings(), [(severity, code)], "{what}");
    }
}

fn ends_after(days: i64) -> OwnCertificateView {
    let not_after = Timestamp::from_second(days * 86_400).ok();
    OwnCertificateView { file: "alice.crt".to_owned(), usage: "client", not_after }
}

#[test]
fn what_is_wrong_comes_first() {
    let mut patient = Patient::healthy();
    patient.instances[1].address_lease = None;
    patient.nodes[1].version = "0.2.0".to_owned();
    patient.sight("a", "b").version = "0.2.0".to_owned();
    patient.instances[1].observed_active_address.clear();
    let severities: Vec<Severity> = patient.findings().into_iter().map(|(severity, _)| severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warn, Severity::Info]);
}

#[test]
fn what_is_wrong_between_peers_is_found_and_nothing_else() {
    use FindingCode::{NotAsked, OneWay, PeerLacking, PeerNotHeard, PeersApart, ToldDiffers, ViewMissing};
    use Severity::{Info, Warn};
    let old = || Failure::local(Exit::Internal, "UNIMPLEMENTED", "UNIMPLEMENTED", "x", "");
    type Broken = (Box<dyn Fn(&mut Patient)>, Vec<(Severity, FindingCode)>, &'static str);
    let cases: Vec<Broken> = vec![
        (
            Box::new(|p| p.cut("b", "a", "NO_ANSWER")),
            vec![(Warn, OneWay)],
            "b does not hear a, and a hears b: b says its cable is cut",
        ),
        (
            Box::new(|p| {
                p.cut("a", "b", "NO_ANSWER");
                p.cut("b", "a", "UNREACHABLE");
            }),
            vec![(Warn, PeersApart)],
            "a and b do not hear each other",
        ),
        (
            Box::new(|p| p.cut("a", "b", "CERTIFICATE")),
            vec![(Warn, OneWay)],
            "a does not hear b, and b hears a",
        ),
        (
            Box::new(|p| {
                p.alone("b");
                p.cut("a", "b", "REFUSED");
            }),
            vec![(Warn, PeerLacking)],
            "a has b as its peer, and b has no [[peer]] for a",
        ),
        // Neither is anybody's fault: they are well without.
        (
            Box::new(|p| {
                p.alone("a");
                p.alone("b");
            }),
            vec![],
            "",
        ),
        // Each has another peer, which nobody was told to ask.
        (
            Box::new(|p| p.views = vec![hears("a", "c"), hears("b", "d")]),
            vec![(Warn, PeerLacking), (Info, NotAsked)],
            "a and b both have web, and neither has a [[peer]] for the other",
        ),
        // One has another peer, the other none at all, and wants none.
        (
            Box::new(|p| {
                p.views[0] = hears("a", "c");
                p.alone("b");
            }),
            vec![(Info, NotAsked)],
            "c was not asked: a peer of nodes that were, at https://c:7443",
        ),
        (
            Box::new(|p| {
                p.views = vec![hears("a", "c"), hears("b", "c")];
                p.alone("b");
                p.cut("a", "c", "NO_ANSWER");
            }),
            vec![(Warn, PeerNotHeard), (Info, NotAsked)],
            "a does not hear c: its cable is cut",
        ),
        (
            Box::new(move |p| p.views[1].1 = Err(old())),
            vec![(Warn, ViewMissing)],
            "b does not tell whether it hears its peers: its agent is older",
        ),
        (
            Box::new(|p| p.sight("a", "b").version = "0.0.9".to_owned()),
            vec![(Warn, ToldDiffers)],
            "b says that it has version 0.1.0, and a heard 0.0.9 from it",
        ),
        (
            Box::new(|p| p.sight("a", "b").incarnation_id = "b0".to_owned()),
            vec![(Warn, ToldDiffers)],
            "and a heard b0 from it",
        ),
        // What a silent peer said long ago is no news.
        (
            Box::new(|p| {
                p.sight("a", "b").version = "0.0.9".to_owned();
                p.cut("a", "b", "NO_ANSWER");
            }),
            vec![(Warn, OneWay)],
            "",
        ),
        // The condition says the same with less.
        (
            Box::new(|p| {
                p.cut("b", "a", "NO_ANSWER");
                p.nodes[1].conditions = vec![condition("PeersReachable", "PeerSilent")];
            }),
            vec![(Warn, OneWay)],
            "",
        ),
    ];
    for (number, (change, expected, message)) in cases.iter().enumerate() {
        let mut patient = Patient::healthy();
        change(&mut patient);
        assert_eq!(patient.findings(), *expected, "case {number}");
        let messages = patient.messages();
        let told: Vec<&str> = messages.iter().map(|finding| finding.message.as_str()).collect();
        assert!(told.iter().any(|told| told.contains(message)) || message.is_empty(), "{message}: {told:#?}");
    }
}

#[test]
fn of_a_node_that_does_not_answer_the_others_are_heard() {
    for (sees, message) in [
        ("REACHABLE", "b does not answer: x (NOTHING_LISTENING); a hears it"),
        ("SILENT", "b does not answer: x (NOTHING_LISTENING); a does not hear it either"),
        ("ALONE", "b does not answer: x (NOTHING_LISTENING)"),
    ] {
        let mut patient = Patient::healthy();
        patient.away("b");
        match sees {
            "SILENT" => patient.cut("a", "b", "NO_ANSWER"),
            "ALONE" => patient.alone("a"),
            _ => {}
        }
        let messages = patient.messages();
        assert_eq!(messages.iter().map(|finding| finding.message.as_str()).collect::<Vec<_>>(), [message]);
    }
}
