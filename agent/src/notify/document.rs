//! An event as JSON, as `hactl events -o json` shows it, without what only a client knows (its clock, the order of events of
//! several nodes).

use std::time::SystemTime;

use ha_engine::Severity;
use ha_proto::v1;
use serde::Serialize;

/// The body of a webhook's request.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    name: String,
    node: String,
    incarnation_id: String,
    sequence: i64,
    event_time: Option<String>,
    monotonic_offset: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    severity: &'static str,
    subject: String,
    previous_state: String,
    current_state: String,
    cause: &'static str,
    evidence: Option<Evidence>,
    actor: Option<Actor>,
    message: String,
    caused_by_events: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Evidence {
    peer_address: Option<String>,
    peer_priority: Option<i32>,
    local_priority: Option<i32>,
    last_advertisement_age: Option<String>,
    active_down_interval: Option<String>,
    subject: Option<String>,
    detail: Option<String>,
    stalled_duration: Option<String>,
}

#[derive(Debug, Serialize)]
struct Actor {
    principal: String,
    roles: Vec<String>,
    peer_address: Option<String>,
    request_id: Option<String>,
    trace_id: Option<String>,
}

impl Document {
    /// From the control plane's message, so that the two cannot differ.
    pub(super) fn new(node: &str, event: v1::Event) -> Self {
        Self {
            node: node.to_owned(),
            severity: event.severity().as_str_name().trim_start_matches("SEVERITY_"),
            cause: match event.cause() {
                v1::Cause::Unspecified => "",
                cause => cause.as_str_name().trim_start_matches("CAUSE_"),
            },
            event_time: event.event_time.as_ref().and_then(timestamp),
            monotonic_offset: event.monotonic_offset.as_ref().map(span),
            evidence: event.evidence.map(Evidence::new),
            actor: event.actor.map(Actor::new),
            name: event.name,
            incarnation_id: event.incarnation_id,
            sequence: event.sequence,
            kind: event.r#type,
            subject: event.subject,
            previous_state: event.previous_state,
            current_state: event.current_state,
            message: event.message,
            caused_by_events: event.caused_by_events,
        }
    }

    /// The event's name, which is its identity: an event that is told twice has it twice.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The event's type.
    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    /// As the body of a request.
    pub(super) fn octets(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and lists are JSON")
    }
}

impl Evidence {
    fn new(evidence: v1::Evidence) -> Self {
        Self {
            peer_address: some(evidence.peer_address),
            peer_priority: evidence.peer_priority,
            local_priority: evidence.local_priority,
            last_advertisement_age: evidence.last_advertisement_age.as_ref().map(span),
            active_down_interval: evidence.active_down_interval.as_ref().map(span),
            subject: some(evidence.subject),
            detail: some(evidence.detail),
            stalled_duration: evidence.stalled_duration.as_ref().map(span),
        }
    }
}

impl Actor {
    fn new(actor: v1::Actor) -> Self {
        Self {
            principal: actor.principal,
            roles: actor.roles,
            peer_address: some(actor.peer_address),
            request_id: some(actor.request_id),
            trace_id: some(actor.trace_id),
        }
    }
}

/// RFC 3339 in UTC, with what is known of the fraction.
pub(super) fn time(wall: SystemTime) -> String {
    jiff::Timestamp::try_from(wall).map_or_else(|_| String::new(), |time| time.to_string())
}

/// INFO, WARN, ERROR.
pub(super) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "INFO",
        Severity::Warn => "WARN",
        Severity::Error => "ERROR",
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn timestamp(time: &prost_types::Timestamp) -> Option<String> {
    jiff::Timestamp::new(time.seconds, time.nanos).ok().map(|time| time.to_string())
}

/// Seconds with a suffix, as protobuf's JSON mapping: `3.61s`. Lengths of time in events are never negative.
fn span(duration: &prost_types::Duration) -> String {
    match duration.nanos {
        0 => format!("{}s", duration.seconds),
        nanos => format!("{}.{}s", duration.seconds, format!("{nanos:09}").trim_end_matches('0')),
    }
}
