//! The reading end of a socket.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::Socket;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, ReadBuf};

use crate::readiness::readable;

/// A socket that is only read from here on.
#[derive(Debug)]
pub(crate) struct Reading(AsyncFd<OwnedFd>);

impl Reading {
    /// To be called within a runtime; the socket must not block.
    pub(crate) fn new(socket: Socket) -> io::Result<Self> {
        readable(socket.into()).map(Self)
    }
}

impl AsyncRead for Reading {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let read =
                ready.try_io(|socket| nix::unistd::read(socket.get_ref(), room).map_err(io::Error::from));
            // Otherwise it was not ready after all; look again.
            if let Ok(read) = read {
                buffer.advance(read?);
                return Poll::Ready(Ok(()));
            }
        }
    }
}
