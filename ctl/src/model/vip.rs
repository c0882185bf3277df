//! A virtual address over all nodes. `cluster` puts it together.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::span::Span;
use crate::verdict::{Presence, Reason, Verdict};

/// A virtual address of the cluster.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VipView {
    /// The address, without prefix length.
    pub address: String,
    /// Its prefix length.
    pub prefix_length: i32,
    /// Is it OK?
    pub verdict: Verdict,
    /// Why it is not, worst first.
    pub reasons: Vec<Reason>,
    /// The nodes whose kernels hold it.
    pub held_by: Vec<String>,
    /// The nodes whose virtual router is Active.
    pub active_on: Vec<String>,
    /// When the Active node became Active, by that node's clock.
    pub since: Option<Timestamp>,
    /// How long it has been Active.
    pub age: Option<Span>,
    /// The cause of that, as a word.
    pub cause: String,
    /// The cause with what was measured, in one line.
    pub why: String,
    /// The event that says so: nodes/{node}/events/{incarnation}.{sequence}; only `vip get` looks it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// The holder before; only `vip get` looks it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// The nodes that take over next: the Backups with the highest effective priority.
    pub next: Vec<String>,
    /// Their effective priority.
    pub next_effective_priority: Option<i32>,
    /// How long the next one waits when the holder crashes: its Active_Down_Interval.
    pub next_crash_takeover: Option<Span>,
    /// The virtual router that owns it.
    pub virtual_router_id: i32,
    /// IPV4 or IPV6.
    pub family: &'static str,
    /// Whether adverts carry it; held and announced either way.
    pub advertised: bool,
    /// Things to know that do not change the verdict.
    pub warnings: Vec<String>,
    /// Each node's part.
    pub members: Vec<MemberView>,
}

/// One node's part in a virtual address.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct MemberView {
    pub node: String,
    pub instance: String,
    pub interface: String,
    pub state: &'static str,
    pub desired_state: &'static str,
    pub kernel_state: &'static str,
    pub base_priority: i32,
    pub effective_priority: i32,
    /// How the effective priority came about, in words.
    pub effective_priority_because: String,
    pub preempt: bool,
    /// Why it leaves the address to a worse Active router; nothing when it takes it.
    pub tolerates: Option<&'static str>,
    pub active_down_interval: Option<Span>,
    pub last_change_time: Option<Timestamp>,
    pub last_announce_time: Option<Timestamp>,
    pub announcement_count: i64,
}

/// Who held a virtual address before. Only the address is known of one whose node does not tell.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Before {
    /// The node; empty when no node that answered tells of it.
    pub node: String,
    /// Its address as its successor heard it.
    pub address: Option<String>,
    /// How long it was Active, when its history reaches that far.
    pub active_for: Option<Span>,
    /// When it left, by that node's clock.
    pub left_at: Option<Timestamp>,
    /// The state it left for.
    pub left_for: String,
    /// Why it left.
    pub why: String,
    /// The event that says so.
    pub event: String,
    /// How long nobody was Active; negative when both were.
    pub gap: Option<Span>,
    /// The gap is within this much of the truth: both clocks' uncertainty.
    pub gap_uncertainty: Span,
}

impl VipView {
    /// `10.0.0.10/24`.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", self.address, self.prefix_length)
    }

    /// Whether any of its members is on this node.
    pub(crate) fn is_on(&self, condition: impl Fn(&str) -> bool) -> bool {
        self.members.iter().any(|member| condition(&member.node))
    }
}

/// The word of a family.
pub(crate) fn family_word(family: v1::instance::Family) -> &'static str {
    family.as_str_name().trim_start_matches("FAMILY_")
}

/// The word of an address's state.
pub(crate) fn presence_word(state: v1::vip::State) -> &'static str {
    match state {
        v1::vip::State::Unspecified => "UNKNOWN",
        known => known.as_str_name().trim_start_matches("STATE_"),
    }
}

/// An address's state as the verdict wants it.
pub(crate) fn presence(state: v1::vip::State) -> Presence {
    match state {
        v1::vip::State::Absent => Presence::Absent,
        v1::vip::State::Configuring => Presence::Configuring,
        v1::vip::State::Present => Presence::Present,
        v1::vip::State::Failed => Presence::Failed,
        v1::vip::State::Unknown | v1::vip::State::Unspecified => Presence::Unknown,
    }
}
