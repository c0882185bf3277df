//! The double behind TLS: it wants a certificate of its authority from everybody.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;

use super::{Agent, World, server};

/// The files that an agent needs.
pub struct Guard {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Guard {
    fn config(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&self.ca).unwrap()).unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
        let chain = vec![CertificateDer::from_pem_file(&self.certificate).unwrap()];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(chain, PrivateKeyDer::from_pem_file(&self.key).unwrap())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}

impl Agent {
    /// Starts an agent that listens on a port of 127.0.0.1 with TLS.
    pub fn start_guarded(directory: &Path, name: &str, guard: &Guard) -> Agent {
        let world = Arc::new(Mutex::new(World::new(name)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (served, config) = (world.clone(), guard.config());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let (accepted, incoming) = mpsc::channel(8);
                tokio::spawn(accept(listener, TlsAcceptor::from(config), accepted));
                let incoming = ReceiverStream::new(incoming);
                tokio::select! {
                    served = server(served).serve_with_incoming(incoming) => served.unwrap(),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        let address = is_ready.recv_timeout(Duration::from_secs(10)).unwrap();
        let path = directory.join(name);
        Agent { path, address: Some(address), world, stop: Some(stop), thread: Some(thread) }
    }
}

/// What comes in secured is handed on bare.
async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<std::io::Result<DuplexStream>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let mut secure = match acceptor.accept(stream).into_fallible().await {
            Ok(secure) => secure,
            Err((_, mut refused)) => {
                // Closed with unread octets, the connection would be reset before the alert arrives.
                let mut nowhere = tokio::io::sink();
                let drained = tokio::io::copy(&mut refused, &mut nowhere);
                let _ = tokio::time::timeout(Duration::from_millis(500), drained).await;
                continue;
            }
        };
        let (inside, mut outside) = tokio::io::duplex(64 << 10);
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut secure, &mut outside).await });
        let _ = accepted.send(Ok(inside)).await;
    }
}
