//! What several parts of the model have in common: whom to reach and from where, TLS, programs, secrets.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A host: an address, or a name that is looked up for each attempt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Host {
    /// An IPv4 or IPv6 address.
    Address(IpAddr),
    /// A host name, in lower case.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Where a network check goes, and from where.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// The server. It is also what TLS and HTTP call it, wherever the connection goes.
    pub host: Host,
    /// Its port, 1..=65535; 0 for ICMP, which has no ports.
    pub port: u16,
    /// Connect to this address instead of the host's; in a pool, the server's.
    pub connect_address: Option<IpAddr>,
    /// Connect to this port instead.
    pub connect_port: Option<u16>,
    /// From where.
    pub origin: Origin,
}

/// From where a check starts. The kernel chooses what is not given.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Origin {
    /// Own address to send from.
    pub source: Option<IpAddr>,
    /// Own link to go through (SO_BINDTODEVICE).
    pub interface: Option<String>,
    /// Firewall mark of the packets (SO_MARK), 1..=4294967295.
    pub mark: Option<u32>,
}

impl Target {
    /// The address it connects to, when no name has to be looked up.
    pub fn fixed_address(&self) -> Option<IpAddr> {
        match &self.host {
            _ if self.connect_address.is_some() => self.connect_address,
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        }
    }
}

/// TLS of a check. Verification is on unless the file says otherwise.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TlsOptions {
    /// Whether the server's certificate must be valid for the name and signed by a trusted authority; default true.
    pub verify: bool,
    /// Name for SNI and for the certificate; `None` = the host of the target.
    pub server_name: Option<String>,
    /// PEM file with the authorities to trust; `None` = those of the system.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate chain; given exactly when `key_file` is.
    pub certificate_file: Option<PathBuf>,
    /// PEM file with the client's private key.
    pub key_file: Option<PathBuf>,
    /// Fails when the server's certificate ends within this time; zero (default) = only when it has ended.
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

/// A program that is run without a shell.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Command {
    /// The program by its absolute path, and its arguments.
    pub argv: Vec<String>,
    /// The user it runs as; `None` = the agent's default for commands.
    pub user: Option<String>,
}

/// A text that is never shown. Prints as `***`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}
