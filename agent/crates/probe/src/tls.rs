//! TLS to a target, and `tls`: a handshake succeeds with a certificate that is good. rustls with ring; every handshake is a
//! full one, because a resumed session would not look at the certificate.

mod certificate;
mod settings;
mod verifier;

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::certificate::{Validity, date};
use crate::attempt::Reason;
use crate::connect::Connecting;
use crate::course::Course;
use crate::destination::Destination;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;
use crate::stream::{self, Bounded};
use crate::target::Target;

pub(crate) use self::certificate::validity;
pub use self::settings::TlsOptions;

/// More than any chain of certificates needs.
const MOST_READ: u64 = 1 << 18;

/// TLS for connections that are no checks, by the same rules.
///
/// # Errors
/// [`Invalid`] names the file or the parameter that cannot be used.
pub fn tls_client(options: &TlsOptions) -> Result<ClientConfig, Invalid> {
    settings::client(options)
}

/// A TLS handshake succeeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// Where to.
    pub target: Target,
    /// What the certificate must be.
    pub tls: TlsOptions,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
    connector: Connector,
}

impl Compiled {
    pub(crate) fn new(spec: &Tls) -> Result<Self, Invalid> {
        let connector = Connector::new(&spec.tls, &spec.target, None)?;
        Ok(Self { destination: Destination::new(&spec.target)?, connector })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let address = self.destination.resolve(course).await?;
        let stream = Connecting::begin(address, &self.destination.origin, course)?.finish().await?;
        let stream = self.connector.secure(Bounded::new(stream, MOST_READ), course).await?;
        Ok(Success::new(description(&stream)))
    }
}

/// How to speak TLS with one target.
#[derive(Debug)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    expires_within: Duration,
}

impl Connector {
    /// `protocol` is offered by ALPN (RFC 7301).
    pub(crate) fn new(
        options: &TlsOptions,
        target: &Target,
        protocol: Option<&[u8]>,
    ) -> Result<Self, Invalid> {
        let mut config = settings::client(options)?;
        config.alpn_protocols = protocol.map(<[u8]>::to_vec).into_iter().collect();
        let name = options.server_name.clone().unwrap_or_else(|| target.host.to_string());
        let name =
            ServerName::try_from(name).map_err(|error| Invalid::new("server_name", error.to_string()))?;
        Ok(Self { config: Arc::new(config), name, expires_within: options.expires_within })
    }

    /// Makes the handshake and judges the certificate.
    pub(crate) async fn secure(
        &self,
        stream: Bounded,
        course: &mut Course,
    ) -> Result<TlsStream<Bounded>, Failure> {
        course.enter("tls");
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let secured =
            connector.connect(self.name.clone(), stream).await.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Failure::failed(
                    Reason::ClosedByPeer,
                    "the peer closed the connection in the TLS handshake",
                ),
                _ => stream::failure(&error, "make a TLS handshake"),
            })?;
        course.note(|| description(&secured));
        self.judge_expiry(&secured)?;
        Ok(secured)
    }

    fn judge_expiry(&self, stream: &TlsStream<Bounded>) -> Result<(), Failure> {
        let Some(validity) = peer_validity(stream).filter(|_| self.expires_within > Duration::ZERO) else {
            return Ok(());
        };
        let left = validity.left(UnixTime::now());
        if left >= self.expires_within {
            return Ok(());
        }
        let text = format!(
            "the certificate expires on {}, in {}; wanted at least {}",
            date(validity.not_after),
            days(left),
            days(self.expires_within)
        );
        Err(Failure::failed(Reason::TlsExpiresSoon, text))
    }
}

/// When the server's certificate is valid; `None` when its dates cannot be read.
fn peer_validity(stream: &TlsStream<Bounded>) -> Option<Validity> {
    let (_, connection) = stream.get_ref();
    validity(connection.peer_certificates()?.first()?)
}

/// Version, cipher and the end of the certificate.
fn description(stream: &TlsStream<Bounded>) -> String {
    let (_, connection) = stream.get_ref();
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLS 1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLS 1.2",
        _ => "TLS",
    };
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("");
    let until = peer_validity(stream).map(|validity| {
        format!(
            ", certificate until {} ({} left)",
            date(validity.not_after),
            days(validity.left(UnixTime::now()))
        )
    });
    format!("{version} {cipher}{}", until.unwrap_or_default())
}

fn days(duration: Duration) -> String {
    match duration.as_secs() / 86_400 {
        0 => format!("{} h", duration.as_secs() / 3600),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// What an error of TLS says about the target.
pub(crate) fn failure(error: &rustls::Error, action: &str) -> Failure {
    let (reason, text) = match error {
        rustls::Error::InvalidCertificate(error) => return certificate_failure(error),
        rustls::Error::InvalidMessage(_) => (Reason::Protocol, "what came is not TLS".to_owned()),
        rustls::Error::AlertReceived(alert) => {
            (Reason::TlsOther, format!("the peer sent the alert {}", alert_word(*alert)))
        }
        other => (Reason::TlsOther, other.to_string()),
    };
    Failure::failed(reason, format!("cannot {action}: {text}"))
}

fn alert_word(alert: AlertDescription) -> String {
    let remedy = match alert {
        AlertDescription::CertificateRequired => " (it wants a client certificate)",
        AlertDescription::NoApplicationProtocol => " (it does not speak this version of HTTP)",
        AlertDescription::UnrecognisedName => " (it does not know the server name)",
        _ => "",
    };
    format!("{}{remedy}", alert.as_str().unwrap_or("of an unknown kind"))
}

fn certificate_failure(error: &CertificateError) -> Failure {
    use CertificateError as Error;
    let (reason, text) = match error {
        Error::Expired => (Reason::TlsExpired, "the certificate has expired".to_owned()),
        Error::ExpiredContext { not_after, .. } => {
            (Reason::TlsExpired, format!("the certificate expired on {}", date(not_after.as_secs())))
        }
        Error::NotValidYetContext { not_before, .. } => {
            let text = format!(
                "the certificate is not valid before {}; is this node's clock right?",
                date(not_before.as_secs())
            );
            (Reason::TlsOther, text)
        }
        Error::NotValidForName => (Reason::TlsName, "the certificate is for another name".to_owned()),
        Error::NotValidForNameContext { expected, presented } => {
            let presented =
                presented.iter().take(3).map(|name| plain_name(name)).collect::<Vec<_>>().join(", ");
            let presented = if presented.is_empty() { "no name at all".to_owned() } else { presented };
            (Reason::TlsName, format!("the certificate is for {presented}, not for {}", expected.to_str()))
        }
        Error::UnknownIssuer => {
            let text = "the certificate comes from no authority that is trusted here; name its authority in `ca_file`";
            (Reason::TlsUntrusted, text.to_owned())
        }
        Error::BadSignature => {
            let text = "the certificate is not signed by the authority that is trusted here under the name of its issuer";
            (Reason::TlsUntrusted, text.to_owned())
        }
        // An authority's own certificate, which is what `openssl req -x509` makes.
        other if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            Reason::TlsUntrusted,
            "the certificate is self-signed; trust it by naming it in `ca_file`".to_owned(),
        ),
        other => (Reason::TlsOther, format!("the certificate is not good: {other}")),
    };
    Failure::failed(reason, text)
}

/// Names come as `DnsName("web.example.org")`.
fn plain_name(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or(name);
    crate::evidence::escaped(inner.trim_matches('"').as_bytes(), 60)
}

#[cfg(test)]
mod tests;
