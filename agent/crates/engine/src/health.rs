//! Health checks: when each runs, what its results mean, what is tried before its verdict falls. Sans-IO like the
//! engine: probing, and running a remedy's command, are left to the driver. The rules for operators are in
//! `agent/crates/config/CHECKS.md`.

mod beats;
mod check;
mod damper;
mod policy;
mod rule;
mod status;
#[cfg(test)]
mod tests;
mod window;
mod wire;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

pub use policy::{CheckPolicy, Damping, Expr, RemedyPolicy};
pub use status::{
    CheckCounters, CheckStatus, LastResult, Latency, MutedCheck, RemedyState, RemedyStatus, WindowPosition,
};
pub use wire::{CheckId, CheckInput, CheckOutput, CheckOutputs, CheckRefusal, Outcome};

use crate::order::StandingOrder;
use crate::schedule::Schedule;
use crate::track::Verdict;
use crate::units::Instant;
use check::{Because, Check, Sink, Troubles};

/// All checks of a node under one clock.
///
/// A driver calls [`Monitor::handle`] with what happened, carries out the outputs in order, and calls again at the latest
/// at [`Monitor::next_deadline`]. A step costs O(log n) of the number of checks; a result that changes nothing allocates
/// nothing. There is at most one attempt of a check at a time.
#[derive(Debug, Default)]
pub struct Monitor {
    /// By [`CheckId`]; free places are used again.
    checks: Vec<Option<Check>>,
    free: BTreeSet<CheckId>,
    by_name: BTreeMap<Arc<str>, CheckId>,
    schedule: Schedule<()>,
    outputs: Vec<CheckOutput>,
    /// The number of the last run, watch or remedy.
    runs: u64,
    troubles: Troubles,
    /// Verdicts that an earlier process left frozen, until the first configuration has taken them.
    inherited: BTreeMap<Arc<str>, MutedCheck>,
    /// Expressions whose members changed, those of lower rank first.
    unsettled: BTreeSet<(u32, CheckId)>,
}

impl Monitor {
    /// A monitor without checks; the first [`CheckInput::Reconfigure`] brings them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input and answers with what to do. `now` must not go backwards.
    pub fn handle(&mut self, now: Instant, input: CheckInput<'_>) -> CheckOutputs<'_> {
        self.outputs.clear();
        match input {
            CheckInput::Reconfigure(policies) => self.on_reconfigure(now, policies),
            CheckInput::Deadline => self.on_deadline(now),
            CheckInput::Ended { check, run, at, outcome } => {
                self.with(now, check, |check, sink| check.on_end(sink, run, at, outcome));
            }
            CheckInput::RemedyEnded { check, run, result } => {
                self.with(now, check, |check, sink| check.on_remedy_told(sink, run, result));
            }
            CheckInput::Inherit(muted) => {
                self.inherited = muted.into_iter().map(|one| (Arc::clone(&one.name), one)).collect();
            }
            CheckInput::Mute { name, reason, actor, expires, survives, dry_run } => {
                self.operate(now, &name, |check, sink| {
                    if !dry_run {
                        check.mute(sink, StandingOrder { reason, actor, since: now, expires, survives });
                    }
                    Ok(())
                });
            }
            CheckInput::Unmute { name, actor, dry_run } => self.operate(now, &name, |check, sink| {
                if !dry_run {
                    check.unmute(sink, actor);
                }
                Ok(())
            }),
            CheckInput::RunNow { name } => self.operate(now, &name, Check::run_now),
        }
        self.settle_rules(now, &Because::MEMBER);
        CheckOutputs(self.outputs.drain(..))
    }

    /// When to call with [`CheckInput::Deadline`] at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.schedule.first().map(|(at, ..)| at)
    }

    /// The number of a check.
    pub fn check(&self, name: &str) -> Option<CheckId> {
        self.by_name.get(name).copied()
    }

    /// A check as it stands.
    pub fn status(&self, name: &str) -> Option<CheckStatus> {
        let id = self.check(name)?;
        self.checks.get(id.0 as usize)?.as_ref().map(Check::status)
    }

    /// Every check as it stands, by name. Lazy, so that a driver may take a few at a time.
    pub fn statuses(&self) -> impl Iterator<Item = CheckStatus> + '_ {
        self.statuses_after(None)
    }

    /// Checks whose names come after `name`, by name: for a driver that must not pause for all of them at once.
    pub fn statuses_after(&self, name: Option<&Arc<str>>) -> impl Iterator<Item = CheckStatus> + '_ {
        let from =
            name.map_or(core::ops::Bound::Unbounded, |name| core::ops::Bound::Excluded(Arc::clone(name)));
        let named = self.by_name.range((from, core::ops::Bound::Unbounded));
        named.filter_map(|(_, id)| self.checks.get(id.0 as usize)?.as_ref().map(Check::status))
    }

    /// Reacts to everything that is due; each reaction moves its deadline past `now`, so this ends.
    fn on_deadline(&mut self, now: Instant) {
        while let Some((at, (), slot)) = self.schedule.first() {
            let Some(id) = u32::try_from(slot).ok().filter(|_| at <= now) else { break };
            self.with(now, CheckId(id), Check::on_deadline);
        }
        self.run_along(now);
    }

    /// Runs that are due within a 64th of their interval, and within 4 ms, begin with the others: one wake-up for many, which
    /// costs more than the runs do when they are few. At most so many, that the answers to the first need not wait for the last.
    fn run_along(&mut self, now: Instant) {
        const ALONG: Duration = Duration::from_millis(4);
        const MOST: usize = 16;
        for _ in 0..MOST {
            let Some((at, (), slot)) = self.schedule.first() else { break };
            let Some(check) = self.checks.get(slot).and_then(Option::as_ref) else { break };
            let soon = now.after(ALONG.min(check.policy.interval / 64));
            if at > soon || !check.is_due(soon) {
                break;
            }
            let id = check.id;
            self.with(now, id, Check::begin_due);
        }
    }

    /// Removes, changes and adds checks, in this order; what did not change is not touched.
    fn on_reconfigure(&mut self, now: Instant, policies: &[CheckPolicy]) {
        let wanted: BTreeMap<&str, &CheckPolicy> =
            policies.iter().map(|policy| (&*policy.name, policy)).collect();
        let gone: Vec<CheckId> = self
            .by_name
            .iter()
            .filter(|(name, _)| !wanted.contains_key(&***name))
            .map(|(_, id)| *id)
            .collect();
        gone.into_iter().for_each(|id| self.remove(now, id));
        let changed: Vec<&CheckPolicy> = wanted.into_values().filter(|policy| self.differs(policy)).collect();
        for policy in &changed {
            self.take_over(now, policy, changed.len());
        }
        self.inherited.clear();
        self.unsettled = rule::connect(&mut self.checks, &self.by_name);
        self.settle_rules(now, &Because::RELOAD);
    }

    fn differs(&self, policy: &CheckPolicy) -> bool {
        let known = self.check(&policy.name).and_then(|id| self.checks.get(id.0 as usize)?.as_ref());
        known.is_none_or(|check| *check.policy != *policy)
    }

    fn remove(&mut self, now: Instant, id: CheckId) {
        self.with(now, id, Check::remove);
        self.schedule.set(id.0 as usize, None);
        if let Some(check) = self.checks.get_mut(id.0 as usize).and_then(Option::take) {
            self.by_name.remove(&check.policy.name);
            self.free.insert(id);
        }
    }

    /// Adds a check or changes it, among so many.
    fn take_over(&mut self, now: Instant, policy: &CheckPolicy, among: usize) {
        let policy = Arc::new(policy.clone());
        if let Some(id) = self.check(&policy.name) {
            return self.with(now, id, |check, sink| check.reconfigure(sink, policy, among));
        }
        let fresh = CheckId(u32::try_from(self.checks.len()).unwrap_or(u32::MAX));
        let id = self.free.pop_first().unwrap_or(fresh);
        self.by_name.insert(Arc::clone(&policy.name), id);
        let policy_name = Arc::clone(&policy.name);
        let check = Check::new(id, policy, now, among);
        match self.checks.get_mut(id.0 as usize) {
            Some(place) => *place = Some(check),
            None => self.checks.push(Some(check)),
        }
        let inherited = self.inherited.remove(&policy_name);
        self.with(now, id, |check, sink| check.begin(sink, inherited));
    }

    fn operate(
        &mut self,
        now: Instant,
        name: &str,
        act: impl FnOnce(&mut Check, &mut Sink<'_>) -> Result<(), CheckRefusal>,
    ) {
        let mut answer = Err(CheckRefusal::UnknownCheck);
        if let Some(id) = self.check(name) {
            self.with(now, id, |check, sink| answer = act(check, sink).map(|()| id));
        }
        self.outputs.push(CheckOutput::Answer(answer));
    }

    /// Lets a check react, keeps its place in the schedule true, and notes which expressions that concerns.
    fn with(&mut self, now: Instant, id: CheckId, react: impl FnOnce(&mut Check, &mut Sink<'_>)) {
        let Some(check) = self.checks.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        let before = check.verdict;
        let (outputs, runs, troubles) = (&mut self.outputs, &mut self.runs, &mut self.troubles);
        react(check, &mut Sink { now, outputs, runs, troubles });
        let (deadline, after) = (check.deadline(), check.verdict);
        self.schedule.set(id.0 as usize, deadline.map(|at| (at, ())));
        if before != after {
            self.spread(id, before, after);
        }
    }

    /// A verdict changed: tells the expressions that depend on it.
    fn spread(&mut self, id: CheckId, before: Verdict, after: Verdict) {
        let Some(check) = self.checks.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        let (name, dependents) = (Arc::clone(&check.policy.name), core::mem::take(&mut check.dependents));
        for rule in &dependents {
            if let Some(rule) = self.checks.get_mut(rule.0 as usize).and_then(Option::as_mut) {
                rule.tally.on_member(&name, before, after);
                self.unsettled.insert((rule.rank, rule.id));
            }
        }
        if let Some(check) = self.checks.get_mut(id.0 as usize).and_then(Option::as_mut) {
            check.dependents = dependents;
        }
    }

    /// Lets expressions follow their members. Ranks grow from members to expressions, so each is asked once.
    fn settle_rules(&mut self, now: Instant, because: &Because) {
        while let Some((_, id)) = self.unsettled.pop_first() {
            self.with(now, id, |check, sink| check.on_members(sink, because));
        }
    }
}
