//! One health-check attempt within a deadline: outcome, latency, evidence. Intervals, thresholds and verdicts stay in the
//! engine; what a check is called and who tracks it is nobody's business here.
//!
//! A [`Spec`] says what to check, [`Probe::new`] compiles it, [`Probe::attempt`] tries once and [`Probe::watch`] follows the
//! kinds that the kernel reports on by itself. KINDS.md beside this folder says what each kind sees and misses.
//!
//! Whatever a target does, an attempt ends by its deadline and holds a bounded amount of memory; dropping it closes all that
//! it opened.
#![forbid(unsafe_code)]

mod attempt;
pub mod command;
mod connect;
mod course;
mod destination;
mod dns;
mod errno;
mod evidence;
mod exchange;
mod failure;
mod file;
mod follower;
mod grpc;
mod http;
mod icmp;
mod interface;
mod netlink;
mod octets;
mod pattern;
mod probe;
mod process;
mod random;
#[doc(hidden)]
pub mod readers;
mod readiness;
mod resolve;
mod route;
mod script;
mod smtp;
mod socket;
mod spec;
mod stream;
mod talk;
mod target;
mod tcp;
mod tcp_keepalive;
#[cfg(test)]
mod testing;
mod tls;
mod udp;
mod watch;

pub use attempt::{Attempt, Outcome, Reason, Step, Trouble};
pub use dns::{Answers, Dns, RecordType, ResponseCode};
pub use evidence::{EVIDENCE_LIMIT, escaped};
pub use exchange::{Ended, Exchange, Exchanges};
pub use file::NumberFile;
pub use grpc::Grpc;
pub use http::{BodyRules, Header, Http, HttpVersion, StatusSet};
pub use icmp::Icmp;
pub use interface::Interface;
pub use octets::Pattern;
pub use probe::{Probe, Running, Start};
pub use process::{Extent, Field, Matching, Process};
pub use route::Route;
pub use script::Script;
pub use smtp::{Smtp, SmtpSecurity};
pub use spec::{Invalid, Spec};
pub use target::{Host, Origin, Target};
pub use tcp::Tcp;
pub use tcp_keepalive::TcpKeepalive;
pub use tls::{Tls, TlsOptions, tls_client};
pub use udp::{Reply, Udp};
pub use watch::Watch;
