//! Runs of a check: when they begin, what their ends mean.

use alloc::format;
use core::time::Duration;

use super::{ABANDON, Activity, Because, Check, Sink, Trouble};
use crate::event::CheckEvent;
use crate::health::status::LastResult;
use crate::health::wire::{CheckOutput, Outcome};
use crate::track::Verdict;
use crate::units::Instant;

impl Check {
    /// Begins a run that is due now, or a little early along with others.
    pub(in crate::health) fn begin_due(&mut self, sink: &mut Sink<'_>) {
        if self.setbacks > 0 {
            self.beats.align(sink.now);
        } else {
            self.beats.begin(sink.now);
        }
        self.begin_run(sink, false);
    }

    /// `decides`: it is the look after a remedy.
    pub(super) fn begin_run(&mut self, sink: &mut Sink<'_>, decides: bool) {
        let (run, began) = (sink.next_run(), sink.now);
        let deadline = began.after(self.policy.timeout.max(SHORTEST));
        self.activity = Activity::Running { run, began, deadline, was_prompt: None, decides };
        let asked = core::mem::take(&mut self.asked);
        sink.outputs.push(CheckOutput::Run { check: self.id, run, deadline, asked });
    }

    /// An operator's run begins when nothing else is under way.
    pub(super) fn begin_if_asked(&mut self, sink: &mut Sink<'_>) {
        if self.asked && matches!(self.activity, Activity::Idle) {
            self.begin_run(sink, false);
        }
    }

    /// Time passed while an attempt is under way: maybe its deadline, maybe more than can be waited for.
    pub(super) fn on_late_run(&mut self, sink: &mut Sink<'_>) {
        let Activity::Running { run, deadline, was_prompt, .. } = &mut self.activity else { return };
        if was_prompt.is_none() && *deadline <= sink.now {
            *was_prompt = Some(sink.now.since(*deadline) <= tolerance(self.policy.timeout));
        }
        if deadline.after(ABANDON) <= sink.now {
            let (check, run, at) = (self.id, *run, *deadline);
            sink.outputs.push(CheckOutput::Cancel { check, run });
            let detail = "the attempt did not end in time".into();
            self.on_end(sink, run, at, Outcome::Inconclusive { detail });
        }
    }

    /// An attempt ended, or the watch has news.
    pub(in crate::health) fn on_end(
        &mut self,
        sink: &mut Sink<'_>,
        number: u64,
        at: Instant,
        outcome: Outcome,
    ) {
        if self.watch == Some(number) {
            return self.on_news(sink, at, outcome);
        }
        let Activity::Running { run, began, deadline, was_prompt, decides } = self.activity else { return };
        if run != number {
            return;
        }
        self.activity = Activity::Idle;
        let late = at.since(deadline);
        let is_our_fault = late > tolerance(self.policy.timeout) && was_prompt != Some(true);
        self.counters.late += u64::from(is_our_fault);
        let passed = self.take(sink, at, if is_our_fault { overdue(late) } else { outcome });
        if decides {
            self.beats.align(sink.now);
        }
        self.schedule(sink, began);
        if decides {
            self.decide_remedy(sink, passed == Some(true));
        } else {
            self.settle(sink, &Because::RESULT);
        }
        self.begin_if_asked(sink);
    }

    /// The kernel told something.
    fn on_news(&mut self, sink: &mut Sink<'_>, at: Instant, outcome: Outcome) {
        let passed = self.take(sink, at, outcome);
        if let (Activity::Waiting { .. }, Some(false)) = (self.activity, passed) {
            // What the remedy brought up is down again: there is nothing to wait for.
            return self.look_again(sink);
        }
        if self.window.streak > 0 {
            let soon = sink.now.after(self.policy.interval.min(CONFIRM));
            self.due = self.due.map(|due| due.min(soon));
        }
        self.settle(sink, &Because::RESULT);
    }

    /// Takes a result into the window. Returns whether it passed; `None` = it says nothing.
    fn take(&mut self, sink: &mut Sink<'_>, at: Instant, outcome: Outcome) -> Option<bool> {
        let (passed, latency, value) = match &outcome {
            Outcome::Passed { latency, value, .. } => (true, *latency, *value),
            Outcome::Failed { latency, value, .. } => (false, *latency, *value),
            Outcome::Inconclusive { .. } => {
                self.counters.inconclusive += 1;
                self.last = Some(LastResult { at, outcome });
                if let Some(count) = sink.troubles.inconclusive.note(sink.now, 1) {
                    self.report_trouble(sink, CheckEvent::Inconclusive { count });
                }
                return None;
            }
        };
        self.latency.add(latency);
        self.value = value;
        let is_like_last = self.has_passed == Some(passed);
        self.consecutive = if is_like_last { self.consecutive.saturating_add(1) } else { 1 };
        self.has_passed = Some(passed);
        self.conclusive = Some(outcome.clone());
        self.last = Some(LastResult { at, outcome });
        self.judge(at, passed);
        Some(passed)
    }

    fn judge(&mut self, at: Instant, passed: bool) {
        if passed {
            self.counters.passed += 1;
            self.grace_ends = None;
        } else {
            self.counters.failed += 1;
            // Whoever is held back must pass without any failure.
            self.damper.held_until = None;
        }
        if self.grace_ends.is_some_and(|end| at < end) {
            self.counters.in_grace += 1;
            return;
        }
        let was_failing = self.window.measured == Verdict::Failing;
        self.window.push(passed, self.policy.rise, self.policy.fall);
        self.setbacks = if was_failing && !passed { self.setbacks.saturating_add(1) } else { 0 };
    }

    /// After a run that began then: when the next one does.
    fn schedule(&mut self, sink: &mut Sink<'_>, began: Instant) {
        let missed = self.beats.catch_up(sink.now);
        self.due = Some(match self.gap() {
            gap if gap > self.policy.interval => self.beats.due_after(began, gap).max(sink.now),
            _ => self.beats.due(),
        });
        self.counters.overruns += missed;
        if missed > 0
            && let Some(count) = sink.troubles.overruns.note(sink.now, missed)
        {
            self.report_trouble(sink, CheckEvent::Overrun { count });
        }
    }

    /// Between two runs as it is now.
    pub(super) fn gap(&self) -> Duration {
        let interval = self.policy.interval;
        let doubled = interval.saturating_mul(1 << self.setbacks.min(31));
        self.policy.backoff.map_or(interval, |longest| doubled.min(longest).max(interval))
    }

    fn report_trouble(&self, sink: &mut Sink<'_>, event: CheckEvent) {
        let detail = match self.last.as_ref().map(|last| &last.outcome) {
            Some(Outcome::Inconclusive { detail }) => Some(detail.clone()),
            _ => None,
        };
        self.record(sink, event, &Because::RESULT, detail);
    }
}

impl Trouble {
    /// Counts. Returns what is to be told, at most once a minute for the whole node.
    fn note(&mut self, now: Instant, more: u64) -> Option<u64> {
        const PAUSE: Duration = Duration::from_secs(60);
        self.count += more;
        if self.told.is_some_and(|told| now.since(told) < PAUSE) {
            return None;
        }
        self.told = Some(now);
        Some(core::mem::take(&mut self.count))
    }
}

impl Sink<'_> {
    pub(super) fn next_run(&mut self) -> u64 {
        *self.runs += 1;
        *self.runs
    }
}

/// How much later than its deadline an attempt may end, for want of a processor.
fn tolerance(timeout: Duration) -> Duration {
    Duration::from_millis(50) + timeout / 10
}

fn overdue(late: Duration) -> Outcome {
    let detail = format!("it ended {late:.3?} after its deadline, because this node did not run in time");
    Outcome::Inconclusive { detail: detail.into() }
}

const SHORTEST: Duration = Duration::from_millis(1);

/// News of a watch that does not decide yet is confirmed or refuted by a look within this time.
const CONFIRM: Duration = Duration::from_secs(1);
