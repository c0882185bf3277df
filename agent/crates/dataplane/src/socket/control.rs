//! Control messages of sendmsg(2) and recvmsg(2), written and read as octets: a header {length, level, type} and data, each
//! padded to the size of a pointer.

use std::net::{Ipv4Addr, Ipv6Addr};

const HEADER: usize = size_of::<libc::cmsghdr>();
/// Room for the two messages of an advert.
const OUTGOING: usize = 64;

/// Where a packet leaves from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Control {
    octets: [u8; OUTGOING],
    length: usize,
}

impl Control {
    /// No control messages.
    pub(super) const NONE: Self = Self { octets: [0; OUTGOING], length: 0 };

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets[..self.length]
    }

    fn push(&mut self, level: libc::c_int, kind: libc::c_int, data: &[u8]) {
        let room = &mut self.octets[self.length..];
        let length = HEADER + data.len();
        room[..size_of::<usize>()].copy_from_slice(&length.to_ne_bytes());
        room[HEADER - 8..HEADER - 4].copy_from_slice(&level.to_ne_bytes());
        room[HEADER - 4..HEADER].copy_from_slice(&kind.to_ne_bytes());
        room[HEADER..length].copy_from_slice(data);
        self.length += padded(length);
    }
}

/// Source address, link and TTL of an IPv4 packet.
pub(super) fn outgoing_v4(ifindex: u32, source: Ipv4Addr, ttl: u8) -> Control {
    let mut control = Control::NONE;
    // struct in_pktinfo { int ifindex; in_addr spec_dst; in_addr addr; }
    let mut info = [0; 12];
    info[..4].copy_from_slice(&ifindex.to_ne_bytes());
    info[4..8].copy_from_slice(&source.octets());
    control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
    control.push(libc::IPPROTO_IP, libc::IP_TTL, &i32::from(ttl).to_ne_bytes());
    control
}

/// Source address, link and hop limit of an IPv6 packet.
pub(super) fn outgoing_v6(ifindex: u32, source: Ipv6Addr, hop_limit: u8) -> Control {
    let mut control = Control::NONE;
    // struct in6_pktinfo { in6_addr addr; int ifindex; }
    let mut info = [0; 20];
    info[..16].copy_from_slice(&source.octets());
    info[16..].copy_from_slice(&ifindex.to_ne_bytes());
    control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
    control.push(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, &i32::from(hop_limit).to_ne_bytes());
    control
}

/// What the kernel said about a received packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Arrival {
    pub(super) ifindex: Option<u32>,
    /// IPv6 only: IPv4 has it in its header.
    pub(super) destination: Option<Ipv6Addr>,
    /// IPv6 only: IPv4 has it in its header.
    pub(super) hop_limit: Option<u8>,
    /// Packets that the socket had no room for, since it was opened.
    pub(super) overflow: Option<u32>,
}

/// Reads what recvmsg(2) left in the control buffer.
pub(super) fn arrival(mut octets: &[u8]) -> Arrival {
    let mut arrival = Arrival::default();
    while let Some((length, level, kind)) = header(octets) {
        let Some(data) = octets.get(HEADER..length) else { break };
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => arrival.ifindex = word(data, 0),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                arrival.destination = data.first_chunk::<16>().map(|address| Ipv6Addr::from(*address));
                arrival.ifindex = word(data, 16);
            }
            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                arrival.hop_limit = word(data, 0).and_then(|limit| u8::try_from(limit).ok());
            }
            (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => arrival.overflow = word(data, 0),
            _ => {}
        }
        octets = octets.get(padded(length)..).unwrap_or_default();
    }
    arrival
}

fn header(octets: &[u8]) -> Option<(usize, libc::c_int, libc::c_int)> {
    let length = usize::from_ne_bytes(*octets.first_chunk()?);
    let level = i32::from_ne_bytes(*octets.get(HEADER - 8..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*octets.get(HEADER - 4..)?.first_chunk()?);
    (length >= HEADER).then_some((length, level, kind))
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().map(|octets| u32::from_ne_bytes(*octets))
}

const fn padded(length: usize) -> usize {
    length.next_multiple_of(size_of::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let source = "fe80::1".parse().unwrap();
        let control = outgoing_v6(7, source, 255);
        let expected =
            Arrival { ifindex: Some(7), destination: Some(source), hop_limit: Some(255), overflow: None };
        assert_eq!(arrival(control.octets()), expected);
        assert_eq!(control.octets().len() % size_of::<usize>(), 0);
        assert_eq!(arrival(outgoing_v4(9, Ipv4Addr::LOCALHOST, 3).octets()).ifindex, Some(9));
    }

    #[test]
    fn cut_or_nonsensical_control_octets_are_survived() {
        let control = outgoing_v6(7, Ipv6Addr::LOCALHOST, 255);
        for length in 0..control.octets().len() {
            let _ = arrival(&control.octets()[..length]);
        }
        assert_eq!(arrival(&[0; 64]), Arrival::default());
        assert_eq!(arrival(&[0xff; 64]), Arrival::default());
    }
}
