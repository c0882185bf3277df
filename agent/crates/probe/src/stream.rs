//! A stream of octets to a target, with or without TLS. It bounds how much a target can make this node read, and tells the
//! errors of sockets and of TLS in the same words.

use std::fmt;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::attempt::{Outcome, Reason};
use crate::errno;
use crate::failure::Failure;
use crate::tls;

/// A stream that gives only so many octets.
#[derive(Debug)]
pub(crate) struct Bounded {
    inner: TcpStream,
    left: u64,
}

/// The target sent more than one exchange can need.
#[derive(Debug)]
struct TooMuch;

/// A connection to a target.
#[derive(Debug)]
pub(crate) enum Stream {
    Plain(Bounded),
    Tls(Box<TlsStream<Bounded>>),
}

impl Bounded {
    /// `most` is what may be read in all.
    pub(crate) fn new(inner: TcpStream, most: u64) -> Self {
        Self { inner, left: most }
    }

    /// Ends the connection with FIN instead of RST, for peers that were told goodbye.
    pub(crate) fn close_gently(&self) {
        // Best effort: at worst the peer sees RST.
        let _ = socket2::SockRef::from(&self.inner).set_linger(None);
    }
}

impl AsyncRead for Bounded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.left == 0 {
            return Poll::Ready(Err(too_much()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        self.left = self.left.saturating_sub(u64::try_from(read).unwrap_or(u64::MAX));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Bounded {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, octets),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// No socket fails so. Told by kind, because h2 hands an error on without what is inside it.
const TOO_MUCH: ErrorKind = ErrorKind::FileTooLarge;

/// For who has read as much as any answer needs, and there is more.
pub(crate) fn too_much() -> io::Error {
    io::Error::new(TOO_MUCH, TooMuch)
}

/// What an error on a stream says about the target. `action` is what could not be done.
pub(crate) fn failure(error: &io::Error, action: &str) -> Failure {
    if error.kind() == TOO_MUCH {
        return Failure::failed(Reason::TooLarge, format!("cannot {action}: {TooMuch}"));
    }
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls::failure(error, action);
    }
    let mut failure = errno::failure(error, action);
    if error.kind() == ErrorKind::UnexpectedEof {
        failure.outcome = Outcome::Failed(Reason::ClosedByPeer);
        failure.evidence = format!("cannot {action}: the peer closed the connection");
    }
    failure
}

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer sends more than any answer needs")
    }
}

impl std::error::Error for TooMuch {}
