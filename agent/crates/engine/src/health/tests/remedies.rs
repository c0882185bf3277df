//! What is tried before the verdict falls.

use super::*;

fn with_remedy(name: &str) -> CheckPolicy {
    let remedy = RemedyPolicy { timeout: millis(10_000), wait: millis(2000), rest: millis(60_000) };
    CheckPolicy { remedy: Some(remedy), fall: 2, ..policy(name) }
}

/// Fails from 10 s until the given second.
fn bad_until<const SECOND: u64>(now: Instant) -> (Duration, Outcome) {
    let second = now.since(at(1_000_000)).as_secs();
    (millis(1), if (10..SECOND).contains(&second) { failed() } else { passed() })
}

fn kinds(lines: &[String]) -> Vec<&str> {
    lines.iter().map(|line| line.split_once(' ').unwrap().1).collect()
}

#[test]
fn a_remedy_that_helps_keeps_the_verdict() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", bad_until::<13>);
    world.pass(millis(9000));
    world.lines();
    world.pass(millis(21_000));
    assert_eq!(
        kinds(&world.lines()),
        [
            "runs remedy of checks/a",
            "check.remedy_started [CHECK_RESULT]: fails; trying the remedy before the verdict falls (REFUSED: nobody listens)",
            "check.remedy_ran [CHECK_RESULT]: the remedy ran; looking again after its wait (done)",
            "check.remedy_ended [CHECK_RESULT]: the remedy helped: it passes again (200 OK)",
        ]
    );
    let status = world.status("checks/a");
    let remedy = status.remedy.unwrap();
    assert_eq!((remedy.state, remedy.runs, remedy.helped), (RemedyState::Idle, 1, 1));
    assert_eq!((&*remedy.last_result, status.counters.changes), ("done", 1));
    assert_eq!(status.counters.overruns, 0, "beats during the remedy are not left out by a slow run");
}

#[test]
fn a_remedy_that_does_not_help_is_not_tried_again_until_the_check_has_recovered() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", bad_until::<40>);
    world.pass(millis(9000));
    world.lines();
    world.pass(millis(20_000));
    let lines = world.lines();
    assert_eq!(
        kinds(&lines),
        [
            "runs remedy of checks/a",
            "check.remedy_started [CHECK_RESULT]: fails; trying the remedy before the verdict falls (REFUSED: nobody listens)",
            "check.remedy_ran [CHECK_RESULT]: the remedy ran; looking again after its wait (done)",
            "check.remedy_ended [CHECK_RESULT]: the remedy did not help: it still fails (REFUSED: nobody listens)",
            "checks/a is FAILING",
            "check.changed [CHECK_RESULT]: PASSING to FAILING (REFUSED: nobody listens)",
        ]
    );
    assert_eq!(world.status("checks/a").remedy.unwrap().state, RemedyState::Spent);
    world.pass(millis(20_000));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
    assert_eq!(world.status("checks/a").remedy.unwrap().state, RemedyState::Idle, "a new episode");
}

#[test]
fn a_command_that_fails_is_not_waited_for() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", bad_until::<40>);
    world.remedy = Err("exit status 1".into());
    world.pass(millis(20_000));
    let lines = world.lines();
    let millis_of = |what: &str| -> u64 {
        let line = lines.iter().find(|line| line.contains(what)).unwrap();
        line.split_once(' ').unwrap().0.parse().unwrap()
    };
    assert!(
        lines
            .iter()
            .any(|line| line.ends_with("the remedy itself failed; looking again now (exit status 1)"))
    );
    assert_eq!(millis_of("remedy_ran") + 1, millis_of("is FAILING"), "{lines:?}");
}

#[test]
fn a_service_that_dies_again_soon_after_its_remedy_falls_without_a_second_try() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(1), if (10..13).contains(&second) || second >= 30 { failed() } else { passed() })
    });
    world.pass(millis(29_000));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
    world.pass(millis(4000));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
    let remedy = world.status("checks/a").remedy.unwrap();
    assert_eq!((remedy.state, remedy.runs), (RemedyState::Spent, 1));
}

#[test]
fn a_service_that_dies_again_long_after_its_remedy_gets_another() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (
            millis(1),
            if (10..13).contains(&second) || (100..103).contains(&second) { failed() } else { passed() },
        )
    });
    world.pass(millis(120_000));
    let remedy = world.status("checks/a").remedy.unwrap();
    assert_eq!((world.verdict("checks/a"), remedy.runs, remedy.helped), (Verdict::Passing, 2, 2));
}

#[test]
fn a_check_that_fails_from_the_beginning_tries_its_remedy_before_its_first_verdict() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", |now| {
        (millis(1), if now.since(at(1_000_000)) < millis(2000) { failed() } else { passed() })
    });
    world.pass(millis(1900));
    assert_eq!(world.verdict("checks/a"), Verdict::Unknown);
    world.pass(millis(1000));
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
    assert!(world.lines().iter().all(|line| !line.contains("FAILING")));
}

#[test]
fn a_command_that_never_ends_is_given_up_and_the_verdict_falls() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", always_fails);
    world.pass(millis(50));
    world.remedies.clear();
    world.pass(millis(15_100));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
    let lines = world.lines();
    assert!(lines.iter().any(|line| line.contains("its command did not end in time")), "{lines:?}");
}

#[test]
fn a_look_that_says_nothing_has_not_shown_that_the_remedy_helped() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", |now| {
        (millis(1), if now.since(at(1_000_000)) < millis(500) { failed() } else { says_nothing() })
    });
    world.pass(millis(3000));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
}

#[test]
fn a_process_that_dies_while_its_remedy_is_waited_for_ends_the_wait() {
    let nginx =
        CheckPolicy { watched: true, fall: 1, interval: millis(30_000), ..with_remedy("checks/nginx") };
    let mut world = World::new(&[nginx]).target("checks/nginx", |now| {
        (millis(1), if now.since(at(1_000_000)) < millis(1000) { passed() } else { failed() })
    });
    world.pass(millis(5000));
    world.news("checks/nginx", failed());
    world.pass(millis(200));
    world.news("checks/nginx", passed());
    world.pass(millis(100));
    assert_eq!(world.verdict("checks/nginx"), Verdict::Passing, "it waits");
    world.news("checks/nginx", failed());
    world.pass(millis(1));
    assert_eq!(world.verdict("checks/nginx"), Verdict::Failing);
    assert!(world.now.since(at(1_000_000)) < millis(5400), "and not for two seconds");
}

#[test]
fn no_remedy_is_tried_while_muted_and_none_is_missed_after_it() {
    let mut world = World::new(&[with_remedy("checks/a")]).target("checks/a", bad_until::<60>);
    world.pass(millis(5000));
    mute(&mut world, "checks/a", Some(millis(20_000)), false);
    world.pass(millis(19_000));
    let status = world.status("checks/a");
    assert_eq!((status.verdict, status.measured), (Verdict::Passing, Verdict::Failing));
    assert_eq!(status.remedy.unwrap().runs, 0);
    world.pass(millis(1500));
    assert_eq!(world.status("checks/a").remedy.unwrap().runs, 1, "it fails still: the remedy is next");
    assert_eq!(world.verdict("checks/a"), Verdict::Passing);
    world.pass(millis(3000));
    assert_eq!(world.verdict("checks/a"), Verdict::Failing);
}

#[test]
fn however_results_come_every_remedy_is_followed_by_exactly_one_decision() {
    let mut random = Random(0xca5e);
    let (mut tried, mut fallen) = (0, 0);
    for _ in 0..2000 {
        let watched = random.below(2) == 0;
        let mut world = World::new(&[CheckPolicy { watched, ..with_remedy("checks/a") }]);
        for _ in 0..60 {
            let target: Target = match random.below(5) {
                0 => |_| (millis(1), says_nothing()),
                1 | 2 => |_| (millis(300), failed()),
                _ => |_| (millis(20), passed()),
            };
            world.targets.insert("checks/a".into(), target);
            world.remedy = if random.below(2) == 0 { Ok("".into()) } else { Err("exit status 1".into()) };
            if watched && random.below(4) == 0 {
                world.news("checks/a", if random.below(2) == 0 { passed() } else { failed() });
            }
            world.pass(millis(random.below(3000)));
        }
        let lines = world.lines();
        let mut open = false;
        for line in &lines {
            let (starts, ends) = (line.contains("remedy_started"), line.contains("remedy_ended"));
            assert!(if open { !starts } else { !ends }, "{lines:?}");
            assert!(!(open && line.contains("check.changed")), "nothing decides meanwhile: {lines:?}");
            open = (open || starts) && !ends;
            tried += u64::from(starts);
            fallen += u64::from(line.contains("to FAILING"));
        }
    }
    assert!(tried > 2000 && fallen > 2000, "{tried} remedies, {fallen} falls");
}
