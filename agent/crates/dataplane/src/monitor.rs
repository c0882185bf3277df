//! Netlink notifications about links and addresses, without blocking.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};
use socket2::{SockFilter, SockRef};

use crate::capability::Capability;
use crate::error::Error;
use crate::netlink::decode::{self, Change};
use crate::socket::set_receive_buffer;

/// Room for the notifications of some ten thousand addresses, so that our own batches do not overrun us.
pub(crate) const RECEIVE_BUFFER: usize = 16 << 20;
const DATAGRAM: usize = 32 << 10;

/// A socket that hears of every change of links and addresses in the namespace.
pub(crate) struct Monitor {
    socket: Socket,
    datagram: Box<[u8]>,
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Monitor")
    }
}

impl Monitor {
    /// `buffer` is what may wait, in octets of kernel memory. It does not hear that IPv4 addresses were put or changed by the
    /// socket with port number `silent`.
    pub(crate) fn new(buffer: usize, silent: u32) -> Result<Self, Error> {
        let fail = |source| Error::new("listen to rtnetlink notifications", Capability::NetAdmin, source);
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(fail)?;
        SockRef::from(&socket).attach_filter(&all_but_new_addresses_by(silent)).map_err(fail)?;
        socket.bind(&SocketAddr::new(0, groups.cast_unsigned())).map_err(fail)?;
        socket.set_non_blocking(true).map_err(fail)?;
        set_receive_buffer(&socket, buffer).map_err(fail)?;
        Ok(Self { socket, datagram: vec![0; DATAGRAM].into() })
    }

    /// Where another process could send to.
    #[cfg(test)]
    pub(crate) fn socket_address(&self, address: &mut SocketAddr) {
        self.socket.get_address(address).expect("a bound socket has an address");
    }

    /// Hands on all that waits. True when notifications were lost, so that everything must be read again.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(Change)) -> io::Result<bool> {
        let mut is_overrun = false;
        loop {
            match self.socket.recv_from(&mut &mut self.datagram[..], 0) {
                // Any process may send to a netlink socket; only the kernel has port number 0.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((length, _)) => {
                    let octets = self.datagram.get(..length).unwrap_or_default();
                    decode::messages(octets)
                        .filter_map(|message| decode::change(&message))
                        .for_each(&mut each);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(is_overrun),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => is_overrun = true,
                Err(error) => return Err(error),
            }
        }
    }
}

/// A classic BPF program that passes over RTM_NEWADDR in whose header the port number of its author stands. Each notification
/// is a datagram of its own; loads are in network order, the header is in the machine's.
fn all_but_new_addresses_by(port: u32) -> [SockFilter; 6] {
    const LOAD_HALF: u16 = 0x28;
    const LOAD_WORD: u16 = 0x20;
    const JUMP_UNLESS_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const TYPE: u32 = 4;
    const PORT: u32 = 12;
    [
        SockFilter::new(LOAD_HALF, 0, 0, TYPE),
        SockFilter::new(JUMP_UNLESS_EQUAL, 0, 3, libc::RTM_NEWADDR.to_be().into()),
        SockFilter::new(LOAD_WORD, 0, 0, PORT),
        SockFilter::new(JUMP_UNLESS_EQUAL, 0, 1, port.to_be()),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
