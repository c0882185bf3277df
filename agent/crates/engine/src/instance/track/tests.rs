//! Every state with every kind of fact, as scripts.

use crate::event::EventKind;
use crate::fixtures::config;
use crate::fixtures::script::{Player, changed, play};
use crate::{Fault, StateName, Verdict};

fn web(changes: &[&str]) -> crate::InstanceConfig {
    changed(changed(config("web", 7, 100), &["quiet"]), changes)
}

// Weights

#[test]
fn an_active_router_tells_a_changed_priority_at_once_and_restarts_its_timer() {
    play(
        &web(&["track=checks/http:-30"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/http passing
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 fact checks/http failing
          = priority 100 > 70 (CHECK_CHANGED), advert 70
        4999 wait
        5000 wait
          @5000 advert 70
        5100 fact checks/http failing
        5200 fact checks/http passing
          = priority 70 > 100 (CHECK_CHANGED), advert 100
        ",
    );
}

#[test]
fn a_value_that_changes_all_the_time_is_told_ten_times_an_interval_and_the_last_comes_through() {
    let mut player = Player::new(&[web(&["track=checks/load:*1"])]);
    player.run("0 up");
    player.run("4000 wait");
    let before = player.status().counters.sent;
    for step in 0..10_000 {
        player.run(&std::format!("{} fact checks/load passing {}", 4000 + step, 1 + step % 7));
    }
    let sent = player.status().counters.sent - before;
    assert!((100..=120).contains(&sent), "{sent}");
    player.expect(
        "
        13999.5 fact checks/load passing 50
          = priority 104 > 150 (CHECK_CHANGED)
        14999 wait
          @14610 advert 150
        ",
    );
}

#[test]
fn a_backup_moves_its_running_timer_with_its_priority() {
    play(
        &web(&["track=checks/http:100"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 250
          = active_observed (ADVERTISEMENT)
        1500 fact checks/http passing
          = priority 100 > 200 (CHECK_CHANGED)
        4218.749999 wait
        4218.75 wait
          @4218.75 advert 200, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn a_backup_that_becomes_better_preempts() {
    play(
        &web(&["track=checks/http:100"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 150
          = active_observed (ADVERTISEMENT)
        1500 fact checks/http passing
          = priority 100 > 200 (CHECK_CHANGED)
        2000 hear 10.0.0.2 150
        3000 hear 10.0.0.2 150
        4000 hear 10.0.0.2 150
        4218.75 wait
          @4218.75 advert 200, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

#[test]
fn a_backup_that_becomes_worse_again_follows_the_router_that_it_was_about_to_preempt() {
    play(
        &web(&["track=checks/http:100"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/http passing
          = priority 100 > 200 (CHECK_CHANGED)
        1000 hear 10.0.0.2 150
        2000 hear 10.0.0.2 150
        3000 hear 10.0.0.2 150
        3100 fact checks/http failing
          = priority 200 > 100 (CHECK_CHANGED)
        6609.374999 wait
        6609.375 wait
          @6609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
}

#[test]
fn the_sum_is_clamped_and_the_clamp_is_told() {
    let mut player = play(
        &web(&["track=checks/a:-60,checks/b:-60"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/a failing
          = priority 100 > 40 (CHECK_CHANGED)
        200 fact checks/b failing
          = priority 40 > 1 (CHECK_CHANGED)
        ",
    );
    let because = player.status().effective.because;
    let steps: std::vec::Vec<_> =
        because.iter().map(|step| (step.source.as_str(), step.delta, step.result)).collect();
    assert_eq!(
        steps,
        [("config", 100, 100), ("checks/a", -60, 40), ("checks/b", -60, -20), ("clamp", 21, 1)]
    );
    player.expect(
        "
        300 fact checks/a passing
          = priority 1 > 40 (CHECK_CHANGED)
        ",
    );
}

#[test]
fn tracks_count_beside_an_override() {
    play(
        &web(&["track=checks/http:-30"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/http failing
          = priority 100 > 70 (CHECK_CHANGED)
        200 override 200
          = override_set (ADMIN_PRIORITY by alice), priority 70 > 170 (ADMIN_PRIORITY by alice), answer Ok(())
        300 fact checks/http passing
          = priority 170 > 200 (CHECK_CHANGED)
        400 fact checks/http failing
          = priority 200 > 170 (CHECK_CHANGED)
        500 clear
          = override_cleared (ADMIN_PRIORITY by alice), priority 170 > 70 (ADMIN_PRIORITY by alice), answer Ok(())
        ",
    );
}

#[test]
fn an_address_owner_is_exempt_from_weights_but_not_from_faults() {
    play(
        &web(&["priority=255", "track=checks/http:-30,checks/disk"]),
        "
        0 fact checks/disk passing
        0 up
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        100 fact checks/http failing
        200 fact checks/disk failing
          = advert 0, release, ACTIVE > FAULT (CHECK_CHANGED)
        300 fact checks/disk passing
          = advert 255, own 10.9.0.7/32, announce takeover, FAULT > ACTIVE (ADDRESS_OWNER)
        ",
    );
}

#[test]
fn a_fact_that_nobody_tracks_changes_nothing() {
    play(
        &web(&["track=checks/http:-30"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/other failing
        200 forget checks/other
        ",
    );
}

// Fault

#[test]
fn an_unweighted_fact_that_fails_releases_at_once_and_one_that_passes_starts_anew() {
    let player = play(
        &web(&["track=checks/http"]),
        "
        0 up
        0 fact checks/http passing
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 fact checks/http failing
          = advert 0, release, ACTIVE > FAULT (CHECK_CHANGED)
        5000 hear 10.0.0.2 1
        6000 fact checks/http passing
          = FAULT > BACKUP (CHECK_CHANGED)
        9609.375 wait
          @9609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        9700 fact checks/http failing
          = advert 0, release, ACTIVE > FAULT (CHECK_CHANGED)
        ",
    );
    let evidence = &player.events.last().unwrap().evidence;
    assert_eq!(evidence.subject.as_deref(), Some("checks/http"));
    assert_eq!(evidence.detail.as_deref(), Some("measured"));
    assert_eq!(player.status().faults, [Fault::CheckFailing("checks/http".into(), "measured".into())]);
}

#[test]
fn each_state_goes_to_fault_by_a_failing_fact() {
    // Initialize while the link is unknown, in its start-up delay, Backup, and Fault for another reason.
    play(
        &web(&["track=checks/http"]),
        "
        0 fact checks/http failing
          = INITIALIZE > FAULT (CHECK_CHANGED)
        100 up
        200 fact checks/http passing
          = FAULT > BACKUP (CHECK_CHANGED)
        300 fact checks/http failing
          = BACKUP > FAULT (CHECK_CHANGED)
        400 down
        500 fact checks/http passing
        600 fact checks/http failing
        700 up
        800 fact checks/http passing
          = FAULT > BACKUP (CHECK_CHANGED)
        900 down
          = BACKUP > FAULT (INTERFACE_CHANGED)
        1000 fact checks/http failing
        1100 fact checks/http passing
        1200 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        ",
    );
    play(
        &web(&["track=checks/http", "startup_delay=10000"]),
        "
        0 up
        0 fact checks/http passing
        1000 fact checks/http failing
          = INITIALIZE > FAULT (CHECK_CHANGED)
        2000 fact checks/http passing
          = FAULT > INITIALIZE (CHECK_CHANGED)
        10000 wait
          @10000 INITIALIZE > BACKUP (CHECK_CHANGED)
        ",
    );
}

#[test]
fn reversed_the_passing_fact_means_fault() {
    play(
        &web(&["track=!checks/maintenance"]),
        "
        0 up
        0 fact checks/maintenance failing
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/maintenance passing
          = BACKUP > FAULT (CHECK_CHANGED)
        200 fact checks/maintenance failing
          = FAULT > BACKUP (CHECK_CHANGED)
        ",
    );
}

#[test]
fn a_value_may_mean_fault_or_a_priority() {
    let player = play(
        &web(&["track=checks/load:*-10,checks/drain:value"]),
        "
        0 up
        0 fact checks/drain passing 0
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/load passing 3
          = priority 100 > 70 (CHECK_CHANGED)
        200 fact checks/load passing 26
          = BACKUP > FAULT (CHECK_CHANGED), priority 70 > 100 (CHECK_CHANGED)
        300 fact checks/load passing 5
          = priority 100 > 50 (CHECK_CHANGED), FAULT > BACKUP (CHECK_CHANGED)
        400 fact checks/drain passing 1
          = BACKUP > FAULT (CHECK_CHANGED)
        ",
    );
    assert_eq!(player.status().faults, [Fault::CheckPassing("checks/drain".into(), "measured".into())]);
}

#[test]
fn two_faults_must_both_end() {
    play(
        &web(&["track=checks/a,checks/b"]),
        "
        0 up
        0 fact checks/a passing
        0 fact checks/b passing
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/a failing
          = BACKUP > FAULT (CHECK_CHANGED)
        200 fact checks/b failing
        300 fact checks/a passing
        400 fact checks/b passing
          = FAULT > BACKUP (CHECK_CHANGED)
        ",
    );
}

#[test]
fn a_fact_that_passes_does_not_end_the_kernel_s_refusal_and_a_held_fault_does_not_end_a_failing_fact() {
    play(
        &web(&["track=checks/http"]),
        "
        0 up
        0 fact checks/http passing
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 applied no space
          = failed (ADDRESS_FAILED), advert 0, release, ACTIVE > FAULT (ADDRESS_FAILED)
        5000 fact checks/http failing
        6000 fact checks/http passing
        13000 fact checks/http failing
        14000 wait
          @14000
        15000 fact checks/http passing
          = FAULT > BACKUP (CHECK_CHANGED)
        ",
    );
}

// Unknown

#[test]
fn an_unweighted_fact_that_is_unknown_keeps_the_instance_in_initialize() {
    play(
        &web(&["track=checks/http"]),
        "
        0 up
        60000 hear 10.0.0.2 1
        61000 fact checks/http unknown
        62000 fact checks/http passing
          = INITIALIZE > BACKUP (AGENT_START)
        ",
    );
    play(
        &web(&["priority=255", "track=checks/http"]),
        "
        0 up
        1000 fact checks/http passing
          = advert 255, own 10.9.0.7/32, announce takeover, INITIALIZE > ACTIVE (ADDRESS_OWNER)
        ",
    );
}

#[test]
fn a_weighted_fact_that_is_unknown_adds_nothing_and_delays_nothing() {
    let player = play(
        &web(&["track=checks/a:20,checks/b:-20,checks/c:*5"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        ",
    );
    assert_eq!(player.status().effective.value.get(), 100);
}

#[test]
fn what_becomes_unknown_stays_what_it_was_last() {
    let player = play(
        &web(&["track=checks/http,checks/dns:20"]),
        "
        0 up
        0 fact checks/http passing
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/dns passing
          = priority 100 > 120 (CHECK_CHANGED)
        3531.25 wait
          @3531.25 advert 120, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 fact checks/http unknown
        4000 fact checks/dns unknown
        4100 fact checks/http failing
          = advert 0, release, ACTIVE > FAULT (CHECK_CHANGED)
        4200 fact checks/http unknown
        5000 fact checks/http passing
          = FAULT > BACKUP (CHECK_CHANGED)
        5100 fact checks/dns failing
          = priority 120 > 100 (CHECK_CHANGED)
        ",
    );
    let tracks = player.status().tracks;
    assert_eq!(tracks[1].counted, Verdict::Failing);
}

#[test]
fn a_fact_that_is_gone_counts_no_longer_but_does_not_stop_an_active_router() {
    play(
        &web(&["track=checks/http,checks/dns:20"]),
        "
        0 up
        0 fact checks/http passing
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/dns passing
          = priority 100 > 120 (CHECK_CHANGED)
        3531.25 wait
          @3531.25 advert 120, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 forget checks/http
        4100 forget checks/dns
          = priority 120 > 100 (CHECK_CHANGED), advert 100
        ",
    );
}

// nopreempt

#[test]
fn without_preempt_mode_a_router_that_becomes_worse_while_it_is_followed_is_relieved() {
    // Else a weight on the Active router would be without effect, and the addresses would stay on the failing node.
    play(
        &web(&["nopreempt"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 120
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 80
        3000 hear 10.0.0.2 80
        4000 hear 10.0.0.2 80
        4609.375 wait
          @4609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

#[test]
fn without_preempt_mode_a_worse_router_that_becomes_still_worse_is_relieved() {
    play(
        &web(&["nopreempt"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 80
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 80
        3000 hear 10.0.0.2 60
        5609.375 wait
          @5609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

#[test]
fn without_preempt_mode_a_dip_that_ends_in_time_moves_nothing() {
    play(
        &web(&["nopreempt"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 120
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 80
        3000 hear 10.0.0.2 120
        6609.374999 wait
        ",
    );
}

#[test]
fn without_preempt_mode_a_router_that_recovers_does_not_take_back() {
    play(
        &web(&["nopreempt", "track=checks/http:-50"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/http failing
          = priority 100 > 50 (CHECK_CHANGED)
        1000 hear 10.0.0.2 80
          = active_observed (ADVERTISEMENT)
        1500 fact checks/http passing
          = priority 50 > 100 (CHECK_CHANGED)
        2000 hear 10.0.0.2 80
        4000 hear 10.0.0.2 80
        6000 hear 10.0.0.2 80
        9609.374999 wait
        ",
    );
}

#[test]
fn without_preempt_mode_another_worse_router_is_tolerated() {
    play(
        &web(&["nopreempt"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 120
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.3 80
        5609.374999 wait
        ",
    );
}

#[test]
fn a_preempt_delay_is_no_time_for_a_router_that_becomes_worse() {
    play(
        &web(&["preempt_delay=60000"]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 120
          = active_observed (ADVERTISEMENT)
        2000 hear 10.0.0.2 80
        4609.375 wait
          @4609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (LOCAL_PREEMPT)
        ",
    );
}

// Reload

#[test]
fn a_reload_that_adds_a_track_knows_its_fact_at_once() {
    let player = play(
        &web(&[]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 fact checks/http failing
        200 fact checks/disk failing
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload track=checks/http:-30
          = changed (CONFIG_RELOAD), priority 100 > 70 (CONFIG_RELOAD), advert 70
        5000 reload track=checks/http:-30,checks/disk
          @5000 advert 70
          = changed (CONFIG_RELOAD), advert 0, release, ACTIVE > FAULT (CONFIG_RELOAD)
        6000 reload track=checks/http:-50,checks/disk
          = changed (CONFIG_RELOAD), priority 70 > 50 (CONFIG_RELOAD)
        7000 reload track=checks/http:-50
          = changed (CONFIG_RELOAD), FAULT > BACKUP (CONFIG_RELOAD)
        ",
    );
    let evidence = &player.events.last().unwrap().evidence;
    assert_eq!(evidence.subject.as_deref(), Some("checks/disk"));
}

#[test]
fn a_reload_that_adds_an_unknown_track_touches_nobody_that_takes_part() {
    let player = play(
        &web(&[]),
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        3609.375 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        4000 reload track=checks/http
          = changed (CONFIG_RELOAD)
        4100 fact checks/http passing
        4200 reload track=checks/http,checks/dns:10
          = changed (CONFIG_RELOAD)
        ",
    );
    assert_eq!(player.status().state, StateName::Active);
}

#[test]
fn a_reload_that_takes_the_unknown_track_away_starts_the_instance() {
    play(
        &web(&["track=checks/http"]),
        "
        0 up
        1000 reload track=
          = changed (CONFIG_RELOAD), INITIALIZE > BACKUP (AGENT_START)
        ",
    );
}

#[test]
fn a_new_instance_knows_what_was_told_before_it_came() {
    play(
        &web(&["track=checks/http"]),
        "
        0 up
        0 fact checks/http passing
          = INITIALIZE > BACKUP (AGENT_START)
        1000 fact checks/http failing
          = BACKUP > FAULT (CHECK_CHANGED)
        2000 reload vrid=8
          = FAULT > INITIALIZE (CONFIG_RELOAD), removed (CONFIG_RELOAD), added (CONFIG_RELOAD), INITIALIZE > FAULT (CHECK_CHANGED)
        3000 fact checks/http passing
          = FAULT > BACKUP (CHECK_CHANGED)
        ",
    );
}

#[test]
fn status_shows_what_is_tracked_and_what_it_is_worth() {
    let player = play(
        &web(&["track=checks/http:-30,checks/dns"]),
        "
        0 fact checks/http failing
          = priority 100 > 70 (CHECK_CHANGED)
        ",
    );
    let tracks = player.status().tracks;
    let http = tracks[0].fact.as_ref().unwrap();
    assert_eq!((&*http.name, http.verdict, &*http.detail), ("checks/http", Verdict::Failing, "measured"));
    assert_eq!((tracks[0].delta, tracks[0].faulty, tracks[0].counted), (-30, false, Verdict::Failing));
    assert_eq!((tracks[1].fact.as_ref(), tracks[1].is_undecided()), (None, true));
    assert!(player.events.iter().any(|event| matches!(event.kind, EventKind::PriorityChanged { .. })
        && event.evidence.subject.as_deref() == Some("checks/http")));
}
