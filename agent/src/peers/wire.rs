//! Peers' words on the wire: what this node says, and what others say, checked before it is believed. Here and in the other files
//! that convert are the only ones that know both.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{Actor, Cause, Family, Instant, Priority, StateName, VirtualRouterId};
use ha_proto::v1;
use prost::Message;

use super::take_over::LONGEST_LIMIT;
use super::{Announced, Refusal, Released, Router, RouterKey, TakeOverRequest};
use crate::api::convert;

/// The longest name of a node, an instance or a link that is believed.
const LONGEST_NAME: usize = 63;

/// Reasons of a fault that are kept, and characters of each.
const MOST_FAULTS: usize = 8;
const LONGEST_FAULT: usize = 256;

/// Causes of a hand-over or a release; others are none of a peer's business here.
const CAUSES: [Cause; 13] = [
    Cause::AdminDrain,
    Cause::AdminTransfer,
    Cause::AdminPriority,
    Cause::AgentStop,
    Cause::AgentStalled,
    Cause::AddressFailed,
    Cause::AddressConflict,
    Cause::CheckChanged,
    Cause::ConfigReload,
    Cause::InterfaceChanged,
    Cause::InstanceChanged,
    Cause::PeerHigherPriority,
    Cause::SyncGroup,
];

/// A router of this node as it is told at `now`.
pub(crate) fn router(router: &Router, now: Instant) -> v1::PeerRouter {
    v1::PeerRouter {
        name: router.name.to_string(),
        virtual_router_id: router.key.virtual_router_id.get().into(),
        family: convert::family(router.key.family).into(),
        addresses: router.key.addresses.iter().map(ToString::to_string).collect(),
        interface: router.interface.to_string(),
        source_address: router.source.map(|source| source.to_string()).unwrap_or_default(),
        state: convert::state(router.state).into(),
        effective_priority: router.priority.get().into(),
        fault_reasons: router.faults.iter().map(ToString::to_string).collect(),
        drained: router.drained,
        preempt: router.preempt,
        advertisement_interval: Some(convert::duration(router.interval)),
        observed_active_address: router.hears.map(|address| address.to_string()).unwrap_or_default(),
        state_age: Some(convert::duration(now.since(router.since))),
    }
}

/// What a peer says of one of its routers, heard at `now`; or what is wrong with it.
pub(super) fn router_from_wire(router: v1::PeerRouter, now: Instant) -> Result<Router, String> {
    let name = name(&router.name, "name")?;
    let key = key_of(router.virtual_router_id, router.family, &router.addresses)?;
    let age = router.state_age.as_ref().and_then(convert::checked_duration).unwrap_or_default();
    let interval = router.advertisement_interval.as_ref().and_then(convert::checked_duration);
    Ok(Router {
        name,
        key,
        interface: router.interface.chars().take(LONGEST_NAME).collect::<String>().into(),
        source: optional_address(&router.source_address)?,
        state: state(router.state)?,
        since: Instant::from_nanos(now.as_nanos().saturating_sub(nanos(age))),
        priority: priority(router.effective_priority)?,
        faults: router.fault_reasons.iter().take(MOST_FAULTS).map(|fault| cut(fault)).collect(),
        drained: router.drained,
        preempt: router.preempt,
        interval: interval.unwrap_or_default().min(Duration::from_secs(255)),
        hears: optional_address(&router.observed_active_address)?,
    })
}

/// Which router is meant.
fn key_from_wire(key: Option<v1::RouterKey>) -> Result<RouterKey, String> {
    let key = key.ok_or("no router is named")?;
    key_of(key.virtual_router_id, key.family, &key.addresses)
}

fn key(key: &RouterKey) -> v1::RouterKey {
    v1::RouterKey {
        virtual_router_id: key.virtual_router_id.get().into(),
        family: convert::family(key.family).into(),
        addresses: key.addresses.iter().map(ToString::to_string).collect(),
    }
}

fn key_of(virtual_router_id: i32, family: i32, addresses: &[String]) -> Result<RouterKey, String> {
    /// What an advert can carry.
    const MOST: usize = 255;
    let number = u8::try_from(virtual_router_id).ok().and_then(VirtualRouterId::new);
    let number = number.ok_or_else(|| format!("{virtual_router_id} is no virtual router ID"))?;
    let family = match v1::instance::Family::try_from(family) {
        Ok(v1::instance::Family::Ipv4) => Family::Ipv4,
        Ok(v1::instance::Family::Ipv6) => Family::Ipv6,
        _ => return Err(format!("{family} is no family of addresses")),
    };
    if addresses.len() > MOST {
        return Err(format!("a router has {} addresses", addresses.len()));
    }
    let addresses: Result<Vec<IpAddr>, String> = addresses.iter().map(|text| address(text)).collect();
    Ok(RouterKey::new(number, family, addresses?))
}

/// What is asked of a peer.
pub(super) fn request(node: &str, request: &TakeOverRequest) -> v1::TakeOverRequest {
    v1::TakeOverRequest {
        node: node.to_owned(),
        router: Some(key(&request.router)),
        holder_address: request.holder.to_string(),
        time_limit: Some(convert::duration(request.limit)),
        cause: convert::cause(request.cause).into(),
        actor: Some(convert::actor(&request.actor)),
        request_id: request.actor.request_id.clone(),
        sent_at: Some(sent_now()),
    }
}

/// The time that a message bears.
pub(super) fn sent_now() -> prost_types::Duration {
    convert::duration(super::delay::now())
}

/// What a peer asks of this node; or what is wrong with it.
pub(crate) fn request_from_wire(request: v1::TakeOverRequest) -> Result<TakeOverRequest, String> {
    let limit = request.time_limit.as_ref().and_then(convert::checked_duration).unwrap_or_default();
    if !(Duration::from_millis(1)..=LONGEST_LIMIT).contains(&limit) {
        return Err(format!("time_limit {limit:?} is not within 1 ms to {LONGEST_LIMIT:?}"));
    }
    let cut = |text: &str| cut(text).to_string();
    let actor = request.actor.unwrap_or_default();
    Ok(TakeOverRequest {
        router: key_from_wire(request.router)?,
        holder: address(&request.holder_address)?,
        limit,
        cause: cause(request.cause).unwrap_or(Cause::AdminPriority),
        actor: Arc::new(Actor {
            principal: cut(&actor.principal),
            roles: actor.roles.iter().take(4).map(|role| cut(role)).collect(),
            peer_address: cut(&actor.peer_address),
            request_id: cut(&request.request_id),
            trace_id: cut(&actor.trace_id),
        }),
    })
}

/// The answer to a request.
pub(crate) fn announced_to_wire(announced: Announced) -> v1::TakeOverResponse {
    v1::TakeOverResponse {
        held_after: Some(convert::duration(announced.held_after)),
        announced_after: Some(convert::duration(announced.announced_after)),
    }
}

pub(super) fn announced(answer: &v1::TakeOverResponse) -> Result<Announced, Refusal> {
    let part =
        |duration: &Option<prost_types::Duration>| duration.as_ref().and_then(convert::checked_duration);
    part(&answer.held_after)
        .zip(part(&answer.announced_after))
        .map(|(held_after, announced_after)| Announced { held_after, announced_after })
        .ok_or_else(|| Refusal::Unreachable("its answer cannot be understood; compare the versions".into()))
}

/// What this node has released, in messages that a peer takes.
pub(super) fn released(routers: &[Released]) -> Vec<v1::PeerReleased> {
    let router = |released: &Released| v1::ReleasedRouter {
        router: Some(key(&released.router)),
        source_address: released.holder.to_string(),
        successor: released.successor.as_deref().unwrap_or_default().to_owned(),
        cause: convert::cause(released.cause).into(),
    };
    in_parts(routers.iter().map(router)).into_iter().map(|routers| v1::PeerReleased { routers }).collect()
}

/// Parts that fit into messages which a peer takes: it refuses a mebibyte, and a router with all the addresses that an advert carries
/// has 4 KiB.
pub(super) fn in_parts<T: Message>(all: impl Iterator<Item = T>) -> Vec<Vec<T>> {
    const ENOUGH: usize = 128 << 10;
    let (mut parts, mut octets) = (Vec::<Vec<T>>::new(), ENOUGH);
    for one in all {
        let more = one.encoded_len();
        match parts.last_mut().filter(|_| octets < ENOUGH) {
            Some(part) => part.push(one),
            None => {
                parts.push(vec![one]);
                octets = 0;
            }
        }
        octets += more;
    }
    parts
}

/// What a peer says that it has released.
pub(super) fn released_from_wire(released: v1::PeerReleased) -> Result<Vec<Released>, String> {
    let router = |released: v1::ReleasedRouter| {
        let successor = match released.successor.as_str() {
            "" => None,
            text => Some(name(text, "successor")?),
        };
        Ok(Released {
            router: key_from_wire(released.router)?,
            holder: address(&released.source_address)?,
            successor,
            cause: cause(released.cause).unwrap_or(Cause::InstanceChanged),
        })
    };
    released.routers.into_iter().map(router).collect()
}

pub(super) fn name(text: &str, what: &str) -> Result<Arc<str>, String> {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let fits = !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(is_fit);
    fits.then(|| text.into()).ok_or_else(|| format!("{what} {:?} is none", cut(text)))
}

fn cause(number: i32) -> Option<Cause> {
    CAUSES.into_iter().find(|cause| i32::from(convert::cause(*cause)) == number)
}

fn state(number: i32) -> Result<StateName, String> {
    let state = StateName::ALL.into_iter().find(|state| i32::from(convert::state(*state)) == number);
    state.ok_or_else(|| format!("{number} is no state"))
}

fn priority(number: i32) -> Result<Priority, String> {
    let priority = u8::try_from(number).ok().and_then(Priority::new);
    priority.ok_or_else(|| format!("{number} is no priority"))
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{:?} is no address", cut(text)))
}

fn optional_address(text: &str) -> Result<Option<IpAddr>, String> {
    if text.is_empty() { Ok(None) } else { address(text).map(Some) }
}

/// What goes into logs and events of ours.
pub(super) fn cut(text: &str) -> Arc<str> {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_FAULT).collect::<String>().into()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
