//! Batched sending: one system call for up to 64 packets, from buffers that are kept.

use std::io;
use std::mem;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::control::Control;

/// Packets per system call.
const BATCH: usize = 64;

/// What became of a flush.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendReport<'a> {
    /// Packets that the kernel took.
    pub sent: usize,
    /// Those that it did not take, in the order in which they were queued.
    pub failures: &'a [SendFailure],
}

/// A packet that the kernel did not take. It is not tried again: the next advert is due soon enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SendFailure {
    /// Its place in the queue, counted from 0 since the previous flush.
    pub index: usize,
    /// Why: EPERM = a firewall's output rule, ENETDOWN or ENODEV = the link, ENOBUFS or EAGAIN = the link's queue is full,
    /// EMSGSIZE = a frame longer than the link's MTU, ENETUNREACH or EINVAL = the source address is gone.
    pub errno: i32,
}

impl SendFailure {
    /// The kernel's reason as an error.
    pub fn error(&self) -> io::Error {
        io::Error::from_raw_os_error(self.errno)
    }
}

/// Where a packet goes.
#[derive(Clone, Copy)]
pub(crate) enum Name {
    V4(libc::sockaddr_in),
    V6(libc::sockaddr_in6),
    Link(libc::sockaddr_ll),
    /// Nowhere: fails without asking the kernel.
    None,
}

impl Name {
    pub(super) fn v4(destination: Ipv4Addr) -> Self {
        Self::V4(libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: 0,
            sin_addr: libc::in_addr { s_addr: u32::from(destination).to_be() },
            sin_zero: [0; 8],
        })
    }

    pub(super) fn v6(destination: Ipv6Addr, ifindex: u32) -> Self {
        let is_on_link = destination.is_multicast() || destination.is_unicast_link_local();
        Self::V6(libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: 0,
            sin6_flowinfo: 0,
            sin6_addr: libc::in6_addr { s6_addr: destination.octets() },
            sin6_scope_id: if is_on_link { ifindex } else { 0 },
        })
    }

    /// A whole frame of `ethertype` on a link.
    pub(crate) fn link(ifindex: u32, ethertype: u16) -> Self {
        Self::Link(libc::sockaddr_ll {
            sll_family: libc::AF_PACKET as libc::c_ushort,
            sll_protocol: ethertype.to_be(),
            sll_ifindex: libc::c_int::try_from(ifindex).unwrap_or_default(),
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        })
    }

    /// Binds a socket to it.
    pub(crate) fn bind(mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        let (name, length) = self.raw();
        let length = libc::socklen_t::try_from(length).unwrap_or_default();
        // SAFETY: `name` points to that many octets of `self`, and the kernel only reads them during the call.
        let done = unsafe { libc::bind(fd.as_raw_fd(), name.cast_const().cast(), length) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Pointer and length for msghdr.
    fn raw(&mut self) -> (*mut libc::c_void, usize) {
        match self {
            Self::V4(name) => ((&raw mut *name).cast(), size_of::<libc::sockaddr_in>()),
            Self::V6(name) => ((&raw mut *name).cast(), size_of::<libc::sockaddr_in6>()),
            Self::Link(name) => ((&raw mut *name).cast(), size_of::<libc::sockaddr_ll>()),
            Self::None => (std::ptr::null_mut(), 0),
        }
    }
}

/// Packets in line. Buffers keep their size between flushes.
#[derive(Default)]
pub(crate) struct Outgoing {
    octets: Vec<u8>,
    packets: Vec<Packet>,
    failures: Vec<SendFailure>,
}

struct Packet {
    name: Name,
    control: Control,
    octets: Range<usize>,
}

impl std::fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Outgoing({} packets, {} octets)", self.packets.len(), self.octets.len())
    }
}

impl Outgoing {
    /// Queues a packet whose octets are the `parts` one after the other.
    pub(super) fn push(&mut self, name: Name, control: Control, parts: &[&[u8]]) {
        let start = self.octets.len();
        for part in parts {
            self.octets.extend_from_slice(part);
        }
        self.packets.push(Packet { name, control, octets: start..self.octets.len() });
    }

    /// Queues a whole frame.
    pub(crate) fn push_frame(&mut self, name: Name, parts: &[&[u8]]) {
        self.push(name, Control::NONE, parts);
    }

    /// Queues a failure, so that indices stay in step.
    pub(super) fn push_impossible(&mut self) {
        self.push(Name::None, Control::NONE, &[]);
    }

    /// Sends all; empties the queue whatever the outcome.
    pub(crate) fn flush(&mut self, fd: BorrowedFd<'_>) -> SendReport<'_> {
        self.failures.clear();
        let mut next = 0;
        while next < self.packets.len() {
            if matches!(self.packets[next].name, Name::None) {
                self.failures.push(SendFailure { index: next, errno: libc::EAFNOSUPPORT });
                next += 1;
                continue;
            }
            match self.send_from(next, fd) {
                Ok(sent) => next += sent,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let errno = error.raw_os_error().unwrap_or(libc::EIO);
                    self.failures.push(SendFailure { index: next, errno });
                    next += 1;
                }
            }
        }
        let sent = self.packets.len() - self.failures.len();
        self.packets.clear();
        self.octets.clear();
        SendReport { sent, failures: &self.failures }
    }

    /// Sends packets from the given one on; the error is that of this one. At least one is sent when there is no error.
    fn send_from(&mut self, first: usize, fd: BorrowedFd<'_>) -> io::Result<usize> {
        // SAFETY: mmsghdr and iovec are plain data for which all zeros are valid (null pointers, zero lengths).
        let (mut messages, mut vectors): ([libc::mmsghdr; BATCH], [libc::iovec; BATCH]) =
            unsafe { mem::zeroed() };
        let mut count = 0;
        let run = self.packets[first..].iter_mut().take_while(|packet| !matches!(packet.name, Name::None));
        for ((packet, message), vector) in run.zip(&mut messages).zip(&mut vectors) {
            let octets = &self.octets[packet.octets.clone()];
            vector.iov_base = octets.as_ptr().cast_mut().cast();
            vector.iov_len = octets.len();
            let (name, length) = packet.name.raw();
            message.msg_hdr.msg_name = name;
            message.msg_hdr.msg_namelen = libc::socklen_t::try_from(length).unwrap_or_default();
            message.msg_hdr.msg_iov = &raw mut *vector;
            message.msg_hdr.msg_iovlen = 1;
            let control = packet.control.octets();
            message.msg_hdr.msg_control = control.as_ptr().cast_mut().cast();
            message.msg_hdr.msg_controllen = control.len() as _;
            count += 1;
        }
        // SAFETY: the first `count` messages point to names, vectors and control octets of the stated sizes, all of which live
        // until the call returns; the kernel only reads them.
        let sent =
            unsafe { libc::sendmmsg(fd.as_raw_fd(), messages.as_mut_ptr(), count, libc::MSG_DONTWAIT as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}
