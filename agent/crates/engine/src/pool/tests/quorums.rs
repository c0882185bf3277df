//! Quorum, hysteresis, and the sorry server.

use super::*;

/// Ten servers of weight 1, quorum 5, hysteresis 2.
fn ten() -> (Vec<String>, PoolConfig) {
    let names: Vec<String> = (0..10).map(|number| format!("s{number}")).collect();
    let servers: Vec<&str> = names.iter().map(String::as_str).collect();
    let config = PoolConfig { quorum: 5, hysteresis: 2, ..pool(&servers) };
    (names, config)
}

#[test]
fn the_quorum_is_lost_below_quorum_less_hysteresis_and_won_at_quorum_and_hysteresis() {
    let (names, config) = ten();
    let mut world = World::passing(&config);
    let mut turned = vec![];
    for up in (0..10).rev() {
        world.down(&names[up]);
        turned.push((up, world.status().verdict));
    }
    for (place, name) in names.iter().enumerate() {
        world.up(name);
        turned.push((place + 1, world.status().verdict));
    }
    let lost = turned.iter().find(|(_, verdict)| *verdict == Verdict::Failing).unwrap();
    assert_eq!(lost.0, 2, "3 is enough to keep it: {turned:?}");
    let won = turned.iter().rposition(|(_, verdict)| *verdict == Verdict::Failing).unwrap();
    assert_eq!(turned[won + 1].0, 7, "{turned:?}");
    let changes: Vec<_> = world.lines().into_iter().filter(|line| line.contains("pool.changed")).collect();
    assert_eq!(changes.len(), 2);
    assert!(
        changes[0]
            .starts_with("pool.changed web [CHECK_CHANGED]: PASSING to FAILING: weight 2 passes, quorum 5"),
        "{changes:?}"
    );
}

#[test]
fn the_verdict_is_that_of_the_reference_for_every_sequence() {
    let mut random = Random(0x900d);
    let mut turns = 0;
    for _ in 0..300 {
        let count = 1 + random.below(8) as usize;
        let names: Vec<String> = (0..count).map(|number| format!("s{number}")).collect();
        let servers: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut config = pool(&servers);
        config.quorum = random.below(12) as u32;
        config.hysteresis = random.below(6) as u32;
        config.servers.iter_mut().for_each(|server| server.weight = 1 + random.below(3) as u32);
        let total: u32 = config.servers.iter().map(|server| server.weight).sum();
        let quorum = config.quorum.clamp(1, total);
        let (win, keep) =
            ((quorum + config.hysteresis).min(total), quorum.saturating_sub(config.hysteresis).max(1));
        let mut known = vec![Verdict::Unknown; count];
        let mut expected = Verdict::Unknown;
        let mut world = World::new(core::slice::from_ref(&config));
        for _ in 0..200 {
            let place = random.below(count as u64) as usize;
            known[place] = [Verdict::Passing, Verdict::Failing, Verdict::Unknown][random.below(3) as usize];
            world.fact(&names[place], known[place], None, false);
            let sum = |wanted: Verdict| -> u32 {
                let with = config.servers.iter().zip(&known).filter(|(_, verdict)| **verdict == wanted);
                with.map(|(server, _)| server.weight).sum()
            };
            let (passing, possible) = (sum(Verdict::Passing), sum(Verdict::Passing) + sum(Verdict::Unknown));
            let before = expected;
            expected = match expected {
                Verdict::Unknown if passing >= quorum => Verdict::Passing,
                Verdict::Unknown if possible < quorum => Verdict::Failing,
                Verdict::Passing if possible < keep => Verdict::Failing,
                Verdict::Failing if passing >= win => Verdict::Passing,
                _ => expected,
            };
            turns += u64::from(before != expected);
            assert_eq!(world.status().verdict, expected, "{config:?} {known:?}");
            assert_eq!(world.facts["pools/web"].verdict, expected);
            assert_eq!(world.facts["pools/web"].value, Some(passing as i32));
        }
    }
    assert!(turns > 3000, "{turns}");
}

#[test]
fn a_quorum_of_more_than_there_is_means_all_and_one_of_nothing_means_one() {
    let mut world = World::passing(&PoolConfig { quorum: 9, hysteresis: 9, ..pool(&["a", "b"]) });
    assert_eq!(world.status().verdict, Verdict::Passing);
    world.down("a");
    assert_eq!(world.status().verdict, Verdict::Passing, "the hysteresis keeps it down to one");
    world.down("b");
    world.up("a");
    assert_eq!(world.status().verdict, Verdict::Failing, "won with all there is");
    world.up("b");
    assert_eq!(world.status().verdict, Verdict::Passing);
    let mut world = World::passing(&PoolConfig { quorum: 0, ..pool(&["a"]) });
    world.down("a");
    assert_eq!(world.status().verdict, Verdict::Failing);
}

#[test]
fn the_sorry_server_replaces_all_others_while_the_quorum_is_lost() {
    let config = PoolConfig { quorum: 2, sorry: sorry(), ..pool(&["a", "b", "c"]) };
    let mut world = World::passing(&config);
    assert_eq!(world.states(), ["UP", "UP", "UP", "STANDBY"]);
    world.down("a");
    assert_eq!(world.used(), ["b", "c"]);
    world.events();
    world.down("b");
    assert_eq!(world.used(), ["sorry"], "c passes, but alone it would only break down");
    assert_eq!(
        world.events(),
        ["pool.mass_failure web", "pool.server_left b", "pool.changed web", "pool.sorry_in web"]
    );
    let status = world.status();
    assert_eq!((status.sorry_in, status.used, status.servers[3].desired_weight), (true, 1, 1));
    assert_eq!(world.states(), ["DOWN", "DOWN", "UP", "UP"]);
    world.up("a");
    assert_eq!(world.used(), ["a", "c"]);
    assert_eq!(world.events(), ["pool.server_returned a", "pool.changed web", "pool.sorry_out web"]);
}

#[test]
fn before_anything_is_known_nobody_is_sorry() {
    let mut world = World::new(&[PoolConfig { sorry: sorry(), ..pool(&["a", "b"]) }]);
    world.pass(millis(5000));
    assert_eq!(world.used(), ["a", "b"]);
    assert_eq!(world.status().verdict, Verdict::Unknown);
}
