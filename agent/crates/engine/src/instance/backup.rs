//! Backup (RFC 9568 §6.4.2): listens, and takes over when the Active router is silent, releases, or is worse.
//!
//! Silence counts only while this node runs. A machine that stands still for a moment, with everything on it, hears nothing
//! meanwhile, and its Active_Down_Timer is over when it comes to: what it then says about the Active router is worth nothing.
//! So while an advert is overdue a Backup looks once an interval whether it comes late itself, and time in which it did not run
//! is added to the timer.
//!
//! ```text
//!   advert            look        look   Active_Down_Timer
//!   |-----------|-----*-----|-----*-----|---skew---!
//!   0           1          2           3              intervals since the advert
//! ```

use core::net::IpAddr;
use core::time::Duration;

use super::{Instance, Sink, State};
use crate::event::{Cause, EventKind, Evidence};
use crate::legacy::Followed;
use crate::receive::Accepted;
use crate::schedule::Reason;
use crate::snapshot::LastAdvert;
use crate::units::{AdvertisementInterval, Instant, Version};

/// What a Backup waits for.
#[derive(Debug)]
pub(crate) struct Backup {
    /// Active_Down_Timer.
    active_down: Instant,
    /// When to look whether this node runs, as an advert is overdue; of no use from `active_down` on.
    look: Instant,
    /// Active_Adver_Interval: our own until an advert is accepted.
    pub(crate) active_interval: AdvertisementInterval,
    /// When Active_Down_Timer was started, plus the time that does not count.
    heard: Instant,
    /// How long this node was seen not to run since then.
    away: Duration,
    /// Whether an Active router's advert started it.
    followed: bool,
    /// Why Active_Down_Timer will fire, if it does.
    expectation: Expectation,
    /// The Active router that is followed, and the highest priority that it had meanwhile.
    peak: Option<(IpAddr, u8)>,
    /// Active_Down_Timer has fired, but the sync group is not Active yet: why this member wants it to be.
    wish: Option<(Cause, Evidence)>,
    /// Until when a worse Active router is tolerated; set by its first advert.
    tolerates_until: Option<Instant>,
    /// The timer fired late and was set once more, to listen first.
    listened_again: bool,
    /// Whether other nodes' words count like adverts: this router has yielded to one, and no advert has arrived since.
    believes_words: bool,
    /// The Active router told last, and when.
    told: Option<(IpAddr, Instant)>,
}

/// Why the timer runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Expectation {
    /// The Active router was heard, or none was yet.
    Silence,
    /// It sent priority 0; Skew_Time runs.
    Release(LastAdvert),
    /// It is worse than we are, and its adverts no longer count.
    Preemption { delayed: bool },
}

impl Backup {
    pub(super) fn new(now: Instant, active_down: Instant, active_interval: AdvertisementInterval) -> Self {
        Self {
            active_down,
            look: first_look(now, active_interval),
            active_interval,
            heard: now,
            away: Duration::ZERO,
            followed: false,
            expectation: Expectation::Silence,
            peak: None,
            wish: None,
            tolerates_until: None,
            listened_again: false,
            believes_words: false,
            told: None,
        }
    }

    /// After a restart of the agent, with what was known before; `heard` is who was heard last.
    pub(super) fn adopted(
        now: Instant,
        active_down: Instant,
        active_interval: AdvertisementInterval,
        followed: Followed,
        heard: Option<IpAddr>,
    ) -> Self {
        Self {
            followed: followed.peak.is_some(),
            peak: followed.peak,
            tolerates_until: followed.tolerates_until,
            told: heard.map(|source| (source, now)),
            ..Self::new(now, active_down, active_interval)
        }
    }

    /// What another process needs to go on.
    pub(super) fn followed(&self) -> Followed {
        Followed { interval: self.active_interval, peak: self.peak, tolerates_until: self.tolerates_until }
    }

    /// None for a member that waits for its sync group.
    pub(super) fn deadline(&self) -> Option<(Instant, Reason)> {
        let next = if self.look < self.active_down {
            (self.look, Reason::AdvertOverdue)
        } else {
            (self.active_down, Reason::ActiveDown)
        };
        self.wish.is_none().then_some(next)
    }

    /// A word for what it waits for, Active_Down_Timer, and how long this node did not run since that was started.
    pub(super) fn shown(&self) -> (&'static str, Instant, Duration) {
        let substate = match self.expectation {
            _ if self.wish.is_some() => "WAITING_FOR_GROUP",
            Expectation::Silence if self.believes_words => "YIELDED",
            Expectation::Silence if self.followed => "FOLLOWING",
            Expectation::Silence => "LISTENING",
            Expectation::Release(_) => "RELEASED",
            Expectation::Preemption { delayed: true } => "PREEMPT_DELAYED",
            Expectation::Preemption { delayed: false } => "PREEMPTING",
        };
        (substate, self.active_down, self.away)
    }

    /// Whether it would be Active without its sync group.
    pub(super) fn wants(&self) -> bool {
        self.wish.is_some()
    }

    /// Whether an Active router's advert started Active_Down_Timer.
    pub(super) fn follows(&self) -> bool {
        self.followed && self.expectation == Expectation::Silence
    }

    /// Other nodes' words count from now on, until an advert arrives.
    pub(super) fn believe_words(&mut self) {
        self.believes_words = true;
    }

    pub(super) fn take_wish(&mut self) -> Option<(Cause, Evidence)> {
        self.wish.take()
    }

    /// Whether this Active router has become worse while it was followed. "Preempt_Mode: Controls whether a (starting or
    /// restarting) higher-priority Backup Router preempts a lower-priority Active Router" (RFC 9568 §6.1): it speaks of
    /// routers that come back. Who says that it is worse than it was wants to be relieved; else a failing Active router
    /// would keep the addresses for ever.
    fn is_degraded(&self, advert: &Accepted) -> bool {
        self.peak.is_some_and(|(source, peak)| source == advert.source() && advert.priority() < peak)
    }

    /// Time in which this node did not run does not count as silence. What takes less than an eighth of an interval is no
    /// absence: all looks together then miss less than half an interval of the three.
    fn was_away(&self, late: Duration) -> bool {
        late >= self.active_interval.duration() / 8
    }

    /// Starts Active_Down_Timer so much later.
    fn postpone(&mut self, by: Duration) {
        self.heard = self.heard.after(by);
        self.active_down = self.active_down.after(by);
    }

    /// When to look the next time.
    fn look_later(&mut self, now: Instant) {
        self.look = now.after(self.active_interval.duration());
    }

    /// Whether this Active router is to be told: a new one, and not more often than each ten seconds.
    fn tells(&mut self, now: Instant, source: IpAddr) -> bool {
        const PAUSE: Duration = Duration::from_secs(10);
        let news = self.told.is_none_or(|(told, at)| told != source && now.since(at) >= PAUSE);
        if news {
            self.told = Some((source, now));
        }
        news
    }
}

impl Instance {
    pub(super) fn on_advert_in_backup(&mut self, sink: &mut Sink<'_>, advert: &Accepted) {
        if advert.priority() == 0 {
            self.on_release_heard(sink.now, advert);
        } else if advert.priority() >= self.priority().get() {
            self.follow(sink, advert);
            self.tolerate(None);
        } else if self.is_tolerated(sink.now, advert) {
            self.follow(sink, advert);
        } else {
            self.expect_preemption(sink.now, advert);
        }
    }

    /// "If the Priority in the ADVERTISEMENT is zero, then set the Active_Down_Timer to Skew_Time" (§6.4.2 (420)).
    /// A repeated one never lengthens the wait.
    fn on_release_heard(&mut self, now: Instant, advert: &Accepted) {
        self.remember(now, advert);
        let release = LastAdvert { at: now, source: advert.source(), priority: 0 };
        let (version, priority) = (self.version(), self.priority());
        let State::Backup(backup) = &mut self.state else { return };
        let skewed = now.after(backup.active_interval.skew_time(version, priority));
        backup.active_down = backup.active_down.min(skewed);
        backup.believes_words = false;
        backup.expectation = Expectation::Release(release);
    }

    /// The sender is our Active router: adopt its interval and wait a whole Active_Down_Interval.
    fn follow(&mut self, sink: &mut Sink<'_>, advert: &Accepted) {
        self.remember(sink.now, advert);
        let active_down = sink.now.after(self.active_down_interval(advert.interval()));
        let State::Backup(backup) = &mut self.state else { return };
        backup.active_interval = advert.interval();
        backup.active_down = active_down;
        backup.look = first_look(sink.now, advert.interval());
        backup.heard = sink.now;
        backup.away = Duration::ZERO;
        backup.followed = true;
        backup.believes_words = false;
        backup.wish = None;
        let peak = backup.peak.filter(|(source, _)| *source == advert.source()).map_or(0, |(_, peak)| peak);
        backup.peak = Some((advert.source(), peak.max(advert.priority())));
        backup.expectation = Expectation::Silence;
        backup.listened_again = false;
        if backup.tells(sink.now, advert.source()) {
            let kind = EventKind::ActiveObserved { address: advert.source(), priority: advert.priority() };
            self.tell(sink, kind, Cause::Advertisement, self.evidence_of(sink.now, Some(advert)));
        }
    }

    /// Whether a worse Active router may go on: not when it has become worse; else without Preempt_Mode, or held after a
    /// transfer, always, with a preempt delay until it ends; the first advert of a worse one starts it.
    fn is_tolerated(&mut self, now: Instant, advert: &Accepted) -> bool {
        // "the router that owns the addresses always preempts, independent of the setting of this flag" (RFC 9568 §6.1).
        let owner = self.priority().is_owner();
        let State::Backup(backup) = &mut self.state else { return false };
        // An operator who moved the addresses away means it, whoever owns them.
        let held = self.hold.is_some();
        if backup.is_degraded(advert) || (owner && !held) {
            return false;
        }
        if held || !self.config.preempt {
            return true;
        }
        let delay = self.config.preempt_delay;
        !delay.is_zero() && now < *backup.tolerates_until.get_or_insert(now.after(delay))
    }

    fn tolerate(&mut self, until: Option<Instant>) {
        if let State::Backup(backup) = &mut self.state {
            backup.tolerates_until = until;
        }
    }

    /// "Preempt_Mode is True and the Priority is lower: discard" (§6.4.2): the timer keeps running.
    fn expect_preemption(&mut self, now: Instant, advert: &Accepted) {
        self.remember(now, advert);
        let State::Backup(backup) = &mut self.state else { return };
        backup.believes_words = false;
        if !matches!(backup.expectation, Expectation::Release(_)) {
            backup.expectation = Expectation::Preemption { delayed: backup.tolerates_until.is_some() };
        }
    }

    pub(super) fn on_backup_deadline(&mut self, sink: &mut Sink<'_>) {
        let State::Backup(backup) = &self.state else { return };
        match backup.deadline() {
            Some((due, Reason::AdvertOverdue)) if due <= sink.now => self.look_at_ourselves(sink.now, due),
            Some((due, _)) if due <= sink.now => self.on_active_down(sink, due),
            _ => {}
        }
    }

    /// An advert is overdue; have we been here to hear it?
    fn look_at_ourselves(&mut self, now: Instant, due: Instant) {
        let State::Backup(backup) = &mut self.state else { return };
        let late = now.since(due);
        if backup.was_away(late) {
            backup.away += late;
            backup.postpone(late);
        }
        backup.look_later(now);
    }

    fn on_active_down(&mut self, sink: &mut Sink<'_>, due: Instant) {
        let (now, late) = (sink.now, sink.now.since(due));
        let longest = self.time_to_hear();
        if self.waits_at_a_word(now) {
            return;
        }
        let State::Backup(backup) = &mut self.state else { return };
        // A node that was away must listen before it speaks: what it did not hear may have been said while it did not run.
        // Once only, or a node that is always late would never take over.
        if backup.was_away(late) && !backup.listened_again {
            backup.listened_again = true;
            backup.away += late;
            backup.postpone(late + late.min(longest));
            return backup.look_later(now);
        }
        self.take_over(sink);
    }

    /// A node to which this router has yielded still says that it is Active: that counts like its advert. Whether it was so.
    fn waits_at_a_word(&mut self, now: Instant) -> bool {
        let is_held_back = self.is_held_back_by_a_word();
        let State::Backup(backup) = &self.state else { return false };
        if !backup.believes_words || !is_held_back {
            return false;
        }
        let active_down = now.after(self.active_down_interval(backup.active_interval));
        let State::Backup(backup) = &mut self.state else { return false };
        backup.active_down = active_down;
        backup.heard = now;
        backup.away = Duration::ZERO;
        backup.look = first_look(now, backup.active_interval);
        true
    }

    /// One interval and our skew: long enough for the next advert of a living Active router.
    fn time_to_hear(&self) -> Duration {
        let interval = self.active_interval();
        interval.duration() + interval.skew_time(self.version(), self.priority())
    }

    fn take_over(&mut self, sink: &mut Sink<'_>) {
        let State::Backup(backup) = &self.state else { return };
        let (limit, expectation, away) =
            (backup.active_down.since(backup.heard), backup.expectation, backup.away);
        let mut evidence = self.evidence_of(sink.now, None);
        evidence.active_down_interval = Some(limit);
        evidence.stalled = Some(away).filter(|away| !away.is_zero());
        let cause = match expectation {
            Expectation::Silence => Cause::ActiveDownTimer,
            Expectation::Release(release) => {
                // Worse routers may have been heard since.
                evidence.peer = Some(release.source);
                evidence.peer_priority = Some(release.priority);
                evidence.last_advertisement_age = Some(sink.now.since(release.at));
                Cause::PeerPriorityZero
            }
            Expectation::Preemption { delayed: false } => Cause::LocalPreempt,
            Expectation::Preemption { delayed: true } => Cause::PreemptDelayExpired,
        };
        self.want(sink, cause, evidence);
    }

    /// Becomes Active; a member of a sync group says that it would, and the group decides.
    pub(super) fn want(&mut self, sink: &mut Sink<'_>, cause: Cause, evidence: Evidence) {
        match &mut self.state {
            State::Backup(backup) if self.config.group.is_some() => backup.wish = Some((cause, evidence)),
            _ => self.become_active(sink, cause, evidence),
        }
    }

    /// Our priority or interval changed: the running timer follows, counted from when it was started.
    pub(super) fn rearm_active_down(&mut self) {
        self.reconsider_last_advert();
        let State::Backup(backup) = &self.state else { return };
        let active_down = backup.heard.after(self.active_down_interval(backup.active_interval));
        let State::Backup(backup) = &mut self.state else { return };
        if !matches!(backup.expectation, Expectation::Release(_)) && !backup.listened_again {
            backup.active_down = active_down;
        }
    }

    /// Our priority may have fallen to that of a router whose adverts we discarded as those of a worse one: the last of
    /// them counts after all.
    fn reconsider_last_advert(&mut self) {
        let own = self.priority().get();
        let Some(last) = self.last_advert.filter(|last| last.priority >= own) else { return };
        let State::Backup(backup) = &mut self.state else { return };
        if matches!(backup.expectation, Expectation::Preemption { .. }) {
            backup.heard = last.at;
            backup.away = Duration::ZERO;
            backup.look = first_look(last.at, backup.active_interval);
            backup.listened_again = false;
            backup.expectation = Expectation::Silence;
            backup.tolerates_until = None;
            backup.wish = None;
        }
    }

    /// Our own interval changed. It is the Active router's too as long as none was heard, and always in VRRPv2, where
    /// adverts with another interval are discarded.
    pub(super) fn follow_own_interval(&mut self) {
        let (version, interval) = (self.version(), self.config.interval);
        if let State::Backup(backup) = &mut self.state
            && (version == Version::V2 || !backup.followed)
        {
            backup.active_interval = interval;
        }
    }
}

/// Half an interval after an advert became due, so that neither a punctual nor an early one meets a look.
fn first_look(heard: Instant, interval: AdvertisementInterval) -> Instant {
    heard.after(interval.duration() * 3 / 2)
}
