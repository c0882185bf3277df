//! One thing that happened on one node.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::model::{ActorView, EvidenceView, cause_word, explain};
use crate::names;
use crate::span::Span;

/// One thing that happened on one node. The fields mean what `ha.agent.v1.Event` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct EventView {
    pub name: String,
    pub node: String,
    pub incarnation_id: String,
    pub sequence: i64,
    /// By the node's clock.
    pub event_time: Option<Timestamp>,
    /// On our clock: what events of different nodes are ordered by.
    pub corrected_time: Option<Timestamp>,
    /// The corrected time is within this much of the truth.
    pub uncertainty: Span,
    /// It may have happened before the event that stands before it.
    pub order_uncertain: bool,
    pub monotonic_offset: Option<Span>,
    #[serde(rename = "type")]
    pub kind: String,
    pub severity: &'static str,
    pub subject: String,
    pub previous_state: String,
    pub current_state: String,
    pub cause: String,
    pub evidence: Option<EvidenceView>,
    pub actor: Option<ActorView>,
    pub message: String,
    pub caused_by_events: Vec<String>,
}

impl EventView {
    /// From the API's message, the node that sent it, and its clock.
    pub(crate) fn new(event: &v1::Event, node: &str, clock: Clock, order_uncertain: bool) -> Self {
        let corrected = event.event_time.as_ref().map(|time| clock.corrected(Some(time)));
        EventView {
            name: event.name.clone(),
            node: node.to_owned(),
            incarnation_id: event.incarnation_id.clone(),
            sequence: event.sequence,
            event_time: timestamp(event.event_time.as_ref()),
            corrected_time: corrected.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok()),
            uncertainty: clock.uncertainty,
            order_uncertain,
            monotonic_offset: event.monotonic_offset.as_ref().map(Span::from),
            kind: event.r#type.clone(),
            severity: event.severity().as_str_name().trim_start_matches("SEVERITY_"),
            subject: event.subject.clone(),
            previous_state: event.previous_state.clone(),
            current_state: event.current_state.clone(),
            cause: cause_word(event.cause),
            evidence: event.evidence.as_ref().map(EvidenceView::from),
            actor: event.actor.as_ref().map(ActorView::from),
            message: event.message.clone(),
            caused_by_events: event.caused_by_events.clone(),
        }
    }

    /// What changed: `BACKUP → ACTIVE` of a state change, otherwise the type, without what the subject says.
    pub(crate) fn change(&self) -> String {
        match (self.previous_state.as_str(), self.current_state.as_str()) {
            ("", "") => {
                let kind = self.kind.as_str();
                kind.strip_prefix("instance.").or(kind.strip_prefix("vip.")).unwrap_or(kind).to_owned()
            }
            ("", current) => current.to_owned(),
            (previous, current) => format!("{previous} → {current}"),
        }
    }

    /// The subject without its node, which has its own column.
    pub(crate) fn subject_label(&self) -> String {
        match names::collection(&self.subject) {
            "instances" => names::last(&self.subject).to_owned(),
            "" if names::node(&self.subject) == self.node => "node".to_owned(),
            _ => names::last(&self.subject).to_owned(),
        }
    }

    /// The sentence for a reader: the agent's own without the change and the cause, which stand beside it; or one made
    /// from cause and evidence.
    pub(crate) fn sentence(&self) -> String {
        if self.message.is_empty() {
            return explain(&self.cause, self.evidence.as_ref());
        }
        let change = format!("{} to {}: {}", self.previous_state, self.current_state, self.cause);
        let Some(rest) = self.message.strip_prefix(&change).map(str::trim) else {
            return self.message.clone();
        };
        rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')).unwrap_or(rest).to_owned()
    }

    /// `node/incarnation.sequence`, short.
    pub(crate) fn label(&self) -> String {
        short(&self.name)
    }
}

/// An event's name as it is printed beside other things: `node-b/7f3a.118`.
pub(crate) fn short(name: &str) -> String {
    let (incarnation, sequence) = names::last(name).rsplit_once('.').unwrap_or((names::last(name), ""));
    let incarnation: String = incarnation.chars().take(8).collect();
    format!("{}/{incarnation}.{sequence}", names::node(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(message: &str) -> EventView {
        let event = v1::Event {
            r#type: "instance.state_changed".to_owned(),
            subject: "nodes/a/instances/web".to_owned(),
            previous_state: "BACKUP".to_owned(),
            current_state: "ACTIVE".to_owned(),
            cause: v1::Cause::LocalPreempt as i32,
            message: message.to_owned(),
            ..v1::Event::default()
        };
        EventView::new(&event, "a", Clock::default(), false)
    }

    #[test]
    fn a_message_does_not_repeat_what_stands_beside_it() {
        assert_eq!(view("BACKUP to ACTIVE: LOCAL_PREEMPT (own priority 120)").sentence(), "own priority 120");
        assert_eq!(view("BACKUP to ACTIVE: LOCAL_PREEMPT").sentence(), "");
        assert_eq!(view("something else").sentence(), "something else");
        assert_eq!(view("").sentence(), "LOCAL_PREEMPT");
        assert_eq!(view("").change(), "BACKUP → ACTIVE");
    }

    #[test]
    fn an_event_is_named_short() {
        assert_eq!(short("nodes/node-b/events/7f3a91c0d2e4.118"), "node-b/7f3a91c0.118");
    }
}
