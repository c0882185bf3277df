//! Recoveries that do not last.

use super::*;

const DAMPING: Damping = Damping { within: millis(30_000), hold: millis(10_000), longest: millis(60_000) };

fn damped(name: &str) -> CheckPolicy {
    CheckPolicy { damping: Some(DAMPING), ..policy(name) }
}

/// When the verdict turned, in seconds, and to what.
fn turns(world: &mut World) -> Vec<(u64, &'static str)> {
    let lines = world.events();
    let turned = lines.iter().filter(|line| line.contains("check.changed")).map(|line| {
        let second = line.split_once(' ').unwrap().0.parse::<u64>().unwrap() / 1000;
        (second, if line.contains("to FAILING") { "FAILING" } else { "PASSING" })
    });
    turned.collect()
}

#[test]
fn the_first_recovery_counts_at_once_and_each_that_follows_a_flap_must_last_twice_as_long() {
    // Fails for a second at 10, 20, 50 and 90 s, and passes otherwise.
    let mut world = World::new(&[damped("checks/a")]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(0), if [10, 20, 50, 90].contains(&second) { failed() } else { passed() })
    });
    world.pass(millis(200_000));
    let expected = [
        (0, "PASSING"),
        (10, "FAILING"),
        (11, "PASSING"),
        (20, "FAILING"),
        (31, "PASSING"),
        (50, "FAILING"),
        (71, "PASSING"),
        (90, "FAILING"),
        (131, "PASSING"),
    ];
    assert_eq!(turns(&mut world), expected);
    assert_eq!(world.status("checks/a").flaps, 3);
}

#[test]
fn while_it_is_held_back_the_fact_says_so_and_the_event_for_how_long() {
    let mut world = World::new(&[damped("checks/a")]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(0), if [10, 20].contains(&second) { failed() } else { passed() })
    });
    world.pass(millis(25_000));
    let fact = &world.facts["checks/a"];
    assert_eq!((fact.verdict, fact.damped, &*fact.detail), (Verdict::Failing, true, "200 OK"));
    let status = world.status("checks/a");
    assert_eq!((status.verdict, status.measured), (Verdict::Failing, Verdict::Passing));
    let left = status.held_until.unwrap().since(world.now);
    assert!(left > millis(5000) && left <= millis(7000), "{left:?}");
    let lines = world.events();
    let told: Vec<_> = lines.iter().filter(|line| line.contains("check.damped")).collect();
    assert_eq!(told.len(), 1);
    assert!(
        told[0].contains("it fell 1 times soon after it had recovered: it must pass for 10.0s first"),
        "{told:?}"
    );
    world.pass(millis(10_000));
    let fact = &world.facts["checks/a"];
    assert_eq!((fact.verdict, fact.damped), (Verdict::Passing, false));
}

#[test]
fn a_failure_while_it_is_held_back_begins_the_hold_anew() {
    let mut world = World::new(&[CheckPolicy { fall: 2, ..damped("checks/a") }]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(0), if [10, 11, 20, 21, 27].contains(&second) { failed() } else { passed() })
    });
    world.pass(millis(60_000));
    let expected = [(0, "PASSING"), (11, "FAILING"), (12, "PASSING"), (21, "FAILING"), (38, "PASSING")];
    assert_eq!(turns(&mut world), expected, "28 and not 22 is when the ten seconds begin");
}

#[test]
fn lasting_long_enough_forgets_the_flaps() {
    let mut world = World::new(&[damped("checks/a")]).target("checks/a", |now| {
        let second = now.since(at(1_000_000)).as_secs();
        (millis(0), if [10, 20, 80].contains(&second) { failed() } else { passed() })
    });
    world.pass(millis(100_000));
    assert_eq!(turns(&mut world).last(), Some(&(81, "PASSING")), "held back no more");
}

#[test]
fn falls_are_never_delayed_and_no_recovery_for_longer_than_the_longest_hold() {
    let mut random = Random(0xf1a9);
    let mut held_back = 0;
    for _ in 0..500 {
        let mut world = World::new(&[damped("checks/a")]);
        let (mut passes_since, mut turned) = (None, 0_u64);
        for _ in 0..300 {
            let passes = random.below(6) > 0;
            world.targets.insert(
                "checks/a".into(),
                if passes { |_| (millis(0), passed()) } else { |_| (millis(0), failed()) },
            );
            let before = world.verdict("checks/a");
            world.pass(millis(1000));
            let status = world.status("checks/a");
            passes_since =
                if status.measured == Verdict::Passing { passes_since.or(Some(world.now)) } else { None };
            if status.measured == Verdict::Failing {
                assert_eq!(status.verdict, Verdict::Failing, "a fall counts at once");
            }
            let waited = passes_since.map(|since| world.now.since(since)).unwrap_or_default();
            if status.verdict == Verdict::Failing && waited > Duration::ZERO {
                held_back += 1;
                assert!(waited <= DAMPING.longest, "{waited:?}");
                assert!(world.facts["checks/a"].damped);
            }
            turned += u64::from(before != status.verdict);
        }
        // With the hold at its longest a check turns twice a minute at most.
        assert!(turned <= 2 * (5 + 5 * 60 / 60) + 2, "{turned}");
    }
    assert!(held_back > 1000, "{held_back}");
}

#[test]
fn a_hold_doubles_with_each_flap_up_to_the_longest() {
    let mut damper = crate::health::damper::Damper::default();
    let mut holds = vec![];
    for second in 0..40 {
        damper.on_recovery(at(second * 1000));
        damper.on_fall(at(second * 1000 + 1), Some(DAMPING));
        holds.push(damper.hold(Some(DAMPING)).unwrap().as_secs());
    }
    assert_eq!(holds[..4], [10, 20, 40, 60]);
    assert!(holds[4..].iter().all(|hold| *hold == 60));
}
