//! The state machine: every state with every event (RFC 9568 §6.4, RFC 3768 §6.4, and what ha-agent adds), as scripts.

use core::time::Duration;
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use crate::event::{EventKind, StateName};
use crate::fixtures::config;
use crate::fixtures::script::{Player, changed, millis, play};

// Initialize (RFC 9568 §6.4.1)

#[test]
fn without_its_link_an_instance_waits_in_initialize() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        100000 wait
        100000 hear 10.0.0.2 200
        200000 wait
        ",
    );
}

#[test]
fn an_address_owner_becomes_active_at_startup() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255"]),
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        1000 wait
          @1000 advert 255
        ",
    );
}

#[test]
fn everybody_else_becomes_backup_at_startup() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3000 wait
        ",
    );
}

#[test]
fn a_startup_delay_is_listening_without_taking_part() {
    play(
        &changed(config("web", 7, 100), &["quiet", "startup_delay=10000"]),
        "
        0 up
        5000 hear 10.0.0.2 50
        10000 wait
          @10000 INITIALIZE > BACKUP (AGENT_START)
        13609.375 wait
          @13609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_link_that_comes_up_late_does_not_cut_the_startup_delay_short() {
    play(
        &changed(config("web", 7, 100), &["quiet", "startup_delay=10000"]),
        "
        0 down
          = INITIALIZE > FAULT (INTERFACE_CHANGED)
        3000 up
          = FAULT > INITIALIZE (INTERFACE_CHANGED)
        10000 wait
          @10000 INITIALIZE > BACKUP (INTERFACE_CHANGED)
        12000 down
          = BACKUP > FAULT (INTERFACE_CHANGED)
        13000 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        13001 wait
        ",
    );
}

// Backup (RFC 9568 §6.4.2)

#[test]
fn backup_takes_over_when_active_down_timer_fires_advert_first_then_addresses_then_announcements() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.374999 wait
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn backup_that_hears_priority_0_waits_skew_time() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        1500 hear 10.0.0.2 0
        2109.374999 wait
        2109.375 wait
          @2109.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        ",
    );
}

#[test]
fn repeated_priority_0_does_not_lengthen_the_wait() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 0
        1300 hear 10.0.0.2 0
        1600 hear 10.0.0.3 0
        1609.375 wait
          @1609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        ",
    );
}

#[test]
fn priority_0_is_forgotten_when_another_active_router_is_heard() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 0
        1300 hear 10.0.0.3 150
          = active_observed (ADVERTISEMENT)
        4909.374999 wait
        4909.375 wait
          @4909.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_higher_priority_restarts_active_down_timer() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3000 hear 10.0.0.2 101
          = active_observed (ADVERTISEMENT)
        6609.374999 wait
        6609.375 wait
          @6609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn an_equal_priority_restarts_active_down_timer_whatever_its_address() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3000 hear 10.0.0.2 100
          = active_observed (ADVERTISEMENT)
        6000 hear 9.0.0.2 100
        9609.374999 wait
        9609.375 wait
          @9609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_lower_priority_is_discarded_while_the_timer_runs_on() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 99
        2000 hear 10.0.0.2 99
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

#[test]
fn without_preempt_mode_a_lower_priority_restarts_the_timer() {
    play(
        &changed(config("web", 7, 100), &["quiet", "nopreempt"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 99
          = active_observed (ADVERTISEMENT)
        4609.374999 wait
        4609.375 wait
          @4609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_interval_of_the_active_router_is_adopted() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 interval=2000
          = differs IntervalDiffers, active_observed (ADVERTISEMENT)
        8218.749999 wait
        8218.75 wait
          @8218.75 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_interval_of_a_discarded_advert_is_not_adopted() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 50 interval=2000
          = differs IntervalDiffers
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

#[test]
fn a_shorter_interval_is_adopted_too() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 interval=10
          = differs IntervalDiffers, active_observed (ADVERTISEMENT)
        1036.093749 wait
        1036.09375 wait
          @1036.09375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn an_adopted_interval_is_cut_to_the_bound() {
    play(
        &changed(config("web", 7, 100), &["quiet", "longest=5000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 interval=40950
          = differs IntervalTooLong, active_observed (ADVERTISEMENT)
        19046.874999 wait
        19046.875 wait
          @19046.875 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_bound_that_is_no_whole_centisecond_still_binds() {
    play(
        &changed(config("web", 7, 100), &["quiet", "longest=5005.5"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 interval=40950
          = differs IntervalTooLong, active_observed (ADVERTISEMENT)
        19046.874999 wait
        19046.875 wait
          @19046.875 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_bound_is_never_below_the_own_interval() {
    play(
        &changed(config("web", 7, 100), &["quiet", "longest=10"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        4609.374999 wait
        4609.375 wait
          @4609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn skew_time_after_priority_0_is_of_the_adopted_interval() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 interval=2000
          = differs IntervalDiffers, active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 0 interval=2000
        3218.749999 wait
        3218.75 wait
          @3218.75 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        ",
    );
}

#[test]
fn a_backup_that_stops_sends_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 stop
          = BACKUP > INITIALIZE (AGENT_STOP)
        9000 wait
        9000 hear 10.0.0.2 50
        9000 up
        ",
    );
}

#[test]
fn a_preempt_delay_tolerates_a_worse_active_router_for_a_while() {
    play(
        &changed(config("web", 7, 100), &["quiet", "preempt_delay=5000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 99
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 99
        3000 hear 10.0.0.2 99
        4000 hear 10.0.0.2 99
        5000 hear 10.0.0.2 99
        6000 hear 10.0.0.2 99
        7000 hear 10.0.0.2 99
        8000 hear 10.0.0.2 99
        8609.375 wait
          @8609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PREEMPT_DELAY_EXPIRED)
        ",
    );
}

#[test]
fn a_preempt_delay_does_not_delay_the_takeover_from_a_silent_router() {
    play(
        &changed(config("web", 7, 100), &["quiet", "preempt_delay=60000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 99
          = active_observed (ADVERTISEMENT)
        4609.375 wait
          @4609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_preempt_delay_does_not_delay_the_takeover_from_a_released_router() {
    play(
        &changed(config("web", 7, 100), &["quiet", "preempt_delay=60000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 99
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 0
        2609.375 wait
          @2609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        ",
    );
}

#[test]
fn a_better_router_in_between_ends_the_preempt_delay() {
    play(
        &changed(config("web", 7, 100), &["quiet", "preempt_delay=5000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 99
          = active_observed (ADVERTISEMENT)
        3000 hear 10.0.0.3 101
        6000 hear 10.0.0.2 99
        9609.374999 wait
        9609.375 wait
          @9609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn an_address_owner_in_backup_preempts_whatever_is_configured() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255", "nopreempt", "preempt_delay=60000"]),
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        500 hear 10.0.0.9 255
          = advert 255, release, ACTIVE > BACKUP (PEER_EQUAL_PRIORITY_HIGHER_ADDRESS), active_observed (ADVERTISEMENT)
        1000 hear 10.0.0.2 99
        2000 hear 10.0.0.2 99
        3000 hear 10.0.0.2 99
        3503.90625 wait
          @3503.90625 advert 255, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

// Active (RFC 9568 §6.4.3)

#[test]
fn active_sends_an_advert_each_interval() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        6609.375 wait
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
        ",
    );
}

#[test]
fn active_answers_priority_0_with_an_advert_and_restarts_its_timer() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 0
          = advert 100
        4999.999999 wait
        5000 wait
          @5000 advert 100, announce
        ",
    );
}

#[test]
fn active_yields_to_a_higher_priority_and_says_so_once() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 101
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        7609.374999 wait
        7609.375 wait
          @7609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn active_that_yields_adopts_the_interval() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 200 interval=2000
          = differs IntervalDiffers, advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        11218.749999 wait
        11218.75 wait
          @11218.75 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn active_yields_to_an_equal_priority_with_a_higher_address() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 100
          = advert 100, release, ACTIVE > BACKUP (PEER_EQUAL_PRIORITY_HIGHER_ADDRESS), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn addresses_are_compared_as_unsigned_numbers_in_network_order() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 200.0.0.1 100
          = advert 100, release, ACTIVE > BACKUP (PEER_EQUAL_PRIORITY_HIGHER_ADDRESS), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn active_answers_an_equal_priority_with_a_lower_address_at_once() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 9.255.255.255 100
          = advert 100
        5000 wait
          @5000 advert 100, announce
        ",
    );
}

#[test]
fn active_answers_a_lower_priority_at_once() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 99
          = advert 100
        5000 wait
          @5000 advert 100, announce
        ",
    );
}

#[test]
fn a_flood_of_losing_adverts_is_answered_ten_times_an_interval_at_most() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 99
          = advert 100
        4010 hear 10.0.0.2 99
        4020 hear 10.0.0.2 99
        4150 hear 10.0.0.2 99
          @4100 advert 100
        4160 hear 10.0.0.2 99
        4320 wait
          @4200 advert 100
        4321 hear 10.0.0.2 99
          = advert 100
        ",
    );
}

#[test]
fn active_that_stops_releases_with_priority_0() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 stop
          = advert 0, release, ACTIVE > INITIALIZE (AGENT_STOP)
        9000 wait
        ",
    );
}

#[test]
fn of_two_address_owners_the_higher_address_stays() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255"]),
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        100 hear 10.0.0.0 255
          = advert 255
        200 hear 10.0.0.2 255
          = advert 255, release, ACTIVE > BACKUP (PEER_EQUAL_PRIORITY_HIGHER_ADDRESS), active_observed (ADVERTISEMENT)
        3200 hear 10.0.0.2 255
        6203.90625 wait
          @6203.90625 advert 255, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn priority_254_yields_to_an_address_owner() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=254"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3007.8125 wait
          @3007.8125 advert 254, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 255
          = advert 254, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        ",
    );
}

// VRRPv2 (RFC 3768)

#[test]
fn v2_skew_is_a_part_of_a_second_whatever_the_interval() {
    play(
        &changed(config("web", 7, 100), &["quiet", "v2", "interval=10000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        30609.374999 wait
        30609.375 wait
          @30609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        40609.375 wait
          @40609.375 advert 100
        ",
    );
}

#[test]
fn v2_priority_0_waits_the_v2_skew() {
    play(
        &changed(config("web", 7, 100), &["quiet", "v2", "interval=10000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        5000 hear 10.0.0.2 0
        5609.374999 wait
        5609.375 wait
          @5609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (PEER_PRIORITY_ZERO)
        ",
    );
}

#[test]
fn v2_adverts_with_another_interval_change_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet", "v2"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 interval=2000
          = discarded INTERVAL_MISMATCH
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn v2_adverts_with_a_password_that_we_do_not_have_change_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet", "v2"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200 password=secret
          = discarded AUTHENTICATION_TYPE_MISMATCH
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3700 hear 10.0.0.2 200 password=secret
        ",
    );
}

// Fault

#[test]
fn a_link_that_goes_down_releases_with_the_old_source_and_recovers_by_itself() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 down
          = advert 0, release, ACTIVE > FAULT (INTERFACE_CHANGED)
        5000 missing
        6000 nocarrier
        7000 noaddress
        8000 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        11609.375 wait
          @11609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_backup_without_link_is_in_fault_and_hears_nothing_of_timers() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 nocarrier
          = BACKUP > FAULT (INTERFACE_CHANGED)
        9000 wait
        9000 hear 10.0.0.2 50
        10000 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        13609.375 wait
          @13609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn an_address_owner_leaves_fault_as_active() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255"]),
        "
        0 down
          = INITIALIZE > FAULT (INTERFACE_CHANGED)
        1000 up
          = advert 255, own 10.9.0.7/32, announce takeover, FAULT > ACTIVE (ADDRESS_OWNER)
        ",
    );
}

#[test]
fn a_configured_source_that_the_link_does_not_have_is_a_fault() {
    play(
        &changed(config("web", 7, 100), &["quiet", "source=10.0.0.5"]),
        "
        0 up
          = INITIALIZE > FAULT (INTERFACE_CHANGED)
        1000 up 10.0.0.1 10.0.0.5
          = FAULT > BACKUP (INTERFACE_CHANGED)
        ",
    );
}

#[test]
fn a_source_that_moves_is_used_at_once() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 up 10.0.0.200
          = advert 100
        4100 hear 10.0.0.100 100
          = advert 100
        4200 hear 10.0.0.200 99
        ",
    );
}

#[test]
fn a_refused_address_is_given_up_and_tried_again_with_growing_pauses() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3700 applied no space
          = failed (ADDRESS_FAILED), advert 0, release, ACTIVE > FAULT (ADDRESS_FAILED)
        13700 wait
          @13700 FAULT > BACKUP (ADDRESS_FAILED)
        17309.375 wait
          @17309.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        17309.375 applied no space
          = failed (ADDRESS_FAILED), advert 0, release, ACTIVE > FAULT (ADDRESS_FAILED)
        37309.375 wait
          @37309.375 FAULT > BACKUP (ADDRESS_FAILED)
        40918.75 wait
          @40918.75 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        41000 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        41000 applied no space
        42000 hear 10.0.0.2 101
          @41918.75 advert 100
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        42000 applied
          = addresses_released (PEER_HIGHER_PRIORITY)
        45609.375 wait
          @45609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        46000 applied no space
          = failed (ADDRESS_FAILED), advert 0, release, ACTIVE > FAULT (ADDRESS_FAILED)
        56000 wait
          @56000 FAULT > BACKUP (ADDRESS_FAILED)
        ",
    );
}

#[test]
fn the_outcome_of_an_old_ownership_means_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3609.375 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        3700 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        3701 outcome 1 no space
        3702 outcome 2
          = addresses_held (ACTIVE_DOWN_TIMER)
        3703 outcome 2
        ",
    );
}

#[test]
fn a_refused_release_is_told_but_changes_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 hear 10.0.0.2 101
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        4000 applied busy
          = failed (ADDRESS_FAILED)
        ",
    );
}

#[test]
fn other_addresses_end_the_pause_after_a_refusal() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3700 applied no space
          = failed (ADDRESS_FAILED), advert 0, release, ACTIVE > FAULT (ADDRESS_FAILED)
        4000 reload addresses=10.9.0.8
          = changed (CONFIG_RELOAD)
        4000 wait
          @4000 FAULT > BACKUP (ADDRESS_FAILED)
        ",
    );
}

#[test]
fn a_lost_address_is_put_back_and_announced_five_times_a_minute() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3610 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4000 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        4000 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4001 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        4001 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4002 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        4002 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4003 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        4003 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4004 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        4004 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4005 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), advert 0, release, ACTIVE > FAULT (ADDRESS_CONFLICT)
        64005 wait
          @64005 FAULT > BACKUP (ADDRESS_CONFLICT)
        ",
    );
}

#[test]
fn losses_are_counted_anew_after_a_minute() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255", "interval=30000"]),
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        0 applied
          = addresses_held (ADDRESS_OWNER)
        0 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        0 applied
          = addresses_held (ADDRESS_OWNER)
        0 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        0 applied
          = addresses_held (ADDRESS_OWNER)
        0 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        0 applied
          = addresses_held (ADDRESS_OWNER)
        0 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        0 applied
          = addresses_held (ADDRESS_OWNER)
        0 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        0 applied
          = addresses_held (ADDRESS_OWNER)
        60000.000001 lost 10.9.0.7
          @30000 advert 255
          @60000 advert 255
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        60000.000001 applied
          = addresses_held (ADDRESS_OWNER)
        60000.000001 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), own 10.9.0.7/32, announce
        ",
    );
}

#[test]
fn many_addresses_lost_at_once_are_one_loss() {
    play(
        &changed(config("web", 7, 100), &["quiet", "addresses=10.9.0.1,10.9.0.2,10.9.0.3"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.1/32 10.9.0.2/32 10.9.0.3/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3610 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4000 lost 10.9.0.1
          = lost (ADDRESS_CONFLICT), own 10.9.0.1/32 10.9.0.2/32 10.9.0.3/32, announce
        4000 lost 10.9.0.2
          = lost (ADDRESS_CONFLICT), own 10.9.0.1/32 10.9.0.2/32 10.9.0.3/32
        4000 lost 10.9.0.3
          = lost (ADDRESS_CONFLICT), own 10.9.0.1/32 10.9.0.2/32 10.9.0.3/32
        4001 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_lost_address_can_mean_release() {
    play(
        &changed(config("web", 7, 100), &["quiet", "release"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3610 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4000 lost 10.9.0.7
          = lost (ADDRESS_CONFLICT), advert 0, release, ACTIVE > FAULT (ADDRESS_CONFLICT)
        64000 wait
          @64000 FAULT > BACKUP (ADDRESS_CONFLICT)
        ",
    );
}

#[test]
fn a_lost_address_that_is_not_ours_or_not_held_means_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 lost 10.9.0.7
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3700 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        4000 lost 10.9.0.8
        ",
    );
}

// Announcements

#[test]
fn a_takeover_is_announced_in_two_bursts() {
    play(
        &config("web", 7, 100),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3620 announced
          = announced (ACTIVE_DOWN_TIMER)
        3621 announced
        4500 wait
          @3709.375 announce
          @3809.375 announce
          @3909.375 announce
          @4009.375 announce
        9500 wait
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @7609.375 advert 100
          @8609.375 advert 100, announce
          @8709.375 announce
          @8809.375 announce
          @8909.375 announce
          @9009.375 announce
        ",
    );
}

#[test]
fn addresses_are_announced_again_for_ever_when_a_refresh_is_configured() {
    play(
        &changed(config("web", 7, 100), &["quiet", "refresh=10000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        33700 wait
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @7609.375 advert 100
          @8609.375 advert 100
          @9609.375 advert 100
          @10609.375 advert 100
          @11609.375 advert 100
          @12609.375 advert 100
          @13609.375 advert 100, announce
          @14609.375 advert 100
          @15609.375 advert 100
          @16609.375 advert 100
          @17609.375 advert 100
          @18609.375 advert 100
          @19609.375 advert 100
          @20609.375 advert 100
          @21609.375 advert 100
          @22609.375 advert 100
          @23609.375 advert 100, announce
          @24609.375 advert 100
          @25609.375 advert 100
          @26609.375 advert 100
          @27609.375 advert 100
          @28609.375 advert 100
          @29609.375 advert 100
          @30609.375 advert 100
          @31609.375 advert 100
          @32609.375 advert 100
          @33609.375 advert 100, announce
        ",
    );
}

#[test]
fn a_rival_is_told_when_it_begins_and_ends_and_addresses_are_announced_at_both() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        10000 hear 10.0.0.2 99
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @7609.375 advert 100
          @8609.375 advert 100
          @9609.375 advert 100
          = advert 100, duplicate_active_began (DUPLICATE_ACTIVE), announce
        11000 hear 10.0.0.2 99
          @11000 advert 100
        14609.375 wait
          @11100 advert 100
          @12100 advert 100
          @13100 advert 100
          @14100 advert 100
          @14609.375 duplicate_active_ended (DUPLICATE_ACTIVE), announce
        15000 wait
        ",
    );
}

#[test]
fn the_release_of_a_rival_ends_the_rivalry() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        10000 hear 10.0.0.2 99
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @7609.375 advert 100
          @8609.375 advert 100
          @9609.375 advert 100
          = advert 100, duplicate_active_began (DUPLICATE_ACTIVE), announce
        10500 hear 10.0.0.3 0
          = advert 100
        10600 hear 10.0.0.2 0
          = advert 100, duplicate_active_ended (DUPLICATE_ACTIVE), announce
        ",
    );
}

#[test]
fn yielding_to_a_rival_ends_the_rivalry() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        10000 hear 10.0.0.2 99
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @7609.375 advert 100
          @8609.375 advert 100
          @9609.375 advert 100
          = advert 100, duplicate_active_began (DUPLICATE_ACTIVE), announce
        10500 hear 10.0.0.2 101
          = advert 100, release, duplicate_active_ended (DUPLICATE_ACTIVE), ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn a_rival_that_comes_and_goes_is_told_once_a_second() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        10000 hear 10.0.0.2 99
          @4609.375 advert 100
          @5609.375 advert 100
          @6609.375 advert 100
          @7609.375 advert 100
          @8609.375 advert 100
          @9609.375 advert 100
          = advert 100, duplicate_active_began (DUPLICATE_ACTIVE), announce
        10001 hear 10.0.0.2 0
          = duplicate_active_ended (DUPLICATE_ACTIVE), announce
        10002 hear 10.0.0.2 99
        10003 hear 10.0.0.2 0
        10004 hear 10.0.0.2 99
        11002 hear 10.0.0.2 99
          @10100 advert 100
          @11001 announce
          = advert 100, duplicate_active_began (DUPLICATE_ACTIVE), announce
        ",
    );
}

#[test]
fn what_a_rival_still_announces_after_its_release_is_not_the_last_that_neighbours_hear() {
    let released = |policy: &str| {
        let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet", policy])]);
        player.run("0 up");
        player.run("10000 hear 10.0.0.2 99");
        player.run("10001 hear 10.0.0.2 0");
        player
    };
    released("repeat=1").expect(
        "
        11050 wait
          @10100 advert 100
          @11001 announce
        ",
    );
    released("repeat=2").expect(
        "
        11050 wait
          @10100 advert 100
          @10101 announce
        ",
    );
}

#[test]
fn an_advert_that_crosses_ours_at_takeover_is_no_rival_but_we_announce_once_more() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3610 hear 10.0.0.2 99
        5000 wait
          @3709.375 advert 100
          @4610 announce
          @4709.375 advert 100
        ",
    );
}

// Late wake-ups

#[test]
fn time_in_which_a_backup_did_not_run_is_no_silence() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        20000 sleep
        20000 wake
          @20000 stalled 17500
        22109.374999 wait
        22109.375 wait
          @22109.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_backup_that_was_away_stays_backup_when_it_hears_the_active_router() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        20000 sleep
        20000 wake
          @20000 stalled 17500
        20900 hear 10.0.0.2 200
        24509.374999 wait
        24509.375 wait
          @24509.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_backup_that_was_away_reads_what_arrived_before_its_timer() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        20000 sleep hear
          = stalled 17500
        20000 wake
        ",
    );
}

#[test]
fn a_standstill_delays_the_takeover_by_its_length_and_what_was_not_seen_of_it_is_less_than_an_interval_and_a_half()
 {
    // (the node stands still from, to, takes over); the last advert was heard at 1000, Active_Down_Interval is 3609.375.
    let table = [
        (1000, 1500, "4609.375"),
        (1000, 2500, "4609.375"),
        (1000, 2624, "4609.375"),
        (1000, 2625, "4734.375"),
        (1000, 4500, "6609.375"),
        (1900, 6000, "8109.375"),
        (2600, 3600, "4609.375"),
        (3400, 9000, "10109.375"),
        (4000, 4800, "4909.375"),
        (4550, 4700, "4700"),
        // Late at the very end: it listens as long again, and at most an interval and its skew.
        (4550, 4800, "4990.625"),
        (4550, 5600, "6590.625"),
        (4550, 90_000, "91609.375"),
    ];
    for (from, to, takeover) in table {
        let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
        player.run("0 up");
        player.run("1000 hear 10.0.0.2 200");
        player.run(&format!("{from} wait"));
        player.run(&format!("{to} sleep"));
        player.run(&format!("{to} wake"));
        player.run("100000 wait");
        let active = player
            .events
            .iter()
            .find(|event| matches!(event.kind, EventKind::StateChanged { to: StateName::Active, .. }));
        assert_eq!(active.map(|event| millis(event.at)).as_deref(), Some(takeover), "from {from} to {to}");
    }
}

#[test]
fn a_backup_that_was_away_says_so_when_it_takes_over() {
    let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
    for command in ["0 up", "1000 hear 10.0.0.2 200", "1500 wait", "3500 sleep", "10000 wait"] {
        player.run(command);
    }
    assert_eq!(
        player.events.last().map(ToString::to_string).as_deref(),
        Some(
            "BACKUP to ACTIVE: ACTIVE_DOWN_TIMER (peer 10.0.0.2, peer priority 200, own priority 100, \
             last advert 4.609s ago, limit 3.609s, did not run for 1.000s)"
        )
    );
}

#[test]
fn a_backup_that_is_always_late_takes_over_all_the_same() {
    for late in [100, 130, 500, 1000, 3000, 10_000] {
        let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet"])]);
        player.run("0 up");
        for _ in 0..6 {
            let (due, _) = player.engine.next_deadline().unwrap();
            let at = due.after(Duration::from_millis(late));
            player.run(&format!("{} sleep", millis(at)));
            player.run(&format!("{} wake", millis(at)));
        }
        assert_eq!(player.status().state, StateName::Active, "{late} ms");
    }
}

#[test]
fn an_active_router_that_was_away_yields_to_whoever_took_over() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        13000 sleep hear 50
          = stalled 8390.625, release, ACTIVE > BACKUP (AGENT_STALLED)
        13000 wake
        20000 wait
          @16609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
          @17609.375 advert 100
          @18609.375 advert 100
          @19609.375 advert 100
        ",
    );
}

#[test]
fn an_active_router_that_was_away_alone_owns_and_announces_again() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        13000 sleep
        13000 wake
          @13000 stalled 8390.625, advert 100, own 10.9.0.7/32, announce
        14000 wait
          @14000 advert 100
        ",
    );
}

#[test]
fn an_active_router_that_is_a_little_late_keeps_its_beat() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4900 sleep
        4900 wake
          @4900 advert 100
        5609.375 wait
          @5609.375 advert 100
        ",
    );
}

#[test]
fn an_active_router_that_is_an_interval_late_starts_a_new_beat() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        5900 sleep
        5900 wake
          @5900 stalled 1290.625, advert 100
        6900 wait
          @6900 advert 100
        ",
    );
}

#[test]
fn an_address_that_went_with_its_lease_during_a_stall_is_no_conflict() {
    play(
        &changed(config("web", 7, 100), &["quiet", "release"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        3610 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        6500 sleep
        6500 wake
          @6500 stalled 1890.625, advert 100
        6500 lost 10.9.0.7
          = lost (AGENT_STALLED), own 10.9.0.7/32, announce
        ",
    );
}

// Operators

#[test]
fn a_lowered_active_router_tells_its_peers_at_once_and_the_operator_is_named() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 50
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 50 (ADMIN_PRIORITY by alice), advert 50, answer Ok(())
        4100 hear 10.0.0.2 99
          = advert 50, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY by alice), active_observed (ADVERTISEMENT)
        9000 clear
          @7904.6875 advert 50, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
          @8904.6875 advert 50
          = override_cleared (ADMIN_PRIORITY by alice), priority 50 > 100 (ADMIN_PRIORITY by alice), advert 100, answer Ok(())
        20000 wait
          @10000 advert 100
          @11000 advert 100
          @12000 advert 100
          @13000 advert 100
          @14000 advert 100
          @15000 advert 100
          @16000 advert 100
          @17000 advert 100
          @18000 advert 100
          @19000 advert 100
          @20000 advert 100
        ",
    );
}

#[test]
fn a_raised_backup_preempts_and_the_operator_is_named() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 150
          = active_observed (ADVERTISEMENT)
        1500 override 200
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 200 (ADMIN_PRIORITY by alice), answer Ok(())
        2000 hear 10.0.0.2 150
        3000 hear 10.0.0.2 150
        4218.75 wait
          @4218.75 advert 200, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT by alice)
        ",
    );
}

#[test]
fn an_override_ends_by_itself() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 override 200 for=5000
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 200 (ADMIN_PRIORITY by alice), answer Ok(())
        2000 hear 10.0.0.2 150
        4218.75 wait
          @3218.75 advert 200, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT by alice)
          @4218.75 advert 200
        6500 wait
          @5218.75 advert 200
          @6000 override_cleared (OVERRIDE_EXPIRED), priority 200 > 100 (OVERRIDE_EXPIRED), advert 100
        ",
    );
}

#[test]
fn a_dry_run_changes_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 50 dry
          = answer Ok(())
        4000 clear dry
          = answer Ok(())
        4500 wait
        ",
    );
}

#[test]
fn a_stale_revision_is_refused() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 50 revision=7
          = answer Err(RevisionMismatch { current: 1 })
        4000 override 50 revision=1
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 50 (ADMIN_PRIORITY by alice), advert 50, answer Ok(())
        4000 clear revision=1
          = answer Err(RevisionMismatch { current: 2 })
        4000 clear revision=2
          = override_cleared (ADMIN_PRIORITY by alice), priority 50 > 100 (ADMIN_PRIORITY by alice), advert 100, answer Ok(())
        ",
    );
}

#[test]
fn priority_255_is_not_for_operators() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 255
          = answer Err(AddressOwner)
        ",
    );
}

#[test]
fn an_address_owner_is_not_overridden() {
    play(
        &changed(config("web", 7, 100), &["quiet", "priority=255"]),
        "
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        1 override 100
          = answer Err(AddressOwner)
        ",
    );
}

#[test]
fn an_unknown_instance_is_refused() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 50 name=nobody
          = answer Err(UnknownInstance)
        ",
    );
}

#[test]
fn clearing_nothing_does_nothing_and_makes_nobody_responsible() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 clear
          = answer Ok(())
        4100 hear 10.0.0.2 101
          = advert 100, release, ACTIVE > BACKUP (PEER_HIGHER_PRIORITY), active_observed (ADVERTISEMENT)
        ",
    );
}

#[test]
fn an_operator_is_not_named_for_what_he_did_not_do() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 90
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 90 (ADMIN_PRIORITY by alice), advert 90, answer Ok(())
        4100 down
          = advert 0, release, ACTIVE > FAULT (INTERFACE_CHANGED)
        ",
    );
}

#[test]
fn a_better_override_than_the_peer_keeps_the_addresses_here() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 200
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 200 (ADMIN_PRIORITY by alice), advert 200, answer Ok(())
        4100 hear 10.0.0.2 150
          = advert 200
        ",
    );
}

// Reloads

#[test]
fn the_same_configuration_again_does_nothing() {
    play(
        &config("web", 7, 100),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload
          @3709.375 announce
          @3809.375 announce
          @3909.375 announce
        4000 wait
        ",
    );
}

#[test]
fn another_priority_is_told_to_peers_in_one_advert() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload priority=50
          = changed (CONFIG_RELOAD), priority 100 > 50 (CONFIG_RELOAD), advert 50
        5000 wait
          @5000 advert 50
        ",
    );
}

#[test]
fn another_interval_changes_advert_and_lease_and_nothing_else() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload interval=5000
          = changed (CONFIG_RELOAD), advert 100, own 10.9.0.7/32
        9000 wait
          @9000 advert 100
        ",
    );
}

#[test]
fn an_interval_with_the_same_lease_does_not_touch_addresses() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload interval=900
          = changed (CONFIG_RELOAD), advert 100
        4900 wait
          @4900 advert 100
        ",
    );
}

#[test]
fn other_addresses_are_owned_advertised_and_announced() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload addresses=10.9.0.8,10.9.0.9
          = changed (CONFIG_RELOAD), advert 100, own 10.9.0.8/32 10.9.0.9/32, announce
        5000 wait
          @5000 advert 100
        ",
    );
}

#[test]
fn a_setting_that_nobody_sees_sends_nothing() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload preempt_delay=5000
          = changed (CONFIG_RELOAD)
        4500 reload release
          = changed (CONFIG_RELOAD)
        4700 wait
          @4609.375 advert 100
        ",
    );
}

#[test]
fn a_refresh_that_is_switched_on_begins() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload refresh=1000
          = changed (CONFIG_RELOAD), announce
        6100 wait
          @4609.375 advert 100
          @5000 announce
          @5609.375 advert 100
          @6000 announce
        ",
    );
}

#[test]
fn an_override_survives_a_reload() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 override 50
          = override_set (ADMIN_PRIORITY by alice), priority 100 > 50 (ADMIN_PRIORITY by alice), advert 50, answer Ok(())
        4100 reload priority=120
          = changed (CONFIG_RELOAD)
        4200 clear
          = override_cleared (ADMIN_PRIORITY by alice), priority 50 > 120 (ADMIN_PRIORITY by alice), advert 120, answer Ok(())
        ",
    );
}

#[test]
fn another_vrid_is_another_router_released_first() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload vrid=8
          = advert 0, release, ACTIVE > INITIALIZE (CONFIG_RELOAD), removed (CONFIG_RELOAD), added (CONFIG_RELOAD), INITIALIZE > BACKUP (CONFIG_RELOAD)
        7609.375 wait
          @7609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn becoming_address_owner_is_a_new_start() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload priority=255
          = advert 0, release, ACTIVE > INITIALIZE (CONFIG_RELOAD), removed (CONFIG_RELOAD), added (CONFIG_RELOAD), advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        ",
    );
}

#[test]
fn an_instance_that_is_no_longer_configured_releases() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 unconfigure
          = advert 0, release, ACTIVE > INITIALIZE (CONFIG_RELOAD), removed (CONFIG_RELOAD)
        9000 wait
        ",
    );
}

#[test]
fn a_backup_follows_its_new_interval_while_it_has_heard_nobody() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 reload interval=2000
          = changed (CONFIG_RELOAD)
        7218.749999 wait
        7218.75 wait
          @7218.75 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_backup_keeps_the_interval_of_the_active_router_it_heard() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        1500 reload interval=5000
          = changed (CONFIG_RELOAD)
        4609.375 wait
          @4609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_v2_backup_follows_its_new_interval_always() {
    play(
        &changed(config("web", 7, 100), &["quiet", "v2"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 200
          = active_observed (ADVERTISEMENT)
        1500 reload interval=2000
          = changed (CONFIG_RELOAD)
        7609.374999 wait
        7609.375 wait
          @7609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn another_source_is_used_from_the_reload_on() {
    play(
        &changed(config("web", 7, 100), &["quiet"]),
        "
        0 up 10.0.0.1 10.0.0.5
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload source=10.0.0.5
          = changed (CONFIG_RELOAD), advert 100
        4100 hear 10.0.0.4 100
          = advert 100
        ",
    );
}

// What a transition says about itself

/// Plays commands only, and answers with the sentence of the last transition.
fn last_transition(changes: &[&str], commands: &str) -> String {
    let mut player = Player::new(&[changed(config("web", 7, 100), changes)]);
    commands.split(", ").for_each(|command| player.run(command));
    let moved = |event: &&crate::Event| matches!(event.kind, EventKind::StateChanged { .. });
    player.events.iter().filter(moved).map(ToString::to_string).next_back().unwrap()
}

#[test]
fn each_transition_names_its_cause_and_what_was_measured() {
    let table = [
        ("0 up", "INITIALIZE to BACKUP: AGENT_START"),
        ("0 up, 3609.375 wait", "BACKUP to ACTIVE: ACTIVE_DOWN_TIMER (own priority 100, limit 3.609s)"),
        (
            "0 up, 1000 hear 10.0.0.2 200, 4609.375 wait",
            "BACKUP to ACTIVE: ACTIVE_DOWN_TIMER (peer 10.0.0.2, peer priority 200, own priority 100, last advert \
             3.609s ago, limit 3.609s)",
        ),
        (
            // Whoever was heard after the release is not the reason.
            "0 up, 1000 hear 10.0.0.2 0, 1500 hear 10.0.0.3 50, 1609.375 wait",
            "BACKUP to ACTIVE: PEER_PRIORITY_ZERO (peer 10.0.0.2, peer priority 0, own priority 100, last advert \
             609.375ms ago, limit 1.609s)",
        ),
        (
            "0 up, 3000 hear 10.0.0.3 50, 3609.375 wait",
            "BACKUP to ACTIVE: LOCAL_PREEMPT (peer 10.0.0.3, peer priority 50, own priority 100, last advert \
             609.375ms ago, limit 3.609s)",
        ),
        (
            "0 up, 3609.375 wait, 4000 hear 10.0.0.2 101",
            "ACTIVE to BACKUP: PEER_HIGHER_PRIORITY (peer 10.0.0.2, peer priority 101, own priority 100)",
        ),
        (
            "0 up, 3609.375 wait, 4000 hear 10.0.0.2 100",
            "ACTIVE to BACKUP: PEER_EQUAL_PRIORITY_HIGHER_ADDRESS (peer 10.0.0.2, peer priority 100, own priority 100)",
        ),
        (
            "0 up, 3609.375 wait, 9000 sleep hear 50",
            "ACTIVE to BACKUP: AGENT_STALLED (peer 10.0.0.2, peer priority 50, own priority 100, did not run for 4.391s)",
        ),
        (
            "0 up, 1000 nocarrier",
            "BACKUP to FAULT: INTERFACE_CHANGED (interfaces/eth0, the link has no carrier)",
        ),
        (
            "0 up, 1000 nocarrier, 2000 up",
            "FAULT to BACKUP: INTERFACE_CHANGED (interfaces/eth0, the link has no carrier)",
        ),
        (
            "0 up, 3609.375 wait, 3610 applied no space",
            "ACTIVE to FAULT: ADDRESS_FAILED (the kernel refused an address: no space)",
        ),
        ("0 up, 1000 stop", "BACKUP to INITIALIZE: AGENT_STOP"),
        ("0 up, 1000 unconfigure", "BACKUP to INITIALIZE: CONFIG_RELOAD"),
    ];
    let told: Vec<String> = table.iter().map(|(commands, _)| last_transition(&["quiet"], commands)).collect();
    let expected: Vec<&str> = table.iter().map(|(_, sentence)| *sentence).collect();
    assert_eq!(told, expected);
    let owner = last_transition(&["quiet", "priority=255"], "0 up");
    assert_eq!(owner, "INITIALIZE to ACTIVE: ADDRESS_OWNER");
    let delayed = last_transition(
        &["quiet", "preempt_delay=1"],
        "0 up, 1 hear 10.0.0.3 50, 3 hear 10.0.0.3 50, 9999 wait",
    );
    assert!(delayed.starts_with("BACKUP to ACTIVE: PREEMPT_DELAY_EXPIRED (peer 10.0.0.3"), "{delayed}");
    let contested =
        last_transition(&["quiet", "release"], "0 up, 3609.375 wait, 3610 applied, 3611 lost 10.9.0.7");
    assert_eq!(contested, "ACTIVE to FAULT: ADDRESS_CONFLICT (somebody else keeps removing 10.9.0.7)");
}

#[test]
fn what_it_was_known_as_stays_when_its_link_has_gone() {
    for gone in ["missing", "down", "nocarrier"] {
        let mut player = Player::new(&[changed(config("web", 7, 100), &["quiet", "priority=255"])]);
        assert_eq!(player.status().known_as, None, "it has sent nothing");
        player.run("0 up");
        player.run(&format!("500 {gone}"));
        let status = player.status();
        assert_eq!(status.state, StateName::Fault, "{gone}");
        assert_eq!(status.known_as, Some([10, 0, 0, 1].into()), "{gone}");
    }
}
