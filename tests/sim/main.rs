//! Many agents' engines on one virtual clock with a hostile network. Each seed is a cluster, a mix of faults, and their
//! end; the invariants are checked after every step. A failing seed is printed with the command that repeats it.
//!
//! `HA_SIM_SEEDS` = how many seeds (default 1000), `HA_SIM_FIRST` = the first of them (default 0), `HA_SIM_SEED` = this
//! one only, with everything that happened. Seeds that once failed stand in `SEEDS` and are run for ever.
#![allow(clippy::unwrap_used, reason = "a simulator that fails is a test that fails")]

mod facts;
mod finale;
mod hostile;
mod moves;
mod node;
mod plan;
mod scenarios;
mod tally;
mod trouble;
mod watch;
mod world;

use std::env;
use std::thread;

use plan::Fault;
use tally::Tally;

/// Runs seeds on all cores and adds up what happened.
fn run_all(seeds: &[u64]) -> Tally {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = seeds.len().div_ceil(cores).max(1);
    let parts: Vec<Tally> = thread::scope(|scope| {
        let workers: Vec<_> = seeds.chunks(share).map(|part| scope.spawn(move || run_part(part))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let mut total = Tally::default();
    parts.iter().for_each(|part| total += part);
    total
}

fn run_part(seeds: &[u64]) -> Tally {
    let mut total = Tally::default();
    for seed in seeds {
        match finale::run(*seed, false) {
            Ok(world) => total += &world.tally,
            Err((world, failure)) => panic!(
                "seed {seed} at {:.3} ms: {failure}\n{} nodes, faults {:?}\nto repeat it: HA_SIM_SEED={seed} cargo test \
                 -p ha-tests --test sim one_seed -- --nocapture\nif it was a bug, add the seed to tests/sim/SEEDS",
                world.now as f64 / 1e6,
                world.plan.nodes(),
                world.plan.faults,
            ),
        }
    }
    total
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_invariant_holds_for_every_seed() {
    let first = number("HA_SIM_FIRST").unwrap_or(0);
    let count = number("HA_SIM_SEEDS").unwrap_or(1000);
    let seeds: Vec<u64> = (first..first + count).collect();
    let tally = run_all(&seeds);
    println!("{count} seeds from {first}: {tally:?}");
    if count >= 200 {
        assert_progress(&tally, count);
    }
}

/// A simulation in which little happens proves little.
fn assert_progress(tally: &Tally, count: u64) {
    for fault in Fault::ALL {
        assert!(tally.faults.get(&fault).copied().unwrap_or_default() >= count / 2, "{fault:?}: {tally:?}");
    }
    let enough = [
        ("takeovers", tally.takeovers, 4 * count),
        ("transitions", tally.transitions, 10 * count),
        ("adverts lost", tally.lost, count),
        ("hostile packets", tally.hostile, count),
        ("rivals", tally.rivals, count / 4),
        ("stalls", tally.stalls, count / 4),
        ("leases ended", tally.leases_ended, count / 20),
        ("refused addresses", tally.refused, count / 20),
        ("refused commands", tally.refusals, count / 20),
        ("same reloads", tally.same_reloads, count / 10),
        ("drained", tally.drained, count / 10),
        ("states that a check changed", tally.checked_states, count / 10),
        ("priorities that a check changed", tally.checked_priorities, count / 2),
        ("inputs of an Active group", tally.united, 50 * count),
        ("newcomers", tally.newcomers, count / 200),
        ("believed announcements", tally.believed, count),
        ("handovers", tally.handovers, count / 2),
        ("successors asked", tally.asked, count / 2),
        ("takeovers at a word", tally.taken, count / 2),
        ("answers of successors", tally.answered, count / 4),
        ("words of Active routers", tally.words, 50 * count),
        ("routers that yielded to a word", tally.yielded, count / 20),
        ("rehearsed moves", tally.rehearsed, count),
    ];
    for (what, seen, least) in enough {
        assert!(seen >= least, "only {seen} {what}, of {least}: {tally:?}");
    }
}

#[test]
fn seeds_that_once_failed_pass_for_ever() {
    let seeds: Vec<u64> = include_str!("SEEDS")
        .lines()
        .filter_map(|line| line.split('#').next().unwrap().trim().parse().ok())
        .collect();
    run_all(&seeds);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let hash = |seed| finale::run(seed, false).map(|world| world.hash).map_err(|(_, failure)| failure);
    let hashes: Vec<_> = (1000..1020).map(hash).collect();
    assert_eq!((1000..1020).map(hash).collect::<Vec<_>>(), hashes);
    let different: std::collections::BTreeSet<_> = hashes.iter().flatten().collect();
    assert_eq!(different.len(), 20);
}

#[test]
fn one_seed_can_be_watched() {
    let Some(seed) = number("HA_SIM_SEED") else { return };
    let result = finale::run(seed, true);
    if let Err((world, failure)) = result {
        println!("{:#?}", world.plan);
        for (number, node) in world.nodes.iter().enumerate() {
            println!("node {number}: {:?} {:?} {:?}", node.process, node.conditions, node.held);
            node.engine.statuses().for_each(|status| println!("  {status:?}"));
        }
        panic!("seed {seed} at {:.3} ms: {failure}", world.now as f64 / 1e6);
    }
}
