//! Active (RFC 9568 §6.4.3): sends adverts, holds and announces the addresses, and watches for a rival.

use alloc::sync::Arc;
use core::net::IpAddr;
use core::time::Duration;

use super::moves::Moving;
use super::{Instance, Sink, State};
use crate::config::AnnouncePolicy;
use crate::event::{Cause, EventKind};
use crate::receive::Accepted;
use crate::schedule::Reason;
use crate::units::Instant;

/// What an Active router has to do next.
#[derive(Debug)]
pub(crate) struct Active {
    /// Adver_Timer.
    next_advert: Instant,
    last_advert: Instant,
    /// Changed priorities told out of turn: how many since when.
    told_changes: (u32, Instant),
    announcements: Announcements,
    rival: Option<Rival>,
    /// Until then a rival is not told: its advert may have crossed ours, or the last rivalry has only just ended.
    settles_at: Instant,
    /// Until then other nodes' words begin no rivalry: the last one has only just ended.
    quiet_until: Instant,
    moving: Option<Moving>,
}

/// When addresses are announced again.
#[derive(Debug)]
struct Announcements {
    next: Option<Instant>,
    /// Rounds left of this burst.
    rounds: u8,
    /// A second burst is still to come, at this instant.
    second: Option<Instant>,
    /// A single round beside the bursts.
    extra: Option<Instant>,
}

/// Another Active router for the same virtual router: the link is, or was, split.
#[derive(Debug)]
struct Rival {
    address: IpAddr,
    since: Instant,
    /// Gone when no advert is heard by then; the end of time when none ever was.
    silent_at: Instant,
    /// The node that says over the control plane that it is this one.
    node: Option<Arc<str>>,
}

impl Active {
    pub(super) fn new(now: Instant, next_advert: Instant, policy: &AnnouncePolicy) -> Self {
        Self {
            next_advert,
            last_advert: now,
            told_changes: (0, now),
            announcements: Announcements::burst(now, policy),
            rival: None,
            settles_at: next_advert,
            quiet_until: now,
            moving: None,
        }
    }

    pub(super) fn moving(&self) -> Option<&Moving> {
        self.moving.as_ref()
    }

    pub(super) fn moving_mut(&mut self) -> Option<&mut Moving> {
        self.moving.as_mut()
    }

    pub(super) fn take_moving(&mut self) -> Option<Moving> {
        self.moving.take()
    }

    pub(super) fn set_moving(&mut self, moving: Option<Moving>) {
        self.moving = moving;
    }

    /// Whether it has said that it releases, and keeps the addresses until somebody takes over.
    pub(super) fn is_silent(&self) -> bool {
        self.moving.as_ref().is_some_and(Moving::is_silent)
    }

    /// The holder at whose word it has just become Active.
    pub(super) fn taken_from(&self) -> Option<IpAddr> {
        match &self.moving {
            Some(Moving::TakesOver(taking)) => Some(taking.from()),
            _ => None,
        }
    }

    /// After a restart of the agent: neighbours know where the addresses are.
    pub(super) fn adopted(now: Instant, next_advert: Instant, policy: &AnnouncePolicy) -> Self {
        let announcements = Announcements::refreshing(now, policy);
        Self { announcements, ..Self::new(now, next_advert, policy) }
    }

    /// When its last advert left.
    pub(super) fn last_sent(&self) -> Instant {
        self.last_advert
    }

    pub(super) fn deadline(&self) -> (Instant, Reason) {
        let moving = self.moving.as_ref().map(Moving::deadline);
        if let Some(moving) = moving.filter(|_| self.is_silent()) {
            return moving;
        }
        let advert = (self.next_advert, Reason::Advertisement);
        let announce = self.announcement_due().map(|at| (at, Reason::Announcement));
        let rival = self.rival.as_ref().map(|rival| (rival.silent_at, Reason::RivalSilent));
        announce
            .into_iter()
            .chain(rival)
            .chain(moving)
            .fold(advert, |first, other| if other.0 < first.0 { other } else { first })
    }

    /// When it sends its next advert, and when it announces its addresses again.
    pub(super) fn timers(&self) -> (Instant, Option<Instant>) {
        (self.next_advert, self.announcement_due())
    }

    /// None while it hands over: the last that neighbours hear must be the successor.
    fn announcement_due(&self) -> Option<Instant> {
        let hands_over = matches!(self.moving, Some(Moving::HandsOver(_)));
        self.announcements.due().filter(|_| !hands_over)
    }

    pub(super) fn rival(&self) -> Option<IpAddr> {
        self.rival.as_ref().map(|rival| rival.address)
    }

    /// The node that says that it is the rival.
    pub(super) fn rival_node(&self) -> Option<&Arc<str>> {
        self.rival.as_ref()?.node.as_ref()
    }

    pub(super) fn quiet_until(&self) -> Instant {
        self.quiet_until
    }

    /// A node says that it is Active too; whether that begins a rivalry of which no advert has told.
    pub(super) fn note_rival_node(&mut self, address: IpAddr, node: Arc<str>, since: Instant) -> bool {
        match &mut self.rival {
            Some(rival) => {
                rival.node = Some(node);
                false
            }
            None => {
                self.rival = Some(Rival { address, since, silent_at: Instant::END, node: Some(node) });
                true
            }
        }
    }

    /// A node says so no longer; whether that ends the rivalry, because no advert was heard.
    pub(super) fn forget_rival_node(&mut self, node: &Arc<str>) -> bool {
        let Some(rival) = self.rival.as_mut().filter(|rival| rival.node.as_ref() == Some(node)) else {
            return false;
        };
        rival.node = None;
        rival.silent_at == Instant::END
    }
}

impl Announcements {
    /// A burst whose first round leaves now.
    fn burst(now: Instant, policy: &AnnouncePolicy) -> Self {
        let second = (!policy.delay.is_zero()).then(|| now.after(policy.delay));
        let mut announcements = Self { next: None, rounds: policy.repeat, second, extra: None };
        announcements.advance(now, policy);
        announcements
    }

    /// No burst, but what is wanted again and again.
    fn refreshing(now: Instant, policy: &AnnouncePolicy) -> Self {
        let mut announcements = Self { next: None, rounds: 0, second: None, extra: None };
        announcements.advance(now, policy);
        announcements
    }

    fn due(&self) -> Option<Instant> {
        self.next.into_iter().chain(self.extra).min()
    }

    /// A round is leaving now.
    fn on_due(&mut self, now: Instant, policy: &AnnouncePolicy) {
        self.extra = self.extra.filter(|at| *at > now);
        if self.next.is_some_and(|at| at <= now) {
            self.advance(now, policy);
        }
    }

    /// A round has left: when is the next?
    fn advance(&mut self, now: Instant, policy: &AnnouncePolicy) {
        self.rounds = self.rounds.saturating_sub(1);
        self.next = if self.rounds > 0 {
            Some(now.after(policy.interval))
        } else if let Some(second) = self.second.take() {
            self.rounds = policy.repeat;
            Some(second.max(now.after(policy.interval)))
        } else {
            (!policy.refresh.is_zero()).then(|| now.after(policy.refresh))
        };
    }
}

impl Instance {
    pub(super) fn on_advert_in_active(&mut self, sink: &mut Sink<'_>, advert: &Accepted) {
        self.remember(sink.now, advert);
        if self.on_advert_while_moving(sink, advert) {
            return;
        }
        if advert.priority() == 0 {
            // "If the Priority in the ADVERTISEMENT is zero, then: Send an ADVERTISEMENT" (§6.4.3 (700)).
            self.advertise_at_once(sink);
            return self.on_release_heard_in_active(sink, advert.source());
        }
        if let Some((cause, evidence)) = self.yields_to(sink.now, advert) {
            self.advertise_defeat(sink);
            self.leave_active(sink, false);
            self.become_backup(sink, cause, evidence);
            return self.on_advert_in_backup(sink, advert);
        }
        // "otherwise: discard the ADVERTISEMENT, and send an ADVERTISEMENT immediately" (§6.4.3 (770)).
        self.advertise_at_once(sink);
        self.notice_rival(sink, advert);
    }

    /// Who releases was Active, and may have announced the addresses, even if we never heard of it.
    fn on_release_heard_in_active(&mut self, sink: &mut Sink<'_>, source: IpAddr) {
        let State::Active(active) = &self.state else { return };
        if active.rival() == Some(source) {
            self.end_rival(sink);
        } else {
            self.announce_soon(sink.now);
        }
    }

    /// One more round, when whoever else announced the addresses has stopped.
    fn announce_soon(&mut self, now: Instant) {
        let pause = self.config.interval.duration().max(self.config.announce.interval);
        if let State::Active(active) = &mut self.state {
            active.announcements.extra.get_or_insert(now.after(pause));
        }
    }

    /// One last advert before we yield. After a split the winner may never have heard us, while the neighbours have: this
    /// tells it to announce the addresses again. After a stall nobody has heard us, and we stay silent.
    pub(super) fn advertise_defeat(&mut self, sink: &mut Sink<'_>) {
        let State::Active(active) = &self.state else { return };
        if sink.now.since(active.last_advert) < self.config.interval.duration() * 3 {
            self.advertise(sink);
        }
    }

    /// Whether the sender is Active rather than us, and why.
    fn yields_to(&self, now: Instant, advert: &Accepted) -> Option<(Cause, crate::event::Evidence)> {
        let State::Active(active) = &self.state else { return None };
        let mut evidence = self.evidence_of(now, Some(advert));
        evidence.last_advertisement_age = None;
        let higher_address = self.source.is_some_and(|own| advert.source() > own);
        match advert.priority().cmp(&self.priority().get()) {
            core::cmp::Ordering::Greater => Some((Cause::PeerHigherPriority, evidence)),
            core::cmp::Ordering::Equal if higher_address => {
                Some((Cause::PeerEqualPriorityHigherAddress, evidence))
            }
            // We were silent for so long that the sender had to take over: it holds the addresses, so let it.
            _ if now.since(active.last_advert) >= self.config.interval.duration() * 3 => {
                evidence.stalled = Some(now.since(active.next_advert));
                Some((Cause::AgentStalled, evidence))
            }
            _ => None,
        }
    }

    pub(super) fn on_active_deadline(&mut self, sink: &mut Sink<'_>) {
        let now = sink.now;
        let State::Active(active) = &self.state else { return };
        if active.moving.as_ref().is_some_and(|moving| moving.deadline().0 <= now) {
            self.on_moving_due(sink);
        }
        let State::Active(active) = &self.state else { return };
        if active.is_silent() {
            return;
        }
        let advert_due = active.next_advert <= now;
        let announcement_due = active.announcement_due().is_some_and(|at| at <= now);
        if advert_due {
            self.on_advert_due(sink, active.next_advert);
        }
        if announcement_due {
            let policy = self.config.announce;
            self.announce(sink, false);
            if let State::Active(active) = &mut self.state {
                active.announcements.on_due(now, &policy);
            }
        }
        self.end_silent_rival(sink);
    }

    /// When its adverts have stopped; whether it has, its node says.
    pub(super) fn end_silent_rival(&mut self, sink: &mut Sink<'_>) {
        let State::Active(active) = &mut self.state else { return };
        match &mut active.rival {
            Some(rival) if rival.silent_at > sink.now => {}
            Some(rival) if rival.node.is_some() => rival.silent_at = Instant::END,
            Some(_) => self.end_rival(sink),
            None => {}
        }
    }

    /// Adver_Timer has fired, or will so soon that its advert goes along with one that was due at `beat`.
    pub(crate) fn on_advert_due(&mut self, sink: &mut Sink<'_>, beat: Instant) {
        let interval = self.config.interval.duration();
        let State::Active(active) = &self.state else { return };
        let was_away = sink.now.since(active.last_advert) >= interval * 3;
        self.advertise(sink);
        // Keep the beat unless we are a whole interval behind.
        let next =
            if sink.now.since(beat) < interval { beat.after(interval) } else { sink.now.after(interval) };
        self.note_advert(sink.now, next);
        if was_away {
            // Nobody spoke while we did not run; but neighbours and kernel may have forgotten us.
            self.own(sink, true);
            self.announce_burst(sink);
        }
    }

    /// Sends an advert and restarts Adver_Timer, at most ten times an interval: a flood of losing adverts must not become
    /// a flood of ours. An advert that would be too soon is not left out but comes as soon as it may.
    pub(super) fn advertise_at_once(&mut self, sink: &mut Sink<'_>) {
        let interval = self.config.interval.duration();
        let State::Active(active) = &mut self.state else { return };
        let soonest = active.last_advert.after(interval / 10);
        if sink.now < soonest {
            active.next_advert = active.next_advert.min(soonest);
            return;
        }
        self.advertise_and_restart(sink);
    }

    /// Tells a changed priority without waiting for Adver_Timer, whatever was sent before; but ten times an interval at
    /// most, because a value may change at any rate. One that would be too many comes as soon as it may.
    pub(super) fn advertise_change(&mut self, sink: &mut Sink<'_>) {
        const MOST: u32 = 10;
        let interval = self.config.interval.duration();
        let State::Active(active) = &mut self.state else { return };
        let (count, since) = &mut active.told_changes;
        if sink.now.since(*since) >= interval {
            (*count, *since) = (0, sink.now);
        }
        if *count >= MOST {
            active.next_advert = active.next_advert.min(since.after(interval));
            return;
        }
        *count += 1;
        self.advertise_and_restart(sink);
    }

    /// Sends an advert now and restarts Adver_Timer.
    pub(super) fn advertise_and_restart(&mut self, sink: &mut Sink<'_>) {
        self.advertise(sink);
        self.note_advert(sink.now, sink.now.after(self.config.interval.duration()));
    }

    pub(super) fn note_advert(&mut self, now: Instant, next: Instant) {
        if let State::Active(active) = &mut self.state {
            active.last_advert = now;
            active.next_advert = next;
        }
    }

    /// The next advert comes so much earlier, and those after it with it.
    pub(crate) fn bring_forward(&mut self, now: Instant, by: Duration) {
        if let State::Active(active) = &mut self.state {
            let wait = active.next_advert.since(now);
            active.next_advert = now.after(wait.checked_sub(by).unwrap_or(wait));
        }
    }

    /// Announces now and begins a new burst.
    pub(super) fn announce_burst(&mut self, sink: &mut Sink<'_>) {
        self.announce(sink, false);
        let policy = self.config.announce;
        if let State::Active(active) = &mut self.state {
            active.announcements = Announcements::burst(sink.now, &policy);
        }
    }

    /// The sender is Active too. Neighbours may have learnt its MAC address, so announce ours again.
    fn notice_rival(&mut self, sink: &mut Sink<'_>, advert: &Accepted) {
        let longest = advert.interval().max(self.config.interval);
        let silent_at = sink.now.after(self.active_down_interval(longest));
        let State::Active(active) = &mut self.state else { return };
        match &mut active.rival {
            Some(rival) => {
                rival.address = advert.source();
                rival.silent_at = silent_at;
            }
            // Not worth an event, but its announcements may have crossed ours too.
            None if sink.now < active.settles_at => self.announce_soon(sink.now),
            None => {
                let (address, since) = (advert.source(), sink.now);
                active.rival = Some(Rival { address, since, silent_at, node: None });
                self.counters.duplicate_active += 1;
                let evidence = self.evidence_of(sink.now, Some(advert));
                let kind = EventKind::DuplicateActiveBegan { address: advert.source() };
                self.tell(sink, kind, Cause::DuplicateActive, evidence);
                self.announce_burst(sink);
            }
        }
    }

    /// The rival has gone: the last word to the neighbours must be ours.
    pub(super) fn end_rival(&mut self, sink: &mut Sink<'_>) {
        // A peer that appears and releases in turns must not become a flood of events and announcements.
        const PAUSE: Duration = Duration::from_secs(1);
        let pause = self.config.interval.duration().max(PAUSE);
        let State::Active(active) = &mut self.state else { return };
        let Some(rival) = active.rival.take() else { return };
        active.settles_at = sink.now.after(pause);
        active.quiet_until = active.settles_at;
        self.tell_rival_ended(sink, rival.address, sink.now.since(rival.since));
        self.announce_burst(sink);
        self.announce_beyond_one_round(sink.now);
    }

    /// What another one has asked of its kernel before it stopped may still leave after the only round of a burst.
    pub(super) fn announce_beyond_one_round(&mut self, now: Instant) {
        if self.config.announce.repeat == 1 {
            self.announce_soon(now);
        }
    }

    fn tell_rival_ended(&self, sink: &mut Sink<'_>, address: IpAddr, lasted: Duration) {
        let kind = EventKind::DuplicateActiveEnded { address, lasted };
        self.tell(sink, kind, Cause::DuplicateActive, self.evidence_of(sink.now, None));
    }

    /// The end of a rivalry in which we yield, or stop.
    pub(super) fn close_rival(&mut self, sink: &mut Sink<'_>) {
        let State::Active(active) = &mut self.state else { return };
        if let Some(rival) = active.rival.take() {
            self.tell_rival_ended(sink, rival.address, sink.now.since(rival.since));
        }
    }
}
