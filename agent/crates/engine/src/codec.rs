//! The wire: VRRPv2 (RFC 3768 §5) and VRRPv3 (RFC 9568 §5) adverts, both ways. Knows octets, not configurations:
//! whether an advert is for us is decided in `receive`.

mod checksum;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::net::IpAddr;

use checksum::{Sum, pseudo_header};
pub(crate) use checksum::{multicast_group, valid_form};

use crate::config::{ChecksumForm, InstanceConfig, Protocol};
use crate::receive::Discard;
use crate::units::{AdvertisementInterval, Family, Version, VirtualRouterId};

/// An advert as read from the wire, its lengths checked, its checksum not yet.
///
/// ```text
///  0                   1                   2                   3
///  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
/// +-------+-------+---------------+---------------+---------------+
/// |Version| Type  | Virtual Rtr ID|   Priority    | Address count |
/// +-------+-------+---------------+---------------+---------------+
/// | v2: Auth Type | v2: Adver Int |           Checksum            |
/// | v3: 0 |  Max Advertise Int    |                               |
/// +---------------+---------------+-------------------------------+
/// |  addresses: 4 or 16 octets each; v2: 8 octets of password     |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advert<'a> {
    pub(crate) priority: u8,
    pub(crate) interval: AdvertisementInterval,
    pub(crate) authentication: Authentication,
    family: Family,
    addresses: &'a [u8],
}

/// What a v2 advert says about itself; v3 has none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Authentication {
    pub(crate) kind: u8,
    pub(crate) data: [u8; 8],
}

/// The fixed part that tells whose advert it may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    pub(crate) version: Version,
    pub(crate) kind: u8,
    /// `None` for VRID 0.
    pub(crate) virtual_router_id: Option<VirtualRouterId>,
}

/// Type 1 is the only one (RFC 9568 §5.2.2).
pub(crate) const ADVERTISEMENT: u8 = 1;
/// Auth Type 1 of RFC 2338.
pub(crate) const SIMPLE_PASSWORD: u8 = 1;
const HEADER_LENGTH: usize = 8;
const PASSWORD_LENGTH: usize = 8;

impl Header {
    /// Reads the fixed part.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, Discard> {
        let [first, virtual_router_id, ..] = *octets else { return Err(Discard::Truncated) };
        if octets.len() < HEADER_LENGTH {
            return Err(Discard::Truncated);
        }
        let version = match first >> 4 {
            2 => Version::V2,
            3 => Version::V3,
            _ => return Err(Discard::VersionUnknown),
        };
        Ok(Self { version, kind: first & 0xf, virtual_router_id: VirtualRouterId::new(virtual_router_id) })
    }
}

impl<'a> Advert<'a> {
    /// Reads the whole message. "MUST verify that the received packet contains the complete VRRP packet" (§7.1);
    /// one that is longer than its count says is refused as well.
    pub(crate) fn decode(octets: &'a [u8], version: Version, family: Family) -> Result<Self, Discard> {
        let (header, rest) = octets.split_first_chunk::<HEADER_LENGTH>().ok_or(Discard::Truncated)?;
        let [_, _, priority, count, fifth, sixth, _, _] = *header;
        let trailer = if version == Version::V2 { PASSWORD_LENGTH } else { 0 };
        let length = usize::from(count) * address_length(family);
        if rest.len() != length + trailer {
            return Err(Discard::LengthMismatch);
        }
        let (addresses, password) = rest.split_at(length);
        let interval = match version {
            Version::V2 => AdvertisementInterval::from_seconds(sixth),
            // The reserved high bits are ignored on receipt (§5.2.6).
            Version::V3 => AdvertisementInterval::from_centiseconds(u16::from_be_bytes([fifth & 0xf, sixth])),
        };
        let authentication = Authentication {
            kind: if version == Version::V2 { fifth } else { 0 },
            data: password.try_into().unwrap_or_default(),
        };
        Ok(Self { priority, interval, authentication, family, addresses })
    }

    /// The advertised addresses, in order.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + 'a {
        let family = self.family;
        self.addresses.chunks_exact(address_length(family)).filter_map(move |octets| match family {
            Family::Ipv4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            Family::Ipv6 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        })
    }

    /// Whether the same addresses are advertised as the instance advertises, in any order.
    pub(crate) fn has_addresses_of(&self, config: &InstanceConfig) -> bool {
        let count = self.addresses.len() / address_length(self.family);
        count == config.advertised().count()
            && self.addresses().all(|address| config.advertised().any(|own| own == address))
    }
}

/// Appends the advert of an instance to `out`. `priority` is what it carries, 0 to release.
pub(crate) fn encode(
    out: &mut Vec<u8>,
    config: &InstanceConfig,
    priority: u8,
    source: IpAddr,
    destination: IpAddr,
) {
    let start = out.len();
    let version = config.version();
    let count = u8::try_from(config.advertised().count()).unwrap_or(u8::MAX);
    out.push(version.number() << 4 | ADVERTISEMENT);
    out.extend([config.virtual_router_id.get(), priority, count]);
    let password = match &config.protocol {
        Protocol::V2 { password } => {
            let kind = if password.is_some() { SIMPLE_PASSWORD } else { 0 };
            out.extend([kind, config.interval.as_seconds()]);
            Some(password.as_ref().map_or([0; PASSWORD_LENGTH], |password| password.octets()))
        }
        Protocol::V3 { .. } => {
            out.extend(config.interval.as_centiseconds().to_be_bytes());
            None
        }
    };
    out.extend([0, 0]);
    for address in config.advertised().take(usize::from(count)) {
        match address {
            IpAddr::V4(address) => out.extend(address.octets()),
            IpAddr::V6(address) => out.extend(address.octets()),
        }
    }
    // v2 always ends in eight octets of Authentication Data, zero without a password (RFC 3768 §5.3.10).
    out.extend(password.iter().flatten());
    let Some(message) = out.get_mut(start..) else { return };
    let checksum = checksum_of(config, message, source, destination);
    if let Some(field) = message.get_mut(6..HEADER_LENGTH) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}

fn checksum_of(config: &InstanceConfig, message: &[u8], source: IpAddr, destination: IpAddr) -> u16 {
    let message_only = match (&config.protocol, config.family) {
        (Protocol::V2 { .. }, _) => true,
        (Protocol::V3 { checksum }, Family::Ipv4) => *checksum == ChecksumForm::MessageOnly,
        // The IPv6 pseudo-header is never left out (RFC 9568 §5.2.8).
        (Protocol::V3 { .. }, Family::Ipv6) => false,
    };
    let sum = Sum::default().add(message);
    if message_only { sum.finish() } else { pseudo_header(sum, source, destination, message.len()).finish() }
}

const fn address_length(family: Family) -> usize {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 16,
    }
}
