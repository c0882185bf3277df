//! After the faults: the cluster must come back to one right owner, stay quiet, hand over, and leave nothing behind.

use std::sync::Arc;

use ha_engine::{OperatorAction, Priority};

use crate::plan::SECOND;
use crate::watch;
use crate::world::{Failure, Item, World};

/// The whole life of a cluster: warm-up, faults, heal, liveness, handover, orderly end.
pub(crate) fn run(seed: u64, verbose: bool) -> Result<Box<World>, (Box<World>, Failure)> {
    let mut world = Box::new(World::new(seed, verbose));
    match live(&mut world) {
        Ok(()) => Ok(world),
        Err(failure) => Err((world, failure)),
    }
}

fn live(world: &mut World) -> Result<(), Failure> {
    world.begin()?;
    let warm = world.longest_interval();
    if !world.plan.faults.is_empty() {
        world.after(warm, Item::Trouble);
    }
    let end = world.plan.trouble + world.longest_interval();
    world.run_to(end)?;
    world.heal()?;
    converge(world)?;
    quiet(world)?;
    drain(world)?;
    leave(world)?;
    end_all(world)
}

/// L1 and L2: exactly one owner, and the right one.
fn converge(world: &mut World) -> Result<(), Failure> {
    // What is still on its way was sent before the faults ended.
    let mut start = world.now + 2 * world.longest_interval();
    // The longest pause of an instance in Fault: 10 s doubled five times.
    for _ in 0..330 {
        if !watch::is_faulty(world) {
            break;
        }
        world.run_to(world.now + SECOND)?;
        start = world.now;
    }
    let bound = (0..world.plan.routers()).map(|router| settle_time(world, router)).max().unwrap();
    world.run_to(start + bound)?;
    for router in 0..world.plan.routers() {
        let owner = single_owner(world, router)?;
        let best = best_node(world, router);
        if preempts(world, router) && owner != best {
            return Err(format!("L2: router {router} is on node {owner}, but node {best} is better"));
        }
    }
    Ok(())
}

/// L2: T(p) + A + preempt delay + d + e, and the second look of a node that was away.
fn settle_time(world: &World, router: usize) -> u64 {
    let plan = &world.plan;
    let slack = 4 * (plan.delay + plan.lateness + plan.apply);
    let (down, interval) = (world.down_of(router), plan.interval(router));
    let delays = watch::configured_delays(world, router);
    let after_delay = if delays > 0 { down } else { 0 };
    2 * down + 2 * interval + delays + after_delay + slack
}

fn preempts(world: &World, router: usize) -> bool {
    let best = best_node(world, router);
    let config = &world.plan.configs[best][router];
    // A Backup takes an equal priority for its Active router, whatever the address (RFC 9568 §6.4.2).
    let rivals = world.plan.configs.iter().filter(|node| node[router].priority == config.priority).count();
    (config.preempt || config.priority.is_owner()) && rivals == 1
}

fn best_node(world: &World, router: usize) -> usize {
    let nodes = 0..world.nodes.len();
    nodes.max_by_key(|node| (world.plan.configs[*node][router].priority, *node)).unwrap()
}

fn single_owner(world: &World, router: usize) -> Result<usize, Failure> {
    let nodes = 0..world.nodes.len();
    let eligible: Vec<usize> = nodes.filter(|node| watch::is_eligible(&world.nodes[*node])).collect();
    let active: Vec<usize> =
        eligible.iter().copied().filter(|node| world.nodes[*node].is_active(router)).collect();
    let holders: Vec<usize> =
        (0..world.nodes.len()).filter(|node| world.nodes[*node].holds(router)).collect();
    match active.as_slice() {
        [owner] if holders == [*owner] => Ok(*owner),
        _ => Err(format!(
            "L1: router {router} is Active on {active:?} and held by {holders:?} of {eligible:?}"
        )),
    }
}

/// Nothing moves any more, no address is touched (L6), and the client believes the owner (L4).
fn quiet(world: &mut World) -> Result<(), Failure> {
    let owners = owners(world)?;
    let transitions = world.tally.transitions;
    let longest = (0..world.plan.routers()).map(|router| world.down_of(router)).max().unwrap();
    world.run_to(world.now + 2 * longest + SECOND)?;
    if world.tally.transitions != transitions {
        return Err("transitions although nothing is wrong any more".to_owned());
    }
    let pending = world
        .nodes
        .iter()
        .any(|node| node.orders.iter().any(|(_, order)| matches!(order, crate::node::Order::Own(_))));
    if pending {
        return Err("L6: addresses are still being changed".to_owned());
    }
    for (router, owner) in owners.into_iter().enumerate() {
        for own in &*Arc::clone(&world.plan.configs[owner][router].addresses) {
            let believed = world.client.get(&own.address).copied();
            if believed == Some(owner) {
                world.tally.believed += 1;
            } else if believed.is_some_and(|other| !knows(world, other, router, owner)) {
                // Nobody could tell the owner that another had claimed the address: it crashed, or its last words were lost.
                world.tally.unknowable += 1;
            } else {
                return Err(format!(
                    "L4: the client sends {} to {believed:?} rather than node {owner}",
                    own.address
                ));
            }
        }
    }
    Ok(())
}

fn knows(world: &World, other: usize, router: usize, owner: usize) -> bool {
    world.farewells.get(&(other, router)).is_some_and(|hearers| hearers.contains(&owner))
}

fn owners(world: &World) -> Result<Vec<usize>, Failure> {
    (0..world.plan.routers()).map(|router| single_owner(world, router)).collect()
}

/// L3: the Active router's priority is lowered below everybody's; the best of the others takes over.
fn drain(world: &mut World) -> Result<(), Failure> {
    for router in 0..world.plan.routers() {
        let owner = single_owner(world, router)?;
        let best = best_node_but(world, router, owner);
        let config = &world.plan.configs[best][router];
        let lowest = world.plan.configs.iter().map(|node| node[router].priority.get()).min().unwrap();
        let owned = world.plan.configs[owner][router].priority.is_owner();
        if owned || lowest == 1 || !config.preempt {
            continue;
        }
        world.tally.drained += 1;
        let priority = Priority::new(1).unwrap();
        let reason = Arc::from("drain");
        let action = OperatorAction::OverridePriority { priority, reason, expires: None };
        world.command(owner, router, action, None, false)?;
        world.run_to(world.now + settle_time(world, router))?;
        if single_owner(world, router)? == owner {
            return Err(format!("L3: router {router} stayed on node {owner} although it was drained"));
        }
        world.command(owner, router, OperatorAction::ClearPriority, None, false)?;
        world.run_to(world.now + settle_time(world, router))?;
    }
    Ok(())
}

fn best_node_but(world: &World, router: usize, but: usize) -> usize {
    let nodes = (0..world.nodes.len()).filter(|node| *node != but);
    nodes.max_by_key(|node| (world.plan.configs[*node][router].priority, *node)).unwrap()
}

/// L3: the owner leaves in order; its successor is Active after its Skew_Time.
fn leave(world: &mut World) -> Result<(), Failure> {
    let owners = owners(world)?;
    let leaving = owners[0];
    world.stop(leaving)?;
    let start = world.now;
    for (router, owner) in owners.into_iter().enumerate() {
        if owner != leaving {
            continue;
        }
        // The skew of the lowest priority is almost as long as its base; the slack is for the crossing of equals.
        let skew = world.down_of(router) - 3 * world.plan.interval(router);
        let plan = &world.plan;
        let slack = 2 * (plan.delay + plan.lateness) + plan.apply;
        let crossing = plan.delay + plan.lateness + plan.apply;
        // Time in which a node did not run is no silence, and a late timer listens once more.
        let again =
            if plan.lateness >= crate::plan::nanos(world.plan.configs[0][router].interval.duration()) / 8 {
                plan.interval(router) + skew + 2 * plan.lateness
            } else {
                0
            };
        world.run_to((start + skew + slack + crossing + again).max(world.now))?;
        single_owner(world, router).map_err(|failure| format!("L3 after an orderly stop: {failure}"))?;
        world.tally.handovers += 1;
    }
    Ok(())
}

/// X1: after an orderly end nothing of ours is left.
fn end_all(world: &mut World) -> Result<(), Failure> {
    for node in 0..world.nodes.len() {
        if world.nodes[node].runs() {
            world.stop(node)?;
        }
    }
    world.run_to(world.now + 2 * world.longest_interval())?;
    let left = (0..world.nodes.len())
        .find(|node| (0..world.plan.routers()).any(|router| world.nodes[*node].holds(router)));
    left.map_or(Ok(()), |node| Err(format!("X1: node {node} left addresses behind")))
}
