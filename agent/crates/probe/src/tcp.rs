//! `tcp`: a connection can be made. Layer 4: says that a kernel answers at that port, not that a program does.

use std::net::SocketAddr;

use crate::connect::Connecting;
use crate::course::Course;
use crate::destination::Destination;
use crate::failure::Success;
use crate::spec::Invalid;
use crate::talk::{Begun, Progress, Talk};
use crate::target::Target;

/// A TCP connection can be made. It is cut at once (RST), so that neither side keeps a TIME_WAIT.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Where to.
    pub target: Target,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    destination: Destination,
}

impl Compiled {
    pub(crate) fn new(spec: Tcp) -> Result<Self, Invalid> {
        Ok(Self { destination: Destination::new(&spec.target)? })
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The whole attempt, if the target answers at once: on this node and often within a rack.
    pub(crate) fn begin(&self, address: SocketAddr, course: &mut Course) -> Begun {
        match Connecting::begin(address, &self.destination.origin, course) {
            Err(failure) => Begun::Ended(Err(failure)),
            Ok(connecting) => match step(&connecting) {
                Progress::Ended(result) => Begun::Ended(result),
                Progress::Waits | Progress::Goes => Begun::Talking(Talk::Tcp(connecting)),
            },
        }
    }
}

/// Whether the connection stands by now.
pub(crate) fn step(connecting: &Connecting) -> Progress {
    match connecting.is_done() {
        Ok(true) => Progress::Ended(Ok(success(connecting.address()))),
        Ok(false) => Progress::Waits,
        Err(failure) => Progress::Ended(Err(failure)),
    }
}

fn success(address: SocketAddr) -> Success {
    Success::new(format!("connected to {address}"))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, TcpListener};
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use crate::attempt::{Outcome, Reason, Trouble};
    use crate::probe::{Probe, Start};
    use crate::spec::Spec;
    use crate::target::{Host, Origin, Target};

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn probe(port: u16, origin: Origin) -> Arc<Probe> {
        let target = Target { origin, ..Target::new(Host::Address(LOOPBACK), port) };
        Arc::new(Probe::new(Spec::Tcp(super::Tcp { target })).expect("a valid check"))
    }

    fn in_a_second() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    #[tokio::test]
    async fn a_listener_on_this_node_answers_without_waiting() {
        let listener = TcpListener::bind((LOOPBACK, 0)).expect("a listener");
        let port = listener.local_addr().expect("its address").port();
        let Start::Done(attempt) = probe(port, Origin::default()).start(in_a_second(), true) else {
            panic!("it waits")
        };
        assert_eq!(attempt.outcome, Outcome::Passed);
        assert_eq!(attempt.evidence, format!("connected to 127.0.0.1:{port}"));
        assert_eq!(attempt.steps.iter().map(|step| step.name).collect::<Vec<_>>(), ["connect"]);
    }

    #[tokio::test]
    async fn each_failure_has_its_word() {
        let listener = TcpListener::bind((LOOPBACK, 0)).expect("a listener");
        let open = listener.local_addr().expect("its address").port();
        let closed = 1;
        let foreign = Origin { address: Some([192, 0, 2, 1].into()), ..Origin::default() };
        let gone = Origin { device: Some("no-such-device".into()), ..Origin::default() };
        let cases = [
            (closed, Origin::default(), Outcome::Failed(Reason::Refused)),
            (open, foreign, Outcome::Inconclusive(Trouble::SourceAddress)),
            (open, gone, Outcome::Failed(Reason::NoRoute)),
        ];
        for (port, origin, outcome) in cases {
            let attempt = probe(port, origin.clone()).attempt(in_a_second(), false).await;
            assert_eq!(attempt.outcome, outcome, "{origin:?}: {}", attempt.evidence);
        }
    }

    #[tokio::test]
    async fn an_attempt_that_begins_after_its_deadline_says_nothing_about_the_target() {
        let attempt =
            probe(1, Origin::default()).attempt(Instant::now() - Duration::from_millis(1), false).await;
        assert_eq!(attempt.outcome, Outcome::Inconclusive(Trouble::Late), "{}", attempt.evidence);
    }
}
