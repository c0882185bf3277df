//! One process leaves, the next goes on: what is said on the wire, done to addresses, and told.

use alloc::sync::Arc;
use std::vec::Vec;

use crate::fixtures::config;
use crate::fixtures::script::{Player, changed, play, play_all};
use crate::{EventKind, Inheritance, InstanceConfig, Instant, Override, Priority, StandingOrder, StateName};

fn web(changes: &[&str]) -> InstanceConfig {
    changed(changed(config("web", 7, 100), &["quiet"]), changes)
}

/// Active since 3609.375 ms, its last advert at 4609.375 ms.
const TAKEOVER: &str = "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        4800 wait
          @3609.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
          @4609.375 advert 100
";

#[track_caller]
fn active(config: &InstanceConfig) -> Player {
    play(config, TAKEOVER)
}

fn told(player: &Player) -> Vec<&'static str> {
    player.events.iter().map(crate::Event::type_name).collect()
}

#[test]
fn an_active_router_goes_on_with_one_advert_before_and_one_after_and_no_transition() {
    let mut player = active(&web(&[]));
    let (answer, mut next) = player.restart(200, &[web(&[])]);
    assert_eq!(answer, "advert 100", "no priority 0, no release, no event");
    assert!(next.engine.awaits_adoption());
    next.expect(
        "
        5000 up
          = advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)
        5001 applied
          = addresses_held (ACTIVE_DOWN_TIMER)
        7000 wait
          @6000 advert 100
          @7000 advert 100
        ",
    );
    assert!(!next.engine.awaits_adoption());
    let (before, after) = (player.status(), next.status());
    assert_eq!(after.state, StateName::Active);
    assert_eq!((after.since, after.cause), (before.since, before.cause), "it holds them since it took over");
    assert_eq!(after.evidence, before.evidence);
    assert_eq!(told(&next), ["instance.added", "instance.adopted", "instance.addresses_held"]);
    let EventKind::Adopted { state, silent } = next.events[1].kind else { panic!("{:?}", next.events[1]) };
    assert_eq!((state, silent.as_millis()), (StateName::Active, 200));
}

#[test]
fn nothing_is_done_after_the_last_word() {
    let mut player = active(&web(&[]));
    let (_, _) = player.restart(200, &[web(&[])]);
    player.expect(
        "
        4900 hear 10.0.0.2 200
        5000 down
        9000 stop
        ",
    );
    assert_eq!(player.engine.next_deadline(), None);
}

#[test]
fn it_is_gone_on_with_up_to_an_eighth_of_an_interval_before_three_are_over() {
    // Left at 4800, so until 7675; a peer of priority 254 takes over at 7807.8.
    let table = [(2874, "adopted"), (2875, "INITIALIZE > BACKUP"), (60_000, "INITIALIZE > BACKUP")];
    for (later, expected) in table {
        let (_, mut next) = active(&web(&[])).restart(later, &[web(&[])]);
        let mut transcript = Vec::new();
        next.run_to(next.now, &mut transcript);
        next.run(&std::format!("{} up", 4800 + later));
        let last = next.events.last().unwrap();
        let adopted = matches!(last.kind, EventKind::Adopted { .. });
        assert_eq!(adopted, expected == "adopted", "{later} ms: {last:?}");
        assert_eq!(next.status().state == StateName::Active, adopted, "{later} ms");
        assert!(!next.engine.awaits_adoption());
    }
}

#[test]
fn a_link_that_comes_too_late_makes_it_an_ordinary_start() {
    let (_, mut next) = active(&web(&[])).restart(200, &[web(&[])]);
    next.expect(
        "
        8000 wait
          @7675
        8000 up
          = INITIALIZE > BACKUP (AGENT_START)
        ",
    );
    assert!(!next.engine.awaits_adoption());
}

#[test]
fn a_link_that_is_down_is_a_fault_and_nothing_is_gone_on_with_afterwards() {
    let (_, mut next) = active(&web(&[])).restart(200, &[web(&[])]);
    next.expect(
        "
        5000 down
          = INITIALIZE > FAULT (INTERFACE_CHANGED)
        5100 up
          = FAULT > BACKUP (INTERFACE_CHANGED)
        ",
    );
}

#[test]
fn what_a_reload_would_take_over_in_place_is_gone_on_with_and_another_router_is_not() {
    // New configuration → the answer to the link.
    let table: [(&[&str], &str); 9] = [
        (&["priority=50"], "advert 50, own 10.9.0.7/32, announce, adopted (AGENT_START)"),
        (&["addresses=10.9.0.9"], "advert 100, own 10.9.0.9/32, announce, adopted (AGENT_START)"),
        (&["interval=2000"], "advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)"),
        (&["startup_delay=9000"], "advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)"),
        (&["priority=255"], "advert 255, own 10.9.0.7/32, announce, adopted (AGENT_START)"),
        (&["vrid=8"], "INITIALIZE > BACKUP (AGENT_START)"),
        (&["interface=eth1"], "INITIALIZE > BACKUP (AGENT_START)"),
        (&["v2"], "INITIALIZE > BACKUP (AGENT_START)"),
        (&["name=other"], "INITIALIZE > BACKUP (AGENT_START)"),
    ];
    for (changes, expected) in table {
        let (_, mut next) = active(&web(&[])).restart(200, &[web(changes)]);
        next.expect(&std::format!("5000 up\n  = {expected}"));
    }
}

#[test]
fn an_override_and_what_is_known_of_checks_go_on_counting() {
    let tracks = "track=checks/a:20,checks/b";
    let mut player = Player::new(&[web(&[tracks])]);
    player.expect(
        "
        0 fact checks/a passing
          = priority 100 > 120 (CHECK_CHANGED)
        0 fact checks/b passing
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        0 override 150 for=60000
          = override_set (ADMIN_PRIORITY by alice), priority 120 > 170 (ADMIN_PRIORITY by alice), answer Ok(())
        4000 wait
          @3335.9375 advert 170, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
    let (answer, mut next) = player.restart(200, &[web(&[tracks])]);
    assert_eq!(answer, "advert 170");
    next.expect(
        "
        4200 up
          = advert 170, own 10.9.0.7/32, announce, adopted (AGENT_START)
        4300 fact checks/a unknown
        4400 fact checks/a failing
          = priority 170 > 150 (CHECK_CHANGED), advert 150
        ",
    );
    assert_eq!(next.status().override_, player.status().override_);
}

#[test]
fn an_override_that_ended_meanwhile_does_not_come_back() {
    let mut player = active(&web(&[]));
    player.run("4800 override 150 for=100");
    let (_, mut next) = player.restart(200, &[web(&[])]);
    next.expect("5000 up\n  = advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)");
    assert_eq!(next.status().override_, None);
}

#[test]
fn a_check_that_failed_before_keeps_its_router_in_fault() {
    let config = web(&["track=checks/b"]);
    let mut player = Player::new(std::slice::from_ref(&config));
    player.run("0 fact checks/b failing");
    player.run("0 up");
    let (_, mut next) = player.restart(200, &[config]);
    next.expect("200 up\n  = INITIALIZE > FAULT (CHECK_CHANGED)");
}

#[test]
fn a_backup_keeps_the_interval_of_its_active_router_and_counts_silence_anew() {
    let config = web(&["interval=100"]);
    let mut player = play(
        &config,
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        100 hear 10.0.0.2 200 interval=1000
          = differs IntervalDiffers, active_observed (ADVERTISEMENT)
        1000 wait
        ",
    );
    let (answer, mut next) = player.restart(2000, &[config]);
    assert_eq!(answer, "");
    next.expect(
        "
        3000 up
          = adopted (AGENT_START)
        3500 hear 10.0.0.2 200 interval=1000
          = differs IntervalDiffers
        7109.374999 wait
        7109.375 wait
          @7109.375 advert 100, own 10.9.0.7/32, announce takeover, BACKUP > ACTIVE (ACTIVE_DOWN_TIMER)
        ",
    );
    assert!(!next.engine.awaits_adoption());
}

#[test]
fn a_preempt_delay_does_not_begin_again() {
    let config = web(&["preempt_delay=10000"]);
    let mut player = play(
        &config,
        "
        0 up
          = INITIALIZE > BACKUP (AGENT_START)
        1000 hear 10.0.0.2 50
          = active_observed (ADVERTISEMENT)
        ",
    );
    let (_, mut next) = player.restart(1000, &[config]);
    next.run("2000 up");
    for second in 2..14 {
        next.run(&std::format!("{}.5 hear 10.0.0.2 50", second * 1000));
    }
    next.run("14000 wait");
    let became = next.events.iter().find(|event| matches!(event.kind, EventKind::StateChanged { .. }));
    // Tolerated until 11 s, heard for the last time in time at 10 s.
    assert_eq!(became.unwrap().at.as_nanos() / 1_000_000, 13_609);
}

#[test]
fn who_leaves_before_it_has_gone_on_hands_on_what_it_got() {
    let (_, mut second) = active(&web(&[])).restart(200, &[web(&[])]);
    let (answer, mut third) = second.restart(300, &[web(&[])]);
    assert_eq!(answer, "");
    third.expect("5300 up\n  = advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)");
    let EventKind::Adopted { silent, .. } = third.events[1].kind else { panic!("{:?}", third.events) };
    assert_eq!(silent.as_millis(), 500);
    // The time that there was does not begin again.
    let (_, mut second) = active(&web(&[])).restart(2000, &[web(&[])]);
    let (_, mut third) = second.restart(1000, &[web(&[])]);
    third.expect("7800 up\n  = INITIALIZE > BACKUP (AGENT_START)");
}

/// "wan" on eth0 and "lan" on eth1, of one group.
fn edge() -> [InstanceConfig; 2] {
    let member = |name: &str, vrid: u8, interface: &str| {
        changed(config(name, vrid, 100), &[&*std::format!("interface={interface}"), "group=edge", "quiet"])
    };
    [member("wan", 7, "eth0"), member("lan", 8, "eth1")]
}

#[track_caller]
fn active_edge() -> Player {
    play_all(
        &edge(),
        "
        0 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        0 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        3609.375 wait
          @3609.375 wan: advert 100, wan: own 10.9.0.7/32, wan: announce takeover, wan: BACKUP > ACTIVE (ACTIVE_DOWN_TIMER), lan: advert 100, lan: own 10.9.0.8/32, lan: announce takeover, lan: BACKUP > ACTIVE (SYNC_GROUP), group edge BACKUP > ACTIVE
        ",
    )
}

#[test]
fn a_sync_group_goes_on_whole_and_says_nothing_of_itself() {
    let (answer, mut next) = active_edge().restart(200, &edge());
    assert_eq!(answer, "wan: advert 100, lan: advert 100");
    next.expect(
        "
        3900 wan: up
          = wan: advert 100, wan: own 10.9.0.7/32, wan: announce, wan: adopted (AGENT_START)
        4000 lan: up
          = lan: advert 100, lan: own 10.9.0.8/32, lan: announce, lan: adopted (AGENT_START)
        ",
    );
}

#[test]
fn a_sync_group_whose_link_has_failed_meanwhile_releases_what_it_went_on_with() {
    let (_, mut next) = active_edge().restart(200, &edge());
    next.expect(
        "
        3900 wan: up
          = wan: advert 100, wan: own 10.9.0.7/32, wan: announce, wan: adopted (AGENT_START)
        4000 lan: down
          = lan: INITIALIZE > FAULT (INTERFACE_CHANGED), wan: advert 0, wan: release, wan: ACTIVE > FAULT (SYNC_GROUP), group edge ACTIVE > FAULT
        ",
    );
}

#[test]
fn a_sync_group_that_comes_too_late_tells_that_it_is_no_longer_active() {
    let (_, mut next) = active_edge().restart(200, &edge());
    next.expect(
        "
        8000 wait
          @6484.375 group edge ACTIVE > INITIALIZE
        8000 wan: up
          = wan: INITIALIZE > BACKUP (AGENT_START)
        8000 lan: up
          = lan: INITIALIZE > BACKUP (AGENT_START), group edge INITIALIZE > BACKUP
        ",
    );
}

#[test]
fn a_drain_of_the_node_goes_on_and_is_told_once() {
    let mut player = active(&web(&[]));
    player.run("4800 drain for=60000");
    let (answer, mut next) = player.restart(200, &[web(&[])]);
    assert_eq!(answer, "advert 1");
    next.expect(
        "
        5000 up
          = advert 1, own 10.9.0.7/32, announce, adopted (AGENT_START)
        5500 drain revision=0
          = answer Err(RevisionMismatch { current: 1 })
        5500 undrain
          = undrained (ADMIN_UNDRAIN by alice), priority 1 > 100 (ADMIN_UNDRAIN by alice), advert 100, answer Ok(())
        ",
    );
    assert!(!told(&next).contains(&"node.drained"), "{:?}", told(&next));
    // One that ended meanwhile does not come back.
    let mut player = active(&web(&[]));
    player.run("4800 drain for=100");
    let (_, mut next) = player.restart(200, &[web(&[])]);
    next.expect("5000 up\n  = advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)");
}

#[test]
fn a_hold_after_a_transfer_goes_on() {
    let mut player = active(&web(&[]));
    player.run("4800 handover to=10.0.0.2 hold");
    player.run("4810 withdraw 10.0.0.2");
    let (_, mut next) = player.restart(200, &[web(&[])]);
    next.run("5010 up");
    for second in 5..20 {
        next.run(&std::format!("{}.5 hear 10.0.0.2 50", second * 1000 + 100));
    }
    assert_eq!((next.status().state, next.status().hold), (StateName::Backup, player.status().hold));
}

#[test]
fn who_has_offered_its_addresses_gives_them_up_and_who_has_asked_somebody_stays_active() {
    let mut player = active(&web(&[]));
    player.run("4800 handover");
    let (answer, mut next) = player.restart(200, &[web(&[])]);
    assert_eq!(answer, "release, ACTIVE > BACKUP (ADMIN_TRANSFER by alice)");
    next.expect("5000 up\n  = adopted (AGENT_START)");
    assert_eq!(next.status().state, StateName::Backup);

    let mut player = active(&web(&[]));
    player.run("4800 handover to=10.0.0.2");
    let (answer, mut next) = player.restart(200, &[web(&[])]);
    assert_eq!(answer, "advert 100");
    next.expect("5000 up\n  = advert 100, own 10.9.0.7/32, announce, adopted (AGENT_START)");
}

/// What a process that left nothing had on disk.
fn order(reason: &str, expires: Option<Instant>) -> StandingOrder {
    let since = Instant::from_nanos(0);
    StandingOrder { reason: reason.into(), actor: Arc::default(), since, expires, survives: true }
}

fn from_disk(drained: bool, overrides: &[(&str, u8, Option<u64>)]) -> Inheritance {
    let after = |millis: u64| Instant::from_nanos(millis * 1_000_000);
    let override_ = |(name, priority, expires): &(&str, u8, Option<u64>)| {
        let own = Override {
            priority: Priority::new(*priority).unwrap(),
            order: order("ticket", expires.map(after)),
        };
        ((*name).into(), own)
    };
    let drain = drained.then(|| order("kernel", None));
    let overrides = overrides.iter().map(override_).collect();
    Inheritance { drain, overrides, ..Inheritance::default() }
}

#[test]
fn what_survived_on_disk_is_in_force_before_the_first_word_and_is_no_news() {
    // The priority before the link is known, and after a time in which one override ends.
    let table = [
        ("a drain", from_disk(true, &[]), 1, 1),
        ("an override", from_disk(false, &[("web", 50, None)]), 50, 50),
        ("both", from_disk(true, &[("web", 50, None)]), 1, 1),
        ("one that ends", from_disk(false, &[("web", 50, Some(2000))]), 50, 100),
        ("one that has ended", from_disk(false, &[("web", 50, Some(0))]), 100, 100),
        ("of another", from_disk(false, &[("mail", 50, None)]), 100, 100),
    ];
    for (what, inheritance, first, later) in table {
        let mut engine = crate::Engine::new();
        let mut told = Vec::new();
        let mut handle = |engine: &mut crate::Engine, millis: u64, input: crate::Input<'_>| {
            for output in engine.handle(Instant::from_nanos(millis * 1_000_000), input) {
                if let crate::Output::Event(event) = output {
                    told.push(event.type_name());
                }
            }
        };
        handle(&mut engine, 1, crate::Input::Inherit(&inheritance));
        handle(&mut engine, 1, crate::Input::Reconfigure(&[web(&[])]));
        let of = |engine: &crate::Engine| {
            let status = engine.statuses().next().unwrap();
            (status.effective.value.get(), status.override_.is_some_and(|own| own.order.survives))
        };
        assert_eq!(of(&engine).0, first, "{what}");
        handle(&mut engine, 2000, crate::Input::Deadline);
        assert_eq!(of(&engine).0, later, "{what}");
        let is_kept = later == 50 || what == "both";
        assert_eq!(of(&engine).1, is_kept, "{what}");
        let news: &[&str] = if what == "one that ends" {
            &["instance.added", "instance.override_cleared", "instance.priority_changed"]
        } else {
            &["instance.added"]
        };
        assert_eq!(told, news, "{what}");
    }
}
