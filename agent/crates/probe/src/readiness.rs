//! Descriptors in the runtime's epoll set.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Watches whether `descriptor` can be read. To be called within a runtime.
#[allow(
    deprecated,
    reason = "the other constructor is `unsafe` for types that could change their number; an OwnedFd cannot"
)]
pub(crate) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(descriptor, Interest::READABLE)
}
