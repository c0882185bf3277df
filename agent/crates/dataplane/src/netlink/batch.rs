//! Many requests in one system call, every acknowledgement read, within a time limit. Blocks: only for the dataplane thread
//! and for clean-up without a running agent.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout};
use rtnetlink::packet_core::NetlinkSerializable;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{Socket, SocketAddr};

use super::decode::{self, Change, Message, Rejection};
use super::encode::Request;
use crate::capability::Capability;
use crate::error::Error;
use crate::socket::set_receive_buffer;

/// Requests per system call: their acknowledgements must fit into the receive buffer.
const CHUNK: usize = 256;
const RECEIVE_BUFFER: usize = 4 << 20;
/// The kernel fills dump messages up to 32 KiB.
const DATAGRAM: usize = 64 << 10;
const DUMP_ATTEMPTS: usize = 8;
const ACTION: &str = "ask rtnetlink";

/// Appends nlmsghdr { u32 length; u16 type; u16 flags; u32 sequence; u32 port; } and the message.
pub(crate) fn write(octets: &mut Vec<u8>, request: &Request, sequence: u32) {
    const HEADER: usize = 16;
    let length = HEADER + request.message.buffer_len();
    octets.extend(u32::try_from(length).expect("a request is short").to_ne_bytes());
    octets.extend(request.message.message_type().to_ne_bytes());
    octets.extend(request.flags.to_ne_bytes());
    octets.extend(sequence.to_ne_bytes());
    octets.extend([0; 4]);
    let start = octets.len();
    octets.resize(start + request.message.buffer_len().next_multiple_of(4), 0);
    request.message.serialize(&mut octets[start..start + length - HEADER]);
}

/// A netlink socket of our own for requests.
pub(crate) struct Transactor {
    socket: Socket,
    sequence: u32,
    timeout: Duration,
    datagram: Box<[u8]>,
    octets: Vec<u8>,
}

impl std::fmt::Debug for Transactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transactor({})", self.socket.as_raw_fd())
    }
}

impl Transactor {
    pub(crate) fn new(timeout: Duration) -> Result<Self, Error> {
        let fail = |source| Error::new("open a netlink socket", Capability::NetAdmin, source);
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(fail)?;
        socket.bind_auto().map_err(fail)?;
        socket.set_non_blocking(true).map_err(fail)?;
        socket.set_cap_ack(true).map_err(fail)?;
        socket.set_ext_ack(true).map_err(fail)?;
        set_receive_buffer(&socket, RECEIVE_BUFFER).map_err(fail)?;
        Ok(Self { socket, sequence: 0, timeout, datagram: vec![0; DATAGRAM].into(), octets: Vec::new() })
    }

    /// The port number of its socket, which stands in the notifications of what it changes, but for IPv6.
    ///
    /// # Errors
    /// None that a bound socket gives.
    pub(crate) fn port(&self) -> Result<u32, Error> {
        let mut address = SocketAddr::new(0, 0);
        let fail =
            |source| Error::new("ask for the number of a netlink socket", Capability::NetAdmin, source);
        self.socket.get_address(&mut address).map_err(fail)?;
        Ok(address.port_number())
    }

    /// Carries out requests written before (see [`write()`]) that are not acknowledged, and gives those that the kernel refused.
    /// It has carried out all by the time the sending returns, so that nobody needs to wait.
    ///
    /// # Errors
    /// When the kernel takes none of them, or refusals were lost.
    pub(crate) fn send_written(&mut self, octets: &[u8]) -> Result<Vec<Rejection>, Error> {
        self.send_octets(octets)?;
        let mut rejections = Vec::new();
        while let Some(length) = self.read()? {
            let octets = self.datagram.get(..length).unwrap_or_default();
            let answers = decode::messages(octets);
            let answers = answers.filter(|message| i32::from(message.kind) == libc::NLMSG_ERROR);
            rejections.extend(answers.filter_map(|message| decode::acknowledgement(&message).err()));
        }
        Ok(rejections)
    }

    /// Carries out all requests in order; one that is rejected does not stop those after it. The outcomes are in the same
    /// order. By the time this returns the kernel has done it all: rtnetlink works within the system call.
    ///
    /// # Errors
    /// When the outcome is not known: a time-out, or acknowledgements that were lost.
    pub(crate) fn execute(&mut self, requests: &[Request]) -> Result<Vec<Result<(), Rejection>>, Error> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(CHUNK) {
            self.execute_chunk(chunk, &mut outcomes)?;
        }
        Ok(outcomes)
    }

    fn execute_chunk(
        &mut self,
        requests: &[Request],
        outcomes: &mut Vec<Result<(), Rejection>>,
    ) -> Result<(), Error> {
        let first = self.send(requests)?;
        let base = outcomes.len();
        let unknown = Rejection { errno: libc::EIO, explanation: String::new() };
        outcomes.resize(base + requests.len(), Err(unknown));
        let mut open = requests.len();
        let deadline = Instant::now() + self.timeout;
        while open > 0 {
            self.receive(deadline, |message| {
                let index = usize::try_from(message.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if i32::from(message.kind) == libc::NLMSG_ERROR && index < requests.len() {
                    outcomes[base + index] = decode::acknowledgement(message);
                    open -= 1;
                }
            })?;
        }
        Ok(())
    }

    /// Every link and every address, as the kernel has them at one moment each.
    ///
    /// # Errors
    /// When the kernel refuses, does not answer in time, or changes so fast that no dump is whole.
    pub(crate) fn dump(&mut self) -> Result<Vec<Change>, Error> {
        let mut changes = self.dump_one(&Request::dump_links())?;
        changes.extend(self.dump_one(&Request::dump_addresses())?);
        Ok(changes)
    }

    /// Every IPv6 address.
    ///
    /// # Errors
    /// As [`Self::dump`].
    pub(crate) fn dump_ipv6_addresses(&mut self) -> Result<Vec<Change>, Error> {
        self.dump_one(&Request::dump_ipv6_addresses())
    }

    fn dump_one(&mut self, request: &Request) -> Result<Vec<Change>, Error> {
        const NLM_F_DUMP_INTR: u16 = 0x10;
        for _ in 0..DUMP_ATTEMPTS {
            let sequence = self.send(std::slice::from_ref(request))?;
            let deadline = Instant::now() + self.timeout;
            let (mut changes, mut end, mut is_whole) = (Vec::new(), None, true);
            while end.is_none() {
                self.receive(deadline, |message| {
                    if message.sequence != sequence || end.is_some() {
                        return;
                    }
                    is_whole &= message.flags & NLM_F_DUMP_INTR == 0;
                    match i32::from(message.kind) {
                        libc::NLMSG_DONE | libc::NLMSG_ERROR => end = Some(decode::acknowledgement(message)),
                        _ => changes.extend(decode::change(message)),
                    }
                })?;
            }
            if let Some(Err(rejection)) = end {
                let source = io::Error::from_raw_os_error(rejection.errno);
                return Err(Error::Refused {
                    action: ACTION.into(),
                    source,
                    explanation: rejection.explanation,
                });
            }
            if is_whole {
                return Ok(changes);
            }
        }
        let source = io::Error::from_raw_os_error(libc::EAGAIN);
        Err(Error::Refused {
            action: "read links and addresses in one piece".into(),
            source,
            explanation: String::new(),
        })
    }

    /// Sends all in one datagram; the sequence number of the first.
    fn send(&mut self, requests: &[Request]) -> Result<u32, Error> {
        let first = self.sequence.wrapping_add(1);
        self.octets.clear();
        for request in requests {
            self.sequence = self.sequence.wrapping_add(1);
            write(&mut self.octets, request, self.sequence);
        }
        self.send_octets(&self.octets)?;
        Ok(first)
    }

    fn send_octets(&self, octets: &[u8]) -> Result<(), Error> {
        let sent = self.socket.send_to(octets, &SocketAddr::new(0, 0), 0);
        let sent = sent.map_err(|source| Error::new(ACTION, Capability::NetAdmin, source))?;
        if sent == octets.len() { Ok(()) } else { Err(Error::Internal("netlink cut a request".into())) }
    }

    /// Hands on the messages of one datagram from the kernel.
    fn receive(&mut self, deadline: Instant, mut each: impl FnMut(&Message<'_>)) -> Result<(), Error> {
        loop {
            if let Some(length) = self.read()? {
                let octets = self.datagram.get(..length).unwrap_or_default();
                decode::messages(octets).for_each(|message| each(&message));
                return Ok(());
            }
            self.wait(deadline)?;
        }
    }

    /// Reads one datagram from the kernel, if one waits: its length.
    fn read(&mut self) -> Result<Option<usize>, Error> {
        loop {
            match self.socket.recv_from(&mut &mut self.datagram[..], 0) {
                // Any process may send to a netlink socket; only the kernel has port number 0.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((length, _)) => return Ok(Some(length)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::new(ACTION, Capability::NetAdmin, source)),
            }
        }
    }

    fn wait(&self, deadline: Instant) -> Result<(), Error> {
        let late = || Error::Timeout { action: ACTION.into(), after: self.timeout };
        let rest = deadline.checked_duration_since(Instant::now()).ok_or_else(late)?;
        let milliseconds = u16::try_from(rest.as_millis() + 1).unwrap_or(u16::MAX);
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        match nix::poll::poll(&mut fds, PollTimeout::from(milliseconds)) {
            Ok(0) if Instant::now() >= deadline => Err(late()),
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(errno) => Err(Error::new(ACTION, Capability::NetAdmin, errno.into())),
        }
    }
}
