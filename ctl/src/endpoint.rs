//! Where an agent listens.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A unix socket: `unix:/path` or `unix:///path`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    path: PathBuf,
}

impl Endpoint {
    /// The path of the socket.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = match text.strip_prefix("unix:") {
            Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
            None if text.starts_with('/') => text,
            None => return Err("give unix:/path; this version speaks over unix sockets only".to_owned()),
        };
        if path.is_empty() {
            return Err("the path of the socket is missing".to_owned());
        }
        Ok(Endpoint { path: PathBuf::from(path) })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix:{}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ways_to_write_a_socket_mean_the_same() {
        for text in ["unix:/run/a.sock", "unix:///run/a.sock", "/run/a.sock"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), "unix:/run/a.sock", "{text}");
        }
        assert_eq!("unix:a.sock".parse::<Endpoint>().unwrap().path(), Path::new("a.sock"));
    }

    #[test]
    fn what_is_not_a_unix_socket_is_refused() {
        for text in ["http://a:1", "node-a", "", "unix:", "unix://"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
