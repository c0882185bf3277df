//! Rise and fall, exactly (invariant S9), initial states, grace.

use super::*;
use crate::health::window::Window;

/// The reference: the verdict turns at the first result that ends a row of `wanted` results against it.
fn reference(initial: Verdict, rise: u32, fall: u32, results: &[Option<bool>]) -> Vec<Verdict> {
    let (mut verdict, mut row) = (initial, 0);
    let step = |result: &Option<bool>| {
        let Some(passed) = *result else { return verdict };
        let said = if passed { Verdict::Passing } else { Verdict::Failing };
        let wanted = match verdict {
            Verdict::Unknown => 1,
            Verdict::Failing => rise,
            Verdict::Passing => fall,
        };
        row = if said == verdict { 0 } else { row + 1 };
        (verdict, row) = if row == wanted { (said, 0) } else { (verdict, row) };
        verdict
    };
    results.iter().map(step).collect()
}

#[test]
fn the_verdict_turns_exactly_where_the_reference_turns() {
    let mut random = Random(0x5eed);
    let (mut turns, mut results_taken) = (0_u64, 0_u64);
    for _ in 0..100_000 {
        let (rise, fall) = (1 + random.below(4) as u32, 1 + random.below(4) as u32);
        let initial = [Verdict::Unknown, Verdict::Passing, Verdict::Failing][random.below(3) as usize];
        let bias = 1 + random.below(9);
        let results: Vec<Option<bool>> = (0..1 + random.below(24))
            .map(|_| (random.below(12) > 0).then(|| random.below(10) < bias))
            .collect();
        let expected = reference(initial, rise, fall, &results);
        let mut monitor = Monitor::new();
        let mut now = at(1);
        let policy = CheckPolicy { initial, rise, fall, ..policy("checks/a") };
        monitor.handle(now, CheckInput::Reconfigure(&[policy])).for_each(drop);
        for (result, expected) in results.iter().zip(expected) {
            now = monitor.next_deadline().unwrap();
            let Some(CheckOutput::Run { check, run, .. }) = monitor.handle(now, CheckInput::Deadline).next()
            else {
                panic!("a run is due");
            };
            let outcome = result.map_or_else(says_nothing, |ok| if ok { passed() } else { failed() });
            let before = monitor.checks[0].as_ref().unwrap().verdict;
            let outputs: Vec<_> =
                monitor.handle(now, CheckInput::Ended { check, run, at: now, outcome }).collect();
            let told = outputs.iter().any(|output| matches!(output, CheckOutput::Fact(_)));
            let verdict = monitor.checks[0].as_ref().unwrap().verdict;
            assert_eq!(verdict, expected, "initial {initial:?} rise {rise} fall {fall} {results:?}");
            assert_eq!(told, verdict != before, "a fact is told when the verdict turns and only then");
            turns += u64::from(told);
            results_taken += 1;
        }
    }
    assert!(turns > 100_000 && results_taken > 1_000_000, "{turns} turns in {results_taken} results");
}

#[test]
fn one_result_less_than_fall_never_turns_the_verdict() {
    for fall in 2..6 {
        let mut window = Window::new(Verdict::Passing);
        for _ in 0..1000 {
            (1..fall).for_each(|_| window.push(false, 3, fall));
            assert_eq!((window.measured, window.streak), (Verdict::Passing, fall - 1));
            window.push(true, 3, fall);
        }
        (0..fall).for_each(|_| window.push(false, 3, fall));
        assert_eq!(window.measured, Verdict::Failing);
    }
}

#[test]
fn without_an_initial_state_the_first_result_decides_and_with_one_it_must_be_outvoted() {
    let table = [
        (Verdict::Unknown, passed as fn() -> Outcome, Verdict::Passing),
        (Verdict::Unknown, failed, Verdict::Failing),
        (Verdict::Passing, failed, Verdict::Passing),
        (Verdict::Failing, passed, Verdict::Failing),
        (Verdict::Unknown, says_nothing, Verdict::Unknown),
    ];
    for (initial, outcome, verdict) in table {
        let policy = CheckPolicy { initial, rise: 3, fall: 3, ..policy("checks/a") };
        let mut world = World::new(&[policy]);
        let told = world.facts.get("checks/a").map(|fact| fact.verdict);
        assert_eq!(told, Some(initial).filter(|initial| *initial != Verdict::Unknown));
        world.pass(millis(0));
        let (key, (check, _)) = world.ends.pop_first().unwrap();
        world.give(CheckInput::Ended { check, run: key.1, at: key.0, outcome: outcome() });
        assert_eq!(world.verdict("checks/a"), verdict, "{initial:?} {:?}", outcome());
    }
}

#[test]
fn failures_within_the_grace_do_not_count_and_a_pass_ends_it() {
    let bad = CheckPolicy { grace: millis(5500), ..policy("checks/bad") };
    let late = CheckPolicy { grace: millis(15_500), ..policy("checks/late") };
    let mut world =
        World::new(&[bad, late]).target("checks/bad", always_fails).target("checks/late", |now| {
            let second = now.since(at(1_000_000)).as_millis() / 1000;
            (millis(1), if (3..6).contains(&second) { passed() } else { failed() })
        });
    world.pass(millis(5000));
    let status = world.status("checks/bad");
    assert_eq!((status.verdict, status.counters.in_grace), (Verdict::Unknown, status.counters.failed));
    assert_eq!(world.verdict("checks/late"), Verdict::Passing, "a pass counts within the grace");
    world.pass(millis(3000));
    assert_eq!(world.verdict("checks/bad"), Verdict::Failing, "the grace is over");
    assert_eq!(world.verdict("checks/late"), Verdict::Failing, "a pass has ended the grace");
}

#[test]
fn a_change_is_told_with_what_led_to_it() {
    let policy = CheckPolicy { fall: 2, rise: 3, ..policy("checks/a") };
    let mut world = World::new(&[policy]).target("checks/a", bad_between_10_and_20);
    world.pass(millis(30_000));
    let phase = world.runs["checks/a"][1].since(at(1_000_000)).as_millis() % 1000;
    assert_eq!(
        world.lines(),
        [
            "1 checks/a is PASSING".into(),
            "1 check.changed [CHECK_RESULT]: UNKNOWN to PASSING (200 OK)".into(),
            format!("{} checks/a is FAILING", 11_001 + phase),
            format!(
                "{} check.changed [CHECK_RESULT]: PASSING to FAILING (REFUSED: nobody listens)",
                11_001 + phase
            ),
            format!("{} checks/a is PASSING", 22_001 + phase),
            format!("{} check.changed [CHECK_RESULT]: FAILING to PASSING (200 OK)", 22_001 + phase),
        ]
    );
    let status = world.status("checks/a");
    assert_eq!((status.counters.changes, status.counters.failed), (3, 10));
}

#[test]
fn a_number_is_told_when_it_changes_although_the_verdict_does_not() {
    let mut world = World::new(&[policy("checks/a")]).target("checks/a", |now| {
        let value = i32::try_from(now.since(at(1_000_000)).as_secs() / 3).unwrap();
        (millis(1), Outcome::Passed { latency: millis(1), value: Some(value), detail: "number".into() })
    });
    world.pass(millis(8900));
    let facts: Vec<_> = world.lines().into_iter().filter(|line| line.contains(" is ")).collect();
    assert_eq!(facts.len(), 3, "{facts:?}");
    assert_eq!((world.facts["checks/a"].value, world.status("checks/a").value), (Some(2), Some(2)));
    world.targets.insert("checks/a".into(), |_| (millis(1), passed()));
    world.pass(millis(1000));
    assert_eq!(world.facts["checks/a"].value, None, "a result without a number has none");
}
