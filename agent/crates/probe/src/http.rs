//! `http`: a page is fetched over HTTP/1.1 or HTTP/2, with or without TLS. Layer 5: says that a program answers, and what.
//! Redirections are statuses like others and never followed; nothing is ever decompressed.

mod body;
mod one;
mod plain;
mod reply;
mod request;
mod status;
mod two;

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use self::body::Rules;
use self::plain::Step;
use self::reply::Offence;
use self::request::Request;
use crate::attempt::Reason;
use crate::course::Course;
use crate::destination::Destination;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;
use crate::talk::{Begun, Progress, Talk};
use crate::target::Target;
use crate::tls::TlsOptions;

pub use self::body::BodyRules;
pub(crate) use self::plain::Plain;
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
#[derive(Clone, PartialEq, Eq, Default, Debug)]
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

    /// Where to, when one exchange over HTTP/1.1 without TLS is all there is to do.
    pub(crate) fn plain_destination(&self) -> Option<&Destination> {
        self.plain().map(|(destination, _)| destination)
    }

    fn plain(&self) -> Option<(&Destination, &[u8])> {
        match &self.request {
            Request::One { octets, .. } => Some((self.opener.plain()?, octets)),
            Request::Two { .. } => None,
        }
    }

    /// Begins such an exchange.
    pub(crate) fn begin(&self, address: SocketAddr, course: &mut Course) -> Begun {
        let Some((destination, octets)) = self.plain() else { return Begun::Unbegun };
        let bounds = (self.wanted(), self.most());
        match Plain::begin(address, &destination.origin, octets, bounds, course) {
            Ok(plain) => Begun::Talking(Talk::Http(plain)),
            Err(failure) => Begun::Ended(Err(failure)),
        }
    }

    /// Goes on with it.
    pub(crate) fn step(&self, plain: &mut Plain, course: &mut Course, buffer: &mut [u8]) -> Progress {
        let octets = self.plain().map_or(&[][..], |(_, octets)| octets);
        match plain.step(octets, course, buffer) {
            Ok(Step::Answered(answer)) => Progress::Ended(self.judge(&answer)),
            Ok(Step::Waits) => Progress::Waits,
            Ok(Step::Goes) => Progress::Goes,
            Err(failure) => Progress::Ended(Err(failure)),
        }
    }

    /// All others.
    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let stream = self.opener.open(self.most(), course).await?;
        let answer = match &self.request {
            Request::One { octets, .. } => one::exchange(stream, octets, self.wanted(), course).await?,
            Request::Two { head, .. } => two::fetch(stream, head, self.wanted(), course).await?,
        };
        self.judge(&answer)
    }

    fn wanted(&self) -> Wanted {
        Wanted { body: !self.rules.is_empty(), limit: self.limit, is_head: self.request.is_head() }
    }

    /// Octets that the target may send in all.
    fn most(&self) -> u64 {
        OVERHEAD + u64::try_from(self.limit).unwrap_or(0) * 8
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
