//! The gRPC control plane on a unix socket: who may call, what is answered, how it ends. It asks the `vrrp` thread and
//! reads the journal; it decides nothing about virtual routers and can delay none of them.

mod audit;
mod check;
mod cluster;
mod config;
mod connection;
pub(crate) mod convert;
mod debug;
mod dump;
mod error;
mod event;
mod filter;
mod gate;
mod health;
mod instance;
mod moves;
mod names;
mod node;
mod once;
mod page;
mod peer;
mod pool;
mod probe;
mod pulse;
mod question;
mod rate;
mod reflection;
mod request;
mod roles;
mod server;
mod shared;
mod shares;
mod snapshots;
mod socket;
mod stream;
mod tls;
mod tokens;
mod unsent;
mod vip;

#[cfg(test)]
mod tests;

pub use error::DOMAIN;
pub use probe::Wire;
pub use roles::{Principals, Role, Roles};
pub use server::{Bound, bind};
pub use socket::{ApiError, Claim};
pub(crate) use tls::Identity;
pub use tls::{Certificates, EXPIRY_WARNING, TlsError, TlsFiles};

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use ha_engine::Instant;
use tokio::sync::watch;

use crate::driver;
use crate::telemetry::logging::Levels;

/// What the control plane is told when it starts.
#[derive(Clone)]
pub struct Options {
    /// Where the socket is. Its directory is made with mode 0750 when there is none.
    pub socket: PathBuf,
    /// That this process is the socket's one agent; `None` = to be taken with the socket.
    pub claim: Option<Claim>,
    /// Group of the socket and of a directory made for it; `None` = the agent's own.
    pub group: Option<u32>,
    /// Where it listens beside the socket, over TLS.
    pub tcp: Option<Tcp>,
    /// Who may do what; a new value counts from the next call on.
    pub roles: watch::Receiver<Arc<Roles>>,
    /// The agent's version, as `Node.version`.
    pub version: String,
    /// The configuration in force.
    pub config: watch::Receiver<ConfigInfo>,
    /// What an operator should know about the node.
    pub conditions: watch::Receiver<Vec<Condition>>,
    /// What the kernel holds.
    pub kernel: KernelState,
    /// How the dataplane thread stands.
    pub dataplane: DataplaneView,
    /// Asks a link who has an address.
    pub wire: Wire,
    /// How much is allowed.
    pub limits: Limits,
    /// Which lines are logged.
    pub log: Levels,
    /// What happened on the control plane; shared with whoever shows it.
    pub counters: Arc<Counters>,
    /// Told about every answered call. Must not block.
    pub observer: Option<Observer>,
}

/// The control plane over TCP, with certificates on both sides.
#[derive(Clone, Debug)]
pub struct Tcp {
    /// Addresses and ports.
    pub listen: Vec<SocketAddr>,
    /// The certificates in force.
    pub certificates: Arc<Certificates>,
}

/// Who knows how things stand, and changes them.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The `vrrp` thread.
    pub driver: driver::Handle,
    /// The thread of the checks.
    pub checks: crate::health::Handle,
    /// The task of the pools.
    pub pools: crate::pools::Handle,
    /// The supervisor, about the configuration.
    pub configure: crate::configure::Handle,
    /// The other nodes.
    pub peers: crate::peers::Handle,
    /// Moves virtual routers between them.
    pub moves: crate::moves::Handle,
    /// Keeps what is to survive a restart.
    pub intents: crate::intents::Handle,
}

/// Bounds against clients that want too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Connections of everybody. Default 64.
    pub connections: usize,
    /// Connections beyond that for user 0 alone. Default 4.
    pub reserved_connections: usize,
    /// Connections over TLS. Default 64.
    pub tls_connections: usize,
    /// Connections with one certificate. Default 16.
    pub certificate_connections: usize,
    /// Calls at a time on one connection. Default 32.
    pub streams: u32,
    /// Watches of everybody, of events and of health, and streams of reflection. Default 256.
    pub watchers: usize,
    /// Watches beyond that for user 0 alone. Default 4.
    pub reserved_watchers: usize,
    /// Octets of answers that nobody has read yet. Default 64 MiB.
    pub unread_answers: usize,
}

impl From<ha_config::ApiLimits> for Limits {
    fn from(limits: ha_config::ApiLimits) -> Self {
        let ha_config::ApiLimits {
            connections,
            tls_connections,
            certificate_connections,
            calls,
            watches,
            unread_answers,
        } = limits;
        Self {
            connections,
            reserved_connections: 4,
            tls_connections,
            certificate_connections,
            streams: calls,
            watchers: watches,
            reserved_watchers: 4,
            unread_answers: usize::try_from(unread_answers).unwrap_or(usize::MAX),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        ha_config::ApiLimits::default().into()
    }
}

/// The configuration in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigInfo {
    /// What it says.
    pub configuration: Arc<ha_config::Configuration>,
    /// The file it was read from.
    pub file: PathBuf,
    /// SHA-256 in hex.
    pub digest: String,
    /// When it was put in force.
    pub loaded: SystemTime,
}

/// A fact about the node that an operator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// "RealtimeScheduling", "MemoryLocked", "ConfigCurrent".
    pub name: &'static str,
    /// Whether it holds; `None` = unknown.
    pub holds: Option<bool>,
    /// One word in UpperCamelCase.
    pub reason: String,
    /// One sentence, with the remedy when there is one.
    pub message: String,
    /// When `holds` last changed.
    pub since: SystemTime,
}

/// Answers what the kernel has of an address on a configured link (on the link's macvlan when the instance has a virtual
/// MAC); `None` = not read yet. Called often; must not block.
pub type KernelState = Arc<dyn Fn(&Arc<str>, IpAddr) -> Option<KernelAddress> + Send + Sync>;

/// What the kernel has of an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KernelAddress {
    /// Whether it is on the link, put there by this agent.
    pub present: bool,
    /// When it was announced last.
    pub last_announce: Option<Instant>,
    /// How often it was announced since the agent started.
    pub announcements: u64,
}

/// How the dataplane thread stands. Must not block.
pub type DataplaneView = Arc<dyn Fn() -> DataplaneState + Send + Sync>;

/// How the dataplane thread stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataplaneState {
    /// When the `vrrp` thread gave it its last sign of life.
    pub heartbeat: Instant,
    /// Commands that wait for it, and how many may.
    pub waiting: (usize, usize),
}

/// One answered call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// "/ha.agent.v1.NodeService/GetNode".
    pub method: &'a str,
    /// How it was answered. Of a stream: how it was opened.
    pub code: tonic::Code,
    /// How long the answer, or the opening of the stream, took.
    pub elapsed: Duration,
}

/// Told about every answered call.
pub type Observer = Arc<dyn Fn(&Call<'_>) + Send + Sync>;

/// What happened on the control plane since the agent started.
#[derive(Debug, Default)]
pub struct Counters {
    /// Open watches, now.
    pub watchers: AtomicU64,
    /// Events that slow watchers missed.
    pub lost_events: AtomicU64,
    /// Calls that were denied for want of a role.
    pub denied: AtomicU64,
    /// Connections that were refused because there were too many.
    pub connections_refused: AtomicU64,
    /// Answers that were refused because others were not read.
    pub answers_refused: AtomicU64,
    /// Callers over TLS that could not prove who they are.
    pub handshakes_failed: AtomicU64,
}

/// A record as the control plane tells it, for others who tell the same.
pub(crate) fn event(
    journal: &crate::journal::Journal,
    record: &crate::journal::Record,
) -> ha_proto::v1::Event {
    convert::event(journal, &names::Names::new(std::sync::Arc::clone(journal.node())), record)
}
