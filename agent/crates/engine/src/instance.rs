//! One virtual router: its state and what it reacts to. The reactions stand in files by kind: `active` and `backup` for
//! adverts and timers, `transition` for the ways between states, `link` for links, `change` for the kernel, operators and reloads.

mod active;
mod advert;
mod backup;
mod change;
mod group;
mod inner;
mod legacy;
mod link;
mod moves;
#[cfg(test)]
mod tests;
mod track;
mod transition;
mod word;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::config::{ChecksumForm, InstanceConfig};
use crate::event::{Actor, Cause, Event, EventKind, Evidence, StateName, Subject};
use crate::fault::Fault;
use crate::input::{InstanceId, LinkId};
use crate::legacy::Legacy;
use crate::order::StandingOrder;
use crate::output::{Announcement, Effect, Ownership};
use crate::priority::Effective;
use crate::receive::{Accepted, Oddity};
use crate::schedule::Reason;
use crate::snapshot::{Counters, InstanceStatus, LastAdvert, Override};
use crate::track::TrackedFact;
use crate::units::{AdvertisementInterval, Instant, Priority, Version};

pub(crate) use active::Active;
pub(crate) use backup::Backup;
pub(crate) use change::Beside;
pub(crate) use group::Stance;
pub(crate) use link::AddressLink;

/// A virtual router on this node.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) id: InstanceId,
    pub(crate) link: LinkId,
    pub(crate) config: Arc<InstanceConfig>,
    /// Where adverts come from; `None` while the link has no usable address.
    source: Option<IpAddr>,
    state: State,
    /// When the start-up delay ends.
    listens_until: Instant,
    /// What an earlier process left and is not gone on with yet; only in Initialize.
    legacy: Option<Box<Legacy>>,
    since: Instant,
    cause: Cause,
    evidence: Evidence,
    transitions: u64,
    override_: Option<Override>,
    /// Whether the node is drained.
    drained: bool,
    hold: Option<StandingOrder>,
    effective: Effective,
    tracked: Vec<TrackedFact>,
    revision: u64,
    /// Why the link does not allow taking part.
    link_fault: Option<Fault>,
    /// The other links on which it has addresses.
    address_links: Vec<AddressLink>,
    /// A fault that ends by time.
    held_fault: Option<(Instant, Fault)>,
    /// The member of its sync group that keeps this one in Fault.
    group_fault: Option<Arc<str>>,
    /// When and why its own faults ended while `group_fault` kept it.
    cleared: Option<(Instant, Cause, Evidence)>,
    /// Refusals of the kernel in a row, for the length of the next `held_fault`.
    failures: u32,
    /// Addresses lost to somebody else lately: how many since when.
    losses: (u32, Instant),
    last_advert: Option<LastAdvert>,
    /// The last priority 0, until its sender advertises again: it may keep the addresses while others already speak.
    last_release: Option<LastAdvert>,
    /// What other nodes say of this virtual router.
    words: Vec<word::Word>,
    last_sent: advert::LastSent,
    ownership: OwnershipState,
    /// When each oddity was told last.
    told: [Option<Instant>; 4],
    /// The operator to whom a state change soon after is put down.
    responsible: Option<(Arc<Actor>, Instant)>,
    pub(crate) counters: Counters,
}

/// A state carries its timers.
#[derive(Debug)]
enum State {
    /// Waits for its link's state and its unweighted facts, or for the end of the start-up delay.
    Initialize {
        starts: Option<Instant>,
    },
    Backup(Backup),
    Active(Active),
    /// The reasons: [`Instance::faults`].
    Fault,
}

/// The ownership asked for last.
#[derive(Debug, Default)]
struct OwnershipState {
    generation: u64,
    asked: Instant,
    applied: Option<Result<(), Arc<str>>>,
    /// When the takeover began whose announcements have not left yet.
    unannounced: Option<Instant>,
}

/// Where effects of an input go, with the input's time.
pub(crate) struct Sink<'a> {
    pub(crate) now: Instant,
    pub(crate) effects: &'a mut Vec<Effect>,
    pub(crate) octets: &'a mut Vec<u8>,
    /// The last generation given to an ownership.
    pub(crate) generation: &'a mut u64,
    /// When the agent last came back from not running, and how long it had not.
    pub(crate) stalled: Option<(Instant, Duration)>,
}

impl Instance {
    /// A new instance, which waits for the state of its link.
    pub(crate) fn new(
        id: InstanceId,
        link: LinkId,
        config: Arc<InstanceConfig>,
        cause: Cause,
        now: Instant,
        tracked: Vec<TrackedFact>,
        drained: bool,
    ) -> Self {
        let effective = Effective::explain(config.priority, None, &tracked, drained);
        let listens_until = now.after(config.startup_delay);
        Self {
            id,
            link,
            config,
            source: None,
            state: State::Initialize { starts: None },
            listens_until,
            legacy: None,
            since: now,
            cause,
            evidence: Evidence::default(),
            transitions: 0,
            override_: None,
            drained,
            hold: None,
            effective,
            tracked,
            revision: 1,
            link_fault: None,
            address_links: Vec::new(),
            held_fault: None,
            group_fault: None,
            cleared: None,
            failures: 0,
            losses: (0, now),
            last_advert: None,
            last_release: None,
            words: Vec::new(),
            last_sent: advert::LastSent::default(),
            ownership: OwnershipState::default(),
            told: [None; 4],
            responsible: None,
            counters: Counters::default(),
        }
    }

    /// The earliest of its timers.
    pub(crate) fn deadline(&self) -> Option<(Instant, Reason)> {
        let state = match &self.state {
            State::Initialize { starts } => {
                let lasts = self.legacy.as_ref().map(|legacy| (legacy.until, Reason::Adoption));
                lasts.or(starts.map(|at| (at, Reason::StartupDelay)))
            }
            State::Backup(backup) => backup.deadline(),
            State::Active(active) => Some(active.deadline()).into_iter().chain(self.dispute_due()).min(),
            State::Fault => self.held_fault.as_ref().map(|(at, _)| (*at, Reason::FaultHold)),
        };
        let expiry = self.override_.as_ref().and_then(|own| own.order.expires);
        let held = self.hold.as_ref().and_then(|hold| hold.expires);
        state.into_iter().chain(expiry.into_iter().chain(held).map(|at| (at, Reason::OverrideExpiry))).min()
    }

    /// Reacts to whatever is due.
    pub(crate) fn on_deadline(&mut self, sink: &mut Sink<'_>) {
        if self.override_.as_ref().is_some_and(|own| !own.order.lasts(sink.now)) {
            self.end_override(sink, Cause::OverrideExpired, None, Evidence::default());
        }
        if self.hold.as_ref().is_some_and(|hold| !hold.lasts(sink.now)) {
            self.end_hold(sink, Cause::OverrideExpired, None);
        }
        if self.legacy.as_ref().is_some_and(|legacy| legacy.until <= sink.now) {
            self.legacy = None;
        }
        match &self.state {
            State::Initialize { starts: Some(at) } if *at <= sink.now => {
                self.start(sink, self.cause, Evidence::default());
            }
            State::Initialize { .. } => {}
            State::Backup(_) => self.on_backup_deadline(sink),
            State::Active(_) => self.on_active_deadline(sink),
            State::Fault => self.on_fault_deadline(sink),
        }
    }

    /// Reacts to an advert that passed the receive rules.
    pub(crate) fn on_advert(&mut self, sink: &mut Sink<'_>, advert: &Accepted) {
        self.count(advert);
        self.tell_oddities(sink, advert);
        match self.state {
            State::Backup(_) => self.on_advert_in_backup(sink, advert),
            State::Active(_) => self.on_advert_in_active(sink, advert),
            State::Initialize { .. } | State::Fault => self.remember(sink.now, advert),
        }
    }

    /// The instance as status shows it.
    pub(crate) fn status(&self) -> InstanceStatus {
        let active_interval = self.active_interval();
        InstanceStatus {
            id: self.id,
            link: self.link,
            config: Arc::clone(&self.config),
            state: self.state_name(),
            since: self.since,
            cause: self.cause,
            evidence: self.evidence.clone(),
            transitions: self.transitions,
            effective: self.effective.clone(),
            override_: self.override_.clone(),
            hold: self.hold.clone(),
            drained: self.drained,
            handing_over: self.may_withdraw().is_ok(),
            revision: self.revision,
            active_interval: active_interval.duration(),
            active_down_interval: self.active_down_interval(active_interval),
            last_advert: self.last_advert,
            faults: self.faults().filter(|_| matches!(self.state, State::Fault)).collect(),
            tracks: self.tracked.clone(),
            wish: self.wish(),
            source: self.source,
            known_as: self.last_sent.source(),
            rival: match &self.state {
                State::Active(active) => active.rival(),
                _ => None,
            },
            generation: self.ownership.generation,
            applied: self.ownership.applied.clone(),
            is_announced: matches!(self.state, State::Active(_)) && self.ownership.unannounced.is_none(),
            inner: self.inner(),
            counters: self.counters,
        }
    }

    pub(crate) fn state_name(&self) -> StateName {
        match self.state {
            State::Initialize { .. } => StateName::Initialize,
            State::Backup(_) => StateName::Backup,
            State::Active(_) => StateName::Active,
            State::Fault => StateName::Fault,
        }
    }

    /// Where our adverts come from.
    pub(crate) fn source(&self) -> Option<IpAddr> {
        self.source
    }

    fn faults(&self) -> impl Iterator<Item = Fault> + '_ {
        let held = self.held_fault.as_ref().map(|(_, fault)| fault);
        let links = self.link_fault.iter().cloned().chain(self.address_link_faults());
        let own = links.chain(held.cloned()).chain(self.check_faults());
        own.chain(self.group_fault.clone().map(Fault::GroupMember))
    }

    fn has_fault(&self) -> bool {
        self.has_own_fault() || self.group_fault.is_some()
    }

    fn version(&self) -> Version {
        self.config.version()
    }

    fn priority(&self) -> Priority {
        self.effective.value
    }

    fn active_interval(&self) -> AdvertisementInterval {
        match &self.state {
            State::Backup(backup) => backup.active_interval,
            _ => self.config.interval,
        }
    }

    fn active_down_interval(&self, interval: AdvertisementInterval) -> Duration {
        interval.active_down_interval(self.version(), self.priority())
    }

    fn remember(&mut self, now: Instant, advert: &Accepted) {
        let last = LastAdvert { at: now, source: advert.source(), priority: advert.priority() };
        if last.priority == 0 {
            self.last_release = Some(last);
        } else {
            self.last_release = self.last_release.filter(|release| release.source != last.source);
        }
        self.last_advert = Some(last);
    }

    fn count(&mut self, advert: &Accepted) {
        let counters = &mut self.counters;
        counters.received += 1;
        counters.received_priority_zero += u64::from(advert.priority() == 0);
        if self.config.version() == Version::V3 {
            *match advert.checksum() {
                ChecksumForm::PseudoHeader => &mut counters.checksum_pseudo_header,
                ChecksumForm::MessageOnly => &mut counters.checksum_message_only,
                ChecksumForm::MulticastPseudoHeader => &mut counters.checksum_multicast_pseudo_header,
            } += 1;
        }
    }

    /// At most once a minute for each oddity.
    fn tell_oddities(&mut self, sink: &mut Sink<'_>, advert: &Accepted) {
        const PAUSE: Duration = Duration::from_secs(60);
        for oddity in advert.oddities() {
            let Some(told) = self.told.get_mut(oddity as usize) else { continue };
            if told.is_none_or(|at| sink.now.since(at) >= PAUSE) {
                *told = Some(sink.now);
                let kind = EventKind::AdvertDiffers { oddity, source: advert.source() };
                self.tell(sink, kind, Cause::Advertisement, self.evidence_of(sink.now, Some(advert)));
            }
        }
    }

    /// What is known now, with the advert that it is about.
    fn evidence_of(&self, now: Instant, advert: Option<&Accepted>) -> Evidence {
        let last = self.last_advert;
        Evidence {
            peer: advert.map(Accepted::source).or(last.map(|last| last.source)),
            peer_priority: advert.map(Accepted::priority).or(last.map(|last| last.priority)),
            local_priority: Some(self.priority()),
            last_advertisement_age: last.map(|last| now.since(last.at)),
            active_down_interval: None,
            stalled: None,
            subject: None,
            detail: None,
        }
    }

    fn tell(&self, sink: &mut Sink<'_>, kind: EventKind, cause: Cause, evidence: Evidence) {
        self.tell_about(sink, self.subject(), kind, cause, evidence);
    }

    fn tell_about(
        &self,
        sink: &mut Sink<'_>,
        subject: Subject,
        kind: EventKind,
        cause: Cause,
        evidence: Evidence,
    ) {
        let actor = self.responsible(sink.now, cause);
        let event = Event { at: sink.now, subject, kind, cause, evidence, actor };
        sink.effects.push(Effect::Event(Box::new(event)));
    }

    fn subject(&self) -> Subject {
        Subject::Instance(self.id, Arc::clone(&self.config.name))
    }

    /// The operator whose change of priority led to this, if one did.
    fn responsible(&self, now: Instant, cause: Cause) -> Option<Arc<Actor>> {
        let (actor, until) = self.responsible.as_ref()?;
        let explains = match cause {
            Cause::AdminPriority | Cause::AdminDrain | Cause::AdminUndrain | Cause::AdminTransfer => true,
            Cause::PeerHigherPriority
            | Cause::PeerEqualPriorityHigherAddress
            | Cause::LocalPreempt
            | Cause::PreemptDelayExpired => now <= *until,
            _ => false,
        };
        explains.then(|| Arc::clone(actor))
    }

    /// Asks for the whole set of addresses, or for none.
    fn own(&mut self, sink: &mut Sink<'_>, held: bool) {
        *sink.generation += 1;
        self.ownership.generation = *sink.generation;
        self.ownership.asked = sink.now;
        self.ownership.applied = None;
        if !held {
            self.ownership.unannounced = None;
        }
        let addresses = if held { Arc::clone(&self.config.addresses) } else { Arc::default() };
        sink.effects.push(Effect::Own(Ownership {
            instance: self.id,
            generation: *sink.generation,
            link: self.link,
            interface: Arc::clone(&self.config.interface),
            addresses,
            lease: self.config.lease.lifetime(self.config.interval),
            virtual_mac: self.config.virtual_mac_address(),
        }));
    }

    fn announce(&mut self, sink: &mut Sink<'_>, takeover: bool) {
        if takeover {
            self.ownership.unannounced = Some(sink.now);
        }
        sink.effects.push(Effect::Announce(Announcement {
            instance: self.id,
            link: self.link,
            interface: Arc::clone(&self.config.interface),
            addresses: Arc::clone(&self.config.addresses),
            virtual_mac: self.config.virtual_mac_address(),
            takeover,
        }));
    }
}

/// An oddity's place in `told`.
const _: () = assert!(Oddity::FirstAddressNotLinkLocal as usize == 3, "`told` has a place for each oddity");
