//! Drains.

use super::*;
use crate::order::StandingOrder;

#[test]
fn a_drained_server_gets_no_new_sessions_until_undrained() {
    let mut world = World::passing(&pool(&["a", "b", "c"]));
    world.drain("b", None, false);
    assert_eq!(
        world.lines(),
        [
            "pool.server_drained b [ADMIN_DRAIN]: server drained: new kernel",
            "web uses a:1 b:0 c:1",
            "pools/web is PASSING 2",
            "answer Ok(())",
        ]
    );
    assert_eq!(world.states(), ["UP", "DRAINING", "UP"]);
    world.down("b");
    world.up("b");
    assert!(world.lines().is_empty(), "whatever its checks say meanwhile");
    let undrain =
        |dry_run| PoolInput::Undrain { pool: "web".into(), server: "b".into(), actor: actor(), dry_run };
    world.give(undrain(true));
    assert_eq!(world.lines(), ["answer Ok(())"]);
    world.give(undrain(false));
    assert_eq!(
        world.lines(),
        [
            "pool.server_undrained b [ADMIN_UNDRAIN]: server no longer drained",
            "web uses a:1 b:1 c:1",
            "pools/web is PASSING 3",
            "answer Ok(())",
        ]
    );
    world.give(undrain(false));
    assert_eq!(world.lines(), ["answer Ok(())"], "also when it was not drained");
}

#[test]
fn a_drain_ends_by_itself_and_a_server_that_failed_meanwhile_stays_out() {
    let mut world = World::passing(&pool(&["a", "b", "c"]));
    world.drain("b", Some(millis(5000)), false);
    world.down("b");
    world.lines();
    world.pass(millis(4999));
    assert!(world.lines().is_empty());
    world.pass(millis(1));
    assert_eq!(world.events(), ["pool.server_undrained b", "pool.server_left b"]);
    assert_eq!(world.states(), ["UP", "DOWN", "UP"]);
}

#[test]
fn a_drain_that_leaves_too_few_is_refused_with_the_numbers() {
    let config = PoolConfig { floor: Floor::Servers(2), ..pool(&["a", "b", "c"]) };
    let mut world = World::passing(&config);
    world.drain("a", None, false);
    world.lines();
    world.drain("b", None, false);
    assert_eq!(world.lines(), ["answer Err(BelowFloor { left: 1, floor: 2 })"]);
    world.drain("b", None, true);
    assert_eq!(world.used(), ["c"], "unless allowed");
    let mut world = World::passing(&PoolConfig { quorum: 2, ..pool(&["a", "b"]) });
    world.drain("a", None, false);
    assert_eq!(world.lines(), ["answer Err(BelowQuorum { weight: 1, quorum: 2 })"]);
}

#[test]
fn a_server_that_is_out_already_may_be_drained() {
    let config = PoolConfig { floor: Floor::Servers(1), quorum: 1, ..pool(&["a", "b"]) };
    let mut world = World::passing(&config);
    world.down("a");
    world.lines();
    world.drain("a", None, false);
    assert_eq!(world.lines().last().unwrap(), "answer Ok(())");
    world.drain("b", None, false);
    assert_eq!(world.lines().last().unwrap(), "answer Err(BelowFloor { left: 0, floor: 1 })");
}

#[test]
fn names_that_do_not_exist_are_refused_and_a_dry_run_changes_nothing() {
    let mut world = World::passing(&pool(&["a", "b"]));
    let drain = |pool: &str, server: &str| PoolInput::Drain {
        pool: pool.into(),
        server: server.into(),
        reason: "".into(),
        actor: actor(),
        expires: None,
        survives: false,
        allow_below_floor: false,
        dry_run: true,
    };
    for (pool, server) in [("mail", "a"), ("web", "x"), ("web", "sorry"), ("web", "a")] {
        world.give(drain(pool, server));
    }
    assert_eq!(
        world.lines(),
        [
            "answer Err(UnknownPool)",
            "answer Err(UnknownServer)",
            "answer Err(UnknownServer)",
            "answer Ok(())",
        ]
    );
    assert_eq!(world.states(), ["UP", "UP"]);
}

#[test]
fn a_drain_of_an_earlier_process_keeps_its_server_out_of_the_first_set() {
    let mut world = World::new(&[]);
    let expires = Some(world.now.after(millis(20_000)));
    let drained = |pool: &str, server: &str| DrainedServer {
        pool: pool.into(),
        server: server.into(),
        drain: StandingOrder {
            reason: "new disks".into(),
            actor: actor(),
            since: at(0),
            expires,
            survives: true,
        },
    };
    let left = vec![drained("web", "b"), drained("web", "gone"), drained("mail", "a")];
    world.give(PoolInput::Inherit(left));
    world.give(PoolInput::Reconfigure(&[pool(&["a", "b", "c"])]));
    ["a", "b", "c"].iter().for_each(|server| world.up(server));
    world.pass(millis(5000));
    let sets: Vec<_> = world.lines().into_iter().filter(|line| line.contains(" uses ")).collect();
    assert_eq!(sets, ["web uses a:1 b:0 c:1"], "never in");
    assert_eq!(world.states(), ["UP", "DRAINING", "UP"]);
    world.pass(millis(15_000));
    assert_eq!(world.states(), ["UP", "UP", "UP"]);
    // What it was not about is forgotten.
    let mail = PoolConfig { name: "mail".into(), ..pool(&["a"]) };
    world.give(PoolInput::Reconfigure(&[pool(&["a", "b", "c"]), mail]));
    assert!(world.pools.status("mail").unwrap().servers.iter().all(|server| server.drain.is_none()));
}
