//! Wakes the watchers of events when something happened: a few at a time, so that calls get their turn between them however many
//! watch, and once for what happens together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::journal::Journal;

/// Watchers that are woken together, in groups of which there are so many; with more watchers the groups grow.
const GROUP: usize = 32;
const GROUPS: usize = 32;

/// From so many watchers on what happens within a moment is told in one message: a change leaves several events.
const CROWD: usize = 32;
const MOMENT: Duration = Duration::from_millis(1);

/// Where watchers wait.
#[derive(Debug)]
pub(crate) struct Pulse {
    groups: Vec<watch::Sender<u64>>,
    subscribed: AtomicUsize,
}

impl Default for Pulse {
    fn default() -> Self {
        let groups = (0..GROUPS).map(|_| watch::Sender::new(0)).collect();
        Self { groups, subscribed: AtomicUsize::new(0) }
    }
}

impl Pulse {
    /// A place in a group, for [`Journal::reader_woken_by`]. Who subscribes one after the other, as the streams of one connection
    /// do, is woken together.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        let number = self.subscribed.fetch_add(1, Ordering::Relaxed);
        self.groups[number / GROUP % GROUPS].subscribe()
    }

    /// Wakes them whenever something happens. Never ends; may be cancelled.
    pub(crate) async fn run(&self, journal: Arc<Journal>) {
        let mut changes = journal.changes();
        // The sender lives in the journal, which is held here: it cannot be gone.
        while changes.changed().await.is_ok() {
            if self.groups.iter().map(watch::Sender::receiver_count).sum::<usize>() > CROWD {
                tokio::time::sleep(MOMENT).await;
            }
            let newest = *changes.borrow_and_update();
            for group in self.groups.iter().filter(|group| group.receiver_count() > 0) {
                group.send_replace(newest);
                // Whoever is woken runs before the next group is, and so do calls that have come in.
                tokio::task::yield_now().await;
            }
        }
    }
}
