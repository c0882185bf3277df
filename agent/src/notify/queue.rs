//! What waits to be told: bounded, and the oldest makes room for the newest, because what is true now matters most.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::notice::Notice;

/// Notices of one notifier.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: usize,
    waiting: Mutex<VecDeque<Waiting>>,
    changed: Notify,
}

/// A notice and since when it waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) notice: Arc<Notice>,
    pub(super) since: Instant,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), waiting: Mutex::default(), changed: Notify::new() }
    }

    /// Adds a notice. How many had to make room for it: none or one.
    pub(super) fn push(&self, notice: Arc<Notice>) -> u64 {
        let mut waiting = self.lock();
        waiting.push_back(Waiting { notice, since: Instant::now() });
        let is_over = waiting.len() > self.capacity;
        if is_over {
            waiting.pop_front();
        }
        drop(waiting);
        self.changed.notify_one();
        u64::from(is_over)
    }

    /// Takes the oldest, at most `most`; nothing when none waits.
    pub(super) fn take(&self, most: usize) -> Vec<Waiting> {
        let mut waiting = self.lock();
        let count = most.min(waiting.len());
        waiting.drain(..count).collect()
    }

    /// Takes the oldest that `may` be told now.
    pub(super) fn take_where(&self, may: impl Fn(&Notice) -> bool) -> Option<Waiting> {
        let mut waiting = self.lock();
        let place = waiting.iter().position(|waiting| may(&waiting.notice))?;
        waiting.remove(place)
    }

    /// Gives back what was taken and not told. How many find no room any more; those are the oldest.
    pub(super) fn give_back(&self, batch: Vec<Waiting>) -> u64 {
        let mut waiting = self.lock();
        let room = self.capacity.saturating_sub(waiting.len());
        let lost = batch.len().saturating_sub(room);
        for taken in batch.into_iter().skip(lost).rev() {
            waiting.push_front(taken);
        }
        u64::try_from(lost).unwrap_or(u64::MAX)
    }

    /// Takes over what waits in the queue of the same notifier before it was configured anew.
    pub(super) fn inherit(&self, from: &Self) -> u64 {
        let batch = from.take(usize::MAX);
        let lost = self.give_back(batch);
        self.changed.notify_one();
        lost
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits for a new notice. Cancelled, it is not missed; it may come without one.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
