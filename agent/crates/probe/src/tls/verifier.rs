//! Who is trusted: webpki's rules, or one certificate as it stands, or anybody.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::certificate::validity;

/// Judges the certificates of one check.
#[derive(Debug)]
pub(super) struct Verifier {
    /// `None`: anybody is trusted.
    webpki: Option<Arc<WebPkiServerVerifier>>,
    /// Trusted as they stand, also when they are an authority's own, which webpki refuses as a server's.
    pinned: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn strict(
        webpki: Arc<WebPkiServerVerifier>,
        pinned: Vec<CertificateDer<'static>>,
        provider: &CryptoProvider,
    ) -> Self {
        Self { webpki: Some(webpki), pinned, algorithms: provider.signature_verification_algorithms }
    }

    pub(super) fn trusting(provider: &CryptoProvider) -> Self {
        Self { webpki: None, pinned: Vec::new(), algorithms: provider.signature_verification_algorithms }
    }
}

/// The rules for a certificate that is trusted as it stands: its dates and its names.
fn verify_pinned(
    certificate: &CertificateDer<'_>,
    name: &ServerName<'_>,
    now: UnixTime,
) -> Result<(), Error> {
    let parsed = ParsedCertificate::try_from(certificate)?;
    let validity = validity(certificate).ok_or(CertificateError::BadEncoding)?;
    if now.as_secs() > validity.not_after {
        let not_after = UnixTime::since_unix_epoch(std::time::Duration::from_secs(validity.not_after));
        return Err(CertificateError::ExpiredContext { time: now, not_after }.into());
    }
    if now.as_secs() < validity.not_before {
        let not_before = UnixTime::since_unix_epoch(std::time::Duration::from_secs(validity.not_before));
        return Err(CertificateError::NotValidYetContext { time: now, not_before }.into());
    }
    verify_server_name(&parsed, name)
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.webpki {
            None => Ok(ServerCertVerified::assertion()),
            Some(_) if self.pinned.contains(certificate) => {
                verify_pinned(certificate, name, now).map(|()| ServerCertVerified::assertion())
            }
            Some(webpki) => webpki.verify_server_cert(certificate, intermediates, name, ocsp, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
