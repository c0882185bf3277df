//! A certificate authority for tests, and clients with its certificates.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};

use hyper_util::rt::TokioIo;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, RevokedCertParams, SanType, SerialNumber,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use time::{Duration, OffsetDateTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

pub(in crate::api::tests) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its key, PEM.
pub(in crate::api::tests) struct Credentials {
    certificate: String,
    key: String,
}

/// Whom a certificate is for, and when it is valid: from these days from now on, to those.
#[derive(Clone, Debug)]
pub(in crate::api::tests) struct Holder {
    name: String,
    uris: Vec<String>,
    valid: (i64, i64),
}

impl Credentials {
    fn serial(&self) -> SerialNumber {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        SerialNumber::from_slice(certificate.raw_serial())
    }
}

impl Default for Holder {
    fn default() -> Self {
        Self { name: "somebody".to_owned(), uris: Vec::new(), valid: (-1, 1) }
    }
}

impl Holder {
    pub(in crate::api::tests) fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    pub(in crate::api::tests) fn role(mut self, role: &str) -> Self {
        self.uris.push(format!("ha-agent://role/{role}"));
        self
    }

    pub(in crate::api::tests) fn node(mut self, node: &str) -> Self {
        self.uris.push(format!("ha-agent://node/{node}"));
        self
    }

    pub(in crate::api::tests) fn expired(self) -> Self {
        Self { valid: (-2, -1), ..self }
    }

    pub(in crate::api::tests) fn not_yet_valid(self) -> Self {
        Self { valid: (1, 2), ..self }
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
pub(super) fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Authority {
    pub(in crate::api::tests) fn new() -> Self {
        Self::named("tests")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(parameters, key) }
    }

    pub(in crate::api::tests) fn issue(&self, holder: Holder) -> Credentials {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, holder.name);
        let uris = holder.uris.iter().map(|uri| SanType::URI(Ia5String::try_from(uri.as_str()).unwrap()));
        parameters.subject_alt_names = uris.collect();
        parameters.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
        let day = |days| OffsetDateTime::now_utc() + Duration::days(days);
        (parameters.not_before, parameters.not_after) = (day(holder.valid.0), day(holder.valid.1));
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().pem();
        Credentials { certificate, key: key.serialize_pem() }
    }

    /// Writes `revoked.pem`.
    pub(super) fn revoke(&self, folder: &Path, revoked: &[&Credentials]) {
        let now = OffsetDateTime::now_utc();
        let revoke = |credentials: &&Credentials| RevokedCertParams {
            serial_number: credentials.serial(),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: now - Duration::days(2),
            // Past its next update: it counts all the same.
            next_update: now - Duration::days(1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(revoke).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let text = list.signed_by(&self.issuer).unwrap().pem().unwrap();
        std::fs::write(folder.join("revoked.pem"), text).unwrap();
    }

    /// Writes `ca.crt`, `node.crt` and `node.key`.
    pub(super) fn write_node(&self, folder: &Path, holder: Holder) {
        std::fs::write(folder.join("ca.crt"), &self.pem).unwrap();
        self.write_pair(folder, &self.issue(holder));
    }

    pub(in crate::api::tests) fn write_pair(&self, folder: &Path, credentials: &Credentials) {
        let key = folder.join("node.key");
        std::fs::write(folder.join("node.crt"), &credentials.certificate).unwrap();
        std::fs::write(&key, &credentials.key).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    /// Connects as somebody, or as nobody.
    pub(in crate::api::tests) async fn connect(
        &self,
        address: SocketAddr,
        credentials: Option<&Credentials>,
    ) -> Result<Channel, Box<dyn std::error::Error>> {
        let stream = self.dial(address, credentials).await?;
        let once = Arc::new(Mutex::new(Some(TokioIo::new(stream))));
        let connector = tower::service_fn(move |_: Uri| {
            let stream = once.lock().unwrap().take();
            async move { stream.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected)) }
        });
        Ok(Endpoint::from_static("http://agent").connect_with_connector(connector).await?)
    }

    async fn dial(
        &self,
        address: SocketAddr,
        credentials: Option<&Credentials>,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::IpAddress(address.ip().into());
        TlsConnector::from(self.client(credentials)).connect(name, stream).await
    }

    /// The certificate that is presented there, DER.
    pub(super) async fn presented(&self, address: SocketAddr, credentials: &Credentials) -> Vec<u8> {
        let stream = self.dial(address, Some(credentials)).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    fn client(&self, credentials: Option<&Credentials>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match credentials {
            None => builder.with_no_client_auth(),
            Some(credentials) => {
                let chain = vec![CertificateDer::from_pem_slice(credentials.certificate.as_bytes()).unwrap()];
                let key = PrivateKeyDer::from_pem_slice(credentials.key.as_bytes()).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Arc::new(config)
    }
}
