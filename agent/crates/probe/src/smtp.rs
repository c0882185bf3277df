//! `smtp`: a mail server greets, answers EHLO, perhaps speaks TLS, and is told goodbye (RFC 5321, RFC 3207). Layer 5; no
//! mail is sent and nothing is queued.

mod reply;

use std::io::{self, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use self::reply::{Fault, Reply};
use crate::attempt::Reason;
use crate::connect::Connecting;
use crate::course::Course;
use crate::destination::Destination;
use crate::evidence::escaped;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;
use crate::stream::{self, Bounded, Stream};
use crate::target::Target;
use crate::tls::{Connector, TlsOptions};

pub(crate) use self::reply::Reader;

/// More than greeting, capabilities, certificates and goodbye.
const MOST_READ: u64 = 1 << 19;
const PIECE: usize = 1024;

/// A mail server is ready to take mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Smtp {
    /// Where to; port 25 by custom.
    pub target: Target,
    /// The name in EHLO: a host name or an address in brackets.
    pub hello: String,
    /// Whether TLS is spoken.
    pub security: SmtpSecurity,
}

/// How a mail server's connection is protected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SmtpSecurity {
    /// In clear.
    None,
    /// STARTTLS must be offered and succeed.
    StartTls(TlsOptions),
    /// TLS from the first octet; port 465 by custom.
    Tls(TlsOptions),
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
    hello: String,
    security: Security,
}

#[derive(Debug)]
enum Security {
    None,
    StartTls(Connector),
    Tls(Connector),
}

impl Compiled {
    pub(crate) fn new(spec: &Smtp) -> Result<Self, Invalid> {
        let is_name = |octet: u8| octet.is_ascii_alphanumeric() || b".-_:[]".contains(&octet);
        if spec.hello.is_empty() || spec.hello.len() > 255 || !spec.hello.bytes().all(is_name) {
            let text =
                format!("`{}` is neither a host name nor an address in brackets", spec.hello.escape_debug());
            return Err(Invalid::new("hello", text));
        }
        let connector = |options: &TlsOptions| Connector::new(options, &spec.target, None);
        let security = match &spec.security {
            SmtpSecurity::None => Security::None,
            SmtpSecurity::StartTls(options) => Security::StartTls(connector(options)?),
            SmtpSecurity::Tls(options) => Security::Tls(connector(options)?),
        };
        Ok(Self { destination: Destination::new(&spec.target)?, hello: spec.hello.clone(), security })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let address = self.destination.resolve(course).await?;
        let stream = Connecting::begin(address, &self.destination.origin, course)?.finish().await?;
        let stream = Bounded::new(stream, MOST_READ);
        let stream = match &self.security {
            Security::Tls(connector) => Stream::Tls(Box::new(connector.secure(stream, course).await?)),
            _ => Stream::Plain(stream),
        };
        let mut session = Session { stream, reader: Reader::default() };
        course.enter("banner");
        let banner = session.expect("the greeting", 220).await?;
        course.enter("ehlo");
        let mut capabilities = session.hello(&self.hello).await?;
        if let Security::StartTls(connector) = &self.security {
            if !capabilities.has_word("STARTTLS") {
                return Err(Failure::failed(Reason::WrongAnswer, "the server does not offer STARTTLS"));
            }
            course.enter("starttls");
            session = session.secure(connector, course).await?;
            course.enter("ehlo_tls");
            capabilities = session.hello(&self.hello).await?;
        }
        course.enter("quit");
        session.quit().await;
        let lines = capabilities.count();
        Ok(Success::new(format!("{banner}, {lines} lines in answer to EHLO")))
    }
}

/// A conversation.
struct Session {
    stream: Stream,
    reader: Reader,
}

impl Session {
    /// Says who we are; a server that does not know EHLO may know HELO (RFC 5321 §3.2).
    async fn hello(&mut self, name: &str) -> Result<Reply, Failure> {
        self.say(&format!("EHLO {name}")).await?;
        let reply = self.hear("the answer to EHLO").await?;
        match reply.code() {
            250 => Ok(reply),
            500 | 502 => {
                self.say(&format!("HELO {name}")).await?;
                self.expect("the answer to HELO", 250).await
            }
            _ => Err(unexpected("the answer to EHLO", &reply, 250)),
        }
    }

    async fn secure(mut self, connector: &Connector, course: &mut Course) -> Result<Self, Failure> {
        self.say("STARTTLS").await?;
        self.expect("the answer to STARTTLS", 220).await?;
        // What was said before the handshake must not count behind it (RFC 3207 §6).
        let is_clean = self.reader.is_empty();
        match self.stream {
            Stream::Plain(stream) if is_clean => {
                let stream = Stream::Tls(Box::new(connector.secure(stream, course).await?));
                Ok(Self { stream, reader: Reader::default() })
            }
            _ => Err(Failure::failed(Reason::Protocol, "the server spoke before the TLS handshake")),
        }
    }

    /// Says goodbye; the result is known by now, so that errors do not matter.
    async fn quit(mut self) {
        if self.say("QUIT").await.is_ok() {
            let _ = self.hear("the goodbye").await;
        }
        if let Stream::Plain(stream) = &self.stream {
            stream.close_gently();
        }
    }

    async fn say(&mut self, line: &str) -> Result<(), Failure> {
        let sent = async {
            self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
            self.stream.flush().await
        };
        sent.await.map_err(|error| stream::failure(&error, "send a command"))
    }

    async fn expect(&mut self, what: &str, code: u16) -> Result<Reply, Failure> {
        let reply = self.hear(what).await?;
        if reply.code() == code { Ok(reply) } else { Err(unexpected(what, &reply, code)) }
    }

    async fn hear(&mut self, what: &str) -> Result<Reply, Failure> {
        let reading = |error: &io::Error| stream::failure(error, &format!("read {what}"));
        let mut buffer = [0; PIECE];
        loop {
            if let Some(reply) = self.reader.next().map_err(|fault| broken(fault, what))? {
                return Ok(reply);
            }
            match self.stream.read(&mut buffer).await.map_err(|error| reading(&error))? {
                0 => return Err(reading(&ErrorKind::UnexpectedEof.into())),
                length => self.reader.push(&buffer[..length]),
            }
        }
    }
}

fn unexpected(what: &str, reply: &Reply, code: u16) -> Failure {
    Failure::failed(Reason::WrongAnswer, format!("{what} is {reply}; wanted {code}"))
}

fn broken(fault: Fault, what: &str) -> Failure {
    match fault {
        Fault::NotSmtp(line) => {
            let text = format!("{what} is not SMTP: {}", escaped(&line, 60));
            Failure::failed(Reason::Protocol, text)
        }
        Fault::TooLong => Failure::failed(Reason::TooLarge, format!("{what} has no end")),
    }
}

#[cfg(test)]
mod tests;
