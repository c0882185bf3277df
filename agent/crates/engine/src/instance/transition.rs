//! The ways between states. On takeover: advert, addresses, announcements, event. On release: priority 0, then withdrawal.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Active, AddressLink, Backup, Instance, Sink, State};
use crate::event::{Cause, EventKind, Evidence, StateName};
use crate::fault::Fault;
use crate::input::LinkState;
use crate::units::Instant;

impl Instance {
    /// Leaves Initialize or Fault: an address owner becomes Active, everybody else listens first.
    pub(super) fn start(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        if self.has_fault() {
            let (cause, evidence) = self.why_faulty().unwrap_or((cause, evidence));
            return self.become_fault(sink, cause, evidence);
        }
        if self.source.is_none() || self.awaits_link() || self.is_undecided() {
            return self.wait_to_start(sink, None, cause, evidence);
        }
        if self.adopts(sink) {
            return;
        }
        if self.priority().is_owner() && self.hold.is_none() {
            return self.start_as_owner(sink, cause, evidence);
        }
        if sink.now < self.listens_until {
            return self.wait_to_start(sink, Some(self.listens_until), cause, evidence);
        }
        self.become_backup(sink, cause, evidence);
    }

    /// Leaves Fault when nothing keeps it there any more.
    pub(super) fn resume(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        if !matches!(self.state, State::Fault) || self.has_own_fault() {
            return;
        }
        match self.group_fault {
            None => self.start(sink, cause, evidence),
            Some(_) => self.cleared = Some((sink.now, cause, evidence)),
        }
    }

    /// A member of a sync group is Active with the group only.
    fn start_as_owner(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        if self.config.group.is_none() {
            return self.become_active(sink, Cause::AddressOwner, evidence);
        }
        self.become_backup(sink, cause, evidence);
        self.want(sink, Cause::AddressOwner, Evidence::default());
    }

    /// For what must be known first, or, with an instant, for the end of the start-up delay: a link that comes up late, as
    /// at boot, does not cut it short.
    fn wait_to_start(
        &mut self,
        sink: &mut Sink<'_>,
        starts: Option<Instant>,
        cause: Cause,
        evidence: Evidence,
    ) {
        let from = self.state_name();
        self.state = State::Initialize { starts };
        if from != StateName::Initialize {
            self.tell_transition(sink, from, cause, evidence);
        }
    }

    pub(super) fn become_active(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        let next_advert = sink.now.after(self.config.interval.duration());
        let from = self.state_name();
        self.advertise(sink);
        self.own(sink, true);
        self.announce(sink, true);
        self.state = State::Active(Active::new(sink.now, next_advert, &self.config.announce));
        self.tell_transition(sink, from, cause, evidence);
        self.end_hold(sink, cause, None);
    }

    /// The caller has released the addresses if there were any.
    pub(super) fn become_backup(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        let from = self.state_name();
        let interval = self.config.interval;
        let active_down = sink.now.after(self.active_down_interval(interval));
        self.state = State::Backup(Backup::new(sink.now, active_down, interval));
        self.tell_transition(sink, from, cause, evidence);
    }

    /// Releases, if Active, and takes no part until the faults have gone.
    pub(super) fn become_fault(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        let from = self.state_name();
        self.leave_active(sink, true);
        self.legacy = None;
        self.state = State::Fault;
        if from != StateName::Fault {
            self.tell_transition(sink, from, cause, evidence);
        }
    }

    /// Gives the addresses up; `release` says so on the wire. Does nothing in other states.
    pub(super) fn leave_active(&mut self, sink: &mut Sink<'_>, release: bool) {
        if !matches!(self.state, State::Active(_)) {
            return;
        }
        if release {
            self.advertise_release(sink);
        }
        self.own(sink, false);
        self.close_rival(sink);
    }

    /// Releases everything because the agent or the instance ends.
    pub(crate) fn stop(&mut self, sink: &mut Sink<'_>, cause: Cause) {
        let from = self.state_name();
        self.leave_active(sink, true);
        self.state = State::Initialize { starts: None };
        if from != StateName::Initialize {
            self.tell_transition(sink, from, cause, Evidence::default());
        }
    }

    /// The instance has just been configured; its links' states may be known already.
    pub(crate) fn begin(
        &mut self,
        sink: &mut Sink<'_>,
        link: Option<&LinkState>,
        address_links: Vec<AddressLink>,
    ) {
        self.tell(sink, EventKind::InstanceAdded, self.cause, Evidence::default());
        self.address_links = address_links;
        if let Some(link) = link {
            self.on_own_link(sink, link);
        }
    }

    /// The instance is no longer configured.
    pub(crate) fn remove(&mut self, sink: &mut Sink<'_>) {
        self.stop(sink, Cause::ConfigReload);
        self.tell(sink, EventKind::InstanceRemoved, Cause::ConfigReload, Evidence::default());
    }

    /// Gives the instance up for a while.
    pub(super) fn hold_fault(&mut self, sink: &mut Sink<'_>, fault: Fault, hold: Duration, cause: Cause) {
        let evidence = Evidence { detail: Some(fault.describe()), ..Evidence::default() };
        self.held_fault = Some((sink.now.after(hold), fault));
        self.become_fault(sink, cause, evidence);
    }

    pub(super) fn on_fault_deadline(&mut self, sink: &mut Sink<'_>) {
        if self.held_fault.as_ref().is_none_or(|(until, _)| *until > sink.now) {
            return;
        }
        let Some((_, fault)) = self.held_fault.take() else { return };
        let evidence = Evidence { detail: Some(fault.describe()), ..Evidence::default() };
        self.resume(sink, self.cause, evidence);
    }

    fn tell_transition(&mut self, sink: &mut Sink<'_>, from: StateName, cause: Cause, evidence: Evidence) {
        let to = self.state_name();
        self.since = sink.now;
        self.cause = cause;
        self.evidence = evidence.clone();
        self.transitions += 1;
        self.tell(sink, EventKind::StateChanged { from, to }, cause, evidence);
    }

    /// How long an operator's change explains a transition: until every peer must have reacted to it.
    pub(super) fn explains_until(&self, now: Instant) -> Instant {
        now.after(self.active_down_interval(self.active_interval()) * 2)
    }
}
