//! Who a certificate is for: its common name, and in its subject alternative names `ha-agent://role/ROLE` and
//! `ha-agent://node/NAME`, as `hactl pki` writes them.

use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::super::roles::Role;

/// A caller's certificate, after its authority was verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Identity {
    /// The common name; printable, at most 64 characters.
    pub(crate) name: String,
    /// What the authority says that the holder may do.
    pub(crate) role: Option<Role>,
    /// The node, when it is an agent's.
    pub(crate) node: Option<String>,
}

/// The longest common name of a certificate (RFC 5280, ub-common-name).
const LONGEST_NAME: usize = 64;

impl Identity {
    /// Reads a certificate. `None` when it has no usable common name.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let name = certificate.subject().iter_common_name().find_map(|name| name.as_str().ok())?;
        let is_fit = !name.is_empty() && name.len() <= LONGEST_NAME && !name.chars().any(char::is_control);
        let uris = uris(&certificate);
        let below = |prefix: &str| uris.iter().find_map(|uri| uri.strip_prefix(prefix));
        is_fit.then(|| Self {
            name: name.to_owned(),
            role: below("ha-agent://role/").and_then(Role::from_word),
            node: below("ha-agent://node/").map(str::to_owned),
        })
    }
}

fn uris<'a>(certificate: &'a X509Certificate<'_>) -> Vec<&'a str> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let uri = |name: &GeneralName<'a>| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    };
    names.value.general_names.iter().filter_map(uri).collect()
}

/// When a certificate expires.
pub(super) fn expiry(certificate: &CertificateDer<'_>) -> Result<SystemTime, String> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(|error| error.to_string())?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}
