//! Checks in virtual time. A [`World`] drives the monitor as a driver would; what it does is written down as lines.

mod damping;
mod operators;
mod reload;
mod remedies;
mod rules;
mod times;
mod whatever;
mod windows;

use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::event::{Actor, EventKind};
use crate::fixtures::Random;

/// How a target answers an attempt: after how long, and what.
type Target = fn(Instant) -> (Duration, Outcome);

/// A monitor, its clock, and attempts under way.
struct World {
    monitor: Monitor,
    now: Instant,
    /// Attempts and remedies that will end, by end and number.
    ends: BTreeMap<(Instant, u64), (CheckId, Outcome)>,
    /// What targets answer; without an entry an attempt passes at once.
    targets: BTreeMap<String, Target>,
    /// How the remedy's command ends, after 100 ms.
    remedy: Result<Arc<str>, Arc<str>>,
    remedies: BTreeMap<(Instant, u64), CheckId>,
    watches: BTreeMap<CheckId, u64>,
    /// What happened: runs are left out.
    lines: Vec<String>,
    /// When runs of a check began.
    runs: BTreeMap<String, Vec<Instant>>,
    facts: BTreeMap<String, crate::Fact>,
}

fn at(millis: u64) -> Instant {
    Instant::from_nanos(millis * 1_000_000)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn passed() -> Outcome {
    Outcome::Passed { latency: millis(1), value: None, detail: "200 OK".into() }
}

fn failed() -> Outcome {
    Outcome::Failed { reason: "REFUSED", latency: millis(1), value: None, detail: "nobody listens".into() }
}

fn says_nothing() -> Outcome {
    Outcome::Inconclusive { detail: "too many open files".into() }
}

/// Every second, rise 1, fall 1, no jitter, nothing else.
fn policy(name: &str) -> CheckPolicy {
    CheckPolicy {
        name: name.into(),
        target: 1,
        interval: millis(1000),
        timeout: millis(500),
        rise: 1,
        fall: 1,
        jitter_percent: 0,
        initial: Verdict::Unknown,
        grace: Duration::ZERO,
        backoff: None,
        damping: None,
        remedy: None,
        rule: None,
        watched: false,
    }
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor { principal: "ann".into(), ..Actor::default() })
}

impl World {
    fn new(policies: &[CheckPolicy]) -> Self {
        let mut world = Self {
            monitor: Monitor::new(),
            now: at(1_000_000),
            ends: BTreeMap::new(),
            targets: BTreeMap::new(),
            remedy: Ok("done".into()),
            remedies: BTreeMap::new(),
            watches: BTreeMap::new(),
            lines: vec![],
            runs: BTreeMap::new(),
            facts: BTreeMap::new(),
        };
        world.give(CheckInput::Reconfigure(policies));
        world
    }

    fn target(mut self, name: &str, target: Target) -> Self {
        self.targets.insert(name.into(), target);
        self
    }

    /// One input, its outputs carried out.
    fn give(&mut self, input: CheckInput<'_>) {
        let outputs: Vec<CheckOutput> = self.monitor.handle(self.now, input).collect();
        outputs.into_iter().for_each(|output| self.carry_out(output));
    }

    fn carry_out(&mut self, output: CheckOutput) {
        match output {
            CheckOutput::Run { check, run, .. } => {
                let name = self.name(check);
                self.runs.entry(name.clone()).or_default().push(self.now);
                let target = self.targets.get(&name).copied();
                let (after, outcome) =
                    target.map_or_else(|| (millis(1), passed()), |target| target(self.now));
                self.ends.insert((self.now.after(after), run), (check, outcome));
            }
            CheckOutput::Watch { check, run } => drop(self.watches.insert(check, run)),
            CheckOutput::Cancel { run, .. } => {
                self.ends.retain(|(_, number), _| *number != run);
                self.watches.retain(|_, number| *number != run);
            }
            CheckOutput::RunRemedy { check, run, .. } => {
                self.remedies.insert((self.now.after(millis(100)), run), check);
                self.say(format!("runs remedy of {}", self.name(check)));
            }
            CheckOutput::Fact(fact) => {
                self.say(format!("{} is {}", fact.name, fact.verdict.as_str()));
                self.facts.insert(fact.name.to_string(), fact);
            }
            CheckOutput::FactRemoved(name) => {
                self.say(format!("{name} is gone"));
                self.facts.remove(&*name);
            }
            CheckOutput::Event(event) => {
                let EventKind::Check(_) = event.kind else { panic!("{event:?}") };
                self.say(format!("{} [{}]: {event}", event.type_name(), event.cause.as_str()));
            }
            CheckOutput::Answer(answer) => self.say(format!("answer {answer:?}")),
        }
    }

    fn say(&mut self, what: String) {
        let since = self.now.since(at(1_000_000)).as_millis();
        self.lines.push(format!("{since} {what}"));
    }

    fn name(&self, check: CheckId) -> String {
        self.monitor.checks[check.0 as usize].as_ref().unwrap().policy.name.to_string()
    }

    /// Lets time pass, doing all that is due.
    fn pass(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        loop {
            let attempt = self.ends.keys().next().copied();
            let remedy = self.remedies.keys().next().copied();
            let deadline = self.monitor.next_deadline();
            let next = [attempt.map(|(at, _)| at), remedy.map(|(at, _)| at), deadline];
            let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if let Some(((at, run), (check, outcome))) =
                attempt.filter(|(at, _)| *at <= next).and_then(|key| self.ends.remove_entry(&key))
            {
                self.give(CheckInput::Ended { check, run, at, outcome });
            } else if let Some(((_, run), check)) =
                remedy.filter(|(at, _)| *at <= next).and_then(|key| self.remedies.remove_entry(&key))
            {
                let result = self.remedy.clone();
                self.give(CheckInput::RemedyEnded { check, run, result });
            } else {
                self.give(CheckInput::Deadline);
                assert!(self.monitor.next_deadline().is_none_or(|deadline| deadline > self.now));
            }
        }
        self.now = end;
    }

    /// The watch of a check has news.
    fn news(&mut self, name: &str, outcome: Outcome) {
        let check = self.monitor.check(name).unwrap();
        let run = self.watches[&check];
        self.give(CheckInput::Ended { check, run, at: self.now, outcome });
    }

    fn status(&self, name: &str) -> CheckStatus {
        self.monitor.status(name).unwrap()
    }

    fn verdict(&self, name: &str) -> Verdict {
        self.status(name).verdict
    }

    /// The lines since the last call.
    fn lines(&mut self) -> Vec<String> {
        core::mem::take(&mut self.lines)
    }

    /// Those of them that are not about facts.
    fn events(&mut self) -> Vec<String> {
        self.lines().into_iter().filter(|line| line.contains('[')).collect()
    }
}

/// An operator's mute; `lasts` = until unmuted when `None`.
fn mute(world: &mut World, name: &str, lasts: Option<Duration>, dry_run: bool) {
    let expires = lasts.map(|lasts| world.now.after(lasts));
    world.give(CheckInput::Mute {
        name: name.into(),
        reason: "new disks".into(),
        actor: actor(),
        expires,
        survives: false,
        dry_run,
    });
}

/// Passes before 10 s and from 20 s on.
fn bad_between_10_and_20(now: Instant) -> (Duration, Outcome) {
    let second = now.since(at(1_000_000)).as_secs();
    (millis(1), if (10..20).contains(&second) { failed() } else { passed() })
}

fn always_fails(_: Instant) -> (Duration, Outcome) {
    (millis(1), failed())
}
