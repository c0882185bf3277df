//! A health check as one node sees it, and one attempt of it.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::model::{HoldView, some};
use crate::names;
use crate::span::Span;

/// A health check. The fields mean what `ha.agent.v1.Check` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct CheckView {
    pub name: String,
    pub node: String,
    /// As a user writes it, without the node: `nginx`, `web/w1/http`.
    pub check: String,
    pub kind: String,
    pub target: String,
    pub verdict: &'static str,
    pub last_change_time: Option<Timestamp>,
    /// How long the verdict has been this, by the node's own clock.
    pub verdict_age: Option<Span>,
    pub last_run_time: Option<Timestamp>,
    pub last_run_duration: Option<Span>,
    pub last_result: Option<String>,
    pub last_evidence: Option<String>,
    pub consecutive_count: i32,
    pub rise: i32,
    pub fall: i32,
    pub interval: Option<Span>,
    pub timeout: Option<Span>,
    pub next_run_time: Option<Timestamp>,
    pub value: Option<i32>,
    pub mute: Option<HoldView>,
    pub remedy: Option<RemedyView>,
    pub pass_count: i64,
    pub failure_count: i64,
    pub inconclusive_count: i64,
    pub overrun_count: i64,
    pub change_count: i64,
    pub damped: bool,
    pub affected_instances: Vec<String>,
    pub affected_pools: Vec<String>,
}

/// What is tried before the verdict of a failing check falls.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct RemedyView {
    pub state: &'static str,
    pub last_start_time: Option<Timestamp>,
    pub last_result: Option<String>,
    pub run_count: i64,
    pub helped_count: i64,
}

/// One attempt, step by step.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct AttemptView {
    pub result: String,
    pub evidence: Option<String>,
    pub start_time: Option<Timestamp>,
    pub duration: Option<Span>,
    pub steps: Vec<StepView>,
}

/// One step of an attempt.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct StepView {
    pub step: String,
    pub duration: Option<Span>,
    pub detail: Option<String>,
}

impl CheckView {
    /// From the API's message, and the clock of the node that sent it.
    pub(crate) fn new(check: &v1::Check, clock: Clock, now: Timestamp) -> Self {
        CheckView {
            name: check.name.clone(),
            node: names::node(&check.name).to_owned(),
            check: names::below_node(&check.name),
            kind: check.kind.clone(),
            target: check.target.clone(),
            verdict: verdict_word(check.verdict()),
            last_change_time: timestamp(check.last_change_time.as_ref()),
            verdict_age: clock.age(check.last_change_time.as_ref(), now),
            last_run_time: timestamp(check.last_run_time.as_ref()),
            last_run_duration: check.last_run_duration.as_ref().map(Span::from),
            last_result: some(&check.last_result),
            last_evidence: some(&check.last_evidence),
            consecutive_count: check.consecutive_count,
            rise: check.rise,
            fall: check.fall,
            interval: check.interval.as_ref().map(Span::from),
            timeout: check.timeout.as_ref().map(Span::from),
            next_run_time: timestamp(check.next_run_time.as_ref()),
            value: check.value,
            mute: check.mute.as_ref().map(HoldView::from),
            remedy: check.remedy.as_ref().map(RemedyView::from),
            pass_count: check.pass_count,
            failure_count: check.failure_count,
            inconclusive_count: check.inconclusive_count,
            overrun_count: check.overrun_count,
            change_count: check.change_count,
            damped: check.damped,
            affected_instances: labels(&check.affected_instances),
            affected_pools: labels(&check.affected_pools),
        }
    }

    /// Whether it is known to pass.
    pub(crate) fn is_passing(&self) -> bool {
        self.verdict == "PASSING"
    }

    /// What the last attempt saw: `REFUSED: 192.0.2.1:80 refused the connection`.
    pub(crate) fn saw(&self) -> String {
        match (&self.last_result, &self.last_evidence) {
            (Some(result), Some(evidence)) => format!("{result}: {evidence}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => String::new(),
        }
    }

    /// What depends on it: `instance web, pool app`.
    pub(crate) fn endangers(&self) -> String {
        let instances = self.affected_instances.iter().map(|name| format!("instance {name}"));
        let pools = self.affected_pools.iter().map(|name| format!("pool {name}"));
        instances.chain(pools).collect::<Vec<_>>().join(", ")
    }
}

impl From<&v1::Remedy> for RemedyView {
    fn from(remedy: &v1::Remedy) -> Self {
        RemedyView {
            state: remedy.state().as_str_name().trim_start_matches("STATE_"),
            last_start_time: timestamp(remedy.last_start_time.as_ref()),
            last_result: some(&remedy.last_result),
            run_count: remedy.run_count,
            helped_count: remedy.helped_count,
        }
    }
}

impl From<&v1::CheckAttempt> for AttemptView {
    fn from(attempt: &v1::CheckAttempt) -> Self {
        AttemptView {
            result: attempt.result.clone(),
            evidence: some(&attempt.evidence),
            start_time: timestamp(attempt.start_time.as_ref()),
            duration: attempt.duration.as_ref().map(Span::from),
            steps: attempt.steps.iter().map(StepView::from).collect(),
        }
    }
}

impl From<&v1::CheckStep> for StepView {
    fn from(step: &v1::CheckStep) -> Self {
        StepView {
            step: step.name.clone(),
            duration: step.duration.as_ref().map(Span::from),
            detail: some(&step.detail),
        }
    }
}

/// The word of what is known of a check or a pool.
pub(crate) fn verdict_word(verdict: v1::Verdict) -> &'static str {
    match verdict {
        v1::Verdict::Passing => "PASSING",
        v1::Verdict::Failing => "FAILING",
        v1::Verdict::Unknown | v1::Verdict::Unspecified => "UNKNOWN",
    }
}

fn labels(names: &[String]) -> Vec<String> {
    names.iter().map(|name| names::last(name).to_owned()).collect()
}
