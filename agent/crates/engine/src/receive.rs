//! Receive rules of RFC 9568 §7.1 and RFC 3768 §7.1: an advert is [`Accepted`] or a named [`Discard`].

use core::net::IpAddr;

use crate::codec::{ADVERTISEMENT, Advert, Header, SIMPLE_PASSWORD, multicast_group, valid_form};
use crate::config::{ChecksumForm, InstanceConfig, Protocol, Transport};
use crate::input::Packet;
use crate::units::AdvertisementInterval;

/// An advert that passed every rule. Only this reaches a state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    source: IpAddr,
    priority: u8,
    interval: AdvertisementInterval,
    checksum: ChecksumForm,
    oddities: [Option<Oddity>; 2],
}

impl Accepted {
    /// Applies the rules of the instance to a packet whose header named it. `own_source` is where our adverts come from.
    pub(crate) fn check(
        config: &InstanceConfig,
        own_source: Option<IpAddr>,
        packet: &Packet<'_>,
        header: Header,
    ) -> Result<Self, Discard> {
        if header.version != config.version() {
            return Err(Discard::VersionMismatch);
        }
        if header.kind != ADVERTISEMENT {
            return Err(Discard::TypeUnknown);
        }
        check_path(config, own_source, packet)?;
        let advert = Advert::decode(packet.octets, header.version, config.family)?;
        let checksum = valid_form(header.version, packet.octets, packet.source, packet.destination)
            .ok_or(Discard::ChecksumWrong)?;
        check_content(config, &advert)?;
        Ok(Self {
            source: packet.source,
            priority: advert.priority,
            interval: adopted(config, advert.interval),
            checksum,
            oddities: oddities(config, &advert),
        })
    }

    /// Source of the IP header.
    pub(crate) fn source(&self) -> IpAddr {
        self.source
    }

    /// 0..=255.
    pub(crate) fn priority(&self) -> u8 {
        self.priority
    }

    /// The sender's interval, cut to what we adopt.
    pub(crate) fn interval(&self) -> AdvertisementInterval {
        self.interval
    }

    /// What its checksum covers.
    pub(crate) fn checksum(&self) -> ChecksumForm {
        self.checksum
    }

    /// What is strange about it.
    pub(crate) fn oddities(&self) -> impl Iterator<Item = Oddity> {
        self.oddities.into_iter().flatten()
    }
}

/// Did it come from a neighbour that may speak, by the way that adverts take?
fn check_path(
    config: &InstanceConfig,
    own_source: Option<IpAddr>,
    packet: &Packet<'_>,
) -> Result<(), Discard> {
    if own_source == Some(packet.source) {
        return Err(Discard::SourceIsOurs);
    }
    let (allowed, minimum_ttl, destination) = match &config.transport {
        Transport::Multicast { allowed_sources } => {
            let allowed = allowed_sources.is_empty() || allowed_sources.contains(&packet.source);
            // "MUST verify that the IPv4 TTL/IPv6 Hop Limit is 255" (RFC 9568 §7.1).
            (allowed, u8::MAX, Some(multicast_group(config.family)))
        }
        Transport::Unicast { peers, .. } => {
            let peer = peers.iter().find(|peer| peer.address == packet.source);
            (peer.is_some(), peer.map_or(0, |peer| peer.minimum_ttl), own_source)
        }
    };
    if !allowed {
        return Err(Discard::SourceNotAllowed);
    }
    if packet.ttl < minimum_ttl {
        return Err(Discard::TtlWrong);
    }
    if destination != Some(packet.destination) {
        return Err(Discard::DestinationWrong);
    }
    Ok(())
}

/// Does it say what an advert for this instance may say?
fn check_content(config: &InstanceConfig, advert: &Advert<'_>) -> Result<(), Discard> {
    // Errata 8299 and 8301: neither an empty address list nor an interval of 0 is valid. The peers of a router that only elects
    // have no address either.
    if advert.addresses().next().is_none() && config.advertised().next().is_some() {
        return Err(Discard::CountZero);
    }
    if advert.interval.duration().is_zero() {
        return Err(Discard::IntervalZero);
    }
    let Protocol::V2 { password } = &config.protocol else { return Ok(()) };
    let expected = if password.is_some() { SIMPLE_PASSWORD } else { 0 };
    if advert.authentication.kind != expected {
        return Err(Discard::AuthenticationTypeMismatch);
    }
    if password.as_ref().is_some_and(|own| !same(own.octets(), advert.authentication.data)) {
        return Err(Discard::AuthenticationFailed);
    }
    // "MUST verify that the Adver Interval in the packet is the same as the locally configured" (RFC 3768 §7.1).
    if advert.interval != config.interval {
        return Err(Discard::IntervalMismatch);
    }
    Ok(())
}

/// Compares in a time that does not tell how much is equal.
fn same(left: [u8; 8], right: [u8; 8]) -> bool {
    left.iter().zip(right).fold(0, |difference, (left, right)| difference | (left ^ right)) == 0
}

fn adopted(config: &InstanceConfig, interval: AdvertisementInterval) -> AdvertisementInterval {
    interval.min(AdvertisementInterval::at_most(config.longest_adopted_interval).max(config.interval))
}

/// The RFC lets these pass; at most one about the interval and one about the addresses.
fn oddities(config: &InstanceConfig, advert: &Advert<'_>) -> [Option<Oddity>; 2] {
    let interval = if adopted(config, advert.interval) != advert.interval {
        Some(Oddity::IntervalTooLong)
    } else {
        (advert.interval != config.interval).then_some(Oddity::IntervalDiffers)
    };
    let link_local = |address| matches!(address, IpAddr::V6(address) if !address.is_unicast_link_local());
    let addresses = if !advert.has_addresses_of(config) {
        Some(Oddity::AddressesDiffer)
    } else {
        advert.addresses().next().is_some_and(link_local).then_some(Oddity::FirstAddressNotLinkLocal)
    };
    [interval, addresses]
}

/// Why a packet was discarded. The word is at once the counter, the metric label and the journal word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Discard {
    /// Shorter than a VRRP header.
    Truncated,
    /// Neither version 2 nor 3.
    VersionUnknown,
    /// Version 2 for a VRRPv3 instance or the other way round.
    VersionMismatch,
    /// The type is not ADVERTISEMENT.
    TypeUnknown,
    /// The octets do not fit the address count.
    LengthMismatch,
    /// No form of the checksum fits.
    ChecksumWrong,
    /// TTL or hop limit is not 255, or lower than expected of a unicast peer.
    TtlWrong,
    /// No instance with this VRID on this link and family.
    VirtualRouterUnknown,
    /// No address in the advert.
    CountZero,
    /// Interval 0.
    IntervalZero,
    /// A v2 advert with another interval than ours.
    IntervalMismatch,
    /// Another authentication type than ours.
    AuthenticationTypeMismatch,
    /// The password is not ours.
    AuthenticationFailed,
    /// The sender is neither a peer nor an allowed source.
    SourceNotAllowed,
    /// Our own packet came back, or somebody else has our address.
    SourceIsOurs,
    /// Sent to another destination than adverts for this instance are.
    DestinationWrong,
}

impl Discard {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Truncated,
        Self::VersionUnknown,
        Self::VersionMismatch,
        Self::TypeUnknown,
        Self::LengthMismatch,
        Self::ChecksumWrong,
        Self::TtlWrong,
        Self::VirtualRouterUnknown,
        Self::CountZero,
        Self::IntervalZero,
        Self::IntervalMismatch,
        Self::AuthenticationTypeMismatch,
        Self::AuthenticationFailed,
        Self::SourceNotAllowed,
        Self::SourceIsOurs,
        Self::DestinationWrong,
    ];

    /// The word in API, log and metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Truncated => "TRUNCATED",
            Self::VersionUnknown => "VERSION_UNKNOWN",
            Self::VersionMismatch => "VERSION_MISMATCH",
            Self::TypeUnknown => "TYPE_UNKNOWN",
            Self::LengthMismatch => "LENGTH_MISMATCH",
            Self::ChecksumWrong => "CHECKSUM_WRONG",
            Self::TtlWrong => "TTL_WRONG",
            Self::VirtualRouterUnknown => "VIRTUAL_ROUTER_UNKNOWN",
            Self::CountZero => "COUNT_ZERO",
            Self::IntervalZero => "INTERVAL_ZERO",
            Self::IntervalMismatch => "INTERVAL_MISMATCH",
            Self::AuthenticationTypeMismatch => "AUTHENTICATION_TYPE_MISMATCH",
            Self::AuthenticationFailed => "AUTHENTICATION_FAILED",
            Self::SourceNotAllowed => "SOURCE_NOT_ALLOWED",
            Self::SourceIsOurs => "SOURCE_IS_OURS",
            Self::DestinationWrong => "DESTINATION_WRONG",
        }
    }

    /// One sentence for a human.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Truncated => "shorter than a VRRP header",
            Self::VersionUnknown => "neither VRRP version 2 nor 3",
            Self::VersionMismatch => "another VRRP version than the instance speaks",
            Self::TypeUnknown => "not an advertisement",
            Self::LengthMismatch => "its length does not fit its address count",
            Self::ChecksumWrong => "wrong checksum",
            Self::TtlWrong => "TTL or hop limit shows that it was forwarded",
            Self::VirtualRouterUnknown => "no instance with this VRID on this link",
            Self::CountZero => "no address in it",
            Self::IntervalZero => "an advertisement interval of 0",
            Self::IntervalMismatch => "another advertisement interval, which VRRPv2 does not allow",
            Self::AuthenticationTypeMismatch => "another authentication type than ours",
            Self::AuthenticationFailed => "another password than ours",
            Self::SourceNotAllowed => "its sender is neither a peer nor an allowed source",
            Self::SourceIsOurs => "its source is our own address; somebody else may have it too",
            Self::DestinationWrong => "not sent to where adverts for this instance go",
        }
    }
}

/// A number for each reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DiscardCounters([u64; Discard::ALL.len()]);

impl DiscardCounters {
    /// One more.
    pub(crate) fn count(&mut self, reason: Discard) {
        if let Some(slot) = self.0.get_mut(reason as usize) {
            *slot = slot.saturating_add(1);
        }
    }

    /// How many of one reason.
    pub fn get(&self, reason: Discard) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or_default()
    }

    /// Each reason with its number.
    pub fn iter(&self) -> impl Iterator<Item = (Discard, u64)> + '_ {
        Discard::ALL.into_iter().map(|reason| (reason, self.get(reason)))
    }
}

/// What is strange about an accepted advert. VRRP lets it pass; an operator wants to know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Oddity {
    /// A VRRPv3 interval other than ours (it is adopted).
    IntervalDiffers,
    /// An interval longer than `longest_adopted_interval` (it is cut).
    IntervalTooLong,
    /// Other addresses than ours.
    AddressesDiffer,
    /// The first IPv6 address is not link-local (RFC 9568 §5.2.9).
    FirstAddressNotLinkLocal,
}

impl Oddity {
    /// One sentence for a human.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::IntervalDiffers => "its advertisement interval is not ours; adopted",
            Self::IntervalTooLong => "its advertisement interval is longer than we adopt; cut to our bound",
            Self::AddressesDiffer => "its addresses are not ours; make the configurations equal",
            Self::FirstAddressNotLinkLocal => "its first IPv6 address is not link-local",
        }
    }
}
