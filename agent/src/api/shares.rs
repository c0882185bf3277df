//! Places that are shared: everybody may have some, nobody all of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many places for each of those who ask. Who has none costs nothing.
#[derive(Debug)]
pub(crate) struct Shares<K> {
    each: usize,
    taken: Mutex<HashMap<K, Arc<Semaphore>>>,
}

impl<K: Eq + Hash> Shares<K> {
    pub(crate) fn new(each: usize) -> Self {
        Self { each, taken: Mutex::default() }
    }

    /// A place, free again when dropped; `None` when this one has its share.
    pub(crate) fn take(&self, who: K) -> Option<OwnedSemaphorePermit> {
        self.take_many(who, 1)
    }

    /// So many places at once, or none.
    pub(crate) fn take_many(&self, who: K, count: u32) -> Option<OwnedSemaphorePermit> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.retain(|other, places| *other == who || places.available_permits() < self.each);
        let places = taken.entry(who).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
        Arc::clone(places).try_acquire_many_owned(count).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_share_and_who_gives_it_back_is_forgotten() {
        let shares = Shares::new(2);
        let held: Vec<_> = (0..3).map(|_| shares.take("a")).collect();
        assert_eq!(held.iter().flatten().count(), 2);
        let other = shares.take("b");
        assert!(other.is_some());
        drop(held);
        assert!(shares.take_many("a", 3).is_none() && shares.take_many("a", 2).is_some());
        drop(other);
        let _last = shares.take("c");
        assert_eq!(shares.taken.lock().unwrap().len(), 1, "only who has a place is known");
    }
}
