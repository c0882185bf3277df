//! Whole Ethernet frames, for adverts that must leave with the virtual router MAC address (RFC 9568 §7.2, §8.2.1).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, SockFilter, Socket, Type};

use super::option::{set, set_send_buffer};
use super::send::{Name, Outgoing, SendReport};
use super::{QUEUE_PRIORITY, TRAFFIC_CLASS, VRRP};
use crate::capability::Capability;
use crate::error::Error;

pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERNET: usize = 14;

/// A packet socket that sends frames on one link and receives nothing.
#[derive(Debug)]
pub struct FrameSocket {
    socket: Socket,
    ifindex: u32,
    outgoing: Outgoing,
}

/// An advert that cannot be put into a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unframeable {
    /// Only groups have a known MAC address; with a virtual MAC unicast is not configured.
    #[error("{0} is no multicast address")]
    Unicast(IpAddr),
    /// Source and destination are of different families.
    #[error("{0} and {1} are of different families")]
    Families(IpAddr, IpAddr),
    /// Longer than an IP packet can be.
    #[error("{0} octets do not fit into an IP packet")]
    TooLong(usize),
}

impl FrameSocket {
    /// Opens the socket for the link with this index; `interface` only names it in errors.
    ///
    /// # Errors
    /// [`Error::Permission`] without CAP_NET_RAW.
    pub fn open(interface: &str, ifindex: u32) -> Result<Self, Error> {
        let socket = packet_socket().map_err(|source| {
            Error::new(format!("open a packet socket for {interface}"), Capability::NetRaw, source)
        })?;
        Ok(Self { socket, ifindex, outgoing: Outgoing::default() })
    }

    /// Puts an advert in line for [`Self::flush`], in a frame from `virtual_mac` to the group's MAC address.
    ///
    /// # Errors
    /// [`Unframeable`]; then nothing is queued.
    pub fn queue(
        &mut self,
        virtual_mac: [u8; 6],
        source: IpAddr,
        destination: IpAddr,
        ttl: u8,
        octets: &[u8],
    ) -> Result<(), Unframeable> {
        if !destination.is_multicast() {
            return Err(Unframeable::Unicast(destination));
        }
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ethernet = ethernet(group_mac_v4(destination), virtual_mac, ETHERTYPE_IPV4);
                let header = ipv4_header(source, destination, ttl, octets.len())?;
                let name = Name::link(self.ifindex, ETHERTYPE_IPV4);
                self.outgoing.push_frame(name, &[&ethernet, &header, octets]);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let ethernet = ethernet(group_mac_v6(destination), virtual_mac, ETHERTYPE_IPV6);
                let header = ipv6_header(source, destination, ttl, VRRP, octets.len())?;
                let name = Name::link(self.ifindex, ETHERTYPE_IPV6);
                self.outgoing.push_frame(name, &[&ethernet, &header, octets]);
            }
            _ => return Err(Unframeable::Families(source, destination)),
        }
        Ok(())
    }

    /// Sends all that was queued. One that fails does not hold up the others.
    pub fn flush(&mut self) -> SendReport<'_> {
        self.outgoing.flush(self.socket.as_fd())
    }
}

impl AsFd for FrameSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for FrameSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// A packet socket that never receives: protocol 0 hooks nothing, and the filter drops what might come in spite of that.
pub(crate) fn packet_socket() -> io::Result<Socket> {
    const BPF_RET: u16 = 0x06;
    const SEND_BUFFER: usize = 4 << 20;
    let socket = Socket::new(Domain::PACKET, Type::RAW.nonblocking().cloexec(), None)?;
    socket.attach_filter(&[SockFilter::new(BPF_RET, 0, 0, 0)])?;
    set(&socket, libc::SOL_SOCKET, libc::SO_PRIORITY, QUEUE_PRIORITY)?;
    set_send_buffer(&socket, SEND_BUFFER)?;
    Ok(socket)
}

/// {destination, source, type}
pub(crate) fn ethernet(destination: [u8; 6], source: [u8; 6], ethertype: u16) -> [u8; ETHERNET] {
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&destination);
    header[6..12].copy_from_slice(&source);
    header[12..].copy_from_slice(&ethertype.to_be_bytes());
    header
}

/// 01:00:5e and the group's low 23 bits (RFC 1112 §6.4).
fn group_mac_v4(group: Ipv4Addr) -> [u8; 6] {
    let [_, b, c, d] = group.octets();
    [0x01, 0x00, 0x5e, b & 0x7f, c, d]
}

/// 33:33 and the group's low 32 bits (RFC 2464 §7).
pub(crate) fn group_mac_v6(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

fn ipv4_header(
    source: Ipv4Addr,
    destination: Ipv4Addr,
    ttl: u8,
    payload: usize,
) -> Result<[u8; 20], Unframeable> {
    let total = u16::try_from(20 + payload).map_err(|_| Unframeable::TooLong(payload))?;
    let mut header = [0; 20];
    header[0] = 0x45;
    header[1] = TRAFFIC_CLASS;
    header[2..4].copy_from_slice(&total.to_be_bytes());
    // Not to be fragmented, so the identification may be 0 (RFC 6864 §4.1).
    header[6] = 0x40;
    header[8] = ttl;
    header[9] = VRRP;
    header[12..16].copy_from_slice(&source.octets());
    header[16..].copy_from_slice(&destination.octets());
    let checksum = checksum(&[&header]);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    Ok(header)
}

/// With traffic class CS6 and no flow label.
pub(crate) fn ipv6_header(
    source: Ipv6Addr,
    destination: Ipv6Addr,
    hop_limit: u8,
    next_header: u8,
    payload: usize,
) -> Result<[u8; 40], Unframeable> {
    let length = u16::try_from(payload).map_err(|_| Unframeable::TooLong(payload))?;
    let mut header = [0; 40];
    header[0] = 0x60 | TRAFFIC_CLASS >> 4;
    header[1] = TRAFFIC_CLASS << 4;
    header[4..6].copy_from_slice(&length.to_be_bytes());
    header[6] = next_header;
    header[7] = hop_limit;
    header[8..24].copy_from_slice(&source.octets());
    header[24..].copy_from_slice(&destination.octets());
    Ok(header)
}

/// The Internet checksum (RFC 1071) of parts that follow each other; each but the last has an even length.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for part in parts {
        for pair in part.chunks(2) {
            sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or_default()]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use etherparse::{NetSlice, SlicedPacket};

    use super::*;

    #[test]
    fn group_addresses_map_as_the_rfcs_say() {
        assert_eq!(group_mac_v4(Ipv4Addr::new(224, 0, 0, 18)), [0x01, 0x00, 0x5e, 0, 0, 18]);
        assert_eq!(group_mac_v4(Ipv4Addr::new(239, 255, 1, 2)), [0x01, 0x00, 0x5e, 0x7f, 1, 2]);
        assert_eq!(group_mac_v6("ff02::12".parse().unwrap()), [0x33, 0x33, 0, 0, 0, 0x12]);
    }

    #[test]
    fn another_implementation_reads_our_ipv4_frame() {
        let mac = [0, 0, 0x5e, 0, 1, 7];
        let (source, group) = (Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(224, 0, 0, 18));
        let mut frame = ethernet(group_mac_v4(group), mac, ETHERTYPE_IPV4).to_vec();
        frame.extend(ipv4_header(source, group, 255, 12).unwrap());
        frame.extend([0xaa; 12]);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("{packet:?}") };
        let header = ip.header();
        assert_eq!(header.header_checksum(), header.to_header().calc_header_checksum());
        assert_eq!((header.source_addr(), header.destination_addr()), (source, group));
        assert_eq!((header.ttl(), header.protocol().0, header.total_len()), (255, 112, 32));
        assert_eq!(ip.payload().payload, [0xaa; 12]);
    }

    #[test]
    fn another_implementation_reads_our_ipv6_frame() {
        let group: Ipv6Addr = "ff02::12".parse().unwrap();
        let mut frame = ethernet(group_mac_v6(group), [0, 0, 0x5e, 0, 2, 7], ETHERTYPE_IPV6).to_vec();
        frame.extend(ipv6_header("fe80::1".parse().unwrap(), group, 255, VRRP, 24).unwrap());
        frame.extend([0xaa; 24]);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
        let header = ip.header();
        assert_eq!((header.hop_limit(), header.next_header().0, header.payload_length()), (255, 112, 24));
        assert_eq!((header.traffic_class(), header.destination_addr()), (TRAFFIC_CLASS, group));
    }

    #[test]
    fn the_checksum_of_rfc_1071_section_3() {
        assert_eq!(checksum(&[&[0x00, 0x01, 0xf2, 0x03], &[0xf4, 0xf5, 0xf6, 0xf7]]), !0xddf2);
        assert_eq!(checksum(&[&[0x01]]), !0x0100);
    }
}
