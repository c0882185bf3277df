//! The kernel's notices about links and routes.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use netlink_sys::{Socket, SocketAddr};
use socket2::SockRef;
use tokio::io::unix::AsyncFd;

use super::{DATAGRAM, DELETE_ROUTE, NETLINK_ROUTE, NEW_ROUTE, messages};
use crate::errno;
use crate::follower::Changes;
use crate::readiness::readable;
use crate::route;

/// What one wants to know of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Topic {
    /// Links come, go, and change.
    Links,
    /// The route to this network changes, or the links and addresses on which it may depend: the kernel does not tell of the
    /// IPv4 routes that go with a link.
    Route(IpAddr, u8),
}

/// What tells of changes.
pub(crate) struct Notices {
    topic: Topic,
    source: Source,
    evidence: String,
}

enum Source {
    /// Not asked yet: that needs a runtime.
    Unopened,
    Kernel {
        socket: Socket,
        ready: AsyncFd<OwnedFd>,
        datagram: Box<[u8]>,
    },
    /// Nobody tells.
    None,
}

/// Room for a thousand routes; what does not fit leads to one look at all.
const RECEIVE_BUFFER: usize = 1 << 20;

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Notices").field(&self.topic).finish()
    }
}

impl Notices {
    pub(crate) fn new(topic: Topic) -> Self {
        Self { topic, source: Source::Unopened, evidence: String::new() }
    }

    fn open(&mut self) {
        match subscribe(self.topic) {
            Ok(source) => self.source = source,
            Err(error) => {
                self.source = Source::None;
                self.evidence = format!("; looked at the interval only: {}", errno::words(&error));
            }
        }
    }
}

impl Changes for Notices {
    async fn next(&mut self) {
        if matches!(self.source, Source::Unopened) {
            self.open();
            return;
        }
        let Source::Kernel { socket, ready, datagram } = &mut self.source else {
            return std::future::pending().await;
        };
        loop {
            match ready.readable().await {
                Ok(mut guard) => guard.clear_ready(),
                // Not before the runtime ends.
                Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
            if drain(socket, datagram, self.topic) {
                return;
            }
        }
    }

    fn evidence(&self) -> &str {
        &self.evidence
    }
}

fn subscribe(topic: Topic) -> io::Result<Source> {
    let groups = match topic {
        Topic::Links => libc::RTMGRP_LINK,
        Topic::Route(IpAddr::V4(_), _) => {
            libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV4_ROUTE
        }
        Topic::Route(IpAddr::V6(_), _) => {
            libc::RTMGRP_LINK | libc::RTMGRP_IPV6_IFADDR | libc::RTMGRP_IPV6_ROUTE
        }
    };
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, groups.cast_unsigned()))?;
    socket.set_non_blocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
    let ready = readable(socket.as_fd().try_clone_to_owned()?)?;
    Ok(Source::Kernel { socket, ready, datagram: vec![0; DATAGRAM].into() })
}

/// Reads all that waits; whether any of it matters.
fn drain(socket: &Socket, datagram: &mut [u8], topic: Topic) -> bool {
    let mut matters = false;
    loop {
        match socket.recv_from(&mut &mut datagram[..], 0) {
            // Any process may send to a netlink socket; only the kernel has port number 0.
            Ok((_, sender)) if sender.port_number() != 0 => {}
            Ok((length, _)) => {
                let octets = datagram.get(..length).unwrap_or_default();
                matters |= messages(octets).any(|message| match (topic, message.kind) {
                    (Topic::Route(address, length), NEW_ROUTE | DELETE_ROUTE) => {
                        route::is_about(message.body, address, length)
                    }
                    _ => true,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return matters,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // ENOBUFS: something was lost. Anything else: looking does no harm.
            Err(_) => return true,
        }
    }
}
