//! A check as it is shown.

use alloc::sync::Arc;
use core::time::Duration;

use super::{Activity, Check};
use crate::health::status::{CheckStatus, Latency, RemedyState, RemedyStatus, WindowPosition};

/// Latencies so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latencies {
    count: u32,
    sum: Duration,
    last: Duration,
    minimum: Duration,
    maximum: Duration,
}

impl Latencies {
    pub(super) fn add(&mut self, latency: Duration) {
        self.minimum = if self.count == 0 { latency } else { self.minimum.min(latency) };
        self.maximum = self.maximum.max(latency);
        self.last = latency;
        self.count = self.count.saturating_add(1);
        self.sum = self.sum.saturating_add(latency);
    }

    fn shown(self) -> Latency {
        let mean = self.sum.checked_div(self.count).unwrap_or_default();
        Latency { last: self.last, minimum: self.minimum, mean, maximum: self.maximum }
    }
}

impl Check {
    /// As it stands.
    pub(in crate::health) fn status(&self) -> CheckStatus {
        CheckStatus {
            id: self.id,
            policy: Arc::clone(&self.policy),
            verdict: self.verdict,
            since: self.since,
            measured: self.window.measured,
            value: self.value,
            window: self.position(),
            last: self.last.clone(),
            consecutive: self.consecutive,
            running: match self.activity {
                Activity::Running { began, .. } => Some(began),
                _ => None,
            },
            next_run: self.due.filter(|_| matches!(self.activity, Activity::Idle)),
            interval: self.gap(),
            latency: self.latency.shown(),
            grace_ends: self.grace_ends,
            mute: self.mute.clone(),
            held_until: self.damper.held_until,
            flaps: self.damper.flaps,
            remedy: self.policy.remedy.is_some().then(|| self.remedy_status()),
            counters: self.counters,
        }
    }

    fn position(&self) -> WindowPosition {
        if self.policy.rule.is_some() {
            return WindowPosition::default();
        }
        let wanted = self.window.wanted(self.policy.rise, self.policy.fall);
        WindowPosition { streak: self.window.streak, wanted }
    }

    fn remedy_status(&self) -> RemedyStatus {
        let episode = &self.remedy;
        RemedyStatus {
            state: match self.activity {
                Activity::Remedying { .. } => RemedyState::Running,
                Activity::Waiting { .. } | Activity::Running { decides: true, .. } => RemedyState::Waiting,
                _ if episode.is_spent => RemedyState::Spent,
                _ => RemedyState::Idle,
            },
            last_start: episode.last_start,
            last_result: Arc::clone(&episode.last_result),
            runs: episode.runs,
            helped: episode.helped,
        }
    }
}
