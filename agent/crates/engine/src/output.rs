//! What the engine wants done, in the order in which it wants it done.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use core::net::IpAddr;
use core::ops::Range;
use core::time::Duration;

use crate::config::VirtualAddress;
use crate::event::Event;
use crate::input::{InstanceId, LinkId, Refusal};

/// One effect to carry out.
#[derive(Debug)]
pub enum Output<'a> {
    /// Send an advert.
    Transmit(Transmit<'a>),
    /// Hold exactly these addresses for the instance.
    Own(Ownership),
    /// Tell the neighbours where addresses are.
    Announce(Announcement),
    /// Something to record.
    Event(Box<Event>),
    /// The answer to the operator's command that was the input.
    Answer(Result<(), Refusal>),
}

/// An advert to one destination.
#[derive(Clone, Copy, Debug)]
pub struct Transmit<'a> {
    /// For which instance.
    pub instance: InstanceId,
    /// Where it goes out.
    pub link: LinkId,
    /// Source of the IP header; the checksum counts on it.
    pub source: IpAddr,
    /// The group or a peer.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Ethernet source, when the instance has a virtual MAC.
    pub virtual_mac: Option<[u8; 6]>,
    /// The VRRP message with its checksum.
    pub octets: &'a [u8],
}

/// The whole set of addresses that an instance holds from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ownership {
    /// Whose.
    pub instance: InstanceId,
    /// Grows with each ownership of the engine, over all instances; a newer one replaces an older one.
    pub generation: u64,
    /// The link of `interface`.
    pub link: LinkId,
    /// The configured link's name.
    pub interface: Arc<str>,
    /// Empty = release all.
    pub addresses: Arc<[VirtualAddress]>,
    /// Lifetime to renew, a whole number of seconds; `None` = for ever.
    pub lease: Option<Duration>,
    /// Hold them on a macvlan with this address on top of `interface`.
    pub virtual_mac: Option<[u8; 6]>,
}

/// Gratuitous ARP or unsolicited neighbour advertisement, once for each address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announcement {
    /// Whose.
    pub instance: InstanceId,
    /// Where.
    pub link: LinkId,
    /// The configured link's name.
    pub interface: Arc<str>,
    /// What to announce.
    pub addresses: Arc<[VirtualAddress]>,
    /// Announce this MAC rather than the link's.
    pub virtual_mac: Option<[u8; 6]>,
    /// Whether this is the first of a takeover, whose completion ends a failover.
    pub takeover: bool,
}

/// The effects of one input. Borrows the engine, so that the next input cannot overtake them.
#[must_use = "undone effects are lost"]
#[derive(Debug)]
pub struct Outputs<'a> {
    effects: vec::Drain<'a, Effect>,
    octets: &'a [u8],
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(effects: vec::Drain<'a, Effect>, octets: &'a [u8]) -> Self {
        Self { effects, octets }
    }
}

impl<'a> Iterator for Outputs<'a> {
    type Item = Output<'a>;

    fn next(&mut self) -> Option<Output<'a>> {
        Some(match self.effects.next()? {
            Effect::Transmit(transmit, range) => {
                let octets = self.octets.get(range).unwrap_or_default();
                Output::Transmit(Transmit { octets, ..transmit })
            }
            Effect::Own(ownership) => Output::Own(ownership),
            Effect::Announce(announcement) => Output::Announce(announcement),
            Effect::Event(event) => Output::Event(event),
            Effect::Answer(answer) => Output::Answer(answer),
        })
    }
}

/// An output as queued: octets stand in the engine's buffer, so that an advert allocates nothing.
#[derive(Debug)]
pub(crate) enum Effect {
    Transmit(Transmit<'static>, Range<usize>),
    Own(Ownership),
    Announce(Announcement),
    Event(Box<Event>),
    Answer(Result<(), Refusal>),
}
