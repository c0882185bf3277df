//! Accepted connections: who is at the other end, how many there may be, and how they end when they must.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use super::Counters;

/// Who is at the other end of a connection, as the kernel says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Peer {
    /// User id.
    pub(crate) user: u32,
    /// Primary group id.
    pub(crate) group: u32,
}

/// Places for everybody, and a few more for user 0, so that the administrator always gets in.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    everybody: Arc<Semaphore>,
    administrator: Arc<Semaphore>,
}

impl Places {
    pub(crate) fn new(everybody: usize, administrator: usize) -> Self {
        Self {
            everybody: Arc::new(Semaphore::new(everybody)),
            administrator: Arc::new(Semaphore::new(administrator)),
        }
    }

    /// A place for this user, free again when dropped.
    pub(crate) fn take(&self, user: u32) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.everybody).try_acquire_owned().ok();
        place.or_else(|| {
            (user == 0).then(|| Arc::clone(&self.administrator).try_acquire_owned().ok()).flatten()
        })
    }
}

/// How long a client may take to begin to speak HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Client preface (RFC 9113 §3.4) and the frame header of its SETTINGS.
const PREFACE_OCTETS: usize = 24 + 9;

/// How long to wait when the system accepts nothing, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    peer: Peer,
    /// Ends the connection whatever its streams do.
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until the client has begun to speak: how much is missing, and by when.
    handshake: Option<(usize, Pin<Box<Sleep>>)>,
    _place: OwnedSemaphorePermit,
}

/// Accepts until it is dropped. What cannot be accepted is closed and counted.
pub(crate) fn accept(
    listener: UnixListener,
    places: Places,
    counters: Arc<Counters>,
    end: CancellationToken,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    futures::stream::unfold(
        (listener, places, counters, end),
        |(listener, places, counters, end)| async move {
            let connection = next(&listener, &places, &counters, &end).await;
            Some((Ok(connection), (listener, places, counters, end)))
        },
    )
}

async fn next(
    listener: &UnixListener,
    places: &Places,
    counters: &Counters,
    end: &CancellationToken,
) -> Connection {
    loop {
        // Cancelled here when the agent stops.
        let accepted = listener.accept().await.and_then(|(stream, _)| Ok((stream.peer_cred()?, stream)));
        let (peer, stream) = match accepted {
            Ok((credentials, stream)) => (Peer { user: credentials.uid(), group: credentials.gid() }, stream),
            Err(error) => {
                warn!(%error, "cannot accept a connection to the control plane");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match places.take(peer.user) {
            Some(place) => return Connection::new(stream, peer, place, end),
            None => {
                counters.connections_refused.fetch_add(1, Ordering::Relaxed);
                debug!(uid = peer.user, "connection refused: too many");
            }
        }
    }
}

impl Connection {
    fn new(stream: UnixStream, peer: Peer, place: OwnedSemaphorePermit, end: &CancellationToken) -> Self {
        let handshake = Some((PREFACE_OCTETS, Box::pin(tokio::time::sleep(HANDSHAKE))));
        Self { stream, peer, ended: Box::pin(end.clone().cancelled_owned()), handshake, _place: place }
    }

    /// Checked on every read and write: a connection whose client reads nothing only tries to write.
    fn check_ended(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.ended.as_mut().poll(cx).is_ready() {
            Err(io::ErrorKind::ConnectionAborted.into())
        } else {
            Ok(())
        }
    }

    fn heard(&mut self, octets: usize) {
        if let Some((missing, _)) = &mut self.handshake {
            *missing = missing.saturating_sub(octets);
            if *missing == 0 {
                self.handshake = None;
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_ended(cx)?;
        if let Some((_, deadline)) = &mut self.handshake
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        self.heard(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.check_ended(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_ended(cx)?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, octets)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_ended(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
