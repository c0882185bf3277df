//! `grpc`: `grpc.health.v1.Health/Check` answers SERVING. Layer 5: the service says of itself that it serves.

mod message;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, TE};
use http::{Method, Request, Uri};

use self::message::{ServingStatus, framed, serving_status, unframed};
use crate::attempt::Reason;
use crate::course::Course;
use crate::destination::Destination;
use crate::evidence::escaped;
use crate::failure::{Failure, Success};
use crate::http::{Call, Opener, Outcome, Wanted, call, default_authority};
use crate::spec::Invalid;
use crate::target::Target;
use crate::tls::TlsOptions;

const PATH: &str = "/grpc.health.v1.Health/Check";
const LONGEST_SERVICE: usize = 1024;
/// An answer has a few octets; a longer one is not looked at.
const LARGEST_ANSWER: usize = 4096;
/// With heads, frames and TLS.
const MOST_READ: u64 = 1 << 18;

/// A service says that it is serving.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grpc {
    /// Where to.
    pub target: Target,
    /// `Some`: over TLS; `None`: HTTP/2 by prior knowledge.
    pub tls: Option<TlsOptions>,
    /// The service asked about; empty: the server as a whole.
    pub service: String,
    /// `:authority`, and the name for TLS; `None`: the target.
    pub host: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    opener: Opener,
    head: Request<()>,
    body: Bytes,
    service: String,
}

impl Compiled {
    pub(crate) fn new(spec: Grpc) -> Result<Self, Invalid> {
        let Grpc { target, tls, service, host } = spec;
        if service.len() > LONGEST_SERVICE {
            return Err(Invalid::new("service", format!("is longer than {LONGEST_SERVICE} octets")));
        }
        let authority = host.unwrap_or_else(|| default_authority(&target, tls.is_some()));
        let head = head(&authority, tls.is_some())?;
        let opener = Opener::with(Destination::new(&target)?, tls.as_ref(), &target, &authority, b"h2")?;
        let body = Bytes::from(framed(&message::request(&service)));
        Ok(Self { opener, head, body, service })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let stream = self.opener.open(MOST_READ, course).await?;
        let wanted = Wanted { body: true, limit: LARGEST_ANSWER, is_head: false };
        let question = Call { head: &self.head, body: Some(self.body.clone()), wanted };
        self.judge(&call(stream, question, course).await?)
    }

    fn judge(&self, outcome: &Outcome) -> Result<Success, Failure> {
        let wrong = |reason, text: String| Err(Failure::failed(reason, text));
        if outcome.answer.status != 200 {
            return wrong(Reason::WrongStatus, format!("HTTP status {}; wanted 200", outcome.answer.status));
        }
        let is_grpc = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/grpc");
        if !outcome.headers.get(CONTENT_TYPE).is_some_and(is_grpc) {
            return wrong(Reason::Protocol, "the answer is not gRPC".to_owned());
        }
        // With an error, the only headers may be the trailers.
        let status = outcome.trailers.as_ref().unwrap_or(&outcome.headers);
        match status.get("grpc-status").map(HeaderValue::as_bytes) {
            Some(b"0") => self.judge_message(&outcome.answer.body),
            Some(code) => wrong(Reason::WrongStatus, refusal(code, status, &self.service)),
            None => wrong(Reason::Protocol, "the answer has no grpc-status".to_owned()),
        }
    }

    fn judge_message(&self, body: &[u8]) -> Result<Success, Failure> {
        let Some(status) = answer_status(body) else {
            return Err(Failure::failed(Reason::Protocol, "the answer is not a HealthCheckResponse"));
        };
        let told = format!("{} is {}", name(&self.service), status.as_str());
        match status {
            ServingStatus::Serving => Ok(Success::new(told)),
            _ => Err(Failure::failed(Reason::WrongStatus, told)),
        }
    }
}

fn head(authority: &str, is_tls: bool) -> Result<Request<()>, Invalid> {
    let scheme = if is_tls { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(PATH).build();
    let uri = uri.map_err(|_| {
        Invalid::new("host", format!("`{}` is not a host with or without port", authority.escape_debug()))
    })?;
    let mut head = Request::new(());
    (*head.method_mut(), *head.uri_mut()) = (Method::POST, uri);
    *head.version_mut() = http::Version::HTTP_2;
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(TE, HeaderValue::from_static("trailers"));
    headers.insert("user-agent", HeaderValue::from_static("ha-agent"));
    Ok(head)
}

/// What the body of an answer says.
pub(crate) fn answer_status(body: &[u8]) -> Option<ServingStatus> {
    unframed(body).and_then(serving_status)
}

fn name(service: &str) -> String {
    if service.is_empty() { "the server".to_owned() } else { escaped(service.as_bytes(), 80) }
}

/// gRPC's own word for a refusal, and what it means for a health check.
fn refusal(code: &[u8], headers: &HeaderMap, service: &str) -> String {
    const WORDS: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let number = std::str::from_utf8(code).ok().and_then(|text| text.parse::<usize>().ok());
    let word = number.and_then(|number| WORDS.get(number)).copied();
    let meaning = match word {
        Some("NOT_FOUND") => format!(": the server does not know {}", name(service)),
        Some("UNIMPLEMENTED") => ": the server has no grpc.health.v1.Health".to_owned(),
        _ => headers
            .get("grpc-message")
            .map(|text| format!(": {}", escaped(text.as_bytes(), 80)))
            .unwrap_or_default(),
    };
    match word {
        Some(word) => format!("grpc-status {word}{meaning}"),
        None => format!("grpc-status {}{meaning}", escaped(code, 10)),
    }
}

#[cfg(test)]
mod tests;
