//! Bytes of Ethernet, IP, ARP and neighbour discovery, made and read without the code under test.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// EtherType of IPv4, ARP and IPv6.
pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// The virtual MAC of a VRRP router for IPv4 (RFC 9568 section 7.3).
    pub fn virtual4(vrid: u8) -> Self {
        Self([0, 0, 0x5e, 0, 1, vrid])
    }

    /// The virtual MAC of a VRRP router for IPv6.
    pub fn virtual6(vrid: u8) -> Self {
        Self([0, 0, 0x5e, 0, 2, vrid])
    }

    /// The link-local address that EUI-64 makes of it.
    pub fn link_local(self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0;
        let tail = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
        let mut octets = [0; 16];
        octets[..2].copy_from_slice(&[0xfe, 0x80]);
        octets[8..].copy_from_slice(&tail);
        Ipv6Addr::from(octets)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Result<Vec<u8>, _> = text.split(':').map(|part| u8::from_str_radix(part, 16)).collect();
        let octets = parts.ok().and_then(|parts| parts.try_into().ok());
        octets.map(Self).ok_or_else(|| format!("{text:?} is no MAC"))
    }
}

/// An Ethernet frame.
pub fn ethernet(to: Mac, from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [&to.0[..], &from.0, &kind.to_be_bytes(), payload].concat()
}

/// An IPv4 packet without options, with its header checksum.
pub fn ipv4(from: Ipv4Addr, to: Ipv4Addr, protocol: u8, ttl: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut header = vec![0x45, 0xc0];
    header.extend(length.to_be_bytes());
    header.extend([0, 0, 0, 0, ttl, protocol, 0, 0]);
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&header[..], payload].concat()
}

/// An IPv6 packet without extension headers.
pub fn ipv6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, hop_limit: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend((payload.len() as u16).to_be_bytes());
    packet.extend([protocol, hop_limit]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

/// The Internet checksum (RFC 1071) over parts; each part but the last must have an even length.
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// RFC 8200 section 8.1.
pub(crate) fn pseudo_header6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = [from.octets(), to.octets()].concat();
    header.extend((length as u32).to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}

/// "Who has `target`?", asked of everyone.
pub(crate) fn arp_request(mac: Mac, from: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
    body.extend(mac.0);
    body.extend(from.octets());
    body.extend([0; 6]);
    body.extend(target.octets());
    ethernet(Mac::BROADCAST, mac, ARP, &body)
}

/// An ARP packet that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arp {
    pub(crate) is_reply: bool,
    pub(crate) sender: Mac,
    pub(crate) sender_address: Ipv4Addr,
    pub(crate) target_address: Ipv4Addr,
}

pub(crate) fn read_arp(frame: &[u8]) -> Option<Arp> {
    let body = payload_of(frame, ARP)?;
    let part = |from: usize| -> Option<[u8; 4]> { body.get(from..from + 4)?.try_into().ok() };
    Some(Arp {
        is_reply: body.get(6..8)? == [0, 2],
        sender: Mac(body.get(8..14)?.try_into().ok()?),
        sender_address: part(14)?.into(),
        target_address: part(24)?.into(),
    })
}

/// A neighbour solicitation for `target`, sent to its solicited-node group.
pub(crate) fn neighbour_solicitation(mac: Mac, from: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    let mut body = vec![135, 0, 0, 0, 0, 0, 0, 0];
    body.extend(target.octets());
    body.extend([1, 1]);
    body.extend(mac.0);
    let sum = checksum(&[&pseudo_header6(from, group, ICMPV6, body.len()), &body]);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    ethernet(Mac([0x33, 0x33, 0xff, a, b, c]), mac, IPV6, &ipv6(from, group, ICMPV6, 255, &body))
}

/// A neighbour advertisement that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advertisement {
    pub(crate) is_solicited: bool,
    pub(crate) target: Ipv6Addr,
    pub(crate) mac: Mac,
}

/// Reads a neighbour advertisement; the MAC is that of its option, or of the frame when it has none.
pub(crate) fn read_advertisement(frame: &[u8]) -> Option<Advertisement> {
    let packet = payload_of(frame, IPV6)?;
    let body = packet.get(40..)?;
    if packet[6] != ICMPV6 || *body.first()? != 136 {
        return None;
    }
    let target: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let from_option = body.get(24..32).filter(|option| option[..2] == [2, 1]).map(|option| &option[2..]);
    let mac = from_option.unwrap_or(&frame[6..12]);
    Some(Advertisement {
        is_solicited: body[4] & 0x40 != 0,
        target: target.into(),
        mac: Mac(mac.try_into().ok()?),
    })
}

/// What follows the Ethernet header when the frame is of this kind.
pub(crate) fn payload_of(frame: &[u8], kind: u16) -> Option<&[u8]> {
    (frame.get(12..14)? == kind.to_be_bytes()).then_some(&frame[14..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
    }

    #[test]
    fn a_link_local_address_follows_from_the_mac() {
        let mac: Mac = "02:00:00:00:00:01".parse().unwrap();
        assert_eq!(mac.link_local(), "fe80::ff:fe00:1".parse::<Ipv6Addr>().unwrap());
        assert!("02:00:00:00:00".parse::<Mac>().is_err());
    }

    #[test]
    fn an_arp_request_reads_back() {
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        let arp =
            read_arp(&arp_request(mac, Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(10, 0, 0, 1))).unwrap();
        assert!(!arp.is_reply);
        assert_eq!(arp.sender, mac);
        assert_eq!(arp.target_address, Ipv4Addr::new(10, 0, 0, 1));
    }

    #[test]
    fn short_frames_are_no_frames() {
        let frame = neighbour_solicitation(Mac([2; 6]), Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        for length in 0..frame.len() {
            assert_eq!(read_arp(&frame[..length]), None);
            assert_eq!(read_advertisement(&frame[..length]), None);
        }
    }
}
