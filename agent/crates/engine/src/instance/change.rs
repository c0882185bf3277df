//! What comes from outside the protocol: the kernel's answers, operators, and a new configuration.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use super::group::led_by;
use super::{AddressLink, Instance, Sink, State};
use crate::config::{AddressLostPolicy, InstanceConfig};
use crate::event::{Actor, Cause, Event, EventKind, Evidence, Subject, WireEvent};
use crate::fault::Fault;
use crate::input::{Applied, LinkState, OperatorAction, OperatorCommand, Refusal};
use crate::order::StandingOrder;
use crate::output::Effect;
use crate::snapshot::Override;
use crate::track::TrackedFact;
use crate::units::Instant;

/// After five losses within a minute, holding on would be a fight.
const TOLERATED_LOSSES: u32 = 5;
const LOSS_WINDOW: Duration = Duration::from_secs(60);
const CONTESTED_HOLD: Duration = Duration::from_secs(60);
/// Doubled with each refusal of the kernel in a row, up to 32 times.
const FAILED_HOLD: Duration = Duration::from_secs(10);

/// What an instance must know with a new configuration.
#[derive(Debug)]
pub(crate) struct Beside {
    pub(crate) link: Option<LinkState>,
    pub(crate) address_links: Vec<AddressLink>,
    pub(crate) tracked: Vec<TrackedFact>,
    /// That of its sync group, and the member that had it.
    pub(crate) override_: Option<(Override, Arc<str>)>,
}

impl Instance {
    /// What became of an ownership; only the last one counts.
    pub(crate) fn on_applied(&mut self, sink: &mut Sink<'_>, applied: Applied) {
        if applied.generation != self.ownership.generation || self.ownership.applied.is_some() {
            return;
        }
        let took = applied.at.since(self.ownership.asked);
        self.ownership.applied = Some(applied.result.clone());
        let active = matches!(self.state, State::Active(_));
        match applied.result {
            Ok(()) => {
                let kind = if active {
                    EventKind::AddressesHeld { took }
                } else {
                    EventKind::AddressesReleased { took }
                };
                self.failures = if active { 0 } else { self.failures };
                self.tell_at(sink, applied.at, kind, self.cause);
            }
            Err(error) => self.on_refused(sink, error, active),
        }
    }

    fn on_refused(&mut self, sink: &mut Sink<'_>, error: Arc<str>, active: bool) {
        let kind = EventKind::AddressFailed { error: Arc::clone(&error) };
        self.tell(sink, kind, Cause::AddressFailed, Evidence::default());
        if active {
            // A node that cannot hold every address must not look as if it did.
            let hold = FAILED_HOLD * 2_u32.pow(self.failures.min(5));
            self.failures = self.failures.saturating_add(1);
            self.hold_fault(sink, Fault::AddressFailed(error), hold, Cause::AddressFailed);
        }
    }

    /// The first announcements of a takeover have left.
    pub(crate) fn on_announced(&mut self, sink: &mut Sink<'_>, at: Instant) {
        if let Some(began) = self.ownership.unannounced.take() {
            self.tell_at(sink, at, EventKind::Announced { took: at.since(began) }, self.cause);
        }
    }

    fn tell_at(&self, sink: &mut Sink<'_>, at: Instant, kind: EventKind, cause: Cause) {
        let (subject, actor) = (self.subject(), self.responsible(sink.now, cause));
        let event = Event { at, subject, kind, cause, evidence: Evidence::default(), actor };
        sink.effects.push(Effect::Event(Box::new(event)));
    }

    /// An address that we hold has gone from the kernel.
    pub(crate) fn on_address_lost(&mut self, sink: &mut Sink<'_>, address: IpAddr) {
        let held = self.config.addresses.iter().any(|own| own.address == address);
        if !held || !matches!(self.state, State::Active(_)) {
            return;
        }
        let stalled = self.lease_ran_out(sink);
        let cause = if stalled.is_some() { Cause::AgentStalled } else { Cause::AddressConflict };
        let evidence = Evidence { stalled, ..Evidence::default() };
        let subject = Subject::Vip(self.id, Arc::clone(&self.config.name), address);
        self.tell_about(sink, subject, EventKind::AddressLost, cause, evidence);
        // An ownership that the kernel has not answered yet puts this address back as well: many addresses that go at
        // once are one loss.
        if self.ownership.applied.is_none() {
            return self.own(sink, true);
        }
        let tolerated = stalled.is_some()
            || (self.config.address_lost == AddressLostPolicy::Restore && self.count_loss(sink.now));
        if tolerated {
            self.own(sink, true);
            self.announce(sink, false);
        } else {
            self.hold_fault(sink, Fault::AddressContested(address), CONTESTED_HOLD, Cause::AddressConflict);
        }
    }

    /// For how long the agent did not run, when that explains the loss: nobody renewed the lease.
    fn lease_ran_out(&self, sink: &Sink<'_>) -> Option<Duration> {
        let lease = self.config.lease.lifetime(self.config.interval)?;
        let (ended, duration) = sink.stalled?;
        (duration >= lease / 3 && sink.now.since(ended) <= lease).then_some(duration)
    }

    /// Whether one more loss is tolerated.
    fn count_loss(&mut self, now: Instant) -> bool {
        if now.since(self.losses.1) > LOSS_WINDOW {
            self.losses = (0, now);
        }
        self.losses.0 += 1;
        self.losses.0 <= TOLERATED_LOSSES
    }

    /// Whether an operator saw this instance's intent as it is.
    pub(crate) fn check_revision(&self, expected: Option<u64>) -> Result<(), Refusal> {
        match expected {
            Some(expected) if expected != self.revision => {
                Err(Refusal::RevisionMismatch { current: self.revision })
            }
            _ => Ok(()),
        }
    }

    /// Whether a command that names this instance is of who may give it. Other members of its sync group may hear somebody else.
    pub(crate) fn check_word(&self, action: &OperatorAction) -> Result<(), Refusal> {
        match action {
            OperatorAction::TakeOver { from, .. } => self.is_word_of_the_active(*from),
            _ => Ok(()),
        }
    }

    /// Whether an action can be carried out on this member of the sync group that a command names, or on a single instance.
    pub(crate) fn check_action(&self, action: &OperatorAction) -> Result<(), Refusal> {
        match action {
            OperatorAction::OverridePriority { priority, .. }
                if priority.is_owner() || self.config.priority.is_owner() =>
            {
                Err(Refusal::AddressOwner)
            }
            OperatorAction::OverridePriority { .. }
            | OperatorAction::ClearPriority
            | OperatorAction::EndHold => Ok(()),
            OperatorAction::Handover(_) | OperatorAction::Announce { .. }
                if matches!(self.state, State::Active(_)) =>
            {
                Ok(())
            }
            OperatorAction::Handover(_) | OperatorAction::Announce { .. } => Err(Refusal::NotActive),
            OperatorAction::Withdraw { .. } => self.may_withdraw(),
            OperatorAction::TakeOver { .. } => self.may_take_over(),
        }
    }

    /// Carries a checked command out, which may have named another member of the sync group.
    pub(crate) fn carry_out(&mut self, sink: &mut Sink<'_>, command: &OperatorCommand) {
        let evidence = if command.instance == self.config.name {
            Evidence::default()
        } else {
            led_by(&command.instance)
        };
        let actor = &command.actor;
        match &command.action {
            OperatorAction::OverridePriority { priority, reason, expires, survives } => {
                let override_ = Override {
                    priority: *priority,
                    order: StandingOrder {
                        reason: Arc::clone(reason),
                        actor: Arc::clone(actor),
                        since: sink.now,
                        expires: *expires,
                        survives: *survives,
                    },
                };
                self.set_override(sink, override_, evidence);
            }
            OperatorAction::ClearPriority => {
                self.end_override(sink, Cause::AdminPriority, Some(Arc::clone(actor)), evidence);
            }
            OperatorAction::Handover(wish) => self.hand_over(sink, wish, actor),
            OperatorAction::Withdraw { successor } => self.withdraw(sink, Some(*successor)),
            OperatorAction::TakeOver { from, until, cause } => {
                // Other members of the sync group hear that holder elsewhere.
                let from = Some(*from).filter(|_| command.instance == self.config.name);
                self.take_over_from(sink, from, *until, *cause, actor);
            }
            OperatorAction::Announce { reason } => self.announce_again(sink, reason, actor, evidence),
            OperatorAction::EndHold => {
                self.end_hold(sink, Cause::AdminTransfer, Some(Arc::clone(actor)));
            }
        }
    }

    fn announce_again(
        &mut self,
        sink: &mut Sink<'_>,
        reason: &Arc<str>,
        actor: &Arc<Actor>,
        evidence: Evidence,
    ) {
        self.announce_burst(sink);
        let kind = EventKind::Wire(WireEvent::Reannounced { reason: Arc::clone(reason) });
        let (at, subject, cause) = (sink.now, self.subject(), Cause::AdminAnnounce);
        let event = Event { at, subject, kind, cause, evidence, actor: Some(Arc::clone(actor)) };
        sink.effects.push(Effect::Event(Box::new(event)));
    }

    pub(super) fn set_override(&mut self, sink: &mut Sink<'_>, override_: Override, evidence: Evidence) {
        self.note_override(sink, override_, evidence.clone());
        self.reprioritise(sink, Cause::AdminPriority, evidence);
    }

    /// Without effect until the priority is added up.
    pub(super) fn note_override(&mut self, sink: &mut Sink<'_>, override_: Override, evidence: Evidence) {
        self.responsible = Some((Arc::clone(&override_.order.actor), self.explains_until(sink.now)));
        self.revision += 1;
        let kind = EventKind::OverrideSet {
            priority: override_.priority,
            reason: Arc::clone(&override_.order.reason),
            lasts: override_.order.expires.map(|at| at.since(sink.now)),
        };
        self.override_ = Some(override_);
        self.tell(sink, kind, Cause::AdminPriority, evidence);
    }

    /// Nothing happens when there is no override.
    pub(super) fn end_override(
        &mut self,
        sink: &mut Sink<'_>,
        cause: Cause,
        actor: Option<Arc<Actor>>,
        evidence: Evidence,
    ) {
        if self.override_.take().is_none() {
            return;
        }
        self.responsible = actor.map(|actor| (actor, self.explains_until(sink.now)));
        self.revision += 1;
        self.tell(sink, EventKind::OverrideCleared, cause, evidence.clone());
        self.reprioritise(sink, cause, evidence);
    }

    /// Takes over a configuration that does not need a new start (see [`Self::needs_restart`]).
    pub(crate) fn reconfigure(&mut self, sink: &mut Sink<'_>, config: Arc<InstanceConfig>, beside: Beside) {
        let before = core::mem::replace(&mut self.config, config);
        self.last_sent.forget();
        self.revision += 1;
        self.tell(sink, EventKind::InstanceChanged, Cause::ConfigReload, Evidence::default());
        self.address_links = beside.address_links;
        if let Some(link) = &beside.link {
            self.on_own_link(sink, link);
        }
        if before.interval != self.config.interval {
            self.follow_own_interval();
            self.rearm_active_down();
        }
        let sent = self.counters.sent;
        if let Some((override_, led)) = beside.override_ {
            self.take_override(sink, override_, &led);
        }
        let evidence = self.retrack(beside.tracked);
        self.on_tracked(sink, Cause::ConfigReload, evidence);
        if !matches!(self.state, State::Active(_)) {
            return self.retry_changed(sink, &before);
        }
        if self.counters.sent == sent && is_another_advert(&before, &self.config) {
            self.advertise_and_restart(sink);
        }
        if lifetime(&before) != lifetime(&self.config) || before.addresses != self.config.addresses {
            self.own(sink, true);
        }
        if before.addresses != self.config.addresses || before.announce != self.config.announce {
            self.announce_burst(sink);
        }
    }

    /// Other addresses deserve another try at once.
    fn retry_changed(&mut self, sink: &Sink<'_>, before: &InstanceConfig) {
        if before.addresses != self.config.addresses
            && let Some((until, _)) = &mut self.held_fault
        {
            *until = sink.now;
        }
    }

    /// Whether a new configuration makes this another virtual router on the wire or on the link.
    pub(crate) fn needs_restart(&self, config: &InstanceConfig) -> bool {
        let own = &self.config;
        own.interface != config.interface
            || own.virtual_router_id != config.virtual_router_id
            || own.family != config.family
            || own.version() != config.version()
            || own.virtual_mac != config.virtual_mac
            || own.priority.is_owner() != config.priority.is_owner()
    }
}

/// Whether peers would see or time our adverts otherwise; the priority aside.
fn is_another_advert(before: &InstanceConfig, now: &InstanceConfig) -> bool {
    before.interval != now.interval
        || before.advertised().ne(now.advertised())
        || before.protocol != now.protocol
        || before.transport != now.transport
}

fn lifetime(config: &InstanceConfig) -> Option<Duration> {
    config.lease.lifetime(config.interval)
}
