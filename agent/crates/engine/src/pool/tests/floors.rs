//! The floor (invariant S10): a broken check cannot empty a pool.

use super::*;

#[test]
fn beyond_the_floor_servers_stay_those_that_worked_most_recently_first() {
    let config = PoolConfig { floor: Floor::Servers(2), ..pool(&["a", "b", "c", "d"]) };
    let mut world = World::passing(&config);
    for name in ["c", "a", "d"] {
        world.down(name);
        world.pass(millis(20_000));
    }
    assert_eq!(world.used(), ["b", "d"]);
    assert_eq!(world.states(), ["DOWN", "UP", "DOWN", "KEPT"]);
    let lines = world.lines();
    assert_eq!(
        lines[lines.len() - 3..],
        [
            "pool.server_kept d [CHECK_CHANGED]: server fails but stays, or too few would be left; 2 of 4 servers are in (pools/web/servers/d/checks/http, REFUSED)",
            "pool.floor_reached web [CHECK_CHANGED]: 3 of 4 servers fail, and 1 of them stay in: at least 2 must; look at the check (pools/web/servers/d/checks/http, REFUSED)",
            "pools/web is PASSING 1",
        ],
        "and the set is what it was: {lines:?}"
    );
}

#[test]
fn when_everything_fails_the_floor_stays_in_and_the_pool_says_that_it_fails() {
    let config = PoolConfig { floor: Floor::Percent(50), ..pool(&["a", "b", "c"]) };
    let mut world = World::passing(&config);
    for name in ["a", "b", "c"] {
        world.down(name);
        world.pass(millis(100));
    }
    assert_eq!(world.used(), ["b", "c"], "half of three, rounded up");
    let status = world.status();
    assert_eq!((status.verdict, status.floor_reached, status.floor), (Verdict::Failing, true, 2));
    world.events();
    world.up("a");
    assert_eq!(world.used(), ["a", "c"], "the one that failed first goes first");
    world.up("b");
    assert_eq!(
        world.events(),
        [
            "pool.server_returned a",
            "pool.server_left b",
            "pool.changed web",
            "pool.server_returned b",
            "pool.server_left c",
            "pool.floor_left web"
        ]
    );
}

#[test]
fn a_server_that_is_only_held_back_by_damping_stays_before_one_that_fails() {
    let config = PoolConfig { floor: Floor::Servers(1), ..pool(&["a", "b"]) };
    let mut world = World::passing(&config);
    world.down("a");
    world.down("b");
    assert_eq!(world.used(), ["b"], "it failed last");
    world.fact("a", Verdict::Failing, None, true);
    assert_eq!(world.used(), ["a"], "its check passes");
}

#[test]
fn a_floor_keeps_the_sorry_server_out() {
    let config = PoolConfig { floor: Floor::Servers(1), sorry: sorry(), ..pool(&["a", "b"]) };
    let mut world = World::passing(&config);
    world.down("a");
    world.down("b");
    assert_eq!((world.used(), world.status().sorry_in), (vec!["b".to_string()], false));
}

#[test]
fn without_a_floor_and_without_a_sorry_server_a_pool_may_become_empty() {
    let mut world = World::passing(&pool(&["a"]));
    world.down("a");
    assert!(world.used().is_empty(), "as configured");
}

/// At every instant, also while the configuration changes: never fewer servers in than the floor, or than operators left.
#[test]
fn the_floor_holds_at_every_instant_also_across_reloads_and_drains() {
    let mut random = Random(0xf100);
    let (mut bound, mut reloads) = (0_u64, 0_u64);
    for _ in 0..200 {
        let mut names: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
        let floor_of = |random: &mut Random| match random.below(3) {
            0 => Floor::Servers(random.below(7) as u32),
            _ => Floor::Percent(random.below(101) as u8),
        };
        let configure = |names: &[String], floor, slow: bool| {
            let servers: Vec<&str> = names.iter().map(String::as_str).collect();
            PoolConfig { floor, slow_start: slow.then(|| millis(1000)), ..pool(&servers) }
        };
        let mut config = configure(&names, floor_of(&mut random), random.below(2) == 0);
        let mut world = World::new(core::slice::from_ref(&config));
        world.pass(millis(3000));
        for _ in 0..150 {
            let name = names[random.below(names.len() as u64) as usize].clone();
            match random.below(20) {
                0 => {
                    let fresh = format!("s{}", random.below(12));
                    if !names.contains(&fresh) {
                        let place = random.below(names.len() as u64) as usize;
                        names[place] = fresh;
                    }
                    config = configure(&names, floor_of(&mut random), random.below(2) == 0);
                    world.give(PoolInput::Reconfigure(core::slice::from_ref(&config)));
                    reloads += 1;
                }
                1 => world.drain(&name, Some(millis(300)), random.below(2) == 0),
                2 => world.pass(millis(random.below(400))),
                3..8 => world.up(&name),
                8 => world.fact(&name, Verdict::Unknown, None, false),
                _ => world.down(&name),
            }
            let status = world.status();
            let drained = status.servers.iter().filter(|server| server.drain.is_some()).count();
            let floor = status.floor.min((config.servers.len() - drained) as u32);
            assert!(status.used >= floor, "{status:?}");
            assert_eq!(world.used().len(), status.used as usize, "what is told is what is shown");
            let removed = status.servers.iter().filter(|server| server.state == ServerState::Down).count();
            assert!(removed + floor as usize <= config.servers.len() - drained);
            let unknown_out = status
                .servers
                .iter()
                .any(|server| server.state == ServerState::Unknown && server.desired_weight == 0);
            assert!(!unknown_out, "unknown is not failed: {status:?}");
            bound += u64::from(status.floor_reached);
        }
    }
    assert!(bound > 3000 && reloads > 300, "the floor held {bound} times, {reloads} reloads");
}
