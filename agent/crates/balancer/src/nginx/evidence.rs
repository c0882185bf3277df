//! What is known about which servers the running nginx has, and what is not.
//!
//! nginx does not tell which configuration its workers have; `nginx -T` shows files. Two things prove that the running
//! workers have what is stored for a pool:
//!
//! 1. this process watched them take it over ([`super::handover`]), and one of those workers still accepts connections;
//! 2. no change of ours is unfinished, and every worker that accepts connections was started after the file got its text.
//!
//! Everything else counts as not proven and costs one reload. The second misses a file that somebody else changed,
//! whose reload nginx refused, and whose workers were all replaced since, one death after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use super::process::{ProcessId, Worker};
use super::slot::Stored;

/// What was seen with our own eyes since this process began.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last reload that was watched to its end.
    watched: Option<Watched>,
    /// The pools whose files nginx's configuration includes, by the last test that told.
    included: Option<BTreeSet<Arc<str>>>,
    is_tested: bool,
}

#[derive(Debug)]
struct Watched {
    workers: BTreeSet<ProcessId>,
    texts: BTreeMap<Arc<str>, Vec<u8>>,
}

/// What is stored for one pool.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) stored: Option<Stored>,
    /// A change of ours that is not known to be in force.
    pub(super) is_unfinished: bool,
}

impl Snapshot {
    pub(super) fn has(&self, text: &str) -> bool {
        self.stored.as_ref().is_some_and(|stored| stored.text == text.as_bytes())
    }
}

impl Memory {
    /// A reload begins: what was known before is no longer.
    pub(super) fn forget(&mut self) {
        self.watched = None;
    }

    /// A reload was watched to its end: these workers have these texts.
    pub(super) fn note_watched(&mut self, workers: &[Worker], texts: BTreeMap<Arc<str>, Vec<u8>>) {
        let workers =
            workers.iter().filter(|worker| !worker.is_shutting_down).map(|worker| worker.id).collect();
        self.watched = Some(Watched { workers, texts });
    }

    /// A test was good, and may have told which pools are included. Returns those that were not, by the test before: the workers know nothing of them.
    pub(super) fn note_test(&mut self, included: Option<BTreeSet<Arc<str>>>) -> BTreeSet<Arc<str>> {
        let is_new = |pool: &&Arc<str>| self.included.as_ref().is_some_and(|before| !before.contains(*pool));
        let new = included.iter().flatten().filter(is_new).cloned().collect();
        self.included = included;
        self.is_tested = true;
        new
    }

    /// nginx found its configuration good since this process began.
    pub(super) fn is_tested(&self) -> bool {
        self.is_tested
    }

    /// It is known that nginx's configuration does not include the pool's file.
    pub(super) fn is_unused(&self, pool: &Arc<str>) -> bool {
        self.included.as_ref().is_some_and(|included| !included.contains(pool))
    }

    /// Whether these running workers certainly have what is stored for the pool. `started` gives the time of day of a start.
    pub(super) fn is_proven(
        &self,
        pool: &Arc<str>,
        snapshot: &Snapshot,
        workers: &[Worker],
        started: impl Fn(ProcessId) -> SystemTime,
    ) -> bool {
        let Some(stored) = &snapshot.stored else { return true };
        let mut accepting = workers.iter().filter(|worker| !worker.is_shutting_down).map(|worker| worker.id);
        let is_watched = self.watched.as_ref().is_some_and(|watched| {
            let has_text = watched.texts.get(pool).is_some_and(|text| *text == stored.text);
            has_text && accepting.clone().any(|worker| watched.workers.contains(&worker))
        });
        let has_workers = accepting.clone().next().is_some();
        is_watched
            || !snapshot.is_unfinished
                && has_workers
                && accepting.all(|worker| started(worker) >= stored.since)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    /// Workers by the second of their start, which is also their number; negative ones shut down.
    fn workers(numbers: &[i64]) -> Vec<Worker> {
        let worker = |number: &i64| Worker {
            id: ProcessId { pid: 1, started: number.unsigned_abs() },
            is_shutting_down: *number < 0,
        };
        numbers.iter().map(worker).collect()
    }

    fn stored(text: &str, since: u64, is_unfinished: bool) -> Snapshot {
        Snapshot { stored: Some(Stored { text: text.into(), since: at(since) }), is_unfinished }
    }

    fn is_proven(memory: &Memory, snapshot: &Snapshot, numbers: &[i64]) -> bool {
        memory.is_proven(&"web".into(), snapshot, &workers(numbers), |worker| at(worker.started))
    }

    #[test]
    fn without_having_watched_only_younger_workers_and_a_finished_change_prove_it() {
        let memory = Memory::default();
        let table: [(&str, Snapshot, &[i64], bool); 7] = [
            ("all younger", stored("a", 10, false), &[11, 12], true),
            ("in the same moment", stored("a", 10, false), &[10], true),
            ("one older", stored("a", 10, false), &[9, 12], false),
            ("the older one shuts down", stored("a", 10, false), &[-9, 12], true),
            ("unfinished", stored("a", 10, true), &[11], false),
            ("no worker", stored("a", 10, false), &[], false),
            ("nothing is stored", Snapshot { stored: None, is_unfinished: false }, &[1], true),
        ];
        for (case, snapshot, numbers, expected) in table {
            assert_eq!(is_proven(&memory, &snapshot, numbers), expected, "{case}");
        }
    }

    #[test]
    fn what_was_watched_holds_while_one_of_its_workers_accepts_and_the_text_is_the_same() {
        let mut memory = Memory::default();
        memory.note_watched(&workers(&[5, 6, -4]), [(Arc::from("web"), b"a".to_vec())].into());
        let table: [(&str, Snapshot, &[i64], bool); 7] = [
            ("as watched", stored("a", 10, true), &[5, 6], true),
            ("one was replaced", stored("a", 10, true), &[5, 12], true),
            ("others took over", stored("a", 10, true), &[-5, -6, 12], false),
            ("another text", stored("b", 10, true), &[5, 6], false),
            ("another text", stored("b", 10, false), &[5, 6], false),
            ("somebody else's reload since", stored("b", 10, false), &[12], true),
            ("only one that was shutting down", stored("a", 10, true), &[4], false),
        ];
        for (case, snapshot, numbers, expected) in table {
            assert_eq!(is_proven(&memory, &snapshot, numbers), expected, "{case}");
        }
        memory.forget();
        assert!(!is_proven(&memory, &stored("a", 10, true), &[5, 6]));
    }

    #[test]
    fn a_pool_that_comes_to_be_included_is_told() {
        let mut memory = Memory::default();
        let pools =
            |names: &[&str]| Some(names.iter().map(|name| Arc::from(*name)).collect::<BTreeSet<Arc<str>>>());
        assert!(!memory.is_unused(&"web".into()), "not known");
        assert_eq!(memory.note_test(pools(&["api"])), BTreeSet::new());
        assert!(memory.is_unused(&"web".into()));
        assert_eq!(Some(memory.note_test(pools(&["api", "web"]))), pools(&["web"]));
        assert!(!memory.is_unused(&"web".into()));
        memory.note_test(None);
        assert!(!memory.is_unused(&"api".into()), "not known any more");
    }
}
