//! An event as JSON to a URL, signed, over HTTP/1.1. What the receiver answers counts by its status alone; the body is not read.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use ring::hmac;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

use super::document::Document;
use super::queue::Waiting;
use super::serve::{Channel, Delivery};
use crate::api;
use crate::journal::Journal;

/// A receiver of JSON.
pub(super) struct Webhook {
    journal: Arc<Journal>,
    place: Place,
    tls: Secure,
    key: Option<hmac::Key>,
}

/// Where to.
pub(super) struct Place {
    host: String,
    port: u16,
    /// What the `Host` header says.
    authority: HeaderValue,
    path: String,
}

impl Webhook {
    /// # Errors
    /// What of the configuration cannot be used.
    pub(super) fn new(configured: &ha_config::Webhook, journal: Arc<Journal>) -> Result<Self, String> {
        let (place, tls) = way(configured)?;
        let secret = configured.secret.as_ref().map(|secret| secret.expose().as_bytes());
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(Self { journal, place, tls, key })
    }

    fn request(&self, document: &Document) -> Result<Request<Full<Bytes>>, http::Error> {
        let body = document.octets();
        let mut request = Request::post(&self.place.path)
            .header(HOST, &self.place.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("ha-agent/", env!("CARGO_PKG_VERSION")))
            .header("x-ha-event", document.kind())
            .header("x-ha-delivery", document.name());
        if let Some(key) = &self.key {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            request = request.header("x-ha-signature", signature(key, now, &body));
        }
        request.body(Full::new(body.into()))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<StatusCode, String> {
        let Place { host, port, .. } = &self.place;
        let stream = TcpStream::connect((host.as_str(), *port)).await;
        let stream = stream.map_err(|error| format!("cannot connect to {host} port {port}: {error}"))?;
        match &self.tls {
            None => exchange(stream, request).await,
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await;
                let stream = stream.map_err(|error| format!("no TLS with {host} port {port}: {error}"))?;
                exchange(stream, request).await
            }
        }
    }
}

/// What of the configuration can be used only when its files can be read.
type Secure = Option<(TlsConnector, ServerName<'static>)>;

/// Where to, and how.
///
/// # Errors
/// What of the configuration cannot be used.
pub(super) fn way(configured: &ha_config::Webhook) -> Result<(Place, Secure), String> {
    let uri: Uri =
        configured.url.expose().parse().map_err(|error| format!("the URL cannot be used: {error}"))?;
    let host = uri.host().ok_or("the URL has no host")?.trim_matches(['[', ']']).to_owned();
    let is_secure = uri.scheme_str() == Some("https");
    let tls = is_secure.then(|| connector(&configured.tls, &host)).transpose()?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let place = Place {
        port: uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 }),
        authority: HeaderValue::from_str(authority).map_err(|error| error.to_string())?,
        path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        host,
    };
    Ok((place, tls))
}

impl Channel for Webhook {
    fn most(&self) -> usize {
        1
    }

    async fn deliver(&mut self, batch: &[Waiting]) -> Delivery {
        for waiting in batch {
            let document =
                Document::new(self.journal.node(), api::event(&self.journal, &waiting.notice.record));
            let request = match self.request(&document) {
                Ok(request) => request,
                Err(error) => return Delivery::Never(error.to_string()),
            };
            match self.send(request).await {
                Ok(status) if status.is_success() => {}
                Ok(status) => return refusal(status),
                Err(why) => return Delivery::Again(why),
            }
        }
        Delivery::Done
    }
}

/// What is worth another attempt, and what is not: a receiver that cannot now, and one that will not ever.
fn refusal(status: StatusCode) -> Delivery {
    let why = format!("the receiver answers {status}");
    let may_change = status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
    if may_change { Delivery::Again(why) } else { Delivery::Never(why) }
}

/// One request on a connection of its own.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
) -> Result<StatusCode, String> {
    let fail = |error: hyper::Error| format!("no HTTP: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(fail)?;
    // Ends with this attempt, whatever the receiver still sends.
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(fail)?;
    Ok(response.status())
}

/// `t=` the time in seconds since 1970, `v1=` HMAC-SHA256 in hexadecimal over that time, a dot and the body. A receiver that
/// refuses old times cannot be made to believe an old event.
fn signature(key: &hmac::Key, time: u64, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(key);
    context.update(format!("{time}.").as_bytes());
    context.update(body);
    let tag = context.sign();
    let digits: String = tag.as_ref().iter().map(|octet| format!("{octet:02x}")).collect();
    format!("t={time},v1={digits}")
}

fn connector(
    options: &ha_config::TlsOptions,
    host: &str,
) -> Result<(TlsConnector, ServerName<'static>), String> {
    let name = options.server_name.clone().unwrap_or_else(|| host.to_owned());
    let name = ServerName::try_from(name).map_err(|error| format!("no name for TLS: {error}"))?;
    let own = ha_probe::TlsOptions {
        verify: options.verify,
        server_name: None,
        ca_file: options.ca_file.clone(),
        certificate_file: options.certificate_file.clone(),
        key_file: options.key_file.clone(),
        expires_within: std::time::Duration::ZERO,
    };
    let config: ClientConfig = ha_probe::tls_client(&own).map_err(|error| error.to_string())?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_what_openssl_computes() {
        // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secret
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"secret");
        let expected = "t=1700000000,v1=49f24e537407743fa4a0242bb63b94b9a47ee99cbbe071ccd8a22550ae411686";
        assert_eq!(signature(&key, 1_700_000_000, br#"{"a":1}"#), expected);
    }

    #[test]
    fn only_what_may_change_is_tried_again() {
        for (status, again) in [
            (301, false),
            (400, false),
            (401, false),
            (404, false),
            (408, true),
            (425, true),
            (429, true),
            (500, true),
            (503, true),
        ] {
            let delivery = refusal(StatusCode::from_u16(status).unwrap());
            assert_eq!(matches!(delivery, Delivery::Again(_)), again, "{status}");
        }
    }
}
