//! What a check looks at, as one line for a human. Shows no header, no query of a URL, and no argument of a command: those
//! may be secrets.

use std::fmt;

use ha_engine::Expr;

use super::check::{Check, CheckKind, HttpCheck, ProcessMatch, RouteCheck};
use super::target::{Host, Target};

impl Check {
    /// What it looks at, in a line for people. Without what may be secret: the query of a URL, the arguments of a program.
    pub fn looks_at(&self) -> String {
        self.policy.rule.as_ref().map_or_else(|| self.kind.to_string(), rule)
    }
}

impl fmt::Display for CheckKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(check) => http(check, f),
            Self::Grpc(check) if check.service.is_empty() => check.target.fmt(f),
            Self::Grpc(check) => write!(f, "{} of {}", check.service, check.target),
            Self::Dns(check) => write!(f, "{} {} at {}", check.record.as_str(), check.query, check.target),
            Self::Script(check) => {
                let program = check.command.argv.first().map_or("", String::as_str);
                write!(f, "{program}{}", if check.command.argv.len() > 1 { " …" } else { "" })
            }
            Self::Process(check) => match &check.process {
                ProcessMatch::Name(name) => f.write_str(name),
                ProcessMatch::CommandLine(line) => f.write_str(line.split(' ').next().unwrap_or_default()),
            },
            Self::File(check) => check.path.display().fmt(f),
            Self::Interface(check) => f.write_str(&check.interface),
            Self::Route(check) => route(check, f),
            Self::Expr => f.write_str("other checks"),
            other => other.target().map_or(Ok(()), |target| target.fmt(f)),
        }
    }
}

/// `host:port`, and the address when the connection goes elsewhere.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        host_and_port(&self.host, self.port, f)?;
        elsewhere(self, f)
    }
}

/// Without a port when that is 0.
fn host_and_port(host: &Host, port: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match host {
        host if port == 0 => write!(f, "{host}"),
        Host::Address(address) if address.is_ipv6() => write!(f, "[{address}]:{port}"),
        host => write!(f, "{host}:{port}"),
    }
}

/// Where the connection goes, when the host does not say it.
fn elsewhere(target: &Target, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let port = target.connect_port.unwrap_or(target.port);
    let address = target.connect_address.map(Host::Address);
    let host = address.as_ref().unwrap_or(&target.host);
    if *host == target.host && port == target.port {
        return Ok(());
    }
    f.write_str(" at ")?;
    host_and_port(host, port, f)
}

fn http(check: &HttpCheck, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (scheme, usual) = if check.tls.is_some() { ("https", 443) } else { ("http", 80) };
    write!(f, "{scheme}://")?;
    match (&check.target.host, check.target.port) {
        (Host::Address(address), port) if port == usual && address.is_ipv6() => write!(f, "[{address}]")?,
        (host, port) => host_and_port(host, if port == usual { 0 } else { port }, f)?,
    }
    f.write_str(check.path.split('?').next().unwrap_or_default())?;
    elsewhere(&check.target, f)
}

fn route(check: &RouteCheck, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (network, prefix) = check.destination;
    write!(f, "{network}/{prefix}")?;
    if let Some(gateway) = check.gateway {
        write!(f, " via {gateway}")?;
    }
    if let Some(interface) = &check.interface {
        write!(f, " through {interface}")?;
    }
    if check.table == RouteCheck::MAIN_TABLE { Ok(()) } else { write!(f, " in table {}", check.table) }
}

fn rule(rule: &Expr) -> String {
    let names = |members: &[std::sync::Arc<str>]| {
        members.iter().map(|name| name.strip_prefix("checks/").unwrap_or(name)).collect::<Vec<_>>().join(" ")
    };
    match rule {
        Expr::AllOf(members) => format!("all of {}", names(members)),
        Expr::AnyOf(members) => format!("any of {}", names(members)),
        Expr::AtLeast(count, members) => format!("at least {count} of {}", names(members)),
    }
}
