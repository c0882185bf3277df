//! The valid configuration of one node: what the agent runs with. Every value here was checked; the defaults are those
//! of `REFERENCE.md`. What it means for a running agent that two of these differ is told by [`crate::changes()`].

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ha_engine::InstanceConfig;

mod check;
mod cluster;
mod notify;
mod pool;
mod shown;
mod target;

pub use check::{
    Check, CheckKind, DnsAnswers, DnsCheck, DnsRecord, FileCheck, GrpcCheck, HttpCheck, HttpVersion,
    IcmpCheck, InterfaceCheck, MatchExtent, ProcessCheck, ProcessMatch, Remedy, RouteCheck, ScriptCheck,
    SmtpCheck, SmtpSecurity, TcpCheck, TcpKeepaliveCheck, TlsCheck, UdpCheck, UdpReply,
};
pub use cluster::{Cluster, ClusterPeer, PeerEndpoint, SplitBrain};
pub use notify::{
    Fifo, Mail, MailLogin, MailSecurity, Notifier, NotifyChannel, NotifyCommand, NotifyScope, NotifyState,
    Webhook,
};
pub use pool::{Balancer, Nginx, NginxForm, NginxPool, NginxSorry, Pool};
pub use target::{Command, Host, Origin, Secret, Target, TlsOptions};

/// Everything one configuration file says, whole and valid.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Configuration {
    /// Last segment of the node's resource name; the host name unless `node.name` is set.
    pub node_name: String,
    /// The virtual routers, in the order of the file.
    pub instances: Vec<InstanceConfig>,
    /// The checks that run: those that run once in the order of the file, then those of pools' servers.
    pub checks: Vec<Check>,
    /// The pools of servers, in the order of the file.
    pub pools: Vec<Pool>,
    /// The nginx that balances pools.
    pub nginx: Nginx,
    /// Who is told of what happens, in the order of the file.
    pub notifiers: Vec<Notifier>,
    /// The server that takes our mail; there when a notifier sends mail.
    pub mail: Option<Mail>,
    /// The other nodes.
    pub cluster: Cluster,
    /// Control plane.
    pub api: Api,
    /// The history on disk.
    pub journal: Journal,
    /// Prometheus scrape endpoint.
    pub metrics: Metrics,
    /// OpenTelemetry export.
    pub telemetry: Telemetry,
    /// The agent's own log.
    pub log: Log,
    /// Scheduling and memory of the `vrrp` thread.
    pub realtime: Realtime,
    /// SHA-256 of the file's octets, 64 lower case hexadecimal digits. Password files are not part of it.
    pub digest: String,
}

/// `[api]`: the gRPC control plane on a unix socket, and over TLS if wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Api {
    /// Absolute path of the unix socket, at most 107 octets; default `/run/ha-agent/api.sock`.
    pub socket: PathBuf,
    /// Who may do everything. Root may, whatever stands here. Default: root.
    pub admins: Vec<Principal>,
    /// Who may change priorities and drain; default nobody.
    pub operators: Vec<Principal>,
    /// Who may only look; default nobody.
    pub readers: Vec<Principal>,
    /// Events kept in memory for `ListEvents` and for watchers that resume, 16..=1 048 576; default 16 384.
    pub history: usize,
    /// How much clients may want at once.
    pub limits: ApiLimits,
    /// The control plane over TCP; default none.
    pub tls: Option<ApiTls>,
}

/// How much clients of the control plane may want at once. What is beyond is refused, or waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ApiLimits {
    /// Connections on the socket, 8..=4096; default 64. Root has 4 more.
    pub connections: usize,
    /// Connections over TLS, 8..=4096; default 64.
    pub tls_connections: usize,
    /// Connections with one certificate, 2..=4096; default 16.
    pub certificate_connections: usize,
    /// Calls at a time on one connection, 8..=1024; default 32.
    pub calls: u32,
    /// Watches of everybody, of events and of health, 8..=16 384; default 256. Root has 4 more.
    pub watches: usize,
    /// Octets of answers that nobody has read yet, 8 MiB..=4 GiB; default 64 MiB. Root has 8 MiB more.
    pub unread_answers: u64,
}

impl Default for ApiLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            tls_connections: 64,
            certificate_connections: 16,
            calls: 32,
            watches: 256,
            unread_answers: 64 << 20,
        }
    }
}

/// The control plane over TCP: TLS 1.3 with certificates on both sides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ApiTls {
    /// Where it listens; at least one.
    pub listen: Vec<SocketAddr>,
    /// The node's certificate, PEM, absolute path.
    pub certificate: PathBuf,
    /// Its key, PEM, absolute path.
    pub key: PathBuf,
    /// The authority whose certificates callers must have, PEM, absolute path.
    pub client_ca: PathBuf,
    /// What that authority has revoked, PEM, absolute path; `None` = nothing is looked at.
    pub revoked: Option<PathBuf>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            socket: PathBuf::from("/run/ha-agent/api.sock"),
            admins: vec![Principal::User("root".to_owned())],
            operators: Vec::new(),
            readers: Vec::new(),
            history: 16_384,
            limits: ApiLimits::default(),
            tls: None,
        }
    }
}

/// `[journal]`: the history on disk, and what operators want to survive a restart.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journal {
    /// Whether it is kept on disk at all; default true.
    pub enabled: bool,
    /// Absolute path; `None` (default) = the state directory that the service manager made, or `/var/lib/ha-agent`.
    pub directory: Option<PathBuf>,
    /// Bytes of the file at most, 8 MiB..=4 GiB; default 64 MiB.
    pub size: u64,
    /// What is older is removed, 1 hour..=3650 days; default 90 days.
    pub age: Duration,
}

impl Default for Journal {
    fn default() -> Self {
        Self { enabled: true, directory: None, size: 64 << 20, age: Duration::from_secs(90 * 24 * 3600) }
    }
}

/// Who calls, by the credentials of the unix socket or by a certificate. Names of users and groups are resolved by the agent;
/// a number is a uid or gid.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Principal {
    /// A user's name or decimal uid.
    User(String),
    /// A group's name or decimal gid, written `"@name"`.
    Group(String),
    /// The common name of a certificate, written `"cert:name"`.
    Certificate(String),
}

impl std::fmt::Display for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, "@{name}"),
            Self::Certificate(name) => write!(f, "cert:{name}"),
        }
    }
}

/// `[metrics]`: where Prometheus scrapes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// Address and port of the HTTP listener; `None` (default) = none.
    pub listen: Option<SocketAddr>,
}

/// `[telemetry]`: export over OTLP/gRPC. Standard `OTEL_*` variables of the environment win over it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Telemetry {
    /// `http://` or `https://`, host and port of the collector; `None` (default) = no export.
    pub endpoint: Option<String>,
    /// Export metrics; default true.
    pub metrics: bool,
    /// Export a trace per failover; default true.
    pub traces: bool,
    /// Export events as log records; default true.
    pub logs: bool,
    /// Between two exports of metrics, 100 ms ..= 1 h; default 10 s.
    pub interval: Duration,
    /// For one export, 100 ms ..= 1 min; default 5 s.
    pub timeout: Duration,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            endpoint: None,
            metrics: true,
            traces: true,
            logs: true,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
        }
    }
}

/// `[log]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Log {
    /// The least severe records written; default info.
    pub level: LogLevel,
    /// Their form; default automatic.
    pub format: LogFormat,
}

/// The least severe records written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum LogLevel {
    /// What stopped working.
    Error,
    /// What needs a look, too.
    Warn,
    /// Every transition, too.
    #[default]
    Info,
    /// What is needed to understand a decision, too.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The word in the file, which tracing understands as well.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of log records.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum LogFormat {
    /// journald when the standard error output is connected to it, text otherwise.
    #[default]
    Auto,
    /// A line for a human.
    Text,
    /// A JSON object a line.
    Json,
    /// The native protocol of journald, with fields.
    Journald,
}

/// `[realtime]`: what is tried for the `vrrp` thread; a refusal by the kernel is logged and not fatal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Realtime {
    /// Ask for SCHED_FIFO; default true.
    pub scheduling: bool,
    /// Lock the process in memory; default true.
    pub lock_memory: bool,
    /// Priority within SCHED_FIFO, 1..=99; default 50.
    pub priority: u8,
}

impl Default for Realtime {
    fn default() -> Self {
        Self { scheduling: true, lock_memory: true, priority: 50 }
    }
}
