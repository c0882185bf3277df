//! How the telling goes: counters for telemetry, and events that say when it begins to fail, what is lost, and when it goes on
//! again; each once in an episode, so that a dead server does not fill the history.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ha_engine::{Cause, Event, EventKind, Evidence, Instant, NotifyEvent, Subject};

use crate::clock;
use crate::journal::Journal;

/// What became of the notices of one notifier.
#[derive(Debug, Default)]
pub struct Counts {
    delivered: AtomicU64,
    failures: AtomicU64,
    dropped: AtomicU64,
    queued: AtomicU64,
    under_way: AtomicU64,
}

impl Counts {
    /// Notices that were told.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Attempts to tell that failed.
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Notices that were never told: too many waited, it was tried for too long, or the receiver refused them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Notices that are neither told nor dropped.
    pub fn waiting(&self) -> u64 {
        self.queued.load(Ordering::Relaxed) + self.under_way.load(Ordering::Relaxed)
    }

    pub(super) fn set_queued(&self, count: usize) {
        self.queued.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_under_way(&self, count: usize) {
        self.under_way.store(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// How it goes with one notifier.
#[derive(Debug)]
pub(super) struct Episodes {
    name: Arc<str>,
    journal: Arc<Journal>,
    counts: Arc<Counts>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Episode>,
    /// When the last told episode began.
    told: Option<Instant>,
}

/// A time in which it does not go well.
#[derive(Debug, Default)]
struct Episode {
    began: Instant,
    dropped: u64,
    is_told: bool,
    has_told_failing: bool,
    has_told_dropped: bool,
}

/// Episodes that begin sooner than this after the last that was told are not told, only counted: a receiver that fails
/// every other time must not fill the history.
const BETWEEN: Duration = Duration::from_secs(10);

impl Episodes {
    pub(super) fn new(name: &str, journal: Arc<Journal>, counts: Arc<Counts>) -> Self {
        Self { name: name.into(), journal, counts, state: Mutex::default() }
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// So many notices were told. When none waits any more, an episode is over.
    pub(super) fn delivered(&self, count: usize, is_all: bool) {
        self.counts.delivered.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
        if !is_all {
            return;
        }
        let ended = self.lock().current.take();
        if let Some(Episode { began, dropped, is_told: true, .. }) = ended {
            self.tell(NotifyEvent::Recovered { dropped, lasted: clock::elapsed(began) }, None);
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&self, error: &str) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        if self.is_news(|episode| episode.is_told && std::mem::replace(&mut episode.has_told_failing, true)) {
            self.tell(NotifyEvent::Failing { error: error.into() }, None);
        }
    }

    /// So many notices will not be told, because of `why`.
    pub(super) fn dropped(&self, count: u64, why: &str) {
        if count == 0 {
            return;
        }
        self.counts.dropped.fetch_add(count, Ordering::Relaxed);
        let is_news = self.is_news(|episode| {
            episode.dropped += count;
            episode.is_told && std::mem::replace(&mut episode.has_told_dropped, true)
        });
        if is_news {
            self.tell(NotifyEvent::Dropped { count }, Some(why));
        }
    }

    /// Takes note of something bad; `was_told` says whether that is told already, and notes that it is now.
    fn is_news(&self, was_told: impl FnOnce(&mut Episode) -> bool) -> bool {
        let now = clock::now();
        let mut state = self.lock();
        let State { current, told } = &mut *state;
        let episode = current.get_or_insert_with(|| Episode { began: now, ..Episode::default() });
        if !episode.is_told && told.is_none_or(|told| now.since(told) >= BETWEEN) {
            episode.is_told = true;
            *told = Some(now);
        }
        !was_told(episode) && episode.is_told
    }

    fn tell(&self, event: NotifyEvent, detail: Option<&str>) {
        self.journal.append(Box::new(Event {
            at: clock::now(),
            subject: Subject::Notifier(Arc::clone(&self.name)),
            kind: EventKind::Notify(event),
            cause: Cause::NotifyFailed,
            evidence: Evidence { detail: detail.map(Into::into), ..Evidence::default() },
            actor: None,
        }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
