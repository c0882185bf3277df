//! After the faults: the cluster must come back to one right owner, stay quiet, hand over, and leave nothing behind.

use std::sync::Arc;

use ha_engine::{Cause, OperatorAction, Priority};

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
    rehearse(world)?;
    drain(world)?;
    leave(world)?;
    end_all(world)
}

/// L1 and L2: exactly one owner, and the right one.
fn converge(world: &mut World) -> Result<(), Failure> {
    // What is still on its way was sent before the faults ended.
    let moving = world.talk.moving.iter().copied().max().unwrap_or_default();
    let mut start = (world.now + 2 * world.longest_interval()).max(moving);
    // A transfer that was under way when the faults ended holds its former holder back only then.
    world.run_to(moving.max(world.now))?;
    (0..world.nodes.len()).try_for_each(|node| world.end_holds(node))?;
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

/// L2: T(p) + A + preempt delay + d + e, and the second look of a node that was away; of a group's slowest member.
fn settle_time(world: &World, router: usize) -> u64 {
    let plan = &world.plan;
    let slack = 4 * (plan.delay + plan.lateness + plan.apply);
    let members = plan.group_of(router);
    let down = members.iter().map(|member| world.down_of(*member)).max().unwrap();
    let interval = members.iter().map(|member| plan.interval(*member)).max().unwrap();
    let delays = watch::configured_delays(world, router);
    let after_delay = if delays > 0 { down } else { 0 };
    2 * down + 2 * interval + delays + after_delay + slack
}

fn preempts(world: &World, router: usize) -> bool {
    let best = best_node(world, router);
    let (configs, priority) = (&world.plan.configs[best], effective(world, best, router));
    // A Backup takes an equal priority for its Active router, whatever the address (RFC 9568 §6.4.2).
    let rivals = (0..world.nodes.len()).filter(|node| effective(world, *node, router) == priority).count();
    let members = world.plan.group_of(router);
    let preempts = members.iter().all(|member| configs[*member].preempt);
    (preempts || configs[router].priority.is_owner()) && rivals == 1
}

fn best_node(world: &World, router: usize) -> usize {
    let nodes = 0..world.nodes.len();
    nodes.max_by_key(|node| (effective(world, *node, router), *node)).unwrap()
}

fn effective(world: &World, node: usize, router: usize) -> u8 {
    let config = &world.plan.configs[node][router];
    world.nodes[node].facts.verdict(config, None).0
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

/// M1 and M3: planned moves while nothing else is wrong, over a control plane that loses and delays: somebody holds the addresses at
/// every moment, and a drained node does not while another can.
fn rehearse(world: &mut World) -> Result<(), Failure> {
    for _ in 0..2 {
        let router = world.random.index(world.plan.routers());
        let owner = single_owner(world, router)?;
        let drains = world.random.chance(500);
        let asks = world.random.chance(750);
        // A successor that is asked holds the addresses before the holder lets go; another one as soon as its kernel is done.
        world.most_vacant = Some(if asks { 0 } else { world.plan.apply });
        move_once(world, router, owner, asks, drains)?;
        world.tally.rehearsed += 1;
        // The way back is preemption.
        world.most_vacant = Some(world.plan.apply + world.plan.delay);
        world.drain_node(owner, false, None)?;
        world.end_holds(owner)?;
        world.run_to(world.now + settle_time(world, router))?;
        single_owner(world, router)?;
    }
    world.most_vacant = None;
    Ok(())
}

fn move_once(
    world: &mut World,
    router: usize,
    owner: usize,
    asks: bool,
    drains: bool,
) -> Result<(), Failure> {
    let cause = if drains { Cause::AdminDrain } else { Cause::AdminTransfer };
    if drains {
        world.drain_node(owner, true, None)?;
    }
    for member in 0..world.plan.routers() {
        if world.nodes[owner].is_active(member) && (member == router || drains) {
            let is_led = world.plan.group_of(member).first() == Some(&member) || member == router;
            let is_new = !world.is_handing_over(owner, member);
            if is_led && is_new {
                let others = (0..world.nodes.len()).filter(|node| *node != owner);
                let best = others.max_by_key(|node| (effective(world, *node, member), *node));
                let to = best.filter(|_| asks);
                world.hand_over(owner, member, to, !drains, cause)?;
            }
        }
    }
    let moving = world.talk.moving.iter().copied().max().unwrap();
    world.run_to(moving.max(world.now))?;
    for member in 0..world.plan.routers() {
        if drains && world.nodes[owner].is_active(member) {
            // Nobody answered in time: it is offered to whoever takes it.
            world.most_vacant = Some(world.plan.apply);
            world.hand_over(owner, member, None, false, cause)?;
        }
    }
    world.run_to(world.now + settle_time(world, router))?;
    for member in 0..world.plan.routers() {
        let now = single_owner(world, member)?;
        // The priority of a last resort is that of a drained node.
        let others = (0..world.nodes.len()).filter(|node| *node != owner);
        let is_last_resort = others.map(|node| effective(world, node, member)).max() == Some(1);
        if drains && now == owner && !is_last_resort {
            return Err(format!("M3: router {member} is on the drained node {owner}"));
        }
    }
    Ok(())
}

/// L3: the Active router's priority is lowered below everybody's; the best of the others takes over.
fn drain(world: &mut World) -> Result<(), Failure> {
    for router in 0..world.plan.routers() {
        let owner = single_owner(world, router)?;
        let Some(priority) = drained(world, router, owner) else { continue };
        world.tally.drained += 1;
        let reason = Arc::from("drain");
        let action = OperatorAction::OverridePriority { priority, reason, expires: None, survives: false };
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

/// A priority in place of the configured one that makes the owner worse than everybody else; with Preempt_Mode or without,
/// because a router that becomes worse is relieved.
fn drained(world: &World, router: usize, owner: usize) -> Option<Priority> {
    let is_owned = |node: &usize| world.plan.configs[*node][router].priority.is_owner();
    let nodes = || 0..world.nodes.len();
    let lowest = Priority::new(1).unwrap();
    let config = &world.plan.configs[owner][router];
    let then = world.nodes[owner].facts.verdict(config, Some(lowest)).0;
    let worst = nodes().all(|node| node == owner || effective(world, node, router) > then);
    let now = effective(world, owner, router);
    // An address owner's group takes no override, wherever in it the owner is.
    (!nodes().any(|node| node == owner && is_owned(&node)) && worst && then < now).then_some(lowest)
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
        let members = world.plan.group_of(router);
        let skew = members.iter().map(|member| world.down_of(*member) - 3 * world.plan.interval(*member));
        let skew = skew.max().unwrap();
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
        // A better one that was away for longer takes over from one that was not, whenever it comes to: S1 and S2 bound how long
        // both are Active then, and this must not look at them in the middle.
        if (0..world.nodes.len()).filter(|node| world.nodes[*node].is_active(router)).count() > 1 {
            world.run_to(world.now + world.plan.delay + 2 * world.plan.apply)?;
        }
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
