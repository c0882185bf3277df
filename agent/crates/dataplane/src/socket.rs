//! Sockets for adverts: one per link and family, never blocking, made for `AsyncFd`. They carry octets; what these mean is
//! the engine's.

mod control;
mod frame;
mod option;

mod receive;
mod send;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use ha_engine::Family;
use socket2::{Domain, Protocol, Socket, Type};

pub(crate) use self::frame::{ETHERTYPE_IPV6, checksum, ethernet, group_mac_v6, ipv6_header, packet_socket};
pub use self::frame::{FrameSocket, Unframeable};
pub(crate) use self::option::set_receive_buffer;
pub use self::receive::{ReceiveCounters, Received};
pub use self::send::{SendFailure, SendReport};

use self::option::set;
use self::receive::Incoming;
pub(crate) use self::send::{Name, Outgoing};
use crate::capability::Capability;
use crate::error::Error;

/// The IP protocol number of VRRP.
pub(crate) const VRRP: u8 = 112;
/// Where multicast adverts go (RFC 9568 §5.1.1.2).
pub(crate) const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where multicast adverts go (RFC 9568 §5.1.2.2).
pub(crate) const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// Internetwork control, DSCP CS6.
pub(crate) const TRAFFIC_CLASS: u8 = 0xc0;
/// TC_PRIO_INTERNETCONTROL is 7 and needs CAP_NET_ADMIN; 6 is what everyone may set.
const QUEUE_PRIORITY: u32 = 6;
const RECEIVE_BUFFER: usize = 1 << 20;

/// A raw socket for IP protocol 112 on one link and one family. Receives what is sent to the VRRP group or to an address of
/// ours on that link, and nothing else. The membership lives as long as the link: open a new socket when the link's index
/// changed.
#[derive(Debug)]
pub struct VrrpSocket {
    socket: Socket,
    family: Family,
    ifindex: u32,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl VrrpSocket {
    /// Opens the socket and joins 224.0.0.18 or ff02::12. `interface` only names the link in errors, `ifindex` decides.
    ///
    /// # Errors
    /// [`Error::Permission`] without CAP_NET_RAW; [`Error::Refused`] with the step that failed, ENODEV when the link has gone.
    pub fn open(interface: &str, ifindex: u32, family: Family) -> Result<Self, Error> {
        let fail = |step: &str, source| {
            Error::new(format!("{step} on {interface} (index {ifindex})"), Capability::NetRaw, source)
        };
        let domain = match family {
            Family::Ipv4 => Domain::IPV4,
            Family::Ipv6 => Domain::IPV6,
        };
        let socket =
            Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(Protocol::from(i32::from(VRRP))))
                .map_err(|source| fail("open a raw socket for VRRP", source))?;
        bind_to_link(&socket, ifindex).map_err(|source| fail("bind a socket", source))?;
        set_common(&socket).map_err(|source| fail("set up a socket", source))?;
        match family {
            Family::Ipv4 => set_up_v4(&socket, ifindex),
            Family::Ipv6 => set_up_v6(&socket, ifindex),
        }
        .map_err(|source| fail("join the VRRP group", source))?;
        Ok(Self {
            socket,
            family,
            ifindex,
            incoming: Incoming::new(family, ifindex),
            outgoing: Outgoing::default(),
        })
    }

    /// Takes up to 64 waiting packets and hands each on that is for our link. Returns how many were taken; 64 means that more
    /// may wait. Allocates nothing.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits; ENETDOWN once when the link went down, and then goes on.
    pub fn recv_batch(&mut self, each: impl FnMut(Received<'_>)) -> io::Result<usize> {
        self.incoming.receive(self.socket.as_fd(), each)
    }

    /// What was received but not handed on.
    pub fn receive_counters(&self) -> ReceiveCounters {
        self.incoming.counters()
    }

    /// Puts an advert in line for [`Self::flush`]. Keeps its buffers, so that in the long run nothing is allocated. An advert
    /// whose addresses are not of the socket's family fails in the flush with EAFNOSUPPORT.
    pub fn queue(&mut self, source: IpAddr, destination: IpAddr, ttl: u8, octets: &[u8]) {
        match (self.family, source, destination) {
            (Family::Ipv4, IpAddr::V4(source), IpAddr::V4(destination)) => {
                let control = control::outgoing_v4(self.ifindex, source, ttl);
                self.outgoing.push(Name::v4(destination), control, &[octets]);
            }
            (Family::Ipv6, IpAddr::V6(source), IpAddr::V6(destination)) => {
                let control = control::outgoing_v6(self.ifindex, source, ttl);
                self.outgoing.push(Name::v6(destination, self.ifindex), control, &[octets]);
            }
            _ => self.outgoing.push_impossible(),
        }
    }

    /// Sends all that was queued. One that fails does not hold up the others.
    pub fn flush(&mut self) -> SendReport<'_> {
        self.outgoing.flush(self.socket.as_fd())
    }

    /// The link's index at the time of opening.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// The socket's family.
    pub fn family(&self) -> Family {
        self.family
    }
}

impl AsFd for VrrpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for VrrpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

/// By index rather than by name, so that a rename in between cannot put us on another link.
fn bind_to_link(socket: &Socket, ifindex: u32) -> io::Result<()> {
    let no_such_link = || io::Error::from_raw_os_error(libc::ENODEV);
    // The kernel would bind to an index that no link has; nix gives an empty name for one.
    if !nix::net::if_::if_indextoname(ifindex).is_ok_and(|name| !name.is_empty()) {
        return Err(no_such_link());
    }
    let index = libc::c_int::try_from(ifindex).map_err(|_| no_such_link())?;
    set(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, index)
}

fn set_common(socket: &Socket) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_PRIORITY, QUEUE_PRIORITY)?;
    set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1_i32)?;
    // Without CAP_NET_ADMIN the size is capped by net.core.rmem_max.
    option::set_receive_buffer(socket, RECEIVE_BUFFER)
}

fn set_up_v4(socket: &Socket, ifindex: u32) -> io::Result<()> {
    set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1_i32)?;
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0_i32)?;
    set(socket, libc::IPPROTO_IP, libc::IP_TOS, i32::from(TRAFFIC_CLASS))?;
    socket.set_ttl_v4(255)?;
    socket.set_multicast_ttl_v4(255)?;
    socket.set_multicast_loop_v4(false)?;
    let link = socket2::InterfaceIndexOrAddress::Index(ifindex);
    set(socket, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, option::multicast_interface(ifindex))?;
    socket.join_multicast_v4_n(&GROUP_V4, &link)
}

fn set_up_v6(socket: &Socket, ifindex: u32) -> io::Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1_i32)?;
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1_i32)?;
    set(socket, libc::IPPROTO_IPV6, option::IPV6_MULTICAST_ALL, 0_i32)?;
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, i32::from(TRAFFIC_CLASS))?;
    socket.set_unicast_hops_v6(255)?;
    socket.set_multicast_hops_v6(255)?;
    socket.set_multicast_loop_v6(false)?;
    socket.set_multicast_if_v6(ifindex)?;
    socket.join_multicast_v6(&GROUP_V6, ifindex)
}
