//! Listens on TCP, and lets in who proves who it is: a handshake within five seconds, a bounded number of them at a time, and
//! a bounded number of connections for each certificate.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::super::Counters;
use super::{Certificates, Identity};

/// How long a caller may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long a refused caller has to hear why.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long to wait when the system accepts nothing, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait for the server to take them.
const WAITING: usize = 16;

/// Handshakes at a time; more wait in the kernel's queue.
const HANDSHAKES: usize = 16;

/// A connection whose caller is known.
#[derive(Debug)]
pub(crate) struct Secure {
    pub(crate) stream: Box<TlsStream<TcpStream>>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) address: SocketAddr,
    pub(crate) places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// Bound listeners.
#[derive(Debug)]
pub(crate) struct Listeners(Vec<TcpListener>);

/// What the tasks of all listeners share.
struct Door {
    certificates: Arc<Certificates>,
    counters: Arc<Counters>,
    handshakes: Arc<Semaphore>,
    everybody: Arc<Semaphore>,
    each: usize,
    certificates_in: Mutex<HashMap<String, Arc<Semaphore>>>,
    accepted: mpsc::Sender<Secure>,
}

impl Listeners {
    /// Binds all addresses. Must be called within a runtime.
    ///
    /// # Errors
    /// The address that cannot be had, and why.
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Self, (SocketAddr, io::Error)> {
        let bind = |address: &SocketAddr| {
            let listener = std::net::TcpListener::bind(address).map_err(|error| (*address, error))?;
            listener.set_nonblocking(true).map_err(|error| (*address, error))?;
            TcpListener::from_std(listener).map_err(|error| (*address, error))
        };
        addresses.iter().map(bind).collect::<Result<_, _>>().map(Self)
    }

    /// Accepts until `end`; at most `everybody` connections, and `each` for one certificate.
    pub(crate) fn serve(
        self,
        certificates: Arc<Certificates>,
        counters: Arc<Counters>,
        (everybody, each): (usize, usize),
        end: &CancellationToken,
    ) -> mpsc::Receiver<Secure> {
        let (accepted, incoming) = mpsc::channel(WAITING);
        let door = Arc::new(Door {
            certificates,
            counters,
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            everybody: Arc::new(Semaphore::new(everybody)),
            each,
            certificates_in: Mutex::default(),
            accepted,
        });
        for listener in self.0 {
            let (door, end) = (Arc::clone(&door), end.clone());
            tokio::spawn(async move {
                // Cancelled when the agent stops: what waits in the kernel's queue is refused by the closed socket.
                let _ = end.run_until_cancelled(door.accept(listener)).await;
            });
        }
        incoming
    }
}

impl Door {
    async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            let Ok(turn) = Arc::clone(&self.handshakes).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, address)) => {
                    let door = Arc::clone(&self);
                    tokio::spawn(async move {
                        door.let_in(stream, address).await;
                        drop(turn);
                    });
                }
                Err(error) => {
                    warn!(%error, "cannot accept a connection to the control plane");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn let_in(&self, stream: TcpStream, address: SocketAddr) {
        let Some(place) = self.place(&self.everybody, address) else { return };
        // Answers are small and awaited; a socket that refuses this is only slower.
        let _ = stream.set_nodelay(true);
        let Ok(Some(stream)) = timeout(HANDSHAKE, self.handshake(stream, address)).await else { return };
        let identity = stream.get_ref().1.peer_certificates().and_then(|chain| Identity::of(chain.first()?));
        let Some(identity) = identity else {
            debug!(%address, "connection refused: its certificate has no usable common name");
            return;
        };
        let own = self.places_of(&identity.name);
        let Some(own) = self.place(&own, address) else { return };
        let places = (place, own);
        let secure = Secure { stream: Box::new(stream), identity: Arc::new(identity), address, places };
        // Closed when the server has ended.
        let _ = self.accepted.send(secure).await;
    }

    async fn handshake(&self, stream: TcpStream, address: SocketAddr) -> Option<TlsStream<TcpStream>> {
        let acceptor = TlsAcceptor::from(self.certificates.config());
        match acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Some(stream),
            Err((error, mut refused)) => {
                self.counters.handshakes_failed.fetch_add(1, Ordering::Relaxed);
                debug!(%address, %error, "TLS handshake failed");
                // Closed with unread octets, the connection would be reset before the alert that says why arrives.
                let mut nowhere = tokio::io::sink();
                let _ = timeout(FAREWELL, tokio::io::copy(&mut refused, &mut nowhere)).await;
                None
            }
        }
    }

    fn place(&self, places: &Arc<Semaphore>, address: SocketAddr) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(places).try_acquire_owned().ok();
        if place.is_none() {
            self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            debug!(%address, "connection refused: too many");
        }
        place
    }

    fn places_of(&self, name: &str) -> Arc<Semaphore> {
        let mut all = self.certificates_in.lock().unwrap_or_else(PoisonError::into_inner);
        // Who has no connection needs no entry.
        all.retain(|other, places| other == name || places.available_permits() < self.each);
        Arc::clone(all.entry(name.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(self.each))))
    }
}
