//! What is sent, and over what: checked and put together once, then the same for every attempt.

use std::fmt;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Uri};

use super::Http;
use crate::connect::Connecting;
use crate::course::Course;
use crate::destination::Destination;
use crate::failure::Failure;
use crate::spec::Invalid;
use crate::stream::{Bounded, Stream};
use crate::target::{Host, Target};
use crate::tls::{Connector, TlsOptions};

/// Headers that are ours to set.
const OURS: [&str; 7] =
    ["host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "keep-alive"];
const MOST_HEADERS: usize = 64;
const LONGEST_PATH: usize = 8192;

/// Which HTTP is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum HttpVersion {
    /// HTTP/1.1 (RFC 9112).
    #[default]
    One,
    /// HTTP/2 (RFC 9113).
    Two,
}

/// A header of a request. Its value may be a secret and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ***", self.name)
    }
}

/// A request, ready to be sent.
pub(super) enum Request {
    /// As it stands on the wire.
    One {
        line: String,
        authority: String,
        is_head: bool,
        octets: Vec<u8>,
    },
    Two {
        line: String,
        authority: String,
        head: http::Request<()>,
    },
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.line())
    }
}

impl Request {
    pub(super) fn new(spec: &Http) -> Result<Self, Invalid> {
        let method = Method::from_bytes(spec.method.as_bytes()).map_err(|_| {
            Invalid::new("method", format!("`{}` is not an HTTP method", spec.method.escape_debug()))
        })?;
        if method == Method::CONNECT {
            return Err(Invalid::new("method", "CONNECT asks for a tunnel, not for a page"));
        }
        let path = path(&spec.path)?;
        let authority = authority(spec)?;
        let headers = headers(&spec.headers)?;
        // A query may carry a token.
        let line = format!("{method} {}", path.path());
        let is_head = method == Method::HEAD;
        Ok(match spec.version {
            HttpVersion::One => {
                let octets = octets(&method, &path, &authority, &headers);
                Self::One { line, authority, is_head, octets }
            }
            HttpVersion::Two => {
                let head = head(spec, method, path, &authority, headers)?;
                Self::Two { line, authority, head }
            }
        })
    }

    /// Method and path, for evidence.
    pub(super) fn line(&self) -> &str {
        match self {
            Self::One { line, .. } | Self::Two { line, .. } => line,
        }
    }

    pub(super) fn is_head(&self) -> bool {
        match self {
            Self::One { is_head, .. } => *is_head,
            Self::Two { head, .. } => head.method() == Method::HEAD,
        }
    }

    fn authority(&self) -> &str {
        match self {
            Self::One { authority, .. } | Self::Two { authority, .. } => authority,
        }
    }
}

fn path(path: &str) -> Result<PathAndQuery, Invalid> {
    let complain = |why: &str| Invalid::new("path", format!("`{}` {why}", path.escape_debug()));
    if !path.starts_with('/') {
        return Err(complain("does not begin with `/`"));
    }
    if path.len() > LONGEST_PATH {
        return Err(Invalid::new("path", format!("is longer than {LONGEST_PATH} octets")));
    }
    if path.contains('#') {
        return Err(complain("has a fragment, which is not for the server"));
    }
    path.parse().map_err(|_| complain("has characters that must be written as %XX"))
}

/// `Host` or `:authority` (RFC 9110 §7.2): the port only when it is not the scheme's own.
fn authority(spec: &Http) -> Result<String, Invalid> {
    if let Some(host) = &spec.host {
        let parsed = host.parse::<http::uri::Authority>();
        let is_plain = parsed.is_ok() && !host.contains('@');
        return if is_plain {
            Ok(host.clone())
        } else {
            Err(Invalid::new("host", format!("`{}` is not a host with or without port", host.escape_debug())))
        };
    }
    Ok(default_authority(&spec.target, spec.tls.is_some()))
}

pub(crate) fn default_authority(target: &Target, is_tls: bool) -> String {
    let host = match &target.host {
        Host::Address(address) if address.is_ipv6() => format!("[{address}]"),
        host => host.to_string(),
    };
    let usual = if is_tls { 443 } else { 80 };
    if target.port == usual { host } else { format!("{host}:{}", target.port) }
}

fn headers(headers: &[Header]) -> Result<HeaderMap, Invalid> {
    if headers.len() > MOST_HEADERS {
        return Err(Invalid::new("headers", format!("there are more than {MOST_HEADERS}")));
    }
    let mut map = HeaderMap::new();
    for Header { name, value } in headers {
        let complain = |why: &str| Invalid::new("headers", format!("`{}` {why}", name.escape_debug()));
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).map_err(|_| complain("is not the name of a header"))?;
        if OURS.contains(&parsed.as_str()) {
            return Err(complain("is set by the check itself; use `host` for the host"));
        }
        let mut value =
            HeaderValue::from_str(value).map_err(|_| complain("has a value with control characters"))?;
        value.set_sensitive(true);
        map.append(parsed, value);
    }
    map.entry("user-agent").or_insert(HeaderValue::from_static("ha-agent"));
    map.entry("accept").or_insert(HeaderValue::from_static("*/*"));
    Ok(map)
}

fn octets(method: &Method, path: &PathAndQuery, authority: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut octets =
        format!("{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        octets.extend(name.as_str().as_bytes());
        octets.extend(b": ");
        octets.extend(value.as_bytes());
        octets.extend(b"\r\n");
    }
    octets.extend(b"\r\n");
    octets
}

fn head(
    spec: &Http,
    method: Method,
    path: PathAndQuery,
    authority: &str,
    headers: HeaderMap,
) -> Result<http::Request<()>, Invalid> {
    let scheme = if spec.tls.is_some() { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(path).build();
    let uri = uri.map_err(|error| Invalid::new("host", error.to_string()))?;
    let mut head = http::Request::new(());
    (*head.method_mut(), *head.uri_mut(), *head.headers_mut()) = (method, uri, headers);
    *head.version_mut() = http::Version::HTTP_2;
    Ok(head)
}

/// Makes the connection that a request goes over.
#[derive(Debug)]
pub(crate) struct Opener {
    destination: Destination,
    connector: Option<Connector>,
}

impl Opener {
    pub(super) fn new(destination: Destination, spec: &Http, request: &Request) -> Result<Self, Invalid> {
        let protocol: &[u8] = match spec.version {
            HttpVersion::One => b"http/1.1",
            HttpVersion::Two => b"h2",
        };
        Self::with(destination, spec.tls.as_ref(), &spec.target, request.authority(), protocol)
    }

    /// `authority` also names the server for TLS, unless the options do.
    pub(crate) fn with(
        destination: Destination,
        tls: Option<&TlsOptions>,
        target: &Target,
        authority: &str,
        protocol: &[u8],
    ) -> Result<Self, Invalid> {
        let connector = tls.map(|options| {
            let name = options.server_name.clone().unwrap_or_else(|| without_port(authority).to_owned());
            let options = TlsOptions { server_name: Some(name), ..options.clone() };
            Connector::new(&options, target, Some(protocol))
        });
        Ok(Self { destination, connector: connector.transpose()? })
    }

    /// Where to, when it is reached without TLS.
    pub(super) fn plain(&self) -> Option<&Destination> {
        self.connector.is_none().then_some(&self.destination)
    }

    /// `most` is what the target may send in all.
    pub(crate) async fn open(&self, most: u64, course: &mut Course) -> Result<Stream, Failure> {
        let address = self.destination.resolve(course).await?;
        let stream = Connecting::begin(address, &self.destination.origin, course)?.finish().await?;
        let stream = Bounded::new(stream, most);
        Ok(match &self.connector {
            None => Stream::Plain(stream),
            Some(connector) => Stream::Tls(Box::new(connector.secure(stream, course).await?)),
        })
    }
}

/// The host of `host`, `host:port` or `[address]:port`.
fn without_port(authority: &str) -> &str {
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.split(':').next().unwrap_or_default(),
    }
}
