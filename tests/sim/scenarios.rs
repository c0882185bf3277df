//! Named situations on the simulated network, each with the outcome that an operator counts on.

use std::time::Duration;

use ha_engine::{AddressLease, AnnouncePolicy, LinkCondition, StateName};

use crate::node::Process;
use crate::plan::{MILLISECOND, Plan, SECOND, group_configs};
use crate::trouble::Recovery;
use crate::world::{Item, World};
use ha_tests::Random;

/// Adverts each 100 ms.
const INTERVAL: u64 = 100 * MILLISECOND;

/// Nodes with these priorities, one router, no faults of its own accord, after a second of warm-up.
fn cluster(priorities: &[u8]) -> World {
    let mut world = World::with(Plan::simple(priorities, Duration::from_nanos(INTERVAL)), Random::new(1));
    for node in 0..priorities.len() {
        world.start(node, 0).unwrap();
    }
    world.run_to(SECOND).unwrap();
    world
}

/// Nodes with a sync group of two routers on two links, with these priorities in the first and in the second.
fn group(first: &[u8], second: &[u8]) -> World {
    let interval = Duration::from_nanos(INTERVAL);
    let simple = Plan::simple(first, interval);
    let announce = AnnouncePolicy { repeat: 1, delay: Duration::ZERO, ..AnnouncePolicy::default() };
    let configs = group_configs(first, second, interval, announce, AddressLease::Seconds(1));
    let mut world = World::with(Plan { configs, links: 2, ..simple }, Random::new(1));
    for node in 0..first.len() {
        world.start(node, 0).unwrap();
    }
    world.run_to(SECOND).unwrap();
    world
}

/// Where each of the two routers is Active.
fn owners(world: &World) -> [Vec<usize>; 2] {
    [0, 1].map(|router| (0..world.nodes.len()).filter(|node| world.nodes[*node].is_active(router)).collect())
}

#[test]
fn a_cut_of_one_link_moves_no_group_and_one_of_both_links_is_healed_by_any_of_them() {
    for healed in [0, 1] {
        let mut world = group(&[100, 200], &[100, 200]);
        let transitions = world.tally.transitions;
        let cut = |link| [(0, 1, Some(link)), (1, 0, Some(link))];
        world.network.cut.extend(cut(0));
        world.network.since = world.now;
        pass(&mut world, 50);
        assert_eq!((owners(&world), world.tally.transitions), ([vec![1], vec![1]], transitions));
        world.network.cut.extend(cut(1));
        world.network.since = world.now;
        pass(&mut world, 10);
        assert_eq!(owners(&world), [vec![0, 1], vec![0, 1]]);
        world.network.cut.retain(|(_, _, link)| *link != Some(healed));
        world.network.since = world.now;
        pass(&mut world, 2);
        assert_eq!(owners(&world), [vec![1], vec![1]], "link {healed} is healed");
    }
}

#[test]
fn a_link_that_fails_moves_the_whole_group_and_one_that_returns_brings_it_back_whole() {
    let mut world = group(&[100, 200], &[100, 200]);
    world.set_link(1, 0, LinkCondition::NoCarrier).unwrap();
    assert_eq!(owners(&world), [vec![], Vec::<usize>::new()], "the release is immediate on both links");
    pass(&mut world, 4);
    assert_eq!(owners(&world), [vec![0], vec![0]]);
    world.set_link(1, 0, LinkCondition::Up).unwrap();
    pass(&mut world, 4);
    assert_eq!((owners(&world), holders(&world)), ([vec![1], vec![1]], vec![1]));
}

#[test]
fn both_nodes_are_active_for_no_longer_than_an_advert_travels() {
    // From the winner's first advert until the loser has heard one, on any link; both adverts leave together.
    let mut world = group(&[100, 200], &[100, 200]);
    world.set_link(1, 1, LinkCondition::Down).unwrap();
    pass(&mut world, 10);
    world.set_link(1, 1, LinkCondition::Up).unwrap();
    let mut overlap = 0;
    let step = world.plan.delay / 20;
    for _ in 0..10 * INTERVAL / step {
        world.run_to(world.now + step).unwrap();
        let [one, other] = owners(&world);
        assert_eq!(one, other, "split at {}", world.now);
        overlap += u64::from(one.len() == 2) * step;
    }
    assert!(overlap <= world.plan.delay + step, "{overlap} ns");
    assert_eq!(owners(&world), [vec![1], vec![1]]);
}

#[test]
fn a_group_whose_ranks_differ_stays_with_whoever_has_it() {
    let mut world = group(&[100, 200], &[200, 100]);
    pass(&mut world, 20);
    let transitions = world.tally.transitions;
    pass(&mut world, 500);
    let [one, other] = owners(&world);
    assert_eq!((one.len(), &one, world.tally.transitions), (1, &other, transitions));
}

fn active(world: &World) -> Vec<usize> {
    (0..world.nodes.len()).filter(|node| world.nodes[*node].is_active(0)).collect()
}

fn holders(world: &World) -> Vec<usize> {
    (0..world.nodes.len()).filter(|node| world.nodes[*node].holds(0)).collect()
}

fn believed(world: &World) -> Option<usize> {
    world.client.values().next().copied()
}

fn pass(world: &mut World, intervals: u64) {
    world.run_to(world.now + intervals * INTERVAL).unwrap();
}

#[test]
fn of_equal_priorities_that_start_together_the_higher_address_stays_active() {
    let world = cluster(&[100, 100, 100]);
    assert_eq!((active(&world), holders(&world), believed(&world)), (vec![2], vec![2], Some(2)));
}

#[test]
fn after_a_healed_split_the_survivor_announces_although_its_state_never_changed() {
    // Which side speaks first after the heal is chance, so it is tried at many instants.
    for offset in 0..40 {
        let mut world = cluster(&[100, 200]);
        let since = world.nodes[1].states[0].since;
        world.network.cut = vec![(0, 1, None), (1, 0, None)];
        pass(&mut world, 10);
        world.run_to(world.now + offset * INTERVAL / 40).unwrap();
        assert_eq!((active(&world), believed(&world)), (vec![0, 1], Some(0)));
        world.network.cut.clear();
        world.network.since = world.now;
        pass(&mut world, 2);
        assert_eq!((active(&world), holders(&world), believed(&world)), (vec![1], vec![1], Some(1)));
        assert_eq!(world.nodes[1].states[0].since, since);
    }
}

#[test]
fn a_pause_shorter_than_active_down_interval_moves_nothing_and_a_longer_one_moves_the_addresses_once() {
    let mut world = cluster(&[100, 200]);
    let transitions = world.tally.transitions;
    pause(&mut world, 1, 2);
    assert_eq!((active(&world), world.tally.transitions), (vec![1], transitions));
    pause(&mut world, 1, 20);
    // The lease has ended, and the peer owns the addresses until the better node has listened for long enough.
    assert_eq!(world.nodes[1].states[0].state, StateName::Backup);
    assert_eq!((active(&world), holders(&world), believed(&world)), (vec![0], vec![0], Some(0)));
    pass(&mut world, 10);
    assert_eq!((active(&world), holders(&world), believed(&world)), (vec![1], vec![1], Some(1)));
    assert!(world.tally.stalls > 0);
}

#[test]
fn a_host_that_stands_still_with_all_nodes_on_it_moves_nothing_whenever_and_however_long() {
    for offset in 0..40 {
        // From one interval to five, past the Active_Down_Interval of 3.6.
        for length in 20..100 {
            let mut world = cluster(&[100, 200]);
            let transitions = world.tally.transitions;
            world.run_to(world.now + offset * INTERVAL / 40).unwrap();
            let end = length * INTERVAL / 20;
            // In either order: now this node comes to first, now the other.
            for node in [(offset + length) % 2, (offset + length + 1) % 2] {
                pause_for(&mut world, usize::try_from(node).unwrap(), end);
            }
            pass(&mut world, 15);
            let moved = world.tally.transitions - transitions;
            assert_eq!((active(&world), moved), (vec![1], 0), "{offset}/40, for {length}/20 intervals");
        }
    }
}

fn pause(world: &mut World, node: usize, intervals: u64) {
    pause_for(world, node, intervals * INTERVAL);
    world.run_to(world.now + intervals * INTERVAL).unwrap();
}

fn pause_for(world: &mut World, node: usize, time: u64) {
    world.nodes[node].become_process(world.now, Process::Paused);
    let epoch = world.nodes[node].epoch;
    world.let_leases_run(node);
    world.after(time, Item::Recover(Recovery::Resume { node, epoch }));
}

#[test]
fn a_crash_moves_the_addresses_and_the_lease_takes_them_from_the_dead_node() {
    let mut world = cluster(&[100, 200]);
    world.nodes[1].become_process(world.now, Process::Dead);
    world.nodes[1].forget(world.now);
    world.let_leases_run(1);
    pass(&mut world, 4);
    assert_eq!((active(&world), holders(&world)), (vec![0], vec![0, 1]));
    pass(&mut world, 13);
    assert_eq!((holders(&world), believed(&world), world.tally.leases_ended), (vec![0], Some(0), 1));
}

#[test]
fn a_deaf_backup_takes_over_and_neither_side_floods() {
    let mut world = cluster(&[100, 200]);
    world.network.cut = vec![(1, 0, None)];
    world.network.since = world.now;
    let (adverts, announcements) = (world.tally.adverts, world.tally.announcements);
    pass(&mut world, 100);
    assert_eq!(active(&world), [0, 1]);
    assert!(world.tally.rivals > 0);
    // Each of the two sends one advert an interval, the answered one at most one more; some bursts of announcements.
    assert!(world.tally.adverts - adverts < 350, "{}", world.tally.adverts - adverts);
    assert!(world.tally.announcements - announcements <= 20, "{}", world.tally.announcements - announcements);
}

#[test]
fn in_a_ring_where_each_hears_its_neighbour_only_nobody_flaps_without_end() {
    let mut world = cluster(&[100, 150, 200]);
    world.network.cut = vec![(0, 2, None), (2, 1, None), (1, 0, None)];
    world.network.since = world.now;
    let transitions = world.tally.transitions;
    pass(&mut world, 600);
    let flaps = world.tally.transitions - transitions;
    assert!(flaps < 600, "{flaps} transitions in 600 intervals");
}

#[test]
fn delayed_reordered_and_duplicated_adverts_move_nothing() {
    let mut world = cluster(&[100, 150, 200]);
    world.network.extra_delay = INTERVAL * 9 / 10;
    world.network.duplicate = 500;
    world.network.since = world.now;
    let transitions = world.tally.transitions;
    pass(&mut world, 2000);
    assert_eq!((active(&world), world.tally.transitions), (vec![2], transitions));
}

#[test]
fn random_loss_causes_as_many_false_takeovers_as_probability_says() {
    for permille in [200, 300, 400] {
        let mut world = cluster(&[100, 200]);
        world.network.loss = permille;
        world.network.since = world.now;
        let takeovers = world.tally.takeovers;
        let intervals = 20_000;
        pass(&mut world, intervals);
        let seen = (world.tally.takeovers - takeovers) as f64;
        // Mean time between false takeovers: A (1 - p^3) / (p^3 (1 - p)).
        let p = permille as f64 / 1000.0;
        let expected = intervals as f64 * p.powi(3) * (1.0 - p) / (1.0 - p.powi(3));
        assert!(
            (seen - expected).abs() < 4.0 * expected.sqrt(),
            "{seen} seen, {expected:.0} expected at {p}"
        );
    }
}

#[test]
fn an_orderly_stop_hands_over_within_skew_time() {
    let mut world = cluster(&[150, 200]);
    let start = world.now;
    world.stop(1).unwrap();
    let skew = INTERVAL * (256 - 150) / 256;
    world.run_to(start + skew + world.plan.delay + world.plan.lateness + world.plan.apply).unwrap();
    assert_eq!((active(&world), holders(&world)), (vec![0], vec![0]));
}

#[test]
fn a_better_successor_that_was_away_when_the_holder_stopped_is_beside_the_worse_no_longer_than_an_advert_travels()
 {
    for away in 1..6 {
        let mut world = cluster(&[100, 150, 200]);
        world.nodes[1].become_process(world.now, Process::Paused);
        let epoch = world.nodes[1].epoch;
        world.after(away * INTERVAL, Item::Recover(Recovery::Resume { node: 1, epoch }));
        world.stop(2).unwrap();
        let (step, mut overlap, mut seen) = (world.plan.delay / 20, 0, Vec::new());
        for _ in 0..12 * INTERVAL / step {
            world.run_to(world.now + step).unwrap();
            let now = active(&world);
            overlap += u64::from(now.len() > 1) * step;
            if now.len() == 1 && seen.last() != now.first() {
                seen.extend(now);
            }
        }
        assert_eq!((seen, holders(&world)), (vec![0, 1], vec![1]), "away for {away} intervals");
        assert!(overlap <= world.plan.delay + step, "away for {away} intervals: {overlap} ns");
    }
}

#[test]
fn a_link_that_flaps_ten_times_ends_with_one_owner() {
    let mut world = cluster(&[100, 200]);
    for _ in 0..10 {
        world.set_link(1, 0, LinkCondition::NoCarrier).unwrap();
        pass(&mut world, 1);
        world.set_link(1, 0, LinkCondition::Up).unwrap();
        pass(&mut world, 1);
    }
    pass(&mut world, 10);
    assert_eq!((active(&world), holders(&world), believed(&world)), (vec![1], vec![1], Some(1)));
}

impl Plan {
    /// One IPv4 router, preempting, with a lease, announced once.
    fn simple(priorities: &[u8], interval: Duration) -> Self {
        let base = u64::try_from(interval.as_nanos()).unwrap();
        let announce = AnnouncePolicy { repeat: 1, delay: Duration::ZERO, ..AnnouncePolicy::default() };
        let configs = crate::plan::plain_configs(priorities, interval, announce, AddressLease::Seconds(1));
        Self {
            configs,
            links: 1,
            delay: base / 100,
            lateness: base / 500,
            apply: base / 100,
            faults: Vec::new(),
            pace: base,
            talks: false,
            yields: false,
            patience: 1,
            trouble: 0,
        }
    }
}
