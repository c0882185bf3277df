//! A connection to a peer: TLS with certificates on both sides, where the peer's must be issued for its name; or a unix socket, where
//! root or our own user must answer.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ha_config::{ClusterPeer, Host, PeerEndpoint};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};

use super::{Quiet, Why};
use crate::api::{Certificates, Identity};

/// A new connection with its handshake may take this long.
const CONNECTING: Duration = Duration::from_secs(2);

/// Octets both ways, whatever they travel over.
trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// A connection over which the peer has proven who it is.
pub(super) async fn dial(
    peer: &ClusterPeer,
    certificates: Option<Arc<Certificates>>,
) -> Result<Channel, Why> {
    let connected = timeout(CONNECTING, open(peer, certificates)).await;
    let stream = connected
        .map_err(|_| Quiet::Unreachable.because(format!("{} did not answer within 2 s", peer.endpoint)))??;
    let mut stream = Some(TokioIo::new(stream));
    // One connection for one channel: a broken one is dialled anew, so that who answers is proven again.
    let connector = tower::service_fn(move |_: Uri| {
        let stream = stream.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { stream.map_err(std::io::Error::from) }
    });
    let channel = Endpoint::from_static("http://peer").connect_with_connector(connector).await;
    channel.map_err(|error| {
        Quiet::Malformed.because(format!("{} does not speak HTTP/2: {error}", peer.endpoint))
    })
}

async fn open(peer: &ClusterPeer, certificates: Option<Arc<Certificates>>) -> Result<Box<dyn Octets>, Why> {
    match &peer.endpoint {
        PeerEndpoint::Unix(path) => open_unix(path).await,
        PeerEndpoint::Tls { host, port } => {
            let lacks = || {
                Quiet::Certificate
                    .because("this node has no certificate yet: restart the agent, [api] has one")
            };
            let certificates = certificates.ok_or_else(lacks)?;
            open_tls(peer, host, *port, &certificates).await
        }
    }
}

async fn open_unix(path: &Path) -> Result<Box<dyn Octets>, Why> {
    let failed = |error| {
        let text = format!("cannot connect to {}: {error}; does its agent run?", path.display());
        Quiet::Unreachable.because(text)
    };
    let stream = UnixStream::connect(path).await.map_err(failed)?;
    let user = stream.peer_cred().map_err(failed)?.uid();
    if user != 0 && user != nix::unistd::geteuid().as_raw() {
        let text = format!("user {user} answers at {}, and neither root nor our own", path.display());
        return Err(Quiet::Certificate.because(text));
    }
    Ok(Box::new(stream))
}

async fn open_tls(
    peer: &ClusterPeer,
    host: &Host,
    port: u16,
    certificates: &Certificates,
) -> Result<Box<dyn Octets>, Why> {
    let endpoint = &peer.endpoint;
    let failed = |error| {
        let text = format!("cannot connect to {endpoint}: {error}; does its agent run, and listen there?");
        Quiet::Unreachable.because(text)
    };
    let connected = match host {
        Host::Address(address) => TcpStream::connect(SocketAddr::new(*address, port)).await,
        Host::Name(name) => TcpStream::connect((name.as_str(), port)).await,
    };
    let stream = connected.map_err(failed)?;
    // What changes is told at once; a socket that refuses this is only slower.
    let _ = stream.set_nodelay(true);
    let name = match host {
        Host::Address(address) => ServerName::from(*address),
        Host::Name(name) => ServerName::try_from(name.clone())
            .map_err(|error| Quiet::Unreachable.because(format!("{name}: {error}")))?,
    };
    let secure = TlsConnector::from(certificates.client()).connect(name, stream).await.map_err(|error| {
        Quiet::Certificate.because(format!(
            "no secure connection to {endpoint}: {error}; its certificate must be of our authority and name this host: \
             hactl pki issue node --address"
        ))
    })?;
    let chain = secure.get_ref().1.peer_certificates();
    let identity = chain.and_then(|chain| Identity::of(chain.first()?));
    match identity.and_then(|identity| identity.node) {
        Some(node) if node == peer.name => Ok(Box::new(secure)),
        Some(node) => Err(Quiet::OtherNode.because(format!(
            "{endpoint} has the certificate of node {}; correct name or endpoint of [[peer]]",
            super::wire::cut(&node)
        ))),
        None => Err(Quiet::Certificate.because(format!(
            "{endpoint} has no node's certificate; issue one: hactl pki issue node {}",
            peer.name
        ))),
    }
}
