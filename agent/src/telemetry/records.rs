//! Events as OpenTelemetry log records: one for each event, never for an advert.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use ha_engine::{
    Audit, BalancerEvent, CheckEvent, Event, EventKind, Evidence, IntentEvent, JournalEvent, MoveEvent,
    NotifyEvent, PeerEvent, PoolEvent, Subject, WireEvent,
};
use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};

use crate::clock;

/// Emits an event as a named record, within the trace of its failover if it is part of one.
pub(super) fn emit(
    logger: &SdkLogger,
    sequence: u64,
    incarnation: &str,
    event: &Event,
    span: Option<&SpanContext>,
) {
    let mut record = logger.create_log_record();
    let (severity, text) = severity(event);
    record.set_event_name(event_name(event.type_name()));
    record.set_timestamp(clock::wall(event.at));
    record.set_observed_timestamp(SystemTime::now());
    record.set_severity_number(severity);
    record.set_severity_text(text);
    record.set_body(event.to_string().into());
    record.add_attribute("sequence", i64::try_from(sequence).unwrap_or(i64::MAX));
    record.add_attribute("incarnation", incarnation.to_owned());
    record.add_attribute("cause", event.cause.as_str());
    add_subject(&mut record, &event.subject);
    add_kind(&mut record, &event.kind);
    add_evidence(&mut record, &event.evidence);
    add_actor(&mut record, event);
    if let Some(span) = span {
        record.set_trace_context(span.trace_id(), span.span_id(), Some(span.trace_flags()));
    }
    logger.emit(record);
}

fn severity(event: &Event) -> (Severity, &'static str) {
    match event.severity() {
        ha_engine::Severity::Info => (Severity::Info, "INFO"),
        ha_engine::Severity::Warn => (Severity::Warn, "WARN"),
        ha_engine::Severity::Error => (Severity::Error, "ERROR"),
    }
}

/// "ha_agent." and the event's type. OpenTelemetry wants a name that lives for ever: each is made once and kept, and
/// there are as many as the engine has types.
fn event_name(type_name: &'static str) -> &'static str {
    static NAMES: Mutex<BTreeMap<&'static str, &'static str>> = Mutex::new(BTreeMap::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    names.entry(type_name).or_insert_with(|| format!("ha_agent.{type_name}").leak())
}

fn add_subject(record: &mut SdkLogRecord, subject: &Subject) {
    match subject {
        Subject::Node => {}
        Subject::Interface(name) => record.add_attribute("interface", name.to_string()),
        Subject::Instance(_, name) => record.add_attribute("vrrp_instance", name.to_string()),
        Subject::Vip(_, name, address) => {
            record.add_attribute("vrrp_instance", name.to_string());
            record.add_attribute("vip", address.to_string());
        }
        Subject::Group(name) => record.add_attribute("group", name.to_string()),
        Subject::Check(fact) => record.add_attribute("check", fact.to_string()),
        Subject::Pool(pool) => record.add_attribute("pool", pool.to_string()),
        Subject::Server(pool, server) => {
            record.add_attribute("pool", pool.to_string());
            record.add_attribute("server", server.to_string());
        }
        Subject::Notifier(name) => record.add_attribute("notifier", name.to_string()),
        Subject::Peer(name) => record.add_attribute("peer.node", name.to_string()),
    }
}

/// What the kind of event adds.
fn add_kind(record: &mut SdkLogRecord, kind: &EventKind) {
    let mut add = |key: &'static str, value: AnyValue| record.add_attribute(key, value);
    match kind {
        EventKind::StateChanged { from, to } | EventKind::GroupStateChanged { from, to } => {
            add("from", from.as_str().into());
            add("to", to.as_str().into());
        }
        EventKind::Adopted { state, silent } => {
            add("state", state.as_str().into());
            add("duration", silent.as_secs_f64().into());
        }
        EventKind::PriorityChanged { from, to } => {
            add("from", i64::from(from.get()).into());
            add("to", i64::from(to.get()).into());
        }
        EventKind::OverrideSet { priority, reason, lasts } => {
            add("priority", i64::from(priority.get()).into());
            add("reason", reason.to_string().into());
            lasts.iter().for_each(|lasts| add("lasts", lasts.as_secs_f64().into()));
        }
        EventKind::ActiveObserved { address, priority } => {
            add("peer", address.to_string().into());
            add("peer.priority", i64::from(*priority).into());
        }
        EventKind::DuplicateActiveBegan { address } => add("peer", address.to_string().into()),
        EventKind::DuplicateActiveEnded { address, lasted } => {
            add("peer", address.to_string().into());
            add("duration", lasted.as_secs_f64().into());
        }
        EventKind::AddressesHeld { took }
        | EventKind::AddressesReleased { took }
        | EventKind::Announced { took } => {
            add("duration", took.as_secs_f64().into());
        }
        EventKind::AddressFailed { error } => add("error", error.to_string().into()),
        EventKind::ConfigurationRejected { error, count } => {
            add("error", error.to_string().into());
            add("count", i64::try_from(*count).unwrap_or(i64::MAX).into());
        }
        EventKind::ConfigurationLoaded { digest } => add("digest", digest.to_string().into()),
        EventKind::Stalled { duration } => add("duration", duration.as_secs_f64().into()),
        EventKind::AdvertDiffers { oddity, source } => {
            add("reason", oddity.describe().into());
            add("peer", source.to_string().into());
        }
        EventKind::Discarded { reason, source, count } => {
            add("error.type", reason.as_str().into());
            add("peer", source.to_string().into());
            add("count", i64::try_from(*count).unwrap_or(i64::MAX).into());
        }
        EventKind::Check(event) => add_check(add, event),
        EventKind::Pool(event) => add_pool(add, event),
        EventKind::Balancer(event) => add_balancer(add, event),
        EventKind::Notify(event) => add_notify(add, event),
        EventKind::Wire(event) => add_wire(add, event),
        EventKind::Move(event) => add_move(add, event),
        EventKind::Peer(PeerEvent::Reachable { after }) => add("duration", after.as_secs_f64().into()),
        EventKind::Peer(PeerEvent::Silent { why }) => add("error", why.to_string().into()),
        EventKind::Journal(event) => add_journal(add, event),
        EventKind::Intent(event) => add_intent(add, event),
        EventKind::Audit(audit) => add_audit(add, audit),
        EventKind::OverrideCleared
        | EventKind::AddressLost
        | EventKind::InstanceAdded
        | EventKind::InstanceRemoved
        | EventKind::InstanceChanged => {}
    }
}

fn add_check(mut add: impl FnMut(&'static str, AnyValue), event: &CheckEvent) {
    match event {
        CheckEvent::Changed { from, to } => {
            add("from", from.as_str().into());
            add("to", to.as_str().into());
        }
        CheckEvent::RemedyRan { succeeded } => add("succeeded", (*succeeded).into()),
        CheckEvent::RemedyEnded { helped } => add("helped", (*helped).into()),
        CheckEvent::Muted { reason, lasts } => {
            add("reason", reason.to_string().into());
            lasts.iter().for_each(|lasts| add("lasts", lasts.as_secs_f64().into()));
        }
        CheckEvent::Damped { falls, hold } => {
            add("count", i64::from(*falls).into());
            add("lasts", hold.as_secs_f64().into());
        }
        CheckEvent::Overrun { count } | CheckEvent::Inconclusive { count } => {
            add("count", i64::try_from(*count).unwrap_or(i64::MAX).into());
        }
        CheckEvent::RemedyStarted | CheckEvent::Unmuted => {}
    }
}

fn add_move(mut add: impl FnMut(&'static str, AnyValue), event: &MoveEvent) {
    match event {
        MoveEvent::Drained { reason, lasts } | MoveEvent::PreemptHeld { reason, lasts } => {
            add("reason", reason.to_string().into());
            lasts.iter().for_each(|lasts| add("lasts", lasts.as_secs_f64().into()));
        }
        MoveEvent::HandoverBegan { to } => to.iter().for_each(|to| add("peer", to.to_string().into())),
        MoveEvent::Undrained | MoveEvent::HandoverFailed | MoveEvent::PreemptReleased => {}
    }
}

fn add_notify(mut add: impl FnMut(&'static str, AnyValue), event: &NotifyEvent) {
    let count = |count: u64| AnyValue::from(i64::try_from(count).unwrap_or(i64::MAX));
    match event {
        NotifyEvent::Failing { error } => add("error", error.to_string().into()),
        NotifyEvent::Dropped { count: dropped } => add("count", count(*dropped)),
        NotifyEvent::Recovered { dropped, lasted } => {
            add("count", count(*dropped));
            add("duration", lasted.as_secs_f64().into());
        }
    }
}

fn add_intent(mut add: impl FnMut(&'static str, AnyValue), event: &IntentEvent) {
    match event {
        IntentEvent::Restored { intent, lasts } => {
            add("reason", intent.reason.to_string().into());
            lasts.iter().for_each(|lasts| add("lasts", lasts.as_secs_f64().into()));
        }
        IntentEvent::Expired { intent, .. } => add("reason", intent.reason.to_string().into()),
        IntentEvent::Dropped { intent, why } => {
            add("reason", intent.reason.to_string().into());
            add("error", why.to_string().into());
        }
        IntentEvent::Unread { error } | IntentEvent::NotForgotten { error, .. } => {
            add("error", error.to_string().into());
        }
    }
}

fn add_wire(mut add: impl FnMut(&'static str, AnyValue), event: &WireEvent) {
    match event {
        WireEvent::Reannounced { reason } => add("reason", reason.to_string().into()),
        WireEvent::ConflictFound { macs, .. } => {
            add("count", i64::try_from(macs.len()).unwrap_or(i64::MAX).into());
        }
    }
}

fn add_journal(mut add: impl FnMut(&'static str, AnyValue), event: &JournalEvent) {
    match event {
        JournalEvent::Failing { error } => add("error", error.to_string().into()),
        JournalEvent::Recovered { lost, lasted } => {
            add("count", i64::try_from(*lost).unwrap_or(i64::MAX).into());
            add("duration", lasted.as_secs_f64().into());
        }
    }
}

fn add_audit(mut add: impl FnMut(&'static str, AnyValue), audit: &Audit) {
    let texts = [
        ("method", Some(&audit.method)),
        ("reason", Some(&audit.reason)),
        ("before", Some(&audit.before)),
        ("after", Some(&audit.after)),
        ("error.type", audit.refusal.as_ref().map(|refused| &refused.code)),
        ("error", audit.refusal.as_ref().map(|refused| &refused.reason)),
    ];
    for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text?))) {
        if !text.is_empty() {
            add(key, text.to_string().into());
        }
    }
}

fn add_pool(mut add: impl FnMut(&'static str, AnyValue), event: &PoolEvent) {
    let mut count = |key, count: &u32| add(key, i64::from(*count).into());
    match event {
        PoolEvent::Changed { from, to, weight, quorum } => {
            count("weight", weight);
            count("quorum", quorum);
            add("from", from.as_str().into());
            add("to", to.as_str().into());
        }
        PoolEvent::ServerLeft(standing)
        | PoolEvent::ServerReturned(standing)
        | PoolEvent::ServerKept(standing) => {
            count("used", &standing.used);
            count("total", &standing.total);
        }
        PoolEvent::ServerDrained { reason, lasts } => {
            add("reason", reason.to_string().into());
            lasts.iter().for_each(|lasts| add("lasts", lasts.as_secs_f64().into()));
        }
        PoolEvent::FloorReached { failing, kept, floor, total } => {
            count("failing", failing);
            count("kept", kept);
            count("floor", floor);
            count("total", total);
        }
        PoolEvent::MassFailure { failed, total } => {
            count("failing", failed);
            count("total", total);
        }
        PoolEvent::ServerUndrained | PoolEvent::FloorLeft | PoolEvent::SorryIn | PoolEvent::SorryOut => {}
    }
}

fn add_balancer(mut add: impl FnMut(&'static str, AnyValue), event: &BalancerEvent) {
    match event {
        BalancerEvent::Applied { generation, servers, took } => {
            add("generation", i64::try_from(*generation).unwrap_or(i64::MAX).into());
            add("servers", i64::from(*servers).into());
            add("duration", took.as_secs_f64().into());
        }
        BalancerEvent::Failed { error } => add("error", error.to_string().into()),
    }
}

fn add_evidence(record: &mut SdkLogRecord, evidence: &Evidence) {
    let mut add = |key: &'static str, value: Option<AnyValue>| {
        if let Some(value) = value {
            record.add_attribute(key, value);
        }
    };
    add("evidence.peer", evidence.peer.map(|peer| peer.to_string().into()));
    add("evidence.peer_priority", evidence.peer_priority.map(|priority| i64::from(priority).into()));
    add("evidence.local_priority", evidence.local_priority.map(|priority| i64::from(priority.get()).into()));
    add(
        "evidence.last_advertisement_age",
        evidence.last_advertisement_age.map(|age| age.as_secs_f64().into()),
    );
    add(
        "evidence.active_down_interval",
        evidence.active_down_interval.map(|limit| limit.as_secs_f64().into()),
    );
    add("evidence.stalled", evidence.stalled.map(|stalled| stalled.as_secs_f64().into()));
    add("evidence.subject", evidence.subject.as_ref().map(|subject| subject.to_string().into()));
    add("evidence.detail", evidence.detail.as_ref().map(|detail| detail.to_string().into()));
}

fn add_actor(record: &mut SdkLogRecord, event: &Event) {
    let Some(actor) = &event.actor else { return };
    let texts = [
        ("actor.principal", &actor.principal),
        ("actor.peer_address", &actor.peer_address),
        ("actor.request_id", &actor.request_id),
        ("actor.trace_id", &actor.trace_id),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        record.add_attribute(key, text.clone());
    }
}
