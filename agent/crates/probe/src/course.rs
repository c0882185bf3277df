//! How far an attempt has come. It outlives the attempt when the deadline cuts it, so that a timeout can say in which step.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::attempt::Step;

const HALF_A_MILLISECOND: Duration = Duration::from_micros(500);

/// The steps of one attempt, the running one last.
#[derive(Debug)]
pub(crate) struct Course {
    begun: Instant,
    deadline: Instant,
    step: &'static str,
    since: Instant,
    detail: String,
    address: Option<SocketAddr>,
    remark: Option<String>,
    strays: u32,
    /// Kept only when a trace was asked for.
    steps: Option<Vec<Step>>,
}

impl Course {
    pub(crate) fn new(deadline: Instant, trace: bool) -> Self {
        let begun = Instant::now();
        Self {
            begun,
            deadline,
            step: "",
            since: begun,
            detail: String::new(),
            address: None,
            remark: None,
            strays: 0,
            steps: trace.then(Vec::new),
        }
    }

    /// Ends the running step and begins the one called `step`.
    pub(crate) fn enter(&mut self, step: &'static str) {
        if self.step == step {
            return;
        }
        if self.steps.is_some() {
            self.close();
            self.since = Instant::now();
        }
        self.step = step;
    }

    /// Adds a detail to the running step, when somebody wants it.
    pub(crate) fn note(&mut self, detail: impl FnOnce() -> String) {
        if self.steps.is_some() {
            self.detail = detail();
        }
    }

    /// The running step; empty before the first.
    pub(crate) fn step(&self) -> &'static str {
        self.step
    }

    /// The address that is tried.
    pub(crate) fn set_address(&mut self, address: SocketAddr) {
        self.address = Some(address);
    }

    /// What the operator must know beside the result; the first one is kept.
    pub(crate) fn remark(&mut self, text: Option<String>) {
        self.remark = self.remark.take().or(text);
    }

    /// Something came that does not belong to this attempt.
    pub(crate) fn count_stray(&mut self) {
        self.strays = self.strays.saturating_add(1);
    }

    /// Remark and strays, to be appended to the evidence.
    pub(crate) fn postscript(&self) -> String {
        let remark = self.remark.as_ref().map(|text| format!("; {text}")).unwrap_or_default();
        match self.strays {
            0 => remark,
            count => format!("{remark}; {count} answers that do not belong to the question were ignored"),
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The deadline has passed.
    pub(crate) fn is_over(&self) -> bool {
        self.begun >= self.deadline
    }

    /// When the attempt must have ended.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Since the attempt began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// How long the attempt was to last at most, as somebody would say it: without what passed before it began.
    pub(crate) fn allowed(&self) -> Duration {
        let exact = self.deadline.saturating_duration_since(self.begun);
        Duration::from_millis(u64::try_from((exact + HALF_A_MILLISECOND).as_millis()).unwrap_or(u64::MAX))
    }

    /// All steps; the running one ends here.
    pub(crate) fn finish(mut self) -> Vec<Step> {
        self.close();
        self.steps.unwrap_or_default()
    }

    fn close(&mut self) {
        if let Some(steps) = &mut self.steps
            && !self.step.is_empty()
        {
            let detail = std::mem::take(&mut self.detail);
            steps.push(Step { name: self.step, took: self.since.elapsed(), detail });
        }
    }
}
