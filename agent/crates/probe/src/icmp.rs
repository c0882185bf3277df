//! `icmp`: echo requests are answered (RFC 792, RFC 4443 §4). Layer 3: says that a host is up and reachable.

mod packet;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use self::packet::{Echo, Framing};
use crate::attempt::{Outcome, Reason, Trouble};
use crate::course::Course;
use crate::destination::Destination;
use crate::errno;
use crate::failure::{Failure, Success};
use crate::random;
use crate::socket;
use crate::spec::Invalid;
use crate::target::Target;

/// Requests follow each other after so long, or closer when the time is short.
const SPACING: Duration = Duration::from_millis(200);
const MOST_REQUESTS: u8 = 20;
const LARGEST_PAYLOAD: u16 = 1400;
/// Room for an IPv4 header with options and a reply.
const BUFFER: usize = 2048;

/// Echo requests are answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Icmp {
    /// Whom to ask; its ports mean nothing.
    pub target: Target,
    /// How many requests, 1..=20. They are sent at most 200 ms apart, within the first half of the time.
    pub count: u8,
    /// Passes as long as no more than this share stays unanswered, 0..=99.
    pub tolerated_loss_percent: u8,
    /// Octets of payload, 0..=1400. With at least 8 it carries a number that a forger would have to guess.
    pub size: u16,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
    count: u8,
    needed: u8,
    size: u16,
}

impl Compiled {
    pub(crate) fn new(spec: Icmp) -> Result<Self, Invalid> {
        spec.target.check_origin()?;
        let Icmp { target, count, tolerated_loss_percent, size } = spec;
        if !(1..=MOST_REQUESTS).contains(&count) {
            return Err(Invalid::new("count", format!("{count} is out of range; use 1..{MOST_REQUESTS}")));
        }
        if tolerated_loss_percent > 99 {
            let text = format!("{tolerated_loss_percent} is out of range; use 0..99");
            return Err(Invalid::new("tolerated_loss_percent", text));
        }
        if size > LARGEST_PAYLOAD {
            return Err(Invalid::new("size", format!("{size} is out of range; use 0..{LARGEST_PAYLOAD}")));
        }
        let needed = needed(count, tolerated_loss_percent);
        Ok(Self { destination: Destination::without_port(&target), count, needed, size })
    }

    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let mut address = self.destination.resolve(course).await?;
        address.set_port(0);
        course.enter("request");
        course.set_address(address);
        let (socket, framing) = self.open(address)?;
        let echo = Echo { framing, id: framing.id(), token: random::number(), size: self.size };
        let socket = UdpSocket::from_std(socket.into())
            .map_err(|error| errno::failure(&error, &format!("reach {}", address.ip())))?;
        let mut tally = Tally::new(self.count, self.needed);
        self.exchange(&socket, &echo, &mut tally, course).await;
        tally.conclude(address)
    }

    /// A socket of the kernel's own echo protocol, or a raw one where `net.ipv4.ping_group_range` does not let us.
    fn open(&self, address: SocketAddr) -> Result<(Socket, Framing), Failure> {
        let protocol = if address.is_ipv4() { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
        let open = |kind: Type| {
            Socket::new(Domain::for_address(address), kind.nonblocking().cloexec(), Some(protocol))
        };
        let opened = match open(Type::DGRAM) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                open(Type::RAW).map(|socket| (socket, Framing::raw(address, random::id())))
            }
            socket => socket.map(|socket| (socket, Framing::kernel(address))),
        };
        let (socket, framing) = opened.map_err(|error| not_opened(&error))?;
        socket::start_from(&socket, &self.destination.origin)?;
        let prepared = socket::tell_errors(&socket, address)
            .and_then(|()| framing.filter().map_or(Ok(()), |filter| socket.attach_filter(&filter)))
            .and_then(|()| socket.connect(&address.into()));
        prepared.map_err(|error| errno::failure(&error, &format!("reach {}", address.ip())))?;
        Ok((socket, framing))
    }

    /// Sends all requests and takes replies until it is clear how it ends, at the latest by the deadline.
    async fn exchange(&self, socket: &UdpSocket, echo: &Echo, tally: &mut Tally, course: &mut Course) {
        let half = course.deadline().saturating_duration_since(Instant::now()) / 2;
        let spacing = SPACING.min(half / u32::from(self.count));
        for sequence in 0..u16::from(self.count) {
            tally.sent(Instant::now());
            if let Err(error) = socket.send(&echo.request(sequence)).await {
                tally.error(error);
            }
            course.enter("answer");
            let is_last = sequence + 1 == u16::from(self.count);
            let until = if is_last { course.deadline() } else { Instant::now() + spacing };
            // Cancelled between two datagrams, nothing is lost.
            while !tally.is_decided() {
                let Ok(()) = timeout_at(until, take_one(socket, echo, tally)).await else { break };
            }
        }
    }
}

/// Takes one datagram or error into account.
async fn take_one(socket: &UdpSocket, echo: &Echo, tally: &mut Tally) {
    let mut buffer = [0; BUFFER];
    match socket.recv(&mut buffer).await {
        Ok(length) => tally.reply(echo.sequence_of(&buffer[..length]), Instant::now()),
        Err(error) => tally.error(error),
    }
}

/// What [`crate::readers`] tries: the same datagram through a socket of each kind.
pub(crate) fn reply_sequence(datagram: &[u8]) -> [Option<u16>; 4] {
    let (v4, v6) = (Framing::Kernel { is_v4: true }, Framing::Kernel { is_v4: false });
    [v4, v6, Framing::RawV4 { id: 7 }, Framing::RawV6 { id: 7 }].map(|framing| {
        let echo = Echo { framing, id: framing.id(), token: 0, size: 4 };
        echo.sequence_of(datagram)
    })
}

/// At least one, however much loss is tolerated.
fn needed(count: u8, tolerated_loss_percent: u8) -> u8 {
    let tolerated = u16::from(count) * u16::from(tolerated_loss_percent) / 100;
    count - u8::try_from(tolerated).unwrap_or(0).min(count - 1)
}

fn not_opened(error: &io::Error) -> Failure {
    let mut failure = errno::failure(error, "open a socket for echo requests");
    if failure.outcome == Outcome::Inconclusive(Trouble::Permission) {
        failure
            .evidence
            .push_str("; give the agent CAP_NET_RAW or put its group into net.ipv4.ping_group_range");
    }
    failure
}

/// What was sent and what came back.
#[derive(Debug)]
struct Tally {
    needed: u8,
    sent: Vec<Instant>,
    /// Round-trip times of the requests that were answered.
    answered: Vec<Option<Duration>>,
    errors: u8,
    last_error: Option<io::Error>,
}

impl Tally {
    fn new(count: u8, needed: u8) -> Self {
        let answered = vec![None; usize::from(count)];
        Self { needed, sent: Vec::new(), answered, errors: 0, last_error: None }
    }

    fn sent(&mut self, now: Instant) {
        self.sent.push(now);
    }

    /// The first reply to a request counts.
    fn reply(&mut self, sequence: Option<u16>, now: Instant) {
        let Some(index) = sequence.map(usize::from) else { return };
        if let (Some(answer), Some(sent)) = (self.answered.get_mut(index), self.sent.get(index)) {
            answer.get_or_insert(now.saturating_duration_since(*sent));
        }
    }

    fn error(&mut self, error: io::Error) {
        self.errors = self.errors.saturating_add(1);
        self.last_error = Some(error);
    }

    fn received(&self) -> usize {
        self.answered.iter().flatten().count()
    }

    /// Enough came back, or so much was refused that enough cannot come any more.
    fn is_decided(&self) -> bool {
        let possible = self.answered.len().saturating_sub(self.errors.into());
        self.received() >= self.needed.into() || possible < self.needed.into()
    }

    fn conclude(self, address: SocketAddr) -> Result<Success, Failure> {
        let (received, sent, who) = (self.received(), self.sent.len(), address.ip());
        let told = format!("{received} of {sent} echo replies from {who}");
        if received >= self.needed.into() {
            let total: Duration = self.answered.iter().flatten().sum();
            let average = total / u32::try_from(received).unwrap_or(1);
            return Ok(Success::new(format!("{told}, {average:.2?} on average")));
        }
        match self.last_error {
            Some(error) => {
                let failure = errno::failure(&error, &format!("get an echo reply from {who}"));
                Err(Failure { evidence: format!("{told}; {}", failure.evidence), ..failure })
            }
            None if received == 0 => Err(Failure::failed(Reason::Timeout, told)),
            None => Err(Failure::failed(Reason::Loss, format!("{told}; wanted {}", self.needed))),
        }
    }
}

#[cfg(test)]
mod tests;
