//! A compiled check: tries once when told, always ends by the deadline.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

use crate::attempt::{Attempt, Outcome, Reason, Trouble};
use crate::course::Course;
use crate::destination::Destination;
use crate::dns;
use crate::errno;
use crate::evidence::bounded;
use crate::exchange::{Exchange, PIECE};
use crate::failure::{Failure, Success};
use crate::file;
use crate::grpc;
use crate::http;
use crate::icmp;
use crate::interface;
use crate::process;
use crate::readiness::talking;
use crate::route;
use crate::script;
use crate::smtp;
use crate::spec::{Invalid, Spec};
use crate::talk::{Begun, Progress, Talk};
use crate::tcp;
use crate::tcp_keepalive::{self, Holder};
use crate::tls;
use crate::udp;
use crate::watch::Watch;

/// A deadline that is noticed later than this says more about this node than about the target.
const LATE: Duration = Duration::from_millis(50);

/// A check, compiled.
#[derive(Debug)]
pub struct Probe {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcp(tcp::Compiled),
    Dns(dns::Compiled),
    Icmp(icmp::Compiled),
    TcpKeepalive(Arc<tcp_keepalive::Compiled>),
    Grpc(Box<grpc::Compiled>),
    Http(Box<http::Compiled>),
    Smtp(Box<smtp::Compiled>),
    Tls(Box<tls::Compiled>),
    Udp(udp::Compiled),
    File(Arc<file::Compiled>),
    Interface(Arc<interface::Compiled>),
    Process(Arc<process::Compiled>),
    Route(Arc<route::Compiled>),
    Script(script::Compiled),
}

/// An attempt under way. Dropping it closes all that it opened.
pub type Running = Pin<Box<dyn Future<Output = Attempt> + Send>>;

/// The beginning of an attempt.
pub enum Start {
    /// It ended at once.
    Done(Attempt),
    /// It waits for its socket and for nothing else.
    Exchange(Box<Exchange>),
    /// It waits for its target.
    Running(Running),
}

impl fmt::Debug for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done(attempt) => f.debug_tuple("Done").field(attempt).finish(),
            Self::Exchange(exchange) => exchange.fmt(f),
            Self::Running(_) => f.write_str("Running"),
        }
    }
}

impl Probe {
    /// Compiles `spec`: patterns, digests, TLS settings.
    ///
    /// # Errors
    /// [`Invalid`] names the parameter that cannot be used and why.
    pub fn new(spec: Spec) -> Result<Self, Invalid> {
        let kind = match spec {
            Spec::Tcp(spec) => Kind::Tcp(tcp::Compiled::new(spec)?),
            Spec::Dns(spec) => Kind::Dns(dns::Compiled::new(spec)?),
            Spec::Icmp(spec) => Kind::Icmp(icmp::Compiled::new(spec)?),
            Spec::TcpKeepalive(spec) => Kind::TcpKeepalive(tcp_keepalive::Compiled::new(spec)?),
            Spec::Grpc(spec) => Kind::Grpc(Box::new(grpc::Compiled::new(spec)?)),
            Spec::Http(spec) => Kind::Http(Box::new(http::Compiled::new(&spec)?)),
            Spec::Smtp(spec) => Kind::Smtp(Box::new(smtp::Compiled::new(&spec)?)),
            Spec::Tls(spec) => Kind::Tls(Box::new(tls::Compiled::new(&spec)?)),
            Spec::Udp(spec) => Kind::Udp(udp::Compiled::new(spec)?),
            Spec::File(spec) => Kind::File(file::Compiled::new(spec)?),
            Spec::Interface(spec) => Kind::Interface(interface::Compiled::new(spec)?),
            Spec::Route(spec) => Kind::Route(route::Compiled::new(spec)?),
            Spec::Process(spec) => Kind::Process(process::Compiled::new(spec)?),
            Spec::Script(spec) => Kind::Script(script::Compiled::new(spec)?),
        };
        Ok(Self { kind })
    }

    /// Tries once. Ends by `deadline`, whatever the target does; may be dropped at any time.
    ///
    /// `trace` asks for [`Attempt::steps`].
    pub async fn attempt(&self, deadline: Instant, trace: bool) -> Attempt {
        let mut course = Course::new(deadline, trace);
        match self.begin(&mut course) {
            Begun::Ended(result) => conclude(result, course),
            begun => self.carry_on(begun, course).await,
        }
    }

    /// Begins an attempt and goes as far as it goes without waiting: many attempts end here. Of what is left, some wait for
    /// one socket, for [`crate::Exchanges`] to drive; the rest is a future.
    ///
    /// To be called within a runtime.
    pub fn start(self: &Arc<Self>, deadline: Instant, trace: bool) -> Start {
        let mut course = Course::new(deadline, trace);
        match self.begin(&mut course) {
            Begun::Ended(result) => Start::Done(conclude(result, course)),
            Begun::Talking(talk) => Start::Exchange(Exchange::new(Arc::clone(self), talk, course)),
            Begun::Unbegun => {
                let probe = Arc::clone(self);
                Start::Running(Box::pin(async move { probe.carry_on(Begun::Unbegun, course).await }))
            }
        }
    }

    /// For the kinds that the kernel reports on by itself: follows the target. `None` for all others.
    pub fn watch(&self) -> Option<Watch> {
        match &self.kind {
            Kind::TcpKeepalive(check) => Some(Watch::tcp_keepalive(Holder::new(Arc::clone(check)))),
            Kind::File(check) => Some(Watch::file(check.follow())),
            Kind::Interface(check) => Some(Watch::interface(check.follow())),
            Kind::Route(check) => Some(Watch::route(check.follow())),
            Kind::Process(check) => Some(Watch::process(process::Follower::new(Arc::clone(check)))),
            _ => None,
        }
    }

    fn begin(&self, course: &mut Course) -> Begun {
        if course.is_over() {
            let text = "this node was too busy: the deadline had passed before the attempt began";
            return Begun::Ended(Err(Failure::trouble(Trouble::Late, text)));
        }
        match self.destination().and_then(Destination::address) {
            Some(address) => self.speak(address, course),
            None => Begun::Unbegun,
        }
    }

    /// Where to, for the kinds that talk over one socket.
    fn destination(&self) -> Option<&Destination> {
        match &self.kind {
            Kind::Tcp(tcp) => Some(tcp.destination()),
            Kind::Http(http) => http.plain_destination(),
            _ => None,
        }
    }

    fn speak(&self, address: SocketAddr, course: &mut Course) -> Begun {
        match &self.kind {
            Kind::Tcp(tcp) => tcp.begin(address, course),
            Kind::Http(http) => http.begin(address, course),
            _ => Begun::Unbegun,
        }
    }

    /// Goes on with what [`Probe::begin`] left waiting, as far as it goes without waiting again. `buffer` is for what comes.
    pub(crate) fn step(&self, talk: &mut Talk, course: &mut Course, buffer: &mut [u8]) -> Progress {
        match (&self.kind, talk) {
            (Kind::Http(http), Talk::Http(plain)) => http.step(plain, course, buffer),
            (_, Talk::Tcp(connecting)) => tcp::step(connecting),
            (_, Talk::Http(_)) => Progress::Ended(Err(mixed_up())),
        }
    }

    async fn carry_on(&self, begun: Begun, mut course: Course) -> Attempt {
        let deadline = course.deadline();
        let result = timeout_at(deadline, self.run(begun, &mut course)).await;
        let result = result.unwrap_or_else(|_| Err(overdue(&course)));
        conclude(result, course)
    }

    async fn run(&self, begun: Begun, course: &mut Course) -> Result<Success, Failure> {
        let begun = match (begun, self.destination()) {
            (Begun::Unbegun, Some(destination)) => self.speak(destination.resolve(course).await?, course),
            (begun, _) => begun,
        };
        match begun {
            Begun::Ended(result) => result,
            Begun::Talking(talk) => Box::pin(self.talk(talk, course)).await,
            Begun::Unbegun => self.do_otherwise(course).await,
        }
    }

    /// Goes on with `talk` whenever its socket can.
    async fn talk(&self, talk: Talk, course: &mut Course) -> Result<Success, Failure> {
        let mut buffer = [0; PIECE];
        let mut talk = talking(talk).map_err(|error| errno::failure(&error, "wait for a socket"))?;
        loop {
            match self.step(talk.get_mut(), course, &mut buffer) {
                Progress::Ended(result) => return result,
                Progress::Goes => yield_now().await,
                Progress::Waits => {
                    let ready = talk.ready_mut(Interest::READABLE | Interest::WRITABLE).await;
                    ready.map_err(|error| errno::failure(&error, "wait for a socket"))?.clear_ready();
                }
            }
        }
    }

    async fn do_otherwise(&self, course: &mut Course) -> Result<Success, Failure> {
        match &self.kind {
            Kind::Tcp(_) => Err(mixed_up()),
            Kind::Dns(dns) => dns.run(course).await,
            Kind::Icmp(icmp) => icmp.run(course).await,
            Kind::TcpKeepalive(check) => check.run(course).await,
            // Boxed: their states are large, and an attempt of a small kind should not pay for that.
            Kind::Grpc(grpc) => Box::pin(grpc.run(course)).await,
            Kind::Http(http) => Box::pin(http.run(course)).await,
            Kind::Smtp(smtp) => Box::pin(smtp.run(course)).await,
            Kind::Tls(tls) => Box::pin(tls.run(course)).await,
            Kind::Udp(udp) => udp.run(course).await,
            Kind::File(check) => check.run(course).await,
            Kind::Interface(check) => check.run(course).await,
            Kind::Route(check) => check.run(course).await,
            Kind::Process(check) => check.run(course).await,
            Kind::Script(script) => script.run(course).await,
        }
    }
}

/// What one kind began is gone on with as if it were another's: only a mistake of ours does that.
fn mixed_up() -> Failure {
    Failure::trouble(Trouble::Kernel, "the agent mixed up two kinds of checks; report it")
}

/// The deadline came first.
pub(crate) fn overdue(course: &Course) -> Failure {
    let late = Instant::now().saturating_duration_since(course.deadline());
    if late > LATE {
        let text = format!(
            "this node was too busy: it noticed the deadline {late:.1?} late, in step {}",
            course.step()
        );
        return Failure::trouble(Trouble::Late, text);
    }
    let who = course.address().map(|address| format!(" from {address}")).unwrap_or_default();
    let text = format!("no answer{who} within {:?}, in step {}", course.allowed(), course.step());
    Failure::failed(Reason::Timeout, text)
}

pub(crate) fn conclude(result: Result<Success, Failure>, course: Course) -> Attempt {
    let latency = course.elapsed();
    let (outcome, evidence, value) = match result {
        Ok(Success { evidence, value }) => (Outcome::Passed, evidence, value),
        Err(Failure { outcome, evidence, value }) => (outcome, evidence, value),
    };
    Attempt {
        outcome,
        latency,
        evidence: bounded(evidence + &course.postscript()),
        value,
        steps: course.finish(),
    }
}
