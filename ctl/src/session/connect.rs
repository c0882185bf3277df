//! The connection itself: a unix socket, or TLS over TCP.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::credentials::handshake;
use crate::endpoint::{Endpoint, Place};
use crate::exit::Exit;
use crate::failure::Failure;

/// What octets travel over.
trait Transport: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Transport for T {}

/// A connection that remembers what broke it: HTTP/2 forgets it when no question was on its way yet.
pub(super) struct Remembering {
    stream: Pin<Box<dyn Transport>>,
    broken: Broken,
}

/// What broke a connection, if anything did.
#[derive(Clone, Debug, Default)]
pub(super) struct Broken(Arc<OnceLock<String>>);

impl Broken {
    /// The error for whoever would use the connection again.
    pub(super) fn error(&self) -> io::Error {
        match self.0.get() {
            Some(text) => io::Error::other(text.clone()),
            None => io::ErrorKind::NotConnected.into(),
        }
    }

    fn remember<T>(&self, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &polled {
            // The first error is the cause of the others.
            let _ = self.0.set(error.to_string());
        }
        polled
    }
}

impl AsyncRead for Remembering {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = self.stream.as_mut().poll_read(context, buffer);
        self.broken.remember(polled)
    }
}

impl AsyncWrite for Remembering {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.stream.as_mut().poll_write(context, octets);
        self.broken.remember(polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = self.stream.as_mut().poll_flush(context);
        self.broken.remember(polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }
}

/// Connects, and with TLS proves who both are.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<(Remembering, Broken), Failure> {
    let broken = Broken::default();
    let stream = Remembering { stream: open(endpoint).await?, broken: broken.clone() };
    Ok((stream, broken))
}

async fn open(endpoint: &Endpoint) -> Result<Pin<Box<dyn Transport>>, Failure> {
    match endpoint.place() {
        Place::Unix(path) => {
            let stream = UnixStream::connect(path).await;
            Ok(Box::pin(stream.map_err(|error| Failure::connecting(path, &error))?))
        }
        Place::Tcp { host, port } => {
            let config = endpoint.tls().ok_or_else(|| no_certificates(endpoint))?;
            let stream = TcpStream::connect((host.as_str(), *port)).await;
            let stream = stream.map_err(|error| unreachable(endpoint, &error))?;
            // Answers are small and awaited.
            stream.set_nodelay(true).map_err(|error| unreachable(endpoint, &error))?;
            let name = ServerName::try_from(host.clone())
                .map_err(|_| Failure::internal(format!("{host} was a host name a moment ago")))?;
            let secure = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
            Ok(Box::pin(secure.map_err(|error| handshake(&endpoint.to_string(), &error))?))
        }
    }
}

/// There is nothing to prove ourselves with.
pub(crate) fn no_certificates(endpoint: &Endpoint) -> Failure {
    Failure::usage(
        format!("{endpoint} wants certificates, and none are given"),
        "give --cacert, --cert and --key, or make a context: hactl context add",
    )
}

fn unreachable(endpoint: &Endpoint, error: &io::Error) -> Failure {
    let (reason, remedy) = match error.kind() {
        io::ErrorKind::ConnectionRefused => (
            "NOTHING_LISTENING",
            "the machine is there, but no agent listens on this port: does it run (systemctl status ha-agent there), and \
             does its configuration have api.listen?",
        ),
        io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ("HOST_UNREACHABLE", "is the node up, and is the network between you and it?")
        }
        _ => ("CONNECT_FAILED", "check the host name and the port"),
    };
    let message = format!("cannot connect to {endpoint}: {error}");
    Failure::local(Exit::Unreachable, "UNAVAILABLE", reason, message, remedy)
}
