//! Batched receiving: one system call for up to 64 packets, into buffers that are kept.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use ha_engine::Family;

use super::control::{self, Arrival};

/// Packets per system call.
const BATCH: usize = 64;
/// The largest advert: an IPv6 message of 8 + 255 × 16 octets; an IPv4 one with its longest header is smaller.
const SLOT: usize = 4096;
const CONTROL: usize = 128;

/// A packet as it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received<'a> {
    /// Source of the IP header.
    pub source: IpAddr,
    /// Destination of the IP header.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub ttl: u8,
    /// Where it came in; always the socket's link.
    pub ifindex: u32,
    /// The IP payload, cut to the IP header's length: without the padding of short Ethernet frames.
    pub octets: &'a [u8],
}

/// Packets that were received and not handed on, since the socket was opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiveCounters {
    /// Came in on another link.
    pub foreign_link: u64,
    /// Longer than any advert can be.
    pub too_long: u64,
    /// No IP header, or one that contradicts the packet's length.
    pub malformed: u64,
    /// Never received: the socket's buffer was full.
    pub overflow: u32,
}

/// Buffers for one batch.
#[derive(Debug)]
pub(super) struct Incoming {
    family: Family,
    ifindex: u32,
    octets: Box<[u8]>,
    control: Box<[[u8; CONTROL]]>,
    names: Box<[libc::sockaddr_in6]>,
    counters: ReceiveCounters,
}

impl Incoming {
    pub(super) fn new(family: Family, ifindex: u32) -> Self {
        let no_name = libc::sockaddr_in6 {
            sin6_family: 0,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: [0; 16] },
            sin6_scope_id: 0,
        };
        Self {
            family,
            ifindex,
            octets: vec![0; BATCH * SLOT].into(),
            control: vec![[0; CONTROL]; BATCH].into(),
            names: vec![no_name; BATCH].into(),
            counters: ReceiveCounters::default(),
        }
    }

    pub(super) fn counters(&self) -> ReceiveCounters {
        self.counters
    }

    pub(super) fn receive(
        &mut self,
        fd: BorrowedFd<'_>,
        mut each: impl FnMut(Received<'_>),
    ) -> io::Result<usize> {
        let lengths = self.receive_raw(fd)?;
        let Self { family, ifindex, octets, control, names, counters } = self;
        let slots = octets.chunks_exact(SLOT).zip(control.iter()).zip(names.iter());
        for (((octets, control), name), length) in slots.zip(lengths.iter().take(lengths.taken)) {
            let arrival = control::arrival(control.get(..length.control).unwrap_or_default());
            if let Some(overflow) = arrival.overflow {
                counters.overflow = overflow;
            }
            if arrival.ifindex != Some(*ifindex) {
                counters.foreign_link += 1;
            } else if length.cut {
                counters.too_long += 1;
            } else {
                let octets = octets.get(..length.octets).unwrap_or_default();
                let received = match family {
                    Family::Ipv4 => read_v4(*ifindex, octets),
                    Family::Ipv6 => read_v6(*ifindex, name, arrival, octets),
                };
                match received {
                    Some(received) => each(received),
                    None => counters.malformed += 1,
                }
            }
        }
        Ok(lengths.taken)
    }

    fn receive_raw(&mut self, fd: BorrowedFd<'_>) -> io::Result<Lengths> {
        let octets = self.octets.as_mut_ptr();
        let mut vectors: [libc::iovec; BATCH] = std::array::from_fn(|slot| libc::iovec {
            iov_base: octets.wrapping_add(slot * SLOT).cast(),
            iov_len: SLOT,
        });
        // SAFETY: msghdr is plain data for which all zeros are valid (null pointers, zero lengths).
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        for (slot, message) in messages.iter_mut().enumerate() {
            message.msg_hdr.msg_name = (&raw mut self.names[slot]).cast();
            message.msg_hdr.msg_namelen =
                libc::socklen_t::try_from(size_of::<libc::sockaddr_in6>()).unwrap_or_default();
            message.msg_hdr.msg_iov = &raw mut vectors[slot];
            message.msg_hdr.msg_iovlen = 1;
            message.msg_hdr.msg_control = self.control[slot].as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = CONTROL as _;
        }
        // SAFETY: each message points to a name, a vector and a control buffer of its own and of the stated sizes, all of
        // which live until the call returns; nothing else uses them meanwhile.
        let taken = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as _,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        let taken = usize::try_from(taken).map_err(|_| io::Error::last_os_error())?;
        Ok(Lengths::new(&messages, taken))
    }
}

/// What recvmmsg(2) said about each slot.
struct Lengths {
    taken: usize,
    slots: [Length; BATCH],
}

#[derive(Clone, Copy, Default)]
struct Length {
    octets: usize,
    control: usize,
    cut: bool,
}

impl Lengths {
    fn new(messages: &[libc::mmsghdr; BATCH], taken: usize) -> Self {
        let mut slots = [Length::default(); BATCH];
        for (slot, message) in slots.iter_mut().zip(messages).take(taken) {
            *slot = Length {
                octets: usize::try_from(message.msg_len).unwrap_or_default(),
                control: message.msg_hdr.msg_controllen,
                cut: message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            };
        }
        Self { taken, slots }
    }

    fn iter(&self) -> impl Iterator<Item = &Length> {
        self.slots.iter()
    }
}

/// A raw IPv4 socket hands over the IP header too; it may carry options.
fn read_v4(ifindex: u32, packet: &[u8]) -> Option<Received<'_>> {
    let header = packet.first_chunk::<20>()?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header[0] >> 4 != 4 || header_length < 20 {
        return None;
    }
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    Some(Received {
        source: address(12).into(),
        destination: address(16).into(),
        ttl: header[8],
        ifindex,
        octets: packet.get(header_length..total)?,
    })
}

/// A raw IPv6 socket hands over the payload alone.
fn read_v6<'a>(
    ifindex: u32,
    name: &libc::sockaddr_in6,
    arrival: Arrival,
    octets: &'a [u8],
) -> Option<Received<'a>> {
    Some(Received {
        source: Ipv6Addr::from(name.sin6_addr.s6_addr).into(),
        destination: arrival.destination?.into(),
        ttl: arrival.hop_limit?,
        ifindex,
        octets,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(ihl: u8, total: u16, length: usize) -> Vec<u8> {
        let mut packet = vec![0xee; length];
        packet[0] = 0x40 | ihl;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet[8] = 255;
        packet[12..16].copy_from_slice(&[192, 0, 2, 1]);
        packet[16..20].copy_from_slice(&[224, 0, 0, 18]);
        packet
    }

    #[test]
    fn options_and_padding_are_no_part_of_the_message() {
        // (IHL, total length, octets received) → length of the message
        let table =
            [(5, 32, 32, Some(12)), (5, 32, 46, Some(12)), (7, 40, 46, Some(12)), (15, 60, 60, Some(0))];
        for (ihl, total, length, message) in table {
            let packet = packet(ihl, total, length);
            assert_eq!(read_v4(1, &packet).map(|received| received.octets.len()), message);
        }
    }

    #[test]
    fn a_header_that_contradicts_the_packet_is_refused() {
        for (ihl, total, length) in [(4, 32, 32), (5, 33, 32), (5, 19, 32), (7, 24, 32), (15, 60, 40)] {
            assert_eq!(read_v4(1, &packet(ihl, total, length)), None, "{ihl} {total} {length}");
        }
        assert_eq!(read_v4(1, &[0x45; 19]), None);
        let mut six = packet(5, 32, 32);
        six[0] = 0x65;
        assert_eq!(read_v4(1, &six), None);
    }

    #[test]
    fn addresses_and_ttl_come_from_the_header() {
        let packet = packet(5, 28, 28);
        let received = read_v4(3, &packet).unwrap();
        assert_eq!(received.source, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(received.destination, IpAddr::from([224, 0, 0, 18]));
        assert_eq!((received.ttl, received.ifindex, received.octets), (255, 3, &[0xee; 8][..]));
    }
}
