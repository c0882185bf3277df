//! A virtual router as one node sees it.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::model::{
    EvidenceView, HoldView, OrderView, TrackView, cause_word, explain, family_word, some, wish_word,
};
use crate::names;
use crate::span::Span;
use crate::verdict::Role;

/// A virtual router as one node sees it. The fields mean what `ha.agent.v1.Instance` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct InstanceView {
    pub name: String,
    pub node: String,
    pub instance: String,
    pub virtual_router_id: i32,
    pub family: &'static str,
    pub vrrp_version: i32,
    pub interface: String,
    pub state: &'static str,
    pub last_transition_time: Option<Timestamp>,
    /// How long it has been in this state, by the node's own clock.
    pub state_age: Option<Span>,
    pub last_transition_cause: String,
    /// Cause and evidence in one line.
    pub why: String,
    pub last_transition_evidence: Option<EvidenceView>,
    pub transition_count: i64,
    pub base_priority: i32,
    pub effective_priority: i32,
    pub priority_contributions: Vec<ContributionView>,
    pub priority_override: Option<OverrideView>,
    pub preempt: bool,
    /// What a transfer left behind: it does not preempt until it is Active again, or this ends.
    pub preempt_hold: Option<OrderView>,
    /// Why it leaves the addresses to a worse Active router; nothing when it takes them.
    pub tolerates: Option<&'static str>,
    pub advertisement_interval: Option<Span>,
    pub active_advertisement_interval: Option<Span>,
    pub active_down_interval: Option<Span>,
    pub last_advertisement_age: Option<Span>,
    pub observed_active_address: Option<String>,
    pub observed_active_priority: Option<i32>,
    pub vips: Vec<String>,
    pub fault_reasons: Vec<String>,
    pub address_lease: Option<Span>,
    pub rival_address: Option<String>,
    pub tracks: Vec<TrackView>,
    /// The group's name, without its node.
    pub sync_group: Option<String>,
    pub wish: Option<String>,
    pub etag: String,
}

/// One step of the effective priority.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ContributionView {
    pub source: String,
    pub delta: i32,
    pub resulting_priority: i32,
}

/// A priority in place of the configured one.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct OverrideView {
    pub priority: i32,
    #[serde(flatten)]
    pub hold: HoldView,
}

/// Why a virtual router leaves the addresses to a worse Active router, as long as that one does not become worse still; `None`
/// when it takes them.
pub(crate) fn tolerates(instance: &v1::Instance) -> Option<&'static str> {
    match (&instance.preempt_hold, instance.preempt || instance.effective_priority == 255) {
        (Some(_), _) => Some("held back after a transfer"),
        (None, false) => Some("preempt off"),
        (None, true) => None,
    }
}

impl From<&v1::PriorityOverride> for OverrideView {
    fn from(given: &v1::PriorityOverride) -> Self {
        let times = [given.create_time.as_ref(), given.expire_time.as_ref()];
        let order = OrderView::new(&given.reason, given.actor.as_ref(), times);
        let hold = HoldView { order, survives_restart: given.survives_restart };
        OverrideView { priority: given.priority, hold }
    }
}

impl InstanceView {
    /// Whether an Active router is heard, and not silent for longer than the Active_Down_Interval.
    pub(crate) fn hears_active(&self) -> bool {
        let silence = self.last_advertisement_age.zip(self.active_down_interval);
        self.observed_active_address.is_some() && silence.is_none_or(|(age, limit)| age <= limit)
    }

    /// From the API's message, and the clock of the node that sent it.
    pub(crate) fn new(instance: &v1::Instance, clock: Clock, now: Timestamp) -> Self {
        let last_transition_cause = cause_word(instance.last_transition_cause);
        let last_transition_evidence = instance.last_transition_evidence.as_ref().map(EvidenceView::from);
        InstanceView {
            name: instance.name.clone(),
            node: names::node(&instance.name).to_owned(),
            instance: names::last(&instance.name).to_owned(),
            virtual_router_id: instance.virtual_router_id,
            family: family_word(instance.family()),
            vrrp_version: instance.vrrp_version,
            interface: instance.interface.clone(),
            state: state_word(instance.state()),
            last_transition_time: timestamp(instance.last_transition_time.as_ref()),
            state_age: clock.age(instance.last_transition_time.as_ref(), now),
            why: explain(&last_transition_cause, last_transition_evidence.as_ref()),
            last_transition_cause,
            last_transition_evidence,
            transition_count: instance.transition_count,
            base_priority: instance.base_priority,
            effective_priority: instance.effective_priority,
            priority_contributions: instance
                .priority_contributions
                .iter()
                .map(ContributionView::from)
                .collect(),
            priority_override: instance.priority_override.as_ref().map(OverrideView::from),
            preempt: instance.preempt,
            preempt_hold: instance.preempt_hold.as_ref().map(OrderView::from),
            tolerates: tolerates(instance),
            advertisement_interval: instance.advertisement_interval.as_ref().map(Span::from),
            active_advertisement_interval: instance.active_advertisement_interval.as_ref().map(Span::from),
            active_down_interval: instance.active_down_interval.as_ref().map(Span::from),
            last_advertisement_age: instance.last_advertisement_age.as_ref().map(Span::from),
            observed_active_address: some(&instance.observed_active_address),
            observed_active_priority: instance.observed_active_priority,
            vips: instance.vips.iter().map(|name| names::last(name).to_owned()).collect(),
            fault_reasons: instance.fault_reasons.clone(),
            address_lease: instance.address_lease.as_ref().map(Span::from),
            rival_address: some(&instance.rival_address),
            tracks: instance.tracks.iter().map(|fact| TrackView::new(fact, clock, now)).collect(),
            sync_group: some(names::last(&instance.sync_group)),
            wish: some(wish_word(instance.wish())),
            etag: instance.etag.clone(),
        }
    }

    /// `150`, or `50 (base 150)` when it differs from the configured one.
    pub(crate) fn priority_label(&self) -> String {
        if self.effective_priority == self.base_priority {
            self.effective_priority.to_string()
        } else {
            format!("{} (base {})", self.effective_priority, self.base_priority)
        }
    }

    /// How the effective priority came about: `120 = 100 config +20 checks/haproxy`.
    pub(crate) fn priority_sum(&self) -> String {
        let steps: Vec<String> = self
            .priority_contributions
            .iter()
            .enumerate()
            .map(|(index, step)| match index {
                0 => format!("{} {}", step.delta, step.source),
                _ => format!("{:+} {}", step.delta, step.source),
            })
            .collect();
        match steps.as_slice() {
            [] => self.effective_priority.to_string(),
            _ => format!("{} = {}", self.effective_priority, steps.join(" ")),
        }
    }
}

impl From<&v1::PriorityContribution> for ContributionView {
    fn from(step: &v1::PriorityContribution) -> Self {
        ContributionView {
            source: step.source.clone(),
            delta: step.delta,
            resulting_priority: step.resulting_priority,
        }
    }
}

/// The word of a state.
pub(crate) fn state_word(state: v1::instance::State) -> &'static str {
    state.as_str_name().trim_start_matches("STATE_")
}

/// The state as the verdict wants it.
pub(crate) fn role(state: v1::instance::State) -> Role {
    match state {
        v1::instance::State::Active => Role::Active,
        v1::instance::State::Backup => Role::Backup,
        v1::instance::State::Fault => Role::Fault,
        v1::instance::State::Initialize | v1::instance::State::Unspecified => Role::Initialize,
    }
}
