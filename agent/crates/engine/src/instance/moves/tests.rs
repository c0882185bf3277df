//! Planned moves, as scripts: what the holder does, what the successor does, and what is left when either fails.

use std::format;
use std::string::ToString;

use crate::fixtures::config;
use crate::fixtures::script::{Player, changed, play, play_all};

fn web(changes: &[&str]) -> crate::InstanceConfig {
    changed(changed(config("web", 7, 100), &["quiet"]), changes)
}

/// Active since 3609.375 ms.
fn holder(changes: &[&str]) -> Player {
    let mut player = Player::new(&[web(changes)]);
    player.run("0 up");
    player.run("3700 wait");
    assert_eq!(player.status().state, crate::StateName::Active);
    player
}

// The holder, with a successor that is asked

#[test]
fn a_holder_goes_on_until_its_successor_has_announced_and_then_withdraws_without_priority_zero() {
    holder(&[]).expect(
        "
        4000 handover to=10.0.0.2
          = handover_began (ADMIN_TRANSFER by alice), answer Ok(())
        4001 hear 10.0.0.2 50
        4609.375 wait
          @4609.375 advert 100
        4700 withdraw 10.0.0.2
          = release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice), answer Ok(())
        4800 hear 10.0.0.2 50
        ",
    );
}

#[test]
fn a_better_successor_that_was_asked_does_not_end_the_handover_before_its_word() {
    holder(&[]).expect(
        "
        4000 handover to=10.0.0.2
          = handover_began (ADMIN_TRANSFER by alice), answer Ok(())
        4001 hear 10.0.0.2 200
        4002 withdraw 10.0.0.2
          = release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice), answer Ok(())
        4100 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn a_holder_that_hands_over_announces_no_more_unless_it_goes_on() {
    holder(&["repeat=3", "refresh=1000"]).expect(
        "
        3701 handover to=10.0.0.2 for=2000
          = handover_began (ADMIN_TRANSFER by alice), answer Ok(())
        5900 wait
          @4609.375 advert 100
          @5609.375 advert 100
          @5701 handover_failed (ADMIN_TRANSFER by alice), announce
          @5801 announce
        ",
    );
}

#[test]
fn a_successor_that_does_not_answer_costs_nothing() {
    holder(&[]).expect(
        "
        4000 handover to=10.0.0.2 for=500
          = handover_began (ADMIN_TRANSFER by alice), answer Ok(())
        5000 wait
          @4500 handover_failed (ADMIN_TRANSFER by alice), announce
          @4609.375 advert 100
        5001 withdraw 10.0.0.2
          = answer Err(NotHandingOver)
        ",
    );
}

#[test]
fn a_successor_that_took_over_and_whose_answer_was_lost_yields_again() {
    holder(&[]).expect(
        "
        4000 handover to=10.0.0.2 for=500
          = handover_began (ADMIN_TRANSFER by alice), answer Ok(())
        4010 hear 10.0.0.2 50
        4500 wait
          @4500 handover_failed (ADMIN_TRANSFER by alice), announce
        5010 hear 10.0.0.2 50
          @4609.375 advert 100
          = advert 100, duplicate_active_began (DUPLICATE_ACTIVE), announce
        ",
    );
}

// The holder, with a successor that cannot be asked

#[test]
fn an_offer_is_priority_zero_and_silence_and_the_addresses_stay_until_somebody_has_settled() {
    holder(&[]).expect(
        "
        4000 handover
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4400 hear 10.0.0.2 50
        5000 wait
          @4430 release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
        5400 hear 10.0.0.2 50
        ",
    );
}

#[test]
fn an_offer_that_nobody_takes_ends_with_adverts_as_before() {
    holder(&[]).expect(
        "
        4000 handover for=1050
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        6100 wait
          @5050 handover_failed (ADMIN_TRANSFER by alice), advert 100, announce
          @6050 advert 100
        ",
    );
}

#[test]
fn a_successor_that_releases_before_it_has_settled_leaves_the_addresses_where_they_were() {
    holder(&[]).expect(
        "
        4000 handover
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4400 hear 10.0.0.2 50
        4410 hear 10.0.0.2 0
          = handover_failed (ADMIN_TRANSFER by alice), advert 100, announce
        4450 wait
        ",
    );
}

#[test]
fn nothing_is_said_while_an_offer_stands_whatever_happens_to_the_priority() {
    holder(&[]).expect(
        "
        4000 handover
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4100 override 120
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 120 (ADMIN_PRIORITY by alice), answer Ok(())
        4200 drain
          = drained (ADMIN_DRAIN by alice), priority 120 > 1 (ADMIN_DRAIN by alice), answer Ok(())
        4300 hear 10.0.0.2 0
        4400 hear 10.0.0.2 50
        4500 wait
          @4430 release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
        ",
    );
}

#[test]
fn a_fault_ends_an_offer_as_it_ends_everything() {
    holder(&[]).expect(
        "
        4000 handover
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4100 down
          = advert 0, release, ACTIVE > FAULT (INTERFACE_CHANGED)
        6000 wait
        ",
    );
}

#[test]
fn who_is_not_active_has_nothing_to_hand_over() {
    play(
        &web(&[]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        10 handover
          = answer Err(NotActive)
        20 withdraw 10.0.0.2
          = answer Err(NotHandingOver)
        ",
    );
}

// The successor

#[test]
fn a_backup_becomes_active_at_the_word_of_the_holder_and_holds_against_its_adverts() {
    let mut player = play(
        &web(&[]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        ",
    );
    player.expect(
        "
        500 takeover 10.0.0.2 1000
          = advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ADMIN_DRAIN by alice), answer Ok(())
        600 takeover 10.0.0.2 1000
          = answer Ok(())
        1100 hear 10.0.0.2 200
        1490 hear 10.0.0.2 0
        2000 wait
          @1500 advert 100
        ",
    );
    assert!(player.events.iter().any(|event| event.to_string().contains("the holder's word")));
}

#[test]
fn a_successor_announces_once_more_when_a_holder_may_have_gone_on_unheard() {
    let mut player = Player::new(&[changed(web(&[]), &["repeat=1"])]);
    player.run("0 up");
    player.run("100 hear 10.0.0.2 200");
    player.run("500 takeover 10.0.0.2 400");
    player.expect(
        "
        2000 wait
          @900
          @1500 advert 100
          @1900 announce
        ",
    );
}

#[test]
fn a_holder_that_still_advertises_after_the_limit_gets_its_addresses_back() {
    Player::new(&[web(&[])]).expect(
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        500 takeover 10.0.0.2 400
          = advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ADMIN_DRAIN by alice), answer Ok(())
        1100 hear 10.0.0.2 200
          @900
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY by alice), active_observed (ADVERTISEMENT)
        ",
    );
}

/// Has taken over from 10.0.0.2 at 500 ms, and counts its adverts for nothing for a minute.
fn successor() -> Player {
    let mut player = Player::new(&[web(&[])]);
    player.run("0 up");
    player.run("100 hear 10.0.0.2 200");
    player.run("101 word b 10.0.0.2 200");
    player.run("500 takeover 10.0.0.2 60000");
    assert_eq!(player.status().state, crate::StateName::Active);
    player
}

#[test]
fn a_holder_that_says_that_it_has_withdrawn_is_heard_again_after_what_is_still_on_its_way() {
    successor().expect(
        "
        550 word b none
        560 hear 10.0.0.2 200
        799 hear 10.0.0.2 200
        801 hear 10.0.0.2 200
          @800
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY by alice), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn a_holder_that_was_silent_for_three_intervals_has_withdrawn_and_claims_with_its_next_advert() {
    successor().expect(
        "
        3300 hear 10.0.0.2 200
          @1500 advert 100
          @2500 advert 100
        6100 hear 10.0.0.2 200
          @3500 advert 100
          @4500 advert 100
          @5500 advert 100
        9000 hear 10.0.0.2 200
          @6500 advert 100
          @7500 advert 100
          @8500 advert 100
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn three_intervals_are_those_that_the_holder_names() {
    successor().expect(
        "
        6000 hear 10.0.0.2 200 interval=2000
          @1500 advert 100
          @2500 advert 100
          @3500 advert 100
          @4500 advert 100
          @5500 advert 100
          = differs IntervalDiffers
        ",
    );
    let mut player = successor();
    player.run("1930 hear 10.0.0.2 200 interval=500");
    assert_eq!(player.status().state, crate::StateName::Active);
    player.run("3380 hear 10.0.0.2 200 interval=500");
    assert_eq!(player.status().state, crate::StateName::Backup);
}

#[test]
fn a_third_router_counts_all_the_time_and_changes_nothing_for_the_holder() {
    successor().expect(
        "
        600 hear 10.0.0.3 50
          = advert 100
        700 hear 10.0.0.2 200
        800 hear 10.0.0.3 150
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY by alice), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn a_holder_that_is_silent_on_the_control_plane_has_not_said_that_it_has_withdrawn() {
    successor().expect(
        "
        550 word b silent
        1600 hear 10.0.0.2 200
          @1500 advert 100
        ",
    );
}

#[test]
fn the_word_of_another_node_says_nothing_of_the_holder() {
    successor().expect(
        "
        510 word c 10.0.0.3 150
        550 word c none
        1600 hear 10.0.0.2 200
          @1500 advert 100
        ",
    );
}

#[test]
fn only_the_word_of_the_active_router_that_is_heard_counts() {
    Player::new(&[web(&["track=checks/a"])]).expect(
        "
        0 up
        5 takeover 10.0.0.2 1000
          = answer Err(NotBackup)
        10 fact checks/a passing
          = INITIALIZE > BACKUP (AGENT_START)
        20 takeover 10.0.0.2 1000
          = answer Err(AnotherActive { heard: None })
        100 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        110 takeover 10.0.0.3 1000
          = answer Err(AnotherActive { heard: Some(10.0.0.2) })
        120 drain
          = drained (ADMIN_DRAIN by alice), priority 100 > 1 (ADMIN_DRAIN by alice), answer Ok(())
        130 takeover 10.0.0.2 1000
          = answer Err(Drained)
        140 undrain
          = undrained (ADMIN_UNDRAIN by alice), priority 1 > 100 (ADMIN_UNDRAIN by alice), answer Ok(())
        150 fact checks/a failing
          = BACKUP > FAULT (CHECK_CHANGED)
        160 takeover 10.0.0.2 1000
          = answer Err(Faulty)
        170 fact checks/a passing
          = FAULT > BACKUP (CHECK_CHANGED)
        180 takeover 10.0.0.2 1000
          = advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ADMIN_DRAIN by alice), answer Ok(())
        190 takeover 10.0.0.3 1000
          = answer Err(AnotherActive { heard: Some(10.0.0.2) })
        ",
    );
}

// Hold

#[test]
fn after_a_transfer_a_better_router_does_not_preempt() {
    holder(&[]).expect(
        "
        4000 handover hold
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4100 hear 10.0.0.2 50
        5100 hear 10.0.0.2 50
          @4130 preempt_held (ADMIN_TRANSFER by alice), release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
          = active_observed (ADVERTISEMENT)
        8700 hear 10.0.0.2 50
        8710 endhold
          = preempt_released (ADMIN_TRANSFER by alice), answer Ok(())
        9700 hear 10.0.0.2 50
        10700 hear 10.0.0.2 50
        11700 hear 10.0.0.2 50
        12400 wait
          @12309.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT by alice)
        ",
    );
}

#[test]
fn a_hold_ends_by_itself_and_when_the_instance_becomes_active() {
    holder(&[]).expect(
        "
        4000 handover hold=3000
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4100 hear 10.0.0.2 50
        5100 hear 10.0.0.2 50
          @4130 preempt_held (ADMIN_TRANSFER by alice), release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
          = active_observed (ADVERTISEMENT)
        8000 wait
          @7000 preempt_released (OVERRIDE_EXPIRED)
        8700 wait
        9000 handover hold
          @8709.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        9100 hear 10.0.0.2 50
        13000 wait
          @9130 preempt_held (ADMIN_TRANSFER by alice), release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
          @12739.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), preempt_released (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_held_owner_stays_backup_too() {
    Player::new(&[web(&["priority=255"])]).expect(
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        10 handover hold
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        400 hear 10.0.0.2 50
        1400 hear 10.0.0.2 50
          @430 preempt_held (ADMIN_TRANSFER by alice), release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
          = active_observed (ADVERTISEMENT)
        1500 down
          = BACKUP > FAULT (INTERFACE_CHANGED)
        1600 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        2400 hear 10.0.0.2 50
          = active_observed (ADVERTISEMENT)
        5300 hear 10.0.0.2 50
        8000 wait
        ",
    );
}

#[test]
fn who_became_worse_is_not_tolerated_by_a_hold_either() {
    holder(&[]).expect(
        "
        4000 handover hold
          = handover_began (ADMIN_TRANSFER by alice), advert 0, answer Ok(())
        4100 hear 10.0.0.2 50
        5100 hear 10.0.0.2 50
          @4130 preempt_held (ADMIN_TRANSFER by alice), release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)
          = active_observed (ADVERTISEMENT)
        6100 hear 10.0.0.2 30
        7100 hear 10.0.0.2 30
        8100 hear 10.0.0.2 30
        9000 wait
          @8709.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT by alice), preempt_released (LOCAL_PREEMPT by alice)
        ",
    );
}

// Drain

#[test]
fn a_drain_leaves_the_priority_of_a_last_resort_and_ends_by_itself() {
    holder(&["track=checks/a:-20"]).expect(
        "
        4000 drain for=2000
          = drained (ADMIN_DRAIN by alice), priority 100 > 1 (ADMIN_DRAIN by alice), advert 1, answer Ok(())
        4100 fact checks/a failing
        5000 drain dry
          @5000 advert 1
          = answer Ok(())
        5010 undrain revision=0
          = answer Err(RevisionMismatch { current: 1 })
        6000 wait
          @6000 undrained (OVERRIDE_EXPIRED), priority 1 > 80 (OVERRIDE_EXPIRED), advert 80
        6100 undrain
          = answer Ok(())
        6200 drain revision=2
          = drained (ADMIN_DRAIN by alice), priority 80 > 1 (ADMIN_DRAIN by alice), advert 1, answer Ok(())
        ",
    );
}

#[test]
fn a_drained_owner_is_no_owner() {
    let mut player = Player::new(&[web(&["priority=255"])]);
    player.expect(
        "
        0 drain
          = drained (ADMIN_DRAIN by alice), priority 255 > 1 (ADMIN_DRAIN by alice), answer Ok(())
        10 up
          = INITIALIZE > BACKUP (AGENT_START)
        4000 wait
        4100 hear 10.0.0.2 50
          @4006.09375 advert 1, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
          = advert 1, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY by alice), active_observed (ADVERTISEMENT)
        4200 undrain
          = undrained (ADMIN_UNDRAIN by alice), priority 1 > 255 (ADMIN_UNDRAIN by alice), answer Ok(())
        5100 hear 10.0.0.2 50
        8000 wait
          @7103.90625 advert 255, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT by alice)
        ",
    );
}

#[test]
fn what_a_reload_brings_is_drained_too() {
    let mut player = Player::new(&[web(&[])]);
    player.run("0 drain");
    player.run("1 unconfigure");
    player.run("2 reload");
    player.run("3 up");
    let status = player.status();
    assert_eq!((status.effective.value.get(), status.drained), (1, true));
}

// Sync groups

#[test]
fn a_sync_group_is_handed_over_as_one_and_taken_over_as_one() {
    let pair = [
        changed(config("a", 1, 100), &["quiet", "group=edge"]),
        changed(config("b", 2, 100), &["quiet", "group=edge", "interface=eth1"]),
    ];
    play_all(
        &pair,
        "
        0 up
          = a: INITIALIZE > BACKUP (AGENT_START)
        0 b: up
          = b: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        100 hear 10.0.0.2 200
          = a: active_observed (ADVERTISEMENT)
        100 b: hear 10.0.1.2 200
          = b: active_observed (ADVERTISEMENT)
        200 b: takeover 10.0.1.2 1000
          = b: advert 100, b: own 10.9.0.2/32, b: announce takeover, b: BACKUP > ACTIVE (ADMIN_DRAIN by alice), a: advert 100, a: own 10.9.0.1/32, a: announce takeover, a: BACKUP > ACTIVE (ADMIN_DRAIN by alice), answer Ok(()), group edge BACKUP > ACTIVE
        201 takeover 10.0.0.2 1000
          = answer Ok(())
        300 hear 10.0.0.2 200
        300 b: hear 10.0.1.2 200
        1000 b: handover to=10.0.1.2
          = b: handover_began (ADMIN_TRANSFER by alice), a: handover_began (ADMIN_TRANSFER by alice), answer Ok(())
        1100 withdraw 10.0.0.2
          = a: release, a: ACTIVE > BACKUP (ADMIN_TRANSFER by alice), b: release, b: ACTIVE > BACKUP (ADMIN_TRANSFER by alice), answer Ok(()), group edge ACTIVE > BACKUP
        ",
    );
}

#[test]
fn a_sync_group_that_is_offered_ends_as_one_without_another_priority_zero_and_for_the_reason_it_was_offered()
{
    let pair = [
        changed(config("a", 1, 100), &["quiet", "group=edge"]),
        changed(config("b", 2, 100), &["quiet", "group=edge", "interface=eth1"]),
    ];
    let mut player = Player::new(&pair);
    for command in ["0 up", "0 b: up", "3700 wait"] {
        player.run(command);
    }
    player.expect(
        "
        4000 handover hold
          = a: handover_began (ADMIN_TRANSFER by alice), a: advert 0, b: handover_began (ADMIN_TRANSFER by alice), b: advert 0, answer Ok(())
        4400 hear 10.0.0.2 50
        4500 b: hear 10.0.0.2 50
          @4430
        4600 wait
          @4530 a: preempt_held (ADMIN_TRANSFER by alice), a: release, a: ACTIVE > BACKUP (ADMIN_TRANSFER by alice), b: preempt_held (ADMIN_TRANSFER by alice), b: release, b: ACTIVE > BACKUP (ADMIN_TRANSFER by alice), group edge ACTIVE > BACKUP
        ",
    );
}

#[test]
fn a_sync_group_of_which_a_part_is_taken_over_stays_whole() {
    let pair = [
        changed(config("a", 1, 100), &["quiet", "group=edge"]),
        changed(config("b", 2, 100), &["quiet", "group=edge", "interface=eth1"]),
    ];
    let begin = || {
        let mut player = Player::new(&pair);
        for command in ["0 up", "0 b: up", "3700 wait", "4000 handover", "4400 hear 10.0.0.2 50"] {
            player.run(command);
        }
        player
    };
    let goes_on = "b: handover_failed (ADMIN_TRANSFER by alice), b: advert 100, b: announce, \
                   a: handover_failed (ADMIN_TRANSFER by alice), a: advert 100, a: announce";
    begin().expect(&format!(
        "
        5001 wait
          @4430
          @5000 {goes_on}
        "
    ));
    begin().expect(&format!(
        "
        4410 b: hear 10.0.0.2 50
        4435 b: hear 10.0.0.2 0
          @4430
          = {goes_on}
        4500 wait
        "
    ));
}

#[test]
fn a_limit_that_has_passed_already_ends_a_move_at_once_and_is_nobodys_lateness() {
    let mut player = holder(&[]);
    player.now = crate::Instant::from_nanos(4_100_000_000);
    for way in [crate::Way::Offered, crate::Way::Asked { to: "10.0.0.2".parse().unwrap() }] {
        let wish = crate::Handover {
            way,
            until: crate::Instant::from_nanos(0),
            cause: crate::Cause::AdminDrain,
            hold: None,
        };
        let command = crate::OperatorCommand {
            instance: "web".into(),
            action: crate::OperatorAction::Handover(wish),
            actor: alloc::sync::Arc::default(),
            expected_revision: None,
            dry_run: false,
        };
        player.handle(crate::Input::Operator(command));
        let answer = player.handle(crate::Input::Deadline);
        assert!(answer.starts_with("handover_failed (ADMIN_DRAIN"), "{answer}");
        assert!(!answer.contains("stalled"), "{answer}");
        assert_eq!(player.status().state, crate::StateName::Active);
    }
}
