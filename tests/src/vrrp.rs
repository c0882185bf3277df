//! VRRP adverts, made by hand (valid and hostile) and read from captures, without the codec under test.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::frame::{self, Mac, checksum, ethernet, ipv4, ipv6, payload_of, pseudo_header6};

pub(crate) const PROTOCOL: u8 = 112;
const GROUP4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);

/// An advert read from a frame; nothing of it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advert {
    /// The Ethernet sender.
    pub source_mac: Mac,
    /// The IP sender.
    pub source: IpAddr,
    /// The IP destination.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// VRRP version.
    pub version: u8,
    /// VRRP packet type; 1 is an advertisement.
    pub kind: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority; 0 is a release.
    pub priority: u8,
    /// As sent: seconds in version 2, centiseconds in version 3.
    pub interval: u16,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// The VRRP message, as it was on the wire.
    pub message: Vec<u8>,
}

impl Advert {
    /// Reads a frame; `None` when it is no VRRP or too short to be.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let source_mac = Mac(bytes.get(6..12)?.try_into().ok()?);
        let (source, destination, ttl, message) = read4(bytes).or_else(|| read6(bytes))?;
        if message.len() < 8 {
            return None;
        }
        let version = message[0] >> 4;
        let interval = u16::from_be_bytes([message[4], message[5]]);
        let width = if source.is_ipv4() { 4 } else { 16 };
        let listed = message[8..].chunks_exact(width).take(usize::from(message[3]));
        Some(Self {
            source_mac,
            source,
            destination,
            ttl,
            version,
            kind: message[0] & 0xf,
            vrid: message[1],
            priority: message[2],
            interval: if version == 2 { interval & 0xff } else { interval & 0xfff },
            addresses: listed.filter_map(address).collect(),
            message: message.to_vec(),
        })
    }
}

impl fmt::Display for Advert {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, vrid, priority, source, interval, .. } = self;
        write!(out, "v{version} vrid {vrid} prio {priority} interval {interval} from {source}")
    }
}

type Read<'a> = (IpAddr, IpAddr, u8, &'a [u8]);

fn read4(bytes: &[u8]) -> Option<Read<'_>> {
    let packet = payload_of(bytes, frame::IPV4)?;
    let header = usize::from(packet.first()? & 0xf) * 4;
    let total = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
    if *packet.get(9)? != PROTOCOL {
        return None;
    }
    let message = packet.get(header..total)?;
    Some((address(packet.get(12..16)?)?, address(packet.get(16..20)?)?, packet[8], message))
}

fn read6(bytes: &[u8]) -> Option<Read<'_>> {
    let packet = payload_of(bytes, frame::IPV6)?;
    let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
    if *packet.get(6)? != PROTOCOL {
        return None;
    }
    Some((
        address(packet.get(8..24)?)?,
        address(packet.get(24..40)?)?,
        packet[7],
        packet.get(40..40 + length)?,
    ))
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => Some(<[u8; 4]>::try_from(octets).ok()?.into()),
        16 => Some(<[u8; 16]>::try_from(octets).ok()?.into()),
        _ => None,
    }
}

/// What goes into the checksum field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checksum {
    /// Version 2: the message. Version 3: with the pseudo-header.
    Usual,
    /// Version 3 over IPv4 as RFC 9568 says it: the message alone.
    MessageOnly,
    /// Exactly this.
    Value(u16),
}

/// An advert to be sent, every field free to be wrong.
#[derive(Debug, Clone)]
pub struct VrrpFrame {
    /// Ethernet sender; the virtual MAC unless changed.
    pub source_mac: Mac,
    /// IP sender.
    pub source: IpAddr,
    /// IP destination; the group unless changed.
    pub destination: IpAddr,
    /// TTL or hop limit, 255.
    pub ttl: u8,
    /// VRRP version.
    pub version: u8,
    /// VRRP packet type, 1.
    pub kind: u8,
    /// Virtual router.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Number of addresses that the header claims; `None` is the true one.
    pub count: Option<u8>,
    /// Version 2 only: authentication type.
    pub auth_type: u8,
    /// Version 2 only: the eight octets of authentication data.
    pub auth_data: [u8; 8],
    /// Seconds (version 2) or centiseconds (version 3).
    pub interval: u16,
    /// What stands in the checksum.
    pub checksum: Checksum,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// Octets behind the message, inside the IP packet and not in the checksum.
    pub trailer: Vec<u8>,
    /// Keep only so many octets of the VRRP message.
    pub cut: Option<usize>,
}

impl VrrpFrame {
    /// A valid version 3 advert of either family; the interval is in centiseconds.
    pub fn v3(
        source: impl Into<IpAddr>,
        vrid: u8,
        priority: u8,
        interval: u16,
        addresses: &[IpAddr],
    ) -> Self {
        let source = source.into();
        let (source_mac, destination) = match source {
            IpAddr::V4(_) => (Mac::virtual4(vrid), GROUP4.into()),
            IpAddr::V6(_) => (Mac::virtual6(vrid), GROUP6.into()),
        };
        Self {
            source_mac,
            source,
            destination,
            ttl: 255,
            version: 3,
            kind: 1,
            vrid,
            priority,
            count: None,
            auth_type: 0,
            auth_data: [0; 8],
            interval,
            checksum: Checksum::Usual,
            addresses: addresses.to_vec(),
            trailer: Vec::new(),
            cut: None,
        }
    }

    /// A valid version 2 advert; the interval is in seconds.
    pub fn v2(source: Ipv4Addr, vrid: u8, priority: u8, interval: u8, addresses: &[IpAddr]) -> Self {
        Self { version: 2, ..Self::v3(source, vrid, priority, u16::from(interval), addresses) }
    }

    /// The Ethernet frame.
    #[track_caller]
    pub fn bytes(&self) -> Vec<u8> {
        let mut message = self.message();
        message.extend(&self.trailer);
        message.truncate(self.cut.unwrap_or(message.len()));
        match (self.source, self.destination) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let packet = ipv4(from, to, PROTOCOL, self.ttl, &message);
                let [_, b, c, d] = to.octets();
                ethernet(Mac([1, 0, 0x5e, b & 0x7f, c, d]), self.source_mac, frame::IPV4, &packet)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                let packet = ipv6(from, to, PROTOCOL, self.ttl, &message);
                let [.., a, b, c, d] = to.octets();
                ethernet(Mac([0x33, 0x33, a, b, c, d]), self.source_mac, frame::IPV6, &packet)
            }
            (from, to) => panic!("no packet goes from {from} to {to}"),
        }
    }

    /// The VRRP message with its checksum.
    pub fn message(&self) -> Vec<u8> {
        let count = self.count.unwrap_or(self.addresses.len() as u8);
        let mut message = vec![self.version << 4 | self.kind, self.vrid, self.priority, count];
        match self.version {
            2 => message.extend([self.auth_type, self.interval as u8]),
            _ => message.extend(self.interval.to_be_bytes()),
        }
        message.extend([0, 0]);
        for address in &self.addresses {
            match address {
                IpAddr::V4(address) => message.extend(address.octets()),
                IpAddr::V6(address) => message.extend(address.octets()),
            }
        }
        if self.version == 2 {
            message.extend(self.auth_data);
        }
        let sum = self.sum(&message);
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        message
    }

    fn sum(&self, message: &[u8]) -> u16 {
        match (self.checksum, self.source, self.destination) {
            (Checksum::Value(value), ..) => value,
            (_, IpAddr::V6(from), IpAddr::V6(to)) => {
                checksum(&[&pseudo_header6(from, to, PROTOCOL, message.len()), message])
            }
            (Checksum::Usual, IpAddr::V4(from), IpAddr::V4(to)) if self.version == 3 => {
                let length = (message.len() as u16).to_be_bytes();
                checksum(&[&from.octets(), &to.octets(), &[0, PROTOCOL], &length, message])
            }
            _ => checksum(&[message]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn version_3_over_ipv4_has_the_octets_seen_in_the_field_with_both_checksums() {
        let addresses = ["10.4.44.100".parse().unwrap(), "10.4.44.200".parse().unwrap()];
        let mut frame = VrrpFrame::v3(Ipv4Addr::new(10, 0, 0, 91), 44, 191, 1000, &addresses);
        assert_eq!(hex(&frame.message()), "312cbf0203e8b3c60a042c640a042cc8");
        frame.checksum = Checksum::MessageOnly;
        assert_eq!(hex(&frame.message()), "312cbf0203e89eb40a042c640a042cc8");
    }

    #[test]
    fn version_3_over_ipv6_has_the_octets_seen_in_the_field() {
        let addresses = ["fe80::200:5eff:fe00:22d".parse().unwrap(), "2001::abcd:a".parse().unwrap()];
        let source: Ipv6Addr = "fe80::d6ca:6dff:fe66:cf60".parse().unwrap();
        let message = VrrpFrame::v3(source, 45, 191, 1000, &addresses).message();
        assert_eq!(hex(&message[..8]), "312dbf0203e8cfa0");
    }

    #[test]
    fn version_2_with_a_password_has_the_octets_seen_in_the_field() {
        let addresses = [1, 2, 3].map(|last| IpAddr::from([10, 4, 42, last]));
        let mut frame = VrrpFrame::v2(Ipv4Addr::new(10, 0, 0, 91), 42, 191, 10, &addresses);
        frame.auth_type = 1;
        frame.auth_data = *b"abcdefgh";
        assert_eq!(hex(&frame.message()), "212abf03010af11f0a042a010a042a020a042a036162636465666768");
    }

    #[test]
    fn what_is_made_reads_back() {
        let vip: IpAddr = "10.80.1.1".parse().unwrap();
        let made = VrrpFrame::v3(Ipv4Addr::new(10, 80, 0, 1), 7, 200, 100, &[vip]);
        let read = Advert::read(&made.bytes()).unwrap();
        assert_eq!((read.vrid, read.priority, read.interval, read.ttl), (7, 200, 100, 255));
        assert_eq!(read.addresses, [vip]);
        assert_eq!(read.source_mac, Mac::virtual4(7));
        for length in 0..made.bytes().len() {
            let _ = Advert::read(&made.bytes()[..length]);
        }
    }
}
