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

/// Why the disk tells nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Untold {
    /// There is no history on disk.
    NotThere,
    /// There is, and it did not answer in time, or with an error.
    Silent,
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
    /// more.
    ///
    /// # Errors
    /// [`Untold`] when the disk does not say.
    pub(crate) async fn after(
        &self,
        place: Option<Place>,
        most: usize,
    ) -> Result<Option<Vec<v1::Event>>, Untold> {
        self.read(move |database| read::after(database, place.as_ref(), most)).await
    }

    /// Whether there is one that can be asked.
    pub(crate) fn is_there(&self) -> bool {
        self.inner.database.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// At most `most` records before a place, newest first.
    ///
    /// # Errors
    /// [`Untold`] when the disk does not say.
    pub(crate) async fn before(&self, place: Place, most: usize) -> Result<Vec<v1::Event>, Untold> {
        self.read(move |database| read::before(database, &place, most)).await
    }

    /// What is known of an incarnation.
    pub(crate) async fn locate(&self, incarnation: &str) -> Option<Located> {
        let incarnation = incarnation.to_owned();
        self.read(move |database| read::locate(database, &incarnation)).await.ok().flatten()
    }

    /// What is missing on disk of a place's incarnation after it. The outer `None`: the disk does not answer.
    pub(crate) async fn gap(&self, place: Place) -> Option<Option<Lagged>> {
        self.read(move |database| read::gap(database, &place)).await.ok()
    }

    /// The place after which the first record of `time` or later follows.
    pub(crate) async fn place_of(&self, time: SystemTime) -> Option<Place> {
        self.read(move |database| read::place_of(database, time)).await.ok().flatten()
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
    ) -> Result<T, Untold> {
        let places = Arc::clone(&self.inner.places);
        let answering = async move {
            // The sender lives in what we hold: it cannot be gone.
            let _ = self.inner.opening.subscribe().wait_for(|opening| !opening).await;
            let database = self.inner.database.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let database = database.ok_or(Untold::NotThere)?;
            let place = places.acquire_owned().await.map_err(|_| Untold::Silent)?;
            let asked = tokio::task::spawn_blocking(move || {
                let answer = question(&database);
                drop((database, place));
                answer
            });
            Ok(asked.await)
        };
        // Cancelled here when the disk is too slow; the reader keeps its place until it has its answer.
        match tokio::time::timeout(PATIENCE, answering).await {
            Ok(Ok(Ok(Ok(answer)))) => Ok(answer),
            Ok(Ok(Ok(Err(error)))) => {
                warn!(%error, "cannot read the history on disk");
                let is_damage = matches!(error, redb::Error::Corrupted(_));
                self.inner.suspect.fetch_or(is_damage, Ordering::Relaxed);
                Err(Untold::Silent)
            }
            Ok(Ok(Err(panicked))) => {
                // A question is no proof against the file: the writer finds out by itself.
                warn!(%panicked, "cannot read the history on disk");
                Err(Untold::Silent)
            }
            Ok(Err(untold)) => Err(untold),
            Err(_) => Err(Untold::Silent),
        }
    }

    /// Keeps it from answering, as a disk that hangs does.
    #[cfg(test)]
    pub(crate) async fn hang(&self) -> impl Sized + use<> {
        let all = u32::try_from(READERS).unwrap();
        Arc::clone(&self.inner.places).acquire_many_owned(all).await.unwrap()
    }
}
