//! Mutes, and runs that an operator asks for.

use super::*;
use crate::order::StandingOrder;

#[test]
fn a_muted_check_records_its_results_and_keeps_its_verdict_until_unmuted() {
    let mut world = World::new(&[policy("checks/a")]).target("checks/a", bad_between_10_and_20);
    world.pass(millis(5000));
    world.lines();
    mute(&mut world, "checks/a", None, false);
    world.pass(millis(10_000));
    let status = world.status("checks/a");
    assert_eq!((status.verdict, status.measured), (Verdict::Passing, Verdict::Failing));
    assert!(status.counters.failed > 3 && status.mute.unwrap().reason == "new disks".into());
    world.give(CheckInput::Unmute { name: "checks/a".into(), actor: actor(), dry_run: false });
    assert_eq!(
        world.lines(),
        [
            "5000 check.muted [ADMIN_MUTE]: muted: results do not change the verdict: new disks",
            "5000 answer Ok(CheckId(0))",
            "15000 check.unmuted [ADMIN_UNMUTE]: no longer muted: results count again",
            "15000 checks/a is FAILING",
            "15000 check.changed [ADMIN_UNMUTE]: PASSING to FAILING (REFUSED: nobody listens)",
            "15000 answer Ok(CheckId(0))",
        ]
    );
}

#[test]
fn a_mute_ends_by_itself_to_the_instant() {
    let mut world = World::new(&[policy("checks/a")]).target("checks/a", bad_between_10_and_20);
    world.pass(millis(9000));
    mute(&mut world, "checks/a", Some(millis(5500)), false);
    world.pass(millis(5000));
    world.lines();
    world.pass(millis(1000));
    assert_eq!(
        world.lines(),
        [
            "14500 check.unmuted [OVERRIDE_EXPIRED]: no longer muted: results count again",
            "14500 checks/a is FAILING",
            "14500 check.changed [OVERRIDE_EXPIRED]: PASSING to FAILING (REFUSED: nobody listens)",
        ]
    );
}

#[test]
fn a_mute_that_outlived_the_trouble_leaves_no_trace() {
    let mut world = World::new(&[policy("checks/a")]).target("checks/a", bad_between_10_and_20);
    world.pass(millis(9000));
    mute(&mut world, "checks/a", Some(millis(20_000)), false);
    world.lines();
    world.pass(millis(30_000));
    assert_eq!(
        world.lines(),
        ["29000 check.unmuted [OVERRIDE_EXPIRED]: no longer muted: results count again"]
    );
}

#[test]
fn a_dry_run_changes_nothing_and_an_unknown_name_is_refused() {
    let mut world = World::new(&[policy("checks/a")]);
    world.pass(millis(100));
    world.lines();
    mute(&mut world, "checks/a", None, true);
    mute(&mut world, "checks/b", None, true);
    world.give(CheckInput::Unmute { name: "checks/a".into(), actor: actor(), dry_run: true });
    world.give(CheckInput::RunNow { name: "checks/b".into() });
    assert_eq!(
        world.lines(),
        [
            "100 answer Ok(CheckId(0))",
            "100 answer Err(UnknownCheck)",
            "100 answer Ok(CheckId(0))",
            "100 answer Err(UnknownCheck)",
        ]
    );
    assert_eq!(world.status("checks/a").mute, None);
}

#[test]
fn a_run_that_is_asked_for_begins_at_once_and_does_not_move_the_beat() {
    let slow = CheckPolicy { interval: millis(10_000), ..policy("checks/a") };
    let run = |asks: bool| {
        let mut world = World::new(core::slice::from_ref(&slow));
        world.pass(millis(22_000));
        if asks {
            world.give(CheckInput::RunNow { name: "checks/a".into() });
            world.pass(millis(1));
            assert_eq!(world.runs["checks/a"].last(), Some(&at(1_022_000)));
        }
        world.pass(millis(40_000));
        world.runs.remove("checks/a").unwrap()
    };
    let mut with = run(true);
    with.retain(|begun| *begun != at(1_022_000));
    assert_eq!(with, run(false));
}

#[test]
fn a_run_that_is_asked_for_while_one_is_under_way_begins_after_it_and_says_that_it_was_asked_for() {
    let mut monitor = Monitor::new();
    monitor.handle(at(0), CheckInput::Reconfigure(&[policy("checks/a")])).for_each(drop);
    let begun: Vec<_> = monitor.handle(at(0), CheckInput::Deadline).collect();
    let [CheckOutput::Run { check, run, asked: false, .. }] = begun[..] else { panic!("{begun:?}") };
    let answer: Vec<_> = monitor.handle(at(5), CheckInput::RunNow { name: "checks/a".into() }).collect();
    assert!(matches!(answer[..], [CheckOutput::Answer(Ok(_))]), "{answer:?}");
    let ended = CheckInput::Ended { check, run, at: at(9), outcome: passed() };
    let begun: Vec<_> = monitor.handle(at(9), ended).collect();
    assert!(matches!(begun.last(), Some(CheckOutput::Run { asked: true, .. })), "{begun:?}");
}

#[test]
fn an_expression_cannot_be_run() {
    let rule = CheckPolicy { rule: Some(Expr::AllOf(vec![])), ..policy("checks/all") };
    let mut world = World::new(&[rule]);
    world.lines();
    world.give(CheckInput::RunNow { name: "checks/all".into() });
    assert_eq!(world.lines(), ["0 answer Err(NotRunnable)"]);
}

#[test]
fn a_frozen_verdict_of_an_earlier_process_counts_from_the_start_and_its_mute_ends_as_it_would_have() {
    let mut world = World::new(&[]).target("checks/a", bad_between_10_and_20);
    world.pass(millis(12_000));
    let expires = Some(world.now.after(millis(3500)));
    let frozen = |name: &str, verdict, value| MutedCheck {
        name: name.into(),
        verdict,
        value,
        mute: StandingOrder {
            reason: "new disks".into(),
            actor: actor(),
            since: at(0),
            expires,
            survives: true,
        },
    };
    world.lines();
    world.give(CheckInput::Inherit(vec![
        frozen("checks/a", Verdict::Passing, Some(7)),
        frozen("checks/gone", Verdict::Failing, None),
    ]));
    world.give(CheckInput::Reconfigure(&[policy("checks/a")]));
    assert_eq!(world.lines(), ["12000 checks/a is PASSING"], "before its first run, and no news of a mute");
    assert_eq!(world.facts["checks/a"].value, Some(7));
    world.pass(millis(3000));
    let status = world.status("checks/a");
    assert_eq!((status.verdict, status.measured), (Verdict::Passing, Verdict::Failing));
    assert!(status.mute.is_some_and(|mute| mute.survives) && world.lines().is_empty());
    world.pass(millis(1000));
    assert_eq!(
        world.lines(),
        [
            "15500 check.unmuted [OVERRIDE_EXPIRED]: no longer muted: results count again",
            "15500 checks/a is FAILING",
            "15500 check.changed [OVERRIDE_EXPIRED]: PASSING to FAILING (REFUSED: nobody listens)",
        ]
    );
    // A check that comes later under the name of one that is gone has nothing of it.
    world.give(CheckInput::Reconfigure(&[policy("checks/a"), policy("checks/gone")]));
    assert!(world.status("checks/gone").mute.is_none());
}
