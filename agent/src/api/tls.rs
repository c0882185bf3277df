//! TLS for the control plane over TCP: version 1.3 alone, certificates on both sides, and new files taken over without
//! ending a connection.

mod identity;
mod listen;
mod revoked;

pub(crate) use identity::Identity;
pub(super) use listen::{Listeners, Secure};

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use arc_swap::ArcSwap;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::socket::own_user;
use crate::regular;

/// Octets of a file: a bundle of all authorities of the world has a quarter of that.
const MOST: usize = 1 << 20;

/// The files of a TLS server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The node's certificate, and those that lead to the authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM. Only its owner may read it.
    pub key: PathBuf,
    /// The authority whose certificates callers must have, PEM.
    pub client_ca: PathBuf,
    /// What that authority has revoked, PEM; `None` = nothing is looked at.
    pub revoked: Option<PathBuf>,
}

/// What is revoked, in errors.
const LIST: &str = "revocation list";

/// Why files cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}; {}", self.what(), self.remedy())]
pub enum TlsError {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// A key that others may read is no secret.
    KeyExposed {
        /// The file.
        path: PathBuf,
    },
    /// A file holds no PEM of the kind that is needed.
    Content {
        /// The file.
        path: PathBuf,
        /// "certificate", "key" or "revocation list".
        what: &'static str,
        /// The library's words.
        reason: String,
    },
    /// The key and the certificate do not fit together.
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// That of the certificate.
        certificate: PathBuf,
        /// Why.
        reason: String,
    },
}

impl TlsError {
    /// What is wrong, with the file.
    pub fn what(&self) -> String {
        match self {
            Self::Read { path, source } => format!("cannot read {}: {source}", path.display()),
            Self::KeyExposed { path } => format!("others may read the key {}", path.display()),
            Self::Content { path, what, reason } => {
                format!("{} holds no usable {what}: {reason}", path.display())
            }
            Self::Mismatch { key, certificate, reason } => {
                let (key, certificate) = (key.display(), certificate.display());
                format!("{key} cannot be used together with {certificate}: {reason}")
            }
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Read { path, source } if source.kind() == io::ErrorKind::PermissionDenied => {
                // That of the agent, or of who asks for a judgement.
                format!(
                    "it was tried as user {}: namei -l {} shows what that may not",
                    own_user(),
                    path.display()
                )
            }
            Self::Content { what: LIST, .. } => {
                "hactl pki revoke makes one; without revoked nothing is".to_owned()
            }
            Self::Read { .. } | Self::Content { .. } | Self::Mismatch { .. } => {
                "hactl pki init and hactl pki issue node make all that is needed".to_owned()
            }
            Self::KeyExposed { path } => {
                format!("chmod 600 {}, and issue a new one if somebody did", path.display())
            }
        }
    }

    /// The file to look at.
    pub fn file(&self) -> &Path {
        match self {
            Self::Read { path, .. } | Self::KeyExposed { path } | Self::Content { path, .. } => path,
            Self::Mismatch { key, .. } => key,
        }
    }
}

/// The certificates in force, replaced in flight: each new connection gets the newest.
#[derive(Debug)]
pub struct Certificates {
    files: TlsFiles,
    current: ArcSwap<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    config: Arc<ServerConfig>,
    /// For calls to other nodes: the same certificate, the same authority.
    client: Arc<ClientConfig>,
    expires: SystemTime,
    /// What the files looked like when they were read.
    seen: Vec<Stamp>,
}

/// Enough of a file to see that it is another one.
type Stamp = Option<(SystemTime, u64, u64)>;

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] when they cannot be used.
    pub fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let loaded = Loaded::read(&files)?;
        Ok(Self { files, current: ArcSwap::from_pointee(loaded) })
    }

    /// Everything that keeps these files from being used, or when the certificate expires.
    ///
    /// # Errors
    /// What is wrong with each by itself; if nothing is, with all together.
    pub fn examine(files: &TlsFiles) -> Result<SystemTime, Vec<TlsError>> {
        let roots = roots(files).err();
        let revoked = if roots.is_none() { revoked::lists(files).err() } else { None };
        let each = [certificates(&files.certificate).err(), key(&files.key).err(), roots, revoked];
        let errors: Vec<TlsError> = each.into_iter().flatten().collect();
        if errors.is_empty() {
            return Loaded::read(files).map(|loaded| loaded.expires).map_err(|error| vec![error]);
        }
        Err(errors)
    }

    /// Reads the files again if they changed; says whether new ones are in force. The old ones stay in force otherwise.
    ///
    /// # Errors
    /// [`TlsError`] when the new files cannot be used; tried again when they change once more.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let current = self.current.load();
        let seen = stamps(&self.files);
        if seen == current.seen {
            return Ok(false);
        }
        let loaded = Loaded::read(&self.files).inspect_err(|_| {
            let Loaded { config, client, expires, .. } = &**current;
            let (config, client) = (Arc::clone(config), Arc::clone(client));
            self.current.store(Arc::new(Loaded { config, client, expires: *expires, seen }));
        })?;
        self.current.store(Arc::new(loaded));
        Ok(true)
    }

    /// When the node's certificate expires.
    pub fn expires(&self) -> SystemTime {
        self.current.load().expires
    }

    /// The node's certificate file.
    pub fn file(&self) -> &Path {
        &self.files.certificate
    }

    /// With what this node calls others.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.load().client)
    }

    fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().config)
    }
}

impl Loaded {
    fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        // Looked at first: what changes while it is read is read again.
        let seen = stamps(files);
        let chain = certificates(&files.certificate)?;
        let unusable = |reason: String| content(&files.certificate, "certificate", reason);
        let expires = match chain.first() {
            Some(own) => identity::expiry(own).map_err(unusable)?,
            None => return Err(unusable("it is empty".to_owned())),
        };
        let roots = Arc::new(roots(files)?);
        let lists = revoked::lists(files)?;
        let trust = Trust { roots, lists };
        let client = client_config(files, &trust, chain.clone(), key(&files.key)?)?;
        let config = server_config(files, trust, chain, key(&files.key)?)?;
        Ok(Self { config: Arc::new(config), client: Arc::new(client), expires, seen })
    }
}

fn roots(files: &TlsFiles) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(&files.client_ca)? {
        roots.add(root).map_err(|error| content(&files.client_ca, "certificate", error.to_string()))?;
    }
    Ok(roots)
}

/// Whose certificates count, and which of them do not.
struct Trust {
    roots: Arc<RootCertStore>,
    lists: Vec<CertificateRevocationListDer<'static>>,
}

fn client_config(
    files: &TlsFiles,
    trust: &Trust,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let nodes = WebPkiServerVerifier::builder_with_provider(Arc::clone(&trust.roots), Arc::clone(&provider))
        .with_crls(trust.lists.clone())
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| revoked::unusable(files, &error))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| mismatch(files, &error))?
        .with_webpki_verifier(nodes)
        .with_client_auth_cert(chain, key)
        .map_err(|error| mismatch(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would not look at the certificate again.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

fn server_config(
    files: &TlsFiles,
    trust: Trust,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let callers = WebPkiClientVerifier::builder_with_provider(trust.roots, Arc::clone(&provider))
        .with_crls(trust.lists)
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| revoked::unusable(files, &error))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| mismatch(files, &error))?
        .with_client_cert_verifier(callers)
        .with_single_cert(chain, key)
        .map_err(|error| mismatch(files, &error))?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would keep an identity that has expired since.
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn mismatch(files: &TlsFiles, error: &rustls::Error) -> TlsError {
    let reason = match error {
        rustls::Error::InconsistentKeys(_) => "it is the key of another certificate".to_owned(),
        other => other.to_string(),
    };
    TlsError::Mismatch { key: files.key.clone(), certificate: files.certificate.clone(), reason }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = regular::open(path).and_then(|open| regular::read(open, MOST)).map_err(unread(path))?;
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    match all {
        Ok(none) if none.is_empty() => Err(content(path, "certificate", "there is none in it".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(content(path, "certificate", error.to_string())),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    use std::os::unix::fs::MetadataExt;
    let open = regular::open(path).map_err(unread(path))?;
    if open.metadata().map_err(unread(path))?.mode() & 0o077 != 0 {
        return Err(TlsError::KeyExposed { path: path.to_owned() });
    }
    let text = regular::read(open, MOST).map_err(unread(path))?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| content(path, "key", error.to_string()))
}

fn unread(path: &Path) -> impl Fn(io::Error) -> TlsError {
    |source| TlsError::Read { path: path.to_owned(), source }
}

fn content(path: &Path, what: &'static str, reason: String) -> TlsError {
    TlsError::Content { path: path.to_owned(), what, reason }
}

fn stamps(files: &TlsFiles) -> Vec<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let stamp = |path: &PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
    };
    [&files.certificate, &files.key, &files.client_ca].into_iter().chain(&files.revoked).map(stamp).collect()
}

/// How long before its end an operator is warned of a certificate's expiry.
pub const EXPIRY_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);
