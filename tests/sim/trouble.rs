//! Faults, how they begin and how they end.

use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    Actor, Input, InstanceConfig, Instant, LinkCondition, OperatorAction, OperatorCommand, Priority, Protocol,
};

use crate::node::Process;
use crate::plan::{Fault, link_name, nanos};
use crate::world::{Cut, Failure, Item, World};

/// The end of a fault.
#[derive(Debug)]
pub(crate) enum Recovery {
    Loss,
    Delay,
    Duplicate,
    Cut(Vec<Cut>),
    Resume { node: usize, epoch: u64 },
    Start { node: usize, epoch: u64 },
    Link { node: usize, link: usize },
    Fact { node: usize, fact: usize },
    Refusal { node: usize },
    Undrain { node: usize },
    Reversal { node: usize },
    Hush(Vec<(usize, usize)>),
}

impl World {
    /// Starts the agents, a little after one another.
    pub(crate) fn begin(&mut self) -> Result<(), Failure> {
        for node in 0..self.nodes.len() {
            let spread = self.random.up_to(self.plan.interval(0) / 2);
            let epoch = self.nodes[node].epoch;
            self.after(spread, Item::Recover(Recovery::Start { node, epoch }));
            if self.plan.talks {
                let phase = self.random.up_to(self.plan.interval(0) / 2);
                self.after(phase, Item::SignOfLife { node });
            }
        }
        Ok(())
    }

    /// Something goes wrong, and something else will after it.
    pub(crate) fn trouble(&mut self) -> Result<(), Failure> {
        if self.healed {
            return Ok(());
        }
        if self.now < self.plan.trouble {
            let pause = self.random.between(self.plan.pace / 4, self.plan.pace * 2);
            self.after(pause, Item::Trouble);
        }
        let fault = self.random.pick(&self.plan.faults.clone());
        *self.tally.faults.entry(fault).or_default() += 1;
        self.note(|| format!("fault {fault:?}"));
        let node = self.victim();
        match fault {
            Fault::Loss | Fault::Delay | Fault::Duplicate => self.spoil_network(fault),
            Fault::Partition | Fault::OneWay | Fault::Ring => self.split_network(fault, node),
            Fault::Pause => self.pause(node),
            Fault::Crash => self.crash(node),
            Fault::Restart => return self.restart(node),
            Fault::Flap => return self.flap(node),
            Fault::Operator => return self.operate(node),
            Fault::Reload => return self.reload(node),
            Fault::Hostile => return self.attack(node),
            Fault::Removal => return self.remove_addresses(node),
            Fault::Refusal => self.refuse(node),
            Fault::Check => return self.turn_fact(node),
            Fault::Move => return self.move_away(node),
            Fault::Hush => self.hush(node),
        }
        Ok(())
    }

    /// Often the Active router, because there it hurts.
    fn victim(&mut self) -> usize {
        let active = (0..self.nodes.len()).find(|node| self.nodes[*node].is_active(0));
        match active {
            Some(node) if self.random.chance(500) => node,
            _ => self.random.index(self.nodes.len()),
        }
    }

    /// A duration from a small part of an interval to several Active_Down_Intervals.
    pub(crate) fn spell(&mut self) -> u64 {
        let interval = self.plan.interval(0);
        let most = self.random.pick(&[interval / 2, interval * 3, interval * 12]);
        self.random.between(interval / 100, most)
    }

    fn spoil_network(&mut self, fault: Fault) {
        let interval = self.plan.interval(0);
        self.network.since = self.now;
        let recovery = match fault {
            Fault::Loss => {
                self.network.loss = self.random.between(50, 600);
                Recovery::Loss
            }
            Fault::Delay => {
                self.network.extra_delay = self.random.between(interval / 10, interval * 3 / 2);
                Recovery::Delay
            }
            _ => {
                self.network.duplicate = self.random.between(100, 700);
                Recovery::Duplicate
            }
        };
        let spell = self.spell();
        self.after(spell, Item::Recover(recovery));
    }

    fn split_network(&mut self, fault: Fault, node: usize) {
        let count = self.nodes.len();
        let pairs = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
        let side = self.random.between(1, (1 << count) - 2);
        let other = (node + 1 + self.random.index(count - 1)) % count;
        let link = self.random.chance(500).then(|| self.random.index(self.plan.links));
        let pairs: Vec<(usize, usize)> = match fault {
            Fault::Partition => pairs.filter(|(from, to)| (side >> from) & 1 != (side >> to) & 1).collect(),
            // Each hears its neighbour only.
            Fault::Ring if count > 2 => pairs.filter(|(from, to)| (from + 1) % count != *to).collect(),
            _ => vec![if self.random.chance(500) { (node, other) } else { (other, node) }],
        };
        let cut: Vec<Cut> = pairs.into_iter().map(|(from, to)| (from, to, link)).collect();
        self.network.since = self.now;
        self.network.cut.extend(&cut);
        let spell = self.spell();
        self.after(spell, Item::Recover(Recovery::Cut(cut)));
    }

    fn pause(&mut self, node: usize) {
        if self.nodes[node].runs() {
            self.nodes[node].become_process(self.now, Process::Paused);
            self.let_leases_run(node);
            let (spell, epoch) = (self.spell(), self.nodes[node].epoch);
            self.after(spell, Item::Recover(Recovery::Resume { node, epoch }));
        }
    }

    fn crash(&mut self, node: usize) {
        if self.nodes[node].process == Process::Dead {
            return;
        }
        self.nodes[node].become_process(self.now, Process::Dead);
        self.nodes[node].forget(self.now);
        self.let_leases_run(node);
        let (spell, epoch) = (self.spell(), self.nodes[node].epoch);
        self.after(spell, Item::Recover(Recovery::Start { node, epoch }));
    }

    /// An orderly stop, and a start later.
    fn restart(&mut self, node: usize) -> Result<(), Failure> {
        if self.nodes[node].runs() {
            self.stop(node)?;
            let (spell, epoch) = (self.spell(), self.nodes[node].epoch);
            self.after(spell, Item::Recover(Recovery::Start { node, epoch }));
        }
        Ok(())
    }

    /// SIGTERM: releases, withdraws, ends.
    pub(crate) fn stop(&mut self, node: usize) -> Result<(), Failure> {
        self.handle(node, Input::Stop)?;
        for held in &mut self.nodes[node].held {
            held.addresses.clear();
        }
        self.nodes[node].become_process(self.now, Process::Dead);
        self.nodes[node].forget(self.now);
        Ok(())
    }

    pub(crate) fn let_leases_run(&mut self, node: usize) {
        for router in 0..self.plan.routers() {
            let late = self.random.up_to(250_000_000);
            let end = self.nodes[node].lease_end(router, self.now, late);
            let epoch = self.nodes[node].epoch;
            if let Some(end) = end {
                self.after(end.saturating_sub(self.now), Item::LeaseEnd { node, epoch, router });
            }
        }
    }

    fn flap(&mut self, node: usize) -> Result<(), Failure> {
        let conditions =
            [LinkCondition::Missing, LinkCondition::Down, LinkCondition::NoCarrier, LinkCondition::NoSocket];
        let condition = self.random.pick(&conditions);
        let (spell, link) = (self.spell(), self.random.index(self.plan.links));
        self.after(spell, Item::Recover(Recovery::Link { node, link }));
        self.set_link(node, link, condition)
    }

    pub(crate) fn set_link(
        &mut self,
        node: usize,
        link: usize,
        condition: LinkCondition,
    ) -> Result<(), Failure> {
        self.nodes[node].conditions[link] = condition;
        self.network.since = self.now;
        if self.nodes[node].runs() { self.tell_link(node, link) } else { Ok(()) }
    }

    fn tell_links(&mut self, node: usize) -> Result<(), Failure> {
        (0..self.plan.links).try_for_each(|link| self.tell_link(node, link))
    }

    fn tell_link(&mut self, node: usize, link: usize) -> Result<(), Failure> {
        let state = self.nodes[node].link_state(node, link);
        match self.nodes[node].engine.link(&link_name(link)) {
            Some(id) => self.handle(node, Input::Link(id, state)),
            None => Ok(()),
        }
    }

    fn operate(&mut self, node: usize) -> Result<(), Failure> {
        if !self.nodes[node].runs() {
            return Ok(());
        }
        let expires =
            self.random.chance(500).then(|| Instant::from_nanos(self.now + self.plan.interval(0) * 7));
        let priority = Priority::new(u8::try_from(self.random.between(1, 255)).unwrap()).unwrap();
        let action = if self.random.chance(300) {
            OperatorAction::ClearPriority
        } else {
            OperatorAction::OverridePriority {
                priority,
                reason: Arc::from("trouble"),
                expires,
                survives: false,
            }
        };
        let router = self.random.index(self.plan.routers());
        let expected_revision = self.random.chance(200).then_some(1);
        let dry_run = self.random.chance(200);
        self.command(node, router, action, expected_revision, dry_run)
    }

    pub(crate) fn command(
        &mut self,
        node: usize,
        router: usize,
        action: OperatorAction,
        expected_revision: Option<u64>,
        dry_run: bool,
    ) -> Result<(), Failure> {
        let instance = Arc::from(format!("router-{router}"));
        let actor = Arc::new(Actor { principal: "operator".to_owned(), ..Actor::default() });
        let command = OperatorCommand { instance, action, actor, expected_revision, dry_run };
        self.handle(node, Input::Operator(command))?;
        if dry_run && self.tally.outputs != 1 {
            return Err(format!("a dry run on node {node} did something"));
        }
        Ok(())
    }

    fn reload(&mut self, node: usize) -> Result<(), Failure> {
        if !self.nodes[node].runs() {
            return Ok(());
        }
        let same = self.nodes[node].configs.clone();
        if self.random.chance(300) {
            return self.reload_same(node, same);
        }
        let mut configs = self.plan.configs[node].clone();
        let router = self.random.index(configs.len());
        if self.random.chance(200) {
            configs.remove(router);
        } else {
            self.change(&mut configs[router]);
        }
        self.reload_to(node, configs)
    }

    /// S13: the same configuration again does nothing at all.
    fn reload_same(&mut self, node: usize, configs: Vec<InstanceConfig>) -> Result<(), Failure> {
        self.handle(node, Input::Reconfigure(&configs))?;
        self.tally.same_reloads += 1;
        if self.tally.outputs > 0 {
            return Err(format!(
                "S13: node {node} answered {} times to its own configuration",
                self.tally.outputs
            ));
        }
        Ok(())
    }

    pub(crate) fn reload_to(&mut self, node: usize, configs: Vec<InstanceConfig>) -> Result<(), Failure> {
        self.handle(node, Input::Reconfigure(&configs))?;
        let before = std::mem::replace(&mut self.nodes[node].configs, configs);
        let after = &self.nodes[node].configs;
        let changed = |router: &usize| {
            let of = |configs: &[InstanceConfig]| {
                configs
                    .iter()
                    .find(|config| usize::from(config.virtual_router_id.get()) == router + 1)
                    .cloned()
            };
            of(&before) != of(after)
        };
        // Members of a group move with those that changed.
        let moved = |router: &usize| self.plan.group_of(*router).iter().any(changed);
        if let Some(router) = self.touched.iter().find(|router| !moved(router)) {
            return Err(format!(
                "S13: a reload of node {node} touched router {router}, which did not change"
            ));
        }
        // The configuration may be the first to name the link.
        self.tell_links(node)
    }

    fn change(&mut self, config: &mut InstanceConfig) {
        match self.random.up_to(7) {
            6 => config.group = None,
            7 => config.tracks = crate::facts::draw_tracks(&mut self.random),
            0 => config.priority = Priority::new(u8::try_from(self.random.between(1, 255)).unwrap()).unwrap(),
            1 => config.preempt = !config.preempt,
            2 => config.preempt_delay = Duration::from_nanos(self.plan.interval(0)),
            3 => config.announce.repeat = 2,
            4 if matches!(config.protocol, Protocol::V3 { .. }) => {
                config.addresses = config.addresses.iter().take(1).cloned().collect();
            }
            _ => config.lease = ha_engine::AddressLease::Seconds(1),
        }
    }

    /// Somebody deletes our addresses.
    fn remove_addresses(&mut self, node: usize) -> Result<(), Failure> {
        let router = self.random.index(self.plan.routers());
        let this = &mut self.nodes[node];
        if !(this.runs() && this.holds(router) && this.orders.is_empty()) {
            return Ok(());
        }
        let lost = std::mem::take(&mut this.held[router].addresses);
        this.held[router].since = self.now;
        self.tell_lost(node, router, &lost)
    }

    fn tell_lost(&mut self, node: usize, router: usize, lost: &[std::net::IpAddr]) -> Result<(), Failure> {
        let id = self.nodes[node].routers.iter().find(|(_, known)| **known == router).map(|(id, _)| *id);
        for address in lost {
            if let Some(instance) = id {
                self.handle(node, Input::AddressLost { instance, address: *address })?;
            }
        }
        Ok(())
    }

    fn refuse(&mut self, node: usize) {
        self.nodes[node].refusing = true;
        let spell = self.spell();
        self.after(spell, Item::Recover(Recovery::Refusal { node }));
    }

    /// A fault ends.
    pub(crate) fn recover(&mut self, recovery: Recovery) -> Result<(), Failure> {
        self.note(|| format!("end of {recovery:?}"));
        match recovery {
            Recovery::Loss => self.network.loss = 0,
            Recovery::Delay => self.network.extra_delay = 0,
            Recovery::Duplicate => self.network.duplicate = 0,
            Recovery::Cut(cut) => {
                for pair in cut {
                    let place = self.network.cut.iter().position(|known| *known == pair);
                    if let Some(place) = place {
                        self.network.cut.swap_remove(place);
                    }
                }
            }
            Recovery::Resume { node, epoch } => return self.resume(node, epoch),
            Recovery::Start { node, epoch } => return self.start(node, epoch),
            Recovery::Link { node, link } => return self.set_link(node, link, LinkCondition::Up),
            Recovery::Fact { node, fact } => return self.mend_fact(node, fact),
            Recovery::Undrain { node } => {
                return if self.nodes[node].runs() { self.drain_node(node, false, None) } else { Ok(()) };
            }
            Recovery::Reversal { node } => return self.reverse(node),
            Recovery::Hush(pairs) => {
                self.end_hush(&pairs);
                return Ok(());
            }
            Recovery::Refusal { node } => {
                self.nodes[node].refusing = false;
                return Ok(());
            }
        }
        self.network.since = self.now;
        Ok(())
    }

    /// SIGCONT: packets first, then the link, then the kernel's news of lost addresses, then the timers.
    pub(crate) fn resume(&mut self, node: usize, epoch: u64) -> Result<(), Failure> {
        if self.nodes[node].epoch != epoch || self.nodes[node].process != Process::Paused {
            return Ok(());
        }
        let expected: Vec<usize> =
            (0..self.plan.routers()).filter(|router| self.nodes[node].is_active(*router)).collect();
        self.nodes[node].become_process(self.now, Process::Running);
        while let Some(wire) = self.nodes[node].inbox.pop_front() {
            self.receive(node, &wire)?;
        }
        self.tell_links(node)?;
        for router in expected {
            if !self.nodes[node].holds(router) {
                let lost: Vec<_> =
                    self.plan.configs[node][router].addresses.iter().map(|own| own.address).collect();
                self.tell_lost(node, router, &lost)?;
            }
        }
        let epoch = self.nodes[node].epoch;
        self.resume_kernel(node, epoch)
    }

    /// Orders that were given before the pause are carried out after it.
    fn resume_kernel(&mut self, node: usize, epoch: u64) -> Result<(), Failure> {
        let pending: Vec<u64> = self.nodes[node].orders.iter().map(|(at, _)| *at).collect();
        for at in pending {
            self.after(at.saturating_sub(self.now), Item::Kernel { node, epoch });
        }
        self.kernel(node, epoch)
    }

    /// A fresh agent: cleans up what a former one left, reads its configuration, learns its link.
    pub(crate) fn start(&mut self, node: usize, epoch: u64) -> Result<(), Failure> {
        if self.nodes[node].epoch != epoch || self.nodes[node].process != Process::Dead {
            return Ok(());
        }
        let this = &mut self.nodes[node];
        for held in &mut this.held {
            held.addresses.clear();
            held.since = self.now;
        }
        this.become_process(self.now, Process::Running);
        this.forget(self.now);
        let configs = this.configs.clone();
        self.handle(node, Input::Reconfigure(&configs))?;
        self.tell_links(node)?;
        self.schedule_facts(node);
        Ok(())
    }

    /// All faults end, and nothing is left of operators and reloads.
    pub(crate) fn heal(&mut self) -> Result<(), Failure> {
        self.note(|| "heal".to_owned());
        self.healed = true;
        self.network.loss = 0;
        self.network.extra_delay = 0;
        self.network.duplicate = 0;
        self.network.cut.clear();
        self.network.since = self.now;
        self.talk.heal(self.now);
        for node in 0..self.nodes.len() {
            self.nodes[node].refusing = false;
            self.nodes[node].conditions.fill(LinkCondition::Up);
            let epoch = self.nodes[node].epoch;
            match self.nodes[node].process {
                Process::Paused => self.resume(node, epoch)?,
                Process::Dead => self.start(node, epoch)?,
                Process::Running => self.tell_links(node)?,
            }
            self.mend_facts(node)?;
            let canonical = self.plan.configs[node].clone();
            self.reload_to(node, canonical)?;
            for router in 0..self.plan.routers() {
                self.command(node, router, OperatorAction::ClearPriority, None, false)?;
            }
            self.drain_node(node, false, None)?;
            self.end_holds(node)?;
        }
        Ok(())
    }

    /// How long a worse router's start-up or preempt delay may last.
    pub(crate) fn longest_interval(&self) -> u64 {
        self.plan.configs.iter().flatten().map(|config| nanos(config.interval.duration())).max().unwrap()
    }
}
