//! What a check looks at, in one line for people.

use std::net::IpAddr;

use ha_config::{Check, CheckKind, Host, HttpVersion, ProcessMatch, Target};

/// In the form of a URL where there is one.
pub(super) fn target(check: &Check) -> String {
    match &check.kind {
        CheckKind::Icmp(check) => host(&check.target),
        CheckKind::Tcp(check) => format!("tcp://{}", server(&check.target)),
        CheckKind::TcpKeepalive(check) => format!("tcp://{}", server(&check.target)),
        CheckKind::Udp(check) => format!("udp://{}", server(&check.target)),
        CheckKind::Http(check) => {
            let scheme = if check.tls.is_some() { "https" } else { "http" };
            let version = if check.version == HttpVersion::Http2 { " (HTTP/2)" } else { "" };
            format!("{scheme}://{}{}{version}", server(&check.target), check.path)
        }
        CheckKind::Grpc(check) => format!("grpc://{}/{}", server(&check.target), check.service),
        CheckKind::Dns(check) => format!("dns://{}/{}", server(&check.target), check.query),
        CheckKind::Smtp(check) => format!("smtp://{}", server(&check.target)),
        CheckKind::Tls(check) => format!("tls://{}", server(&check.target)),
        CheckKind::Script(check) => check.command.argv.join(" "),
        CheckKind::Process(check) => match &check.process {
            ProcessMatch::Name(name) => format!("process {name}"),
            ProcessMatch::CommandLine(line) => format!("process with the command line {line}"),
        },
        CheckKind::File(check) => check.path.display().to_string(),
        CheckKind::Interface(check) => format!("interface {}", check.interface),
        CheckKind::Route(check) => format!("route to {}/{}", check.destination.0, check.destination.1),
        CheckKind::Expr => rule(check),
    }
}

fn server(target: &Target) -> String {
    format!("{}:{}", host(target), target.connect_port.unwrap_or(target.port))
}

/// Where it goes, whatever the server is called.
fn host(target: &Target) -> String {
    match (target.connect_address, &target.host) {
        (Some(address), _) => bracketed(address),
        (None, Host::Address(address)) => bracketed(*address),
        (None, Host::Name(name)) => name.clone(),
    }
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

fn rule(check: &Check) -> String {
    let Some(rule) = &check.policy.rule else { return String::new() };
    let members: Vec<&str> = rule.members().iter().map(|member| &**member).collect();
    let (wanted, total) = (rule.wanted(), members.len());
    format!("at least {wanted} of {total}: {}", members.join(", "))
}
