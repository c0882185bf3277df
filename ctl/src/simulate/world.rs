//! Engines under one virtual clock, the network between them, and who holds which address when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    Actor, Applied, Cause, DrainCommand, Engine, EventKind, Handover, Input, InstanceConfig, InstanceId,
    InstanceStatus, Instant, LinkCondition, LinkId, LinkState, OperatorAction, OperatorCommand, Output,
    Packet, Priority, StandingOrder, StateName, Transport, Way,
};

use super::model::{Model, Node};
use super::{Change, tie};

/// From one node to the next; the order of two packets never depends on anything else.
const LATENCY: Duration = Duration::from_micros(200);
/// From one agent's request to another's answer.
const CONTROL: Duration = Duration::from_millis(1);
/// What a handover may take: as the agents allow each other.
const HANDOVER: Duration = Duration::from_secs(1);
/// Steps at most: a cluster that never settles is stopped here.
const MOST_STEPS: usize = 2_000_000;

/// The cluster in motion.
pub(super) struct World {
    now: Instant,
    members: Vec<Member>,
    queue: BinaryHeap<Reverse<Due>>,
    sent: u64,
    /// When the change was made.
    began: Instant,
    /// How long one phase takes to settle.
    patience: Duration,
    /// By address: who holds it from when on, one entry for each change.
    history: BTreeMap<IpAddr, Vec<(Instant, BTreeSet<usize>)>>,
    told: Vec<Told>,
}

struct Member {
    node: Node,
    engine: Engine,
    is_alive: bool,
    /// Members of different parts do not hear each other.
    part: usize,
    holds: BTreeMap<InstanceId, Vec<IpAddr>>,
    /// The engine's answer to the last command.
    answer: bool,
}

/// A change of state, for people.
struct Told {
    at: Instant,
    addresses: Vec<IpAddr>,
    sentence: String,
    /// The node, when it became Active.
    became_active: Option<String>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    number: u64,
    what: What,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Packet { from: usize, link: LinkId, source: IpAddr, destination: IpAddr, octets: Vec<u8> },
    Withdraw { member: usize, instance: Arc<str>, successor: IpAddr },
}

impl World {
    /// The cluster at rest. Those who hold addresses now are there first, so that whoever need not preempt does not.
    pub(super) fn settled(model: &Model) -> Self {
        let routers = || model.nodes.iter().flat_map(|node| &node.routers);
        let slowest = routers().map(|router| router.config.interval.duration()).max().unwrap_or_default();
        let delay = routers().map(|router| router.config.preempt_delay).max().unwrap_or_default();
        let member = |node: &Node| Member {
            node: node.clone(),
            engine: Engine::new(),
            is_alive: true,
            part: 0,
            holds: BTreeMap::new(),
            answer: false,
        };
        let mut world = World {
            now: Instant::from_nanos(1),
            members: model.nodes.iter().map(member).collect(),
            queue: BinaryHeap::new(),
            sent: 0,
            began: Instant::from_nanos(1),
            // Three intervals and a skew of at most one, twice, and what preemption waits for.
            patience: slowest * 10 + delay + Duration::from_secs(2),
            history: BTreeMap::new(),
            told: Vec::new(),
        };
        for only_active in [true, false] {
            (0..world.members.len()).for_each(|member| world.configure(member, only_active));
            world.run_until_settled();
        }
        world
    }

    fn configure(&mut self, member: usize, only_active: bool) {
        let node = self.members[member].node.clone();
        let wanted = node.routers.iter().filter(|router| router.is_active || !only_active);
        let configs: Vec<InstanceConfig> = wanted.map(|router| router.config.clone()).collect();
        self.feed(member, Input::Reconfigure(&configs));
        self.tell_links(member);
        for fact in node.told(self.now) {
            self.feed(member, Input::Fact(fact));
        }
        for router in node.routers.iter().filter(|router| router.is_active || !only_active) {
            if let Some(priority) = router.overridden {
                self.override_priority(member, &router.config.name, priority);
            }
        }
        if node.drained && !only_active {
            self.drain(member);
        }
    }

    /// Of all links: one for each router.
    fn tell_links(&mut self, member: usize) {
        let routers = self.members[member].node.routers.clone();
        for router in routers {
            let Some(link) = self.members[member].engine.link(&router.config.interface) else { continue };
            let condition = if router.is_down { LinkCondition::Down } else { LinkCondition::Up };
            let state = LinkState { condition, addresses: vec![router.source] };
            self.feed(member, Input::Link(link, state));
        }
    }

    /// Does something to the cluster, and counts from now on.
    pub(super) fn make(&mut self, change: &Change) {
        self.began = self.now;
        self.told.clear();
        match change {
            Change::Fail(node) => self.each(node, |world, member| {
                world.members[member].is_alive = false;
                world.members[member].holds.clear();
                world.note_holders();
            }),
            Change::Drain(node) => self.each(node, World::drain_and_hand_over),
            Change::Recover(node) => self.each(node, |world, member| {
                let entry = &mut world.members[member];
                (entry.node, entry.is_alive) = (entry.node.healed(), true);
                world.undrain(member);
                world.tell_links(member);
                let facts = world.members[member].node.told(world.now);
                facts.into_iter().for_each(|fact| world.feed(member, Input::Fact(fact)));
            }),
            Change::Priority { node, instance, priority } => {
                let priority = Priority::new(*priority);
                self.each(node, |world, member| {
                    if let Some(priority) = priority {
                        world.override_priority(member, instance, priority);
                    }
                });
            }
            Change::Partition(parts) => {
                for (number, part) in parts.iter().enumerate() {
                    part.iter().for_each(|node| {
                        self.each(node, |world, member| world.members[member].part = number + 1);
                    });
                }
            }
        }
    }

    fn each(&mut self, node: &str, mut act: impl FnMut(&mut Self, usize)) {
        let meant: Vec<usize> =
            (0..self.members.len()).filter(|member| self.members[*member].node.name == node).collect();
        meant.into_iter().for_each(|member| act(self, member));
    }

    fn operate(&mut self, member: usize, instance: &Arc<str>, action: OperatorAction) -> bool {
        let instance = Arc::clone(instance);
        let command =
            OperatorCommand { instance, action, actor: nobody(), expected_revision: None, dry_run: false };
        self.feed(member, Input::Operator(command));
        self.members[member].answer
    }

    fn override_priority(&mut self, member: usize, instance: &str, priority: Priority) {
        let action =
            OperatorAction::OverridePriority { priority, reason: "".into(), expires: None, survives: false };
        self.operate(member, &instance.into(), action);
    }

    fn drain(&mut self, member: usize) {
        let drain = StandingOrder {
            reason: "".into(),
            actor: nobody(),
            since: self.now,
            expires: None,
            survives: false,
        };
        self.set_drain(member, Some(drain));
    }

    fn undrain(&mut self, member: usize) {
        self.set_drain(member, None);
    }

    fn set_drain(&mut self, member: usize, drain: Option<StandingOrder>) {
        let command = DrainCommand { drain, actor: nobody(), expected_revision: None, dry_run: false };
        self.feed(member, Input::Drain(command));
    }

    /// As the agents do it: the best Backup of ours is asked to take over, and only then the addresses are withdrawn. A router
    /// that cannot be asked is waited for.
    fn drain_and_hand_over(&mut self, member: usize) {
        let active: Vec<InstanceStatus> = self.members[member].engine.statuses().collect();
        let active = active.into_iter().filter(|status| status.state == StateName::Active);
        let mut moved: BTreeSet<Arc<str>> = BTreeSet::new();
        let mut moves: Vec<(InstanceStatus, Option<(usize, InstanceStatus)>)> = Vec::new();
        for status in active {
            let is_first = status.config.group.as_ref().is_none_or(|group| moved.insert(Arc::clone(group)));
            if is_first {
                let successor = self.successor(member, &status);
                moves.push((status, successor));
            }
        }
        self.drain(member);
        for (status, successor) in moves {
            self.hand_over(member, &status, successor);
        }
    }

    fn hand_over(
        &mut self,
        member: usize,
        status: &InstanceStatus,
        successor: Option<(usize, InstanceStatus)>,
    ) {
        let until = self.now.after(HANDOVER);
        let cause = Cause::AdminDrain;
        let asked =
            successor.and_then(|(other, chosen)| Some((other, chosen.source?, chosen, status.source?)));
        let way = asked.as_ref().map_or(Way::Offered, |(_, to, ..)| Way::Asked { to: *to });
        let wish = Handover { way, until, cause, hold: None };
        self.operate(member, &status.config.name, OperatorAction::Handover(wish));
        let Some((other, to, chosen, from)) = asked else { return };
        let take_over = OperatorAction::TakeOver { from, until, cause };
        if self.operate(other, &chosen.config.name, take_over) {
            let instance = Arc::clone(&status.config.name);
            self.schedule(CONTROL, What::Withdraw { member, instance, successor: to });
        }
    }

    /// The best Backup that can be asked.
    fn successor(&self, holder: usize, status: &InstanceStatus) -> Option<(usize, InstanceStatus)> {
        let others = self.members.iter().enumerate().filter(|(index, other)| {
            *index != holder
                && other.is_alive
                && self.members[holder].node.can_ask(&other.node)
                && other.part == self.members[holder].part
        });
        let candidates = others
            .flat_map(|(index, other)| other.engine.statuses().map(move |candidate| (index, candidate)));
        let fit = candidates.filter(|(_, candidate)| {
            is_same(&candidate.config, &status.config)
                && candidate.state == StateName::Backup
                && !candidate.drained
                && candidate.faults.is_empty()
        });
        fit.max_by_key(|(_, candidate)| (candidate.effective.value, candidate.source))
    }

    /// Runs as long as a phase takes to settle.
    pub(super) fn run_until_settled(&mut self) {
        let end = self.now.after(self.patience);
        for _ in 0..MOST_STEPS {
            let Some((at, due)) = self.next().filter(|(at, _)| *at <= end) else { break };
            self.now = self.now.max(at);
            match due {
                Next::Queue => self.deliver(),
                Next::Deadline(member) => self.feed(member, Input::Deadline),
            }
        }
        self.now = end;
    }

    /// What was sent before what is due: silence counts only after hearing.
    fn next(&self) -> Option<(Instant, Next)> {
        let queued = self.queue.peek().map(|Reverse(due)| (due.at, Next::Queue));
        let deadlines = self.members.iter().enumerate().filter(|(_, member)| member.is_alive);
        let deadlines = deadlines.filter_map(|(index, member)| {
            let (at, _) = member.engine.next_deadline()?;
            Some((at, Next::Deadline(index)))
        });
        queued.into_iter().chain(deadlines).min_by_key(|(at, _)| *at)
    }

    fn schedule(&mut self, after: Duration, what: What) {
        self.sent += 1;
        self.queue.push(Reverse(Due { at: self.now.after(after), number: self.sent, what }));
    }

    fn deliver(&mut self) {
        let Some(Reverse(due)) = self.queue.pop() else { return };
        match due.what {
            What::Withdraw { member, instance, successor } => {
                self.operate(member, &instance, OperatorAction::Withdraw { successor });
            }
            What::Packet { from, link, source, destination, octets } => {
                let Some(config) = self.config_on(from, link) else { return };
                for (to, link) in self.listeners(from, &config, destination) {
                    let packet = Packet { link, source, destination, ttl: 255, octets: &octets };
                    self.feed(to, Input::Packet(packet));
                }
            }
        }
    }

    fn config_on(&self, member: usize, link: LinkId) -> Option<InstanceConfig> {
        let member = &self.members[member];
        let on_link = |config: &&InstanceConfig| member.engine.link(&config.interface) == Some(link);
        member.node.routers.iter().map(|router| &router.config).find(on_link).cloned()
    }

    /// The links on which others hear this.
    fn listeners(&self, from: usize, config: &InstanceConfig, destination: IpAddr) -> Vec<(usize, LinkId)> {
        let sender = &self.members[from];
        let mut listeners = Vec::new();
        for (index, other) in self.members.iter().enumerate() {
            if index == from || !other.is_alive || !sender.is_alive || other.part != sender.part {
                continue;
            }
            let hears = other.node.routers.iter().filter(|router| {
                let unicast = matches!(config.transport, Transport::Unicast { .. });
                !router.is_down
                    && is_same(&router.config, config)
                    && (!unicast || router.source == destination)
            });
            let links = hears.filter_map(|router| other.engine.link(&router.config.interface));
            listeners.extend(links.map(|link| (index, link)));
        }
        listeners
    }

    /// Hands an input to an engine and carries out what it wants.
    fn feed(&mut self, member: usize, input: Input<'_>) {
        let now = self.now;
        let (mut applied, mut sent, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let entry = &mut self.members[member];
        if !entry.is_alive {
            return;
        }
        for output in entry.engine.handle(now, input) {
            match output {
                Output::Transmit(transmit) => sent.push(What::Packet {
                    from: member,
                    link: transmit.link,
                    source: transmit.source,
                    destination: transmit.destination,
                    octets: transmit.octets.to_vec(),
                }),
                Output::Own(ownership) => {
                    let held = ownership.addresses.iter().map(|own| own.address).collect();
                    entry.holds.insert(ownership.instance, held);
                    let (instance, generation) = (ownership.instance, ownership.generation);
                    applied.push(Applied { instance, generation, result: Ok(()), at: now });
                }
                Output::Event(event) => told.push(event),
                Output::Answer(answer) => entry.answer = answer.is_ok(),
                Output::Announce(_) => {}
            }
        }
        told.into_iter().for_each(|event| self.tell(member, &event));
        sent.into_iter().for_each(|packet| self.schedule(LATENCY, packet));
        if !applied.is_empty() {
            self.note_holders();
        }
        applied.into_iter().for_each(|applied| self.feed(member, Input::Applied(applied)));
    }

    fn tell(&mut self, member: usize, event: &ha_engine::Event) {
        let EventKind::StateChanged { from, to } = event.kind else { return };
        let ha_engine::Subject::Instance(_, name) = &event.subject else { return };
        let node = &self.members[member].node;
        let router = node.routers.iter().find(|router| router.config.name == *name);
        let addresses = router.into_iter().flat_map(|router| router.config.addresses.iter());
        let after = self.now.since(self.began);
        let became_active = (to == StateName::Active).then(|| node.name.clone());
        let (from, to, cause) = (from.as_str(), to.as_str(), event.cause.as_str());
        let sentence =
            format!("{} {from} to {to} after {}: {cause}{}", node.name, shown(after), event.evidence);
        let addresses = addresses.map(|own| own.address).collect();
        self.told.push(Told { at: self.now, addresses, sentence, became_active });
    }

    fn note_holders(&mut self) {
        let mut holders: BTreeMap<IpAddr, BTreeSet<usize>> = BTreeMap::new();
        for (index, member) in self.members.iter().enumerate().filter(|(_, member)| member.is_alive) {
            for address in member.holds.values().flatten() {
                holders.entry(*address).or_default().insert(index);
            }
        }
        let known: Vec<IpAddr> = self.history.keys().chain(holders.keys()).copied().collect();
        for address in known {
            let now_held = holders.get(&address).cloned().unwrap_or_default();
            let history = self.history.entry(address).or_default();
            if history.last().is_none_or(|(_, before)| *before != now_held) {
                history.push((self.now, now_held));
            }
        }
    }

    /// Who holds an address now.
    pub(super) fn holders(&self, address: IpAddr) -> BTreeSet<String> {
        let last = self.history.get(&address).and_then(|history| history.last());
        last.into_iter()
            .flat_map(|(_, held)| held)
            .map(|member| self.members[*member].node.name.clone())
            .collect()
    }

    /// How long nobody, and how long more than one held an address since the change.
    pub(super) fn times(&self, address: IpAddr) -> (Duration, Duration) {
        let nothing = Vec::new();
        let history = self.history.get(&address).unwrap_or(&nothing);
        let (mut gap, mut overlap) = (Duration::ZERO, Duration::ZERO);
        for (index, (from, held)) in history.iter().enumerate() {
            let until = history.get(index + 1).map_or(self.now, |(at, _)| *at);
            let lasted = until.since((*from).max(self.began).min(until));
            match held.len() {
                0 => gap += lasted,
                1 => {}
                _ => overlap += lasted,
            }
        }
        (gap, overlap)
    }

    /// What happened to an address since the change; of a last holder that is missing, why nobody else is one.
    pub(super) fn sentences(&self, address: IpAddr, after: &BTreeSet<String>) -> Vec<String> {
        let about =
            self.told.iter().filter(|told| told.addresses.contains(&address) && told.at >= self.began);
        let mut sentences: Vec<String> = about.clone().map(|told| told.sentence.clone()).collect();
        // More would only repeat itself.
        sentences.truncate(8);
        let became_active = about.filter_map(|told| Some((told.at, told.became_active.as_deref()?)));
        sentences.extend(tie::sentence(&became_active.collect::<Vec<_>>()));
        if after.is_empty() {
            sentences.extend(self.members.iter().filter_map(|member| member.excuse(address)));
        }
        if after.len() > 1 {
            let who = after.iter().cloned().collect::<Vec<_>>().join(" and ");
            sentences.push(format!("{who} do not hear each other and both hold it"));
        }
        sentences
    }
}

impl Member {
    /// Why it does not hold an address.
    fn excuse(&self, address: IpAddr) -> Option<String> {
        let name = &self.node.name;
        let of = |config: &InstanceConfig| config.addresses.iter().any(|own| own.address == address);
        if !self.is_alive {
            return self
                .node
                .routers
                .iter()
                .any(|router| of(&router.config))
                .then(|| format!("{name} is gone"));
        }
        let status = self.engine.statuses().find(|status| of(&status.config))?;
        let faults: Vec<String> = status.faults.iter().map(|fault| fault.describe().to_string()).collect();
        let why = if faults.is_empty() { String::new() } else { format!(": {}", faults.join("; ")) };
        Some(format!("{name} stays {}{why}", status.state.as_str()))
    }
}

enum Next {
    Queue,
    Deadline(usize),
}

/// Two nodes mean the same virtual router: same number and family, and an address in common.
fn is_same(one: &InstanceConfig, other: &InstanceConfig) -> bool {
    one.virtual_router_id == other.virtual_router_id
        && one.family == other.family
        && one.addresses.iter().any(|own| other.addresses.iter().any(|theirs| own.address == theirs.address))
}

fn nobody() -> Arc<Actor> {
    Arc::new(Actor::default())
}

fn shown(duration: Duration) -> String {
    crate::span::Span::from(duration).to_string()
}
