//! A router under test: an engine behind its public API, octets in, octets and states out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{
    AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, Cause, ChecksumForm, Discard,
    Engine, Event, EventKind, Family, Input, InstanceConfig, InstanceStatus, Instant, LinkCondition,
    LinkState, Output, Packet, Peer, Priority, Protocol, StateName, Transport, Version, VirtualAddress,
    VirtualRouterId,
};
use ha_tests::VrrpFrame;

/// What left the router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// An advert: priority, and where it went.
    Advert(u8, IpAddr),
    /// It holds so many addresses now.
    Own(usize),
    Announce,
    /// To this state, because.
    State(StateName, Cause),
}

/// An advert as it left.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) virtual_mac: Option<[u8; 6]>,
    pub(crate) octets: Vec<u8>,
}

pub(crate) struct Router {
    pub(crate) engine: Engine,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<Sent>,
    pub(crate) events: Vec<Event>,
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn group(family: Family) -> IpAddr {
    ip(if family == Family::Ipv4 { "224.0.0.18" } else { "ff02::12" })
}

/// VRID 7 at 192.0.2.1 (or fe80::1), announced once, adverts each second.
pub(crate) fn config(version: Version, family: Family, priority: u8) -> InstanceConfig {
    let address = ip(if family == Family::Ipv4 { "192.0.2.1" } else { "fe80::1" });
    InstanceConfig {
        name: Arc::from("web"),
        interface: Arc::from("eth0"),
        virtual_router_id: VirtualRouterId::new(7).unwrap(),
        family,
        protocol: match version {
            Version::V2 => Protocol::V2 { password: None },
            Version::V3 => Protocol::V3 { checksum: ChecksumForm::PseudoHeader },
        },
        priority: Priority::new(priority).unwrap(),
        interval: AdvertisementInterval::DEFAULT,
        longest_adopted_interval: Duration::from_secs(40),
        addresses: Arc::new([VirtualAddress::new(address, if family == Family::Ipv4 { 32 } else { 128 })]),
        preempt: true,
        preempt_delay: Duration::ZERO,
        startup_delay: Duration::ZERO,
        transport: Transport::Multicast { allowed_sources: Vec::new() },
        source: None,
        announce: AnnouncePolicy { repeat: 1, delay: Duration::ZERO, ..AnnouncePolicy::default() },
        address_lost: AddressLostPolicy::default(),
        lease: AddressLease::default(),
        virtual_mac: false,
        tracks: Arc::default(),
        group: None,
    }
}

pub(crate) fn v3(priority: u8) -> InstanceConfig {
    config(Version::V3, Family::Ipv4, priority)
}

pub(crate) fn v6(priority: u8) -> InstanceConfig {
    config(Version::V3, Family::Ipv6, priority)
}

pub(crate) fn v2(priority: u8) -> InstanceConfig {
    config(Version::V2, Family::Ipv4, priority)
}

pub(crate) fn unicast(config: InstanceConfig, peer: &str, minimum_ttl: u8) -> InstanceConfig {
    let peers = vec![Peer { address: ip(peer), minimum_ttl }];
    InstanceConfig { transport: Transport::Unicast { peers, ttl: 255 }, ..config }
}

/// A valid advert of a peer that is configured as `config` is.
pub(crate) fn advert(config: &InstanceConfig, source: &str, priority: u8) -> VrrpFrame {
    let addresses: Vec<IpAddr> = config.addresses.iter().map(|own| own.address).collect();
    let vrid = config.virtual_router_id.get();
    match (config.version(), ip(source)) {
        (Version::V2, IpAddr::V4(source)) => {
            VrrpFrame::v2(source, vrid, priority, config.interval.as_seconds(), &addresses)
        }
        (_, source) => VrrpFrame::v3(source, vrid, priority, config.interval.as_centiseconds(), &addresses),
    }
}

impl Router {
    /// A router whose link is up, with 192.0.2.10 and fe80::a.
    pub(crate) fn new(config: &InstanceConfig) -> Self {
        Self::at(config, &["192.0.2.10", "fe80::a"])
    }

    pub(crate) fn at(config: &InstanceConfig, addresses: &[&str]) -> Self {
        Self::of(std::slice::from_ref(config), addresses)
    }

    fn of(configs: &[InstanceConfig], addresses: &[&str]) -> Self {
        let now = Instant::from_nanos(1 << 50);
        let mut router = Self { engine: Engine::new(), now, sent: Vec::new(), events: Vec::new() };
        router.handle(Input::Reconfigure(configs));
        router.link(LinkCondition::Up, addresses);
        router
    }

    /// Several on the same link that have been Active for a moment.
    pub(crate) fn active_group(configs: &[InstanceConfig]) -> Self {
        let mut router = Self::of(configs, &["192.0.2.10", "fe80::a"]);
        router.pass(router.status().active_down_interval);
        router.pass(Duration::from_secs(10));
        router
    }

    /// One that has been Active for a moment.
    pub(crate) fn active(config: &InstanceConfig) -> Self {
        let mut router = Self::new(config);
        router.pass(router.status().active_down_interval);
        assert_eq!(router.state(), StateName::Active);
        router.pass(Duration::from_millis(500));
        router
    }

    pub(crate) fn link(&mut self, condition: LinkCondition, addresses: &[&str]) -> Vec<Seen> {
        let addresses = addresses.iter().map(|text| ip(text)).collect();
        let link = self.engine.link("eth0").unwrap();
        self.handle(Input::Link(link, LinkState { condition, addresses }))
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) -> Vec<Seen> {
        let mut seen = Vec::new();
        for output in self.engine.handle(self.now, input) {
            match output {
                Output::Transmit(transmit) => {
                    seen.push(Seen::Advert(transmit.octets[2], transmit.destination));
                    self.sent.push(Sent {
                        source: transmit.source,
                        destination: transmit.destination,
                        ttl: transmit.ttl,
                        virtual_mac: transmit.virtual_mac,
                        octets: transmit.octets.to_vec(),
                    });
                }
                Output::Own(ownership) => seen.push(Seen::Own(ownership.addresses.len())),
                Output::Announce(_) => seen.push(Seen::Announce),
                Output::Event(event) => {
                    if let EventKind::StateChanged { to, .. } = event.kind {
                        seen.push(Seen::State(to, event.cause));
                    }
                    self.events.push(*event);
                }
                Output::Answer(_) => {}
            }
        }
        seen
    }

    /// Lets time pass; every deadline is served on time.
    pub(crate) fn pass(&mut self, duration: Duration) -> Vec<Seen> {
        let end = self.now.after(duration);
        let mut seen = Vec::new();
        while let Some((due, _)) = self.engine.next_deadline().filter(|(due, _)| *due <= end) {
            self.now = due;
            seen.extend(self.handle(Input::Deadline));
        }
        self.now = end;
        seen
    }

    /// A frame arrives; its Ethernet and IP headers are the kernel's affair.
    pub(crate) fn hear(&mut self, frame: &VrrpFrame) -> Vec<Seen> {
        let mut message = frame.message();
        message.extend(&frame.trailer);
        message.truncate(frame.cut.unwrap_or(message.len()));
        self.hear_octets(frame.source, frame.destination, frame.ttl, &message)
    }

    pub(crate) fn hear_octets(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        ttl: u8,
        octets: &[u8],
    ) -> Vec<Seen> {
        let link = self.engine.link("eth0").unwrap();
        self.handle(Input::Packet(Packet { link, source, destination, ttl, octets }))
    }

    pub(crate) fn status(&self) -> InstanceStatus {
        self.engine.statuses().next().unwrap()
    }

    pub(crate) fn state(&self) -> StateName {
        self.status().state
    }

    /// Reasons for which packets were discarded so far, of this instance and of none.
    pub(crate) fn discards(&self) -> Vec<(Discard, u64)> {
        let own = self.status().counters.discarded;
        let unclaimed = self.engine.unclaimed().map(|(_, reason, count)| (reason, count));
        own.iter().filter(|(_, count)| *count > 0).chain(unclaimed).collect()
    }

    /// Everything but the counters.
    pub(crate) fn fingerprint(&self) -> String {
        let status = InstanceStatus { counters: ha_engine::Counters::default(), ..self.status() };
        format!("{status:?} {:?}", self.engine.next_deadline())
    }
}
