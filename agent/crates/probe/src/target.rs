//! Where a network check goes and from where it starts.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::spec::Invalid;

/// A server and the way to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The server. Its name is also what TLS and HTTP call it, whatever address the connection goes to.
    pub host: Host,
    /// The server's port, 1..=65535; without meaning for `icmp`.
    pub port: u16,
    /// Connect to this address instead of the host's.
    pub connect_address: Option<IpAddr>,
    /// Connect to this port instead of the server's.
    pub connect_port: Option<u16>,
    /// From where.
    pub origin: Origin,
}

/// A server's address or DNS name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Host {
    /// An address: nothing is resolved.
    Address(IpAddr),
    /// A DNS name, without a dot at its end.
    Name(Box<str>),
}

/// From where a check starts. The kernel chooses what is not given.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Origin {
    /// The source address; must be on this node when the attempt starts.
    pub address: Option<IpAddr>,
    /// The device that packets must use (SO_BINDTODEVICE), 1..=15 octets.
    pub device: Option<Box<str>>,
    /// The firewall mark of the packets (SO_MARK); needs CAP_NET_ADMIN or CAP_NET_RAW.
    pub mark: Option<u32>,
}

impl Target {
    /// A server at an address or name, reached directly.
    pub fn new(host: Host, port: u16) -> Self {
        Self { host, port, connect_address: None, connect_port: None, origin: Origin::default() }
    }

    /// What is wrong with it, if anything.
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        if self.connect_port.unwrap_or(self.port) == 0 {
            return Err(Invalid::new("port", "0 is not a port; use 1..65535"));
        }
        self.check_origin()
    }

    pub(crate) fn check_origin(&self) -> Result<(), Invalid> {
        if let Some(device) = &self.origin.device
            && !(1..=15).contains(&device.len())
        {
            let text = format!("`{device}` is not the name of a device: these have 1..15 octets");
            return Err(Invalid::new("bind_device", text));
        }
        let to = self.connect_address.or(self.host.address());
        if self.origin.device.is_none() && to.is_some_and(is_link_local) {
            let text = "an address of fe80::/10 needs the device whose link it is on";
            return Err(Invalid::new("bind_device", text));
        }
        match (self.origin.address, to) {
            (Some(from), Some(to)) if from.is_ipv4() != to.is_ipv4() => {
                let text = format!("{from} and the target {to} are of different families");
                Err(Invalid::new("bind_address", text))
            }
            _ => Ok(()),
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

impl Host {
    fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl FromStr for Host {
    type Err = Invalid;

    /// An IPv4 or IPv6 address (also in brackets), or a DNS name (RFC 1123 §2.1, with underscores).
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse() {
            return Ok(Self::Address(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A last label of digits only would be a misspelt address (RFC 3696 §2).
        let is_number =
            name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
        if name.len() <= 253 && !is_number && name.split('.').all(is_label) {
            return Ok(Self::Name(name.to_ascii_lowercase().into()));
        }
        Err(Invalid::new("host", format!("`{}` is neither an address nor a DNS name", text.escape_debug())))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_an_address_or_a_name() {
        let address = |text: &str| Some(Host::Address(text.parse().expect("an address")));
        let name = |text: &str| Some(Host::Name(text.into()));
        let long = "a".repeat(64);
        let cases = [
            ("192.0.2.1", address("192.0.2.1")),
            ("2001:db8::1", address("2001:db8::1")),
            ("[2001:db8::1]", address("2001:db8::1")),
            ("Web-1.example.ORG.", name("web-1.example.org")),
            ("_health.web", name("_health.web")),
            ("localhost", name("localhost")),
            ("", None),
            ("192.0.2.256", None),
            ("a..b", None),
            ("-a.b", None),
            ("a b", None),
            (&long, None),
        ];
        for (text, host) in cases {
            assert_eq!(text.parse::<Host>().ok(), host, "{text}");
        }
    }
}
