//! What a new configuration does to a check that is already there.

use alloc::sync::Arc;

use super::{Activity, Because, Check, Sink};
use crate::health::beats::Beats;
use crate::health::policy::CheckPolicy;
use crate::health::wire::CheckOutput;

impl Check {
    /// Takes over a policy that differs. The verdict stays; so does the window unless the target changed.
    pub(in crate::health) fn reconfigure(
        &mut self,
        sink: &mut Sink<'_>,
        policy: Arc<CheckPolicy>,
        newcomers: usize,
    ) {
        let before = core::mem::replace(&mut self.policy, policy);
        let is_rule = self.policy.rule.is_some();
        let is_other = before.target != self.policy.target || before.rule.is_some() != is_rule;
        let has_other_beat =
            before.interval != self.policy.interval || before.jitter_percent != self.policy.jitter_percent;
        if is_other {
            self.forget(sink);
        }
        if self.policy.remedy.is_none() && self.is_in_remedy() {
            self.cancel_run(sink);
        }
        if is_other || has_other_beat {
            self.beats = Beats::new(&self.policy, sink.now);
            self.due = None;
        }
        if !is_rule && self.due.is_none() {
            self.due = Some(self.beats.first(sink.now, newcomers));
        }
        self.watch_if_wanted(sink);
        self.settle(sink, &Because::RELOAD);
    }

    /// Results of another target say nothing about this one.
    fn forget(&mut self, sink: &mut Sink<'_>) {
        self.cancel_run(sink);
        self.cancel_watch(sink);
        self.window.restart();
        (self.last, self.conclusive, self.has_passed) = (None, None, None);
        (self.consecutive, self.setbacks) = (0, 0);
        self.latency = super::show::Latencies::default();
        self.damper.held_until = None;
    }

    pub(super) fn watch_if_wanted(&mut self, sink: &mut Sink<'_>) {
        if !self.policy.watched {
            return self.cancel_watch(sink);
        }
        if self.watch.is_none() {
            let run = sink.next_run();
            self.watch = Some(run);
            sink.outputs.push(CheckOutput::Watch { check: self.id, run });
        }
    }

    fn cancel_watch(&mut self, sink: &mut Sink<'_>) {
        if let Some(run) = self.watch.take() {
            sink.outputs.push(CheckOutput::Cancel { check: self.id, run });
        }
    }

    /// The check is no longer configured. A remedy under way comes to its end by itself.
    pub(in crate::health) fn remove(&mut self, sink: &mut Sink<'_>) {
        if matches!(self.activity, Activity::Running { .. }) {
            self.cancel_run(sink);
        }
        self.cancel_watch(sink);
        sink.outputs.push(CheckOutput::FactRemoved(Arc::clone(&self.policy.name)));
    }
}
