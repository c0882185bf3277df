//! Socket options that no crate offers safely.

use std::io;
use std::os::fd::AsRawFd;

/// include/uapi/linux/in6.h; not in libc for every target.
pub(super) const IPV6_MULTICAST_ALL: libc::c_int = 29;

/// Types that the kernel may read octet by octet.
pub(crate) trait Plain: Copy {}
impl Plain for i32 {}
impl Plain for u32 {}
impl Plain for libc::ip_mreqn {}

/// setsockopt(2).
pub(crate) fn set<T: Plain>(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: T,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).expect("options are small");
    // SAFETY: the kernel reads `length` octets of `value`, which lives and is plain data of exactly that size.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// SO_RCVBUFFORCE when permitted, else SO_RCVBUF, which net.core.rmem_max caps.
pub(crate) fn set_receive_buffer(socket: &impl AsRawFd, octets: usize) -> io::Result<()> {
    set_buffer(socket, octets, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF)
}

/// SO_SNDBUFFORCE when permitted, else SO_SNDBUF, which net.core.wmem_max caps.
pub(crate) fn set_send_buffer(socket: &impl AsRawFd, octets: usize) -> io::Result<()> {
    set_buffer(socket, octets, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)
}

fn set_buffer(socket: &impl AsRawFd, octets: usize, force: libc::c_int, ask: libc::c_int) -> io::Result<()> {
    let octets = i32::try_from(octets).unwrap_or(i32::MAX);
    set(socket, libc::SOL_SOCKET, force, octets).or_else(|_| set(socket, libc::SOL_SOCKET, ask, octets))
}

/// The argument of IP_MULTICAST_IF that names a link by index.
pub(super) fn multicast_interface(ifindex: u32) -> libc::ip_mreqn {
    let any = libc::in_addr { s_addr: 0 };
    let ifindex = libc::c_int::try_from(ifindex).unwrap_or_default();
    libc::ip_mreqn { imr_multiaddr: any, imr_address: any, imr_ifindex: ifindex }
}
