//! What an instance is configured to do. Values here are valid by their types or were checked by `ha-config`.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::track::Track;
use crate::units::{AdvertisementInterval, Family, Priority, Version, VirtualRouterId};

/// One virtual router as this node takes part in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceConfig {
    /// Unique on the node; the last segment of its resource name.
    pub name: Arc<str>,
    /// The Linux link on which it speaks and, without a virtual MAC, holds its addresses.
    pub interface: Arc<str>,
    /// Virtual router identifier, unique per link and family.
    pub virtual_router_id: VirtualRouterId,
    /// Family of adverts and addresses.
    pub family: Family,
    /// Wire form and password.
    pub protocol: Protocol,
    /// Base priority; 255 = address owner.
    pub priority: Priority,
    /// Own advertisement interval, valid for the protocol's version.
    pub interval: AdvertisementInterval,
    /// The longest Active_Adver_Interval that is adopted from a peer's advert (VRRPv3). A longer one is cut to this, so
    /// that one forged advert cannot silence takeovers for minutes.
    pub longest_adopted_interval: Duration,
    /// All that the Active router holds. At least one is advertised, and those are of `family`; in the order of the advert.
    /// None at all: the router only elects, as keepalived has it, and takes adverts without addresses.
    pub addresses: Arc<[VirtualAddress]>,
    /// Preempt_Mode: whether a Backup of higher priority takes over from a lower Active.
    pub preempt: bool,
    /// How long a lower Active is tolerated, from the first of its adverts, before preemption; zero = at once.
    pub preempt_delay: Duration,
    /// How long after its start the instance only listens; zero = none.
    pub startup_delay: Duration,
    /// Multicast or a list of peers.
    pub transport: Transport,
    /// Source of adverts; `None` = the link's primary IPv4 or its link-local IPv6 address.
    pub source: Option<IpAddr>,
    /// When gratuitous ARP and unsolicited neighbour advertisements are sent.
    pub announce: AnnouncePolicy,
    /// What to do when somebody else removes an address that this node holds.
    pub address_lost: AddressLostPolicy,
    /// Lifetime of held addresses in the kernel.
    pub lease: AddressLease,
    /// Hold the addresses on a macvlan with the virtual router MAC address (RFC 9568 §7.3) and send from it.
    pub virtual_mac: bool,
    /// What raises or lowers the priority or means Fault; a fact at most once.
    pub tracks: Arc<[Track]>,
    /// The sync group: all instances of one move together.
    pub group: Option<Arc<str>>,
}

impl InstanceConfig {
    /// The version on the wire.
    pub fn version(&self) -> Version {
        match self.protocol {
            Protocol::V2 { .. } => Version::V2,
            Protocol::V3 { .. } => Version::V3,
        }
    }

    /// 00:00:5e:00:01:{VRID} for IPv4, 00:00:5e:00:02:{VRID} for IPv6 (RFC 9568 §7.3), when one is wanted.
    pub fn virtual_mac_address(&self) -> Option<[u8; 6]> {
        let family = family_of_mac(self.family);
        self.virtual_mac.then_some([0, 0, 0x5e, 0, family, self.virtual_router_id.get()])
    }

    /// The addresses that stand in adverts, in their order.
    pub fn advertised(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.iter().filter(|own| own.advertised).map(|own| own.address)
    }

    /// The link that holds an address of this instance.
    pub fn link_of<'c>(&'c self, address: &'c VirtualAddress) -> &'c Arc<str> {
        address.interface.as_ref().unwrap_or(&self.interface)
    }
}

const fn family_of_mac(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 1,
        Family::Ipv6 => 2,
    }
}

/// Wire form of adverts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// RFC 3768.
    V2 {
        /// RFC 2338 simple text password (Auth Type 1), `None` = no authentication.
        password: Option<Password>,
    },
    /// RFC 9568.
    V3 {
        /// Which checksum IPv4 adverts carry; both are accepted.
        checksum: ChecksumForm,
    },
}

/// What the checksum of a VRRPv3 IPv4 advert covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum ChecksumForm {
    /// Pseudo-header and message, as keepalived, FRR and MikroTik read RFC 5798.
    #[default]
    PseudoHeader,
    /// The message only, as RFC 9568 §5.2.8, Cisco and Juniper have it.
    MessageOnly,
    /// Pseudo-header with the multicast group as destination although sent by unicast (old keepalived, FRR). Never sent.
    MulticastPseudoHeader,
}

/// A simple text password, at most eight octets. Prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Password([u8; 8]);

impl Password {
    /// Zero padded as on the wire; `None` when empty or longer than eight octets.
    pub fn new(text: &str) -> Option<Self> {
        let mut octets = [0; 8];
        let slot = octets.get_mut(..text.len())?;
        slot.copy_from_slice(text.as_bytes());
        (!text.is_empty()).then_some(Self(octets))
    }

    /// The Authentication Data field.
    pub(crate) fn octets(&self) -> [u8; 8] {
        self.0
    }
}

impl core::fmt::Debug for Password {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("***")
    }
}

/// An address with its prefix length, as it is put on a link. Held and announced while the instance is Active.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VirtualAddress {
    /// The address that is announced, in the way of its own family.
    pub address: IpAddr,
    /// 0..=32 or 0..=128; 32 or 128 unless the operator wants a connected route.
    pub prefix_length: u8,
    /// Another link than the instance's, which must be up as that one must; `None` = the instance's.
    pub interface: Option<Arc<str>>,
    /// Whether adverts carry it. One that they do not may be of the other family, and peers need not have it.
    pub advertised: bool,
}

impl VirtualAddress {
    /// An advertised address on the instance's link, as nearly all are.
    pub const fn new(address: IpAddr, prefix_length: u8) -> Self {
        Self { address, prefix_length, interface: None, advertised: true }
    }

    /// Whether it is held with its instance's virtual MAC address: that is for one link and, as its fifth octet says, for one
    /// family. Others are on their link as it is.
    pub fn takes_virtual_mac(&self, mac: [u8; 6]) -> bool {
        self.interface.is_none() && mac[4] == family_of_mac(Family::of(self.address))
    }
}

impl core::fmt::Display for VirtualAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}

/// How adverts travel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// To 224.0.0.18 or ff02::12, TTL 255 both ways.
    Multicast {
        /// Sources to listen to; empty = all.
        allowed_sources: Vec<IpAddr>,
    },
    /// To each peer; only peers are listened to.
    Unicast {
        /// At least one, all of the instance's family.
        peers: Vec<Peer>,
        /// TTL or hop limit of adverts sent, 1..=255.
        ttl: u8,
    },
}

/// A unicast peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Where adverts go and come from.
    pub address: IpAddr,
    /// The lowest TTL or hop limit accepted from it: 255 for a peer on the link (RFC 5082), less one per router between.
    pub minimum_ttl: u8,
}

/// When held addresses are announced. Takeover announces at once, whatever is set here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnouncePolicy {
    /// Rounds in a burst, 1..=100; default 5.
    pub repeat: u8,
    /// Between two rounds of a burst; default 100 ms.
    pub interval: Duration,
    /// From takeover to a second burst, for switches that were deaf at first; zero = none, default 5 s.
    pub delay: Duration,
    /// A single round again and again while Active; zero = never, default never.
    pub refresh: Duration,
}

impl Default for AnnouncePolicy {
    fn default() -> Self {
        Self {
            repeat: 5,
            interval: Duration::from_millis(100),
            delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
        }
    }
}

/// What to do when somebody else removes a held address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AddressLostPolicy {
    /// Put it back and announce it; after five losses within a minute give the instance up for a minute.
    #[default]
    Restore,
    /// Give the instance up at once, for a minute.
    Release,
}

/// Lifetime of a held address in the kernel, renewed while the agent runs, so that the kernel removes it when the agent
/// was killed or hangs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AddressLease {
    /// The longest whole number of seconds that ends before a peer's Active_Down_Interval; at least one second.
    #[default]
    Auto,
    /// Held until removed.
    Off,
    /// This many seconds, 1..=3600.
    Seconds(u32),
}

impl AddressLease {
    /// The lifetime for an own advertisement interval, `None` = for ever.
    pub fn lifetime(self, interval: AdvertisementInterval) -> Option<Duration> {
        // The kernel removes an expired address up to 0.25 s late, and a peer of priority 254 waits just over three intervals.
        const KERNEL_SLACK: Duration = Duration::from_millis(250);
        match self {
            Self::Off => None,
            Self::Seconds(seconds) => Some(Duration::from_secs(u64::from(seconds.max(1)))),
            Self::Auto => {
                let bound = (interval.duration() * 3).saturating_sub(KERNEL_SLACK);
                Some(Duration::from_secs(bound.as_secs().max(1)))
            }
        }
    }
}
