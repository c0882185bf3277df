//! What others read of the history on disk. Reading is bounded in time and number and happens on threads that may block; a
//! disk that does not answer costs the past, not the answer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use ha_proto::v1;
use redb::Database;
use tokio::sync::{Semaphore, watch};
use tracing::warn;

use super::reader::Lagged;
use super::store::read::{self, Located};

/// A place in the history of all incarnations: after the record of this sequence, or before it when going back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// Whose sequence it is.
    pub(crate) incarnation: Arc<str>,
    /// 0 = before its first record.
    pub(crate) sequence: u64,
}

/// The history on disk, as far as there is one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Archive {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    database: Mutex<Option<Arc<Database>>>,
    /// Whether it is still being opened for the first time; readers wait for it.
    opening: watch::Sender<bool>,
    oldest: Mutex<Option<Oldest>>,
    /// Readers at once; a reader that hangs keeps its place.
    places: Arc<Semaphore>,
    /// A reader found something that cannot be.
    suspect: AtomicBool,
}

/// The oldest record on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Oldest {
    /// Where it is; its sequence is the record's own.
    pub(crate) place: Place,
    /// When it was.
    pub(crate) time: SystemTime,
}

/// How many may read at once.
const READERS: usize = 4;

/// How long a reader waits.
const PATIENCE: Duration = Duration::from_secs(2);

impl Default for Inner {
    fn default() -> Self {
        Self {
            database: Mutex::default(),
            opening: watch::Sender::new(false),
            oldest: Mutex::default(),
            places: Arc::new(Semaphore::new(READERS)),
            suspect: AtomicBool::new(false),
        }
    }
}

impl Archive {
    /// At most `most` records after a place, oldest first; from the oldest without one. `None` when there is no such place any
    /// more, or the disk does not answer.
    pub(crate) async fn after(&self, place: Option<Place>, most: usize) -> Option<Vec<v1::Event>> {
        self.read(move |database| read::after(database, place.as_ref(), most)).await.flatten()
    }

    /// Whether there is one that can be asked.
    pub(crate) fn is_there(&self) -> bool {
        self.inner.database.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// At most `most` records before a place, newest first.
    pub(crate) async fn before(&self, place: Place, most: usize) -> Vec<v1::Event> {
        self.read(move |database| read::before(database, &place, most)).await.unwrap_or_default()
    }

    /// What is known of an incarnation.
    pub(crate) async fn locate(&self, incarnation: &str) -> Option<Located> {
        let incarnation = incarnation.to_owned();
        self.read(move |database| read::locate(database, &incarnation)).await.flatten()
    }

    /// What is missing on disk of a place's incarnation after it. The outer `None`: the disk does not answer.
    pub(crate) async fn gap(&self, place: Place) -> Option<Option<Lagged>> {
        self.read(move |database| read::gap(database, &place)).await
    }

    /// The place after which the first record of `time` or later follows.
    pub(crate) async fn place_of(&self, time: SystemTime) -> Option<Place> {
        self.read(move |database| read::place_of(database, time)).await.flatten()
    }

    /// The oldest record on disk.
    pub(crate) fn oldest(&self) -> Option<Oldest> {
        self.inner.oldest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It is about to be opened, or that is decided.
    pub(super) fn set_opening(&self, opening: bool) {
        self.inner.opening.send_if_modified(|now| std::mem::replace(now, opening) != opening);
    }

    /// Who writes offers the database, or takes it back.
    pub(super) fn offer(&self, database: Option<Arc<Database>>) {
        if database.is_none() {
            self.note_oldest(None);
        }
        *self.inner.database.lock().unwrap_or_else(PoisonError::into_inner) = database;
    }

    pub(super) fn note_oldest(&self, oldest: Option<Oldest>) {
        *self.inner.oldest.lock().unwrap_or_else(PoisonError::into_inner) = oldest;
    }

    /// Whether a reader found the database damaged since the last call.
    pub(super) fn take_suspicion(&self) -> bool {
        self.inner.suspect.swap(false, Ordering::Relaxed)
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Database) -> Result<T, redb::Error> + Send + 'static,
    ) -> Option<T> {
        let places = Arc::clone(&self.inner.places);
        let answering = async move {
            // The sender lives in what we hold: it cannot be gone.
            let _ = self.inner.opening.subscribe().wait_for(|opening| !opening).await;
            let database = self.inner.database.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
            let place = places.acquire_owned().await.ok()?;
            let asked = tokio::task::spawn_blocking(move || {
                let answer = question(&database);
                drop((database, place));
                answer
            });
            Some(asked.await)
        };
        // Cancelled here when the disk is too slow; the reader keeps its place until it has its answer.
        match tokio::time::timeout(PATIENCE, answering).await {
            Ok(Some(Ok(Ok(answer)))) => Some(answer),
            Ok(Some(Ok(Err(error)))) => {
                warn!(%error, "cannot read the history on disk");
                let is_damage = matches!(error, redb::Error::Corrupted(_));
                self.inner.suspect.fetch_or(is_damage, Ordering::Relaxed);
                None
            }
            Ok(Some(Err(panicked))) => {
                // A question is no proof against the file: the writer finds out by itself.
                warn!(%panicked, "cannot read the history on disk");
                None
            }
            Ok(None) | Err(_) => None,
        }
    }
}
