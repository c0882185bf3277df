//! Slow start and dynamic weights.

use super::*;

#[test]
fn a_server_that_returns_gets_its_weight_in_five_steps_and_no_more() {
    let mut config = PoolConfig { slow_start: Some(millis(20_000)), ..pool(&["a", "b"]) };
    config.servers[1].weight = 3;
    let mut world = World::passing(&config);
    assert_eq!(shown(&world.sets["web"]), "a:5 b:15", "a whole weight is five parts");
    world.down("b");
    world.lines();
    world.up("b");
    world.pass(millis(60_000));
    let sets: Vec<_> = world.lines().into_iter().filter(|line| line.contains(" uses ")).collect();
    assert_eq!(
        sets,
        [
            "web uses a:5 b:3",
            "web uses a:5 b:6",
            "web uses a:5 b:9",
            "web uses a:5 b:12",
            "web uses a:5 b:15"
        ]
    );
    assert_eq!(world.states(), ["UP", "UP"]);
    world.down("b");
    world.up("b");
    world.pass(millis(19_999));
    assert_eq!(world.states(), ["UP", "SLOW_START"]);
    assert_eq!(world.status().passing_weight, 4, "for the quorum it counts in full");
    world.pass(millis(1));
    assert_eq!(world.states(), ["UP", "UP"]);
}

#[test]
fn a_slow_start_ends_when_the_server_fails_again_and_begins_anew() {
    let config = PoolConfig { slow_start: Some(millis(20_000)), ..pool(&["a", "b"]) };
    let mut world = World::passing(&config);
    world.down("b");
    world.up("b");
    world.pass(millis(12_000));
    world.down("b");
    assert_eq!(shown(&world.sets["web"]), "a:5");
    world.up("b");
    assert_eq!(shown(&world.sets["web"]), "a:5 b:1");
}

#[test]
fn the_first_verdict_and_a_kept_server_need_no_slow_start_and_an_undrained_one_does() {
    let config =
        PoolConfig { slow_start: Some(millis(20_000)), floor: Floor::Servers(1), ..pool(&["a", "b"]) };
    let mut world = World::new(core::slice::from_ref(&config));
    world.up("a");
    world.up("b");
    assert_eq!(shown(&world.sets["web"]), "a:5 b:5");
    world.down("a");
    world.down("b");
    assert_eq!(world.states(), ["DOWN", "KEPT"]);
    world.up("b");
    assert_eq!(world.states(), ["DOWN", "UP"]);
    world.up("a");
    assert_eq!(world.states(), ["SLOW_START", "UP"]);
    world.pass(millis(30_000));
    world.drain("a", Some(millis(1000)), false);
    world.pass(millis(1000));
    assert_eq!(world.states(), ["SLOW_START", "UP"]);
}

#[test]
fn a_check_may_say_the_weight_and_without_a_number_it_is_the_configured_one() {
    let mut config = pool(&["a", "b"]);
    config.servers.iter_mut().for_each(|server| {
        server.weight = 10;
        server.weight_from = Some(server.checks[0].clone());
    });
    let mut world = World::passing(&config);
    assert_eq!(shown(&world.sets["web"]), "a:10 b:10");
    world.fact("a", Verdict::Passing, Some(70), false);
    assert_eq!(shown(&world.sets["web"]), "a:70 b:10");
    assert_eq!(world.status().passing_weight, 80);
    for nothing in [0, -5] {
        world.fact("a", Verdict::Passing, Some(nothing), false);
        assert_eq!(shown(&world.sets["web"]), "b:10");
        assert_eq!(world.states(), ["DOWN", "UP"]);
        assert_eq!(&*world.status().servers[0].detail, "its weight is 0");
        world.up("a");
        assert_eq!(shown(&world.sets["web"]), "a:10 b:10");
    }
}

#[test]
fn weights_of_zero_cannot_empty_a_pool_with_a_floor() {
    let mut config = PoolConfig { floor: Floor::Servers(1), ..pool(&["a", "b"]) };
    config.servers.iter_mut().for_each(|server| server.weight_from = Some(server.checks[0].clone()));
    let mut world = World::passing(&config);
    world.fact("a", Verdict::Passing, Some(0), false);
    world.fact("b", Verdict::Passing, Some(0), false);
    assert_eq!(shown(&world.sets["web"]), "b:1");
}
