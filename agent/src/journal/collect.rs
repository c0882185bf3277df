//! From the `vrrp` thread into the journal, and from the journal into the log. The log is a reader of its own, so that a
//! log that blocks delays neither the journal nor its other readers.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use super::log::Log;
use super::{CHUNK, Journal};
use crate::driver::Notices;

/// How long the log may take to say the last events when the driver has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Takes the driver's events until it ends, and says how many were lost where they were lost. Ends with the driver, after
/// the log has said everything or a second has passed.
pub async fn collect(mut notices: Notices, journal: Arc<Journal>) {
    let log = Log::start(&journal);
    let mut events = Vec::with_capacity(CHUNK);
    loop {
        // All that waits is taken at once: the queue was full when something was lost, so the loss lies after its end.
        let waiting = notices.events.len().max(CHUNK);
        let taken = notices.events.recv_many(&mut events, waiting).await;
        let lost = notices.take_lost();
        for event in events.drain(..) {
            journal.append(event);
        }
        if lost > 0 {
            journal.append_lost(lost);
        }
        if taken == 0 {
            break;
        }
    }
    if let Err(unsaid) = log.finish(journal.newest(), LAST_WORDS).await {
        warn!(events = unsaid, "the log did not say the last events in time");
    }
}
