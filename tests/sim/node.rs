//! A node: an engine, and a model of the kernel below it, which holds addresses with their leases.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{
    Announcement, Engine, Family, InstanceConfig, InstanceId, LinkCondition, LinkState, Ownership, StateName,
};

use crate::facts::Facts;
use crate::plan::{nanos, node_address};

/// A packet on its way.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) link: usize,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) octets: Arc<[u8]>,
    /// Made by the hostile host: must never be accepted.
    pub(crate) hostile: bool,
}

/// What a node's process is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Process {
    Running,
    /// SIGSTOP: executes nothing, its sockets queue.
    Paused,
    /// SIGKILL: the engine is gone, the kernel is not.
    Dead,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) engine: Engine,
    pub(crate) process: Process,
    /// When `process` changed last.
    pub(crate) since: u64,
    /// Grows with `process`, so that what was scheduled before is known as old.
    pub(crate) epoch: u64,
    /// By link.
    pub(crate) conditions: Vec<LinkCondition>,
    pub(crate) facts: Facts,
    /// A reload has brought a member into an Active group.
    pub(crate) split: bool,
    pub(crate) configs: Vec<InstanceConfig>,
    /// Router of each instance number.
    pub(crate) routers: BTreeMap<InstanceId, usize>,
    /// Routers of instances that were removed, while their numbers are not used again.
    pub(crate) former: BTreeMap<InstanceId, usize>,
    /// What came while the process was paused.
    pub(crate) inbox: VecDeque<Wire>,
    /// The deadline that the driver waits for, and when it will really wake.
    pub(crate) wake: Option<(u64, u64)>,
    /// By router.
    pub(crate) states: Vec<Stand>,
    /// By router.
    pub(crate) held: Vec<Held>,
    /// What the kernel was told and has not done yet.
    pub(crate) orders: VecDeque<(u64, Order)>,
    /// The kernel refuses addresses.
    pub(crate) refusing: bool,
}

/// Where the state machine of a router stands, told by its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    pub(crate) state: StateName,
    pub(crate) since: u64,
    /// When the effective priority changed last.
    pub(crate) priority_since: u64,
}

/// The addresses of a router in a kernel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) since: u64,
    pub(crate) lease: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Order {
    Own(Ownership),
    Announce(Announcement),
}

impl Node {
    pub(crate) fn new(configs: Vec<InstanceConfig>, links: usize) -> Self {
        let stand = Stand { state: StateName::Initialize, since: 0, priority_since: 0 };
        let routers = configs.len();
        Self {
            engine: Engine::new(),
            process: Process::Dead,
            since: 0,
            epoch: 0,
            conditions: vec![LinkCondition::Up; links],
            facts: Facts::default(),
            split: false,
            configs,
            routers: BTreeMap::new(),
            former: BTreeMap::new(),
            inbox: VecDeque::new(),
            wake: None,
            states: vec![stand; routers],
            held: vec![Held::default(); routers],
            orders: VecDeque::new(),
            refusing: false,
        }
    }

    pub(crate) fn runs(&self) -> bool {
        self.process == Process::Running
    }

    pub(crate) fn is_up(&self, link: usize) -> bool {
        self.conditions[link] == LinkCondition::Up
    }

    /// Whether it takes part in the election of a router, as Active, by its own belief.
    pub(crate) fn is_active(&self, router: usize) -> bool {
        self.process != Process::Dead && self.states[router].state == StateName::Active
    }

    pub(crate) fn holds(&self, router: usize) -> bool {
        !self.held[router].addresses.is_empty()
    }

    /// Whose instance this is or was.
    pub(crate) fn router_of(&self, instance: InstanceId) -> Option<usize> {
        self.routers.get(&instance).or_else(|| self.former.get(&instance)).copied()
    }

    pub(crate) fn become_process(&mut self, now: u64, process: Process) {
        self.process = process;
        self.since = now;
        self.epoch += 1;
        self.wake = None;
    }

    /// The link as the driver tells it to the engine.
    pub(crate) fn link_state(&self, node: usize, link: usize) -> LinkState {
        let families = [Family::Ipv4, Family::Ipv6];
        let condition = self.conditions[link];
        let addresses = if condition == LinkCondition::Missing {
            Vec::new()
        } else {
            families.map(|family| node_address(family, node)).to_vec()
        };
        LinkState { condition, addresses }
    }

    /// When the kernel takes a router's addresses away if nobody renews them from now on: leases are renewed each third
    /// of their life, and the kernel is up to a quarter of a second late.
    pub(crate) fn lease_end(&self, router: usize, now: u64, late: u64) -> Option<u64> {
        let held = &self.held[router];
        let lease = held.lease.filter(|_| !held.addresses.is_empty())?;
        let unrenewed = (now - held.since) % (lease / 3);
        Some(now - unrenewed + lease + late)
    }

    /// Carries out an ownership. False when the kernel refuses.
    pub(crate) fn own(&mut self, now: u64, router: usize, ownership: &Ownership) -> bool {
        if self.refusing && !ownership.addresses.is_empty() {
            return false;
        }
        let held = &mut self.held[router];
        let addresses: Vec<IpAddr> = ownership.addresses.iter().map(|own| own.address).collect();
        if held.addresses.is_empty() != addresses.is_empty() {
            held.since = now;
        }
        held.addresses = addresses;
        held.lease = ownership.lease.map(nanos);
        true
    }

    /// The process is gone or starts anew: nothing is left of what it knew.
    pub(crate) fn forget(&mut self, now: u64) {
        let stand = Stand { state: StateName::Initialize, since: now, priority_since: now };
        self.states.fill(stand);
        self.routers.clear();
        self.former.clear();
        self.inbox.clear();
        self.orders.clear();
        self.engine = Engine::new();
        self.facts.told.clear();
        self.split = false;
    }
}
