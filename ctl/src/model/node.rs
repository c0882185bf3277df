//! A node: what it says about itself, and whether it answered.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Answer, Snapshot};
use crate::names;
use crate::span::Span;

/// A node as it describes itself. The fields mean what `ha.agent.v1.Node` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct NodeView {
    pub name: String,
    pub node: String,
    pub endpoint: String,
    pub incarnation_id: String,
    pub version: String,
    pub api_versions: Vec<String>,
    pub start_time: Option<Timestamp>,
    /// How long the agent has been running.
    pub uptime: Option<Span>,
    pub server_time: Option<Timestamp>,
    /// The node's clock less ours.
    pub clock_offset: Span,
    /// The offset is within this much of the truth.
    pub clock_uncertainty: Span,
    pub config_digest: String,
    pub config_load_time: Option<Timestamp>,
    pub conditions: Vec<ConditionView>,
    pub instance_count: i32,
    pub active_count: i32,
}

/// A fact about a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ConditionView {
    #[serde(rename = "type")]
    pub kind: String,
    pub status: &'static str,
    pub reason: String,
    pub message: String,
    pub last_transition_time: Option<Timestamp>,
}

impl NodeView {
    /// From a node's answer.
    pub(crate) fn new(answer: &Answer<Snapshot>, snapshot: &Snapshot) -> Self {
        let node = &snapshot.node;
        let (start, server) = (timestamp(node.start_time.as_ref()), timestamp(node.server_time.as_ref()));
        let uptime = start
            .zip(server)
            .map(|(start, server)| Span::from_wide((server.as_nanosecond() - start.as_nanosecond()).max(0)));
        NodeView {
            name: node.name.clone(),
            node: names::last(&node.name).to_owned(),
            endpoint: answer.endpoint.to_string(),
            incarnation_id: node.incarnation_id.clone(),
            version: node.version.clone(),
            api_versions: node.api_versions.clone(),
            start_time: start,
            uptime,
            server_time: server,
            clock_offset: snapshot.clock.offset,
            clock_uncertainty: snapshot.clock.uncertainty,
            config_digest: node.config_digest.clone(),
            config_load_time: timestamp(node.config_load_time.as_ref()),
            conditions: node.conditions.iter().map(ConditionView::from).collect(),
            instance_count: node.instance_count,
            active_count: node.active_count,
        }
    }

    /// The conditions that are not as they should be, in words.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.conditions
            .iter()
            .filter(|condition| condition.status != "TRUE")
            .map(ConditionView::sentence)
            .collect()
    }
}

impl ConditionView {
    /// `MemoryLocked is FALSE: …`
    pub(crate) fn sentence(&self) -> String {
        let why = match (self.message.as_str(), self.reason.as_str()) {
            ("", "") => self.status.to_owned(),
            ("", reason) => reason.to_owned(),
            (message, _) => message.to_owned(),
        };
        format!("{} is {}: {why}", self.kind, self.status)
    }
}

impl From<&v1::Condition> for ConditionView {
    fn from(condition: &v1::Condition) -> Self {
        ConditionView {
            kind: condition.r#type.clone(),
            status: condition.status().as_str_name().trim_start_matches("STATUS_"),
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            last_transition_time: timestamp(condition.last_transition_time.as_ref()),
        }
    }
}

/// Whether a node answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum NodeState {
    /// It answered.
    Answered,
    /// It could not be reached.
    Unreachable,
    /// It did not answer in time.
    Timeout,
    /// It does not talk to us.
    Denied,
    /// It answered with an error.
    Failed,
}

impl NodeState {
    /// The word, as in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            NodeState::Answered => "ANSWERED",
            NodeState::Unreachable => "UNREACHABLE",
            NodeState::Timeout => "TIMEOUT",
            NodeState::Denied => "DENIED",
            NodeState::Failed => "FAILED",
        }
    }
}

/// One entry of the envelope's `nodes`: whether the node answered and, if not, why.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NodeStatus {
    /// The node's name; empty when it has never been told.
    pub node: String,
    /// Where it was asked.
    pub endpoint: String,
    /// Whether it answered.
    pub state: NodeState,
    /// The gRPC status code: `OK`, `UNAVAILABLE`.
    pub code: &'static str,
    /// Why not, in UPPER_SNAKE_CASE.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Why not, in a sentence.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What to do next.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// The agent's version.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The node's clock less ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset: Option<Span>,
    /// The offset is within this much of the truth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_uncertainty: Option<Span>,
    /// What is wrong on a node that answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

impl NodeStatus {
    /// Of a node that answered.
    pub(crate) fn answered(name: &str, endpoint: String, version: &str, clock: Option<Clock>) -> Self {
        NodeStatus {
            node: name.to_owned(),
            endpoint,
            state: NodeState::Answered,
            code: "OK",
            reason: String::new(),
            message: String::new(),
            remedy: String::new(),
            version: version.to_owned(),
            clock_offset: clock.map(|clock| clock.offset),
            clock_uncertainty: clock.map(|clock| clock.uncertainty),
            problems: Vec::new(),
        }
    }

    /// Of a node that did not.
    pub(crate) fn failed(name: Option<&str>, endpoint: String, failure: &Failure) -> Self {
        NodeStatus {
            state: match failure.exit {
                Exit::Unreachable => NodeState::Unreachable,
                Exit::Timeout => NodeState::Timeout,
                Exit::Denied => NodeState::Denied,
                _ => NodeState::Failed,
            },
            code: failure.code,
            reason: failure.reason.clone(),
            message: match &*failure.what {
                "" => failure.message.clone(),
                what => format!("{what}: {}", failure.message),
            },
            remedy: failure.remedy.to_string(),
            ..NodeStatus::answered(name.unwrap_or_default(), endpoint, "", None)
        }
    }

    /// Whether it answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.state == NodeState::Answered
    }

    /// Its name, or its endpoint when that is not known.
    pub(crate) fn label(&self) -> &str {
        if self.node.is_empty() { &self.endpoint } else { &self.node }
    }
}
