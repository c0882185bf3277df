//! Other nodes' words, as scripts: what is told of a split brain, who yields, and what silence does not do.

use std::string::ToString;
use std::vec::Vec;

use crate::StateName;
use crate::fixtures::config;
use crate::fixtures::script::{Player, changed};

/// Active since 3609.375 ms, at 10.0.0.1 with priority 100.
fn active() -> Player {
    let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
    player.run("0 up");
    player.run("3700 applied");
    assert_eq!(player.status().state, StateName::Active);
    player
}

#[test]
fn two_that_say_that_they_are_active_are_told_after_the_grace_and_again_when_it_is_over() {
    let mut player = active();
    player.expect(
        "
        3800 word b 10.0.0.2 50
        4299 wait
        4301 wait
          @4300 duplicate_active_began (DUPLICATE_ACTIVE), announce
        4400 word b 10.0.0.2 50
        4700 wait
          @4609.375 advert 100
        4800 word b none
          = duplicate_active_ended (DUPLICATE_ACTIVE), announce
        ",
    );
    let text = player.events.iter().find(|event| event.type_name().ends_with("began")).unwrap().to_string();
    let both = "10.0.0.2 is Active too, although this node is (peer 10.0.0.2, peer priority 50, own priority 100, peers/b, \
                b says over the control plane that it is Active and that it hears nobody else; \
                its adverts do not arrive here)";
    assert_eq!(text, both);
}

#[test]
fn an_ordinary_change_of_the_active_router_is_over_within_the_grace() {
    active().expect(
        "
        3800 word b 10.0.0.2 200
        4200 word b none
        4600 wait
        ",
    );
}

#[test]
fn the_last_word_of_a_node_that_died_is_none() {
    let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
    player.run("0 up");
    player.run("100 word b 10.0.0.2 200 yield");
    player.expect(
        "
        4600 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4601 word b 10.0.0.2 200 yield stale
        4602 word b none
        ",
    );
}

#[test]
fn silence_and_words_alone_make_nobody_active_and_keep_nobody_from_it() {
    let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
    player.run("0 up");
    player.expect(
        "
        1000 word b 10.0.0.2 200 yield
        1001 word b none
        3610 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_loser_yields_if_it_is_to_and_stays_so_as_long_as_the_winner_says_that_it_is_active() {
    let mut player = active();
    player.expect(
        "
        3800 word b 10.0.0.2 200 yield
        4301 wait
          @4300 duplicate_active_began (DUPLICATE_ACTIVE), advert 100, release, duplicate_active_ended (DUPLICATE_ACTIVE), ACTIVE > BACKUP (DUPLICATE_ACTIVE)
        20000 wait
          @7909.375
          @11518.75
          @15128.125
          @18737.5
        20001 word b none
        22347 wait
          @22346.875 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn an_advert_of_the_winner_ends_the_belief_in_its_word() {
    let mut player = active();
    player.run("3800 word b 10.0.0.2 200 yield");
    player.run("4301 wait");
    player.expect(
        "
        5000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        8610 wait
          @8609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_winner_of_the_election_does_not_yield() {
    for peer in ["10.0.0.2 99 yield", "10.0.0.0 100 yield"] {
        let mut player = active();
        player.run(&("3800 word b ".to_string() + peer));
        player.run("4301 wait");
        assert_eq!(player.status().state, StateName::Active, "{peer}");
        assert!(player.status().rival.is_some(), "{peer}");
    }
}

#[test]
fn a_rival_that_is_heard_and_says_so_has_gone_when_neither_holds() {
    let mut player = active();
    player.run("4700 hear 10.0.0.2 50");
    player.run("4701 word b 10.0.0.2 50");
    // Its adverts are gone after 3.6 s.
    player.run("9000 wait");
    assert_eq!(player.status().rival, Some("10.0.0.2".parse().unwrap()));
    player.expect(
        "
        9001 word b none
          = duplicate_active_ended (DUPLICATE_ACTIVE), announce
        ",
    );
    let types: Vec<&str> = player.events.iter().map(crate::Event::type_name).collect();
    assert_eq!(types.iter().filter(|name| name.contains("duplicate")).count(), 2, "{types:?}");
}

#[test]
fn a_split_brain_that_was_only_told_is_yielded_as_soon_as_the_policy_says_so() {
    let mut player = active();
    player.run("3800 word b 10.0.0.2 200");
    player.run("4301 wait");
    assert_eq!(player.status().rival, Some("10.0.0.2".parse().unwrap()));
    player.expect(
        "
        5000 word b 10.0.0.2 200 yield
          @4609.375 advert 100
          = advert 100, release, duplicate_active_ended (DUPLICATE_ACTIVE), ACTIVE > BACKUP (DUPLICATE_ACTIVE)
        ",
    );
}

#[test]
fn the_winner_that_becomes_the_loser_yields_at_once() {
    let mut player = active();
    player.run("3800 word b 10.0.0.2 99 yield");
    player.run("4301 wait");
    assert_eq!(player.status().rival, Some("10.0.0.2".parse().unwrap()));
    player.expect(
        "
        4400 override 98
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 98 (ADMIN_PRIORITY by alice), advert 98, advert 98, release, duplicate_active_ended (DUPLICATE_ACTIVE), ACTIVE > BACKUP (DUPLICATE_ACTIVE), answer Ok(())
        ",
    );
}

#[test]
fn what_a_planned_move_put_off_is_told_when_it_ends_and_is_nobodys_lateness() {
    let mut player = active();
    player.run("3750 handover to=10.0.0.3 for=3000");
    player.run("3800 word b 10.0.0.2 50");
    player.expect(
        "
        6751 wait
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @6750 handover_failed (ADMIN_TRANSFER by alice), announce, duplicate_active_began (DUPLICATE_ACTIVE), announce
        ",
    );
}

#[test]
fn what_a_third_router_says_meanwhile_does_not_undo_a_release() {
    let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
    player.run("0 up");
    player.run("3000 hear 10.0.0.2 200");
    player.run("3001 word b 10.0.0.2 200 yield");
    player.run("3500 hear 10.0.0.2 0");
    // Two take over at once, and the worse says so once before it yields.
    player.run("4110 hear 10.0.0.3 99");
    player.run("4900 word b 10.0.0.2 200 yield");
    player.run("7108 word b 10.0.0.2 200 yield");
    assert_eq!(player.status().state, StateName::Active);
    player.run("7700 word b 10.0.0.2 200 yield");
    assert_eq!(player.status().state, StateName::Backup);
}

#[test]
fn who_has_sent_priority_zero_may_say_that_it_is_active_until_somebody_has_settled() {
    let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
    player.run("0 up");
    player.run("3000 hear 10.0.0.2 200");
    player.run("3001 word b 10.0.0.2 200 yield");
    player.run("3500 hear 10.0.0.2 0");
    // Its offer goes on, whatever takes it so long.
    player.expect(
        "
        4900 word b 10.0.0.2 200 yield
          @4109.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        5500 wait
          @5109.375 advert 100
        7108 wait
          @6109.375 advert 100
        7110 word b 10.0.0.2 200 yield
          @7109.375 advert 100
        7611 wait
          @7609.375 duplicate_active_began (DUPLICATE_ACTIVE), advert 100, release, duplicate_active_ended (DUPLICATE_ACTIVE), ACTIVE > BACKUP (DUPLICATE_ACTIVE)
        ",
    );
}

#[test]
fn the_next_rival_is_told_when_the_first_no_longer_says_that_it_is_one() {
    let mut player = active();
    player.run("3750 hear 10.0.0.3 50");
    player.run("3800 word b 10.0.0.2 60");
    player.run("3800 word c 10.0.0.3 50");
    player.run("4700 hear 10.0.0.3 50");
    player.expect(
        "
        5000 word b none
        5001 wait
        ",
    );
    assert_eq!(player.status().rival, Some("10.0.0.3".parse().unwrap()));
}
