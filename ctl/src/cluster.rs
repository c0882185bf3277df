//! The cluster as it answered: which nodes are in the picture and which are missing, and the virtual addresses and
//! virtual routers grouped across nodes.

mod checks;
mod explain;
mod group;
mod silent;

pub(crate) use self::group::heard;
pub(crate) use self::silent::name_the_silent;

use std::collections::{BTreeMap, BTreeSet};

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::args::{Global, Require};
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Answer, More, Scope, Snapshot, ask_all, snapshot};
use crate::model::{InstanceView, NodeStatus, NodeView, VipView};
use crate::names;
use crate::session::Session;
use crate::verdict::{Reason, ReasonCode, Verdict, worst};

/// All answers, and who gave none.
pub(crate) struct Cluster {
    answers: Vec<Answer<Snapshot>>,
    /// What to tell beside the answers: nodes asked twice, names used twice.
    pub notes: Vec<String>,
    /// When the answers were in, on our clock.
    pub now: Timestamp,
}

impl Cluster {
    /// Asks all endpoints for what is in `scope`.
    pub(crate) async fn ask(global: &Global, scope: Scope) -> Self {
        Self::ask_with(global, scope, async |_: &Session, _: &Snapshot| Ok(())).await.0
    }

    /// Asks all endpoints for what is in `scope`, and `more` of each that has answered it, within the same bound: a node
    /// that hangs costs one bound however much it is asked. What `more` fails with costs only what it would have told.
    pub(crate) async fn ask_with<T>(
        global: &Global,
        scope: Scope,
        more: impl AsyncFn(&Session, &Snapshot) -> Result<T, Failure>,
    ) -> (Self, Vec<More<T>>) {
        let limit = global.node_timeout.min(global.timeout);
        // A snapshot that is there must not be lost because what comes after it is late.
        let until = Instant::now() + limit.to_duration() * 9 / 10;
        let more = &more;
        let question = |_, mut session: Session| async move {
            let snapshot = snapshot(&mut session, scope).await?;
            let told = timeout_at(until, more(&session, &snapshot)).await;
            let told = told.unwrap_or_else(|_| Err(Failure::node_timeout(limit)));
            Ok((snapshot, told))
        };
        let (mut answers, mut told) = (Vec::new(), Vec::new());
        for Answer { endpoint, name, result } in ask_all(&global.endpoint, limit, question).await {
            let result = result.map(|(snapshot, result)| {
                let node = names::last(&snapshot.node.name).to_owned();
                let result = result.map_err(|failure| failure.on(node.clone()));
                told.push(More { endpoint: endpoint.clone(), node, clock: snapshot.clock, result });
                snapshot
            });
            answers.push(Answer { endpoint, name, result });
        }
        let cluster = Self::new(answers);
        told.retain(|more| cluster.answers.iter().any(|answer| answer.endpoint == more.endpoint));
        (cluster, told)
    }

    fn new(answers: Vec<Answer<Snapshot>>) -> Self {
        let mut cluster = Cluster { answers: Vec::new(), notes: Vec::new(), now: Timestamp::now() };
        for answer in answers {
            cluster.add(answer);
        }
        name_the_silent(&mut cluster.answers, |snapshot| snapshot.peers.as_ref().ok());
        cluster
    }

    /// One node reached by two endpoints is one node: counted twice it would look like a split brain.
    fn add(&mut self, answer: Answer<Snapshot>) {
        if let Ok(new) = &answer.result {
            for known in &self.answers {
                let Ok(snapshot) = &known.result else { continue };
                if snapshot.node.name != new.node.name {
                    continue;
                }
                let (first, second) = (&known.endpoint, &answer.endpoint);
                if snapshot.node.incarnation_id == new.node.incarnation_id {
                    self.notes.push(format!("{second} is the same node as {first}: counted once"));
                    return;
                }
                self.notes.push(format!(
                    "{first} and {second} are two agents that call themselves {}",
                    known.label()
                ));
            }
        }
        self.answers.push(answer);
    }

    /// How each node that answered sees the others, or why it did not tell.
    pub(crate) fn views(&self) -> Vec<(String, Result<&v1::ClusterView, &Failure>)> {
        self.snapshots().map(|(_, answer, snapshot)| (answer.label(), snapshot.peers.as_ref())).collect()
    }

    /// The nodes that each one hears over the control plane, of those that told.
    pub(crate) fn heard_peers(&self) -> BTreeMap<String, BTreeSet<String>> {
        let heard = |view: &v1::ClusterView| {
            let heard = view.nodes.iter().filter(|node| node.contact() == Contact::Reachable);
            heard.map(|node| names::last(&node.name).to_owned()).collect()
        };
        let told = self
            .snapshots()
            .filter_map(|(label, _, snapshot)| Some((label, heard(snapshot.peers.as_ref().ok()?))));
        told.collect()
    }

    /// How many nodes were asked, and how many answered.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.answers.len(), self.snapshots().count())
    }

    /// Whether each node asked has answered.
    pub(crate) fn is_complete(&self) -> bool {
        self.answers.iter().all(|answer| answer.result.is_ok())
    }

    /// The nodes that answered: label, answer, snapshot. The label is the node's name, with its endpoint when another
    /// agent calls itself the same.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = (String, &Answer<Snapshot>, &Snapshot)> {
        self.answers.iter().filter_map(|answer| {
            let snapshot = answer.result.as_ref().ok()?;
            let namesakes = self.answers.iter().filter(|other| other.name == answer.name).count();
            let label = if namesakes > 1 {
                format!("{} ({})", answer.label(), answer.endpoint)
            } else {
                answer.label()
            };
            Some((label, answer, snapshot))
        })
    }

    /// The node that gave this name in its answer.
    pub(crate) fn of_node(&self, node: &str) -> Option<(&Answer<Snapshot>, &Snapshot)> {
        let mut all = self.snapshots().map(|(_, answer, snapshot)| (answer, snapshot));
        all.find(|(_, snapshot)| names::last(&snapshot.node.name) == node)
    }

    /// Whether no agent runs any more where one was asked.
    pub(crate) fn has_ended(&self, endpoint: &Endpoint) -> bool {
        let of_it = self.answers.iter().filter(|answer| answer.endpoint == *endpoint);
        of_it.filter_map(|answer| answer.result.as_ref().err()).any(Failure::says_no_agent_runs)
    }

    /// Where that node is asked.
    pub(crate) fn endpoint_of(&self, node: &str) -> Option<Endpoint> {
        self.of_node(node).map(|(answer, _)| answer.endpoint.clone())
    }

    /// The labels of the nodes that did not answer.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.answers.iter().filter(|answer| answer.result.is_err()).map(Answer::label).collect()
    }

    /// The failures of the nodes that did not answer.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.answers.iter().filter_map(|answer| answer.result.as_ref().err())
    }

    /// One entry for each node asked, for the envelope.
    pub(crate) fn statuses(&self) -> Vec<NodeStatus> {
        let status = |answer: &Answer<Snapshot>| {
            let endpoint = answer.endpoint.to_string();
            match &answer.result {
                Err(failure) => NodeStatus::failed(answer.name.as_deref(), endpoint, failure),
                Ok(snapshot) => {
                    let view = NodeView::new(answer, snapshot);
                    let mut status =
                        NodeStatus::answered(&view.node, endpoint, &view.version, Some(snapshot.clock));
                    status.problems = view.problems();
                    status
                }
            }
        };
        self.answers.iter().map(status).collect()
    }

    /// The nodes that answered.
    pub(crate) fn nodes(&self) -> Vec<NodeView> {
        let mut nodes: Vec<NodeView> =
            self.snapshots().map(|(_, answer, snapshot)| NodeView::new(answer, snapshot)).collect();
        nodes.sort_by(|one, other| one.node.cmp(&other.node));
        nodes
    }

    /// The virtual routers of the nodes that answered, by instance, then node.
    pub(crate) fn instances(&self) -> Vec<InstanceView> {
        let mut all: Vec<InstanceView> = self
            .snapshots()
            .flat_map(|(_, _, snapshot)| {
                snapshot
                    .instances
                    .iter()
                    .map(|instance| InstanceView::new(instance, snapshot.clock, self.now))
            })
            .collect();
        all.sort_by(|one, other| (&one.instance, &one.node).cmp(&(&other.instance, &other.node)));
        all
    }

    /// The virtual routers as each node that answered reported them.
    pub(crate) fn reported(&self) -> Vec<(String, &[v1::Instance])> {
        self.snapshots().map(|(label, _, snapshot)| (label, snapshot.instances.as_slice())).collect()
    }

    /// The virtual addresses, judged over all nodes.
    pub(crate) fn vips(&self) -> Vec<VipView> {
        group::vips(self)
    }

    /// The message and the endpoint behind an instance's resource name.
    pub(crate) fn find_instance(&self, name: &str) -> Option<(&v1::Instance, &Answer<Snapshot>)> {
        self.snapshots().find_map(|(_, answer, snapshot)| {
            snapshot
                .instances
                .iter()
                .find(|instance| instance.name == name)
                .map(|instance| (instance, answer))
        })
    }

    /// The answers that are not tied to a virtual address: routers without one, checks, pools, and missing nodes.
    pub(crate) fn reasons_beside(&self, vips: &[VipView]) -> Vec<Reason> {
        let mut reasons = group::reasons_without_address(self);
        reasons.extend(checks::reasons(self));
        let missing = self.missing();
        if !missing.is_empty() && vips.is_empty() {
            let labels: Vec<&str> = missing.iter().map(String::as_str).collect();
            let message = format!("{} did not answer", crate::verdict::and(&labels));
            reasons.push(Reason::new(Verdict::Unknown, ReasonCode::NodeMissing, &labels, message));
        }
        reasons
    }

    /// The exit code of an answer that has no verdict: only completeness counts.
    pub(crate) fn exit(&self, require: Require) -> Exit {
        let (asked, answered) = self.counts();
        if require.is_met(answered, asked) { Exit::Done } else { Exit::NodesMissing }
    }

    /// The failure of the whole when no node has answered.
    pub(crate) fn nobody(&self) -> Option<Failure> {
        (self.snapshots().count() == 0).then(|| none_answered(&self.failures().collect::<Vec<_>>()))
    }
}

/// One failure for all: the only one there is, or what they have in common.
pub(crate) fn none_answered(failures: &[&Failure]) -> Failure {
    let Some(first) = failures.first() else {
        return Failure::usage("there is no node to ask", "name one with --endpoint unix:/path");
    };
    if failures.len() == 1 {
        return (*first).clone();
    }
    let same = failures.iter().all(|failure| failure.exit == first.exit);
    let (exit, code) = if same { (first.exit, first.code) } else { (Exit::Unreachable, "UNAVAILABLE") };
    let message = format!("none of the {} nodes answered", failures.len());
    Failure::local(exit, code, "NO_NODE_ANSWERED", message, "what to do about each node is said above")
}

/// The worst verdict of all, and whether missing nodes alone are to blame that it is not OK.
pub(crate) fn overall(vips: &[VipView], beside: &[Reason]) -> (Verdict, bool) {
    let all: Vec<&Reason> = vips.iter().flat_map(|vip| &vip.reasons).chain(beside).collect();
    let verdict = vips.iter().map(|vip| vip.verdict).max().unwrap_or_default().max(worst(beside));
    (verdict, all.iter().all(|reason| reason.code == ReasonCode::NodeMissing))
}

/// Which nodes the user wants to see.
pub(crate) struct NodeFilter<'a>(pub &'a [String]);

impl NodeFilter<'_> {
    /// Whether this node is wanted. Without patterns all are.
    pub(crate) fn wants(&self, node: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| names::matches_glob(pattern, node))
    }

    /// Whether each wanted node is known by name and among `answered`: then nodes that did not answer, whose names are
    /// not known, cannot be wanted.
    pub(crate) fn is_satisfied_by(&self, answered: &[String]) -> bool {
        !self.0.is_empty()
            && self.0.iter().all(|pattern| names::is_literal(pattern) && answered.contains(pattern))
    }
}
