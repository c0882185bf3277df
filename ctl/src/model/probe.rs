//! What a node heard on the wire.

use ha_proto::v1;
use serde::Serialize;

use crate::model::{presence_word, some};
use crate::span::Span;

/// What one node heard on the link of an address. The fields mean what `ha.agent.v1.VipProbe` says.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ProbeView {
    pub interface: String,
    pub link_mac: String,
    pub holder_mac: Option<String>,
    pub desired_state: &'static str,
    pub kernel_state: &'static str,
    pub answers: Vec<AnswerView>,
    pub waited: Option<Span>,
    pub conflict: bool,
}

/// Somebody who answered.
#[derive(Clone, Debug, Default, Serialize)]
#[allow(missing_docs)]
pub(crate) struct AnswerView {
    pub mac: String,
    pub latency: Option<Span>,
    /// PEER, VIRTUAL_MAC, STRANGER, UNKNOWN.
    pub origin: &'static str,
    pub peer_address: Option<String>,
}

impl From<&v1::VipProbe> for ProbeView {
    fn from(probe: &v1::VipProbe) -> Self {
        ProbeView {
            interface: probe.interface.clone(),
            link_mac: probe.link_mac.clone(),
            holder_mac: some(&probe.holder_mac),
            desired_state: presence_word(probe.desired_state()),
            kernel_state: presence_word(probe.kernel_state()),
            answers: probe.answers.iter().map(AnswerView::from).collect(),
            waited: probe.waited.as_ref().map(Span::from),
            conflict: probe.conflict,
        }
    }
}

impl From<&v1::VipAnswer> for AnswerView {
    fn from(answer: &v1::VipAnswer) -> Self {
        AnswerView {
            mac: answer.mac.clone(),
            latency: answer.latency.as_ref().map(Span::from),
            origin: answer.origin().as_str_name().trim_start_matches("ORIGIN_"),
            peer_address: some(&answer.peer_address),
        }
    }
}
