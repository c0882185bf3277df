//! Two members on two links, as scripts: the group moves as one.

use std::vec::Vec;

use crate::fixtures::config;
use crate::fixtures::script::{Player, changed, play_all};
use crate::{Fault, InstanceConfig, StateName, Wish};

/// "wan" on eth0 and "lan" on eth1, of one group, with these changes to both.
fn edge(changes: &[&str]) -> [InstanceConfig; 2] {
    let member = |name: &str, vrid: u8, interface: &str| {
        let own = [&*std::format!("interface={interface}"), "group=edge", "quiet"];
        changed(changed(config(name, vrid, 100), &own), changes)
    };
    [member("wan", 7, "eth0"), member("lan", 8, "eth1")]
}

fn states(player: &Player) -> Vec<StateName> {
    (0..player.configs.len()).map(|place| player.status_of(place).state).collect()
}

/// Both members Active at 3.609 s, when nobody else is heard.
const TAKEOVER: &str = "
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        0 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        3609.375 wait
          @3609.375 wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), lan: advert 100, lan: own 10.9.0.8/32, lan: announce takeover, lan: BACKUP > ACTIVE (SYNC_GROUP), group edge BACKUP > ACTIVE
";

#[track_caller]
fn active(configs: &[InstanceConfig]) -> Player {
    play_all(configs, TAKEOVER)
}

// Becoming Active

#[test]
fn the_last_member_that_wants_to_be_active_takes_all_with_it_in_the_same_moment() {
    let player = play_all(
        &edge(&[]),
        "
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        1000 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        3609.375 wait
          @3609.375
        4609.374999 wait
        4609.375 wait
          @4609.375 lan: advert 100, lan: own 10.9.0.8/32, lan: announce takeover, lan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (SYNC_GROUP), group edge BACKUP > ACTIVE
        ",
    );
    let evidence = &player.status_of(0).evidence;
    assert_eq!(evidence.subject.as_deref(), Some("instances/lan"));
}

#[test]
fn a_member_that_must_wait_waits_without_deadlines_and_changes_its_mind_when_it_hears_a_better_router() {
    let mut player = play_all(
        &edge(&[]),
        "
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        0 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        3000 lan: hear 10.0.0.2 200
          = lan: active_observed (ADVERTISEMENT)
        3609.375 wait
          @3609.375
        6000 lan: hear 10.0.0.2 200
        9000 lan: hear 10.0.0.2 200
        ",
    );
    assert_eq!(player.status_of(0).wish, Some(Wish::Active));
    assert_eq!(player.status_of(1).wish, Some(Wish::Backup));
    player.expect(
        "
        10000 wan: hear 10.0.0.2 200
          = wan: active_observed (ADVERTISEMENT)
        12000 lan: hear 10.0.0.2 0
        12609.375 wait
          @12609.375
        13609.374999 wait
        13609.375 wait
          @13609.375 wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), lan: advert 100, lan: own 10.9.0.8/32, lan: announce takeover, lan: BACKUP > ACTIVE (SYNC_GROUP), group edge BACKUP > ACTIVE
        ",
    );
}

#[test]
fn a_member_that_preempts_waits_for_the_others_and_goes_on_wanting_while_worse_routers_speak() {
    play_all(
        &edge(&[]),
        "
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        0 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        2000 lan: hear 10.0.0.2 101
          = lan: active_observed (ADVERTISEMENT)
        3000 wan: hear 10.0.0.2 99
        3609.375 wait
          @3609.375
        4000 wan: hear 10.0.0.2 99
        5609.375 wait
          @5609.375 lan: advert 100, lan: own 10.9.0.8/32, lan: announce takeover, lan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (SYNC_GROUP), group edge BACKUP > ACTIVE
        ",
    );
}

#[test]
fn a_group_of_address_owners_becomes_active_with_its_last_member() {
    play_all(
        &edge(&["priority=255"]),
        "
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        5000 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), lan: advert 255, lan: own 10.9.0.8/32, lan: announce takeover, lan: BACKUP > ACTIVE (ADDRESS_OWNER), wan: advert 255, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (SYNC_GROUP), group edge INITIALIZE > ACTIVE
        ",
    );
}

#[test]
fn a_group_of_one_is_like_none() {
    play_all(
        &edge(&[])[..1],
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), group edge BACKUP > ACTIVE
        4000 hear 10.0.0.2 200
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT), group edge ACTIVE > BACKUP
        ",
    );
}

// Ceasing to be Active

#[test]
fn a_member_that_yields_takes_the_others_with_it_which_release() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 wan: hear 10.0.0.2 200
          = wan: advert 100, wan: release, wan: ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), wan: active_observed (ADVERTISEMENT), lan: advert 0, lan: release, lan: ACTIVE > BACKUP (SYNC_GROUP), group edge ACTIVE > BACKUP
        4010 lan: hear 10.0.0.2 200
          = lan: active_observed (ADVERTISEMENT)
        ",
    );
    assert_eq!(player.status_of(1).evidence.subject.as_deref(), Some("instances/wan"));
}

#[test]
fn a_member_that_yields_after_a_stall_takes_the_others_with_it() {
    let mut player = active(&edge(&[]));
    player.run("4000 wait");
    player.run("20000 sleep hear 50");
    assert_eq!(states(&player), [StateName::Backup, StateName::Backup]);
}

// Fault

#[test]
fn one_fault_takes_all_and_they_leave_it_when_all_are_clear() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 wan: down
          = wan: advert 0, wan: release, wan: ACTIVE > FAULT (INTERFACE_CHANGED), lan: advert 0, lan: release, lan: ACTIVE > FAULT (SYNC_GROUP), group edge ACTIVE > FAULT
        4500 lan: down
        5000 wan: up
        ",
    );
    assert_eq!(player.status_of(0).faults, [Fault::GroupMember("lan".into())]);
    assert_eq!(player.status_of(1).faults, [Fault::LinkDown]);
    player.expect(
        "
        6000 lan: up
          = lan: FAULT > BACKUP (INTERFACE_CHANGED), wan: FAULT > BACKUP (SYNC_GROUP), group edge FAULT > BACKUP
        9609.374999 wait
        ",
    );
}

#[test]
fn the_kernel_s_refusal_of_one_address_gives_the_whole_group_up() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 lan: applied no space
          = lan: failed (ADDRESS_FAILED), lan: advert 0, lan: release, lan: ACTIVE > FAULT (ADDRESS_FAILED), wan: advert 0, wan: release, wan: ACTIVE > FAULT (SYNC_GROUP), group edge ACTIVE > FAULT
        14000 wait
          @14000 lan: FAULT > BACKUP (ADDRESS_FAILED), wan: FAULT > BACKUP (SYNC_GROUP), group edge FAULT > BACKUP
        ",
    );
}

#[test]
fn a_fact_that_all_track_takes_all_with_their_own_reason() {
    let mut player = Player::new(&edge(&["track=checks/http"]));
    player.expect(
        "
        0 fact checks/http passing
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        0 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        1000 fact checks/http failing
          = wan: BACKUP > FAULT (CHECK_CHANGED), lan: BACKUP > FAULT (CHECK_CHANGED), group edge BACKUP > FAULT
        2000 fact checks/http passing
          = wan: FAULT > BACKUP (CHECK_CHANGED), lan: FAULT > BACKUP (CHECK_CHANGED), group edge FAULT > BACKUP
        ",
    );
}

#[test]
fn a_fault_at_the_start_holds_members_that_wait_for_their_link() {
    play_all(
        &edge(&[]),
        "
        0 wan: down
          = wan: INITIALIZE > FAULT (INTERFACE_CHANGED), lan: INITIALIZE > FAULT (SYNC_GROUP), group edge INITIALIZE > FAULT
        100 lan: up
        200 wan: up
          = wan: FAULT > BACKUP (INTERFACE_CHANGED), lan: FAULT > BACKUP (SYNC_GROUP), group edge FAULT > BACKUP
        ",
    );
}

// Weights

#[test]
fn a_weight_moves_all_members_in_the_same_moment() {
    let mut player = active(&edge(&["track=checks/http:-30"]));
    player.expect(
        "
        4000 fact checks/http failing
          = wan: priority 100 > 70 (CHECK_CHANGED), wan: advert 70, lan: priority 100 > 70 (CHECK_CHANGED), lan: advert 70
        ",
    );
}

// Operators

#[test]
fn an_override_of_one_member_is_one_of_all() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 lan: override 50
          = lan: override_set (ADMIN_PRIORITY by alice), lan: priority 100 > 50 (ADMIN_PRIORITY by alice), lan: advert 50, wan: override_set (ADMIN_PRIORITY by alice), wan: priority 100 > 50 (ADMIN_PRIORITY by alice), wan: advert 50, answer Ok(())
        4100 wan: override 60 revision=1
          = answer Err(RevisionMismatch { current: 2 })
        4100 wan: override 60 revision=2 dry
          = answer Ok(())
        4200 wan: clear
          = wan: override_cleared (ADMIN_PRIORITY by alice), wan: priority 50 > 100 (ADMIN_PRIORITY by alice), wan: advert 100, lan: override_cleared (ADMIN_PRIORITY by alice), lan: priority 50 > 100 (ADMIN_PRIORITY by alice), lan: advert 100, answer Ok(())
        ",
    );
    let subjects: Vec<Option<&str>> =
        player.events.iter().rev().take(4).map(|event| event.evidence.subject.as_deref()).collect();
    assert_eq!(subjects, [Some("instances/wan"), Some("instances/wan"), None, None]);
}

#[test]
fn an_override_that_expires_does_so_for_all() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 lan: override 50 for=500
          = lan: override_set (ADMIN_PRIORITY by alice), lan: priority 100 > 50 (ADMIN_PRIORITY by alice), lan: advert 50, wan: override_set (ADMIN_PRIORITY by alice), wan: priority 100 > 50 (ADMIN_PRIORITY by alice), wan: advert 50, answer Ok(())
        4500 wait
          @4500 lan: override_cleared (OVERRIDE_EXPIRED), lan: priority 50 > 100 (OVERRIDE_EXPIRED), lan: advert 100, wan: override_cleared (OVERRIDE_EXPIRED), wan: priority 50 > 100 (OVERRIDE_EXPIRED), wan: advert 100
        ",
    );
}

#[test]
fn a_group_with_an_address_owner_is_not_overridden() {
    let [wan, lan] = edge(&[]);
    let mut player = Player::new(&[changed(wan, &["priority=255"]), lan]);
    player.expect(
        "
        0 lan: override 50
          = answer Err(AddressOwner)
        ",
    );
}

// Reload

#[test]
fn a_member_that_is_new_in_an_active_group_becomes_active_in_its_own_time() {
    let [wan, lan] = edge(&[]);
    let mut player = active(&[wan, lan]);
    player.configs[1].name = "dmz".into();
    player.configs[1].virtual_router_id = crate::VirtualRouterId::new(9).unwrap();
    player.expect(
        "
        4000 reload
          = [1]: advert 0, [1]: release, [1]: ACTIVE > INITIALIZE (CONFIG_RELOAD), [1]: removed (CONFIG_RELOAD), dmz: added (CONFIG_RELOAD), dmz: INITIALIZE > BACKUP (CONFIG_RELOAD)
        5000 dmz: hear 10.0.0.2 50
          @4609.375 wan: advert 100
        7609.375 wait
          @5609.375 wan: advert 100
          @6609.375 wan: advert 100
          @7609.375 wan: advert 100, dmz: advert 100, dmz: own 10.9.0.8/32, dmz: announce takeover, dmz: BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
    assert_eq!(states(&player), [StateName::Active, StateName::Active]);
}

#[test]
fn a_member_that_is_new_in_an_active_group_and_hears_a_better_router_takes_the_group_there() {
    let [wan, lan] = edge(&[]);
    let mut player = active(&[wan, lan]);
    player.run("4000 lan: reload vrid=9");
    player.expect(
        "
        4500 lan: hear 10.0.0.2 200
          = lan: active_observed (ADVERTISEMENT), wan: advert 0, wan: release, wan: ACTIVE > BACKUP (SYNC_GROUP), group edge ACTIVE > BACKUP
        ",
    );
}

#[test]
fn two_instances_that_become_a_group_are_in_fault_together_and_share_the_override() {
    let mut player = Player::new(&edge(&["group="]));
    player.expect(
        "
        0 wan: down
          = wan: INITIALIZE > FAULT (INTERFACE_CHANGED)
        0 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START)
        100 lan: override 50
          = lan: override_set (ADMIN_PRIORITY by alice), lan: priority 100 > 50 (ADMIN_PRIORITY by alice), answer Ok(())
        ",
    );
    player.configs[0].group = Some("edge".into());
    player.configs[1].group = Some("edge".into());
    player.expect(
        "
        200 reload
          = wan: changed (CONFIG_RELOAD), wan: override_set (ADMIN_PRIORITY by alice), wan: priority 100 > 50 (CONFIG_RELOAD), lan: changed (CONFIG_RELOAD), lan: BACKUP > FAULT (SYNC_GROUP), group edge INITIALIZE > FAULT
        ",
    );
}

#[test]
fn a_member_that_leaves_its_group_does_what_the_group_kept_it_from() {
    // In Fault with the group.
    let mut player = Player::new(&edge(&[]));
    player.run("0 wan: down");
    player.run("0 lan: up");
    player.expect(
        "
        1000 lan: reload group=
          = lan: changed (CONFIG_RELOAD), lan: FAULT > BACKUP (CONFIG_RELOAD)
        ",
    );
    // Waiting for the others.
    let mut player = Player::new(&edge(&[]));
    player.run("0 wan: up");
    player.run("4000 lan: hear 10.0.0.2 200");
    player.expect(
        "
        5000 wan: reload group=
          = wan: changed (CONFIG_RELOAD), wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_member_that_held_the_group_back_leaves_and_the_rest_takes_over() {
    let mut player = Player::new(&edge(&[]));
    player.run("0 wan: up");
    player.run("4000 wait");
    player.expect(
        "
        5000 lan: without
          = [1]: removed (CONFIG_RELOAD), wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), group edge INITIALIZE > ACTIVE
        ",
    );
}

#[test]
fn a_reload_that_changes_nothing_of_a_group_touches_nothing() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 reload
        4100 lan: reload preempt_delay=5
          = lan: changed (CONFIG_RELOAD)
        ",
    );
}

#[test]
fn a_stop_releases_every_member() {
    let mut player = active(&edge(&[]));
    player.expect(
        "
        4000 stop
          = wan: advert 0, wan: release, wan: ACTIVE > INITIALIZE (AGENT_STOP), lan: advert 0, lan: release, lan: ACTIVE > INITIALIZE (AGENT_STOP), group edge ACTIVE > INITIALIZE
        ",
    );
}
