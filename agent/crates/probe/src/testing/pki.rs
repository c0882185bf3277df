//! Certificates and TLS servers for the tests: a certificate authority that lives as long as the test.

use std::fs;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tcp;
use crate::tls::TlsOptions;

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A file that goes when the test ends.
#[derive(Debug)]
pub(crate) struct TestFile(pub(crate) PathBuf);

impl TestFile {
    pub(crate) fn new(text: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ha-probe-test-{}-{number}", std::process::id()));
        fs::write(&path, text).expect("the temporary folder takes files");
        Self(path)
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // Best effort: it is in the temporary folder.
        let _ = fs::remove_file(&self.0);
    }
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) file: TestFile,
}

/// A certificate and its key.
pub(crate) struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
    pub(crate) certificate_file: TestFile,
    pub(crate) key_file: TestFile,
}

/// When a certificate is valid, from now.
#[derive(Clone, Copy)]
pub(crate) enum Valid {
    For(Duration),
    Until(Duration),
    From(Duration),
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::called("test authority")
    }

    pub(crate) fn called(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("it can be signed");
        let file = TestFile::new(&certificate.pem());
        Self { certificate: certificate.der().clone(), issuer: Issuer::new(params, key), file }
    }

    pub(crate) fn issue(&self, name: &str, valid: Valid) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(name, valid).signed_by(&key, &self.issuer).expect("it can be signed");
        Identity::new(certificate.der().clone(), &certificate.pem(), key)
    }

    /// To trust this authority.
    pub(crate) fn trusted(&self) -> TlsOptions {
        TlsOptions { ca_file: Some(self.file.0.clone()), ..TlsOptions::default() }
    }
}

impl Identity {
    /// As `openssl req -x509` makes it: its own authority.
    pub(crate) fn self_signed(name: &str, valid: Valid) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = params(name, valid);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("it can be signed");
        Self::new(certificate.der().clone(), &certificate.pem(), key)
    }

    fn new(certificate: CertificateDer<'static>, pem: &str, key: KeyPair) -> Self {
        let (certificate_file, key_file) = (TestFile::new(pem), TestFile::new(&key.serialize_pem()));
        Self { chain: vec![certificate], key, certificate_file, key_file }
    }

    pub(crate) fn server(&self, options: Server<'_>) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(options.versions).expect("ring has them");
        let builder = match options.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.clone()).expect("an authority");
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.expect("it has roots"))
            }
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let mut config = builder.with_single_cert(self.chain.clone(), key).expect("they go together");
        config.alpn_protocols =
            options.protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config
    }
}

/// What a TLS server wants.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    pub(crate) protocols: &'a [&'a str],
    pub(crate) clients: Option<&'a Authority>,
}

impl Default for Server<'_> {
    fn default() -> Self {
        Self { versions: rustls::ALL_VERSIONS, protocols: &[], clients: None }
    }
}

/// A TLS server that treats each connection as told once its handshake is done.
pub(crate) async fn tls<F>(
    config: ServerConfig,
    treat: impl Fn(TlsStream<TcpStream>) -> F + Clone + Send + 'static,
) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tcp(move |stream| {
        let (acceptor, treat) = (acceptor.clone(), treat.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                treat(stream).await;
            }
        }
    })
    .await
}

fn params(name: &str, valid: Valid) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let now = SystemTime::now();
    let (from, until) = match valid {
        Valid::For(time) => (now - DAY, now + time),
        Valid::Until(ago) => (now - ago - DAY, now - ago),
        Valid::From(later) => (now + later, now + later + DAY),
    };
    (params.not_before, params.not_after) = (from.into(), until.into());
    params
}
