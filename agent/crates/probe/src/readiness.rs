//! Descriptors in the runtime's epoll set.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::talk::Talk;

/// Watches whether `descriptor` can be read. To be called within a runtime.
#[allow(
    deprecated,
    reason = "the other constructor is `unsafe` for types that could change their number; an OwnedFd cannot"
)]
pub(crate) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}

/// Watches a socket that goes on talking whenever it can be read or written. To be called within a runtime.
#[allow(
    deprecated,
    reason = "the other constructor is `unsafe` for types that could change their number; a talk keeps its socket"
)]
pub(crate) fn talking(talk: Talk) -> io::Result<AsyncFd<Talk>> {
    AsyncFd::with_interest(talk, Interest::READABLE | Interest::WRITABLE)
}
