//! Attempts that talk over one socket and wait for nothing else: what they are between two steps.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use crate::connect::Connecting;
use crate::failure::{Failure, Success};
use crate::http::Plain;

/// The part of an attempt that needs no waiting.
pub(crate) enum Begun {
    Ended(Result<Success, Failure>),
    /// The rest waits for a socket.
    Talking(Talk),
    /// Its kind does more than talk over one socket, or where to is not known yet.
    Unbegun,
}

/// How far a step came.
pub(crate) enum Progress {
    Ended(Result<Success, Failure>),
    /// The socket will say when to go on.
    Waits,
    /// There is more, and others have their turn before.
    Goes,
}

/// An attempt between two steps.
#[derive(Debug)]
pub(crate) enum Talk {
    Tcp(Connecting),
    Http(Plain),
}

impl Talk {
    /// Whether it only listens from now on: that the socket can be written is no news then.
    pub(crate) fn only_listens(&self) -> bool {
        match self {
            Self::Tcp(_) => false,
            Self::Http(plain) => plain.only_listens(),
        }
    }

    fn connecting(&self) -> &Connecting {
        match self {
            Self::Tcp(connecting) => connecting,
            Self::Http(plain) => plain.connecting(),
        }
    }
}

impl AsRawFd for Talk {
    fn as_raw_fd(&self) -> RawFd {
        self.connecting().as_raw_fd()
    }
}

impl AsFd for Talk {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.connecting().as_fd()
    }
}
