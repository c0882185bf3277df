//! Metrics about the node and the agent itself.

use std::sync::atomic::Ordering;

use opentelemetry::KeyValue;

use super::super::flow::Flow;
use super::super::plan::Signal;
use super::super::schema;
use super::{Emit, Facts, Registrar};
use crate::notify::Counts;

pub(super) fn register(registrar: &Registrar<'_>) {
    registrar.gauge(&schema::BUILD_INFO, build_info);
    registrar.up_down_counter(&schema::API_WATCHERS, watchers);
    registrar.counter(&schema::API_WATCH_LOST, |facts, emit| {
        emit(facts.node.api.lost_events.load(Ordering::Relaxed), &[]);
    });
    registrar.counter(&schema::API_DENIED, |facts, emit| {
        emit(facts.node.api.denied.load(Ordering::Relaxed), &[]);
    });
    registrar.counter(&schema::API_CONNECTIONS_REFUSED, |facts, emit| {
        emit(facts.node.api.connections_refused.load(Ordering::Relaxed), &[]);
    });
    registrar.counter(&schema::API_ANSWERS_REFUSED, |facts, emit| {
        emit(facts.node.api.answers_refused.load(Ordering::Relaxed), &[]);
    });
    registrar.counter(&schema::EVENTS_LOST, |facts, emit| {
        emit(facts.node.events_lost(), &[]);
    });
    registrar.counter(&schema::CONFIG_RELOADS, reloads);
    registrar.counter(&schema::TELEMETRY_EXPORTED, |facts, emit| {
        records(facts, |flow, by| emit(flow.delivered(), by))
    });
    registrar.up_down_counter(&schema::TELEMETRY_WAITING, |facts, emit| {
        records(facts, |flow, by| emit(i64::try_from(flow.waiting()).unwrap_or(i64::MAX), by));
    });
    registrar.counter(&schema::TELEMETRY_DROPPED, |facts, emit| {
        records(facts, |flow, by| emit(flow.dropped(), by))
    });
    registrar.counter(&schema::TELEMETRY_EXPORT_FAILURES, failures);
    registrar.counter(&schema::LOG_LOST, |facts, emit| emit(facts.log_lost.load(Ordering::Relaxed), &[]));
    registrar.counter(&schema::NOTIFY_DELIVERED, |facts, emit| {
        notifiers(facts, |counts, by| emit(counts.delivered(), by));
    });
    registrar.counter(&schema::NOTIFY_FAILURES, |facts, emit| {
        notifiers(facts, |counts, by| emit(counts.failures(), by));
    });
    registrar.counter(&schema::NOTIFY_DROPPED, |facts, emit| {
        notifiers(facts, |counts, by| emit(counts.dropped(), by));
    });
    registrar.up_down_counter(&schema::NOTIFY_WAITING, |facts, emit| {
        notifiers(facts, |counts, by| emit(i64::try_from(counts.waiting()).unwrap_or(i64::MAX), by));
    });
}

fn build_info(facts: &Facts, emit: Emit<'_, f64>) {
    let identity = &facts.identity;
    emit(
        1.0,
        &[
            KeyValue::new("incarnation", identity.incarnation.clone()),
            KeyValue::new("node", identity.node.clone()),
            KeyValue::new("version", identity.version.clone()),
        ],
    );
}

fn watchers(facts: &Facts, emit: Emit<'_, i64>) {
    emit(i64::try_from(facts.node.api.watchers.load(Ordering::Relaxed)).unwrap_or(i64::MAX), &[]);
}

fn reloads(facts: &Facts, emit: Emit<'_, u64>) {
    let (success, failure) = facts.node.reloads();
    emit(success, &[KeyValue::new("outcome", "success")]);
    emit(failure, &[KeyValue::new("outcome", "failure")]);
}

/// Visits the signals whose records wait and can be dropped. Metrics are read at the moment of their export.
fn records(facts: &Facts, mut visit: impl FnMut(&Flow, &[KeyValue])) {
    for (signal, flow) in facts.flows.iter().filter(|(signal, _)| *signal != Signal::Metrics) {
        visit(flow, &[KeyValue::new("signal", signal.as_str())]);
    }
}

fn notifiers(facts: &Facts, mut visit: impl FnMut(&Counts, &[KeyValue])) {
    for (name, counts) in facts.node.notifications.counts() {
        visit(&counts, &[KeyValue::new("notifier", name)]);
    }
}

fn failures(facts: &Facts, emit: Emit<'_, u64>) {
    for (signal, flow) in &facts.flows {
        emit(flow.failures(), &[KeyValue::new("signal", signal.as_str())]);
    }
}
