//! Puts virtual routers together across nodes, by virtual router id, family and set of addresses; and virtual addresses
//! by address. An address is judged over everybody who has it, even if they disagree about its virtual router:
//! two holders are two holders.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use ha_proto::v1;
use jiff::Timestamp;

use super::Cluster;
use crate::clock::timestamp;
use crate::fanout::Snapshot;
use crate::model::{
    InstanceView, MemberView, VipView, family_word, presence, presence_word, role, tolerates,
};
use crate::names;
use crate::span::Span;
use crate::verdict::{Member, Presence, Reason, ReasonCode, Role, Verdict, judge, worst};

/// What makes virtual routers of different nodes the same one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct RouterKey {
    virtual_router_id: i32,
    family: i32,
    addresses: BTreeSet<String>,
}

impl RouterKey {
    fn of(instance: &v1::Instance) -> Self {
        RouterKey {
            virtual_router_id: instance.virtual_router_id,
            family: instance.family,
            addresses: instance.vips.iter().map(|name| names::last(name).to_owned()).collect(),
        }
    }
}

/// Whether two nodes mean the same virtual router: they have an address in common, or neither has any and the rest is
/// the same. Nodes that disagree about its number still contend for the address.
pub(super) fn is_same_router(one: &v1::Instance, other: &v1::Instance) -> bool {
    let (one, other) = (RouterKey::of(one), RouterKey::of(other));
    one == other || !one.addresses.is_disjoint(&other.addresses)
}

/// One node's part in an address, with all that is known of it.
struct Part<'a> {
    node: String,
    snapshot: &'a Snapshot,
    instance: &'a v1::Instance,
    vip: Option<&'a v1::Vip>,
}

/// Addresses in the order of their numbers; what is no address comes last, by its text.
type AddressKey = (Option<IpAddr>, String);

pub(super) fn vips(cluster: &Cluster) -> Vec<VipView> {
    let mut parts: BTreeMap<AddressKey, Vec<Part<'_>>> = BTreeMap::new();
    for (node, _, snapshot) in cluster.snapshots() {
        let by_name: HashMap<&str, &v1::Vip> =
            snapshot.vips.iter().map(|vip| (vip.name.as_str(), vip)).collect();
        for instance in &snapshot.instances {
            for name in &instance.vips {
                let address = names::last(name);
                let part =
                    Part { node: node.clone(), snapshot, instance, vip: by_name.get(name.as_str()).copied() };
                parts.entry((address.parse().ok(), address.to_owned())).or_default().push(part);
            }
        }
    }
    let missing = cluster.missing();
    let mut all: Vec<VipView> =
        parts.into_iter().map(|((_, address), parts)| view(address, &parts, &missing, cluster.now)).collect();
    all.sort_by_key(|vip| vip.address.parse::<IpAddr>().is_err()); // stable: only moves what is no address behind
    all
}

fn view(address: String, parts: &[Part<'_>], missing: &[String], now: Timestamp) -> VipView {
    let members: Vec<Member> = parts.iter().map(member).collect();
    let mut reasons = judge(&members, missing);
    reasons.extend(disagreement(parts));
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.verdict));
    let active = parts.iter().find(|part| part.instance.state() == v1::instance::State::Active);
    let router = active.map(|part| InstanceView::new(part.instance, part.snapshot.clock, now));
    let next = successors(parts);
    let first = active.unwrap_or(&parts[0]).instance;
    VipView {
        prefix_length: parts.iter().find_map(|part| part.vip).map_or(0, |vip| vip.prefix_length),
        verdict: worst(&reasons),
        reasons,
        held_by: labels(&members, |member| member.kernel == Presence::Present),
        active_on: labels(&members, |member| member.role == Role::Active),
        since: router.as_ref().and_then(|router| router.last_transition_time),
        age: router.as_ref().and_then(|router| router.state_age),
        cause: router.as_ref().map(|router| router.last_transition_cause.clone()).unwrap_or_default(),
        why: router.map(|router| router.why).unwrap_or_default(),
        event: None,
        before: None,
        next_effective_priority: next.first().map(|part| part.instance.effective_priority),
        next_crash_takeover: next
            .first()
            .and_then(|part| Some(part.instance.active_down_interval.as_ref()?.into())),
        next: next.iter().map(|part| part.node.clone()).collect(),
        virtual_router_id: first.virtual_router_id,
        family: family_word(family_of(&address).unwrap_or(first.family())),
        advertised: parts.iter().filter_map(|part| part.vip).all(|vip| !vip.unadvertised),
        warnings: warnings(parts, active),
        members: parts.iter().map(|part| member_view(part, now)).collect(),
        address,
    }
}

fn member(part: &Part<'_>) -> Member {
    let instance = part.instance;
    Member {
        node: part.node.clone(),
        role: role(instance.state()),
        desired: part.vip.map_or(Presence::Unknown, |vip| presence(vip.desired_state())),
        kernel: part.vip.map_or(Presence::Unknown, |vip| presence(vip.kernel_state())),
        rival: Some(instance.rival_address.clone()).filter(|rival| !rival.is_empty()),
        hears: heard(instance),
        fault_reasons: instance.fault_reasons.clone(),
    }
}

/// The Active router that a Backup hears, unless it has been silent for longer than the Active_Down_Interval.
pub(crate) fn heard(instance: &v1::Instance) -> Option<String> {
    let age = Span::from(instance.last_advertisement_age.as_ref()?);
    let limit = instance.active_down_interval.as_ref().map(Span::from);
    let fresh = limit.is_none_or(|limit| age <= limit);
    let heard = fresh && instance.state() == v1::instance::State::Backup;
    Some(instance.observed_active_address.clone()).filter(|address| heard && !address.is_empty())
}

fn labels(members: &[Member], condition: impl Fn(&Member) -> bool) -> Vec<String> {
    let labels: BTreeSet<&String> =
        members.iter().filter(|member| condition(member)).map(|member| &member.node).collect();
    labels.into_iter().cloned().collect()
}

fn disagreement(parts: &[Part<'_>]) -> Option<Reason> {
    let keys: Vec<RouterKey> = parts.iter().map(|part| RouterKey::of(part.instance)).collect();
    if keys.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let nodes: Vec<&str> = parts.iter().map(|part| part.node.as_str()).collect();
    let same_router = keys.windows(2).all(|pair| pair[0].virtual_router_id == pair[1].virtual_router_id);
    let each: Vec<String> = parts
        .iter()
        .zip(&keys)
        .map(|(part, key)| {
            let addresses: Vec<&str> = key.addresses.iter().map(String::as_str).collect();
            match same_router {
                true => format!("{} has {}", part.node, addresses.join(" ")),
                false => format!("{} has virtual router {}", part.node, key.virtual_router_id),
            }
        })
        .collect();
    let message = format!("the nodes disagree about its virtual router: {}", each.join(", "));
    Some(Reason::new(Verdict::Degraded, ReasonCode::ConfigurationDiffers, &nodes, message))
}

/// The Backups with the highest effective priority. Several when it is equal: the higher address wins then, and which
/// node has it is not known here.
fn successors<'a, 'b>(parts: &'b [Part<'a>]) -> Vec<&'b Part<'a>> {
    let backups = || parts.iter().filter(|part| part.instance.state() == v1::instance::State::Backup);
    let best = backups().map(|part| part.instance.effective_priority).max();
    backups().filter(|part| Some(part.instance.effective_priority) == best).collect()
}

fn warnings(parts: &[Part<'_>], active: Option<&Part<'_>>) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    if let Some(active) = active {
        let priority = active.instance.effective_priority;
        warnings.extend(parts.iter().filter_map(|part| preemption(part, priority)));
        if successors(parts).is_empty() {
            warnings.push("no other node that answered can take over".to_owned());
        }
    }
    warnings.extend(parts.iter().filter_map(override_warning));
    warnings
}

fn preemption(part: &Part<'_>, active: i32) -> Option<String> {
    let (node, instance) = (&part.node, part.instance);
    match (instance.state(), tolerates(instance)) {
        (v1::instance::State::Backup, _) if instance.wish() == v1::instance::Wish::Active => {
            let group = names::last(&instance.sync_group);
            Some(format!("{node} would take over, but its sync group {group} is not ready"))
        }
        (v1::instance::State::Backup, None) if instance.effective_priority > active => {
            Some(format!("{node} is about to preempt: prio {} > {active}", instance.effective_priority))
        }
        (v1::instance::State::Backup, Some(why)) if instance.effective_priority > active => {
            let priority = instance.effective_priority;
            Some(format!("{node} has prio {priority} > {active}, but does not preempt ({why})"))
        }
        (v1::instance::State::Fault, None) if instance.base_priority > active => Some(format!(
            "{node} will preempt when it leaves FAULT (preempt on, prio {})",
            instance.base_priority
        )),
        _ => None,
    }
}

fn override_warning(part: &Part<'_>) -> Option<String> {
    let given = part.instance.priority_override.as_ref()?;
    let until = match timestamp(given.expire_time.as_ref()) {
        Some(time) => format!("until {}", crate::render::utc(time)),
        None => "until cleared".to_owned(),
    };
    let who = given.actor.as_ref().map(|actor| format!(" by {}", actor.principal)).unwrap_or_default();
    let why = if given.reason.is_empty() { String::new() } else { format!(": {}", given.reason) };
    Some(format!(
        "priority of {} is overridden, {} instead of {} {until}{who}{why}",
        names::instance_label(&part.instance.name),
        given.priority,
        part.instance.base_priority
    ))
}

/// That of the address: one that is not advertised may be of another than its router.
fn family_of(address: &str) -> Option<v1::instance::Family> {
    Some(match address.parse().ok()? {
        IpAddr::V4(_) => v1::instance::Family::Ipv4,
        IpAddr::V6(_) => v1::instance::Family::Ipv6,
    })
}

fn member_view(part: &Part<'_>, now: Timestamp) -> MemberView {
    let router = InstanceView::new(part.instance, part.snapshot.clock, now);
    MemberView {
        node: part.node.clone(),
        effective_priority_because: router.priority_sum(),
        instance: router.instance,
        interface: part.vip.map_or(router.interface, |vip| vip.interface.clone()),
        state: router.state,
        desired_state: presence_word(part.vip.map(v1::Vip::desired_state).unwrap_or_default()),
        kernel_state: presence_word(part.vip.map(v1::Vip::kernel_state).unwrap_or_default()),
        base_priority: router.base_priority,
        effective_priority: router.effective_priority,
        preempt: router.preempt,
        tolerates: router.tolerates,
        active_down_interval: router.active_down_interval,
        last_change_time: part.vip.and_then(|vip| timestamp(vip.last_change_time.as_ref())),
        last_announce_time: part.vip.and_then(|vip| timestamp(vip.last_announce_time.as_ref())),
        announcement_count: part.vip.map_or(0, |vip| vip.announcement_count),
    }
}

/// What is wrong with virtual routers that have no address, and so would be in no address's verdict.
pub(super) fn reasons_without_address(cluster: &Cluster) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (node, _, snapshot) in cluster.snapshots() {
        for instance in snapshot.instances.iter().filter(|instance| instance.vips.is_empty()) {
            let label = names::instance_label(&instance.name);
            let (verdict, code, message) = match instance.state() {
                v1::instance::State::Fault => (
                    Verdict::Degraded,
                    ReasonCode::Fault,
                    format!("is in FAULT: {}", instance.fault_reasons.join("; ")),
                ),
                v1::instance::State::Active if !instance.rival_address.is_empty() => (
                    Verdict::SplitBrain,
                    ReasonCode::RivalHeard,
                    format!("is ACTIVE and hears another Active router at {}", instance.rival_address),
                ),
                _ => continue,
            };
            reasons.push(Reason::new(verdict, code, &[&node], format!("{label} {message}")));
        }
    }
    reasons
}
