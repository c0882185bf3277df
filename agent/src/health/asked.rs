//! Operators who wait for an attempt that they asked for.

use std::collections::HashMap;

use ha_engine::{CheckId, CheckRefusal, Instant};
use tokio::sync::oneshot;

use super::Asked;

type Reply = oneshot::Sender<Result<Asked, CheckRefusal>>;

/// Who waits for what.
#[derive(Default)]
pub(super) struct Askers {
    /// For the beginning of a run.
    waiting: HashMap<CheckId, Vec<Reply>>,
    /// For the end of a run, by its number, with the time of its beginning.
    running: HashMap<u64, (CheckId, Instant, Vec<Reply>)>,
}

impl Askers {
    /// Somebody waits for the next run of a check that is made for operators.
    pub(super) fn wait(&mut self, check: CheckId, reply: Reply) {
        self.waiting.entry(check).or_default().push(reply);
    }

    pub(super) fn begin(&mut self, check: CheckId, run: u64, now: Instant) {
        if let Some(replies) = self.waiting.remove(&check) {
            self.running.insert(run, (check, now, replies));
        }
    }

    /// Those who get its result, and when it began.
    pub(super) fn end(&mut self, run: u64) -> Option<(Instant, Vec<Reply>)> {
        self.running.remove(&run).map(|(_, began, replies)| (began, replies))
    }

    /// A run that is no longer wanted gets no result: its askers learn that, or wait on when the check goes on.
    pub(super) fn cancel(&mut self, check: CheckId, run: u64) {
        if let Some((_, _, replies)) = self.running.remove(&run) {
            self.waiting.entry(check).or_default().extend(replies);
        }
    }

    /// These checks are gone: who waits for them learns it by getting no answer.
    pub(super) fn forget(&mut self, checks: &[CheckId]) {
        checks.iter().for_each(|check| drop(self.waiting.remove(check)));
        self.running.retain(|_, (check, ..)| !checks.contains(check));
    }
}
