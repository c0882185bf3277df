//! What to check, as plain data, and what may be wrong with it.

use std::fmt;

use crate::dns::Dns;
use crate::file::NumberFile;
use crate::grpc::Grpc;
use crate::http::Http;
use crate::icmp::Icmp;
use crate::interface::Interface;
use crate::process::Process;
use crate::route::Route;
use crate::script::Script;
use crate::smtp::Smtp;
use crate::tcp::Tcp;
use crate::tcp_keepalive::TcpKeepalive;
use crate::tls::Tls;
use crate::udp::Udp;

/// One kind of check with its parameters. [`crate::Probe::new`] compiles it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Spec {
    /// A TCP connection can be made.
    Tcp(Tcp),
    /// A name server answers a question.
    Dns(Dns),
    /// Echo requests are answered.
    Icmp(Icmp),
    /// A TCP connection is held and watched.
    TcpKeepalive(TcpKeepalive),
    /// A service says that it is serving.
    Grpc(Grpc),
    /// A page is fetched.
    Http(Http),
    /// A mail server is ready.
    Smtp(Smtp),
    /// A TLS handshake succeeds.
    Tls(Tls),
    /// A datagram is answered, or not refused.
    Udp(Udp),
    /// A number in a file.
    File(NumberFile),
    /// A link that is up and running.
    Interface(Interface),
    /// A number of processes.
    Process(Process),
    /// A route in the kernel's table.
    Route(Route),
    /// A program's exit status.
    Script(Script),
}

/// A parameter that cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct Invalid {
    /// The parameter, by its word in the configuration.
    pub parameter: &'static str,
    /// What is wrong with it, with the value unless that is secret, and what to do.
    pub message: String,
}

impl Invalid {
    pub(crate) fn new(parameter: &'static str, message: impl Into<String>) -> Self {
        Self { parameter, message: message.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.parameter, self.message)
    }
}
