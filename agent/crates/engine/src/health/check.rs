//! One check: what it is at, what its results mean, what is told of it.

mod operate;
mod reload;
mod remedy;
mod run;
mod show;

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::beats::Beats;
use super::damper::Damper;
use super::policy::CheckPolicy;
use super::rule::Tally;
use super::status::{CheckCounters, LastResult, MutedCheck};
use super::window::Window;
use super::wire::{CheckId, CheckOutput, Outcome};
use crate::event::{Actor, Cause, CheckEvent, Event, EventKind, Evidence, Subject};
use crate::order::StandingOrder;
use crate::track::{Fact, Verdict};
use crate::units::Instant;

/// One check.
///
/// Results move what is **measured** (the window). The **verdict** is what others act on; it follows what is measured,
/// except where something holds it back:
///
/// ```text
///                        measured FAILING                      measured PASSING
///            ┌────────────────┴───────────────┐         ┌──────────┴───────────┐
///     remedy not tried yet            none, or tried    recovered well        fell soon after each of
///            │                                │         before                the last recoveries
///            ▼                                ▼         ▼                      ▼
///  run it ► wait ► look once ─ fails ─► verdict FAILING verdict PASSING ◄── held, while it passes
///                    └─ passes ─► verdict stays
///
///  muted: the verdict stays whatever is measured
/// ```
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: CheckId,
    pub(super) policy: Arc<CheckPolicy>,
    window: Window,
    /// What others act on.
    pub(super) verdict: Verdict,
    since: Instant,
    /// The number that the last result found.
    value: Option<i32>,
    /// What was told last.
    told: (Verdict, Option<i32>, bool),
    activity: Activity,
    beats: Beats,
    /// When the next run begins, if nothing is under way.
    due: Option<Instant>,
    /// An operator waits for a run.
    asked: bool,
    /// The number of the watch.
    watch: Option<u64>,
    grace_ends: Option<Instant>,
    mute: Option<StandingOrder>,
    damper: Damper,
    remedy: remedy::Episode,
    last: Option<LastResult>,
    /// The last result that was one.
    conclusive: Option<Outcome>,
    /// Whether that was a pass.
    has_passed: Option<bool>,
    /// Results in a row like it.
    consecutive: u32,
    /// Failures in a row since it measures FAILING, for the backoff.
    setbacks: u32,
    latency: show::Latencies,
    counters: CheckCounters,
    /// Of an expression: how its members stand.
    pub(super) tally: Tally,
    /// Of an expression: above those of its members.
    pub(super) rank: u32,
    /// Expressions that depend on this check; one for each mention.
    pub(super) dependents: Vec<CheckId>,
}

/// What a check is at, with the timers that belong to it.
#[derive(Clone, Copy, Debug)]
enum Activity {
    /// Nothing; the next run begins at `due`.
    Idle,
    /// An attempt is under way.
    Running {
        run: u64,
        began: Instant,
        deadline: Instant,
        /// The driver came in time at the deadline, so that an end after it is the attempt's own fault.
        was_prompt: Option<bool>,
        /// It decides whether the remedy helped.
        decides: bool,
    },
    /// The remedy's command is under way.
    Remedying { run: u64, deadline: Instant },
    /// The remedy's command ended; the check is looked at then.
    Waiting { until: Instant },
}

/// What a check may do to the world.
pub(super) struct Sink<'a> {
    pub(super) now: Instant,
    pub(super) outputs: &'a mut Vec<CheckOutput>,
    /// The number of the last run, of all checks.
    pub(super) runs: &'a mut u64,
    pub(super) troubles: &'a mut Troubles,
}

/// Events about troubles of this node that come for many checks at once.
#[derive(Debug, Default)]
pub(super) struct Troubles {
    overruns: Trouble,
    inconclusive: Trouble,
}

/// How often since it was last told, and when that was.
#[derive(Clone, Copy, Debug, Default)]
struct Trouble {
    count: u64,
    told: Option<Instant>,
}

/// Why a verdict changes.
pub(super) struct Because {
    pub(super) cause: Cause,
    pub(super) actor: Option<Arc<Actor>>,
}

impl Because {
    pub(super) const RESULT: Self = Self { cause: Cause::CheckResult, actor: None };
    pub(super) const MEMBER: Self = Self { cause: Cause::CheckChanged, actor: None };
    pub(super) const RELOAD: Self = Self { cause: Cause::ConfigReload, actor: None };
}

impl Check {
    /// A new check among so many new ones.
    pub(super) fn new(id: CheckId, policy: Arc<CheckPolicy>, now: Instant, newcomers: usize) -> Self {
        let beats = Beats::new(&policy, now);
        Self {
            id,
            window: Window::new(policy.initial),
            verdict: policy.initial,
            since: now,
            value: None,
            told: (Verdict::Unknown, None, false),
            activity: Activity::Idle,
            due: policy.rule.is_none().then(|| beats.first(now, newcomers)),
            beats,
            asked: false,
            watch: None,
            grace_ends: Some(now.after(policy.grace)).filter(|_| !policy.grace.is_zero()),
            mute: None,
            damper: Damper::default(),
            remedy: remedy::Episode::default(),
            last: None,
            conclusive: None,
            has_passed: None,
            consecutive: 0,
            setbacks: 0,
            latency: show::Latencies::default(),
            counters: CheckCounters::default(),
            tally: Tally::default(),
            rank: 0,
            dependents: Vec::new(),
            policy,
        }
    }

    /// Says what is known from the beginning, which may be what an earlier process left frozen, and begins to watch.
    pub(super) fn begin(&mut self, sink: &mut Sink<'_>, inherited: Option<MutedCheck>) {
        if let Some(frozen) = &inherited {
            (self.verdict, self.value) = (frozen.verdict, frozen.value);
        }
        self.tell(sink);
        self.mute = inherited.map(|frozen| frozen.mute);
        self.watch_if_wanted(sink);
    }

    /// When it must be called at the latest.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let of_activity = match self.activity {
            Activity::Idle => self.due,
            Activity::Running { deadline, was_prompt: None, .. } => Some(deadline),
            Activity::Running { deadline, .. } | Activity::Remedying { deadline, .. } => {
                Some(deadline.after(ABANDON))
            }
            Activity::Waiting { until } => Some(until),
        };
        let of_mute = self.mute.as_ref().and_then(|mute| mute.expires);
        let all = [of_activity, of_mute, self.damper.held_until].into_iter().flatten();
        all.filter(|at| *at < Instant::END).min()
    }

    /// Reacts to what is due; its deadline is later than `now` then.
    pub(super) fn on_deadline(&mut self, sink: &mut Sink<'_>) {
        if self.mute.as_ref().is_some_and(|mute| !mute.lasts(sink.now)) {
            self.end_mute(sink, &Because { cause: Cause::OverrideExpired, actor: None });
        }
        if self.damper.held_until.is_some_and(|at| at <= sink.now) {
            self.settle(sink, &Because::RESULT);
        }
        match self.activity {
            Activity::Idle if self.is_due(sink.now) => self.begin_due(sink),
            Activity::Running { .. } => self.on_late_run(sink),
            Activity::Remedying { deadline, .. } if deadline.after(ABANDON) <= sink.now => {
                self.on_remedy_end(sink, Err("its command did not end in time".into()));
            }
            Activity::Waiting { until } if until <= sink.now => self.look_again(sink),
            Activity::Idle | Activity::Remedying { .. } | Activity::Waiting { .. } => {}
        }
    }

    /// Whether the next run may begin.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        matches!(self.activity, Activity::Idle) && self.due.is_some_and(|due| due <= now)
    }

    /// The members of an expression changed.
    pub(super) fn on_members(&mut self, sink: &mut Sink<'_>, because: &Because) {
        if self.policy.rule.is_some() {
            self.window.decide(self.tally.verdict());
            self.settle(sink, because);
        }
    }

    /// Lets the verdict follow what is measured, unless something holds it back.
    fn settle(&mut self, sink: &mut Sink<'_>, because: &Because) {
        if self.mute.is_some() || self.is_in_remedy() {
            return;
        }
        match (self.window.measured, self.verdict) {
            (measured, verdict) if measured == verdict => self.damper.held_until = None,
            (Verdict::Failing, _) if self.may_try_remedy(sink.now) => self.begin_remedy(sink),
            (Verdict::Passing, Verdict::Failing) if self.is_held(sink) => {}
            (measured, _) => self.turn(sink, measured, because),
        }
        self.tell(sink);
    }

    /// Whether a recovery is not to be trusted yet.
    fn is_held(&mut self, sink: &mut Sink<'_>) -> bool {
        let Some(hold) = self.damper.hold(self.policy.damping) else { return false };
        if self.has_passed == Some(false) {
            return true;
        }
        if *self.damper.held_until.get_or_insert(sink.now.after(hold)) <= sink.now {
            return false;
        }
        if !self.damper.is_told {
            self.damper.is_told = true;
            let damped = CheckEvent::Damped { falls: self.damper.flaps, hold };
            self.report(sink, damped, &Because::RESULT);
        }
        true
    }

    fn turn(&mut self, sink: &mut Sink<'_>, to: Verdict, because: &Because) {
        let from = core::mem::replace(&mut self.verdict, to);
        self.since = sink.now;
        self.counters.changes += 1;
        match (from, to) {
            (Verdict::Passing, Verdict::Failing) => self.damper.on_fall(sink.now, self.policy.damping),
            (Verdict::Failing, Verdict::Passing) => self.damper.on_recovery(sink.now),
            _ => self.damper.held_until = None,
        }
        self.remedy.on_verdict(to);
        self.tell(sink);
        self.report(sink, CheckEvent::Changed { from, to }, because);
    }

    /// Tells what others act on, if that is news.
    fn tell(&mut self, sink: &mut Sink<'_>) {
        let damped = self.verdict == Verdict::Failing && self.window.measured == Verdict::Passing;
        let told = (self.verdict, self.value, damped && !self.is_in_remedy() && self.mute.is_none());
        if self.mute.is_some() || told == self.told {
            return;
        }
        self.told = told;
        let (name, detail) = (Arc::clone(&self.policy.name), self.sentence());
        let (verdict, value, damped) = told;
        sink.outputs.push(CheckOutput::Fact(Fact {
            name,
            verdict,
            value,
            detail,
            since: self.since,
            damped,
        }));
    }

    /// What led to the verdict, one sentence.
    fn sentence(&self) -> Arc<str> {
        if self.policy.rule.is_some() {
            let Tally { members, wanted, passing, unknown, .. } = self.tally;
            return match unknown {
                0 => format!("{passing} of {members} pass, {wanted} wanted").into(),
                _ => format!("{passing} of {members} pass, {unknown} not known, {wanted} wanted").into(),
            };
        }
        match &self.conclusive {
            None => "no result yet".into(),
            Some(Outcome::Passed { detail, .. } | Outcome::Inconclusive { detail }) => Arc::clone(detail),
            Some(Outcome::Failed { reason, detail, .. }) if detail.is_empty() => (*reason).into(),
            Some(Outcome::Failed { reason, detail, .. }) => format!("{reason}: {detail}").into(),
        }
    }

    /// Records something about this check, with what its last result was.
    fn report(&self, sink: &mut Sink<'_>, event: CheckEvent, because: &Because) {
        let detail = Some(self.sentence());
        self.record(sink, event, because, detail);
    }

    fn record(&self, sink: &mut Sink<'_>, event: CheckEvent, because: &Because, detail: Option<Arc<str>>) {
        let subject = self.tally.led.clone().filter(|_| because.cause == Cause::CheckChanged);
        let event = Event {
            at: sink.now,
            subject: Subject::Check(Arc::clone(&self.policy.name)),
            kind: EventKind::Check(event),
            cause: because.cause,
            evidence: Evidence { subject, detail, ..Evidence::default() },
            actor: because.actor.clone(),
        };
        sink.outputs.push(CheckOutput::Event(Box::new(event)));
    }
}

/// An attempt or a remedy that has said nothing for so long after its deadline is given up.
const ABANDON: Duration = Duration::from_secs(5);
