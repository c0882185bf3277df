//! Accepted connections: who is at the other end, how many there may be, and how they end when they must.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use super::Counters;
use super::shares::Shares;
use super::tls::{Identity, Secure};
use super::tokens::fingerprint;

/// Who is at the other end of a connection: as the kernel says, or a certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Peer {
    /// A process on this machine.
    Unix {
        /// User id.
        user: u32,
        /// Primary group id.
        group: u32,
    },
    /// Over TLS.
    Certificate {
        /// Whose certificate it is.
        identity: Arc<Identity>,
        /// Where it calls from.
        address: SocketAddr,
    },
}

/// A caller for bookkeeping: whose changes, watches and answers these are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum User {
    /// A user id.
    Unix(u32),
    /// A fingerprint of a certificate's name.
    Certificate(u64),
}

impl User {
    /// The administrator, for whom places are kept.
    pub(crate) const ROOT: Self = Self::Unix(0);
}

impl Peer {
    pub(crate) fn user(&self) -> User {
        match self {
            Self::Unix { user, .. } => User::Unix(*user),
            Self::Certificate { identity, .. } => User::Certificate(fingerprint(&identity.name)),
        }
    }

    /// "uid=0(unix)" or "alice(certificate)".
    pub(crate) fn principal(&self) -> String {
        match self {
            Self::Unix { user, .. } => format!("uid={user}(unix)"),
            Self::Certificate { identity, .. } => format!("{}(certificate)", identity.name),
        }
    }

    /// Whether it is an agent: by its certificate, or by the user that runs agents on this machine.
    pub(crate) fn is_a_node(&self) -> bool {
        match self {
            Self::Unix { user, .. } => *user == 0 || *user == nix::unistd::geteuid().as_raw(),
            Self::Certificate { identity, .. } => identity.node.is_some(),
        }
    }

    /// Where it calls from; empty on a unix socket.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Unix { .. } => String::new(),
            Self::Certificate { address, .. } => address.ip().to_string(),
        }
    }
}

/// Places for everybody, of which no user but 0 may have more than half, and a few more for user 0, so that the administrator
/// always gets in.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    everybody: Arc<Semaphore>,
    halves: Arc<Shares<User>>,
    administrator: Arc<Semaphore>,
}

/// A place or several, free again when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _place: OwnedSemaphorePermit,
    _share: Option<OwnedSemaphorePermit>,
}

impl Places {
    pub(crate) fn new(everybody: usize, administrator: usize) -> Self {
        Self {
            everybody: Arc::new(Semaphore::new(everybody)),
            halves: Arc::new(Shares::new(everybody.div_ceil(2))),
            administrator: Arc::new(Semaphore::new(administrator)),
        }
    }

    /// A place for this user.
    pub(crate) fn take(&self, user: User) -> Option<Place> {
        self.take_many(user, 1)
    }

    /// So many places at once, or none.
    pub(crate) fn take_many(&self, user: User, count: u32) -> Option<Place> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_many_owned(count).ok();
        let everybody = || take(&self.everybody);
        if user == User::ROOT {
            let place = everybody().or_else(|| take(&self.administrator));
            return place.map(|place| Place { _place: place, _share: None });
        }
        let share = self.halves.take_many(user, count)?;
        everybody().map(|place| Place { _place: place, _share: Some(share) })
    }
}

/// How long a client may take to begin to speak HTTP/2.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long a client may take to close a connection that has ended here.
const LINGER: Duration = Duration::from_millis(250);

/// Client preface (RFC 9113 §3.4) and the frame header of its SETTINGS.
const PREFACE_OCTETS: usize = 24 + 9;

/// How long to wait when the system accepts nothing, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    peer: Peer,
    /// Ends the connection whatever its streams do.
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until the client has begun to speak: how much is missing, and by when.
    handshake: Option<(usize, Pin<Box<Sleep>>)>,
    /// When it is closed whether or not the client has closed it; from our own end on.
    lingers: Option<Pin<Box<Sleep>>>,
    _places: Held,
}

/// What a connection holds as long as it lasts.
#[derive(Debug)]
enum Held {
    Unix { _place: Place },
    Secure { _places: (OwnedSemaphorePermit, OwnedSemaphorePermit) },
}

/// What octets travel over.
#[derive(Debug)]
enum Stream {
    Unix(UnixStream),
    Secure(Box<TlsStream<TcpStream>>),
}

/// Connections as they come in.
pub(crate) trait Incoming: futures::Stream<Item = io::Result<Connection>> + Send {}

impl<T: futures::Stream<Item = io::Result<Connection>> + Send> Incoming for T {}

/// Accepts until it is dropped. What cannot be accepted is closed and counted.
pub(crate) fn accept(
    listener: UnixListener,
    places: Places,
    counters: Arc<Counters>,
    end: CancellationToken,
) -> impl Incoming {
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
            Ok((credentials, stream)) => {
                (Peer::Unix { user: credentials.uid(), group: credentials.gid() }, stream)
            }
            Err(error) => {
                warn!(%error, "cannot accept a connection to the control plane");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match places.take(peer.user()) {
            Some(place) => {
                return Connection::new(Stream::Unix(stream), peer, Held::Unix { _place: place }, end);
            }
            None => {
                counters.connections_refused.fetch_add(1, Ordering::Relaxed);
                debug!(caller = peer.principal(), "connection refused: too many");
            }
        }
    }
}

impl Connection {
    fn new(stream: Stream, peer: Peer, places: Held, end: &CancellationToken) -> Self {
        let handshake = Some((PREFACE_OCTETS, Box::pin(tokio::time::sleep(HANDSHAKE))));
        let ended = Box::pin(end.clone().cancelled_owned());
        Self { stream, peer, ended, handshake, lingers: None, _places: places }
    }

    /// A connection over TLS.
    pub(crate) fn secure(secure: Secure, end: &CancellationToken) -> Self {
        let Secure { stream, identity, address, places } = secure;
        let peer = Peer::Certificate { identity, address };
        Self::new(Stream::Secure(stream), peer, Held::Secure { _places: places }, end)
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

/// Octets both ways, whatever they travel over.
trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

impl Stream {
    fn inner(&mut self) -> Pin<&mut dyn Octets> {
        let octets: &mut dyn Octets = match self {
            Self::Unix(stream) => stream,
            Self::Secure(stream) => stream,
        };
        Pin::new(octets)
    }

    /// Reads what comes, until nothing more can.
    fn poll_to_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut unwanted = [0; 4096];
            let mut buffer = ReadBuf::new(&mut unwanted);
            let read = ready!(self.inner().poll_read(cx, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
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
        ready!(self.stream.inner().poll_read(cx, buffer))?;
        self.heard(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.check_ended(cx)?;
        self.stream.inner().poll_write(cx, octets)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_ended(cx)?;
        self.stream.inner().poll_write_vectored(cx, octets)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Unix(stream) => stream.is_write_vectored(),
            Stream::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check_ended(cx)?;
        self.stream.inner().poll_flush(cx)
    }

    /// Waits a moment for the client to close, too: what it still sends to a socket that is gone resets the connection, and
    /// takes the last answers away that it has not read.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingers.is_none() {
            ready!(self.stream.inner().poll_shutdown(cx))?;
            self.lingers = Some(Box::pin(tokio::time::sleep(LINGER)));
        }
        let is_over = self.lingers.as_mut().is_none_or(|until| until.as_mut().poll(cx).is_ready());
        if is_over || self.check_ended(cx).is_err() {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_to_end(cx).map(Ok)
    }
}
