//! Carries out what the monitor wants, and tells it what came of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use ha_engine::{CheckId, CheckInput, CheckOutput, CheckRefusal, Fact, Instant};
use ha_probe::command::Command;
use ha_probe::{Attempt, Probe, Start, Trouble};
use tokio::time::Instant as TokioInstant;

use super::jobs::{Done, Found};
use super::run::Runner;
use super::{Asked, translate};
use crate::clock;

impl Runner {
    /// Tells the monitor one thing and carries out what follows from it, however far that goes.
    pub(super) fn feed(&mut self, input: CheckInput<'_>) {
        self.take(input);
        self.settle();
    }

    /// Tells the monitor one thing; what follows from it waits.
    pub(super) fn take(&mut self, input: CheckInput<'_>) {
        self.outputs.extend(self.monitor.handle(clock::now(), input));
    }

    /// The monitor's answer to the operator's command that it was just told.
    pub(super) fn take_answer(&mut self) -> Result<CheckId, CheckRefusal> {
        let is_answer = |output: &CheckOutput| matches!(output, CheckOutput::Answer(_));
        let place = self.outputs.iter().position(is_answer);
        match place.and_then(|place| self.outputs.remove(place)) {
            Some(CheckOutput::Answer(answer)) => answer,
            _ => Err(CheckRefusal::UnknownCheck),
        }
    }

    /// Carries out everything that waits. An attempt that ends as it begins is told at once; since each run follows from the
    /// one before only at its deadline, this comes to an end.
    pub(super) fn settle(&mut self) {
        loop {
            self.carry_out();
            let Some(done) = self.done.pop_front() else { return };
            self.conclude(done);
        }
    }

    /// Facts after events, so that a check's event stands in the journal before what an instance makes of it.
    fn carry_out(&mut self) {
        let mut facts: Vec<Result<Fact, Arc<str>>> = Vec::new();
        while let Some(output) = self.outputs.pop_front() {
            match output {
                CheckOutput::Run { check, run, deadline, asked } => self.begin(check, run, deadline, asked),
                CheckOutput::Watch { check, run } => self.watch(check, run),
                CheckOutput::Cancel { check, run } => {
                    self.jobs.cancel(run);
                    self.askers.cancel(check, run);
                }
                CheckOutput::RunRemedy { check, run, deadline } => self.remedy(check, run, deadline),
                CheckOutput::Fact(fact) => facts.push(Ok(fact)),
                CheckOutput::FactRemoved(name) => facts.push(Err(name)),
                CheckOutput::Event(event) => self.outlets.event(event),
                // Taken before; nobody waits for another.
                CheckOutput::Answer(_) => {}
            }
        }
        for fact in facts {
            match fact {
                Ok(fact) => self.outlets.stands(fact),
                Err(name) => self.outlets.removed(name),
            }
        }
    }

    fn begin(&mut self, check: CheckId, run: u64, deadline: Instant, asked: bool) {
        let now = clock::now();
        if asked {
            self.askers.begin(check, run, now);
        }
        let started = match self.equipment.probe(check) {
            _ if self.jobs.is_full() => {
                let why = "all descriptors that checks may have are in use; raise LimitNOFILE of the agent";
                Start::Done(translate::not_made(Trouble::Exhausted, why))
            }
            Some(probe) => start(probe, local(deadline, now), asked),
            None => Start::Done(translate::not_made(Trouble::Cancelled, "it is not configured any more")),
        };
        match started {
            Start::Done(attempt) => {
                self.done.push_back(Done { check, run, found: Found::Attempt(attempt) });
            }
            Start::Exchange(exchange) => self.jobs.exchange(check, run, exchange),
            Start::Running(attempt) => self.jobs.attempt(check, run, attempt),
        }
    }

    fn watch(&mut self, check: CheckId, run: u64) {
        if let Some(watch) = self.equipment.probe(check).and_then(|probe| probe.watch()) {
            self.jobs.watch(check, run, Box::new(watch));
        }
    }

    fn remedy(&mut self, check: CheckId, run: u64, deadline: Instant) {
        let Some(command) = self.equipment.remedy(check) else {
            let result = Err("it is not configured any more".into());
            return self.take(CheckInput::RemedyEnded { check, run, result });
        };
        let (commands, timeout) = (self.commands.clone(), deadline.since(clock::now()));
        let command = Command { timeout, ..(**command).clone() };
        // Cancelled when the remedy is no longer wanted: the command is then ended.
        self.jobs.remedy(check, run, async move { translate::remedy(&commands.run(&command).await) });
    }

    fn conclude(&mut self, done: Done) {
        let Done { check, run, found } = done;
        match found {
            Found::Attempt(attempt) => self.on_attempt(check, run, attempt),
            Found::News(attempt, watch) => {
                self.on_attempt(check, run, attempt);
                // Unless what it said made it superfluous.
                if !self.is_cancelled(run) {
                    self.jobs.watch(check, run, watch);
                }
            }
            Found::Remedy(result) => self.take(CheckInput::RemedyEnded { check, run, result }),
        }
    }

    fn on_attempt(&mut self, check: CheckId, run: u64, attempt: Attempt) {
        let at = clock::now();
        self.statistics.attempt(self.equipment.kind(check), &attempt);
        let outcome = translate::outcome(&attempt);
        self.take(CheckInput::Ended { check, run, at, outcome });
        if let Some((began, askers)) = self.askers.end(run)
            && let Some(view) = self.view(check)
        {
            for asker in askers {
                // Who no longer waits for it does not get it.
                let _ = asker.send(Ok(Asked { began, attempt: attempt.clone(), check: view.clone() }));
            }
        }
    }

    fn is_cancelled(&self, run: u64) -> bool {
        self.outputs
            .iter()
            .any(|output| matches!(output, CheckOutput::Cancel { run: other, .. } if *other == run))
    }
}

/// Begins an attempt. A mistake of ours that something a target sent brought to light must not end the agent.
fn start(probe: &Arc<Probe>, deadline: TokioInstant, trace: bool) -> Start {
    let started = catch_unwind(AssertUnwindSafe(|| probe.start(deadline, trace)));
    started.unwrap_or_else(|_panic| Start::Done(translate::panicked()))
}

/// A deadline on the clock of the runtime.
fn local(deadline: Instant, now: Instant) -> TokioInstant {
    TokioInstant::now() + deadline.since(now)
}
