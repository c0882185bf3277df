//! The whole engine under hostile packets, late timers and flapping links: it must not panic, must not spin, and
//! must not speak for a router that is not Active.

use std::{
    collections::hash_map::DefaultHasher,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use ha_engine::{
    Actor, AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, Cause, ChecksumForm,
    DrainCommand, Engine, EventKind, Family, Handover, Input, InstanceConfig, InstanceId, Instant,
    LinkCondition, LinkState, OperatorAction, OperatorCommand, Output, Packet, Password, Peer, PeerActive,
    PeerWord, Priority, Protocol, StandingOrder, StateName, Transport, VirtualAddress, VirtualRouterId, Way,
};
use ha_tests::{Checksum, Fuzz, VrrpFrame, checksum};

/// Operations from here on are planned moves and words of other nodes.
const MOVES: u8 = 0xe0;

const OURS4: [u8; 4] = [10, 80, 0, 1];
const PEER4: [u8; 4] = [10, 80, 0, 2];

fn ours(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => OURS4.into(),
        Family::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1]),
    }
}

fn peer(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => PEER4.into(),
        Family::Ipv6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 2]),
    }
}

fn group(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => [224, 0, 0, 18].into(),
        Family::Ipv6 => IpAddr::from([0xff02, 0, 0, 0, 0, 0, 0, 0x12]),
    }
}

fn actor() -> Arc<Actor> {
    Arc::new(Actor::default())
}

/// One router of each kind; their VRIDs are their places, from 1.
fn routers() -> Vec<InstanceConfig> {
    let v3 = Protocol::V3 { checksum: ChecksumForm::PseudoHeader };
    let multicast = Transport::Multicast { allowed_sources: Vec::new() };
    let unicast =
        Transport::Unicast { peers: vec![Peer { address: PEER4.into(), minimum_ttl: 254 }], ttl: 255 };
    let password = Password::new("secret");
    let kinds = [
        (Family::Ipv4, Protocol::V2 { password: None }, multicast.clone(), 100),
        (Family::Ipv4, Protocol::V2 { password }, multicast.clone(), 100),
        (Family::Ipv4, v3.clone(), multicast.clone(), 100),
        (Family::Ipv6, v3.clone(), multicast.clone(), 100),
        (Family::Ipv4, v3.clone(), unicast, 100),
        (Family::Ipv4, v3, multicast, 255),
    ];
    (1..)
        .zip(kinds)
        .map(|(number, (family, protocol, transport, priority))| {
            router(number, family, protocol, transport, priority)
        })
        .collect()
}

fn router(
    number: u8,
    family: Family,
    protocol: Protocol,
    transport: Transport,
    priority: u8,
) -> InstanceConfig {
    let four = VirtualAddress::new([10, 80, 1, number].into(), 32);
    let six = VirtualAddress::new([0xfe80, 0, 0, 0, 0, 0, 1, u16::from(number)].into(), 128);
    let (own, other) = if family == Family::Ipv4 { (four, six) } else { (six, four) };
    // Every other one has an address of the other family on another link, which adverts do not carry.
    let interface = Some(Arc::from("eth1"));
    let other =
        Some(VirtualAddress { interface, advertised: false, ..other }).filter(|_| number.is_multiple_of(2));
    InstanceConfig {
        name: Arc::from(format!("router-{number}")),
        interface: Arc::from("eth0"),
        virtual_router_id: VirtualRouterId::new(number).expect("counted from 1"),
        family,
        protocol,
        priority: Priority::new(priority).expect("not 0"),
        interval: AdvertisementInterval::DEFAULT,
        longest_adopted_interval: Duration::from_secs(10),
        addresses: [own].into_iter().chain(other).collect(),
        preempt: number.is_multiple_of(2),
        preempt_delay: Duration::from_secs(u64::from(number / 4)),
        startup_delay: Duration::ZERO,
        transport,
        source: None,
        announce: AnnouncePolicy::default(),
        address_lost: AddressLostPolicy::default(),
        lease: AddressLease::default(),
        virtual_mac: false,
        tracks: std::sync::Arc::default(),
        group: None,
    }
}

/// The engine, its clock, and the octets that say what happens next.
struct Ride<'a> {
    engine: Engine,
    families: Vec<Family>,
    now: Instant,
    octets: &'a [u8],
    /// After the last input.
    states: Vec<(InstanceId, StateName)>,
}

impl<'a> Ride<'a> {
    fn new(octets: &'a [u8]) -> Self {
        let routers = routers();
        let families = routers.iter().map(|router| router.family).collect();
        let mut ride = Self {
            engine: Engine::new(),
            families,
            now: Instant::from_nanos(1 << 40),
            octets,
            states: Vec::new(),
        };
        ride.feed(Input::Reconfigure(&routers));
        ride.set_link("eth0", LinkCondition::Up);
        ride.set_link("eth1", LinkCondition::Up);
        ride
    }

    fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.octets.split_first()?;
        self.octets = rest;
        Some(*first)
    }

    /// Each step is an operation with its operands.
    fn step(&mut self) -> Option<()> {
        let operation = self.octet()?;
        if operation >= MOVES {
            return self.move_step(operation);
        }
        match operation % 8 {
            0..=3 => self.packet()?,
            4 => self.at_deadline(Duration::ZERO),
            5 => {
                let late = Duration::from_millis(u64::from(self.octet()?) * 40);
                self.at_deadline(late);
            }
            6 => {
                let conditions =
                    [LinkCondition::Up, LinkCondition::NoCarrier, LinkCondition::Missing, LinkCondition::Up];
                let which = self.octet()?;
                let condition = conditions[usize::from(which % 4)];
                self.set_link(if which & 0x80 == 0 { "eth0" } else { "eth1" }, condition);
            }
            _ => self.now = self.now.after(Duration::from_millis(u64::from(self.octet()?))),
        }
        Some(())
    }

    /// What operators and other nodes want, with addresses and instants that nobody in his right mind would send.
    fn move_step(&mut self, operation: u8) -> Option<()> {
        match operation % 4 {
            0 => {
                let word = self.word()?;
                self.feed(Input::PeerWord(word));
            }
            1 => {
                let (drained, expires) = (self.octet()? % 3 > 0, self.moment()?);
                let since = self.now;
                let drain = drained.then(|| StandingOrder {
                    reason: Arc::default(),
                    actor: actor(),
                    since,
                    expires,
                    survives: false,
                });
                let command = DrainCommand { drain, actor: actor(), expected_revision: None, dry_run: false };
                self.feed(Input::Drain(command));
            }
            _ => {
                let (instance, action) = (self.name()?, self.action()?);
                let dry_run = operation & 0x10 == 0;
                let command =
                    OperatorCommand { instance, action, actor: actor(), expected_revision: None, dry_run };
                self.feed(Input::Operator(command));
            }
        }
        Some(())
    }

    fn action(&mut self) -> Option<OperatorAction> {
        let cause = Cause::AdminDrain;
        Some(match self.octet()? % 6 {
            0 => OperatorAction::EndHold,
            1 => OperatorAction::Withdraw { successor: self.address()? },
            2 | 3 => OperatorAction::TakeOver {
                from: self.address()?,
                until: self.moment()?.unwrap_or_default(),
                cause,
            },
            choice => {
                let (to, until, expires) =
                    (self.address()?, self.moment()?.unwrap_or_default(), self.moment()?);
                let way = if choice == 4 { Way::Offered } else { Way::Asked { to } };
                let since = self.now;
                let hold = self.octet()?.is_multiple_of(2);
                let (reason, actor) = (Arc::default(), actor());
                let hold = hold.then_some(StandingOrder { reason, actor, since, expires, survives: false });
                OperatorAction::Handover(Handover { way, until, cause, hold })
            }
        })
    }

    fn word(&mut self) -> Option<PeerWord> {
        let (instance, flags) = (self.name()?, self.octet()?);
        let node = Arc::from(format!("node-{}", flags >> 2));
        let (source, priority, hears) = (self.address()?, self.octet()?.max(1), self.address()?);
        let heard = self.moment()?.unwrap_or_default();
        let active = PeerActive { source, priority: Priority::new(priority)?, hears: Some(hears), heard };
        let active = (flags & 1 == 0).then_some(active);
        Some(PeerWord { instance, node, active, is_heard: flags & 4 == 0, yields: flags & 2 == 0 })
    }

    /// Of a router, or of none.
    fn name(&mut self) -> Option<Arc<str>> {
        Some(Arc::from(format!("router-{}", self.octet()? % 8)))
    }

    fn address(&mut self) -> Option<IpAddr> {
        let octet = self.octet()?;
        let family = if octet & 1 == 0 { Family::Ipv4 } else { Family::Ipv6 };
        Some(match octet >> 1 & 7 {
            0..=2 => peer(family),
            3 => ours(family),
            4 => group(family),
            5 => IpAddr::from([0; 4]),
            6 => IpAddr::from([255; 16]),
            _ => IpAddr::from([10, 80, 0, octet]),
        })
    }

    /// Never, the beginning or the end of time, now, or some time around now.
    fn moment(&mut self) -> Option<Option<Instant>> {
        let octet = self.octet()?;
        let milliseconds = Duration::from_millis(u64::from(octet) * 16);
        Some(match octet % 8 {
            0 => None,
            1 => Some(Instant::from_nanos(0)),
            2 => Some(Instant::from_nanos(u64::MAX)),
            3 => Some(self.now),
            4 => Some(Instant::from_nanos(self.now.as_nanos() - milliseconds.as_nanos() as u64)),
            _ => Some(self.now.after(milliseconds)),
        })
    }

    fn packet(&mut self) -> Option<()> {
        let (flags, length) = (self.octet()?, usize::from(self.octet()?));
        let mut message = self.octets.get(..length.min(self.octets.len()))?.to_vec();
        self.octets = &self.octets[message.len()..];
        let place = usize::from(message.get(1).copied().unwrap_or_default()).saturating_sub(1);
        let family = self.families.get(place).copied().unwrap_or(Family::Ipv4);
        let source = if flags & 1 == 0 { peer(family) } else { ours(family) };
        let destination = if flags & 2 == 0 { group(family) } else { ours(family) };
        if flags & 4 == 0 {
            seal(&mut message, source, destination);
        }
        let link = self.engine.link("eth0").expect("it is configured");
        let ttl = if flags & 8 == 0 { 255 } else { flags };
        self.feed(Input::Packet(Packet { link, source, destination, ttl, octets: &message }));
        Some(())
    }

    fn set_link(&mut self, name: &str, condition: LinkCondition) {
        let link = self.engine.link(name).expect("it is configured");
        let addresses = vec![ours(Family::Ipv4), ours(Family::Ipv6)];
        self.feed(Input::Link(link, LinkState { condition, addresses }));
    }

    /// Goes to the next deadline, and `late` beyond it, and serves all that is due then.
    fn at_deadline(&mut self, late: Duration) {
        let Some((due, _)) = self.engine.next_deadline() else { return };
        self.now = self.now.max(due).after(late);
        let mut served = 0;
        while self.engine.next_deadline().is_some_and(|(due, _)| due <= self.now) {
            self.feed(Input::Deadline);
            served += 1;
            assert!(served < 1000, "the engine is due again and again at {:?}", self.now);
        }
    }

    /// Hands over one input and judges what comes out.
    fn feed(&mut self, input: Input<'_>) {
        let before = std::mem::take(&mut self.states);
        let due = self.engine.next_deadline().map_or(Instant::from_nanos(u64::MAX), |(due, _)| due);
        let seen = matches!(input, Input::Packet(_)).then(|| self.packets_seen());
        let mut spoke = Vec::new();
        let mut outputs = 0;
        for output in self.engine.handle(self.now, input) {
            outputs += 1;
            match output {
                Output::Transmit(transmit) => {
                    spoke.push((transmit.instance, transmit.octets.get(2).copied()))
                }
                Output::Event(event) => {
                    let is_stall = matches!(event.kind, EventKind::Stalled { .. });
                    let is_late = self.now.since(due) >= AdvertisementInterval::DEFAULT.duration();
                    assert!(!is_stall || is_late, "told as late at {:?}, due at {due:?}", self.now);
                    drop(format!("{event:?}"));
                }
                _ => {}
            }
        }
        assert!(outputs <= 100, "{outputs} outputs to one input");
        if let Some(seen) = seen {
            assert_eq!(self.packets_seen(), seen + 1, "a packet is counted once, accepted or discarded");
        }
        self.states = self.engine.statuses().map(|status| (status.id, status.state)).collect();
        let states = before.iter().chain(&self.states);
        let active: Vec<_> = states.filter(|(_, state)| *state == StateName::Active).collect();
        for (instance, priority) in spoke {
            // Who yields says so in one last advert.
            let may = active.iter().any(|(active, _)| *active == instance);
            assert!(
                may,
                "an advert of priority {priority:?} from {instance:?}, which neither is nor was Active"
            );
        }
    }

    /// Packets that were accepted or discarded, whoever they were for.
    fn packets_seen(&self) -> u64 {
        let unclaimed: u64 = self.engine.unclaimed().map(|(_, _, count)| count).sum();
        let claimed = self.engine.statuses().map(|status| {
            let discarded: u64 = status.counters.discarded.iter().map(|(_, count)| count).sum();
            status.counters.received + discarded
        });
        unclaimed + claimed.sum::<u64>()
    }

    /// What happened, as a number: states and reasons for discards.
    fn answer(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for status in self.engine.statuses() {
            status.state.hash(&mut hasher);
            status.cause.hash(&mut hasher);
            status
                .counters
                .discarded
                .iter()
                .filter(|(_, count)| *count > 0)
                .for_each(|(reason, _)| reason.hash(&mut hasher));
        }
        hasher.finish()
    }
}

/// Puts a right checksum in, so that what lies behind that rule is reached too.
fn seal(message: &mut [u8], source: IpAddr, destination: IpAddr) {
    if message.len() < 8 {
        return;
    }
    message[6..8].fill(0);
    let length = (message.len() as u16).to_be_bytes();
    let sum = match (message[0] >> 4, source, destination) {
        (3, IpAddr::V4(from), IpAddr::V4(to)) => {
            checksum(&[&from.octets(), &to.octets(), &[0, 112], &length, message])
        }
        (_, IpAddr::V6(from), IpAddr::V6(to)) => {
            checksum(&[&from.octets(), &to.octets(), &[0, 0], &length, &[0, 0, 0, 112], message])
        }
        _ => checksum(&[message]),
    };
    message[6..8].copy_from_slice(&sum.to_be_bytes());
}

/// A packet step that carries this message.
fn packet_step(message: &[u8]) -> Vec<u8> {
    [&[0, 0, message.len() as u8], message].concat()
}

#[test]
fn the_engine_survives_hostile_packets_late_timers_and_flapping_links() {
    let mut seeds = vec![vec![4, 4, 4, 4, 5, 200, 6, 1, 4, 6, 0, 4]];
    // Active, then a word that it is not alone, a handover of each kind, a drain.
    for last in [
        [0xf0, 3, 2, 0, 200, 0, 3, 7, 4],
        [0xf3, 3, 5, 0, 61, 8, 1, 4, 4],
        [0xf3, 3, 4, 0, 61, 61, 2, 4, 4],
        [0xf1, 1, 61, 0, 0, 4, 4, 4, 4],
    ] {
        seeds.push([&[4; 20][..], &last[..]].concat());
    }
    for config in routers() {
        let vips: Vec<IpAddr> = config.addresses.iter().map(|address| address.address).collect();
        let vrid = config.virtual_router_id.get();
        for priority in [0, 100, 254, 255] {
            let advert = match (&config.protocol, peer(config.family)) {
                (Protocol::V2 { .. }, IpAddr::V4(from)) => VrrpFrame::v2(from, vrid, priority, 1, &vips),
                (_, from) => VrrpFrame::v3(from, vrid, priority, 100, &vips),
            };
            let advert = VrrpFrame { checksum: Checksum::Usual, ..advert };
            seeds.push([packet_step(&advert.message()), vec![4]].concat());
        }
    }
    let verdict = Fuzz::new("engine", seeds).run(|octets| {
        let mut ride = Ride::new(octets);
        while ride.step().is_some() {}
        ride.answer()
    });
    println!("{verdict:?}");
    assert!(verdict.answers > 20, "the fuzzer reaches next to nothing: {verdict:?}");
}
