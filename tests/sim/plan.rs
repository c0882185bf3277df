//! What a seed stands for: a cluster, its routers, the network's good behaviour, and the faults it has to live through.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, ChecksumForm, Family,
    InstanceConfig, Password, Peer, Priority, Protocol, Track, Transport, Version, VirtualAddress,
    VirtualRouterId,
};

use ha_tests::Random;

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1000 * MILLISECOND;

/// Everything about a run that is drawn before it begins.
#[derive(Debug)]
pub(crate) struct Plan {
    /// By node, then by router.
    pub(crate) configs: Vec<Vec<InstanceConfig>>,
    /// Bound on delivery while the network is well.
    pub(crate) delay: u64,
    /// Bound on the lateness of timers of a node that runs.
    pub(crate) lateness: u64,
    /// Bound on the time that the kernel takes to change addresses.
    pub(crate) apply: u64,
    /// Links of each node; router n speaks on link n modulo this.
    pub(crate) links: usize,
    /// Which faults happen.
    pub(crate) faults: Vec<Fault>,
    /// Mean time between two faults.
    pub(crate) pace: u64,
    /// How long faults go on.
    pub(crate) trouble: u64,
    /// How long a successor may take, in intervals: in seconds it is always as long, and intervals are not.
    pub(crate) patience: u64,
    /// Whether the agents know each other.
    pub(crate) talks: bool,
    /// Whether the loser of a split brain yields at the other's word.
    pub(crate) yields: bool,
}

/// Classes of faults; a seed has some of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fault {
    Loss,
    Delay,
    Duplicate,
    Partition,
    OneWay,
    Ring,
    Pause,
    Crash,
    Restart,
    Flap,
    Operator,
    Reload,
    Hostile,
    Removal,
    Refusal,
    /// A check's verdict turns.
    Check,
    /// Something is moved away from a node, or it is drained.
    Move,
    /// A node's control plane is cut off.
    Hush,
}

impl Fault {
    pub(crate) const ALL: [Self; 18] = [
        Self::Loss,
        Self::Delay,
        Self::Duplicate,
        Self::Partition,
        Self::OneWay,
        Self::Ring,
        Self::Pause,
        Self::Crash,
        Self::Restart,
        Self::Flap,
        Self::Operator,
        Self::Reload,
        Self::Hostile,
        Self::Removal,
        Self::Refusal,
        Self::Check,
        Self::Move,
        Self::Hush,
    ];
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let nodes = random.pick(&[2, 2, 3, 3, 3, 4, 5]);
        let routers = random.pick(&[1, 1, 2, 3]);
        let base = random.pick(&[10, 100, 1000]) * MILLISECOND;
        let mut shapes: Vec<Shape> =
            (0..routers).map(|router| Shape::draw(random, router, base, nodes)).collect();
        let links = if random.chance(500) { routers } else { 1 };
        if routers > 1 && random.chance(600) {
            unite(random, &mut shapes);
        }
        shapes.iter_mut().for_each(|shape| shape.link = shape.router % links);
        let configs =
            (0..nodes).map(|node| shapes.iter().map(|shape| shape.config(node)).collect()).collect();
        // One seed in eight is calm; the others have each class of faults with even odds.
        let calm = random.chance(125);
        let faults = Fault::ALL.into_iter().filter(|_| !calm && random.chance(500)).collect();
        // Now and then the nodes are starved of processor time.
        let worst_lateness = if random.chance(125) { base * 3 / 2 } else { base / 50 };
        Self {
            configs,
            links,
            delay: random.between(base / 1000, base / 10),
            lateness: random.between(base / 10_000, worst_lateness),
            apply: random.between(base / 1000, base / 10),
            faults,
            pace: base * random.between(1, 12),
            trouble: base * random.between(40, 120),
            talks: random.chance(700),
            yields: random.chance(500),
            patience: random.pick(&[1, 1, 10]),
        }
    }

    pub(crate) fn nodes(&self) -> usize {
        self.configs.len()
    }

    pub(crate) fn routers(&self) -> usize {
        self.configs[0].len()
    }

    /// Where a router speaks.
    pub(crate) fn link_of(&self, router: usize) -> usize {
        router % self.links
    }

    /// The routers that move together with this one, itself included.
    pub(crate) fn group_of(&self, router: usize) -> Vec<usize> {
        let group = |router: usize| self.configs[0][router].group.clone();
        let own = group(router);
        (0..self.routers())
            .filter(|other| *other == router || own.is_some() && group(*other) == own)
            .collect()
    }

    /// The longest advertisement interval of a router on any node.
    pub(crate) fn interval(&self, router: usize) -> u64 {
        self.configs.iter().map(|node| nanos(node[router].interval.duration())).max().unwrap()
    }

    /// The longest Active_Down_Interval of a router on any node.
    pub(crate) fn down(&self, router: usize) -> u64 {
        let longest = self.interval(router);
        let skew = match self.configs[0][router].version() {
            Version::V2 => SECOND,
            Version::V3 => longest,
        };
        3 * longest + skew
    }
}

/// One IPv4 router on nodes with these priorities.
pub(crate) fn plain_configs(
    priorities: &[u8],
    interval: Duration,
    announce: AnnouncePolicy,
    lease: AddressLease,
) -> Vec<Vec<InstanceConfig>> {
    let protocol = Protocol::V3 { checksum: ChecksumForm::PseudoHeader };
    let interval = AdvertisementInterval::new(Version::V3, interval).unwrap();
    let address = VirtualAddress::new(IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1)), 32);
    let shape = Shape {
        router: 0,
        family: Family::Ipv4,
        protocol,
        intervals: vec![interval; priorities.len()],
        priorities: priorities.to_vec(),
        addresses: Arc::new([address]),
        preempt: true,
        preempt_delay: Duration::ZERO,
        startup_delay: Duration::ZERO,
        unicast: false,
        announce,
        lease,
        address_lost: AddressLostPolicy::Restore,
        nodes: priorities.len(),
        link: 0,
        tracks: Arc::default(),
        group: None,
    };
    (0..priorities.len()).map(|node| vec![shape.config(node)]).collect()
}

/// A sync group of two IPv4 routers on two links, with these priorities in the first and in the second.
pub(crate) fn group_configs(
    first: &[u8],
    second: &[u8],
    interval: Duration,
    announce: AnnouncePolicy,
    lease: AddressLease,
) -> Vec<Vec<InstanceConfig>> {
    let members = [first, second].map(|priorities| plain_configs(priorities, interval, announce, lease));
    let [one, other] = members;
    let member = |config: &InstanceConfig, router: u8| InstanceConfig {
        name: Arc::from(format!("router-{router}")),
        interface: link_name(router.into()),
        virtual_router_id: VirtualRouterId::new(router + 1).unwrap(),
        addresses: Arc::new([VirtualAddress::new(IpAddr::V4(Ipv4Addr::new(10, 1, router, 1)), 32)]),
        group: Some(Arc::from("edge")),
        ..config.clone()
    };
    one.iter().zip(&other).map(|(one, other)| vec![member(&one[0], 0), member(&other[0], 1)]).collect()
}

/// A router as all nodes have it, but for the priorities.
#[derive(Debug)]
struct Shape {
    router: usize,
    family: Family,
    protocol: Protocol,
    intervals: Vec<AdvertisementInterval>,
    priorities: Vec<u8>,
    addresses: Arc<[VirtualAddress]>,
    preempt: bool,
    preempt_delay: Duration,
    startup_delay: Duration,
    unicast: bool,
    announce: AnnouncePolicy,
    lease: AddressLease,
    address_lost: AddressLostPolicy,
    nodes: usize,
    link: usize,
    tracks: Arc<[Track]>,
    group: Option<Arc<str>>,
}

/// Makes the first routers, or all, a sync group: a node's rank and what counts for it are the same in each.
fn unite(random: &mut Random, shapes: &mut [Shape]) {
    let (priorities, tracks) = (shapes[0].priorities.clone(), Arc::clone(&shapes[0].tracks));
    let members = random.pick(&[2, shapes.len()]);
    for shape in &mut shapes[..members] {
        shape.priorities.clone_from(&priorities);
        shape.tracks = Arc::clone(&tracks);
        shape.group = Some(Arc::from("edge"));
    }
}

impl Shape {
    fn draw(random: &mut Random, router: usize, base: u64, nodes: usize) -> Self {
        let family = random.pick(&[Family::Ipv4, Family::Ipv4, Family::Ipv6]);
        let protocol = draw_protocol(random, family, base);
        let interval = base * random.pick(&[1, 1, 1, 2]);
        let differ = matches!(protocol, Protocol::V3 { .. }) && random.chance(150);
        let intervals = (0..nodes).map(|_| draw_interval(random, &protocol, interval, differ)).collect();
        let delay = |random: &mut Random, most| Duration::from_nanos(base * random.between(0, most));
        Self {
            router,
            family,
            protocol,
            intervals,
            priorities: draw_priorities(random, nodes),
            addresses: draw_addresses(random, router, family),
            preempt: random.chance(700),
            preempt_delay: if random.chance(300) { delay(random, 10) } else { Duration::ZERO },
            startup_delay: if random.chance(200) { delay(random, 10) } else { Duration::ZERO },
            unicast: random.chance(250),
            announce: draw_announce(random, base),
            lease: random.pick(&[
                AddressLease::Auto,
                AddressLease::Auto,
                AddressLease::Off,
                AddressLease::Seconds(2),
            ]),
            address_lost: if random.chance(150) {
                AddressLostPolicy::Release
            } else {
                AddressLostPolicy::Restore
            },
            nodes,
            link: 0,
            tracks: crate::facts::draw_tracks(random),
            group: None,
        }
    }

    fn config(&self, node: usize) -> InstanceConfig {
        let peers = (0..self.nodes).filter(|peer| *peer != node);
        let peers =
            peers.map(|peer| Peer { address: node_address(self.family, peer), minimum_ttl: 255 }).collect();
        InstanceConfig {
            name: Arc::from(format!("router-{}", self.router)),
            interface: link_name(self.link),
            virtual_router_id: VirtualRouterId::new(u8::try_from(self.router + 1).unwrap()).unwrap(),
            family: self.family,
            protocol: self.protocol.clone(),
            priority: Priority::new(self.priorities[node]).unwrap(),
            interval: self.intervals[node],
            longest_adopted_interval: Duration::from_secs(10),
            addresses: Arc::clone(&self.addresses),
            preempt: self.preempt,
            preempt_delay: self.preempt_delay,
            startup_delay: self.startup_delay,
            transport: if self.unicast {
                Transport::Unicast { peers, ttl: 255 }
            } else {
                Transport::Multicast { allowed_sources: Vec::new() }
            },
            source: None,
            announce: self.announce,
            address_lost: self.address_lost,
            lease: self.lease,
            virtual_mac: false,
            tracks: Arc::clone(&self.tracks),
            group: self.group.clone(),
        }
    }
}

pub(crate) fn link_name(link: usize) -> Arc<str> {
    Arc::from(format!("eth{link}"))
}

fn draw_protocol(random: &mut Random, family: Family, base: u64) -> Protocol {
    let checksum = random.pick(&[ChecksumForm::PseudoHeader, ChecksumForm::MessageOnly]);
    if family == Family::Ipv4 && base == SECOND && random.chance(400) {
        let password = random.chance(500).then(|| Password::new("secret").unwrap());
        Protocol::V2 { password }
    } else {
        Protocol::V3 { checksum }
    }
}

fn draw_interval(
    random: &mut Random,
    protocol: &Protocol,
    nanos: u64,
    differ: bool,
) -> AdvertisementInterval {
    let version = if matches!(protocol, Protocol::V2 { .. }) { Version::V2 } else { Version::V3 };
    let factor = if differ { random.between(1, 3) } else { 1 };
    AdvertisementInterval::new(version, Duration::from_nanos(nanos * factor)).unwrap()
}

/// Often far apart, sometimes one apart or equal; now and then an address owner, seldom two.
fn draw_priorities(random: &mut Random, nodes: usize) -> Vec<u8> {
    let spread = random.pick(&[0, 1, 10, 40]);
    let base = random.pick(&[1_u64, 50, 90]);
    let mut priorities: Vec<u8> =
        (0..nodes).map(|_| u8::try_from(base + spread * random.up_to(4)).unwrap().max(1)).collect();
    if random.chance(150) {
        let owner = random.index(nodes);
        priorities[owner] = 255;
        if random.chance(200) {
            priorities[(owner + 1) % nodes] = 255;
        }
    }
    priorities
}

fn draw_addresses(random: &mut Random, router: usize, family: Family) -> Arc<[VirtualAddress]> {
    let router = u8::try_from(router).unwrap();
    let count = random.pick(&[1, 1, 3]);
    let address = |number: u8| match family {
        Family::Ipv4 => VirtualAddress::new(IpAddr::V4(Ipv4Addr::new(10, 1, router, number)), 32),
        Family::Ipv6 => {
            let prefix = if number == 1 { 0xfe80 } else { 0x2001 };
            let address = Ipv6Addr::new(prefix, 0, 0, 0, 0, 1, u16::from(router), u16::from(number));
            VirtualAddress::new(IpAddr::V6(address), 128)
        }
    };
    // Every other router has one of the other family beside them, which adverts do not carry.
    let beside = match family {
        Family::Ipv4 => {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(router));
            VirtualAddress::new(IpAddr::V6(address), 128)
        }
        Family::Ipv6 => VirtualAddress::new(IpAddr::V4(Ipv4Addr::new(10, 2, 0, router)), 32),
    };
    let beside = VirtualAddress { advertised: false, ..beside };
    (1..=count).map(address).chain((router % 2 == 1).then_some(beside)).collect()
}

fn draw_announce(random: &mut Random, base: u64) -> AnnouncePolicy {
    let default = AnnouncePolicy::default();
    let quiet = AnnouncePolicy { repeat: 1, delay: Duration::ZERO, ..default };
    let refreshed = AnnouncePolicy { refresh: Duration::from_nanos(base * 20), ..default };
    random.pick(&[default, default, quiet, refreshed])
}

/// Where a node's adverts come from.
pub(crate) fn node_address(family: Family, node: usize) -> IpAddr {
    let host = u8::try_from(node + 10).unwrap();
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(host))),
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}
