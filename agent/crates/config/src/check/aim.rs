//! Where a check of a server goes: by itself, or in a pool, where each server takes its turn.

use std::net::IpAddr;
use std::ops::Range;

use super::Kind;
use crate::address::is_link_local_v6;
use crate::instance::interface;
use crate::model::{Host, Origin, Target};
use crate::reader;
use crate::report::Report;
use crate::section::{Section, Slot, Spot};
use crate::value::{Value, shown};

/// The keys of the target as they stand.
pub(crate) struct Aim {
    pub(crate) host: Slot<Host>,
    pub(crate) port: Slot<u16>,
    pub(crate) connect_address: Slot<IpAddr>,
    connect_port: Slot<u16>,
    origin: Origin,
    /// The port when nothing is said; `None` = it must be said.
    usual_port: Option<u16>,
    /// Whether the host's name means something to the server, beyond finding it.
    host_is_spoken: bool,
}

impl Aim {
    pub(super) fn read(
        kind: Kind,
        section: &Section<'_>,
        url: &Slot<Url>,
        has_tls: bool,
        report: &mut Report<'_>,
    ) -> Self {
        let mut host = section.read(report, "host", reader::host);
        let mut port = section.read(report, "port", reader::port);
        if !url.is_absent() {
            reject_beside_url(section, &["host", "port"], report);
            host = url.spot().map_or(Slot::Broken, |url| url.slot(Some(url.value.host.clone())));
            port = url.spot().map_or(Slot::Broken, |url| url.slot(url.value.port));
        }
        let aim = Self {
            host,
            port,
            connect_address: section.read(report, "connect_address", reader::connect_address),
            connect_port: section.read(report, "connect_port", reader::port),
            origin: read_origin(section, report),
            usual_port: usual_port(kind, has_tls),
            host_is_spoken: matches!(kind, Kind::Http | Kind::Grpc | Kind::Smtp | Kind::Tls),
        };
        aim.check_families(report);
        aim
    }

    /// Whether it goes to one place, whoever names it. Otherwise a pool aims it at each of its servers.
    pub(crate) fn is_fixed(&self) -> bool {
        !self.connect_address.is_absent() || (!self.host.is_absent() && !self.host_is_spoken)
    }

    /// Whether it can go somewhere without a pool.
    pub(crate) fn has_host(&self) -> bool {
        !self.host.is_absent() || !self.connect_address.is_absent()
    }

    /// The target outside of a pool; reports what is missing for it.
    pub(crate) fn target(&self, title: &str, span: &Range<usize>, report: &mut Report<'_>) -> Option<Target> {
        let address = self.connect_address.value().copied();
        let host = self.host.value().cloned().or(address.map(Host::Address));
        if host.is_none() && self.host.is_absent() && self.connect_address.is_absent() {
            let remedy = "add host = \"10.0.0.1\"; only pools fill in the address of a server";
            report.error(span, format!("{title} has no host"), remedy);
        }
        let port = self.port.value().copied().or(self.usual_port);
        if port.is_none() && self.port.is_absent() {
            report.error(span, format!("{title} has no port"), "add port = 80");
        }
        Some(Target {
            host: host?,
            port: port?,
            connect_address: address,
            connect_port: self.connect_port.value().copied(),
            origin: self.origin.clone(),
        })
    }

    /// The target in a pool: the server, unless the check says where it connects.
    pub(crate) fn target_of_server(&self, address: IpAddr, port: u16) -> Target {
        let has_ports = self.usual_port != Some(0);
        let port = self.port.value().copied().unwrap_or(if has_ports { port } else { 0 });
        Target {
            host: self.host.value_or(Host::Address(address)),
            port,
            connect_address: Some(address),
            connect_port: self.connect_port.value().copied(),
            origin: self.origin.clone(),
        }
    }

    /// Where the file says where it connects.
    pub(crate) fn place(&self) -> Option<&Range<usize>> {
        let connect = self.connect_address.spot().map(|spot| &spot.span);
        connect.or(self.host.spot().map(|spot| &spot.span))
    }

    /// The source must be of the target's family, and a link-local target on a known link.
    fn check_families(&self, report: &mut Report<'_>) {
        let host = self.host.value().and_then(|host| match host {
            Host::Address(address) => Some(*address),
            Host::Name(_) => None,
        });
        let to = self.connect_address.value().copied().or(host);
        let (Some(to), Some(place)) = (to, self.place()) else {
            return;
        };
        if self.origin.interface.is_none() && is_link_local_v6(to) {
            let message = format!("{to} is link-local, and every link may have it");
            report.error(place, message, "add interface = \"eth0\", the link that it is on");
        }
        if let Some(from) = self.origin.source.filter(|from| from.is_ipv4() != to.is_ipv4()) {
            let message = format!("source {from} cannot reach {to}, which is of the other family");
            report.error(place, message, "write a source of the same family, or remove source");
        }
    }
}

impl Spot<Url> {
    /// A part of the URL, at the place of the URL.
    fn slot<T>(&self, part: Option<T>) -> Slot<T> {
        part.map_or(Slot::Absent, |value| {
            Slot::Given(Spot { value, span: self.span.clone(), inherited: false })
        })
    }
}

/// Reports keys that the URL says already.
pub(super) fn reject_beside_url(section: &Section<'_>, keys: &[&str], report: &mut Report<'_>) {
    for (key, value) in keys.iter().filter_map(|key| Some((key, section.get(key)?))) {
        let message = format!("{} has url and {key}, which is a part of url", section.title);
        report.error(&value.span(), message, "remove one of the two; connect_address leads elsewhere");
    }
}

fn read_origin(section: &Section<'_>, report: &mut Report<'_>) -> Origin {
    Origin {
        source: section.read(report, "source", reader::connect_address).value().copied(),
        interface: section.read(report, "interface", interface).value().cloned(),
        mark: section.read(report, "mark", |v, r| v.integer(r, 1..=u32::MAX)).value().copied(),
    }
}

/// By IANA, where a kind has one.
fn usual_port(kind: Kind, has_tls: bool) -> Option<u16> {
    match kind {
        Kind::Icmp => Some(0),
        Kind::Http if has_tls => Some(443),
        Kind::Http => Some(80),
        Kind::Dns => Some(53),
        Kind::Smtp if has_tls => Some(465),
        Kind::Smtp => Some(25),
        Kind::Tls => Some(443),
        _ => None,
    }
}

/// The parts of `http://host:port/path`.
pub(crate) struct Url {
    pub(super) is_https: bool,
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

/// An `http://` or `https://` URL without credentials and fragment.
pub(super) fn url(value: &Value<'_>, report: &mut Report<'_>) -> Option<Url> {
    let text = value.text(report)?;
    let (message, remedy) = match parse_url(text) {
        Ok(url) => return Some(url),
        Err(UrlProblem::Credentials) => (
            format!("{} contains credentials", value.key),
            "write them into headers = { Authorization = { file = \"…\" } }",
        ),
        Err(UrlProblem::Malformed(what)) => (
            format!("{} {} {what}", value.key, shown(text)),
            "write a URL such as \"http://10.0.0.1:8080/health\" or \"https://www.example.org/\"",
        ),
    };
    report.error(&value.span, message, remedy);
    None
}

/// Why a text is no URL.
pub(crate) enum UrlProblem {
    /// It shows a user, who would be found in logs.
    Credentials,
    /// Something else.
    Malformed(&'static str),
}

/// Takes an `http://` or `https://` URL apart.
pub(crate) fn parse_url(text: &str) -> Result<Url, UrlProblem> {
    let malformed = UrlProblem::Malformed;
    let (is_https, rest) = if let Some(rest) = text.strip_prefix("https://") {
        (true, rest)
    } else if let Some(rest) = text.strip_prefix("http://") {
        (false, rest)
    } else {
        return Err(malformed("begins with neither http:// nor https://"));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        return Err(UrlProblem::Credentials);
    }
    let is_unwritten = |c: char| c.is_whitespace() || c.is_control() || !c.is_ascii() || c == '#';
    if path.contains(is_unwritten) {
        return Err(malformed("has a blank, a '#' or a letter that a URL cannot have"));
    }
    let colon = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
    let (host, port) = match colon {
        Some(at) => (&authority[..at], Some(&authority[at + 1..])),
        None => (authority, None),
    };
    let host = reader::parse_host(host).ok_or(malformed("has no host that could be asked"))?;
    let port = port.map(|port| port.parse().ok().filter(|port| *port != 0));
    let port = match port {
        Some(None) => return Err(malformed("has a port that is none")),
        port => port.flatten(),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Ok(Url { is_https, host, port, path: format!("{slash}{path}") })
}
