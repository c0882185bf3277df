//! `tcp_keepalive`: a connection is held and the kernel watches it. Layer 4, between attempts: a peer that dies, cuts or
//! falls silent is noticed when it happens, not at the next attempt.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::attempt::{Attempt, Outcome, Reason};
use crate::connect::Connecting;
use crate::course::Course;
use crate::destination::Destination;
use crate::errno;
use crate::failure::{Failure, Success};
use crate::probe::{conclude, overdue};
use crate::spec::Invalid;
use crate::target::Target;

const RANGE: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);
/// What the peer sends is not read; it stops when this is full. The kernel doubles it and has a minimum of its own.
const RECEIVE_BUFFER: usize = 2048;

/// A held TCP connection.
///
/// An attempt only connects; [`crate::Probe::watch`] holds: RST is [`Reason::Reset`], FIN [`Reason::ClosedByPeer`], silence
/// [`Reason::Timeout`]. After a failure it connects again at once, and then every `retry`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpKeepalive {
    /// Where to.
    pub target: Target,
    /// Silence after which the kernel begins to ask (TCP_KEEPIDLE), 1 s ..= 1 h, whole seconds.
    pub idle: Duration,
    /// Between two questions (TCP_KEEPINTVL), 1 s ..= 1 h, whole seconds.
    pub probe_interval: Duration,
    /// Unanswered questions after which the peer is taken for dead (TCP_KEEPCNT), 1..=127.
    pub probe_count: u8,
    /// The peer is taken for dead when it was silent for so long and a question is open, or when so old data is not
    /// acknowledged (TCP_USER_TIMEOUT), 1 s ..= 1 h. It takes precedence over `probe_count` (kernel:
    /// net/ipv4/tcp_timer.c).
    pub user_timeout: Duration,
    /// How long the connection may take to stand.
    pub timeout: Duration,
    /// Between two tries to connect while the peer is dead, 100 ms or more.
    pub retry: Duration,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
    spec: TcpKeepalive,
}

impl Compiled {
    pub(crate) fn new(spec: TcpKeepalive) -> Result<Arc<Self>, Invalid> {
        for (parameter, duration) in [
            ("idle", spec.idle),
            ("probe_interval", spec.probe_interval),
            ("user_timeout", spec.user_timeout),
        ] {
            if !RANGE.contains(&duration) {
                return Err(Invalid::new(parameter, format!("{duration:?} is out of range; use 1 s to 1 h")));
            }
        }
        if !(1..=127).contains(&spec.probe_count) {
            let text = format!("{} is out of range; use 1..127", spec.probe_count);
            return Err(Invalid::new("probe_count", text));
        }
        let destination = Destination::new(&spec.target)?;
        let retry = spec.retry.max(Duration::from_millis(100));
        Ok(Arc::new(Self { destination, spec: TcpKeepalive { retry, ..spec } }))
    }

    /// Connects, and lets go.
    pub(crate) async fn run(&self, course: &mut Course) -> Result<Success, Failure> {
        let (_, address) = self.connect(course).await?;
        Ok(Success::new(format!("connected to {address}")))
    }

    async fn connect(&self, course: &mut Course) -> Result<(TcpStream, SocketAddr), Failure> {
        let address = self.destination.resolve(course).await?;
        let stream = Connecting::begin(address, &self.destination.origin, course)?.finish().await?;
        Ok((stream, address))
    }

    fn set_up(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream);
        let keepalive = socket2::TcpKeepalive::new()
            .with_time(self.spec.idle)
            .with_interval(self.spec.probe_interval)
            .with_retries(self.spec.probe_count.into());
        socket.set_tcp_keepalive(&keepalive)?;
        socket.set_tcp_user_timeout(Some(self.spec.user_timeout))?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)
    }
}

/// A connection that is held, or to be made.
#[derive(Debug)]
pub(crate) struct Holder {
    check: Arc<Compiled>,
    held: Option<Held>,
    next_try: Instant,
}

#[derive(Debug)]
struct Held {
    stream: TcpStream,
    address: SocketAddr,
    since: Instant,
}

impl Holder {
    pub(crate) fn new(check: Arc<Compiled>) -> Self {
        Self { check, held: None, next_try: Instant::now() }
    }

    /// Waits for the end of the held connection, or for the next one to stand. May be cancelled: a held connection stays,
    /// one that is being made is made anew.
    pub(crate) async fn next(&mut self) -> Attempt {
        match &self.held {
            Some(held) => {
                let failure = held.end().await;
                self.held = None;
                self.next_try = Instant::now();
                conclude(Err(failure), Course::new(self.next_try, false))
            }
            None => {
                sleep_until(self.next_try).await;
                let attempt = self.connect().await;
                self.next_try = Instant::now() + self.check.spec.retry;
                attempt
            }
        }
    }

    async fn connect(&mut self) -> Attempt {
        let deadline = Instant::now() + self.check.spec.timeout;
        let mut course = Course::new(deadline, false);
        let connected = timeout_at(deadline, self.check.connect(&mut course)).await;
        let connected = connected.unwrap_or_else(|_| Err(overdue(&course)));
        let result = connected.and_then(|(stream, address)| {
            let set_up = self.check.set_up(&stream);
            set_up.map_err(|error| errno::failure(&error, &format!("watch the connection to {address}")))?;
            self.held = Some(Held { stream, address, since: Instant::now() });
            Ok(Success::new(format!("connected to {address}, held")))
        });
        conclude(result, course)
    }
}

impl Held {
    /// Waits until the kernel says that the connection is over.
    async fn end(&self) -> Failure {
        loop {
            let ready = match self.stream.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) => ready,
                Err(error) => return self.failure(&error),
            };
            if ready.is_error() || ready.is_read_closed() {
                return self.told();
            }
            // Data is left where it is: forget that it is there, and be woken by the next event.
            let _ = self.stream.try_io(Interest::READABLE, || Err::<(), _>(ErrorKind::WouldBlock.into()));
        }
    }

    /// Why it is over: an error, or else the peer's FIN.
    fn told(&self) -> Failure {
        match self.stream.take_error() {
            Ok(Some(error)) | Err(error) => self.failure(&error),
            Ok(None) => {
                let text = format!(
                    "{} closed the connection (FIN) after {:.1?}",
                    self.address,
                    self.since.elapsed()
                );
                Failure::failed(Reason::ClosedByPeer, text)
            }
        }
    }

    fn failure(&self, error: &io::Error) -> Failure {
        let (address, held) = (self.address, self.since.elapsed());
        let outcome = errno::outcome(error);
        let text = match outcome {
            Outcome::Failed(Reason::Reset) => format!("{address} cut the connection (RST) after {held:.1?}"),
            Outcome::Failed(Reason::Timeout) => {
                format!("{address} fell silent; it was connected for {held:.1?}")
            }
            _ => format!("lost the connection to {address} after {held:.1?}: {}", errno::words(error)),
        };
        Failure { outcome, evidence: text, value: None }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    use super::*;
    use crate::probe::Probe;
    use crate::spec::Spec;
    use crate::testing::{LOOPBACK, PASSED, SHORT, at, attempt, closed, failed, tcp};
    use crate::watch::Watch;

    fn spec(address: SocketAddr) -> TcpKeepalive {
        TcpKeepalive {
            target: at(address),
            idle: Duration::from_secs(1),
            probe_interval: Duration::from_secs(1),
            probe_count: 1,
            user_timeout: Duration::from_secs(1),
            timeout: SHORT,
            retry: Duration::from_millis(100),
        }
    }

    fn watch(address: SocketAddr) -> Watch {
        Probe::new(Spec::TcpKeepalive(spec(address))).expect("a valid check").watch().expect("it is watched")
    }

    async fn next(watch: &mut Watch) -> Attempt {
        timeout(Duration::from_secs(5), watch.next()).await.expect("something happens")
    }

    #[tokio::test]
    async fn a_held_connection_tells_how_it_ends() {
        let ends = |reset: bool| {
            move |mut stream: TcpStream| async move {
                stream.write_all(b"220 hello\r\n").await.expect("the peer is there");
                tokio::time::sleep(Duration::from_millis(50)).await;
                if reset {
                    stream.set_zero_linger().expect("it can be set");
                }
            }
        };
        for (reset, reason, words) in [(true, Reason::Reset, "(RST)"), (false, Reason::ClosedByPeer, "(FIN)")]
        {
            let mut watch = watch(tcp(ends(reset)).await);
            assert_eq!(next(&mut watch).await.outcome, PASSED);
            let end = next(&mut watch).await;
            assert_eq!(end.outcome, failed(reason), "{end:?}");
            assert!(end.evidence.contains(words), "{end:?}");
            assert_eq!(next(&mut watch).await.outcome, PASSED, "it connects again at once");
        }
    }

    #[tokio::test]
    async fn a_peer_that_sends_without_end_fills_no_memory_and_is_not_dead() {
        let mut watch = watch(
            tcp(|mut stream: TcpStream| async move { while stream.write_all(&[0; 4096]).await.is_ok() {} })
                .await,
        );
        assert_eq!(next(&mut watch).await.outcome, PASSED);
        assert!(timeout(SHORT, watch.next()).await.is_err(), "it is held");
    }

    #[tokio::test]
    async fn a_dead_peer_is_tried_again_at_the_pace_of_retry() {
        let mut watch = watch(closed().await);
        let begun = Instant::now();
        for _ in 0..3 {
            assert_eq!(next(&mut watch).await.outcome, failed(Reason::Refused));
        }
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn an_attempt_only_connects() {
        let address = tcp(|_| async {}).await;
        assert_eq!(attempt(Spec::TcpKeepalive(spec(address)), SHORT).await.outcome, PASSED);
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let good = spec((LOOPBACK, 80).into());
        let cases = [
            (TcpKeepalive { idle: Duration::ZERO, ..good.clone() }, "idle"),
            (TcpKeepalive { probe_interval: Duration::from_secs(3601), ..good.clone() }, "probe_interval"),
            (TcpKeepalive { user_timeout: Duration::ZERO, ..good.clone() }, "user_timeout"),
            (TcpKeepalive { probe_count: 128, ..good }, "probe_count"),
        ];
        for (spec, parameter) in cases {
            assert_eq!(Compiled::new(spec).expect_err(parameter).parameter, parameter);
        }
    }
}
