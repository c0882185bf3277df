//! Goes on with what an earlier process of the agent left: no transition, because there was none.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::moves::Moving;
use super::{Active, Backup, Instance, Sink, State};
use crate::event::{Cause, EventKind, Evidence, StateName};
use crate::legacy::{Followed, Legacy, Role};
use crate::priority::Effective;
use crate::snapshot::Override;
use crate::units::{Instant, Version};

impl Instance {
    /// Takes what an earlier process left of this virtual router, if it is still the same one. The override counts from now
    /// on, the role as soon as the link is known.
    pub(crate) fn inherit(&mut self, now: Instant, legacy: Legacy) {
        if !legacy.is_of(&self.config) {
            return;
        }
        self.hold = legacy.hold.clone().filter(|hold| hold.lasts(now));
        self.restore_override(now, legacy.override_.clone());
        let lasts = legacy.role.is_some() && now < legacy.until;
        self.legacy = lasts.then(|| Box::new(legacy));
    }

    /// An override of an earlier process, before this instance takes part; nothing happens when it has expired.
    pub(crate) fn restore_override(&mut self, now: Instant, override_: Option<Override>) {
        self.override_ = override_.filter(|own| !self.config.priority.is_owner() && own.order.lasts(now));
        let override_ = self.override_.as_ref().map(|own| own.priority);
        self.effective = Effective::explain(self.config.priority, override_, &self.tracked, self.drained);
    }

    /// Goes on with the role that was left; `false` = there is none, or it is too late.
    pub(super) fn adopts(&mut self, sink: &mut Sink<'_>) -> bool {
        let Some(mut legacy) = self.legacy.take().filter(|legacy| sink.now < legacy.until) else {
            return false;
        };
        let Some(role) = legacy.role.take() else { return false };
        (self.since, self.cause) = (legacy.since, legacy.cause);
        self.evidence = core::mem::take(&mut legacy.evidence);
        self.last_advert = legacy.heard;
        match role {
            Role::Active => self.go_on_as_active(sink),
            Role::Backup(followed) => self.go_on_as_backup(sink, followed),
        }
        self.tell_adoption(sink, &legacy);
        true
    }

    /// The same order as on takeover. Neighbours know where the addresses are; one round of announcements is for those that
    /// heard somebody else meanwhile.
    fn go_on_as_active(&mut self, sink: &mut Sink<'_>) {
        let next_advert = sink.now.after(self.config.interval.duration());
        self.advertise(sink);
        self.own(sink, true);
        self.announce(sink, false);
        self.state = State::Active(Active::adopted(sink.now, next_advert, &self.config.announce));
    }

    /// Nobody listened meanwhile, so silence counts from now on only.
    fn go_on_as_backup(&mut self, sink: &mut Sink<'_>, followed: Followed) {
        let is_adopted = self.version() == Version::V3 && followed.peak.is_some();
        let interval = if is_adopted { followed.interval } else { self.config.interval };
        let active_down = sink.now.after(self.active_down_interval(interval));
        let heard = self.last_advert.map(|last| last.source);
        self.state = State::Backup(Backup::adopted(sink.now, active_down, interval, followed, heard));
    }

    fn tell_adoption(&mut self, sink: &mut Sink<'_>, legacy: &Legacy) {
        let evidence = Evidence {
            local_priority: Some(self.priority()),
            last_advertisement_age: Some(sink.now.since(legacy.left)),
            active_down_interval: Some(legacy.until.since(legacy.left)),
            ..Evidence::default()
        };
        let kind = EventKind::Adopted { state: self.state_name(), silent: sink.now.since(legacy.left) };
        self.tell(sink, kind, Cause::AgentStart, evidence);
    }

    /// What it would go on with, when it does not know its link yet.
    pub(crate) fn inherited(&self) -> Option<StateName> {
        match self.legacy.as_ref()?.role.as_ref()? {
            Role::Active => Some(StateName::Active),
            Role::Backup(_) => Some(StateName::Backup),
        }
    }

    /// The last word of this process: one more advert, so that peers' timers are fresh. Who has said already that it
    /// releases does so.
    pub(crate) fn leave(&mut self, sink: &mut Sink<'_>) {
        match &self.state {
            State::Active(active) if active.moving().is_some_and(Moving::is_silent) => {
                self.withdraw(sink, None);
            }
            State::Active(_) => self.advertise_and_restart(sink),
            State::Initialize { .. } | State::Backup(_) | State::Fault => {}
        }
    }

    /// What the next process needs to go on.
    pub(crate) fn legacy(&self, now: Instant) -> Legacy {
        if let Some(legacy) = &self.legacy {
            let (override_, hold) = (self.override_.clone(), self.hold.clone());
            return Legacy { override_, hold, ..Legacy::clone(legacy) };
        }
        let (role, left, until) = match &self.state {
            State::Active(active) => {
                let left = active.last_sent();
                (Some(Role::Active), left, Legacy::deadline_of_active(left, self.config.interval))
            }
            State::Backup(backup) => {
                (Some(Role::Backup(backup.followed())), now, Legacy::deadline_of_others(now))
            }
            State::Initialize { .. } | State::Fault => (None, now, Legacy::deadline_of_others(now)),
        };
        Legacy {
            name: Arc::clone(&self.config.name),
            interface: Arc::clone(&self.config.interface),
            virtual_router_id: self.config.virtual_router_id,
            family: self.config.family,
            version: self.version(),
            virtual_mac: self.config.virtual_mac,
            role,
            left,
            until,
            since: self.since,
            cause: self.cause,
            evidence: self.evidence.clone(),
            override_: self.override_.clone(),
            hold: self.hold.clone(),
            heard: self.last_advert,
        }
    }
}
