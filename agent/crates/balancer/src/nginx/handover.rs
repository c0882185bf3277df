//! Whether nginx has taken its new configuration over, judged by its workers.
//!
//! A master that accepts a configuration starts new workers beside the old ones, lets both run for 100 ms, then tells the old
//! ones to shut down. One that refuses it changes nothing, and a worker that dies is replaced *after* its death, by one with the
//! old configuration. So more workers at one moment than there were before, or an old one that shuts down, prove the first case.
//!
//! A process that is starved may miss that moment. Several old workers that are all gone, and several new ones that were started
//! together, count as proof then: they would all have to be killed at once, just while nginx refuses. A single one does not.
//!
//! Only when no old worker accepts connections any more does every request meet the new configuration.

use std::collections::BTreeSet;

use super::process::{ProcessId, Worker};

/// Workers of one reload are forked one after the other, within this many clock ticks (of 10 ms).
const TOGETHER: u64 = 10;

/// A reload that was told and is being watched.
#[derive(Debug)]
pub(super) struct Handover {
    /// Who accepted connections before the master began with it.
    old: BTreeSet<ProcessId>,
    /// It is seen that the master accepted its new configuration.
    is_accepted: bool,
}

/// How far a reload has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Old workers accept connections.
    Waiting,
    /// Only new workers accept connections, with the new configuration.
    Done,
    /// Only new workers accept connections, and nothing tells with which configuration.
    Unclear,
}

impl Handover {
    /// With the workers as they were before the signal.
    pub(super) fn new(workers: &[Worker]) -> Self {
        Self { old: accepting(workers), is_accepted: false }
    }

    /// Looks once. To be asked several times in 100 ms.
    ///
    /// `is_pending`, read after `workers`: the master has not begun. It is busy with somebody else's reload, and the workers of
    /// that one do not count as new: they may have read what was there before our change.
    pub(super) fn look(&mut self, workers: &[Worker], is_pending: bool) -> Progress {
        let now = accepting(workers);
        if is_pending {
            self.old = now;
            return Progress::Waiting;
        }
        let new: BTreeSet<ProcessId> = now.difference(&self.old).copied().collect();
        self.is_accepted |= !new.is_empty() && self.is_proven(workers, &new);
        match new.is_empty() || !now.is_disjoint(&self.old) {
            true => Progress::Waiting,
            false if self.is_accepted => Progress::Done,
            false => Progress::Unclear,
        }
    }

    fn is_proven(&self, workers: &[Worker], new: &BTreeSet<ProcessId>) -> bool {
        let of_old = || workers.iter().filter(|worker| self.old.contains(&worker.id));
        let (old_alive, old_leaves) = (of_old().count(), of_old().any(|worker| worker.is_shutting_down));
        let starts = new.iter().map(|worker| worker.started);
        let span = starts.clone().max().unwrap_or_default() - starts.min().unwrap_or_default();
        let all_at_once = old_alive == 0 && self.old.len() > 1 && new.len() > 1 && span <= TOGETHER;
        old_leaves || old_alive + new.len() > self.old.len() || all_at_once
    }
}

fn accepting(workers: &[Worker]) -> BTreeSet<ProcessId> {
    workers.iter().filter(|worker| !worker.is_shutting_down).map(|worker| worker.id).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    use Progress::{Done, Unclear, Waiting};

    /// `12` is the second worker of generation 1, `-12` the same one shutting down.
    fn workers(numbers: &[i32]) -> Vec<Worker> {
        let started = |number: u32| 100 * u64::from(number / 10) + u64::from(number % 10);
        let worker = |number: &i32| Worker {
            id: ProcessId { pid: number.unsigned_abs(), started: started(number.unsigned_abs()) },
            is_shutting_down: *number < 0,
        };
        numbers.iter().map(worker).collect()
    }

    /// What is seen one after the other, `true` while a signal is pending → how far it is after each.
    fn watch(before: &[i32], seen: &[(&[i32], bool)]) -> Vec<Progress> {
        let mut handover = Handover::new(&workers(before));
        seen.iter().map(|(numbers, is_pending)| handover.look(&workers(numbers), *is_pending)).collect()
    }

    #[test]
    fn new_beside_old_and_then_only_new_is_a_handover() {
        let seen: &[(&[i32], bool)] = &[
            (&[11, 12], false),
            (&[11, 12, 21], false),
            (&[11, 12, 21, 22], false),
            (&[-11, 21, 22], false),
        ];
        assert_eq!(watch(&[11, 12], seen), [Waiting, Waiting, Waiting, Done]);
        assert_eq!(watch(&[11], &[(&[11, 21], false), (&[21], false)]), [Waiting, Done], "a single worker");
        let seen: &[(&[i32], bool)] = &[(&[11, -1, 21], false), (&[-11, -1, 21], false)];
        assert_eq!(watch(&[11, -1], seen), [Waiting, Done], "another is shutting down since long");
        let seen: &[(&[i32], bool)] = &[(&[11, 12, 13, 21], false), (&[21], false)];
        assert_eq!(watch(&[11, 12, 13], seen), [Waiting, Done], "fewer than before");
    }

    #[test]
    fn when_the_moment_of_both_was_missed_an_old_one_that_shuts_down_or_several_at_once_prove_it() {
        assert_eq!(watch(&[11, 12], &[(&[-11, 21, 22], false)]), [Done]);
        assert_eq!(watch(&[11, 12], &[(&[11, 12], false), (&[21, 22], false)]), [Waiting, Done]);
    }

    #[test]
    fn workers_that_died_and_were_replaced_are_no_handover() {
        let seen: &[(&[i32], bool)] = &[(&[11], false), (&[], false), (&[21], false)];
        assert_eq!(watch(&[11], seen), [Waiting, Waiting, Unclear], "a single one");
        let seen: &[(&[i32], bool)] = &[(&[11, 21], false), (&[31, 21], false)];
        assert_eq!(watch(&[11, 12], seen), [Waiting, Unclear], "one after the other");
    }

    #[test]
    fn workers_of_somebody_elses_reload_just_before_are_not_ours() {
        let seen: &[(&[i32], bool)] = &[
            (&[11, 12], true),
            (&[11, 12, 21, 22], true),
            (&[-11, 21, 22], true),
            (&[21, 22], false),
            (&[21, 22, 31], false),
            (&[31, 32], false),
        ];
        assert_eq!(watch(&[11, 12], seen), [Waiting, Waiting, Waiting, Waiting, Waiting, Done]);
    }
}
