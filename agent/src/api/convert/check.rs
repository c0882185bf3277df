//! A check in the contract's words.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ha_engine::{InstanceStatus, LastResult, Outcome, RemedyState, RemedyStatus, StandingOrder};
use ha_probe::{Attempt, Step};
use ha_proto::v1;

use super::{Context, actor, duration, signed, verdict};
use crate::health::{Asked, CheckView, Snapshot, said};

/// What depends on which fact: instances and expressions that name it.
#[derive(Debug, Default)]
pub(crate) struct Dependents {
    instances: HashMap<Arc<str>, Vec<Arc<str>>>,
    expressions: HashMap<Arc<str>, Vec<Arc<str>>>,
}

impl Dependents {
    pub(crate) fn new(instances: &[InstanceStatus], checks: &Snapshot) -> Self {
        let mut this = Self::default();
        for config in instances.iter().map(|status| &status.config) {
            for track in config.tracks.iter() {
                this.instances.entry(Arc::clone(&track.fact)).or_default().push(Arc::clone(&config.name));
            }
        }
        for policy in checks.checks.iter().map(|view| &view.status.policy) {
            for member in policy.rule.iter().flat_map(|rule| rule.members()) {
                this.expressions.entry(Arc::clone(member)).or_default().push(Arc::clone(&policy.name));
            }
        }
        this
    }

    /// The instances that a fact can reach: they track it, or an expression that it is part of. By name.
    pub(crate) fn instances_of(&self, fact: &str) -> BTreeSet<&str> {
        let (mut facts, mut known) = (vec![fact], BTreeSet::new());
        let mut instances = BTreeSet::new();
        while let Some(fact) = facts.pop() {
            instances.extend(self.instances.get(fact).into_iter().flatten().map(|instance| &**instance));
            let expressions = self.expressions.get(fact).into_iter().flatten();
            facts.extend(expressions.map(|expression| &**expression).filter(|name| known.insert(*name)));
        }
        instances
    }
}

impl Context<'_> {
    /// A check as it stands.
    pub(crate) fn check(&self, view: &CheckView, dependents: &Dependents) -> v1::Check {
        let CheckView { status, kind, target } = view;
        let policy = &status.policy;
        let last = status.last.as_ref();
        let (last_result, last_evidence, latency) = last.map(result).unwrap_or_default();
        v1::Check {
            name: self.names.of_this(&policy.name),
            kind: (*kind).to_owned(),
            target: target.to_string(),
            verdict: verdict(status.verdict).into(),
            last_change_time: self.time(status.since),
            last_run_time: last.and_then(|last| self.time(last.at)),
            last_run_duration: latency,
            last_result: last_result.to_owned(),
            last_evidence: last_evidence.to_owned(),
            consecutive_count: count(status.consecutive),
            rise: count(policy.rise),
            fall: count(policy.fall),
            interval: policy.rule.is_none().then(|| duration(status.interval)),
            timeout: policy.rule.is_none().then(|| duration(policy.timeout)),
            next_run_time: status.next_run.and_then(|at| self.time(at)),
            value: status.value,
            mute: status.mute.as_ref().map(|mute| self.mute(mute)),
            remedy: status.remedy.as_ref().map(|remedy| self.remedy(remedy)),
            pass_count: signed(status.counters.passed),
            failure_count: signed(status.counters.failed),
            inconclusive_count: signed(status.counters.inconclusive),
            overrun_count: signed(status.counters.overruns),
            change_count: signed(status.counters.changes),
            damped: status.held_until.is_some(),
            affected_instances: self.instances_affected(&policy.name, dependents),
            affected_pools: pool_of(&policy.name).map(|pool| self.names.of_this(pool)).into_iter().collect(),
            measured_verdict: verdict(status.measured).into(),
            hold_end_time: status.held_until.and_then(|at| self.time(at)),
            grace_end_time: status.grace_ends.and_then(|at| self.time(at)),
            members: policy
                .rule
                .iter()
                .flat_map(|rule| rule.members())
                .map(|name| self.names.of_this(name))
                .collect(),
        }
    }

    /// An attempt that was asked for, step by step.
    pub(crate) fn attempt(&self, asked: &Asked) -> v1::CheckAttempt {
        let Attempt { outcome, latency, evidence, steps, .. } = &asked.attempt;
        let result = match outcome {
            ha_probe::Outcome::Failed(reason) => reason.as_str(),
            outcome => said(*outcome),
        };
        v1::CheckAttempt {
            result: result.to_owned(),
            evidence: evidence.clone(),
            start_time: self.time(asked.began),
            duration: Some(duration(*latency)),
            steps: steps.iter().map(step).collect(),
        }
    }

    pub(super) fn instances_affected(&self, fact: &str, dependents: &Dependents) -> Vec<String> {
        dependents.instances_of(fact).into_iter().map(|instance| self.names.instance(instance)).collect()
    }

    fn mute(&self, mute: &StandingOrder) -> v1::CheckMute {
        v1::CheckMute {
            reason: mute.reason.to_string(),
            actor: Some(actor(&mute.actor)),
            create_time: self.time(mute.since),
            expire_time: mute.expires.and_then(|expires| self.time(expires)),
            survives_restart: mute.survives,
        }
    }

    fn remedy(&self, remedy: &RemedyStatus) -> v1::Remedy {
        let state = match remedy.state {
            RemedyState::Idle => v1::remedy::State::Idle,
            RemedyState::Running => v1::remedy::State::Running,
            RemedyState::Waiting => v1::remedy::State::Waiting,
            RemedyState::Spent => v1::remedy::State::Spent,
        };
        v1::Remedy {
            state: state.into(),
            last_start_time: remedy.last_start.and_then(|at| self.time(at)),
            last_result: remedy.last_result.to_string(),
            run_count: signed(remedy.runs),
            helped_count: signed(remedy.helped),
        }
    }
}

/// A small number on the wire, which has no unsigned ones; what does not fit is cut.
pub(super) fn count(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The word, the evidence and the duration of a result.
fn result(last: &LastResult) -> (&'static str, &str, Option<prost_types::Duration>) {
    match &last.outcome {
        Outcome::Passed { latency, detail, .. } => ("PASSED", detail, Some(duration(*latency))),
        Outcome::Failed { reason, latency, detail, .. } => (reason, detail, Some(duration(*latency))),
        Outcome::Inconclusive { detail } => ("INCONCLUSIVE", detail, None),
    }
}

/// `pools/web` of `pools/web/servers/a/checks/http`.
fn pool_of(fact: &str) -> Option<&str> {
    let (pool, _) = fact.split_once("/servers/")?;
    pool.starts_with("pools/").then_some(pool)
}

fn step(step: &Step) -> v1::CheckStep {
    v1::CheckStep {
        name: step.name.to_owned(),
        duration: Some(duration(step.took)),
        detail: step.detail.clone(),
    }
}
