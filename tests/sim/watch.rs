//! The safety invariants, checked after every step of the simulation. Their numbers are those of the list of invariants
//! in ARCHITECTURE.md: S1 single Active, S2 single holder, S3 backup purity, S4 legal transitions, S5 owner rule
//! and priorities, S11 sync groups.

use std::fmt::Write;

use ha_engine::{Cause, Counters, Event, EventKind, StateName, Subject};

use crate::node::{Node, Process};
use crate::plan::{SECOND, nanos};
use crate::world::{Failure, World};

/// An event left an engine: it must fit what was before it.
pub(crate) fn event(world: &mut World, node: usize, event: &Event) -> Result<(), Failure> {
    world.tally.events += 1;
    let now = world.now;
    if event.at.as_nanos() > now {
        return Err(format!("an event from the future: {event:?}"));
    }
    if let Subject::Instance(_, name) | Subject::Vip(_, name, _) = &event.subject {
        world.touched.insert(router_of(name));
    }
    match (&event.subject, &event.kind) {
        (Subject::Instance(id, name), EventKind::StateChanged { from, to }) => {
            let router = router_of(name);
            let stand = &mut world.nodes[node].states[router];
            if stand.state != *from {
                return Err(format!(
                    "S4: node {node} router {router} leaves {from:?} but was {:?}",
                    stand.state
                ));
            }
            stand.state = *to;
            stand.since = now;
            world.tally.transitions += 1;
            world.tally.checked_states += u64::from(event.cause == Cause::CheckChanged);
            world.tally.takeovers += u64::from(*to == StateName::Active);
            world.tally.yielded +=
                u64::from(event.cause == Cause::DuplicateActive && *to == StateName::Backup);
            if !is_legal(*from, *to, event) {
                return Err(format!("S4: node {node} instance {}: {event:?}", id.0));
            }
        }
        (Subject::Instance(_, name), EventKind::PriorityChanged { .. }) => {
            world.nodes[node].states[router_of(name)].priority_since = now;
            world.tally.checked_priorities += u64::from(event.cause == Cause::CheckChanged);
        }
        (_, EventKind::DuplicateActiveBegan { .. }) => world.tally.rivals += 1,
        (_, EventKind::Stalled { .. }) => world.tally.stalls += 1,
        _ => {}
    }
    Ok(())
}

/// Every transition that exists, with the causes that it may have and the evidence that it must have.
fn is_legal(from: StateName, to: StateName, event: &Event) -> bool {
    use Cause as C;
    use StateName::{Active, Backup, Fault, Initialize};
    let evidence = &event.evidence;
    let by_peer = evidence.peer.is_some() && evidence.peer_priority.is_some();
    let by_timer = evidence.active_down_interval.is_some();
    match (from, to, event.cause) {
        (Initialize | Fault | Backup, Active, C::AddressOwner) => true,
        // A wait that began with a Fault ends with its cause.
        (Initialize, Backup, _) if is_faulty_cause(event.cause) || event.cause == C::AgentStart => true,
        (Backup, Active, C::SyncGroup) | (Active, Backup, C::SyncGroup) => evidence.subject.is_some(),
        (Backup, Active, C::ActiveDownTimer) => {
            by_timer
                && evidence
                    .last_advertisement_age
                    .is_none_or(|age| Some(age) >= evidence.active_down_interval)
        }
        (Backup, Active, C::PeerPriorityZero) => by_timer && evidence.peer_priority == Some(0),
        (Backup, Active, C::LocalPreempt | C::PreemptDelayExpired) => by_timer && by_peer,
        (Active, Backup, C::PeerHigherPriority) => {
            by_peer && evidence.peer_priority > evidence.local_priority.map(|own| own.get())
        }
        (Active, Backup, C::PeerEqualPriorityHigherAddress) => {
            by_peer && evidence.peer_priority == evidence.local_priority.map(|own| own.get())
        }
        (Backup, Active, C::AdminDrain | C::AdminTransfer | C::PeerReleased) => evidence.detail.is_some(),
        (Active, Backup, C::AdminDrain | C::AdminTransfer) => evidence.local_priority.is_some(),
        (Active, Backup, C::DuplicateActive) => {
            by_peer && evidence.detail.is_some() && evidence.subject.is_some()
        }
        (Active, Backup, C::AgentStalled) => by_peer && evidence.stalled.is_some(),
        (Initialize | Backup | Active, Fault, C::InterfaceChanged | C::CheckChanged | C::SyncGroup) => {
            evidence.detail.is_some() && evidence.subject.is_some()
        }
        (Backup | Active, Fault, C::ConfigReload) => evidence.subject.is_some(),
        (Active, Fault, C::AddressFailed | C::AddressConflict) => evidence.detail.is_some(),
        (Fault, Backup | Initialize, _) if is_faulty_cause(event.cause) => true,
        (Backup | Active | Fault, Initialize, C::AgentStop | C::ConfigReload) => true,
        _ => false,
    }
}

fn is_faulty_cause(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::InterfaceChanged
            | Cause::AddressFailed
            | Cause::AddressConflict
            | Cause::CheckChanged
            | Cause::SyncGroup
            | Cause::ConfigReload
    )
}

pub(crate) fn router_of(name: &str) -> usize {
    name.rsplit('-').next().unwrap().parse().unwrap()
}

/// An engine has answered an input: its status agrees with its events, and its adverts with its state.
pub(crate) fn after_input(
    world: &World,
    node: usize,
    before: &[StateName],
    sent: &[(usize, u8)],
) -> Result<(), Failure> {
    let this = &world.nodes[node];
    for status in this.engine.statuses() {
        let router = usize::from(status.config.virtual_router_id.get()) - 1;
        let stand = &this.states[router];
        if status.state != stand.state || status.since.as_nanos() > world.now {
            return Err(format!("S4: node {node} status {:?} but its events said {stand:?}", status.state));
        }
        let override_ = status.override_.as_ref().map(|own| own.priority);
        let (expected, faulty) = this.facts.verdict(&status.config, override_);
        let expected = if status.drained { 1 } else { expected };
        let explained: i32 = status.effective.because.iter().map(|step| step.delta).sum();
        if status.effective.value.get() != expected || explained != i32::from(expected) {
            return Err(format!(
                "S5: node {node} router {router} should have {expected}: {:?}",
                status.effective
            ));
        }
        if faulty && matches!(status.state, StateName::Active | StateName::Backup) {
            return Err(format!("node {node} router {router} takes part although a check fails"));
        }
        if status.state == StateName::Fault && status.faults.is_empty() {
            return Err(format!("node {node} router {router} is in Fault without a reason"));
        }
        for (_, priority) in sent.iter().filter(|(sent, priority)| *sent == router && *priority != 0) {
            if *priority != status.effective.value.get() {
                return Err(format!("S5: node {node} router {router} sent priority {priority}"));
            }
        }
    }
    for (router, priority) in sent {
        let after = this.states[*router].state;
        // A reload may release and start anew in one step, and one that offers the addresses keeps them.
        let keeps = world.is_handing_over(node, *router);
        if *priority == 0 && !keeps && after == StateName::Active && this.states[*router].since < world.now {
            return Err(format!("S5: node {node} router {router} released and stayed Active"));
        }
        if before[*router] != StateName::Active && after != StateName::Active {
            return Err(format!("S3: node {node} router {router} sent {priority} without being Active"));
        }
    }
    Ok(())
}

/// S11: a group is Active on its node as a whole or not at all, whatever the input was; and nobody is Active beside a
/// Fault. The exception is a reload that brings a member into an Active group.
pub(crate) fn groups(world: &mut World, node: usize, reconfigured: bool) -> Result<(), Failure> {
    let this = &mut world.nodes[node];
    let members = this.engine.statuses().filter(|status| status.config.group.is_some());
    let states: Vec<StateName> = members.map(|status| status.state).collect();
    let active = states.iter().filter(|state| **state == StateName::Active).count();
    let split = active > 0 && active < states.len();
    if split && (!(this.split || reconfigured) || states.contains(&StateName::Fault)) {
        return Err(format!("S11: the group of node {node} is split: {states:?}"));
    }
    world.tally.united += u64::from(active > 1 && !split);
    world.tally.newcomers += u64::from(split && !this.split);
    this.split = split;
    Ok(())
}

/// Time has passed or something has happened anywhere.
pub(crate) fn after_step(world: &World) -> Result<(), Failure> {
    for router in 0..world.plan.routers() {
        vacancy(world, router)?;
        for node in 0..world.nodes.len() {
            backup_purity(world, node, router)?;
            lease(world, node, router)?;
            for other in 0..node {
                single(world, node, other, router)?;
                dispute(world, node, other, router)?;
            }
        }
    }
    Ok(())
}

/// S1 and S2 for two nodes that have been able to talk for long enough.
fn single(world: &World, left: usize, right: usize, router: usize) -> Result<(), Failure> {
    let (one, other) = (&world.nodes[left], &world.nodes[right]);
    if !(talk(world, left, right, world.plan.link_of(router)) && one.runs() && other.runs()) {
        return Ok(());
    }
    let plan = &world.plan;
    let moving = world.talk.may_both_until(router, left, right);
    let undisturbed = one.since.max(other.since).max(world.network.since).max(moving);
    let settled = plan.interval(router) + plan.delay + plan.lateness;
    let (mine, theirs) = (&one.states[router], &other.states[router]);
    let priorities = mine.priority_since.max(theirs.priority_since);
    if mine.state == StateName::Active && theirs.state == StateName::Active {
        let since = mine.since.max(theirs.since).max(undisturbed).max(priorities);
        if world.now > since + settled {
            return Err(format!(
                "S1: nodes {left} and {right} are both Active for router {router} since {since}"
            ));
        }
    }
    if one.holds(router) && other.holds(router) {
        let since = one.held[router].since.max(other.held[router].since).max(undisturbed).max(priorities);
        if world.now > since + settled + 2 * plan.apply {
            return Err(format!("S2: nodes {left} and {right} both hold router {router} since {since}"));
        }
    }
    Ok(())
}

/// M1: while nothing but planned moves happens, somebody holds the addresses.
fn vacancy(world: &World, router: usize) -> Result<(), Failure> {
    let (Some(most), Some(since)) = (world.most_vacant, world.vacant[router]) else { return Ok(()) };
    if world.now > since + most {
        return Err(format!("M1: nobody holds router {router} since {since}"));
    }
    Ok(())
}

/// M2: of two that hear each other's words and are both Active, the loser yields, whatever becomes of adverts.
fn dispute(world: &World, left: usize, right: usize, router: usize) -> Result<(), Failure> {
    let (one, other) = (&world.nodes[left], &world.nodes[right]);
    let hear = world.plan.talks && world.plan.yields && world.talk.carries(left, right);
    if !(hear && one.runs() && other.runs() && one.is_active(router) && other.is_active(router)) {
        return Ok(());
    }
    let (mine, theirs) = (&one.states[router], &other.states[router]);
    let states = mine.since.max(theirs.since).max(mine.priority_since).max(theirs.priority_since);
    let calm = one.since.max(other.since).max(world.talk.since).max(world.talk.moving[router]);
    let since = states.max(calm);
    if world.now > since + world.dispute_bound(router) {
        return Err(format!(
            "M2: nodes {left} and {right} know that both are Active for router {router} since {since}"
        ));
    }
    Ok(())
}

fn talk(world: &World, left: usize, right: usize, link: usize) -> bool {
    let network = &world.network;
    let up = world.nodes[left].is_up(link) && world.nodes[right].is_up(link);
    network.is_well() && up && network.carries(left, right, link) && network.carries(right, left, link)
}

/// S3: a running node that is not Active holds nothing.
fn backup_purity(world: &World, node: usize, router: usize) -> Result<(), Failure> {
    let this = &world.nodes[node];
    if !this.runs() || !this.holds(router) || this.is_active(router) {
        return Ok(());
    }
    let since = this.states[router].since.max(this.since);
    if world.now > since + world.plan.apply {
        return Err(format!("S3: node {node} holds router {router} in {:?}", this.states[router].state));
    }
    Ok(())
}

/// S2: without its process, a kernel holds a leased address for the lease and a second more at most.
fn lease(world: &World, node: usize, router: usize) -> Result<(), Failure> {
    let this = &world.nodes[node];
    let (false, true, Some(lease)) = (this.runs(), this.holds(router), this.held[router].lease) else {
        return Ok(());
    };
    if world.now > this.since + lease + SECOND {
        return Err(format!("S2: the kernel of node {node} holds router {router} without its agent"));
    }
    // What a lease may be at most: three intervals of the slowest node, but at least a second.
    let interval = world.plan.interval(router);
    if world.lease(node, router).is_some_and(|lease| lease > (3 * interval).max(2 * SECOND)) {
        return Err(format!("a lease of {lease} ns for an interval of {interval} ns"));
    }
    Ok(())
}

/// Everything that a discarded packet must not change (S6).
pub(crate) fn fingerprint(node: &Node) -> String {
    let mut text = String::new();
    for status in node.engine.statuses() {
        let received = status.counters.received;
        let status = ha_engine::InstanceStatus { counters: Counters::default(), ..status };
        // Writing into a String does not fail.
        let _ = write!(text, "{received} {status:?}");
    }
    let _ = write!(text, "{:?}", node.engine.next_deadline());
    text
}

/// Whether a node may become or stay Active for a router now.
pub(crate) fn is_eligible(node: &Node) -> bool {
    node.process == Process::Running && (0..node.conditions.len()).all(|link| node.is_up(link))
}

/// Whether some router still sits out a pause after a refused or contested address.
pub(crate) fn is_faulty(world: &World) -> bool {
    world.nodes.iter().flat_map(|node| node.engine.statuses()).any(|status| status.state == StateName::Fault)
}

/// The delay before preemption and the start-up delay of a router, whichever nodes have them.
pub(crate) fn configured_delays(world: &World, router: usize) -> u64 {
    let of = |router: usize| &world.plan.configs[0][router];
    let delays = |router| nanos(of(router).preempt_delay) + nanos(of(router).startup_delay);
    world.plan.group_of(router).into_iter().map(delays).max().unwrap()
}
