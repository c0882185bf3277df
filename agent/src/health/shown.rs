//! How everything stands, copied some checks at a time, so that no attempt waits for it.

use std::sync::Arc;

use ha_engine::Monitor;
use tokio::sync::oneshot;

use super::equipment::Equipment;
use super::jobs::Jobs;
use super::statistics::Statistics;
use super::{CheckView, Snapshot};
use crate::clock;

/// Checks copied before attempts have their turn again.
const PAGE: usize = 256;

type Reply = oneshot::Sender<Arc<Snapshot>>;

/// Who asks while a snapshot is taken gets the next.
#[derive(Default)]
pub(super) struct SnapshotJob {
    waiting: Vec<Reply>,
    running: Option<Running>,
}

struct Running {
    checks: Vec<CheckView>,
    replies: Vec<Reply>,
}

impl SnapshotJob {
    pub(super) fn ask(&mut self, reply: Reply) {
        self.waiting.push(reply);
    }

    pub(super) fn is_busy(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// Copies one page, if anybody waits.
    pub(super) fn step(
        &mut self,
        monitor: &Monitor,
        equipment: &Equipment,
        jobs: &Jobs,
        statistics: &Statistics,
    ) {
        if self.running.is_none() && !self.waiting.is_empty() {
            let replies = std::mem::take(&mut self.waiting);
            self.running = Some(Running { checks: Vec::new(), replies });
        }
        let Some(running) = &mut self.running else { return };
        let last = running.checks.last().map(|view| Arc::clone(&view.status.policy.name));
        let page = monitor.statuses_after(last.as_ref()).take(PAGE).map(|status| equipment.view(status));
        let before = running.checks.len();
        running.checks.extend(page);
        if running.checks.len() < before + PAGE {
            self.finish(jobs, statistics);
        }
    }

    fn finish(&mut self, jobs: &Jobs, statistics: &Statistics) {
        let Some(Running { checks, replies }) = self.running.take() else { return };
        let snapshot = Arc::new(Snapshot {
            at: clock::now(),
            checks,
            durations: statistics.durations(),
            delays: statistics.delays(),
            under_way: jobs.len(),
            places: jobs.places(),
        });
        for reply in replies {
            // Who no longer waits does not get one.
            let _ = reply.send(Arc::clone(&snapshot));
        }
    }
}
