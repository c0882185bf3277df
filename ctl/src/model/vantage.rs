//! The cluster as one of its nodes sees it.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::{family_word, some};
use crate::clock::timestamp;
use crate::names;
use crate::span::Span;
use crate::verdict::{Reason, Verdict};

/// A node's view of the cluster, judged, and held against ours.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VantageView {
    /// Whose view it is.
    pub observer: String,
    /// When, by that node's clock.
    pub observe_time: Option<Timestamp>,
    /// Whether it hears every peer that it knows.
    pub complete: bool,
    /// The nodes that it knows, itself among them.
    pub nodes: Vec<SeenNodeView>,
    /// The virtual addresses, judged over the nodes that it hears, as they say themselves; kernels are not asked.
    pub vips: Vec<SeenVipView>,
    /// Where we see it otherwise.
    pub differences: Vec<SeenOtherwise>,
}

/// A node as the observer knows it. The fields mean what `ha.agent.v1.NodeView` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct SeenNodeView {
    pub node: String,
    pub endpoint: String,
    /// SELF, DIALLING, REACHABLE or SILENT.
    pub contact: &'static str,
    pub contact_time: Option<Timestamp>,
    /// How long that has been so.
    pub contact_age: Option<Span>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    pub hear_time: Option<Timestamp>,
    /// How old its last sign of life is.
    pub hear_age: Option<Span>,
    pub incarnation_id: String,
    pub version: String,
    pub config_digest: String,
    pub round_trip: Option<Span>,
    pub routers: Vec<SeenRouterView>,
}

/// A virtual router as its node told the observer.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct SeenRouterView {
    pub instance: String,
    pub virtual_router_id: i32,
    pub family: &'static str,
    pub addresses: Vec<String>,
    pub interface: String,
    pub source_address: Option<String>,
    pub state: &'static str,
    pub state_age: Option<Span>,
    pub effective_priority: i32,
    pub fault_reasons: Vec<String>,
    pub drained: bool,
}

/// A virtual address as the observer sees it.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct SeenVipView {
    pub address: String,
    pub verdict: Verdict,
    /// Why it is not OK, worst first.
    pub reasons: Vec<Reason>,
    /// The nodes that say that they are Active.
    pub active_on: Vec<String>,
    /// How long the one that is has been so.
    pub age: Option<Span>,
    /// The Backups with the highest effective priority.
    pub next: Vec<String>,
}

/// Something that the observer and we see differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct SeenOtherwise {
    /// Of whom.
    pub node: String,
    /// The word for programs.
    pub code: SeenOtherwiseCode,
    /// The sentence for a reader.
    pub message: String,
}

/// What is seen differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum SeenOtherwiseCode {
    /// The observer does not hear it, and it answers us.
    NotHeard,
    /// The observer hears it, and it does not answer us.
    NoAnswer,
    /// The observer does not know it.
    NotConfigured,
    /// The observer was told of another state than we were.
    StateDiffers,
}

impl SeenNodeView {
    /// As the observer told it at `observed`, by its own clock.
    pub(crate) fn new(node: &v1::NodeView, observed: Option<Timestamp>) -> Self {
        let (contact_time, hear_time) =
            (timestamp(node.contact_time.as_ref()), timestamp(node.hear_time.as_ref()));
        let age = |time: Option<Timestamp>| {
            let nanos = observed?.as_nanosecond() - time?.as_nanosecond();
            Some(Span::from_wide(nanos.max(0)))
        };
        SeenNodeView {
            node: names::last(&node.name).to_owned(),
            endpoint: node.endpoint.clone(),
            contact: node.contact().as_str_name().trim_start_matches("CONTACT_"),
            contact_time,
            contact_age: age(contact_time),
            detail: node.detail.clone(),
            hear_time,
            hear_age: age(hear_time),
            incarnation_id: node.incarnation_id.clone(),
            version: node.version.clone(),
            config_digest: node.config_digest.clone(),
            round_trip: node.round_trip.as_ref().map(Span::from),
            routers: node.routers.iter().map(SeenRouterView::from).collect(),
        }
    }
}

impl From<&v1::PeerRouter> for SeenRouterView {
    fn from(router: &v1::PeerRouter) -> Self {
        SeenRouterView {
            instance: router.name.clone(),
            virtual_router_id: router.virtual_router_id,
            family: family_word(router.family()),
            addresses: router.addresses.clone(),
            interface: router.interface.clone(),
            source_address: some(&router.source_address),
            state: router.state().as_str_name().trim_start_matches("STATE_"),
            state_age: router.state_age.as_ref().map(Span::from),
            effective_priority: router.effective_priority,
            fault_reasons: router.fault_reasons.clone(),
            drained: router.drained,
        }
    }
}
