//! `udp`: a datagram is answered, or at least not refused. Layer 4 without an expected reply, layer 5 with one.

use std::net::SocketAddr;
use std::time::Duration;

use regex::bytes::Regex;
use socket2::{Protocol, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::attempt::Reason;
use crate::course::Course;
use crate::destination::Destination;
use crate::errno;
use crate::evidence::escaped;
use crate::failure::{Failure, Success};
use crate::octets::Pattern;
use crate::pattern;
use crate::socket;
use crate::spec::Invalid;
use crate::target::Target;

/// What fits into one packet on every link (RFC 8200 §5: 1280) is less than this; what is longer may never arrive.
const LARGEST_PAYLOAD: usize = 1400;
/// Of a longer reply the rest is not looked at.
const LARGEST_REPLY: usize = 4096;
/// Silence for so long, or half of the time, is taken for consent when no reply is expected.
const PATIENCE: Duration = Duration::from_secs(1);

/// A datagram is answered as expected, or not refused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Udp {
    /// Where to.
    pub target: Target,
    /// What to send, at most 1400 octets.
    pub payload: Vec<u8>,
    /// What must come back. `None`: nothing need come; only ICMP "unreachable" within one second (or half of the time,
    /// if that is less) is a failure.
    pub reply: Option<Reply>,
}

/// What a datagram in answer must be; of one the first 4096 octets count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Anything.
    Any,
    /// It begins with these octets.
    Begins(Pattern),
    /// A regular expression (of the crate `regex`) is found in it.
    Matches(String),
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
    payload: Vec<u8>,
    reply: Option<Wanted>,
}

#[derive(Debug)]
enum Wanted {
    Any,
    Begins(Pattern),
    Matches(Regex),
}

impl Compiled {
    pub(crate) fn new(spec: Udp) -> Result<Self, Invalid> {
        if spec.payload.len() > LARGEST_PAYLOAD {
            let text = format!(
                "{} octets are too long for one datagram; use at most {LARGEST_PAYLOAD}",
                spec.payload.len()
            );
            return Err(Invalid::new("payload", text));
        }
        let reply = match spec.reply {
            None => None,
            Some(Reply::Any) => Some(Wanted::Any),
            Some(Reply::Begins(pattern)) => Some(Wanted::Begins(pattern)),
            Some(Reply::Matches(text)) => Some(Wanted::Matches(pattern::compile("reply_matches", &text)?)),
        };
        Ok(Self { destination: Destination::new(&spec.target)?, payload: spec.payload, reply })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let address = self.destination.resolve(course).await?;
        let fail = |action: &str, error| errno::failure(&error, &format!("{action} {address}"));
        course.enter("request");
        course.set_address(address);
        let socket = socket::open(address, &self.destination.origin, Type::DGRAM, Protocol::UDP)?;
        socket::tell_errors(&socket, address).map_err(|error| fail("hear of", error))?;
        socket.connect(&address.into()).map_err(|error| fail("reach", error))?;
        let socket = UdpSocket::from_std(socket.into()).map_err(|error| fail("reach", error))?;
        socket.send(&self.payload).await.map_err(|error| fail("send to", error))?;
        course.enter("answer");
        let mut buffer = vec![0; LARGEST_REPLY];
        let received = match &self.reply {
            Some(_) => Some(socket.recv(&mut buffer).await),
            None => timeout_at(patience(course), socket.recv(&mut buffer)).await.ok(),
        };
        match received {
            None => Ok(Success::new(format!("sent to {address}, not refused"))),
            Some(Err(error)) => Err(fail("get an answer from", error)),
            Some(Ok(length)) => self.judge(address, &buffer[..length]),
        }
    }

    fn judge(&self, address: SocketAddr, reply: &[u8]) -> Result<Success, Failure> {
        let is_right = match &self.reply {
            None | Some(Wanted::Any) => true,
            Some(Wanted::Begins(pattern)) => pattern.begins(reply),
            Some(Wanted::Matches(regex)) => regex.is_match(reply),
        };
        if is_right {
            return Ok(Success::new(format!("{} octets in answer from {address}", reply.len())));
        }
        let shown = escaped(reply, 60);
        let text = format!("another answer than expected from {address}, {} octets: {shown}", reply.len());
        Err(Failure::failed(Reason::WrongAnswer, text))
    }
}

fn patience(course: &Course) -> Instant {
    let now = Instant::now();
    let left = course.deadline().saturating_duration_since(now);
    now + PATIENCE.min(left / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Spec;
    use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, udp};

    fn spec(address: SocketAddr, reply: Option<Reply>) -> Udp {
        Udp { target: at(address), payload: b"ping".to_vec(), reply }
    }

    #[tokio::test]
    async fn the_reply_decides() {
        let echo = udp(|query| vec![query.to_vec()]).await;
        let silent = udp(|_| Vec::new()).await;
        let begins = |text: &str| Some(Reply::Begins(text.parse().expect("a pattern")));
        let matches = |text: &str| Some(Reply::Matches(text.to_owned()));
        let cases = [
            (echo, None, PASSED, "4 octets in answer"),
            (echo, Some(Reply::Any), PASSED, "4 octets in answer"),
            (echo, begins("70 XX 6e"), PASSED, "4 octets in answer"),
            (echo, begins("71"), failed(Reason::WrongAnswer), ": ping"),
            (echo, matches("^p.ng$"), PASSED, "4 octets in answer"),
            (echo, matches("pong"), failed(Reason::WrongAnswer), ": ping"),
            (silent, None, PASSED, "not refused"),
            (silent, Some(Reply::Any), failed(Reason::Timeout), "in step answer"),
            (closed().await, None, failed(Reason::Refused), "connection refused"),
            (closed().await, Some(Reply::Any), failed(Reason::Refused), "connection refused"),
        ];
        for (address, reply, outcome, words) in cases {
            let attempt = attempt(Spec::Udp(spec(address, reply)), SHORT).await;
            assert_eq!(attempt.outcome, outcome, "{attempt:?}");
            assert!(attempt.evidence.contains(words), "{attempt:?}");
        }
    }

    #[tokio::test]
    async fn of_a_large_reply_the_beginning_counts() {
        let large = udp(|_| vec![vec![b'\n'; 60_000]]).await;
        let attempt = attempt(Spec::Udp(spec(large, Some(Reply::Matches("x".to_owned())))), SHORT).await;
        assert_eq!(attempt.outcome, failed(Reason::WrongAnswer));
        assert!(attempt.evidence.contains("4096 octets: \\n\\n"), "{attempt:?}");
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let address = (LOOPBACK, 9).into();
        let long = Udp { payload: vec![0; 1401], ..spec(address, None) };
        let broken = spec(address, Some(Reply::Matches("(".to_owned())));
        for (spec, parameter) in [(long, "payload"), (broken, "reply_matches")] {
            let invalid = Compiled::new(spec).expect_err(parameter);
            assert_eq!(invalid.parameter, parameter);
        }
    }
}
