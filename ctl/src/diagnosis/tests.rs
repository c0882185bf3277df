//! What is found in clusters that differ from a healthy one in one thing.

use ha_proto::v1;

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
        }
    }

    fn findings(&self) -> Vec<(Severity, FindingCode)> {
        let instances: Vec<InstanceView> = self
            .instances
            .iter()
            .map(|instance| InstanceView::new(instance, Clock::default(), Timestamp::UNIX_EPOCH))
            .collect();
        let evidence = Evidence {
            statuses: &self.statuses,
            nodes: &self.nodes,
            instances: &instances,
            certificates: &self.certificates,
            now: Timestamp::UNIX_EPOCH,
        };
        diagnose(&evidence).iter().map(|finding| (finding.severity, finding.code)).collect()
    }
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
        (
            "a node is away",
            |p| {
                let failure = Failure::local(Exit::Unreachable, "UNAVAILABLE", "NOTHING_LISTENING", "x", "");
                p.statuses[1] = NodeStatus::failed(Some("b"), "unix:/run/b.sock".to_owned(), &failure);
                p.nodes.pop();
                p.instances.pop();
            },
            Severity::Error,
            FindingCode::NodeMissing,
        ),
        (
            "two agents have one name",
            |p| p.nodes[1].node = "a".to_owned(),
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
            |p| p.nodes[1].version = "0.2.0".to_owned(),
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
    patient.instances[1].observed_active_address.clear();
    let severities: Vec<Severity> = patient.findings().into_iter().map(|(severity, _)| severity).collect();
    assert_eq!(severities, [Severity::Error, Severity::Warn, Severity::Info]);
}
