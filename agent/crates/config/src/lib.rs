//! Text → (valid model, findings), and model × model → changes. The native format is TOML; `REFERENCE.md` beside this
//! crate documents every key. Reads no file and no clock: the text and a reader for password files are passed in.
//!
//! A configuration is whole or it is not there: [`Outcome::model`] is `Some` exactly when no finding is an error. All
//! findings come at once, each with its place and a remedy, and none shows the value of a secret.
#![forbid(unsafe_code)]

mod address;
mod changes;
mod check;
mod cluster;
mod document;
mod drafts;
mod duration;
mod effective;
mod files;
mod finding;
mod group;
mod instance;
mod keepalived;
mod keys;
mod model;
mod nearest;
mod notify;
mod place;
mod pool;
mod reader;
mod report;
mod secret;
mod section;
mod settings;
mod size;
mod summary;
mod syntax;
mod tls;
mod track;
mod value;

pub use changes::{Change, Item, changes};
pub use document::{Context, LARGEST_TEXT, Outcome, Source, convert, parse, parse_bytes};
pub use effective::{EffectiveValue, effective};
pub use finding::{Finding, Severity};
pub use keepalived::{Conversion, Machine, NoMachine, program_files};
pub use model::{
    Api, ApiLimits, ApiTls, Balancer, Check, CheckKind, Cluster, ClusterPeer, Command, Configuration,
    DnsAnswers, DnsCheck, DnsRecord, Fifo, FileCheck, GrpcCheck, Host, HttpCheck, HttpVersion, IcmpCheck,
    InterfaceCheck, Journal, Log, LogFormat, LogLevel, Mail, MailLogin, MailSecurity, MatchExtent, Metrics,
    Nginx, NginxForm, NginxPool, NginxSorry, Notifier, NotifyChannel, NotifyCommand, NotifyScope,
    NotifyState, Origin, PeerEndpoint, Pool, Principal, ProcessCheck, ProcessMatch, Realtime, Remedy,
    RouteCheck, ScriptCheck, Secret, SmtpCheck, SmtpSecurity, SplitBrain, Target, TcpCheck,
    TcpKeepaliveCheck, Telemetry, TlsCheck, TlsOptions, UdpCheck, UdpReply, Webhook,
};
pub use place::finding_at;
pub use summary::Summary;
