//! Packet sockets: frames in with the kernel's time of arrival, frames out as they are.

use std::{
    io::{self, IoSliceMut},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, SystemTime},
};

use nix::{
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, send,
            setsockopt, socket, sockopt,
        },
        time::{TimeSpec, TimeVal, TimeValLike},
    },
};

use crate::{Namespace, sys};

/// How long a receiving thread waits before it looks whether it should end.
const PATIENCE_MILLIS: i64 = 20;
const LARGEST_FRAME: usize = 16 * 1024;

/// A packet socket on one link of one namespace.
#[derive(Debug)]
pub struct PacketSocket {
    socket: OwnedFd,
}

impl PacketSocket {
    /// Opens it on `link`. It sees all that passes there, both ways.
    #[track_caller]
    pub fn open(space: &Namespace, link: &str) -> Self {
        let opened = space.run(|| Self::open_here(link));
        opened.unwrap_or_else(|error| {
            panic!("cannot open a packet socket on {link} in {}: {error}", space.name())
        })
    }

    fn open_here(link: &str) -> io::Result<Self> {
        let index = if_nametoindex(link)?;
        // Protocol 0 until it is bound: no frame of another link gets in.
        let none: Option<SockProtocol> = None;
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, none)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20))?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(PATIENCE_MILLIS))?;
        sys::bind_packet(socket.as_fd(), index, true)?;
        Ok(Self { socket })
    }

    /// From now on only what begins a TCP connection over IPv4 comes in, once each.
    #[track_caller]
    pub(crate) fn keep_only_connections(&self) {
        sys::keep_only_connections(self.socket.as_fd())
            .unwrap_or_else(|error| panic!("cannot filter a packet socket: {error}"));
    }

    /// The next frame and when the kernel had it; `None` after 20 ms of silence.
    ///
    /// # Errors
    /// What the kernel says, e.g. that the link went down.
    pub fn receive(&self) -> io::Result<Option<(SystemTime, Vec<u8>)>> {
        receive(&self.socket)
    }

    /// Sends a frame as it is, Ethernet header included.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        send(self.socket.as_raw_fd(), frame, MsgFlags::empty())?;
        Ok(())
    }
}

/// Receives one datagram with the kernel's time stamp.
pub(crate) fn receive(socket: &OwnedFd) -> io::Result<Option<(SystemTime, Vec<u8>)>> {
    let mut bytes = vec![0; LARGEST_FRAME];
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()) {
        Ok(message) => message,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(SystemTime::UNIX_EPOCH + Duration::from(time)),
        _ => None,
    });
    let length = message.bytes;
    bytes.truncate(length);
    Ok(Some((stamp.unwrap_or_else(SystemTime::now), bytes)))
}

/// Sends hand-made frames, hostile ones above all.
#[derive(Debug)]
pub struct Injector {
    socket: PacketSocket,
}

impl Injector {
    /// Sends from `link` of a namespace.
    #[track_caller]
    pub fn new(space: &Namespace, link: &str) -> Self {
        Self { socket: PacketSocket::open(space, link) }
    }

    /// Sends a frame once.
    #[track_caller]
    pub fn send(&self, frame: &[u8]) {
        self.socket
            .send(frame)
            .unwrap_or_else(|error| panic!("cannot send a frame of {}: {error}", frame.len()));
    }

    /// Sends `frames` round and round for `time`, as fast as it goes; returns how many went out.
    pub fn flood(&self, frames: &[Vec<u8>], time: Duration) -> u64 {
        let start = std::time::Instant::now();
        let mut sent = 0;
        for frame in frames.iter().cycle() {
            if start.elapsed() >= time {
                break;
            }
            // A full queue refuses some: a flood does not mind.
            sent += u64::from(self.socket.send(frame).is_ok());
        }
        sent
    }
}
