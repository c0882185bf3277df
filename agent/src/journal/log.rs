//! Every record as one structured log line, with the same words as in API and metrics.

use std::sync::Arc;
use std::time::Duration;

use ha_engine::{Evidence, Severity};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::{CHUNK, Journal, Lagged, Read, Reader, Record, subject_name};

/// Target of the log lines that repeat journal records; an exporter that reads the journal itself leaves it out.
pub const LOG_TARGET: &str = "ha_agent::event";

/// The task that writes the log.
pub(super) struct Log {
    task: JoinHandle<()>,
    said: watch::Receiver<u64>,
}

impl Log {
    /// Begins with what is appended from now on.
    pub(super) fn start(journal: &Arc<Journal>) -> Self {
        let (said, receiver) = watch::channel(journal.newest());
        let task = tokio::spawn(follow(Arc::clone(journal), said));
        Self { task, said: receiver }
    }

    /// Waits until everything up to `newest` was said, at most for `patience`, and ends the task. `Err`: how many records
    /// were not said.
    pub(super) async fn finish(mut self, newest: u64, patience: Duration) -> Result<(), u64> {
        let all_said = self.said.wait_for(|said| *said >= newest);
        let _ = tokio::time::timeout(patience, all_said).await;
        self.task.abort();
        match newest.saturating_sub(*self.said.borrow()) {
            0 => Ok(()),
            unsaid => Err(unsaid),
        }
    }
}

async fn follow(journal: Arc<Journal>, said: watch::Sender<u64>) {
    let mut reader: Reader = journal.reader(*said.borrow());
    loop {
        // Cancelled here when the agent ends; what was read is said by then or counted as unsaid.
        match reader.read(CHUNK).await {
            Read::Records(records) => {
                for record in &records {
                    say(journal.node(), record);
                    said.send_replace(record.sequence);
                }
            }
            Read::Lagged(lagged) => say_lagged(lagged),
        }
    }
}

fn say_lagged(lagged: Lagged) {
    warn!(
        target: LOG_TARGET,
        first = lagged.first,
        last = lagged.last,
        "{} events are missing from this log, not from the history: the log was too slow",
        lagged.count()
    );
}

/// The three levels need three call sites, because a call site's level is fixed.
macro_rules! say_at {
    ($level:ident, $node:expr, $record:expr) => {{
        let record: &Record = $record;
        let nothing = Evidence::default();
        let evidence = record.evidence().unwrap_or(&nothing);
        let transition = record.transition();
        $level!(
            target: LOG_TARGET,
            event_type = record.type_name(),
            sequence = record.sequence,
            subject = subject_name($node, record.subject()),
            cause = record.cause().as_str(),
            from = transition.map(|(from, _)| from),
            to = transition.map(|(_, to)| to),
            peer = evidence.peer.map(display),
            peer_priority = evidence.peer_priority,
            local_priority = evidence.local_priority.map(|priority| priority.get()),
            last_advertisement_age_s = evidence.last_advertisement_age.map(|age| age.as_secs_f64()),
            active_down_interval_s = evidence.active_down_interval.map(|limit| limit.as_secs_f64()),
            evidence_subject = evidence.subject.as_deref(),
            stalled_s = evidence.stalled.map(|stalled| stalled.as_secs_f64()),
            detail = evidence.detail.as_deref(),
            principal = record.actor().map(|actor| actor.principal.as_str()),
            request_id = record.request.as_deref(),
            caused_by = record.caused_by,
            "{}",
            record.message()
        );
    }};
}

fn say(node: &str, record: &Record) {
    match record.severity() {
        Severity::Info => say_at!(info, node, record),
        Severity::Warn => say_at!(warn, node, record),
        Severity::Error => say_at!(error, node, record),
    }
}
