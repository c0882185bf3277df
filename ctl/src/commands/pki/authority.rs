//! A certificate authority for one cluster: makes itself, and issues certificates for nodes and clients.
//!
//! What a certificate says of its holder stands in its subject alternative names: `ha-agent://node/NAME` or
//! `ha-agent://client/NAME`, and for a client `ha-agent://role/ROLE`. Keys are ECDSA P-256.

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use time::{Duration, OffsetDateTime};

use super::files::Revoked;
use crate::args::CertificateRole;
use crate::failure::Failure;

/// The authority's own files are called this.
pub(super) const FILE_NAME: &str = "ca";

/// Clocks that are a little behind accept a new certificate as well.
const BACKDATED: Duration = Duration::minutes(5);

/// An authority that can issue.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

/// Whom a certificate is for.
pub(super) enum Subject {
    /// An agent, reached by these names and addresses.
    Node {
        /// Host names and addresses.
        addresses: Vec<String>,
    },
    /// A caller.
    Client {
        /// What it may do.
        role: CertificateRole,
    },
}

impl Authority {
    /// A new authority: its certificate and key, in PEM.
    pub(super) fn create(name: &str, days: u32) -> Result<(String, String), Failure> {
        let mut parameters = parameters(name, Vec::new(), days)?;
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(|error| cannot("make a key", &error))?;
        let certificate = parameters
            .self_signed(&key)
            .map_err(|error| cannot("sign the authority's certificate", &error))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// An authority from its files' texts.
    pub(super) fn load(certificate: &str, key: &str) -> Result<Self, Failure> {
        let key = KeyPair::from_pem(key).map_err(|error| cannot("read the authority's key", &error))?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key)
            .map_err(|error| cannot("read the authority's certificate", &error))?;
        Ok(Authority { issuer })
    }

    /// A certificate with its key, in PEM.
    pub(super) fn issue(
        &self,
        name: &str,
        subject: &Subject,
        days: u32,
    ) -> Result<(String, String), Failure> {
        let mut parameters = parameters(name, subject.names(name)?, days)?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = subject.usages();
        let key = KeyPair::generate().map_err(|error| cannot("make a key", &error))?;
        let certificate = parameters
            .signed_by(&key, &self.issuer)
            .map_err(|error| cannot("sign the certificate", &error))?;
        Ok((certificate.pem(), key.serialize_pem()))
    }

    /// The list of what is revoked, in PEM. It has no end: agents go by what it holds, and a new one takes its place.
    pub(super) fn revoke(&self, revoked: &Revoked, now: i64) -> Result<String, Failure> {
        let time =
            |seconds: i64| OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let one = |(serial, since): (&Vec<u8>, &i64)| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: time(*since),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: time(now) - BACKDATED,
            next_update: time(now) + Duration::days(36_500),
            crl_number: SerialNumber::from(now.unsigned_abs()),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(one).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&self.issuer).and_then(|list| list.pem());
        signed.map_err(|error| cannot("sign the list of what is revoked", &error))
    }
}

impl Subject {
    fn names(&self, name: &str) -> Result<Vec<SanType>, Failure> {
        match self {
            Subject::Node { addresses } => {
                let mut names = vec![uri(&format!("ha-agent://node/{name}"))?];
                for address in addresses {
                    names.push(host(address)?);
                }
                Ok(names)
            }
            Subject::Client { role } => Ok(vec![
                uri(&format!("ha-agent://client/{name}"))?,
                uri(&format!("ha-agent://role/{}", role.word()))?,
            ]),
        }
    }

    fn usages(&self) -> Vec<ExtendedKeyUsagePurpose> {
        match self {
            Subject::Node { .. } => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            Subject::Client { .. } => vec![ExtendedKeyUsagePurpose::ClientAuth],
        }
    }
}

fn parameters(name: &str, names: Vec<SanType>, days: u32) -> Result<CertificateParams, Failure> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.subject_alt_names = names;
    let now = OffsetDateTime::now_utc();
    parameters.not_before = now - BACKDATED;
    parameters.not_after = now
        .checked_add(Duration::days(i64::from(days)))
        .ok_or_else(|| Failure::usage(format!("{days} days lead beyond the calendar"), "choose fewer"))?;
    Ok(parameters)
}

fn uri(text: &str) -> Result<SanType, Failure> {
    Ok(SanType::URI(ia5(text)?))
}

fn host(text: &str) -> Result<SanType, Failure> {
    match text.parse() {
        Ok(address) => Ok(SanType::IpAddress(address)),
        Err(_) if is_host_name(text) => Ok(SanType::DnsName(ia5(text)?)),
        Err(_) => Err(Failure::usage(
            format!("{text} is neither an address nor a host name"),
            "give what clients write after https://, without port",
        )),
    }
}

fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

fn ia5(text: &str) -> Result<Ia5String, Failure> {
    Ia5String::try_from(text).map_err(|_| {
        Failure::usage(format!("{text} has characters that a certificate cannot hold"), "use ASCII")
    })
}

fn cannot(what: &str, error: &rcgen::Error) -> Failure {
    Failure::usage(format!("cannot {what}: {error}"), "is the folder one that hactl pki init has made?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_client_can_reach_is_no_address() {
        for good in ["192.0.2.1", "2001:db8::1", "node-a", "node-a.example.net"] {
            assert!(host(good).is_ok(), "{good}");
        }
        for bad in ["", "a:7443", "https://a", "a..b", "a b", "ü"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }
}
