//! The engine's words as the contract's: here and below are the only files that know both.

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use ha_engine as engine;
use ha_engine::{Fault, InstanceStatus, Instant, StateName};
use ha_proto::v1;

use super::KernelAddress;
use super::names::Names;
use super::tokens;
use crate::journal::{Journal, Record, WallClock, subject_name};

mod check;
mod pool;
mod track;

pub(crate) use check::Dependents;

/// What every conversion needs to know about this node.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) names: &'a Names,
    pub(crate) incarnation: &'a str,
    pub(crate) clock: &'a WallClock,
    /// When the snapshot was taken.
    pub(crate) at: Instant,
}

impl Context<'_> {
    /// A decision clock's instant on the wire.
    pub(crate) fn time(&self, instant: Instant) -> Option<prost_types::Timestamp> {
        Some(timestamp(self.clock.wall(instant)))
    }

    /// An instance as it stands.
    pub(crate) fn instance(&self, status: &InstanceStatus) -> v1::Instance {
        let config = &status.config;
        let observed = observed_active(status, self.at);
        v1::Instance {
            name: self.names.instance(&config.name),
            virtual_router_id: config.virtual_router_id.get().into(),
            family: family(config.family).into(),
            vrrp_version: config.version().number().into(),
            interface: config.interface.to_string(),
            state: state(status.state).into(),
            last_transition_time: self.time(status.since),
            last_transition_cause: cause(status.cause).into(),
            last_transition_evidence: Some(evidence(self.names, &status.evidence)),
            transition_count: signed(status.transitions),
            base_priority: config.priority.get().into(),
            effective_priority: status.effective.value.get().into(),
            priority_contributions: status.effective.because.iter().map(contribution).collect(),
            priority_override: status.override_.as_ref().map(|override_| self.priority_override(override_)),
            preempt: config.preempt,
            advertisement_interval: Some(duration(config.interval.duration())),
            active_advertisement_interval: Some(duration(status.active_interval)),
            active_down_interval: Some(duration(status.active_down_interval)),
            last_advertisement_age: status.last_advert.map(|advert| duration(self.at.since(advert.at))),
            observed_active_address: observed.map(|(address, _)| address.to_string()).unwrap_or_default(),
            observed_active_priority: observed.and_then(|(_, priority)| priority).map(i32::from),
            vips: config.addresses.iter().map(|address| self.names.vip(address.address)).collect(),
            fault_reasons: status.faults.iter().map(|fault| fault_reason(fault, &config.interface)).collect(),
            address_lease: config.lease.lifetime(config.interval).map(duration),
            rival_address: status.rival.map(|rival| rival.to_string()).unwrap_or_default(),
            etag: tokens::etag(self.incarnation, status.revision),
            tracks: status
                .tracks
                .iter()
                .map(|tracked| self.tracked(tracked, config.priority.is_owner()))
                .collect(),
            sync_group: config.group.as_deref().map(|group| self.names.group(group)).unwrap_or_default(),
            wish: status.wish.map_or(v1::instance::Wish::Unspecified, track::wish).into(),
            source_address: status.source.map(|source| source.to_string()).unwrap_or_default(),
            preempt_delay: Some(duration(config.preempt_delay)),
            unicast_peers: unicast_peers(&config.transport),
            preempt_hold: status.hold.as_ref().map(|hold| self.hold(hold)),
            drained: status.drained,
            handing_over: status.handing_over,
        }
    }

    /// An address of an instance, with what the kernel has.
    pub(crate) fn vip(
        &self,
        status: &InstanceStatus,
        address: &engine::VirtualAddress,
        kernel: Option<&KernelAddress>,
    ) -> v1::Vip {
        let wanted = status.state == StateName::Active;
        v1::Vip {
            name: self.names.vip(address.address),
            address: address.address.to_string(),
            prefix_length: address.prefix_length.into(),
            interface: status.config.link_of(address).to_string(),
            instance: self.names.instance(&status.config.name),
            desired_state: if wanted { v1::vip::State::Present } else { v1::vip::State::Absent }.into(),
            kernel_state: kernel_state(status, kernel).into(),
            last_change_time: self.time(status.since),
            last_announce_time: kernel.and_then(|kernel| kernel.last_announce).and_then(|at| self.time(at)),
            announcement_count: kernel.map_or(0, |kernel| signed(kernel.announcements)),
            unadvertised: !address.advertised,
        }
    }

    fn hold(&self, hold: &engine::StandingOrder) -> v1::PreemptHold {
        v1::PreemptHold {
            reason: hold.reason.to_string(),
            actor: Some(actor(&hold.actor)),
            create_time: self.time(hold.since),
            expire_time: hold.expires.and_then(|expires| self.time(expires)),
        }
    }

    fn priority_override(&self, override_: &engine::Override) -> v1::PriorityOverride {
        let order = &override_.order;
        v1::PriorityOverride {
            priority: override_.priority.get().into(),
            reason: order.reason.to_string(),
            actor: Some(actor(&order.actor)),
            create_time: self.time(order.since),
            expire_time: order.expires.and_then(|expires| self.time(expires)),
            survives_restart: order.survives,
        }
    }
}

/// A line of the history.
pub(crate) fn event(journal: &Journal, names: &Names, record: &Record) -> v1::Event {
    let incarnation = journal.incarnation();
    let (previous, current) = record.transition().unwrap_or_default();
    v1::Event {
        name: names.event(incarnation, record.sequence),
        incarnation_id: incarnation.to_string(),
        sequence: signed(record.sequence),
        event_time: Some(timestamp(record.wall)),
        monotonic_offset: Some(duration(record.offset)),
        r#type: record.type_name().to_owned(),
        severity: severity(record.severity()).into(),
        subject: subject_name(journal.node(), record.subject()),
        cause: cause(record.cause()).into(),
        evidence: record.evidence().map(|measured| evidence(names, measured)),
        previous_state: previous.to_owned(),
        current_state: current.to_owned(),
        actor: record.actor().map(|who| actor(who)),
        message: record.message(),
        caused_by_events: record.caused_by.iter().map(|parent| names.event(incarnation, *parent)).collect(),
        request_id: record.request.as_deref().unwrap_or_default().to_owned(),
        audit: record.event().and_then(audit),
    }
}

fn audit(event: &engine::Event) -> Option<v1::Audit> {
    let engine::EventKind::Audit(audit) = &event.kind else { return None };
    let refused = audit.refusal.as_ref();
    Some(v1::Audit {
        method: audit.method.to_string(),
        reason: audit.reason.to_string(),
        before: audit.before.to_string(),
        after: audit.after.to_string(),
        refusal_code: refused.map(|refused| refused.code.to_string()).unwrap_or_default(),
        refusal_reason: refused.map(|refused| refused.reason.to_string()).unwrap_or_default(),
        unrecorded_refusals: signed(audit.unrecorded),
    })
}

/// Who is Active as the wire tells this node: while it listens the sender of the last advert, while it is Active a rival.
fn observed_active(status: &InstanceStatus, at: Instant) -> Option<(IpAddr, Option<u8>)> {
    let advert = status.last_advert.filter(|advert| advert.priority > 0);
    if status.state == StateName::Active {
        let rival = status.rival?;
        return Some((rival, advert.filter(|advert| advert.source == rival).map(|advert| advert.priority)));
    }
    let recent = advert.filter(|advert| at.since(advert.at) <= status.active_down_interval)?;
    Some((recent.source, Some(recent.priority)))
}

/// Read back from the kernel; what is missing is explained by the kernel's last answer.
fn kernel_state(status: &InstanceStatus, kernel: Option<&KernelAddress>) -> v1::vip::State {
    let active = status.state == StateName::Active;
    match kernel {
        None => v1::vip::State::Unknown,
        Some(address) if address.present => v1::vip::State::Present,
        Some(_) if matches!(status.applied, Some(Err(_))) => v1::vip::State::Failed,
        Some(_) if active && status.applied.is_none() => v1::vip::State::Configuring,
        Some(_) => v1::vip::State::Absent,
    }
}

/// Why an instance is in Fault, in one sentence.
pub(crate) fn fault_reason(fault: &Fault, interface: &str) -> String {
    match fault {
        Fault::LinkMissing => format!("there is no link {interface}"),
        Fault::LinkDown => format!("link {interface} is administratively down"),
        Fault::NoCarrier => format!("link {interface} has no carrier"),
        Fault::NoSocket => format!("the kernel refuses a VRRP socket on link {interface}; the log says why"),
        Fault::NoSourceAddress => format!("link {interface} has no address to send adverts from"),
        Fault::AddressLink(..) => fault.describe().to_string(),
        Fault::AddressFailed(error) => format!("the kernel refused an address: {error}"),
        Fault::AddressContested(address) => format!("somebody else keeps removing {address}"),
        Fault::CheckFailing(..) | Fault::CheckPassing(..) | Fault::GroupMember(_) => {
            fault.describe().to_string()
        }
    }
}

fn unicast_peers(transport: &engine::Transport) -> Vec<String> {
    match transport {
        engine::Transport::Multicast { .. } => Vec::new(),
        engine::Transport::Unicast { peers, .. } => {
            peers.iter().map(|peer| peer.address.to_string()).collect()
        }
    }
}

/// The engine's cause by its word.
pub(crate) const fn cause(cause: engine::Cause) -> v1::Cause {
    match cause {
        engine::Cause::AgentStart => v1::Cause::AgentStart,
        engine::Cause::AgentStop => v1::Cause::AgentStop,
        engine::Cause::ActiveDownTimer => v1::Cause::ActiveDownTimer,
        engine::Cause::PeerPriorityZero => v1::Cause::PeerPriorityZero,
        engine::Cause::PeerHigherPriority => v1::Cause::PeerHigherPriority,
        engine::Cause::PeerEqualPriorityHigherAddress => v1::Cause::PeerEqualPriorityHigherAddress,
        engine::Cause::LocalPreempt => v1::Cause::LocalPreempt,
        engine::Cause::PreemptDelayExpired => v1::Cause::PreemptDelayExpired,
        engine::Cause::AddressOwner => v1::Cause::AddressOwner,
        engine::Cause::InterfaceChanged => v1::Cause::InterfaceChanged,
        engine::Cause::AdminPriority => v1::Cause::AdminPriority,
        engine::Cause::ConfigReload => v1::Cause::ConfigReload,
        engine::Cause::DuplicateActive => v1::Cause::DuplicateActive,
        engine::Cause::AddressConflict => v1::Cause::AddressConflict,
        engine::Cause::OverrideExpired => v1::Cause::OverrideExpired,
        engine::Cause::AgentStalled => v1::Cause::AgentStalled,
        engine::Cause::AddressFailed => v1::Cause::AddressFailed,
        engine::Cause::Advertisement => v1::Cause::Advertisement,
        engine::Cause::CheckChanged => v1::Cause::CheckChanged,
        engine::Cause::SyncGroup => v1::Cause::SyncGroup,
        engine::Cause::CheckResult => v1::Cause::CheckResult,
        engine::Cause::AdminMute => v1::Cause::AdminMute,
        engine::Cause::AdminUnmute => v1::Cause::AdminUnmute,
        engine::Cause::AdminDrain => v1::Cause::AdminDrain,
        engine::Cause::AdminUndrain => v1::Cause::AdminUndrain,
        engine::Cause::BalancerFailed => v1::Cause::BalancerFailed,
        engine::Cause::NotifyFailed => v1::Cause::NotifyFailed,
        engine::Cause::InstanceChanged => v1::Cause::InstanceChanged,
        engine::Cause::AdminTransfer => v1::Cause::AdminTransfer,
        engine::Cause::AdminAnnounce => v1::Cause::AdminAnnounce,
        engine::Cause::PeerReleased => v1::Cause::PeerReleased,
        engine::Cause::PeerReport => v1::Cause::PeerReport,
        engine::Cause::JournalFailed => v1::Cause::JournalFailed,
        engine::Cause::OperatorRequest => v1::Cause::OperatorRequest,
    }
}

/// The engine's state by its word.
pub(crate) const fn state(state: StateName) -> v1::instance::State {
    match state {
        StateName::Initialize => v1::instance::State::Initialize,
        StateName::Backup => v1::instance::State::Backup,
        StateName::Active => v1::instance::State::Active,
        StateName::Fault => v1::instance::State::Fault,
    }
}

/// The engine's family by its word.
pub(crate) const fn family(family: engine::Family) -> v1::instance::Family {
    match family {
        engine::Family::Ipv4 => v1::instance::Family::Ipv4,
        engine::Family::Ipv6 => v1::instance::Family::Ipv6,
    }
}

/// The engine's verdict by its word.
pub(crate) const fn verdict(verdict: engine::Verdict) -> v1::Verdict {
    match verdict {
        engine::Verdict::Unknown => v1::Verdict::Unknown,
        engine::Verdict::Passing => v1::Verdict::Passing,
        engine::Verdict::Failing => v1::Verdict::Failing,
    }
}

/// The engine's severity.
pub(crate) const fn severity(severity: engine::Severity) -> v1::Severity {
    match severity {
        engine::Severity::Info => v1::Severity::Info,
        engine::Severity::Warn => v1::Severity::Warn,
        engine::Severity::Error => v1::Severity::Error,
    }
}

fn contribution(step: &engine::Contribution) -> v1::PriorityContribution {
    v1::PriorityContribution {
        source: step.source.as_str().to_owned(),
        delta: step.delta,
        resulting_priority: step.result,
    }
}

fn evidence(names: &Names, evidence: &engine::Evidence) -> v1::Evidence {
    v1::Evidence {
        peer_address: evidence.peer.map(|peer| peer.to_string()).unwrap_or_default(),
        peer_priority: evidence.peer_priority.map(i32::from),
        local_priority: evidence.local_priority.map(|priority| priority.get().into()),
        last_advertisement_age: evidence.last_advertisement_age.map(duration),
        active_down_interval: evidence.active_down_interval.map(duration),
        subject: evidence.subject.as_deref().map(|subject| names.of_this(subject)).unwrap_or_default(),
        detail: evidence.detail.as_deref().unwrap_or_default().to_owned(),
        stalled_duration: evidence.stalled.map(duration),
    }
}

/// Who wanted something.
pub(crate) fn actor(actor: &engine::Actor) -> v1::Actor {
    v1::Actor {
        principal: actor.principal.clone(),
        roles: actor.roles.clone(),
        peer_address: actor.peer_address.clone(),
        request_id: actor.request_id.clone(),
        trace_id: actor.trace_id.clone(),
    }
}

/// A duration on the wire; what does not fit is cut.
pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// A time on the wire.
pub(crate) fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    prost_types::Timestamp::from(time)
}

/// A duration from the wire; `None` when it is negative or malformed. (The conversion of `prost-types` can overflow.)
pub(crate) fn checked_duration(duration: &prost_types::Duration) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    let nanos = u32::try_from(duration.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    Some(Duration::new(seconds, nanos))
}

/// A time from the wire; `None` when it is before 1970 or malformed.
pub(crate) fn checked_time(time: &prost_types::Timestamp) -> Option<SystemTime> {
    let since = prost_types::Duration { seconds: time.seconds, nanos: time.nanos };
    SystemTime::UNIX_EPOCH.checked_add(checked_duration(&since)?)
}

/// A count on the wire, which has no unsigned numbers; what does not fit is cut.
pub(crate) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
