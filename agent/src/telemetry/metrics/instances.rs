//! Metrics about instances and their addresses.

use std::sync::{Arc, PoisonError};

use ha_engine::{Discard, Family, InstanceConfig, InstanceStatus, StateName, VirtualAddress};
use opentelemetry::{KeyValue, Value};

use super::super::counts::InstanceCounts;
use super::super::schema;
use super::{Emit, Facts, Registrar};
use crate::driver::Snapshot;

pub(super) fn register(registrar: &Registrar<'_>) {
    registrar.up_down_counter(&schema::STATUS, status);
    registrar.counter(&schema::TRANSITIONS, transitions);
    registrar.gauge(&schema::PRIORITY, priority);
    registrar.counter(&schema::ADVERTISEMENTS, advertisements);
    registrar.counter(&schema::ADVERTISEMENT_ERRORS, advertisement_errors);
    registrar.gauge(&schema::ACTIVE_DOWN_MARGIN, active_down_margin);
    registrar.counter(&schema::DUPLICATE_ACTIVE, |facts, emit| {
        each(facts, |instance| emit(instance.counters.duplicate_active, &of(instance, [])));
    });
    registrar.up_down_counter(&schema::DUPLICATE_ACTIVE_STATUS, |facts, emit| {
        each(facts, |instance| emit(i64::from(instance.rival.is_some()), &of(instance, [])));
    });
    registrar.up_down_counter(&schema::OVERRIDE_ACTIVE, |facts, emit| {
        each(facts, |instance| emit(i64::from(instance.override_.is_some()), &of(instance, [])));
    });
    registrar.up_down_counter(&schema::VIP_STATUS, vip_status);
    registrar.counter(&schema::VIP_CONFLICTS, conflicts);
    registrar.counter(&schema::VIP_ANNOUNCEMENTS, announcements);
}

/// The attributes of an instance and more, in the order of their names, which saves the SDK a second entry for each.
fn of<const N: usize>(instance: &InstanceStatus, more: [KeyValue; N]) -> Vec<KeyValue> {
    let mut attributes = Vec::with_capacity(schema::INSTANCE_ATTRIBUTES.len() + N);
    attributes.extend(instance_attributes(&instance.config));
    attributes.extend(more);
    attributes.sort_unstable_by(|left, right| left.key.cmp(&right.key));
    attributes
}

/// The attributes of an address of an instance and more: `interface` is the link that holds it.
fn of_address<const N: usize>(
    instance: &InstanceStatus,
    own: &VirtualAddress,
    more: [KeyValue; N],
) -> Vec<KeyValue> {
    let mut attributes = of(instance, more);
    let link = attributes.iter_mut().filter(|_| own.interface.is_some());
    for attribute in link.filter(|attribute| attribute.key.as_str() == "interface") {
        *attribute = KeyValue::new("interface", Arc::clone(instance.config.link_of(own)));
    }
    attributes
}

/// What names an instance in metrics and spans: [`schema::INSTANCE_ATTRIBUTES`].
pub(in crate::telemetry) fn instance_attributes(config: &InstanceConfig) -> [KeyValue; 4] {
    let family = match config.family {
        Family::Ipv4 => "ipv4",
        Family::Ipv6 => "ipv6",
    };
    [
        KeyValue::new("family", family),
        KeyValue::new("interface", Arc::clone(&config.interface)),
        KeyValue::new("vrid", i64::from(config.virtual_router_id.get())),
        KeyValue::new("vrrp_instance", Arc::clone(&config.name)),
    ]
}

fn word(key: &'static str, value: &'static str) -> KeyValue {
    KeyValue::new(key, value)
}

fn each(facts: &Facts, mut visit: impl FnMut(&InstanceStatus)) {
    facts.cache.current_blocking().instances.iter().for_each(&mut visit);
}

fn status(facts: &Facts, emit: Emit<'_, i64>) {
    each(facts, |instance| {
        for state in StateName::ALL {
            emit(i64::from(instance.state == state), &of(instance, [word("state", state.as_str())]));
        }
    });
}

fn priority(facts: &Facts, emit: Emit<'_, f64>) {
    each(facts, |instance| {
        emit(f64::from(instance.config.priority.get()), &of(instance, [word("kind", "base")]));
        emit(f64::from(instance.effective.value.get()), &of(instance, [word("kind", "effective")]));
    });
}

fn advertisements(facts: &Facts, emit: Emit<'_, u64>) {
    each(facts, |instance| {
        emit(instance.counters.sent, &of(instance, [word("direction", "transmit")]));
        emit(instance.counters.received, &of(instance, [word("direction", "receive")]));
    });
}

/// Only reasons that occurred: sixteen series of zeros for each instance would help nobody.
fn advertisement_errors(facts: &Facts, emit: Emit<'_, u64>) {
    let snapshot = facts.cache.current_blocking();
    for instance in &snapshot.instances {
        for (reason, count) in instance.counters.discarded.iter().filter(|(_, count)| *count > 0) {
            emit(count, &of(instance, [error_type(reason)]));
        }
    }
    for (interface, reason, count) in &snapshot.discarded {
        emit(*count, &[error_type(*reason), KeyValue::new("interface", Arc::clone(interface))]);
    }
}

fn error_type(reason: Discard) -> KeyValue {
    word("error.type", reason.as_str())
}

fn active_down_margin(facts: &Facts, emit: Emit<'_, f64>) {
    let snapshot = facts.cache.current_blocking();
    let backups = snapshot.instances.iter().filter(|instance| instance.state == StateName::Backup);
    for instance in backups {
        if let Some(advert) = instance.last_advert {
            let age = snapshot.at.since(advert.at);
            let margin = instance.active_down_interval.as_secs_f64() - age.as_secs_f64();
            emit(margin, &of(instance, []));
        }
    }
}

fn vip_status(facts: &Facts, emit: Emit<'_, i64>) {
    each(facts, |instance| {
        for own in instance.config.addresses.iter() {
            let mut states = |view, states: &[&'static str], now: &'static str| {
                for &state in states {
                    let more = [
                        word("state", state),
                        word("view", view),
                        KeyValue::new("vip", own.address.to_string()),
                    ];
                    emit(i64::from(state == now), &of_address(instance, own, more));
                }
            };
            let desired = if instance.state == StateName::Active { "PRESENT" } else { "ABSENT" };
            states("desired", &["ABSENT", "PRESENT"], desired);
            states(
                "kernel",
                &["ABSENT", "CONFIGURING", "PRESENT", "FAILED", "UNKNOWN"],
                kernel_state(facts, instance, own),
            );
        }
    });
}

/// What the kernel has, in the words of `ha.agent.v1.Vip.State`: its last word on the ownership, made more exact by a
/// reading of the kernel where there is one.
fn kernel_state(facts: &Facts, instance: &InstanceStatus, own: &VirtualAddress) -> &'static str {
    let active = instance.state == StateName::Active;
    let held = facts.kernel.as_ref().and_then(|holds| holds(instance.config.link_of(own), own.address));
    match (held, active, &instance.applied) {
        (Some(true), _, _) => "PRESENT",
        (Some(false), true, Some(Err(_))) | (None, true, Some(Err(_))) => "FAILED",
        (Some(false), true, None) | (None, true, None) => "CONFIGURING",
        (Some(false), _, _) => "ABSENT",
        (None, true, Some(Ok(()))) => "PRESENT",
        (None, false, Some(Ok(()))) => "ABSENT",
        (None, false, _) => "UNKNOWN",
    }
}

fn transitions(facts: &Facts, emit: Emit<'_, u64>) {
    each_counted(facts, |instance, counts| {
        for ((from, to, cause), count) in &counts.transitions {
            let more = [word("cause", cause.as_str()), word("from", from.as_str()), word("to", to.as_str())];
            emit(*count, &of(instance, more));
        }
    });
}

fn conflicts(facts: &Facts, emit: Emit<'_, u64>) {
    each_counted(facts, |instance, counts| {
        for own in instance.config.addresses.iter() {
            let count = counts.conflicts.get(&own.address).copied().unwrap_or_default();
            let vip = KeyValue::new("vip", Value::from(own.address.to_string()));
            emit(count, &of_address(instance, own, [vip]));
        }
    });
}

fn announcements(facts: &Facts, emit: Emit<'_, u64>) {
    each_counted(facts, |instance, counts| emit(counts.announcements, &of(instance, [])));
}

/// Visits every instance of the snapshot with what its events add up to.
fn each_counted(facts: &Facts, mut visit: impl FnMut(&InstanceStatus, &InstanceCounts)) {
    let snapshot: Arc<Snapshot> = facts.cache.current_blocking();
    let events = facts.events.lock().unwrap_or_else(PoisonError::into_inner);
    let nothing = InstanceCounts::default();
    for instance in &snapshot.instances {
        visit(instance, events.instances.get(&instance.config.name).unwrap_or(&nothing));
    }
}
