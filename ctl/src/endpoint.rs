//! Where an agent listens, and with which certificates it is talked to.

use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::ClientConfig;

/// `unix:/path`, or `https://host:port` for TLS with certificates on both sides.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    place: Place,
    tls: Option<Arc<ClientConfig>>,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A unix socket.
    Unix(PathBuf),
    /// A host name or address, and a port.
    Tcp {
        /// As the certificate must name it.
        host: String,
        /// 1..65535.
        port: u16,
    },
}

/// Where agents listen when nothing else is said.
pub(crate) const PORT: u16 = 7443;

impl Endpoint {
    /// A unix socket.
    pub(crate) fn unix(path: impl AsRef<Path>) -> Self {
        Endpoint { place: Place::Unix(path.as_ref().to_owned()), tls: None }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it can only be reached with certificates.
    pub(crate) fn needs_tls(&self) -> bool {
        matches!(self.place, Place::Tcp { .. })
    }

    /// Whether a node of this name is to be found here, as far as can be told from the address: by its host name, in full or not.
    pub(crate) fn is_named(&self, node: &str) -> bool {
        let Place::Tcp { host, .. } = &self.place else { return false };
        let rest = host.get(..node.len()).filter(|start| start.eq_ignore_ascii_case(node));
        rest.is_some_and(|_| host[node.len()..].is_empty() || host[node.len()..].starts_with('.'))
    }

    /// The same, to be talked to with these certificates.
    pub(crate) fn with_tls(mut self, tls: &Arc<ClientConfig>) -> Self {
        self.tls = Some(Arc::clone(tls));
        self
    }

    /// With which certificates it is talked to.
    pub(crate) fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Endpoint {}

impl PartialOrd for Endpoint {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Endpoint {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = match (text.strip_prefix("unix:"), text.strip_prefix("https://")) {
            (Some(rest), _) => socket(rest.strip_prefix("//").unwrap_or(rest))?,
            (_, Some(rest)) => host_and_port(rest.strip_suffix('/').unwrap_or(rest))?,
            _ if text.starts_with('/') => socket(text)?,
            _ => return Err("give unix:/path or https://host:port".to_owned()),
        };
        Ok(Endpoint { place, tls: None })
    }
}

fn socket(path: &str) -> Result<Place, String> {
    match path {
        "" => Err("the path of the socket is missing".to_owned()),
        path => Ok(Place::Unix(PathBuf::from(path))),
    }
}

fn host_and_port(text: &str) -> Result<Place, String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the closing ] is missing")?;
            (host, after.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let port = match port {
        None => PORT,
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => port,
            _ => return Err(format!("{port} is no port: use 1..65535")),
        },
    };
    if rustls::pki_types::ServerName::try_from(host).is_err() {
        return Err(format!("{host:?} is neither a host name nor an address"));
    }
    Ok(Place::Tcp { host: host.to_owned(), port })
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Unix(path) => write!(f, "unix:{}", path.display()),
            Place::Tcp { host, port } if host.contains(':') => write!(f, "https://[{host}]:{port}"),
            Place::Tcp { host, port } => write!(f, "https://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_an_endpoint_mean_the_same() {
        for (text, shown) in [
            ("unix:/run/a.sock", "unix:/run/a.sock"),
            ("unix:///run/a.sock", "unix:/run/a.sock"),
            ("/run/a.sock", "unix:/run/a.sock"),
            ("https://node-a", "https://node-a:7443"),
            ("https://192.0.2.1:1/", "https://192.0.2.1:1"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:7443"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown, "{text}");
        }
        let relative = "unix:a.sock".parse::<Endpoint>().unwrap();
        assert_eq!(relative.place(), &Place::Unix("a.sock".into()));
    }

    #[test]
    fn a_host_name_may_be_that_of_a_node() {
        for (text, node, is_named) in [
            ("https://node-a:7443", "node-a", true),
            ("https://Node-A.example.org", "node-a", true),
            ("https://node-ab", "node-a", false),
            ("https://node", "node-a", false),
            ("https://192.0.2.1", "node-a", false),
            ("unix:/node-a", "node-a", false),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().is_named(node), is_named, "{text} {node}");
        }
    }

    #[test]
    fn what_is_no_endpoint_is_refused() {
        for text in [
            "http://a:1",
            "node-a",
            "",
            "unix:",
            "unix://",
            "https://",
            "https://a:0",
            "https://a b",
            "https://[::1",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
