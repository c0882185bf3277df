//! Opens sockets that start where an [`Origin`] says.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::{IpBindAddressNoPort, Ipv4RecvErr, Ipv6RecvErr};
use socket2::{Domain, Protocol, Socket, Type};

use crate::attempt::{Outcome, Reason};
use crate::errno;
use crate::failure::Failure;
use crate::target::Origin;

/// A socket towards `address`, not yet connected, that never blocks.
pub(crate) fn open(
    address: SocketAddr,
    origin: &Origin,
    kind: Type,
    protocol: Protocol,
) -> Result<Socket, Failure> {
    let socket = Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))
        .map_err(|error| errno::failure(&error, "open a socket"))?;
    start_from(&socket, origin)?;
    Ok(socket)
}

/// Binds `socket` as `origin` says.
pub(crate) fn start_from(socket: &Socket, origin: &Origin) -> Result<(), Failure> {
    if let Some(mark) = origin.mark {
        let text = format!("mark packets with {mark:#x}");
        socket.set_mark(mark).map_err(|error| errno::failure(&error, &text))?;
    }
    if let Some(device) = &origin.device {
        socket.bind_device(Some(device.as_bytes())).map_err(|error| no_device(&error, device))?;
    }
    if let Some(address) = origin.address {
        bind(socket, address).map_err(|error| errno::failure(&error, &format!("start from {address}")))?;
    }
    Ok(())
}

/// The port is chosen when the target is known, so that one address serves more connections than it has ports.
fn bind(socket: &Socket, address: IpAddr) -> io::Result<()> {
    if socket.r#type()? == Type::STREAM {
        setsockopt(socket, IpBindAddressNoPort, &true)?;
    }
    socket.bind(&SocketAddr::new(address, 0).into())
}

/// A device that is not there is as good as a missing route.
fn no_device(error: &io::Error, device: &str) -> Failure {
    let mut failure = errno::failure(error, &format!("use device {device}"));
    if error.raw_os_error() == Some(libc::ENODEV) {
        failure.outcome = Outcome::Failed(Reason::NoRoute);
    }
    failure
}

/// Makes the kernel tell this socket of every ICMP error, not only of those that it takes for final.
pub(crate) fn tell_errors(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    let told = match address {
        SocketAddr::V4(_) => setsockopt(socket, Ipv4RecvErr, &true),
        SocketAddr::V6(_) => setsockopt(socket, Ipv6RecvErr, &true),
    };
    told.map_err(io::Error::from)
}
