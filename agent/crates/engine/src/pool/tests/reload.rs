//! What a new configuration does to pools that are there.

use super::*;

#[test]
fn what_did_not_change_is_not_touched() {
    let config = PoolConfig { slow_start: Some(millis(20_000)), ..pool(&["a", "b"]) };
    let mut world = World::passing(&config);
    world.down("a");
    world.up("a");
    world.pass(millis(6000));
    let before = world.status();
    world.lines();
    world.give(PoolInput::Reconfigure(core::slice::from_ref(&config)));
    assert!(world.lines().is_empty());
    assert_eq!(world.status(), before);
}

#[test]
fn servers_that_stay_keep_what_is_known_and_new_ones_are_in_until_known() {
    let mut world = World::passing(&pool(&["a", "b", "c"]));
    world.down("b");
    world.drain("c", None, false);
    world.lines();
    world.give(PoolInput::Reconfigure(&[pool(&["d", "c", "b"])]));
    assert_eq!(world.states(), ["UNKNOWN", "DRAINING", "DOWN"]);
    assert_eq!(world.lines(), ["web uses d:1 c:0", "pools/web is PASSING 0"]);
    world.down("d");
    assert_eq!(world.states(), ["DOWN", "DRAINING", "DOWN"]);
}

#[test]
fn a_pool_that_comes_later_knows_the_facts_that_were_told_before() {
    let mut world = World::new(&[]);
    world.up("a");
    world.down("b");
    world.give(PoolInput::InstanceState { instance: "edge".into(), active: true });
    world.give(PoolInput::Reconfigure(&[PoolConfig {
        scope: PoolScope::WhenActive("edge".into()),
        ..pool(&["a", "b"])
    }]));
    assert_eq!(world.states(), ["UP", "DOWN"]);
    assert_eq!(world.used(), ["a"]);
}

#[test]
fn a_removed_pool_leaves_nothing_behind() {
    let mut world = World::passing(&PoolConfig { slow_start: Some(millis(20_000)), ..pool(&["a", "b"]) });
    world.down("a");
    world.up("a");
    world.lines();
    world.give(PoolInput::Reconfigure(&[]));
    assert_eq!(world.lines(), ["web is removed", "pools/web is gone"]);
    assert_eq!(world.pools.next_deadline(), None);
    world.down("a");
    assert!(world.lines().is_empty());
}

#[test]
fn another_quorum_applies_at_once() {
    let mut world = World::passing(&pool(&["a", "b", "c"]));
    world.down("a");
    world.give(PoolInput::Reconfigure(&[PoolConfig { quorum: 3, ..pool(&["a", "b", "c"]) }]));
    assert_eq!(world.status().verdict, Verdict::Failing);
    let lines = world.lines();
    assert!(lines.iter().any(|line| line.contains("pool.changed web [CONFIG_RELOAD]")), "{lines:?}");
}
