//! TCP connections with few system calls: socket, connect, and connect again, which answers whether it stands. Only when
//! that says "not yet" does the socket go to an epoll set. What is to be said first leaves before it goes there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
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
        Self::open(address, origin, course)?.connect()
    }

    /// Sends the SYN of a connection on which we speak first: what we say carries the handshake's last ACK, which saves
    /// both sides a packet (RFC 9293 §3.8.6.3 lets an ACK wait).
    pub(crate) fn begin_to_speak(
        address: SocketAddr,
        origin: &Origin,
        course: &mut Course,
    ) -> Result<Self, Failure> {
        let this = Self::open(address, origin, course)?;
        this.socket.set_tcp_quickack(false).map_err(|error| failure(&error, address))?;
        this.connect()
    }

    fn open(address: SocketAddr, origin: &Origin, course: &mut Course) -> Result<Self, Failure> {
        course.enter("connect");
        course.set_address(address);
        course.note(|| address.to_string());
        let socket = socket::open(address, origin, Type::STREAM, Protocol::TCP)?;
        // RST instead of FIN: what was measured is over, and neither side is to keep a TIME_WAIT.
        socket.set_linger(Some(Duration::ZERO)).map_err(|error| failure(&error, address))?;
        Ok(Self { socket, address })
    }

    fn connect(self) -> Result<Self, Failure> {
        match self.socket.connect(&self.address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => {
                Err(failure(&error, self.address))
            }
            _ => Ok(self),
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

    /// Says `octets` at once, if the connection stands by now: how many of them went out. Asks nothing before, because the
    /// answer to this tells it all. `None`: it must be waited for.
    ///
    /// Whether it is connected with itself is left to [`Connecting::refuse_itself`].
    pub(crate) fn say(&self, octets: &[u8]) -> Result<Option<usize>, Failure> {
        match (&self.socket).write(octets) {
            Ok(said) => Ok(Some(said)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(failure(&error, self.address)),
        }
    }

    /// Says more on a connection that stands.
    pub(crate) fn write(&self, octets: &[u8]) -> io::Result<usize> {
        (&self.socket).write(octets)
    }

    /// Hears what has come.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.socket).read(buffer)
    }

    /// Nothing listens at the other end if that is this socket itself: what it heard are its own words.
    pub(crate) fn refuse_itself(&self) -> Result<(), Failure> {
        refuse_itself(&self.socket, self.address)
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

impl AsRawFd for Connecting {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Connecting {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use socket2::Domain;
    use tokio::time::Instant;

    use super::*;
    use crate::attempt::{Outcome, Reason};

    #[tokio::test]
    async fn what_is_said_goes_out_only_on_a_connection_that_stands() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let open = listener.local_addr().expect("its address");
        let mut course = Course::new(Instant::now() + Duration::from_secs(1), false);
        let connecting =
            Connecting::begin_to_speak(open, &Origin::default(), &mut course).expect("it connects");
        assert_eq!(connecting.say(b"hello").expect("it says so"), Some(5));
        let mut heard = [0; 5];
        listener.accept().expect("a connection").0.read_exact(&mut heard).expect("its words");
        assert_eq!(&heard, b"hello");
        connecting.refuse_itself().expect("somebody else is there");

        let closed = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let connecting = Connecting::begin_to_speak(closed, &Origin::default(), &mut course);
        let refused =
            connecting.and_then(|connecting| connecting.say(b"hello")).expect_err("nobody is there");
        assert_eq!(refused.outcome, Outcome::Failed(Reason::Refused), "{}", refused.evidence);
    }

    #[tokio::test]
    async fn a_socket_that_met_itself_is_nobody_who_listens() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).expect("a socket");
        socket.set_nonblocking(true).expect("it never blocks");
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port");
        let address = socket.local_addr().expect("its port").as_socket().expect("an IP address");
        let connecting = Connecting { socket, address }.connect().expect("it meets itself");
        assert_eq!(connecting.say(b"hello").expect("it talks to itself"), Some(5));
        let refused = connecting.refuse_itself().expect_err("nobody listens");
        assert_eq!(refused.outcome, Outcome::Failed(Reason::Refused), "{}", refused.evidence);
    }
}
