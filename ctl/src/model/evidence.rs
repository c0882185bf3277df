//! Why something happened: causes as words, evidence as fields and as a sentence.

use ha_proto::v1;
use serde::Serialize;

use crate::model::some;
use crate::names;
use crate::span::Span;

/// The word of a cause: `ACTIVE_DOWN_TIMER`. Empty when none is given; a number when this hactl does not know it yet.
pub(crate) fn cause_word(cause: i32) -> String {
    match v1::Cause::try_from(cause) {
        Ok(v1::Cause::Unspecified) => String::new(),
        Ok(known) => known.as_str_name().trim_start_matches("CAUSE_").to_owned(),
        Err(_) => format!("CAUSE_{cause}"),
    }
}

/// What was measured when a decision was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct EvidenceView {
    pub peer_address: Option<String>,
    pub peer_priority: Option<i32>,
    pub local_priority: Option<i32>,
    pub last_advertisement_age: Option<Span>,
    pub active_down_interval: Option<Span>,
    pub subject: Option<String>,
    pub detail: Option<String>,
    pub stalled_duration: Option<Span>,
}

impl From<&v1::Evidence> for EvidenceView {
    fn from(evidence: &v1::Evidence) -> Self {
        EvidenceView {
            peer_address: some(&evidence.peer_address),
            peer_priority: evidence.peer_priority,
            local_priority: evidence.local_priority,
            last_advertisement_age: evidence.last_advertisement_age.as_ref().map(Span::from),
            active_down_interval: evidence.active_down_interval.as_ref().map(Span::from),
            subject: some(&evidence.subject),
            detail: some(&evidence.detail),
            stalled_duration: evidence.stalled_duration.as_ref().map(Span::from),
        }
    }
}

/// Who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ActorView {
    pub principal: String,
    pub roles: Vec<String>,
    pub peer_address: Option<String>,
    pub request_id: Option<String>,
    pub trace_id: Option<String>,
}

impl From<&v1::Actor> for ActorView {
    fn from(actor: &v1::Actor) -> Self {
        ActorView {
            principal: actor.principal.clone(),
            roles: actor.roles.clone(),
            peer_address: some(&actor.peer_address),
            request_id: some(&actor.request_id),
            trace_id: some(&actor.trace_id),
        }
    }
}

/// The cause with what was measured, in one line: `ACTIVE_DOWN_TIMER: 192.0.2.1 (prio 150) silent for 3.61s (limit
/// 3.6s)`. Only the cause's word where there is no evidence, and empty without a cause.
pub(crate) fn explain(cause: &str, evidence: Option<&EvidenceView>) -> String {
    let told = evidence.map(|evidence| sentence(cause, evidence)).unwrap_or_default();
    match (cause, told.as_str()) {
        (cause, "") => cause.to_owned(),
        ("", told) => told.to_owned(),
        (cause, told) => format!("{cause}: {told}"),
    }
}

fn sentence(cause: &str, evidence: &EvidenceView) -> String {
    let peer = peer(evidence);
    match (cause, peer.as_deref(), evidence.last_advertisement_age, evidence.detail.as_deref()) {
        ("ACTIVE_DOWN_TIMER", peer, Some(age), _) => {
            let limit =
                evidence.active_down_interval.map(|limit| format!(" (limit {limit})")).unwrap_or_default();
            format!("{} silent for {age}{limit}", peer.unwrap_or("the Active router"))
        }
        ("ACTIVE_DOWN_TIMER", None, None, None) if evidence.active_down_interval.is_some() => {
            let limit = evidence.active_down_interval.unwrap_or_default();
            format!("no Active router heard for {limit}")
        }
        ("PEER_PRIORITY_ZERO", Some(_), _, _) => {
            format!("{} released", evidence.peer_address.as_deref().unwrap_or_default())
        }
        ("SYNC_GROUP", _, _, detail) => {
            let led = evidence.subject.as_deref().map(names::last);
            let led = led.map(|member| format!("with {member} of its group")).unwrap_or_default();
            // That a member is in Fault is said by its name already.
            detail.filter(|_| led.is_empty()).map_or(led, str::to_owned)
        }
        (_, _, _, Some(detail)) => match evidence.subject.as_deref().map(names::last) {
            Some(subject) if !detail.contains(subject) => format!("{subject}: {detail}"),
            _ => detail.to_owned(),
        },
        (_, Some(peer), _, None) => match evidence.local_priority {
            Some(local) => format!("{peer}, own prio {local}"),
            None => peer.to_owned(),
        },
        _ => without_peer(evidence),
    }
}

fn peer(evidence: &EvidenceView) -> Option<String> {
    let address = evidence.peer_address.as_ref()?;
    Some(match evidence.peer_priority {
        Some(priority) => format!("{address} (prio {priority})"),
        None => address.clone(),
    })
}

fn without_peer(evidence: &EvidenceView) -> String {
    let subject = evidence.subject.as_deref().map(|subject| names::last(subject).to_owned());
    let stalled = evidence.stalled_duration.map(|span| format!("did not run for {span}"));
    let local = evidence.local_priority.map(|priority| format!("own prio {priority}"));
    [subject, stalled, local].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_says_what_was_measured() {
        let silent = EvidenceView {
            peer_address: some("192.0.2.1"),
            peer_priority: Some(150),
            last_advertisement_age: Some("3.61s".parse().unwrap()),
            active_down_interval: Some("3.6s".parse().unwrap()),
            ..EvidenceView::default()
        };
        assert_eq!(
            explain("ACTIVE_DOWN_TIMER", Some(&silent)),
            "ACTIVE_DOWN_TIMER: 192.0.2.1 (prio 150) silent for 3.61s (limit 3.6s)"
        );
        assert_eq!(explain("PEER_PRIORITY_ZERO", Some(&silent)), "PEER_PRIORITY_ZERO: 192.0.2.1 released");
        assert_eq!(explain("LOCAL_PREEMPT", Some(&silent)), "LOCAL_PREEMPT: 192.0.2.1 (prio 150)");
    }

    fn silent_peer() -> EvidenceView {
        EvidenceView { peer_address: some("192.0.2.1"), peer_priority: Some(150), ..EvidenceView::default() }
    }

    #[test]
    fn an_explanation_copes_with_little() {
        assert_eq!(explain("AGENT_START", None), "AGENT_START");
        assert_eq!(explain("AGENT_START", Some(&EvidenceView::default())), "AGENT_START");
        assert_eq!(explain("", None), "");
        let check = EvidenceView {
            subject: some("nodes/a/checks/haproxy"),
            detail: some("exit 1"),
            ..EvidenceView::default()
        };
        assert_eq!(explain("CHECK_CHANGED", Some(&check)), "CHECK_CHANGED: haproxy: exit 1");
        let led = EvidenceView {
            subject: some("nodes/a/instances/lan"),
            detail: some("lan of its sync group is in Fault"),
            ..silent_peer()
        };
        assert_eq!(explain("SYNC_GROUP", Some(&led)), "SYNC_GROUP: with lan of its group");
    }

    #[test]
    fn an_unknown_cause_shows_its_number() {
        assert_eq!(cause_word(3), "ACTIVE_DOWN_TIMER");
        assert_eq!(cause_word(0), "");
        assert_eq!(cause_word(999), "CAUSE_999");
    }
}
