//! The certificates with which agents are talked to over TCP: TLS 1.3, both sides proven, ring alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};

use crate::exit::Exit;
use crate::failure::Failure;

/// The files that are needed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files<'a> {
    /// The authority whose certificates agents have.
    pub cacert: &'a Path,
    /// Our certificate.
    pub cert: &'a Path,
    /// Its key.
    pub key: &'a Path,
}

impl Files<'_> {
    /// Reads them.
    ///
    /// # Errors
    /// When one cannot be read, holds no certificate or key, or they do not belong together.
    pub(crate) fn load(&self) -> Result<Arc<ClientConfig>, Failure> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(self.cacert)? {
            roots.add(certificate).map_err(|error| unusable(self.cacert, &error))?;
        }
        let chain = certificates(self.cert)?;
        let key =
            PrivateKeyDer::from_pem_slice(&read(self.key)?).map_err(|error| unusable(self.key, &error))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| Failure::internal(format!("cannot set up TLS: {error}")))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| unusable(self.cert, &error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let text = read(file)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match all.map_err(|error| unusable(file, &error))? {
        none if none.is_empty() => Err(unusable(file, &"there is no certificate in it")),
        all => Ok(all),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| {
        let message = format!("cannot read {}: {error}", file.display());
        Failure::local(Exit::Usage, "IO", "FILE", message, "check the path and your permissions")
    })
}

fn unusable(file: &Path, error: &dyn std::fmt::Display) -> Failure {
    let message = format!("{} cannot be used: {error}", file.display());
    Failure::usage(message, "hactl pki issue makes a certificate and its key, in PEM")
}

/// The agent's refusal of our certificate, which comes in the middle of the first question. HTTP/2 keeps only the text of
/// what broke the connection.
pub(crate) fn refused(error: &str) -> Option<Failure> {
    error.starts_with("received fatal alert").then(|| {
        let message = format!("the agent ended the connection: {error}");
        Failure::local(Exit::Denied, "UNAUTHENTICATED", "CERTIFICATE_REFUSED", message, REFUSED)
    })
}

/// What to do about a refused certificate.
const REFUSED: &str = "the agent does not accept your certificate: is it of the agent's authority, and still valid? \
     hactl pki list tells";

/// Why a handshake failed, and what to do.
pub(crate) fn handshake(endpoint: &str, error: &std::io::Error) -> Failure {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let (reason, remedy) = match tls {
        Some(rustls::Error::InvalidCertificate(problem)) => certificate_problem(problem),
        Some(rustls::Error::AlertReceived(_)) => ("CERTIFICATE_REFUSED", REFUSED),
        Some(_) => ("TLS_FAILED", "does an agent of this version listen there, and no other service?"),
        None => ("CONNECTION_BROKEN", "the other side ended the connection: does an agent listen there?"),
    };
    let exit = if tls.is_some() { Exit::Denied } else { Exit::Unreachable };
    let code = if tls.is_some() { "UNAUTHENTICATED" } else { "UNAVAILABLE" };
    Failure::local(exit, code, reason, format!("no secure connection to {endpoint}: {error}"), remedy)
}

fn certificate_problem(problem: &CertificateError) -> (&'static str, &'static str) {
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
            "CERTIFICATE_EXPIRED",
            "the agent's certificate is too old: issue a new one with hactl pki issue node",
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            ("CERTIFICATE_NOT_VALID_YET", "compare the clocks of this machine and the node")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
            "CERTIFICATE_NAME",
            "the agent's certificate does not name this host: issue it with --address, or use a name that it has",
        ),
        // Two authorities of the same name differ by their signatures alone.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            ("CERTIFICATE_UNTRUSTED", "the agent's certificate is of another authority than --cacert")
        }
        _ => ("CERTIFICATE_INVALID", "issue the agent a new certificate with hactl pki issue node"),
    }
}
