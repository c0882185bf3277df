//! Planned moves of an instance: the holder's side and the successor's of a handover, the drain of the node, and the hold
//! that keeps a transfer from being undone.
//!
//! ```text
//!            Handover(Asked)  ┌─ Asked: adverts go on ──────── Withdraw ───────────────┐
//!   Active ───────────────────┤                                                         ├─► Backup
//!            Handover(Offered)└─ Offered: silent ─ advert heard ─ Settling ─ SETTLE ────┘
//!                                         a sync group waits until all its members are Settled
//!                                   limit without a successor: Active as before
//! ```

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use core::net::IpAddr;

use super::{Instance, Sink, State};
use crate::event::{Actor, Cause, EventKind, Evidence, MoveEvent};
use crate::input::Refusal;
use crate::moves::{Handover, SETTLE, Way};
use crate::order::StandingOrder;
use crate::receive::Accepted;
use crate::schedule::Reason;
use crate::units::Instant;

/// What is special about an Active router during a planned move.
#[derive(Debug)]
pub(super) enum Moving {
    /// It gives the addresses to somebody else.
    HandsOver(HandingOver),
    TakesOver(TakingOver),
}

/// It has taken over at the word of `from`, which still advertises: that is no rival, whatever its priority. Once that one has
/// withdrawn its adverts are claims: its node says so, or it is silent for three of its intervals, which a holder never is, and what has
/// withdrawn always before it claims: Active_Down_Interval is longer. At the latest at the limit.
#[derive(Debug)]
pub(super) struct TakingOver {
    from: IpAddr,
    until: Instant,
    /// When its last advert was heard that did not count; the takeover until then.
    heard: Instant,
}

#[derive(Debug)]
pub(super) struct HandingOver {
    wish: Handover,
    actor: Arc<Actor>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// The successor was asked; adverts go on, and those of others say nothing new.
    Asked,
    /// Priority 0 was sent; silent, but the addresses are kept.
    Offered,
    /// This router has taken over; the addresses are given up then, or when those of the whole sync group are.
    Settling { successor: IpAddr, at: Instant },
    /// It has announced them; other members of the sync group are not so far.
    Settled { successor: IpAddr },
}

impl Moving {
    pub(super) fn deadline(&self) -> (Instant, Reason) {
        let at = match self {
            Self::HandsOver(HandingOver { stage: Stage::Settling { at, .. }, .. }) => *at,
            // Until then every member has been taken over or has not.
            Self::HandsOver(HandingOver { stage: Stage::Settled { .. }, wish, .. }) => {
                wish.until.after(SETTLE)
            }
            Self::HandsOver(handing) => handing.wish.until,
            Self::TakesOver(taking) => taking.until,
        };
        (at, Reason::Handover)
    }

    /// A word for how far it is.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::HandsOver(handing) => match handing.stage {
                Stage::Asked => "HANDING_OVER",
                Stage::Offered => "OFFERED",
                Stage::Settling { .. } => "SETTLING",
                Stage::Settled { .. } => "HANDED_OVER",
            },
            Self::TakesOver(_) => "TAKING_OVER",
        }
    }

    /// Who has taken over what was offered, as far as it was heard.
    pub(super) fn successor(&self) -> Option<IpAddr> {
        match self {
            Self::HandsOver(handing) => match handing.stage {
                Stage::Settling { successor, .. } | Stage::Settled { successor } => Some(successor),
                Stage::Asked | Stage::Offered => None,
            },
            Self::TakesOver(_) => None,
        }
    }

    /// Whether what was offered has been taken over and announced.
    pub(super) fn is_given(&self) -> bool {
        matches!(self, Self::HandsOver(HandingOver { stage: Stage::Settled { .. }, .. }))
    }

    /// Whether nothing may be heard from this router: it has said that it releases.
    pub(super) fn is_silent(&self) -> bool {
        match self {
            Self::HandsOver(handing) => handing.stage != Stage::Asked,
            Self::TakesOver(_) => false,
        }
    }
}

impl TakingOver {
    pub(super) fn from(&self) -> IpAddr {
        self.from
    }

    /// Whether an advert of the holder's counts: it has withdrawn meanwhile.
    fn is_claim(&mut self, now: Instant, advert: &Accepted) -> bool {
        let interval = advert.interval().duration();
        // Less what ways may differ in: the first claim may come a skew after the third interval, which is as good as nothing.
        let was_silent = now.since(self.heard) >= interval * 3 - interval / 8;
        self.heard = now;
        was_silent || now >= self.until
    }
}

impl Instance {
    /// Whether it can become Active at a holder's word.
    pub(super) fn may_take_over(&self) -> Result<(), Refusal> {
        match &self.state {
            State::Fault => Err(Refusal::Faulty),
            State::Backup(_) if self.drained => Err(Refusal::Drained),
            State::Backup(_) => Ok(()),
            State::Active(active) if matches!(active.moving(), Some(Moving::TakesOver(_))) => Ok(()),
            State::Active(_) | State::Initialize { .. } => Err(Refusal::NotBackup),
        }
    }

    /// Whether that holder is the one that this node hears: nobody else's word counts.
    pub(super) fn is_word_of_the_active(&self, from: IpAddr) -> Result<(), Refusal> {
        let heard = match &self.state {
            State::Active(active) => active.taken_from(),
            _ => self.last_advert.map(|last| last.source),
        };
        if heard == Some(from) { Ok(()) } else { Err(Refusal::AnotherActive { heard }) }
    }

    pub(super) fn may_withdraw(&self) -> Result<(), Refusal> {
        match &self.state {
            State::Active(active) if matches!(active.moving(), Some(Moving::HandsOver(_))) => Ok(()),
            _ => Err(Refusal::NotHandingOver),
        }
    }

    /// Begins a handover; the caller has checked that this instance is Active.
    pub(super) fn hand_over(&mut self, sink: &mut Sink<'_>, wish: &Handover, actor: &Arc<Actor>) {
        if !matches!(self.state, State::Active(_)) {
            return;
        }
        self.responsible = Some((Arc::clone(actor), self.explains_until(sink.now)));
        let kind = EventKind::Move(MoveEvent::HandoverBegan { to: wish.way.successor() });
        self.tell(sink, kind, wish.cause, Evidence::default());
        let stage = match wish.way {
            Way::Asked { .. } => Stage::Asked,
            Way::Offered => {
                self.advertise_release(sink);
                Stage::Offered
            }
        };
        let handing = HandingOver { wish: wish.clone(), actor: Arc::clone(actor), stage };
        self.set_moving(Some(Moving::HandsOver(handing)));
    }

    /// Becomes Active at the word of the holder, which keeps the addresses until it hears that this was done.
    pub(super) fn take_over_from(
        &mut self,
        sink: &mut Sink<'_>,
        from: Option<IpAddr>,
        until: Instant,
        cause: Cause,
        actor: &Arc<Actor>,
    ) {
        if !matches!(self.state, State::Backup(_)) {
            return;
        }
        let word: Arc<str> = Arc::from("at the holder's word over the control plane");
        let evidence = Evidence { detail: Some(word), ..self.evidence_of(sink.now, None) };
        self.responsible = Some((Arc::clone(actor), self.explains_until(sink.now)));
        self.become_active(sink, cause, evidence);
        // Without a known holder there is none whose adverts could be expected.
        let from = from.or_else(|| self.last_advert.map(|last| last.source));
        let heard = sink.now;
        self.set_moving(from.map(|from| Moving::TakesOver(TakingOver { from, until, heard })));
    }

    /// An advert during a planned move; `true` when nothing more is to be done with it.
    pub(super) fn on_advert_while_moving(&mut self, sink: &mut Sink<'_>, advert: &Accepted) -> bool {
        let State::Active(active) = &mut self.state else { return false };
        match active.moving_mut() {
            None => return false,
            Some(Moving::TakesOver(taking)) if taking.from != advert.source() => return false,
            Some(Moving::TakesOver(taking)) => {
                let is_claim = taking.is_claim(sink.now, advert);
                if is_claim {
                    self.set_moving(None);
                }
                return !is_claim;
            }
            Some(Moving::HandsOver(handing)) => match handing.stage {
                Stage::Offered if advert.priority() > 0 => {
                    let (successor, at) = (advert.source(), sink.now.after(SETTLE));
                    handing.stage = Stage::Settling { successor, at };
                }
                Stage::Settling { successor, .. } | Stage::Settled { successor }
                    if advert.priority() == 0 && successor == advert.source() =>
                {
                    self.fail_handover(sink);
                }
                Stage::Asked | Stage::Offered | Stage::Settling { .. } | Stage::Settled { .. } => {}
            },
        }
        true
    }

    /// The limit of a planned move has come.
    pub(super) fn on_moving_due(&mut self, sink: &mut Sink<'_>) {
        let has_group = self.config.group.is_some();
        let State::Active(active) = &mut self.state else { return };
        match active.moving_mut() {
            None => {}
            Some(Moving::TakesOver(_)) => {
                self.set_moving(None);
                // It may have gone on as the holder and announced the addresses, unheard.
                self.announce_beyond_one_round(sink.now);
            }
            Some(Moving::HandsOver(handing)) => match handing.stage {
                Stage::Asked | Stage::Offered | Stage::Settled { .. } => self.fail_handover(sink),
                // The group decides when all are so far.
                Stage::Settling { successor, .. } if has_group => {
                    handing.stage = Stage::Settled { successor }
                }
                Stage::Settling { successor, .. } => self.withdraw(sink, Some(successor)),
            },
        }
    }

    /// Nobody took over, or not for long: on as before. Somebody may have announced the addresses meanwhile.
    pub(super) fn fail_handover(&mut self, sink: &mut Sink<'_>) {
        let State::Active(active) = &mut self.state else { return };
        let Some(Moving::HandsOver(handing)) = active.take_moving() else { return };
        let kind = EventKind::Move(MoveEvent::HandoverFailed);
        self.tell(sink, kind, handing.wish.cause, self.evidence_of(sink.now, None));
        if handing.stage != Stage::Asked {
            self.advertise_and_restart(sink);
        }
        self.announce_burst(sink);
        self.end_silent_rival(sink);
    }

    /// The successor has announced the addresses: ours go, without priority 0, which would start other routers' timers.
    pub(super) fn withdraw(&mut self, sink: &mut Sink<'_>, successor: Option<IpAddr>) {
        let State::Active(active) = &mut self.state else { return };
        let Some(Moving::HandsOver(handing)) = active.take_moving() else { return };
        let HandingOver { wish, actor, .. } = handing;
        let last = self.last_advert.filter(|last| Some(last.source) == successor);
        let evidence = Evidence {
            peer: successor,
            peer_priority: last.map(|last| last.priority),
            local_priority: Some(self.priority()),
            ..Evidence::default()
        };
        self.responsible = Some((actor, self.explains_until(sink.now)));
        if let Some(hold) = wish.hold {
            self.hold_preemption(sink, hold, wish.cause);
        }
        self.leave_active(sink, false);
        self.become_backup(sink, wish.cause, evidence);
    }

    /// The node of `source` is Active no longer, as it says itself: if this router has taken over at its word, only adverts that are
    /// still on their way count for nothing.
    pub(super) fn on_withdrawal_heard(&mut self, now: Instant, source: IpAddr) {
        let on_their_way = now.after(self.config.interval.duration() / 4);
        let State::Active(active) = &mut self.state else { return };
        if let Some(Moving::TakesOver(taking)) = active.moving_mut()
            && taking.from == source
        {
            taking.until = on_their_way.min(taking.until);
        }
    }

    fn hold_preemption(&mut self, sink: &mut Sink<'_>, hold: StandingOrder, cause: Cause) {
        self.revision += 1;
        let lasts = hold.expires.map(|at| at.since(sink.now));
        let kind = EventKind::Move(MoveEvent::PreemptHeld { reason: Arc::clone(&hold.reason), lasts });
        self.hold = Some(hold);
        self.tell(sink, kind, cause, Evidence::default());
    }

    /// Nothing happens when there is no hold.
    pub(super) fn end_hold(&mut self, sink: &mut Sink<'_>, cause: Cause, actor: Option<Arc<Actor>>) {
        if self.hold.take().is_none() {
            return;
        }
        self.revision += 1;
        self.responsible =
            actor.map(|actor| (actor, self.explains_until(sink.now))).or(self.responsible.take());
        let kind = EventKind::Move(MoveEvent::PreemptReleased);
        self.tell(sink, kind, cause, Evidence::default());
    }

    /// Begins or ends what the node's drain means here: priority 1, that of a last resort.
    pub(crate) fn set_drain(
        &mut self,
        sink: &mut Sink<'_>,
        drained: bool,
        cause: Cause,
        actor: Option<Arc<Actor>>,
    ) {
        self.responsible = actor.map(|actor| (actor, self.explains_until(sink.now)));
        self.drained = drained;
        self.revision += 1;
        self.reprioritise(sink, cause, Evidence::default());
    }

    fn set_moving(&mut self, moving: Option<Moving>) {
        if let State::Active(active) = &mut self.state {
            active.set_moving(moving);
        }
    }
}
