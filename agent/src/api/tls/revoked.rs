//! What the authority has revoked (RFC 5280 §5): lists in PEM, each of an authority that counts here. A certificate that no list speaks of is
//! good, and so is one of an authority without a list.

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use rustls::server::VerifierBuilderError;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};

use super::{LIST, MOST, TlsError, TlsFiles, certificates, content, unread};
use crate::regular;

type List = CertificateRevocationListDer<'static>;

/// The lists in the file; none without a file.
pub(super) fn lists(files: &TlsFiles) -> Result<Vec<List>, TlsError> {
    let Some(path) = &files.revoked else { return Ok(Vec::new()) };
    let text = regular::open(path).and_then(|open| regular::read(open, MOST)).map_err(unread(path))?;
    let all: Result<Vec<List>, pem::Error> = CertificateRevocationListDer::pem_slice_iter(&text).collect();
    let all = all.map_err(|error| content(path, LIST, error.to_string()))?;
    if all.is_empty() {
        return Err(content(path, LIST, "there is none in it".to_owned()));
    }
    let authorities = certificates(&files.client_ca)?;
    match all.iter().find_map(|list| trouble(list, &authorities)) {
        Some(reason) => Err(content(path, LIST, reason)),
        None => Ok(all),
    }
}

/// By a list of somebody else nothing would be revoked; and with one that only bears our authority's name nobody could be verified.
fn trouble(list: &List, authorities: &[CertificateDer<'_>]) -> Option<String> {
    let read = match CertificateRevocationList::from_der(list.as_ref()) {
        Ok((_, read)) => read,
        Err(error) => return Some(error.to_string()),
    };
    let authorities = authorities.iter().filter_map(|authority| X509Certificate::from_der(authority).ok());
    let mut named = authorities
        .filter(|(_, authority)| authority.subject().as_raw() == read.issuer().as_raw())
        .peekable();
    let issuer = read.issuer();
    if named.peek().is_none() {
        return Some(format!("it is of {issuer}, which is no authority in client_ca"));
    }
    let is_signed = named.any(|(_, authority)| is_signed_by(&read, &authority));
    (!is_signed).then(|| format!("it is of another {issuer} than that in client_ca"))
}

/// Whatever the algorithm is: a signature fits one of them, or none.
fn is_signed_by(list: &CertificateRevocationList<'_>, authority: &X509Certificate<'_>) -> bool {
    let (key, signature) = (&authority.public_key().subject_public_key.data, &list.signature_value.data);
    let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
    algorithms.iter().any(|each| each.verify_signature(key, list.tbs_cert_list.as_ref(), signature).is_ok())
}

/// Why nobody can be verified with these files.
pub(super) fn unusable(files: &TlsFiles, error: &VerifierBuilderError) -> TlsError {
    match (error, &files.revoked) {
        (VerifierBuilderError::InvalidCrl(_), Some(path)) => content(path, LIST, error.to_string()),
        _ => content(&files.client_ca, "certificate", error.to_string()),
    }
}
