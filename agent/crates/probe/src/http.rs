//! `http`: a page is fetched over HTTP/1.1 or HTTP/2, with or without TLS. Layer 5: says that a program answers, and what.
//! Redirections are statuses like others and never followed; nothing is ever decompressed.

mod body;
mod one;
mod reply;
mod request;
mod status;
mod two;

use std::ops::RangeInclusive;

use self::body::Rules;
use self::reply::Offence;
use self::request::{Opened, Request};
use crate::attempt::Reason;
use crate::course::Course;
use crate::destination::Destination;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;
use crate::target::Target;
use crate::tls::TlsOptions;

pub use self::body::BodyRules;
pub(crate) use self::reply::{Reply, Wanted};
pub use self::request::{Header, HttpVersion};
pub(crate) use self::request::{Opener, default_authority};
pub use self::status::StatusSet;
pub(crate) use self::two::{Call, Outcome, call};

/// The range of `body_limit`.
const BODY_LIMIT: RangeInclusive<u32> = 1..=1 << 20;
/// Beside the body: heads, chunks in pieces of one octet, frames, TLS.
const OVERHEAD: u64 = 1 << 18;

/// A page is fetched and judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Http {
    /// Where to.
    pub target: Target,
    /// `Some`: HTTPS.
    pub tls: Option<TlsOptions>,
    /// Which HTTP is spoken: with TLS it is agreed on by ALPN, without TLS HTTP/2 begins by prior knowledge.
    pub version: HttpVersion,
    /// The method; `GET` by custom. It is sent without a body.
    pub method: String,
    /// Path and query, beginning with `/`. The query is not shown in evidence.
    pub path: String,
    /// `Host` or `:authority`, and the name for TLS; `None`: the target.
    pub host: Option<String>,
    /// More headers, in order.
    pub headers: Vec<Header>,
    /// The statuses that pass.
    pub status: StatusSet,
    /// What the body must be. Without a rule it is not read.
    pub body: BodyRules,
    /// Octets of the body that are read at most, 1..=1 048 576.
    pub body_limit: u32,
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Empty when nobody wants it.
    pub(crate) body: Vec<u8>,
    /// The body is longer than the limit; `body` is its beginning.
    pub(crate) is_cut: bool,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    opener: Opener,
    request: Request,
    status: StatusSet,
    rules: Rules,
    limit: usize,
}

impl Compiled {
    pub(crate) fn new(spec: &Http) -> Result<Self, Invalid> {
        if !BODY_LIMIT.contains(&spec.body_limit) {
            let text = format!("{} is out of range; use 1..{}", spec.body_limit, BODY_LIMIT.end());
            return Err(Invalid::new("body_limit", text));
        }
        let destination = Destination::new(&spec.target)?;
        let request = Request::new(spec)?;
        let opener = Opener::new(destination, spec, &request)?;
        let limit = usize::try_from(spec.body_limit).unwrap_or(usize::MAX);
        Ok(Self { opener, request, status: spec.status.clone(), rules: Rules::new(&spec.body)?, limit })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let wanted =
            Wanted { body: !self.rules.is_empty(), limit: self.limit, is_head: self.request.is_head() };
        let most = OVERHEAD + u64::try_from(self.limit).unwrap_or(0) * 8;
        let answer = match &self.request {
            Request::One { octets, .. } => match self.opener.ask(octets, most, course).await? {
                Opened::Asked(mut stream) => {
                    let answer = one::read(&mut stream, wanted, course).await;
                    if answer.is_err() {
                        stream.inner().refuse_itself()?;
                    }
                    answer?
                }
                Opened::Silent(stream, said) => {
                    one::exchange(stream, &octets[said..], wanted, course).await?
                }
            },
            Request::Two { head, .. } => {
                two::fetch(self.opener.open(most, course).await?, head, wanted, course).await?
            }
        };
        self.judge(&answer)
    }

    fn judge(&self, answer: &Answer) -> Result<Success, Failure> {
        let told = format!("{} answered {}", self.request.line(), answer.status);
        if !self.status.contains(answer.status) {
            return Err(Failure::failed(Reason::WrongStatus, format!("{told}; wanted {}", self.status)));
        }
        self.rules.judge(answer).map_err(|failure| {
            let evidence = format!("{told}, but {}", failure.evidence);
            Failure { evidence, ..failure }
        })?;
        Ok(Success::new(told))
    }
}

#[cfg(test)]
mod tests;
