//! Certificates for the servers under test.

use std::{
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ha_probe::TlsOptions;
use ha_tests::Scratch;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// The name in every certificate.
pub(crate) const NAME: &str = "web.example.org";

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its own certificate.
    file: PathBuf,
}

/// A certificate and its key, in files.
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// When a certificate is valid, from now.
#[derive(Clone, Copy)]
pub(crate) enum Valid {
    For(Duration),
    UntilAgo(Duration),
}

impl Authority {
    pub(crate) fn new(scratch: &Scratch, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are valid names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("it can be signed");
        let file = scratch.write(&format!("{name}.pem"), &certificate.pem());
        Self { issuer: Issuer::new(params, key), file }
    }

    /// A certificate for [`NAME`].
    pub(crate) fn issue(&self, scratch: &Scratch, file: &str, valid: Valid) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let certificate = params(valid).signed_by(&key, &self.issuer).expect("it can be signed");
        Identity {
            certificate: scratch.write(&format!("{file}.pem"), &certificate.pem()),
            key: scratch.write(&format!("{file}.key"), &key.serialize_pem()),
        }
    }

    /// To trust this authority, and to want [`NAME`].
    pub(crate) fn trusted(&self) -> TlsOptions {
        TlsOptions {
            ca_file: Some(self.file.clone()),
            server_name: Some(NAME.to_owned()),
            ..TlsOptions::default()
        }
    }
}

fn params(valid: Valid) -> CertificateParams {
    let mut params = CertificateParams::new(vec![NAME.to_owned()]).expect("a name");
    let now = SystemTime::now();
    let (from, until) = match valid {
        Valid::For(time) => (now - DAY, now + time),
        Valid::UntilAgo(ago) => (now - ago - DAY, now - ago),
    };
    (params.not_before, params.not_after) = (from.into(), until.into());
    params
}
