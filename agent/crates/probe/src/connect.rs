//! TCP connections with few system calls: socket, connect, and connect again, which answers whether it stands. Only when
//! that says "not yet" does the socket go to the runtime's epoll set.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Protocol, SockRef, Socket, Type};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::course::Course;
use crate::errno;
use crate::failure::Failure;
use crate::socket;
use crate::target::Origin;

/// Ports below are never chosen for a connection, so that it cannot meet itself there.
const FIRST_EPHEMERAL: u16 = 1024;

/// A connection that is being made.
#[derive(Debug)]
pub(crate) struct Connecting {
    socket: Socket,
    address: SocketAddr,
}

impl Connecting {
    /// Sends the SYN.
    pub(crate) fn begin(address: SocketAddr, origin: &Origin, course: &mut Course) -> Result<Self, Failure> {
        course.enter("connect");
        course.set_address(address);
        course.note(|| address.to_string());
        let socket = socket::open(address, origin, Type::STREAM, Protocol::TCP)?;
        // RST instead of FIN: what was measured is over, and neither side is to keep a TIME_WAIT.
        socket.set_linger(Some(Duration::ZERO)).map_err(|error| failure(&error, address))?;
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(failure(&error, address)),
            _ => Ok(Self { socket, address }),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the connection stands by now.
    pub(crate) fn is_done(&self) -> Result<bool, Failure> {
        match connect_again(&self.socket, self.address) {
            Ok(()) => refuse_itself(&self.socket, self.address).map(|()| true),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(failure(&error, self.address)),
        }
    }

    /// Waits until the connection stands.
    pub(crate) async fn finish(self) -> Result<TcpStream, Failure> {
        let is_done = self.is_done()?;
        let Self { socket, address } = self;
        let stream = TcpStream::from_std(socket.into()).map_err(|error| failure(&error, address))?;
        if !is_done {
            // Nothing is lost when this is cancelled: the socket closes with the stream.
            let connected =
                stream.async_io(Interest::WRITABLE, || connect_again(&SockRef::from(&stream), address));
            connected.await.map_err(|error| failure(&error, address))?;
            refuse_itself(&SockRef::from(&stream), address)?;
        }
        Ok(stream)
    }
}

/// Asks how a connection is doing: done, not yet (`WouldBlock`) or why not. One system call instead of a poll and a
/// SO_ERROR.
fn connect_again(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EISCONN) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::EALREADY) => Err(ErrorKind::WouldBlock.into()),
        answer => answer,
    }
}

/// A SYN to a port of this node where nothing listens may leave from that very port: TCP then connects the socket with
/// itself (RFC 9293 §3.5, simultaneous open). Nothing listens all the same.
fn refuse_itself(socket: &Socket, address: SocketAddr) -> Result<(), Failure> {
    if address.port() < FIRST_EPHEMERAL {
        return Ok(());
    }
    let own = socket.local_addr().map_err(|error| failure(&error, address))?;
    if own.as_socket() != Some(address) {
        return Ok(());
    }
    Err(failure(&io::Error::from_raw_os_error(libc::ECONNREFUSED), address))
}

fn failure(error: &io::Error, address: SocketAddr) -> Failure {
    errno::failure(error, &format!("connect to {address}"))
}
