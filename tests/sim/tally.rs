//! What happened in a run, so that a run in which nothing happened does not pass for a proof.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use crate::plan::Fault;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) adverts: u64,
    pub(crate) lost: u64,
    pub(crate) announcements: u64,
    pub(crate) transitions: u64,
    pub(crate) takeovers: u64,
    pub(crate) events: u64,
    pub(crate) hostile: u64,
    pub(crate) answers: u64,
    pub(crate) refusals: u64,
    pub(crate) refused: u64,
    pub(crate) leases_ended: u64,
    pub(crate) rivals: u64,
    pub(crate) stalls: u64,
    pub(crate) same_reloads: u64,
    pub(crate) handovers: u64,
    pub(crate) drained: u64,
    /// Successors asked over the control plane, those that became Active at a word, and answers that came in time.
    pub(crate) asked: u64,
    pub(crate) taken: u64,
    pub(crate) answered: u64,
    /// Words of Active routers, and routers that yielded to them.
    pub(crate) words: u64,
    pub(crate) yielded: u64,
    /// Planned moves while nothing else happened.
    pub(crate) rehearsed: u64,
    /// States and priorities that a check changed.
    pub(crate) checked_states: u64,
    pub(crate) checked_priorities: u64,
    /// Inputs after which a group of several was Active.
    pub(crate) united: u64,
    /// Reloads that brought a member into an Active group.
    pub(crate) newcomers: u64,
    pub(crate) believed: u64,
    pub(crate) unknowable: u64,
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Of the last input.
    pub(crate) outputs: u64,
}

impl AddAssign<&Tally> for Tally {
    fn add_assign(&mut self, other: &Tally) {
        self.adverts += other.adverts;
        self.lost += other.lost;
        self.announcements += other.announcements;
        self.transitions += other.transitions;
        self.takeovers += other.takeovers;
        self.events += other.events;
        self.hostile += other.hostile;
        self.answers += other.answers;
        self.refusals += other.refusals;
        self.refused += other.refused;
        self.leases_ended += other.leases_ended;
        self.rivals += other.rivals;
        self.stalls += other.stalls;
        self.same_reloads += other.same_reloads;
        self.handovers += other.handovers;
        self.drained += other.drained;
        self.asked += other.asked;
        self.taken += other.taken;
        self.answered += other.answered;
        self.words += other.words;
        self.yielded += other.yielded;
        self.rehearsed += other.rehearsed;
        self.checked_states += other.checked_states;
        self.checked_priorities += other.checked_priorities;
        self.united += other.united;
        self.newcomers += other.newcomers;
        self.believed += other.believed;
        self.unknowable += other.unknowable;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
    }
}
