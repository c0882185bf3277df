//! As much rtnetlink as two checks need: one request, one dump, and notices. Only what is asked for is read of a message, so that
//! a kernel that says more than we know is understood all the same.

mod notices;
mod parse;

use std::io;
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use socket2::SockRef;

pub(crate) use notices::{Notices, Topic};
pub(crate) use parse::{Attributes, Message, attributes, messages, number};

/// linux/rtnetlink.h
pub(crate) const NEW_LINK: u16 = 16;
pub(crate) const GET_LINK: u16 = 18;
pub(crate) const NEW_ROUTE: u16 = 24;
pub(crate) const DELETE_ROUTE: u16 = 25;
pub(crate) const GET_ROUTE: u16 = 26;

/// linux/netlink.h
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
const DUMP_INTERRUPTED: u16 = 0x10;
const NETLINK_ROUTE: isize = 0;

/// The kernel answers at once, unless somebody holds the lock on all links.
const PATIENCE: Duration = Duration::from_secs(2);
const DATAGRAM: usize = 32 << 10;

/// What is asked of the kernel.
pub(crate) struct Request {
    pub(crate) kind: u16,
    pub(crate) is_dump: bool,
    /// The fixed part and the attributes.
    pub(crate) body: Vec<u8>,
}

impl Request {
    fn octets(&self) -> Vec<u8> {
        const HEADER: usize = 16;
        let flags = if self.is_dump { REQUEST | DUMP } else { REQUEST };
        let length = u32::try_from(HEADER + self.body.len()).unwrap_or(u32::MAX);
        let mut octets = Vec::from(length.to_ne_bytes());
        octets.extend(self.kind.to_ne_bytes());
        octets.extend(flags.to_ne_bytes());
        octets.extend([0; 8]);
        octets.extend(&self.body);
        octets
    }
}

/// Appends an attribute.
pub(crate) fn push_attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Asks and hands each message of the answer to `each`. A dump that was interrupted is asked for again.
///
/// # Errors
/// The kernel's.
pub(crate) fn ask(request: &Request, mut each: impl FnMut(&Message<'_>)) -> io::Result<()> {
    const TRIES: usize = 5;
    for _ in 0..TRIES {
        let mut answers: Vec<Vec<u8>> = Vec::new();
        if !collect(request, |datagram| answers.push(datagram.to_vec()))? {
            answers.iter().flat_map(|datagram| messages(datagram)).for_each(|message| each(&message));
            return Ok(());
        }
    }
    Err(io::Error::new(io::ErrorKind::Interrupted, "what was asked for changed all the time"))
}

/// True when the dump was interrupted.
fn collect(request: &Request, mut each: impl FnMut(&[u8])) -> io::Result<bool> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    // Before Linux 4.20 there is no filter in the kernel, and ours is enough.
    let _ = socket.set_netlink_get_strict_chk(true);
    SockRef::from(&socket).set_read_timeout(Some(PATIENCE))?;
    socket.send_to(&request.octets(), &SocketAddr::new(0, 0), 0)?;
    let mut octets = vec![0; DATAGRAM];
    let mut was_interrupted = false;
    loop {
        let (length, sender) = socket.recv_from(&mut &mut octets[..], 0)?;
        if sender.port_number() != 0 {
            continue;
        }
        let datagram = octets.get(..length).unwrap_or_default();
        let mut is_over = !request.is_dump;
        for message in messages(datagram) {
            was_interrupted |= message.flags & DUMP_INTERRUPTED != 0;
            match message.kind {
                ERROR => return refusal(message.body).map_or(Ok(was_interrupted), Err),
                DONE => is_over = true,
                _ => {}
            }
        }
        each(datagram);
        if is_over {
            return Ok(was_interrupted);
        }
    }
}

/// The error that the kernel answers; `None` for an acknowledgement.
fn refusal(body: &[u8]) -> Option<io::Error> {
    let code = number(body, 0).map(u32::cast_signed).unwrap_or_default();
    (code != 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
}
