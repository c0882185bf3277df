//! Sockets and timers under an async runtime's eye.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::socket::VrrpSocket;
use crate::timer::Timer;

/// What keeps one file descriptor from its making to its end: it can be watched safely.
pub trait Watchable: AsRawFd + sealed::Sealed {}

impl Watchable for VrrpSocket {}
impl Watchable for Timer {}
impl Watchable for OwnedFd {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::VrrpSocket {}
    impl Sealed for super::Timer {}
    impl Sealed for std::os::fd::OwnedFd {}
}

/// Lets the current runtime tell when there is something to read.
///
/// # Errors
/// When the runtime's poll instance refuses it.
pub fn watch_readable<T: Watchable>(inner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: all implementors own one descriptor, give out the same one each time, and close it only when dropped.
    let watched = unsafe { AsyncFd::register_with_interest(inner, Interest::READABLE) };
    watched.map_err(io::Error::from)
}
