//! Listens on TCP, and lets in who proves who it is: a handshake within five seconds, a bounded number of them at a time and from
//! one address, and a bounded number of connections for each certificate. Who has not proved anything takes no place from others.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::super::Counters;
use super::super::shares::Shares;
use super::{Certificates, Identity};
use crate::listening;

/// How long a caller may take to prove who it is.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long a refused caller has to hear why.
const FAREWELL: Duration = Duration::from_millis(500);

/// How long to wait when the system accepts nothing, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that wait for the server to take them.
const WAITING: usize = 16;

/// Handshakes at a time; more wait in the kernel's queue.
const HANDSHAKES: usize = 64;

/// Of them, from one IPv4 address or one /64 of IPv6; more are closed at once.
const HANDSHAKES_OF_ONE: usize = 16;

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
    origins: Shares<IpAddr>,
    everybody: Arc<Semaphore>,
    holders: Shares<String>,
    accepted: mpsc::Sender<Secure>,
}

impl Listeners {
    /// Binds all addresses. Must be called within a runtime.
    ///
    /// # Errors
    /// The address that cannot be had, and why.
    pub(crate) fn bind(addresses: &[SocketAddr]) -> Result<Self, (SocketAddr, io::Error)> {
        let bind = |address: &SocketAddr| listening::listen(*address).map_err(|error| (*address, error));
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
            origins: Shares::new(HANDSHAKES_OF_ONE),
            everybody: Arc::new(Semaphore::new(everybody)),
            holders: Shares::new(each),
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
                    let Some(share) = self.origins.take(origin(address.ip())) else {
                        self.refuse(address);
                        continue;
                    };
                    let door = Arc::clone(&self);
                    tokio::spawn(async move {
                        door.let_in(stream, address).await;
                        drop((turn, share));
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
        // Answers are small and awaited; a socket that refuses this is only slower.
        let _ = stream.set_nodelay(true);
        let Ok(Some(stream)) = timeout(HANDSHAKE, self.handshake(stream, address)).await else { return };
        let identity = stream.get_ref().1.peer_certificates().and_then(|chain| Identity::of(chain.first()?));
        let Some(identity) = identity else {
            debug!(%address, "connection refused: its certificate has no usable common name");
            return;
        };
        let own = self.holders.take(identity.name.clone());
        let place = Arc::clone(&self.everybody).try_acquire_owned().ok();
        let Some(places) = place.zip(own) else { return self.refuse(address) };
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

    fn refuse(&self, address: SocketAddr) {
        self.counters.connections_refused.fetch_add(1, Ordering::Relaxed);
        debug!(%address, "connection refused: too many");
    }
}

/// What one machine can choose freely of its addresses counts as one.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_counts_once_whatever_address_of_its_own_it_calls_from() {
        let origin = |text: &str| origin(text.parse().unwrap());
        assert_eq!(origin("2001:db8::1"), origin("2001:db8::ffff:1"));
        assert_ne!(origin("2001:db8::1"), origin("2001:db8:0:1::1"));
        assert_ne!(origin("192.0.2.1"), origin("192.0.2.2"));
        assert_eq!(origin("::ffff:192.0.2.1"), origin("192.0.2.1"));
    }
}
