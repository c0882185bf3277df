//! What a check looks at: plain data, which the agent compiles into a probe. Intervals and thresholds are the engine's.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ha_engine::{CheckPolicy, RemedyPolicy};

use super::target::{Command, Secret, Target, TlsOptions};

/// One check that runs, by itself or for one server of a pool.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// When it runs and what its results mean. Its name is that of the fact: `checks/NAME`, or
    /// `pools/POOL/servers/SERVER/checks/NAME`.
    pub policy: CheckPolicy,
    /// What an attempt does.
    pub kind: CheckKind,
    /// What is tried before the verdict falls; there exactly when the policy has one.
    pub remedy: Option<Remedy>,
}

/// `[check.remedy]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remedy {
    /// What is run.
    pub command: Command,
    /// How long it may take, and how long is waited afterwards.
    pub policy: RemedyPolicy,
}

/// What one attempt does; one variant for each `kind` of the file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum CheckKind {
    /// Echo requests (ICMP, ICMPv6).
    Icmp(IcmpCheck),
    /// A TCP connection is established.
    Tcp(TcpCheck),
    /// A TCP connection is held and watched.
    TcpKeepalive(TcpKeepaliveCheck),
    /// A datagram is sent, and maybe answered.
    Udp(UdpCheck),
    /// A page is fetched over HTTP or HTTPS.
    Http(HttpCheck),
    /// `grpc.health.v1.Health/Check` is called.
    Grpc(GrpcCheck),
    /// A name server is asked.
    Dns(DnsCheck),
    /// A mail server greets.
    Smtp(SmtpCheck),
    /// A TLS handshake is made.
    Tls(TlsCheck),
    /// A program is run; its exit status is the result.
    Script(ScriptCheck),
    /// Processes are counted.
    Process(ProcessCheck),
    /// A number is read from a file.
    File(FileCheck),
    /// A link is up and running.
    Interface(InterfaceCheck),
    /// A route is in the kernel's table.
    Route(RouteCheck),
    /// Verdicts of other checks are combined; no attempts of its own. The rule is in the check's policy.
    Expr,
}

impl CheckKind {
    /// The word in the file and in the control plane.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Icmp(_) => "icmp",
            Self::Tcp(_) => "tcp",
            Self::TcpKeepalive(_) => "tcp_keepalive",
            Self::Udp(_) => "udp",
            Self::Http(_) => "http",
            Self::Grpc(_) => "grpc",
            Self::Dns(_) => "dns",
            Self::Smtp(_) => "smtp",
            Self::Tls(_) => "tls",
            Self::Script(_) => "script",
            Self::Process(_) => "process",
            Self::File(_) => "file",
            Self::Interface(_) => "interface",
            Self::Route(_) => "route",
            Self::Expr => "expr",
        }
    }

    /// Where it goes, when it asks a server.
    pub const fn target(&self) -> Option<&Target> {
        match self {
            Self::Icmp(check) => Some(&check.target),
            Self::Tcp(check) => Some(&check.target),
            Self::TcpKeepalive(check) => Some(&check.target),
            Self::Udp(check) => Some(&check.target),
            Self::Http(check) => Some(&check.target),
            Self::Grpc(check) => Some(&check.target),
            Self::Dns(check) => Some(&check.target),
            Self::Smtp(check) => Some(&check.target),
            Self::Tls(check) => Some(&check.target),
            _ => None,
        }
    }

    pub(crate) const fn target_mut(&mut self) -> Option<&mut Target> {
        match self {
            Self::Icmp(check) => Some(&mut check.target),
            Self::Tcp(check) => Some(&mut check.target),
            Self::TcpKeepalive(check) => Some(&mut check.target),
            Self::Udp(check) => Some(&mut check.target),
            Self::Http(check) => Some(&mut check.target),
            Self::Grpc(check) => Some(&mut check.target),
            Self::Dns(check) => Some(&mut check.target),
            Self::Smtp(check) => Some(&mut check.target),
            Self::Tls(check) => Some(&mut check.target),
            _ => None,
        }
    }
}

/// `kind = "icmp"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IcmpCheck {
    /// Whom to ping; its port is 0.
    pub target: Target,
    /// Echo requests in one attempt, 1..=20; default 1.
    pub count: u8,
    /// The largest share of them that may stay unanswered, in percent, 0..=99; default 0.
    pub tolerated_loss_percent: u8,
    /// Octets of payload in each, 0..=1400; default 56.
    pub size: u16,
}

/// `kind = "tcp"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TcpCheck {
    /// Whom to connect to.
    pub target: Target,
}

/// `kind = "tcp_keepalive"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TcpKeepaliveCheck {
    /// Whom to connect to.
    pub target: Target,
    /// Silence after which the kernel begins to probe (TCP_KEEPIDLE), 1 s ..= 1 h in whole seconds; default 5 s.
    pub idle: Duration,
    /// Between two probes (TCP_KEEPINTVL), 1 s ..= 1 h in whole seconds; default 1 s.
    pub probe_interval: Duration,
    /// Unanswered probes after which the peer is dead (TCP_KEEPCNT), 1..=127; default 3.
    pub probe_count: u8,
    /// The peer is dead when it was silent for so long although it was probed, or when so old data is not acknowledged
    /// (TCP_USER_TIMEOUT), 1 s ..= 1 h; default idle + count × interval. Takes precedence over `probe_count`.
    pub user_timeout: Duration,
    /// Between two tries to connect while the peer is dead, 100 ms ..= 1 h; default 1 s.
    pub retry: Duration,
}

/// `kind = "udp"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UdpCheck {
    /// Whom to send to.
    pub target: Target,
    /// What to send, 0..=1400 octets; default nothing.
    pub payload: Vec<u8>,
    /// What must come back; `None` = nothing need come, only a refusal (ICMP unreachable) fails.
    pub reply: Option<UdpReply>,
}

/// What a datagram in answer must be.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum UdpReply {
    /// Anything.
    Any,
    /// Begins with these octets; `None` stands for any octet.
    Octets(Vec<Option<u8>>),
    /// Text in which this regular expression is found.
    Matches(String),
}

/// `kind = "http"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct HttpCheck {
    /// Whom to connect to.
    pub target: Target,
    /// `Some` = HTTPS.
    pub tls: Option<TlsOptions>,
    /// Default HTTP/1.1.
    pub version: HttpVersion,
    /// Default `GET`.
    pub method: String,
    /// Path and query, beginning with `/`; default `/`.
    pub path: String,
    /// More headers, in order.
    pub headers: Vec<(String, Secret)>,
    /// Status codes that pass, as ranges with both ends; default 200..=299.
    pub status: Vec<(u16, u16)>,
    /// A regular expression that must be found in the body.
    pub body_matches: Option<String>,
    /// A regular expression that must not be found in the body.
    pub body_lacks: Option<String>,
    /// SHA-256 of the whole body.
    pub body_sha256: Option<[u8; 32]>,
    /// MD5 of the whole body, which keepalived's `digest` is; protects against mistakes, not against forgery.
    pub body_md5: Option<[u8; 16]>,
    /// Octets of the body that are read at most, 1..=1 048 576; default 65 536.
    pub body_limit: u32,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum HttpVersion {
    /// RFC 9112.
    #[default]
    Http1,
    /// RFC 9113; without TLS by prior knowledge.
    Http2,
}

/// `kind = "grpc"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GrpcCheck {
    /// Whom to connect to.
    pub target: Target,
    /// `Some` = over TLS.
    pub tls: Option<TlsOptions>,
    /// The service asked about; empty (default) = the server as a whole.
    pub service: String,
}

/// `kind = "dns"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DnsCheck {
    /// The name server; its port is 53 by default.
    pub target: Target,
    /// The name asked for, without a trailing dot; `.` = the root.
    pub query: String,
    /// The type of the records asked for; default A.
    pub record: DnsRecord,
    /// The response code (RFC 6895 §2.3) that passes, 0..=15; default 0, NOERROR.
    pub response_code: u8,
    /// What the answer must contain; default a record of the type.
    pub answers: DnsAnswers,
    /// Ask over TCP at once, instead of only when the answer over UDP is truncated; default false.
    pub tcp: bool,
}

/// What the answer of a name server must contain.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum DnsAnswers {
    /// Anything, also nothing.
    Any,
    /// At least one record of the type that was asked for.
    Some,
    /// Each of these, as in a zone file; others may stand beside them.
    These(Vec<String>),
}

/// The type of a DNS record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum DnsRecord {
    /// IPv4 address.
    #[default]
    A,
    /// IPv6 address.
    Aaaa,
    /// Canonical name.
    Cname,
    /// Mail exchanger.
    Mx,
    /// Name server.
    Ns,
    /// Pointer.
    Ptr,
    /// Start of authority.
    Soa,
    /// Service.
    Srv,
    /// Text.
    Txt,
}

impl DnsRecord {
    /// The word in the file and in zone files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Cname => "CNAME",
            Self::Mx => "MX",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Soa => "SOA",
            Self::Srv => "SRV",
            Self::Txt => "TXT",
        }
    }
}

/// `kind = "smtp"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SmtpCheck {
    /// The mail server; its port is 25 by default, 465 with TLS from the first octet.
    pub target: Target,
    /// The name in EHLO; `None` = the node's name.
    pub hello: Option<String>,
    /// How TLS comes in; default not at all.
    pub security: SmtpSecurity,
}

/// How a connection to a mail server is protected.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SmtpSecurity {
    /// In clear.
    None,
    /// STARTTLS must be offered and succeed.
    Starttls(TlsOptions),
    /// TLS from the first octet.
    Tls(TlsOptions),
}

/// `kind = "tls"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TlsCheck {
    /// Whom to connect to; its port is 443 by default.
    pub target: Target,
    /// What the certificate must be.
    pub tls: TlsOptions,
}

/// `kind = "script"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ScriptCheck {
    /// What is run.
    pub command: Command,
    /// Exit statuses from 2 to 255 pass, too, and give the check the value `status − 2` (as keepalived's
    /// `misc_dynamic`); default false: every status but 0 fails.
    pub value_from_exit: bool,
}

/// `kind = "process"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ProcessCheck {
    /// Which processes are counted.
    pub process: ProcessMatch,
    /// How much of that must be the same; default all.
    pub extent: MatchExtent,
    /// Passes with at least so many, 0..=65535; default 1.
    pub minimum: u32,
    /// Passes with at most so many; default no limit.
    pub maximum: Option<u32>,
}

/// Which processes are meant.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ProcessMatch {
    /// The kernel's name of it (`/proc/PID/comm`), at most 15 octets.
    Name(String),
    /// The whole command line, its arguments joined by blanks.
    CommandLine(String),
}

/// How a text is compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum MatchExtent {
    /// All of it is the same.
    #[default]
    Whole,
    /// It begins with the text.
    Beginning,
    /// The text is somewhere in it.
    Part,
}

/// `kind = "file"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct FileCheck {
    /// Absolute path of a file with one whole number.
    pub path: PathBuf,
    /// Passes with at least this number; default none.
    pub minimum: Option<i32>,
    /// Passes with at most this number; default none.
    pub maximum: Option<i32>,
    /// The number that a missing file stands for; `None` (default) = it fails.
    pub missing: Option<i32>,
}

/// `kind = "interface"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct InterfaceCheck {
    /// The link, which must be up and have a carrier.
    pub interface: String,
}

/// `kind = "route"`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct RouteCheck {
    /// The network, exactly as it stands in the table.
    pub destination: (IpAddr, u8),
    /// The gateway it must lead to; `None` = any.
    pub gateway: Option<IpAddr>,
    /// The link it must lead through; `None` = any.
    pub interface: Option<String>,
    /// The routing table, 1..=4294967295; default 254, the main table.
    pub table: u32,
}

impl RouteCheck {
    /// The kernel's number of the main routing table.
    pub const MAIN_TABLE: u32 = 254;
}
