//! Whatever happens, in any order, with policies at the edges of what they can say.

use super::*;
use crate::event::CheckEvent;

/// What the monitor was told to do and has not been relieved of.
#[derive(Default)]
struct Ledger {
    runs: BTreeMap<CheckId, u64>,
    watches: BTreeMap<CheckId, u64>,
    remedies: BTreeMap<CheckId, u64>,
    verdicts: BTreeMap<String, Verdict>,
    facts: BTreeMap<String, crate::Fact>,
    counted: BTreeMap<&'static str, u64>,
}

impl Ledger {
    fn note(&mut self, output: CheckOutput) {
        match output {
            CheckOutput::Run { check, run, .. } => {
                assert_eq!(self.runs.insert(check, run), None, "one attempt at a time");
                self.count("runs");
            }
            CheckOutput::Watch { check, run } => assert_eq!(self.watches.insert(check, run), None),
            CheckOutput::Cancel { check, run } => {
                let was_run = self.runs.get(&check) == Some(&run) && self.runs.remove(&check).is_some();
                let was_watch =
                    self.watches.get(&check) == Some(&run) && self.watches.remove(&check).is_some();
                assert!(was_run || was_watch, "only what is under way is cancelled");
                self.count("cancelled");
            }
            CheckOutput::RunRemedy { check, run, .. } => {
                self.remedies.insert(check, run);
                self.count("remedies");
            }
            CheckOutput::Fact(fact) => {
                assert!(!fact.damped || fact.verdict == Verdict::Failing);
                let before = self.facts.insert(fact.name.to_string(), fact.clone());
                let is_news = |before: crate::Fact| {
                    (before.verdict, before.value, before.damped) != (fact.verdict, fact.value, fact.damped)
                };
                assert!(before.is_none_or(is_news), "{fact:?}");
            }
            CheckOutput::FactRemoved(name) => {
                self.facts.remove(&*name);
                self.verdicts.remove(&*name);
            }
            CheckOutput::Event(event) => self.note_event(&event),
            CheckOutput::Answer(_) => {}
        }
    }

    fn note_event(&mut self, event: &crate::Event) {
        let (crate::Subject::Check(name), EventKind::Check(kind)) = (&event.subject, &event.kind) else {
            panic!("{event:?}")
        };
        self.count(event.type_name());
        if let CheckEvent::Changed { from, to } = kind {
            let before = self.verdicts.insert(name.to_string(), *to);
            assert!(from != to && before.is_none_or(|before| before == *from), "{event:?} after {before:?}");
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counted.entry(what).or_default() += 1;
    }
}

fn any_duration(random: &mut Random) -> Duration {
    let choices = [0, 1, 10, 100, 1000, 3000, 10_000, 60_000];
    match random.below(40) {
        0 => Duration::MAX,
        _ => millis(choices[random.below(choices.len() as u64) as usize]),
    }
}

fn any_policy(random: &mut Random, number: u64) -> CheckPolicy {
    let verdicts = [Verdict::Unknown, Verdict::Unknown, Verdict::Passing, Verdict::Failing];
    let mut some = |chance: u64| random.below(chance) == 0;
    let (backs_off, damps, remedies, is_rule, watched) = (some(3), some(2), some(2), some(4), some(3));
    let members = |random: &mut Random| -> Vec<Arc<str>> {
        (0..random.below(4)).map(|_| format!("checks/{}", random.below(10)).into()).collect()
    };
    CheckPolicy {
        name: format!("checks/{number}").into(),
        target: random.below(2),
        interval: any_duration(random),
        timeout: any_duration(random),
        rise: random.below(4) as u32,
        fall: random.below(4) as u32,
        jitter_percent: random.below(256) as u8,
        initial: verdicts[random.below(4) as usize],
        grace: millis(random.below(2) * random.below(5000)),
        backoff: backs_off.then(|| any_duration(random)),
        damping: damps.then(|| Damping {
            within: any_duration(random),
            hold: any_duration(random),
            longest: any_duration(random),
        }),
        remedy: remedies.then(|| RemedyPolicy {
            timeout: any_duration(random),
            wait: any_duration(random),
            rest: any_duration(random),
        }),
        rule: is_rule.then(|| match random.below(3) {
            0 => Expr::AllOf(members(random)),
            1 => Expr::AnyOf(members(random)),
            _ => Expr::AtLeast(random.below(4) as u32, members(random)),
        }),
        watched: watched && !is_rule,
    }
}

fn any_outcome(random: &mut Random) -> Outcome {
    let value = (random.below(8) == 0).then(|| random.below(3) as i32);
    let (latency, detail) = (any_duration(random), Arc::from("seen"));
    match random.below(7) {
        0 => says_nothing(),
        1..4 => Outcome::Failed { reason: "TIMEOUT", latency, value, detail },
        _ => Outcome::Passed { latency, value, detail },
    }
}

/// One thing that happens; `None` = only time passes.
fn any_input<'a>(
    random: &mut Random,
    ledger: &mut Ledger,
    policies: &'a [CheckPolicy],
    now: Instant,
) -> Option<CheckInput<'a>> {
    let name: Arc<str> = format!("checks/{}", random.below(11)).into();
    let check = CheckId(random.below(12) as u32);
    let dry_run = random.below(5) == 0;
    let at = if random.below(4) == 0 { now.after(any_duration(random)) } else { now };
    Some(match random.below(30) {
        0 if random.below(4) == 0 || ledger.counted.is_empty() => CheckInput::Reconfigure(policies),
        1 => {
            let expires = (random.below(3) > 0).then(|| now.after(any_duration(random)));
            CheckInput::Mute {
                name,
                reason: "work".into(),
                actor: actor(),
                expires,
                survives: false,
                dry_run,
            }
        }
        2 => CheckInput::Unmute { name, actor: actor(), dry_run },
        3 => CheckInput::RunNow { name },
        4 => {
            let run = random.below(1000);
            ledger.runs.retain(|whose, number| (*whose, *number) != (check, run));
            CheckInput::Ended { check, run, at, outcome: any_outcome(random) }
        }
        5 => CheckInput::RemedyEnded { check, run: random.below(1000), result: Ok("".into()) },
        6..9 => {
            let run = *ledger.watches.get(&check)?;
            CheckInput::Ended { check, run, at, outcome: any_outcome(random) }
        }
        9..12 => {
            let run = ledger.remedies.remove(&check)?;
            let result = if random.below(2) == 0 { Ok("done".into()) } else { Err("exit status 1".into()) };
            CheckInput::RemedyEnded { check, run, result }
        }
        12..22 => {
            let run = ledger.runs.remove(&check)?;
            CheckInput::Ended { check, run, at, outcome: any_outcome(random) }
        }
        _ => return None,
    })
}

#[test]
fn whatever_happens_attempts_are_single_verdicts_follow_each_other_and_deadlines_lie_ahead() {
    let mut counted = BTreeMap::new();
    for seed in 1..400 {
        let mut random = Random(seed * 0x9e37_79b9);
        let (mut monitor, mut ledger, mut now) = (Monitor::new(), Ledger::default(), at(seed));
        for _ in 0..500 {
            let policies: Vec<_> = (0..10).map(|number| any_policy(&mut random, number)).collect();
            let count = random.below(11) as usize;
            let muted: Vec<_> = monitor
                .statuses()
                .filter(|status| status.mute.as_ref().is_some_and(|mute| mute.expires.is_none()))
                .map(|status| {
                    (status.policy.name.clone(), status.verdict, status.mute.map(|mute| mute.since))
                })
                .collect();
            for _ in 0..8 {
                let Some(input) = any_input(&mut random, &mut ledger, &policies[..count], now) else {
                    continue;
                };
                monitor.handle(now, input).for_each(|output| ledger.note(output));
            }
            for (name, verdict, since) in muted {
                let Some(status) = monitor.status(&name) else { continue };
                let is_same = status.mute.map(|mute| mute.since) == since;
                assert!(!is_same || status.verdict == verdict, "a mute freezes");
            }
            now = match monitor.next_deadline() {
                Some(due) if random.below(3) > 0 => now.max(due),
                _ => now.after(millis(random.below(2000))),
            };
            monitor.handle(now, CheckInput::Deadline).for_each(|output| ledger.note(output));
            assert!(
                monitor.next_deadline().is_none_or(|due| due > now),
                "{:?} {now:?}",
                monitor.next_deadline()
            );
            for status in monitor.statuses() {
                let name = &*status.policy.name;
                let told = ledger.facts.get(name).map_or(Verdict::Unknown, |fact| fact.verdict);
                assert_eq!(told, status.verdict, "{status:?}");
                assert_eq!(status.running.is_some(), ledger.runs.contains_key(&status.id), "{status:?}");
                assert_eq!(status.policy.watched, ledger.watches.contains_key(&status.id));
                let is_held = status.verdict == Verdict::Failing && status.measured == Verdict::Passing;
                assert!(status.held_until.is_none() || is_held || status.policy.rule.is_some(), "{status:?}");
            }
        }
        ledger.counted.into_iter().for_each(|(what, count)| *counted.entry(what).or_insert(0) += count);
    }
    for what in
        ["runs", "cancelled", "remedies", "check.changed", "check.damped", "check.overrun", "check.unmuted"]
    {
        assert!(counted.get(what).is_some_and(|count| *count > 100), "{what}: {counted:?}");
    }
}
