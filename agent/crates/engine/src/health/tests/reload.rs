//! What a new configuration does to checks that are there.

use super::*;

#[test]
fn what_did_not_change_is_not_touched() {
    let policies = [CheckPolicy { fall: 3, ..policy("checks/a") }, policy("checks/b")];
    let mut world = World::new(&policies).target("checks/a", bad_between_10_and_20);
    world.pass(millis(11_950));
    let before: Vec<_> = world.monitor.statuses().collect();
    assert_eq!(before[0].window, WindowPosition { streak: 2, wanted: 3 });
    let added = [&policies[..], &[policy("checks/c")]].concat();
    world.give(CheckInput::Reconfigure(&added));
    let after: Vec<_> = world.monitor.statuses().collect();
    assert_eq!(before, after[..2]);
    world.give(CheckInput::Reconfigure(&added));
    world.pass(millis(1000));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing, "the third failure in a row, across the reload");
}

#[test]
fn another_target_keeps_the_verdict_until_its_first_result_which_decides_at_once() {
    let policy = CheckPolicy { fall: 3, ..policy("checks/a") };
    let mut world = World::new(core::slice::from_ref(&policy)).target("checks/a", |now| {
        (millis(300), if now.since(at(1_000_000)) < millis(5000) { passed() } else { failed() })
    });
    world.pass(millis(5010));
    let moved = CheckPolicy { target: 2, ..policy };
    world.give(CheckInput::Reconfigure(&[moved]));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
    world.pass(millis(299));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
    world.pass(millis(2));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
}

#[test]
fn what_a_cancelled_attempt_finds_is_ignored() {
    let policy = policy("checks/a");
    let mut world =
        World::new(core::slice::from_ref(&policy)).target("checks/a", |_| (millis(300), failed()));
    world.pass(millis(10));
    let ((end, run), (check, outcome)) = world.ends.first_key_value().map(|(k, v)| (*k, v.clone())).unwrap();
    world.give(CheckInput::Reconfigure(&[CheckPolicy { target: 2, ..policy }]));
    assert!(world.ends.is_empty(), "it was cancelled");
    world.give(CheckInput::Ended { check, run, at: end, outcome });
    assert_eq!(world.verdict("checks/a"), Verdict::Unknown);
}

#[test]
fn a_removed_check_leaves_nothing_behind_and_its_number_misleads_nobody() {
    let watched = CheckPolicy { watched: true, ..policy("checks/a") };
    let mut world = World::new(&[watched]).target("checks/a", |_| (millis(300), passed()));
    world.pass(millis(1010));
    let check = world.monitor.check("checks/a").unwrap();
    let watch = world.watches[&check];
    world.lines();
    world.give(CheckInput::Reconfigure(&[]));
    assert_eq!(world.lines(), ["1010 checks/a is gone"]);
    assert!(world.ends.is_empty() && world.watches.is_empty(), "all was cancelled");
    assert_eq!(world.monitor.next_deadline(), None);
    world.give(CheckInput::Reconfigure(&[CheckPolicy { watched: true, ..policy("checks/b") }]));
    assert_eq!(world.monitor.check("checks/b"), Some(check), "the number is used again");
    world.give(CheckInput::Ended { check, run: watch, at: world.now, outcome: failed() });
    assert_eq!(world.verdict("checks/b"), Verdict::Unknown, "news of the old watch");
}

#[test]
fn other_intervals_and_windows_apply_at_once_and_keep_the_verdict() {
    let mut world = World::new(&[CheckPolicy { interval: millis(60_000), ..policy("checks/a") }]);
    world.pass(millis(10_000));
    world.lines();
    world.give(CheckInput::Reconfigure(&[CheckPolicy { fall: 3, ..policy("checks/a") }]));
    world.targets.insert("checks/a".into(), always_fails);
    world.pass(millis(10));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing, "three are wanted now");
    world.pass(millis(3500));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
}

#[test]
fn a_mute_outlives_a_reload_and_a_damped_check_without_damping_recovers() {
    let damping = Damping { within: millis(30_000), hold: millis(60_000), longest: millis(60_000) };
    let before = CheckPolicy { damping: Some(damping), ..policy("checks/a") };
    let mut world = World::new(core::slice::from_ref(&before)).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(0), if [10, 20].contains(&second) { failed() } else { passed() })
    });
    world.pass(millis(30_000));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
    mute(&mut world, "checks/a", None, false);
    world.give(CheckInput::Reconfigure(&[CheckPolicy { damping: None, ..before }]));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
    assert!(world.status("checks/a").mute.is_some());
    world.lines();
    world.give(CheckInput::Unmute { name: "checks/a".into(), actor: actor(), dry_run: false });
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
}

#[test]
fn a_remedy_that_is_no_longer_configured_lets_the_verdict_fall() {
    let remedy = RemedyPolicy { timeout: millis(5000), wait: millis(2000), rest: millis(0) };
    let before = CheckPolicy { remedy: Some(remedy), ..policy("checks/a") };
    let mut world = World::new(core::slice::from_ref(&before)).target("checks/a", bad_between_10_and_20);
    world.pass(millis(11_500));
    assert_eq!(world.status("checks/a").remedy.unwrap().state, RemedyState::Waiting);
    world.give(CheckInput::Reconfigure(&[CheckPolicy { remedy: None, ..before }]));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
    world.pass(millis(15_000));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing, "it goes on");
}
