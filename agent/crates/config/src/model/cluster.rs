//! `[[peer]]` and `[cluster]`: the other nodes and what is done with their word.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::Host;

/// The other nodes that share virtual routers with this one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cluster {
    /// At most 32, in the order of the file, without this node itself.
    pub peers: Vec<ClusterPeer>,
    /// What a node does when a peer says that it is Active too; default report.
    pub split_brain: SplitBrain,
    /// How long an orderly stop waits for others to take over, 0..=60 s; default 2 s. At zero everything is released at once.
    pub stop_timeout: Duration,
}

impl Default for Cluster {
    /// At adverts of up to a second every Backup takes over within 2 s, asked or not.
    fn default() -> Self {
        Self { peers: Vec::new(), split_brain: SplitBrain::default(), stop_timeout: Duration::from_secs(2) }
    }
}

/// Another node, reached over its control plane.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ClusterPeer {
    /// Its name, which its certificate must have too.
    pub name: String,
    /// Where its agent answers.
    pub endpoint: PeerEndpoint,
}

/// Where an agent answers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PeerEndpoint {
    /// `https://HOST:PORT`, with certificates on both sides.
    Tls {
        /// Name or address; the peer's certificate must have it.
        host: Host,
        /// 1..=65535.
        port: u16,
    },
    /// `unix:/PATH`, for an agent on the same machine; who answers there must be root or the agent's own user.
    Unix(PathBuf),
}

/// What a node does when it is Active and a peer, whose adverts do not arrive, says over the control plane that it is Active too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum SplitBrain {
    /// Says so: events, metrics and `hactl status`.
    #[default]
    Report,
    /// Says so, and becomes Backup when it would lose the election by priority and address.
    Yield,
}

impl SplitBrain {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::Yield => "yield",
        }
    }
}

/// As it is written in the file.
impl fmt::Display for PeerEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { host: Host::Address(address), port } => {
                write!(f, "https://{}", std::net::SocketAddr::new(*address, *port))
            }
            Self::Tls { host: Host::Name(name), port } => write!(f, "https://{name}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
