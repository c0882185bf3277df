//! The Internet checksum (RFC 1071) in the forms that VRRP routers use.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::ChecksumForm;
use crate::units::{Family, Version};

/// Next header of VRRP.
const PROTOCOL: u8 = 112;

/// A running one's complement sum of 16-bit words.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum(u32);

impl Sum {
    /// Adds octets; an odd last one counts as if a zero followed.
    pub(super) fn add(self, octets: &[u8]) -> Self {
        let words = octets.chunks(2).map(|pair| match *pair {
            [high, low] => u32::from(u16::from_be_bytes([high, low])),
            [high] => u32::from(high) << 8,
            _ => 0,
        });
        // Each step folds the carry back in, so the sum stays below 17 bits whatever the length.
        Self(words.fold(self.0, |sum, word| fold(sum + word)))
    }

    /// The field's value.
    pub(super) fn finish(self) -> u16 {
        !u16::try_from(fold(fold(self.0))).unwrap_or(u16::MAX)
    }

    /// Whether octets that include their checksum sum up to all ones.
    fn is_valid(self) -> bool {
        self.finish() == 0
    }
}

const fn fold(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}

/// Adds the pseudo-header: RFC 793 for IPv4, RFC 8200 §8.1 for IPv6.
pub(super) fn pseudo_header(sum: Sum, source: IpAddr, destination: IpAddr, length: usize) -> Sum {
    let length = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    address(address(sum, source), destination).add(&[0, PROTOCOL]).add(&length)
}

fn address(sum: Sum, address: IpAddr) -> Sum {
    match address {
        IpAddr::V4(address) => sum.add(&address.octets()),
        IpAddr::V6(address) => sum.add(&address.octets()),
    }
}

/// Where multicast adverts go: 224.0.0.18 or ff02::12.
pub(crate) const fn multicast_group(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18)),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
    }
}

/// Which form of the checksum a received message carries; `None` = it is wrong. A v2 advert and an IPv6 one have a single form.
pub(crate) fn valid_form(
    version: Version,
    message: &[u8],
    source: IpAddr,
    destination: IpAddr,
) -> Option<ChecksumForm> {
    let sum = Sum::default().add(message);
    let family = Family::of(source);
    let with_pseudo = |destination| pseudo_header(sum, source, destination, message.len()).is_valid();
    if version == Version::V2 {
        return sum.is_valid().then_some(ChecksumForm::MessageOnly);
    }
    if with_pseudo(destination) {
        return Some(ChecksumForm::PseudoHeader);
    }
    if family == Family::Ipv6 {
        return None;
    }
    if sum.is_valid() {
        return Some(ChecksumForm::MessageOnly);
    }
    with_pseudo(multicast_group(family)).then_some(ChecksumForm::MulticastPseudoHeader)
}
