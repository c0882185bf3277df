//! A member of a sync group: how it stands, and what the group makes of it. The group decides in `engine/group.rs`.

use alloc::format;
use alloc::sync::Arc;

use super::moves::Moving;
use super::{Instance, Sink, State};
use crate::event::{Cause, Evidence, StateName};
use crate::fault::Fault;
use crate::snapshot::{Override, Wish};

/// How a member stands, as far as the group must know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(usize)]
pub(crate) enum Stance {
    /// Not started.
    Waits,
    /// Not started, but may go on with what an earlier process of the agent left.
    Returns,
    /// In Fault of its own.
    Faulty,
    /// In Fault because of another member only.
    Dragged,
    /// Backup that has not followed an Active router yet.
    Listens,
    /// Backup of an Active router.
    Follows,
    /// Would be Active.
    Wants,
    /// Active.
    Leads,
    /// Active, but silent: its addresses are offered to whoever takes over.
    Offers,
    /// The same, and somebody has taken over.
    Given,
}

impl Stance {
    /// How many there are.
    pub(crate) const COUNT: usize = Self::Given as usize + 1;

    /// Active, whatever is planned with it.
    pub(crate) const ACTIVE: [Self; 3] = [Self::Leads, Self::Offers, Self::Given];
}

impl Instance {
    pub(crate) fn stance(&self) -> Stance {
        match &self.state {
            State::Initialize { .. } if self.legacy.is_some() => Stance::Returns,
            State::Initialize { .. } => Stance::Waits,
            State::Fault if self.has_own_fault() => Stance::Faulty,
            State::Fault => Stance::Dragged,
            State::Backup(backup) if backup.wants() => Stance::Wants,
            State::Backup(backup) if backup.follows() => Stance::Follows,
            State::Backup(_) => Stance::Listens,
            State::Active(active) => match active.moving() {
                Some(moving) if moving.is_given() => Stance::Given,
                Some(moving) if moving.is_silent() => Stance::Offers,
                _ => Stance::Leads,
            },
        }
    }

    /// What status shows of it.
    pub(super) fn wish(&self) -> Option<Wish> {
        self.config.group.as_ref().map(|_| match self.stance() {
            Stance::Waits | Stance::Returns => Wish::Wait,
            Stance::Faulty | Stance::Dragged => Wish::Fault,
            Stance::Listens | Stance::Follows => Wish::Backup,
            Stance::Wants | Stance::Leads | Stance::Offers | Stance::Given => Wish::Active,
        })
    }

    /// Whether something other than its sync group keeps it from taking part.
    pub(super) fn has_own_fault(&self) -> bool {
        self.link_fault.is_some()
            || self.address_link_faults().next().is_some()
            || self.held_fault.is_some()
            || self.tracked.iter().any(|tracked| tracked.faulty)
    }

    /// This other member keeps this one in Fault from now on.
    pub(crate) fn share_fault(&mut self, sink: &mut Sink<'_>, member: Arc<str>) {
        let fault = Fault::GroupMember(Arc::clone(&member));
        let evidence = Evidence { detail: Some(fault.describe()), ..led_by(&member) };
        self.group_fault = Some(member);
        if self.state_name() != StateName::Fault {
            self.become_fault(sink, Cause::SyncGroup, evidence);
        }
    }

    /// No other member keeps this one in Fault any more; `led` is whose news it was. What ended its own fault at the same
    /// moment says more.
    pub(crate) fn end_shared_fault(&mut self, sink: &mut Sink<'_>, led: &str) {
        if self.group_fault.take().is_none() {
            return;
        }
        let (cause, evidence) = match self.cleared.take() {
            Some((at, cause, evidence)) if at == sink.now => (cause, evidence),
            _ => (Cause::SyncGroup, led_by(led)),
        };
        self.resume(sink, cause, evidence);
    }

    /// Another member is no longer Active: what this one holds goes with it.
    pub(crate) fn yield_with_group(&mut self, sink: &mut Sink<'_>, led: &str) {
        let State::Active(active) = &self.state else { return };
        if active.is_silent() {
            // It was offered with the others and has sent priority 0 then: what ends is the same handover.
            return self.end_offer(sink);
        }
        let evidence = Evidence { subject: led_by(led).subject, ..self.evidence_of(sink.now, None) };
        self.leave_active(sink, true);
        self.become_backup(sink, Cause::SyncGroup, evidence);
    }

    /// Every member's addresses have been taken over elsewhere, or this one is to go with the others.
    pub(crate) fn end_offer(&mut self, sink: &mut Sink<'_>) {
        let State::Active(active) = &self.state else { return };
        let successor = active.moving().and_then(Moving::successor);
        self.withdraw(sink, successor);
    }

    /// Another member's addresses were not taken over, or not for long: this one goes on with it.
    pub(crate) fn fail_offer(&mut self, sink: &mut Sink<'_>) {
        if matches!(&self.state, State::Active(active) if active.is_silent()) {
            self.fail_handover(sink);
        }
    }

    /// Every member wants to be Active; the last to say so tells its own reasons, the others that it was the last.
    pub(crate) fn take_over_with_group(&mut self, sink: &mut Sink<'_>, led: &str) {
        let State::Backup(backup) = &mut self.state else { return };
        let Some((cause, evidence)) = backup.take_wish() else { return };
        if led == &*self.config.name {
            return self.become_active(sink, cause, evidence);
        }
        let evidence = Evidence { subject: led_by(led).subject, ..evidence };
        self.become_active(sink, Cause::SyncGroup, evidence);
    }

    /// Whether it waits for a sync group that it no longer belongs to.
    pub(crate) fn is_stranded(&self) -> bool {
        let waits = self.group_fault.is_some() || self.stance() == Stance::Wants;
        self.config.group.is_none() && waits
    }

    /// The instance has left its sync group with a new configuration: what the group kept it from happens now.
    pub(crate) fn leave_group(&mut self, sink: &mut Sink<'_>) {
        if self.group_fault.take().is_some() {
            self.resume(sink, Cause::ConfigReload, Evidence::default());
        }
        if let State::Backup(backup) = &mut self.state
            && let Some((cause, evidence)) = backup.take_wish()
        {
            self.become_active(sink, cause, evidence);
        }
    }

    /// The override of another member counts for this one too.
    pub(crate) fn adopt_override(&mut self, sink: &mut Sink<'_>, override_: &Override, led: &str) {
        if self.lacks_override(override_) {
            self.set_override(sink, override_.clone(), led_by(led));
        }
    }

    /// The same with a new configuration, which adds the priority up afterwards.
    pub(super) fn take_override(&mut self, sink: &mut Sink<'_>, override_: Override, led: &str) {
        if self.lacks_override(&override_) {
            self.note_override(sink, override_, led_by(led));
        }
    }

    fn lacks_override(&self, override_: &Override) -> bool {
        self.override_.as_ref() != Some(override_) && !self.config.priority.is_owner()
    }

    /// Why it is in its state.
    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    pub(crate) fn override_(&self) -> Option<&Override> {
        self.override_.as_ref()
    }
}

/// Evidence that names the member whose news it was.
pub(super) fn led_by(member: &str) -> Evidence {
    Evidence { subject: Some(format!("instances/{member}").into()), ..Evidence::default() }
}
