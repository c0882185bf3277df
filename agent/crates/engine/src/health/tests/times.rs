//! When runs begin, and what becomes of those that end late or never.

use super::*;

fn gaps(runs: &[Instant]) -> Vec<u64> {
    runs.windows(2).map(|pair| pair[1].since(pair[0]).as_millis() as u64).collect()
}

#[test]
fn runs_keep_their_beat_for_a_day_without_drift() {
    let mut world = World::new(&[policy("checks/a")]).target("checks/a", |now| {
        // How long an attempt takes must not move the beat.
        (millis(now.as_nanos() / 7 % 400), passed())
    });
    world.pass(millis(86_400_000));
    let runs = &world.runs["checks/a"];
    assert_eq!(runs.len(), 86_400, "one a second");
    assert!(gaps(&runs[1..]).iter().all(|gap| *gap == 1000));
    assert_eq!(world.status("checks/a").counters.overruns, 0);
}

#[test]
fn the_first_run_of_a_single_check_begins_at_once() {
    let mut world = World::new(&[CheckPolicy { interval: millis(3_600_000), ..policy("checks/a") }]);
    world.pass(millis(1));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
}

#[test]
fn jitter_is_within_its_share_of_the_interval_and_equal_for_equal_names() {
    let policies = [
        CheckPolicy { jitter_percent: 20, ..policy("checks/a") },
        CheckPolicy { jitter_percent: 100, ..policy("checks/b") },
    ];
    let run = || {
        let mut world = World::new(&policies);
        world.pass(millis(1_000_000));
        world.runs
    };
    let runs = run();
    for (name, most) in [("checks/a", 200), ("checks/b", 1000)] {
        let runs = &runs[name];
        assert!(runs.len() >= 998, "no beat is lost: {}", runs.len());
        let gaps = gaps(&runs[1..]);
        assert!(gaps.iter().all(|gap| (1000 - most..=1000 + most).contains(gap)), "{gaps:?}");
        let different: BTreeSet<_> = gaps.iter().collect();
        assert!(different.len() > 100, "it is spread: {}", different.len());
    }
    assert_eq!(runs, run(), "the same again");
}

#[test]
fn ten_thousand_checks_begin_within_an_interval_and_spread_over_it() {
    let policies: Vec<_> = (0..10_000).map(|number| policy(&format!("checks/{number}"))).collect();
    let mut world = World::new(&policies);
    world.pass(millis(10_000));
    assert_eq!(world.runs.len(), 10_000);
    let mut by_slot = BTreeMap::new();
    for begun in world.runs.values().flatten() {
        *by_slot.entry(begun.since(at(1_000_000)).as_millis() / 100).or_insert(0_u64) += 1;
    }
    let most = by_slot.values().max().unwrap();
    assert!(*most < 1400, "about a thousand begin in each tenth of a second: {by_slot:?}");
}

#[test]
fn runs_that_are_due_within_4_ms_begin_together_and_keep_their_beat() {
    let policies: Vec<_> = (0..1000).map(|number| policy(&format!("checks/{number}"))).collect();
    let mut world = World::new(&policies);
    world.pass(millis(10_000));
    let steady = |begun: &&Instant| begun.since(at(1_000_000)) >= millis(3000);
    let mut together = BTreeMap::new();
    for begun in world.runs.values().flatten().filter(steady) {
        *together.entry(*begun).or_insert(0_u64) += 1;
    }
    assert!(
        together.len() <= 7 * 300,
        "a few hundred wake-ups a second for a thousand runs: {}",
        together.len()
    );
    assert!(
        together.values().all(|count| *count <= 1 + 16),
        "an answer does not wait for many: {together:?}"
    );
    for runs in world.runs.values() {
        let early = |pair: &[Instant]| pair[1].since(pair[0]).abs_diff(millis(1000));
        assert!(runs[1..].windows(2).all(|pair| early(pair) <= millis(4)), "{runs:?}");
        assert!(runs.len() >= 9, "no beat is lost: {runs:?}");
    }
}

#[test]
fn there_is_at_most_one_attempt_at_a_time_and_runs_left_out_are_counted() {
    let slow = CheckPolicy { timeout: millis(5000), ..policy("checks/slow") };
    let mut world = World::new(&[slow]).target("checks/slow", |_| (millis(2800), passed()));
    world.pass(millis(60_000));
    let runs = world.runs["checks/slow"].clone();
    assert!(runs.windows(2).all(|pair| pair[1].since(pair[0]) >= millis(2800)), "{runs:?}");
    let counters = world.status("checks/slow").counters;
    assert!(counters.overruns >= 30, "{counters:?}");
    let told: Vec<_> = world.events().into_iter().filter(|line| line.contains("check.overrun")).collect();
    assert_eq!(told.len(), 1, "at most once a minute: {told:?}");
    assert!(told[0].contains("runs of checks left out, because the run before had not ended"), "{told:?}");
}

#[test]
fn an_attempt_that_takes_a_whole_interval_loses_no_beat() {
    let slow = CheckPolicy { timeout: millis(1000), ..policy("checks/a") };
    let mut world = World::new(&[slow]).target("checks/a", |_| (millis(1000), failed()));
    world.pass(millis(60_000));
    assert!(world.runs["checks/a"].len() >= 59, "{}", world.runs["checks/a"].len());
    assert_eq!(world.status("checks/a").counters.overruns, 0);
}

#[test]
fn while_failing_the_interval_doubles_up_to_its_limit_and_a_pass_ends_that() {
    let policy = CheckPolicy { backoff: Some(millis(8000)), fall: 2, rise: 2, ..policy("checks/a") };
    let mut world = World::new(&[policy]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(0), if (10..60).contains(&second) { failed() } else { passed() })
    });
    world.pass(millis(75_000));
    let gaps = gaps(&world.runs["checks/a"]);
    let from = gaps.iter().position(|gap| *gap == 2000).unwrap();
    assert_eq!(&gaps[from - 2..from + 3], [1000, 1000, 2000, 4000, 8000], "{gaps:?}");
    let back = gaps.iter().rposition(|gap| *gap == 8000).unwrap();
    assert!(gaps[back + 1] <= 1500 && gaps[back + 2..].iter().all(|gap| *gap == 1000), "{gaps:?}");
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
}

#[test]
fn a_result_that_is_late_because_this_node_slept_says_nothing() {
    let mut world = World::new(&[CheckPolicy { initial: Verdict::Passing, ..policy("checks/a") }]);
    world.pass(millis(0));
    let ((_, run), (check, _)) = world.ends.pop_first().unwrap();
    // Nobody ran for three seconds; the attempt's own timer came late as well.
    world.now = world.now.after(millis(3000));
    world.give(CheckInput::Ended { check, run, at: world.now, outcome: failed() });
    let status = world.status("checks/a");
    assert_eq!(status.verdict, Verdict::Passing);
    assert_eq!((status.counters.late, status.counters.inconclusive, status.counters.failed), (1, 1, 0));
    let Some(LastResult { outcome: Outcome::Inconclusive { detail }, .. }) = status.last else { panic!() };
    assert_eq!(&*detail, "it ended 2.500s after its deadline, because this node did not run in time");
}

#[test]
fn a_result_that_is_late_although_this_node_was_awake_counts() {
    let mut world = World::new(&[CheckPolicy { initial: Verdict::Passing, ..policy("checks/a") }])
        .target("checks/a", |_| (millis(1500), failed()));
    world.pass(millis(1600));
    let status = world.status("checks/a");
    assert_eq!((status.verdict, status.counters.failed, status.counters.late), (Verdict::Failing, 1, 0));
}

#[test]
fn an_attempt_that_never_ends_is_given_up_and_its_late_end_ignored() {
    let mut world =
        World::new(&[policy("checks/a")]).target("checks/a", |_| (millis(1_000_000_000), failed()));
    world.pass(millis(0));
    let ((at, run), (check, outcome)) = world.ends.first_key_value().map(|(k, v)| (*k, v.clone())).unwrap();
    world.pass(millis(5400));
    assert_eq!(world.runs["checks/a"].len(), 1, "one at a time");
    world.pass(millis(1200));
    assert_eq!(world.runs["checks/a"].len(), 2, "a new one");
    assert_eq!(world.ends.len(), 1, "the first was cancelled");
    world.give(CheckInput::Ended { check, run, at, outcome });
    let status = world.status("checks/a");
    assert_eq!((status.verdict, status.counters.inconclusive), (Verdict::Unknown, 1));
}

#[test]
fn troubles_of_this_node_change_nothing_and_are_told_once_a_minute_for_all_checks() {
    let policies: Vec<_> = (0..100).map(|number| policy(&format!("checks/{number}"))).collect();
    let mut world = World::new(&policies);
    world.pass(millis(2000));
    for policy in &policies {
        world.targets.insert(policy.name.to_string(), |_| (millis(1), says_nothing()));
    }
    world.lines();
    world.pass(millis(61_000));
    let told = world.events();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[1].contains("attempts of checks said nothing about their target"), "{told:?}");
    assert!(told[1].ends_with("(too many open files)"), "{told:?}");
    assert!(policies.iter().all(|policy| world.verdict(&policy.name) == Verdict::Passing));
}

#[test]
fn after_a_long_sleep_each_check_runs_once_and_not_once_for_each_beat_it_missed() {
    let mut world = World::new(&[policy("checks/a"), policy("checks/b")]);
    world.pass(millis(5500));
    let before = world.runs["checks/a"].len();
    world.now = world.now.after(millis(600_000));
    world.give(CheckInput::Deadline);
    world.pass(millis(100));
    assert_eq!(world.runs["checks/a"].len(), before + 1);
    world.pass(millis(10_000));
    assert!((before + 10..=before + 12).contains(&world.runs["checks/a"].len()));
    assert_eq!(world.status("checks/a").counters.overruns, 0, "nothing was under way");
}

#[test]
fn news_of_a_watch_count_at_once_and_those_that_do_not_decide_are_looked_into_soon() {
    let policies = [
        CheckPolicy { watched: true, interval: millis(60_000), ..policy("checks/nginx") },
        CheckPolicy { watched: true, interval: millis(60_000), fall: 2, ..policy("checks/slow") },
    ];
    let mut world = World::new(&policies).target("checks/slow", |now| {
        (millis(1), if now.since(at(1_000_000)) < millis(5000) { passed() } else { failed() })
    });
    world.pass(millis(10_000));
    world.lines();
    world.news("checks/nginx", failed());
    world.news("checks/slow", failed());
    assert_eq!(world.verdict("checks/nginx"), Verdict::Failing, "in the same step");
    assert_eq!(world.verdict("checks/slow"), Verdict::Passing);
    world.pass(millis(1100));
    assert_eq!(world.verdict("checks/slow"), Verdict::Failing, "the look after a second");
    world.news("checks/nginx", passed());
    assert_eq!(world.verdict("checks/nginx"), Verdict::Passing);
}
