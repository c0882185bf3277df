//! N nodes, one clock, one network, and a client that believes the last announcement it heard.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{
    Announcement, Applied, Event, EventKind, Family, Input, Instant, Output, Packet, StateName, Transmit,
};

use crate::moves::{Talk, Word};
use crate::node::{Node, Order, Process, Wire};
use crate::plan::{Plan, link_name, nanos};
use crate::tally::Tally;
use crate::trouble::Recovery;
use crate::watch;
use ha_tests::Random;

/// Packets that a paused node's sockets keep.
const SOCKET: usize = 400;

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) random: Random,
    pub(crate) now: u64,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) talk: Talk,
    /// Which node the client sends to, by address.
    pub(crate) client: BTreeMap<IpAddr, usize>,
    /// Which nodes were able to hear that a node gave a router up, by node and router.
    pub(crate) farewells: BTreeMap<(usize, usize), Vec<usize>>,
    pub(crate) tally: Tally,
    agenda: BinaryHeap<Reverse<(u64, u64)>>,
    items: BTreeMap<u64, Item>,
    number: u64,
    /// Hash of everything that happened.
    pub(crate) hash: u64,
    pub(crate) verbose: bool,
    /// The faults are over.
    pub(crate) healed: bool,
    /// Routers that the answer to the last input was about.
    pub(crate) touched: BTreeSet<usize>,
    /// Since when no node holds a router.
    pub(crate) vacant: Vec<Option<u64>>,
    /// While nothing but planned moves happens: how long nobody may hold a router.
    pub(crate) most_vacant: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Network {
    pub(crate) loss: u64,
    pub(crate) duplicate: u64,
    pub(crate) extra_delay: u64,
    pub(crate) cut: Vec<Cut>,
    /// When anything above changed last.
    pub(crate) since: u64,
    /// When the last packet arrives, by from, to and link.
    pub(crate) last: BTreeMap<(usize, usize, usize), u64>,
    /// The last packets, for the hostile host to play with.
    pub(crate) overheard: Vec<Wire>,
}

/// From, to, and on which link; `None` = on all.
pub(crate) type Cut = (usize, usize, Option<usize>);

impl Network {
    pub(crate) fn is_well(&self) -> bool {
        self.loss == 0 && self.extra_delay == 0
    }

    pub(crate) fn carries(&self, from: usize, to: usize, link: usize) -> bool {
        !self.cut.contains(&(from, to, None)) && !self.cut.contains(&(from, to, Some(link)))
    }
}

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Item {
    Deliver { to: usize, from: usize, wire: Wire },
    Kernel { node: usize, epoch: u64 },
    LeaseEnd { node: usize, epoch: u64, router: usize },
    Heard { by: usize, addresses: Vec<IpAddr> },
    Fact { node: usize, epoch: u64, fact: usize },
    Word { from: usize, to: usize, epoch: u64, word: Word },
    Progress { node: usize, epoch: u64, router: usize, to: usize, end: u64 },
    Report { node: usize },
    SignOfLife { node: usize },
    Trouble,
    Recover(Recovery),
}

pub(crate) type Failure = String;

impl World {
    pub(crate) fn new(seed: u64, verbose: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        Self { verbose, ..Self::with(plan, random) }
    }

    pub(crate) fn with(plan: Plan, random: Random) -> Self {
        let routers = plan.routers();
        let talk = Talk::new(plan.nodes(), routers);
        let nodes = plan.configs.iter().map(|configs| Node::new(configs.clone(), plan.links)).collect();
        Self {
            plan,
            random,
            now: 0,
            nodes,
            network: Network::default(),
            talk,
            vacant: vec![None; routers],
            most_vacant: None,
            client: BTreeMap::new(),
            farewells: BTreeMap::new(),
            tally: Tally::default(),
            agenda: BinaryHeap::new(),
            items: BTreeMap::new(),
            number: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            verbose: false,
            healed: false,
            touched: BTreeSet::new(),
        }
    }

    pub(crate) fn after(&mut self, delay: u64, item: Item) {
        self.number += 1;
        self.agenda.push(Reverse((self.now + delay, self.number)));
        self.items.insert(self.number, item);
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if self.verbose {
            println!("{:>12.3} {}", self.now as f64 / 1e6, text());
        }
    }

    /// Lets everything happen that happens before `end`.
    pub(crate) fn run_to(&mut self, end: u64) -> Result<(), Failure> {
        loop {
            let wake = (0..self.nodes.len()).filter_map(|node| Some((self.wake_at(node)?, node))).min();
            let item = self.agenda.peek().map(|Reverse(first)| *first);
            match (wake, item) {
                (Some((at, node)), item) if at <= end && item.is_none_or(|(other, _)| at < other) => {
                    self.now = self.now.max(at);
                    self.nodes[node].wake = None;
                    self.handle(node, Input::Deadline)?;
                }
                (_, Some((at, number))) if at <= end => {
                    self.agenda.pop();
                    self.now = self.now.max(at);
                    let item = self.items.remove(&number).unwrap();
                    self.happen(item)?;
                }
                _ => {
                    self.now = end;
                    self.note_vacancies();
                    return watch::after_step(self);
                }
            }
            self.note_vacancies();
            watch::after_step(self)?;
        }
    }

    /// When a node's driver wakes for its next deadline: a little late, always.
    fn wake_at(&mut self, node: usize) -> Option<u64> {
        let lateness = self.plan.lateness;
        let this = &mut self.nodes[node];
        if !this.runs() {
            return None;
        }
        let due = this.engine.next_deadline()?.0.as_nanos();
        match this.wake {
            // Who is late already does not become later by what else is due.
            Some((known, at)) if known == due || known <= self.now => Some(at),
            _ => {
                let at = due.max(self.now) + self.random.up_to(lateness);
                this.wake = Some((due, at));
                Some(at)
            }
        }
    }

    fn happen(&mut self, item: Item) -> Result<(), Failure> {
        match item {
            Item::Deliver { to, from, wire } => self.deliver(to, from, wire),
            Item::Kernel { node, epoch } => self.kernel(node, epoch),
            Item::LeaseEnd { node, epoch, router } => {
                self.lease_ends(node, epoch, router);
                Ok(())
            }
            Item::Heard { by, addresses } => {
                for address in addresses {
                    self.client.insert(address, by);
                }
                Ok(())
            }
            Item::Fact { node, epoch, fact } => self.tell_fact(node, epoch, fact),
            Item::Word { from, to, epoch, word } => self.hear(from, to, epoch, word),
            Item::Progress { node, epoch, router, to, end } => {
                self.progress(node, epoch, router, to, end);
                Ok(())
            }
            Item::Report { node } => {
                self.report(node);
                Ok(())
            }
            Item::SignOfLife { node } => self.sign_of_life(node),
            Item::Trouble => self.trouble(),
            Item::Recover(recovery) => self.recover(recovery),
        }
    }

    fn deliver(&mut self, to: usize, from: usize, wire: Wire) -> Result<(), Failure> {
        let node = &mut self.nodes[to];
        if !node.is_up(wire.link) || !self.network.carries(from, to, wire.link) {
            return Ok(());
        }
        match node.process {
            Process::Dead => Ok(()),
            Process::Paused => {
                if node.inbox.len() < SOCKET {
                    node.inbox.push_back(wire);
                }
                Ok(())
            }
            Process::Running => self.receive(to, &wire),
        }
    }

    pub(crate) fn receive(&mut self, to: usize, wire: &Wire) -> Result<(), Failure> {
        let before = wire.hostile.then(|| watch::fingerprint(&self.nodes[to]));
        let Some(link) = self.nodes[to].engine.link(&link_name(wire.link)) else { return Ok(()) };
        let packet = Packet {
            link,
            source: wire.source,
            destination: wire.destination,
            ttl: wire.ttl,
            octets: &wire.octets,
        };
        self.handle(to, Input::Packet(packet))?;
        if let Some(before) = before {
            self.tally.hostile += 1;
            if watch::fingerprint(&self.nodes[to]) != before {
                return Err(format!("S6: node {to} was moved by {wire:?}"));
            }
        }
        Ok(())
    }

    /// Hands an input to a node and carries out what it answers.
    pub(crate) fn handle(&mut self, node: usize, input: Input<'_>) -> Result<(), Failure> {
        let timed = matches!(input, Input::Deadline);
        let reconfigured = matches!(input, Input::Reconfigure(_));
        let now = Instant::from_nanos(self.now);
        let before: Vec<StateName> = self.nodes[node].states.iter().map(|stand| stand.state).collect();
        let mut engine = core::mem::take(&mut self.nodes[node].engine);
        let mut sent = Vec::new();
        self.touched.clear();
        let mut result = Ok(());
        let mut outputs = 0;
        for output in engine.handle(now, input) {
            // That the node came late has nothing to do with what it was asked.
            outputs += u64::from(!is_stall(&output));
            result = result.and(self.carry_out(node, output, &mut sent));
        }
        self.tally.outputs = outputs;
        self.nodes[node].engine = engine;
        result?;
        if reconfigured {
            self.learn_routers(node);
        }
        if timed && self.nodes[node].engine.next_deadline().is_some_and(|(due, _)| due <= now) {
            return Err(format!("a deadline of node {node} is still due after it was handled"));
        }
        self.note_farewells(node, &before, &sent);
        watch::groups(self, node, reconfigured)?;
        watch::after_input(self, node, &before, &sent)
    }

    /// A router that was Active here no longer is: who can know?
    fn note_farewells(&mut self, node: usize, before: &[StateName], sent: &[(usize, u8)]) {
        for (router, before) in before.iter().enumerate() {
            let active = self.nodes[node].states[router].state == StateName::Active;
            if active && *before != StateName::Active {
                self.farewells.remove(&(node, router));
            }
            if active || *before != StateName::Active {
                continue;
            }
            let link = self.plan.link_of(router);
            let said = sent.iter().any(|(sent, _)| *sent == router) && self.nodes[node].is_up(link);
            let hears = |to: usize| {
                let other = &self.nodes[to];
                let carried = self.network.is_well() && self.network.carries(node, to, link);
                said && carried && other.is_up(link) && other.process != Process::Dead
            };
            let knowing = (0..self.nodes.len()).filter(|to| hears(*to)).collect();
            self.farewells.insert((node, router), knowing);
        }
    }

    fn learn_routers(&mut self, node: usize) {
        let node = &mut self.nodes[node];
        node.former.append(&mut node.routers);
        node.routers = node
            .engine
            .statuses()
            .map(|status| (status.id, usize::from(status.config.virtual_router_id.get()) - 1))
            .collect();
    }

    fn carry_out(
        &mut self,
        node: usize,
        output: Output<'_>,
        sent: &mut Vec<(usize, u8)>,
    ) -> Result<(), Failure> {
        match output {
            Output::Transmit(transmit) => {
                let router = usize::from(transmit.octets[1]) - 1;
                sent.push((router, transmit.octets[2]));
                self.touched.insert(router);
                self.mix(transmit.octets);
                self.send(node, &transmit);
            }
            Output::Own(ownership) => {
                self.note(|| format!("node {node} own {} {:?}", ownership.instance.0, ownership.addresses));
                self.order(node, Order::Own(ownership));
            }
            Output::Announce(announcement) => self.order(node, Order::Announce(announcement)),
            Output::Event(event) => {
                self.mix(event.type_name().as_bytes());
                self.note(|| format!("node {node} {} {event}", subject(&event)));
                self.on_move_event(node, &event);
                return watch::event(self, node, &event);
            }
            Output::Answer(answer) => {
                self.tally.answers += 1;
                self.tally.refusals += u64::from(answer.is_err());
            }
        }
        Ok(())
    }

    fn mix(&mut self, octets: &[u8]) {
        for octet in self.now.to_le_bytes().iter().chain(octets) {
            self.hash = (self.hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn send(&mut self, from: usize, transmit: &Transmit<'_>) {
        self.tally.adverts += 1;
        let link = self.plan.link_of(usize::from(transmit.octets[1]) - 1);
        let wire = Wire {
            link,
            source: transmit.source,
            destination: transmit.destination,
            ttl: transmit.ttl,
            octets: Arc::from(transmit.octets),
            hostile: false,
        };
        if self.network.overheard.len() < 32 {
            self.network.overheard.push(wire.clone());
        } else {
            let slot = self.random.index(32);
            self.network.overheard[slot] = wire.clone();
        }
        if !self.nodes[from].is_up(link) {
            return;
        }
        for to in (0..self.nodes.len()).filter(|to| *to != from) {
            let family = Family::of(transmit.destination);
            let multicast = transmit.destination.is_multicast();
            if multicast || transmit.destination == crate::plan::node_address(family, to) {
                self.travel(from, to, &wire);
            }
        }
    }

    fn travel(&mut self, from: usize, to: usize, wire: &Wire) {
        let copies = 1 + u64::from(self.random.chance(self.network.duplicate));
        for _ in 0..copies {
            if self.random.chance(self.network.loss) {
                self.tally.lost += 1;
                continue;
            }
            let delay = self.random.up_to(self.plan.delay) + self.random.up_to(self.network.extra_delay);
            let mut at = self.now + delay;
            // A switch that is well does not reorder.
            if self.network.is_well() {
                let last = self.network.last.entry((from, to, wire.link)).or_default();
                at = at.max(*last);
                *last = at;
            }
            self.after(at - self.now, Item::Deliver { to, from, wire: wire.clone() });
        }
    }

    fn order(&mut self, node: usize, order: Order) {
        let last = self.nodes[node].orders.back().map_or(0, |(at, _)| *at);
        let at = last.max(self.now + self.random.up_to(self.plan.apply));
        let epoch = self.nodes[node].epoch;
        self.nodes[node].orders.push_back((at, order));
        self.after(at - self.now, Item::Kernel { node, epoch });
    }

    /// The kernel of a running node carries out what is due.
    pub(crate) fn kernel(&mut self, node: usize, epoch: u64) -> Result<(), Failure> {
        while self.nodes[node].runs() && self.nodes[node].epoch == epoch {
            if self.nodes[node].orders.front().is_none_or(|(at, _)| *at > self.now) {
                break;
            }
            let Some((_, order)) = self.nodes[node].orders.pop_front() else { break };
            match order {
                Order::Own(ownership) => self.own(node, &ownership)?,
                Order::Announce(announcement) => self.announce(node, &announcement)?,
            }
        }
        Ok(())
    }

    fn own(&mut self, node: usize, ownership: &ha_engine::Ownership) -> Result<(), Failure> {
        let Some(router) = self.nodes[node].router_of(ownership.instance) else { return Ok(()) };
        let done = self.nodes[node].own(self.now, router, ownership);
        let result = if done { Ok(()) } else { Err(Arc::from("no buffer space")) };
        self.tally.refused += u64::from(!done);
        let applied = Applied {
            instance: ownership.instance,
            generation: ownership.generation,
            result,
            at: Instant::from_nanos(self.now),
        };
        self.handle(node, Input::Applied(applied))
    }

    /// Announcements of addresses that are no longer held are not sent.
    fn announce(&mut self, node: usize, announcement: &Announcement) -> Result<(), Failure> {
        let Some(router) = self.nodes[node].routers.get(&announcement.instance).copied() else {
            return Ok(());
        };
        if !self.nodes[node].holds(router) {
            return Ok(());
        }
        self.tally.announcements += 1;
        if self.nodes[node].is_up(self.plan.link_of(router)) {
            let addresses = announcement.addresses.iter().map(|own| own.address).collect();
            let delay = self.random.up_to(self.plan.delay);
            self.after(delay, Item::Heard { by: node, addresses });
        }
        if announcement.takeover {
            let at = Instant::from_nanos(self.now);
            return self.handle(node, Input::Announced { instance: announcement.instance, at });
        }
        Ok(())
    }

    /// Nobody has renewed a lease.
    fn lease_ends(&mut self, node: usize, epoch: u64, router: usize) {
        if self.nodes[node].epoch == epoch {
            self.tally.leases_ended += 1;
            self.nodes[node].held[router].addresses.clear();
            self.nodes[node].held[router].since = self.now;
            self.note(|| format!("node {node} kernel: lease of router {router} ended"));
        }
    }

    /// A router's place in time, for bounds.
    pub(crate) fn down_of(&self, router: usize) -> u64 {
        self.plan.down(router)
    }

    /// The longest lease of a router in force on a node.
    pub(crate) fn lease(&self, node: usize, router: usize) -> Option<u64> {
        let config = self.nodes[node]
            .configs
            .iter()
            .find(|config| config.virtual_router_id.get() as usize == router + 1)?;
        config.lease.lifetime(config.interval).map(nanos)
    }
}

fn is_stall(output: &Output<'_>) -> bool {
    matches!(output, Output::Event(event) if matches!(event.kind, EventKind::Stalled { .. }))
}

fn subject(event: &Event) -> String {
    match (&event.subject, &event.kind) {
        (ha_engine::Subject::Instance(id, name), EventKind::StateChanged { .. }) => {
            format!("{name} [{}]", id.0)
        }
        (ha_engine::Subject::Instance(_, name), _) => format!("{name} {}", event.type_name()),
        _ => event.type_name().to_owned(),
    }
}
