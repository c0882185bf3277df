//! What TLS a check speaks: whom it trusts, who it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::verifier::Verifier;
use crate::spec::Invalid;

/// A PEM file is not longer.
const LARGEST_FILE: u64 = 1 << 20;
/// The system's authorities are read again after this time; a reload of many checks reads them once.
const ROOTS_LIFETIME: Duration = Duration::from_secs(60);

/// TLS of a check. The certificate is verified unless this says otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsOptions {
    /// Whether the server's certificate must be valid for its name and come from a trusted authority.
    pub verify: bool,
    /// Name for SNI and for the certificate; `None`: the target's host. An address is not sent as SNI (RFC 6066 §3) but must
    /// be in the certificate.
    pub server_name: Option<String>,
    /// PEM file with the authorities to trust, or with a self-signed certificate that is trusted as it stands. `None`: the
    /// authorities of this system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate chain; goes with `key_file`.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the client's private key.
    pub key_file: Option<PathBuf>,
    /// Fails when the certificate ends sooner. Zero: only when it has ended.
    pub expires_within: Duration,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            verify: true,
            server_name: None,
            ca_file: None,
            certificate_file: None,
            key_file: None,
            expires_within: Duration::ZERO,
        }
    }
}

/// rustls' own form of it, without ALPN.
pub(super) fn client(options: &TlsOptions) -> Result<ClientConfig, Invalid> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = verifier(options, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Invalid::new("tls", error.to_string()))?;
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match (&options.certificate_file, &options.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(chain), Some(key)) => {
            let certificates = certificates("certificate_file", chain)?;
            builder.with_client_auth_cert(certificates, private_key(key)?).map_err(|error| {
                let text = format!("{} does not go with {}: {error}", key.display(), chain.display());
                Invalid::new("key_file", text)
            })?
        }
        (Some(_), None) => {
            return Err(Invalid::new("key_file", "is missing; `certificate_file` needs its key"));
        }
        (None, Some(_)) => {
            return Err(Invalid::new("certificate_file", "is missing; `key_file` is of no use alone"));
        }
    };
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn verifier(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Verifier, Invalid> {
    if !options.verify {
        return Ok(Verifier::trusting(provider));
    }
    let (roots, pinned) = match &options.ca_file {
        None => (system_roots()?, Vec::new()),
        Some(path) => {
            let certificates = certificates("ca_file", path)?;
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
            if added == 0 {
                let text = format!("{} has no certificate that can be understood", path.display());
                return Err(Invalid::new("ca_file", text));
            }
            (Arc::new(roots), certificates)
        }
    };
    let webpki = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
    let webpki = webpki.map_err(|error| Invalid::new("ca_file", error.to_string()))?;
    Ok(Verifier::strict(webpki, pinned, provider))
}

/// The authorities of this system, shared by all checks.
fn system_roots() -> Result<Arc<RootCertStore>, Invalid> {
    static CACHE: Mutex<Option<(Instant, Arc<RootCertStore>)>> = Mutex::new(None);
    let mut cache = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((read, roots)) = cache.as_ref()
        && read.elapsed() < ROOTS_LIFETIME
    {
        return Ok(Arc::clone(roots));
    }
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let text =
            "this system has no trusted authorities; install the package ca-certificates or name a file";
        return Err(Invalid::new("ca_file", text));
    }
    let roots = Arc::new(roots);
    *cache = Some((Instant::now(), Arc::clone(&roots)));
    Ok(roots)
}

fn certificates(parameter: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Invalid> {
    let text = read(parameter, path)?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match parsed {
        Ok(certificates) if certificates.is_empty() => {
            let text = format!("{} has no PEM block `CERTIFICATE`", path.display());
            Err(Invalid::new(parameter, text))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(Invalid::new(parameter, format!("{} is not PEM: {error}", path.display()))),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Invalid> {
    let text = read("key_file", path)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        Invalid::new("key_file", format!("{} has no private key in PEM, without a password", path.display()))
    })
}

fn read(parameter: &'static str, path: &Path) -> Result<Vec<u8>, Invalid> {
    let complain = |why: String| Invalid::new(parameter, format!("cannot read {}: {why}", path.display()));
    let length = fs::metadata(path).map_err(|error| complain(error.to_string()))?.len();
    if length > LARGEST_FILE {
        return Err(complain(format!("{length} octets are more than 1 MiB")));
    }
    fs::read(path).map_err(|error| complain(error.to_string()))
}
