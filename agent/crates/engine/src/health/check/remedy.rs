//! The remedy: what is tried before the verdict falls, once for each failure episode.

use alloc::sync::Arc;

use super::{Activity, Because, Check, Sink};
use crate::event::CheckEvent;
use crate::health::wire::CheckOutput;
use crate::track::Verdict;
use crate::units::Instant;

/// What is remembered of a check's remedy.
#[derive(Clone, Debug, Default)]
pub(super) struct Episode {
    /// It was tried in this failure episode.
    pub(super) is_spent: bool,
    /// It helped; a failure before then belongs to the same episode.
    rests_until: Option<Instant>,
    pub(super) last_start: Option<Instant>,
    pub(super) last_result: Arc<str>,
    pub(super) runs: u64,
    pub(super) helped: u64,
}

impl Episode {
    /// A recovery ends the episode.
    pub(super) fn on_verdict(&mut self, to: Verdict) {
        if to == Verdict::Passing {
            self.is_spent = false;
        }
    }
}

impl Check {
    /// The command, the wait and the look after it belong to the remedy: nothing else decides meanwhile.
    pub(super) fn is_in_remedy(&self) -> bool {
        match self.activity {
            Activity::Remedying { .. } | Activity::Waiting { .. } => true,
            Activity::Running { decides, .. } => decides,
            Activity::Idle => false,
        }
    }

    /// Whether a fall may still be averted.
    pub(super) fn may_try_remedy(&mut self, now: Instant) -> bool {
        if self.policy.remedy.is_none() {
            return false;
        }
        if self.remedy.rests_until.is_some_and(|until| now < until) {
            self.remedy.is_spent = true;
        }
        !self.remedy.is_spent
    }

    pub(super) fn begin_remedy(&mut self, sink: &mut Sink<'_>) {
        let Some(policy) = self.policy.remedy else { return };
        self.cancel_run(sink);
        let (run, deadline) = (sink.next_run(), sink.now.after(policy.timeout));
        self.activity = Activity::Remedying { run, deadline };
        self.remedy.last_start = Some(sink.now);
        self.remedy.runs += 1;
        sink.outputs.push(CheckOutput::RunRemedy { check: self.id, run, deadline });
        self.report(sink, CheckEvent::RemedyStarted, &Because::RESULT);
    }

    /// The driver says how a remedy's command ended.
    pub(in crate::health) fn on_remedy_told(
        &mut self,
        sink: &mut Sink<'_>,
        number: u64,
        result: Result<Arc<str>, Arc<str>>,
    ) {
        if matches!(self.activity, Activity::Remedying { run, .. } if run == number) {
            self.on_remedy_end(sink, result);
        }
    }

    /// The command ended. If it did what it is for, its effect gets time to show.
    pub(super) fn on_remedy_end(&mut self, sink: &mut Sink<'_>, result: Result<Arc<str>, Arc<str>>) {
        let Some(policy) = self.policy.remedy else { return };
        let succeeded = result.is_ok();
        let (Ok(detail) | Err(detail)) = result;
        self.remedy.last_result = Arc::clone(&detail);
        self.record(sink, CheckEvent::RemedyRan { succeeded }, &Because::RESULT, Some(detail));
        self.activity = Activity::Waiting { until: sink.now.after(policy.wait) };
        if !succeeded || policy.wait.is_zero() {
            self.look_again(sink);
        }
    }

    /// Looks once more: by an attempt, or at how the members of an expression stand.
    pub(super) fn look_again(&mut self, sink: &mut Sink<'_>) {
        if self.policy.rule.is_some() {
            return self.decide_remedy(sink, self.window.measured == Verdict::Passing);
        }
        self.begin_run(sink, true);
    }

    /// The look after the remedy decides alone. One that says nothing has not shown that the remedy helped.
    pub(super) fn decide_remedy(&mut self, sink: &mut Sink<'_>, helped: bool) {
        self.activity = Activity::Idle;
        if helped {
            self.remedy.helped += 1;
            let rest = self.policy.remedy.map(|policy| policy.rest).unwrap_or_default();
            self.remedy.rests_until = Some(sink.now.after(rest));
        } else {
            self.remedy.is_spent = true;
        }
        if self.policy.rule.is_none() {
            self.window.decide(if helped { Verdict::Passing } else { Verdict::Failing });
        }
        self.report(sink, CheckEvent::RemedyEnded { helped }, &Because::RESULT);
        self.settle(sink, &Because::RESULT);
    }

    /// An attempt under way is no longer wanted; neither is what a remedy would lead to.
    pub(super) fn cancel_run(&mut self, sink: &mut Sink<'_>) {
        if let Activity::Running { run, .. } = self.activity {
            sink.outputs.push(CheckOutput::Cancel { check: self.id, run });
        }
        self.activity = Activity::Idle;
    }
}
