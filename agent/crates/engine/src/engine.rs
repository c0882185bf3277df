//! All instances of a node under one clock: dispatch of inputs, the schedule, and reloads.

mod beat;
mod drain;
mod group;
mod legacy;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::codec::Header;
use crate::config::InstanceConfig;
use crate::event::{Cause, Event, EventKind, Evidence, StateName, Subject};
use crate::input::{Input, InstanceId, LinkId, LinkState, OperatorCommand, Packet, PeerWord};
use crate::instance::{AddressLink, Beside, Instance, Sink};
use crate::legacy::Legacy;
use crate::output::{Effect, Outputs};
use crate::receive::{Accepted, Discard, DiscardCounters};
use crate::schedule::{Reason, Schedule};
use crate::snapshot::{InstanceStatus, Override};
use crate::track::{Fact, Facts};
use crate::units::{Family, Instant, VirtualRouterId};

use beat::Burst;
use group::{Groups, Overrides};

/// The brain of a node.
#[derive(Debug, Default)]
pub struct Engine {
    /// By [`InstanceId`]; free places are used again.
    instances: Vec<Option<Instance>>,
    by_name: BTreeMap<Arc<str>, InstanceId>,
    by_key: BTreeMap<Key, InstanceId>,
    /// By [`LinkId`].
    links: Vec<Link>,
    schedule: Schedule,
    effects: Vec<Effect>,
    octets: Vec<u8>,
    generation: u64,
    configured: bool,
    stopped: bool,
    /// When the driver last came late: when that ended, and how late it was.
    stall: Option<(Instant, Duration)>,
    /// When that was last told.
    stall_told: Option<Instant>,
    /// Every fact that was told, tracked or not.
    facts: Facts,
    groups: Groups,
    drain: drain::Drain,
    /// What an earlier process left, by instance, until the first configuration has taken it.
    legacies: BTreeMap<Arc<str>, Legacy>,
    /// Overrides that survived a restart, by instance, until the first configuration has taken them.
    restored: BTreeMap<Arc<str>, Override>,
    /// The shortest advertisement interval of all instances.
    shortest_interval: Duration,
    /// Numbers of removed instances.
    free: BTreeSet<InstanceId>,
    /// Numbers of instances that the last reload removed. What the driver still has to do and to say about those must
    /// not be taken for a successor's, so they rest until the next reload.
    resting: BTreeSet<InstanceId>,
}

/// How a packet finds its instance.
type Key = (LinkId, Family, VirtualRouterId);

#[derive(Debug)]
struct Link {
    name: Arc<str>,
    /// `None` until the driver has told.
    state: Option<LinkState>,
    /// Packets that belong to no instance.
    unclaimed: DiscardCounters,
    /// For each reason: discarded since the last event, and when that was.
    untold: BTreeMap<Discard, (u64, Option<Instant>)>,
    /// The adverts that leave together there now.
    burst: Burst,
}

impl Engine {
    /// An engine without instances; the first [`Input::Reconfigure`] brings them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input and answers with what to do. `now` must not go backwards.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) -> Outputs<'_> {
        self.octets.clear();
        self.effects.clear();
        self.notice_stall(now);
        match input {
            Input::Deadline => self.on_deadline(now),
            Input::Packet(packet) => self.on_packet(now, &packet),
            Input::Link(link, state) => self.on_link(now, link, state),
            Input::Applied(applied) => {
                self.with(now, applied.instance, |instance, sink| instance.on_applied(sink, applied));
            }
            Input::Announced { instance, at } => {
                self.with(now, instance, |instance, sink| instance.on_announced(sink, at));
            }
            Input::AddressLost { instance, address } => {
                self.with(now, instance, |instance, sink| instance.on_address_lost(sink, address));
            }
            Input::Inherit(inheritance) => self.on_inherit(now, inheritance),
            Input::Reconfigure(instances) => self.on_reconfigure(now, instances),
            Input::Fact(fact) => self.on_fact(now, fact),
            Input::FactRemoved(name) => self.on_fact_removed(now, &name),
            Input::Operator(command) => self.on_operator(now, &command),
            Input::Drain(command) => self.on_drain(now, &command),
            Input::PeerWord(word) => self.on_peer_word(now, &word),
            Input::Stop => self.on_stop(now),
            Input::Leave => self.on_leave(now),
        }
        self.settle(now);
        Outputs::new(self.effects.drain(..), &self.octets)
    }

    /// When to call with [`Input::Deadline`] at the latest, and why.
    pub fn next_deadline(&self) -> Option<(Instant, Reason)> {
        let expiry = self.drain.expires().filter(|at| !self.stopped && *at < Instant::END);
        let expiry = expiry.map(|at| (at, Reason::OverrideExpiry));
        let first = self.schedule.first().map(|(at, reason, _)| (at, reason));
        first.into_iter().chain(expiry).min_by_key(|(at, _)| *at)
    }

    /// The number of a link that some configuration named.
    pub fn link(&self, name: &str) -> Option<LinkId> {
        let place = self.links.iter().position(|link| &*link.name == name)?;
        u32::try_from(place).ok().map(LinkId)
    }

    /// The links in use, with the families that need a socket there; none where there are addresses only.
    pub fn links(&self) -> BTreeMap<LinkId, (Arc<str>, BTreeSet<Family>)> {
        let mut links: BTreeMap<LinkId, (Arc<str>, BTreeSet<Family>)> = BTreeMap::new();
        for instance in self.instances.iter().flatten() {
            let name = &instance.config.interface;
            let entry = links.entry(instance.link).or_insert_with(|| (Arc::clone(name), BTreeSet::new()));
            entry.1.insert(instance.config.family);
            for (id, name) in instance.address_links() {
                links.entry(id).or_insert_with(|| (Arc::clone(name), BTreeSet::new()));
            }
        }
        links
    }

    /// Every instance as it stands, by number. Lazy, so that a driver may take a few at a time.
    pub fn statuses(&self) -> impl Iterator<Item = InstanceStatus> + '_ {
        self.instances.iter().flatten().map(Instance::status)
    }

    /// Instances from number `first` on, at most `count` numbers, and the number to go on with: for a driver that must
    /// not pause for all of them at once.
    pub fn status_page(
        &self,
        first: usize,
        count: usize,
    ) -> (impl Iterator<Item = InstanceStatus> + '_, Option<usize>) {
        let end = first.saturating_add(count).min(self.instances.len());
        let page = self.instances.get(first..end).unwrap_or_default();
        (page.iter().flatten().map(Instance::status), (end < self.instances.len()).then_some(end))
    }

    /// Packets that belong to no instance, by link and reason; only reasons that occurred.
    pub fn unclaimed(&self) -> impl Iterator<Item = (Arc<str>, Discard, u64)> + '_ {
        self.links.iter().flat_map(|link| {
            let occurred = link.unclaimed.iter().filter(|(_, count)| *count > 0);
            occurred.map(|(reason, count)| (Arc::clone(&link.name), reason, count))
        })
    }

    /// Records when the driver comes later than a whole advertisement interval.
    fn notice_stall(&mut self, now: Instant) {
        // Somebody who comes late all the time is told once a second, a long absence always.
        const PAUSE: Duration = Duration::from_secs(1);
        let Some((due, ..)) = self.schedule.first() else { return };
        let late = now.since(due);
        // Every deadline up to the end of a stall belongs to that stall.
        let noticed = self.stall.is_some_and(|(ended, _)| due <= ended);
        if noticed || late < self.shortest_interval {
            return;
        }
        self.stall = Some((now, late));
        if late < PAUSE && self.stall_told.is_some_and(|told| now.since(told) < PAUSE) {
            return;
        }
        self.stall_told = Some(now);
        let event = Event {
            at: now,
            subject: Subject::Node,
            kind: EventKind::Stalled { duration: late },
            cause: Cause::AgentStalled,
            evidence: Evidence { stalled: Some(late), ..Evidence::default() },
            actor: None,
        };
        self.effects.push(Effect::Event(Box::new(event)));
    }

    /// Reacts to everything that is due; each reaction moves its deadline past `now`, so this ends.
    fn on_deadline(&mut self, now: Instant) {
        self.expire_drain(now);
        let mut leader = None;
        while let Some((at, reason, slot)) = self.schedule.first() {
            if at > now {
                break;
            }
            let Ok(id) = u32::try_from(slot) else { break };
            self.with(now, InstanceId(id), Instance::on_deadline);
            if reason == Reason::Advertisement {
                leader.get_or_insert((at, slot));
                self.make_room(now, InstanceId(id), at);
            }
        }
        // What is due may change the priority of a whole sync group: only then does anybody else say his.
        self.settle(now);
        if let Some((beat, leader)) = leader {
            self.send_along(now, beat, leader);
        }
    }

    fn on_packet(&mut self, now: Instant, packet: &Packet<'_>) {
        if self.stopped {
            return;
        }
        let header = match Header::decode(packet.octets) {
            Ok(header) => header,
            Err(reason) => return self.discard(now, packet, None, reason),
        };
        let family = Family::of(packet.source);
        let found = header.virtual_router_id.and_then(|virtual_router_id| {
            self.by_key.get(&(packet.link, family, virtual_router_id)).copied()
        });
        let Some(id) = found else {
            return self.discard(now, packet, None, Discard::VirtualRouterUnknown);
        };
        let Some(instance) = self.instance(id) else { return };
        match Accepted::check(&instance.config, instance.source(), packet, header) {
            Ok(advert) => self.with(now, id, |instance, sink| instance.on_advert(sink, &advert)),
            Err(reason) => self.discard(now, packet, Some(id), reason),
        }
    }

    /// Counts, and tells at most once a minute for each link and reason.
    fn discard(&mut self, now: Instant, packet: &Packet<'_>, id: Option<InstanceId>, reason: Discard) {
        const PAUSE: Duration = Duration::from_secs(60);
        let mut sends = false;
        if let Some(instance) = id.and_then(|id| self.instance_mut(id)) {
            instance.counters.discard(reason);
            sends = instance.state_name() == StateName::Active;
        }
        let Some(link) = self.links.get_mut(packet.link.0 as usize) else { return };
        if id.is_none() {
            link.unclaimed.count(reason);
        }
        // Our own adverts come back on some links; that is nobody's offence. But who sends none hears those of somebody
        // with the same address, and the two would never see each other.
        if reason == Discard::SourceIsOurs && sends {
            return;
        }
        let (count, told) = link.untold.entry(reason).or_default();
        *count += 1;
        if told.is_some_and(|at| now.since(at) < PAUSE) {
            return;
        }
        *told = Some(now);
        let kind = EventKind::Discarded { reason, source: packet.source, count: core::mem::take(count) };
        let event = Event {
            at: now,
            subject: Subject::Interface(Arc::clone(&link.name)),
            kind,
            cause: Cause::Advertisement,
            evidence: Evidence { peer: Some(packet.source), ..Evidence::default() },
            actor: None,
        };
        self.effects.push(Effect::Event(Box::new(event)));
    }

    fn on_link(&mut self, now: Instant, id: LinkId, state: LinkState) {
        let Some(link) = self.links.get_mut(id.0 as usize) else { return };
        link.state = Some(state.clone());
        for instance in self.ids_where(|instance| instance.uses(id)) {
            self.with(now, instance, |instance, sink| instance.on_link(sink, id, &state));
        }
    }

    fn on_fact(&mut self, now: Instant, fact: Fact) {
        let name = Arc::clone(&fact.name);
        self.facts.learn(fact);
        self.tell_trackers(now, &name);
    }

    fn on_fact_removed(&mut self, now: Instant, name: &str) {
        self.facts.forget(name);
        self.tell_trackers(now, name);
    }

    fn tell_trackers(&mut self, now: Instant, name: &str) {
        for id in self.facts.trackers(name) {
            let Some(instance) = self.instance(id) else { continue };
            let config = Arc::clone(&instance.config);
            for track in config.tracks.iter().filter(|track| &*track.fact == name) {
                let news = self.facts.judge(track.clone());
                self.with(now, id, |instance, sink| instance.on_fact(sink, &news));
            }
        }
    }

    fn on_peer_word(&mut self, now: Instant, word: &PeerWord) {
        if let Some(id) = self.by_name.get(&word.instance).copied() {
            self.with(now, id, |instance, sink| instance.on_peer_word(sink, word));
        }
    }

    fn on_operator(&mut self, now: Instant, command: &OperatorCommand) {
        let answer = self.operate(now, command);
        self.effects.push(Effect::Answer(answer));
    }

    fn on_stop(&mut self, now: Instant) {
        for id in self.ids_where(|_| true) {
            self.with(now, id, |instance, sink| instance.stop(sink, Cause::AgentStop));
            self.schedule.set(id.0 as usize, None);
        }
        self.stopped = true;
    }

    /// Removes, changes and adds instances, in this order; what did not change is not touched.
    fn on_reconfigure(&mut self, now: Instant, wanted: &[InstanceConfig]) {
        let rested = core::mem::take(&mut self.resting);
        self.free.extend(rested);
        let groups = self.groups.dissolve();
        let names: BTreeMap<&str, &InstanceConfig> =
            wanted.iter().map(|config| (&*config.name, config)).collect();
        let kept = |instance: &Instance| {
            names.get(&*instance.config.name).is_some_and(|config| !instance.needs_restart(config))
        };
        for id in self.ids_where(|instance| !kept(instance)) {
            self.remove(now, id);
        }
        let overrides = self.overrides(wanted);
        for config in wanted {
            match self.by_name.get(&config.name).copied() {
                Some(id) => self.change(now, id, config, &overrides),
                None => self.add(now, config),
            }
        }
        let intervals = self.instances.iter().flatten().map(|instance| instance.config.interval.duration());
        self.shortest_interval = intervals.min().unwrap_or_default();
        let tracks = self.instances.iter().flatten().map(|instance| (instance.id, &*instance.config.tracks));
        self.facts.index(tracks);
        self.legacies.clear();
        self.restored.clear();
        self.regroup(now, &groups);
        self.configured = true;
    }

    fn remove(&mut self, now: Instant, id: InstanceId) {
        self.with(now, id, |instance, sink| instance.remove(sink));
        self.schedule.set(id.0 as usize, None);
        let Some(instance) = self.instances.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.resting.insert(id);
        self.by_name.remove(&instance.config.name);
        self.by_key.remove(&key(instance.link, &instance.config));
    }

    fn change(&mut self, now: Instant, id: InstanceId, config: &InstanceConfig, overrides: &Overrides) {
        let Some(instance) = self.instance(id) else { return };
        if *instance.config == *config {
            return;
        }
        let link = self.links.get(instance.link.0 as usize).and_then(|link| link.state.clone());
        let config = Arc::new(config.clone());
        let beside = Beside {
            link,
            address_links: self.address_links(&config),
            tracked: self.facts.tracked(&config.tracks),
            override_: config.group.as_ref().and_then(|group| overrides.get(group)).cloned(),
        };
        self.with(now, id, |instance, sink| instance.reconfigure(sink, config, beside));
    }

    fn add(&mut self, now: Instant, config: &InstanceConfig) {
        let link = self.link_or_new(&config.interface);
        let fresh = InstanceId(u32::try_from(self.instances.len()).unwrap_or(u32::MAX));
        let id = self.free.pop_first().unwrap_or(fresh);
        let cause = if self.configured { Cause::ConfigReload } else { Cause::AgentStart };
        let (tracked, drained) = (self.facts.tracked(&config.tracks), self.drain.in_force().is_some());
        let mut instance = Instance::new(id, link, Arc::new(config.clone()), cause, now, tracked, drained);
        if let Some(own) = self.restored.remove(&config.name) {
            instance.restore_override(now, Some(own));
        }
        if let Some(legacy) = self.legacies.remove(&config.name) {
            instance.inherit(now, legacy);
        }
        self.by_name.insert(Arc::clone(&config.name), id);
        self.by_key.insert(key(link, config), id);
        match self.instances.get_mut(id.0 as usize) {
            Some(place) => *place = Some(instance),
            None => self.instances.push(Some(instance)),
        }
        let state = self.links.get(link.0 as usize).and_then(|link| link.state.clone());
        let address_links = self.address_links(config);
        self.with(now, id, |instance, sink| instance.begin(sink, state.as_ref(), address_links));
    }

    /// The other links on which an instance has addresses, each once.
    fn address_links(&mut self, config: &InstanceConfig) -> Vec<AddressLink> {
        let names: BTreeSet<&Arc<str>> =
            config.addresses.iter().filter_map(|own| own.interface.as_ref()).collect();
        let others = names.into_iter().filter(|name| **name != config.interface);
        others
            .map(|name| {
                let id = self.link_or_new(name);
                let state = self.links.get(id.0 as usize).and_then(|link| link.state.as_ref());
                AddressLink { id, name: Arc::clone(name), condition: state.map(|state| state.condition) }
            })
            .collect()
    }

    fn link_or_new(&mut self, name: &Arc<str>) -> LinkId {
        if let Some(id) = self.link(name) {
            return id;
        }
        let id = LinkId(u32::try_from(self.links.len()).unwrap_or(u32::MAX));
        self.links.push(Link {
            name: Arc::clone(name),
            state: None,
            unclaimed: DiscardCounters::default(),
            untold: BTreeMap::new(),
            burst: Burst::default(),
        });
        id
    }

    /// Lets an instance react and keeps its place in the schedule true.
    fn with(&mut self, now: Instant, id: InstanceId, react: impl FnOnce(&mut Instance, &mut Sink<'_>)) {
        if self.stopped {
            return;
        }
        let slot = id.0 as usize;
        let Some(instance) = self.instances.get_mut(slot).and_then(Option::as_mut) else { return };
        let mut sink = Sink {
            now,
            effects: &mut self.effects,
            octets: &mut self.octets,
            generation: &mut self.generation,
            stalled: self.stall,
        };
        let before = instance.stance();
        react(instance, &mut sink);
        instance.on_dispute_due(&mut sink);
        // What is due at the end of time is never due.
        let due = instance.deadline().filter(|(at, _)| *at < Instant::END);
        self.schedule.set(slot, due.map(|due| not_before(now, due)));
        self.groups.note(id, before, instance.stance());
    }

    fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.get(id.0 as usize).and_then(Option::as_ref)
    }

    fn instance_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.instances.get_mut(id.0 as usize).and_then(Option::as_mut)
    }

    fn ids_where(&self, wanted: impl Fn(&Instance) -> bool) -> Vec<InstanceId> {
        self.instances
            .iter()
            .flatten()
            .filter(|instance| wanted(instance))
            .map(|instance| instance.id)
            .collect()
    }
}

/// What an input makes due at once, such as a limit that has passed already, is nobody's lateness. Adverts keep their beat.
fn not_before(now: Instant, (at, reason): (Instant, Reason)) -> (Instant, Reason) {
    if reason == Reason::Advertisement { (at, reason) } else { (at.max(now), reason) }
}

fn key(link: LinkId, config: &InstanceConfig) -> Key {
    (link, config.family, config.virtual_router_id)
}
