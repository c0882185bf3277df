//! One peer: dialled, heard, and dialled again when it is silent, each time a little later and never all at once.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use ha_config::ClusterPeer;
use ha_engine::{Cause, Event, EventKind, Evidence, PeerEvent, Subject};
use ha_proto::v1;
use ha_proto::v1::peer_service_client::PeerServiceClient;
use ha_proto::v1::watch_reports_response::Payload;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Code, Request, Streaming};
use tracing::info;

use super::delay::{Delay, FRESH};
use super::report::Builder;
use super::{Contact, HeardRelease, Incoming, Quiet, ReleaseOutcome, SILENCE, Shared, Why, dial, wire};
use crate::api::Certificates;
use crate::clock;
use crate::journal::Journal;

/// The first pause after a failure, and the longest; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a peer may be missing after our start before it is said to be: all nodes may start together.
const PATIENCE: Duration = Duration::from_secs(5);

/// Messages of a peer within a second; more wait in its queue, not in ours.
const MOST_MESSAGES: u32 = 1000;

/// Octets of one message of a peer.
const MOST_OCTETS: usize = 1 << 20;

/// What hearing a peer takes.
pub(super) struct Session {
    pub(super) peer: ClusterPeer,
    pub(super) name: Arc<str>,
    pub(super) shared: Arc<Shared>,
    pub(super) journal: Arc<Journal>,
    pub(super) certificates: Option<Arc<Certificates>>,
    /// Between two questions of [`Self::measure`].
    pub(super) measure_every: Duration,
}

impl Session {
    /// Dials and listens for ever. Dropped when the peer is no longer configured or the agent ends.
    pub(super) async fn keep(self) {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            // Cancelled here when dropped: a connection of which nobody knows is closed.
            let Err(why) = self.converse().await;
            self.shared.channels().remove(&self.name);
            let was_heard = self.is(&Contact::Reachable);
            if was_heard || began.elapsed() >= PATIENCE {
                self.note_silent(why);
            }
            pause = if was_heard { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            tokio::time::sleep(jittered(pause)).await;
        }
    }

    /// One connection from its beginning to its end, and why it ended.
    async fn converse(&self) -> Result<std::convert::Infallible, Why> {
        let channel = dial::dial(&self.peer, self.certificates.clone()).await?;
        let mut client = PeerServiceClient::new(channel.clone()).max_decoding_message_size(MOST_OCTETS);
        let node = self.journal.node().to_string();
        let opening = client.watch_reports(Request::new(v1::WatchReportsRequest { node }));
        let opened = timeout(SILENCE, opening).await.map_err(|_| silent())?;
        let mut messages = opened.map_err(|status| Why::of_status(&status))?.into_inner();
        // Its clock may be another one since the last time.
        self.shared.delays().insert(Arc::clone(&self.name), Delay::default());
        let mut report = match self.next(&mut messages).await?.0 {
            Payload::Opened(opened) if *opened.node == *self.peer.name => Builder::new(&opened),
            Payload::Opened(opened) => {
                let other = wire::cut(&opened.node);
                let text = format!("node {other} answers there; correct name or endpoint of [[peer]]");
                return Err(Quiet::OtherNode.because(text));
            }
            _ => {
                let text = "it does not introduce itself; compare the versions of the agents";
                return Err(Quiet::Malformed.because(text));
            }
        };
        self.shared.channels().insert(Arc::clone(&self.name), channel);
        let mut pace = Pace::new();
        let hear = async {
            loop {
                let (message, age) = self.next(&mut messages).await?;
                self.take(&mut report, message, age)?;
                pace.keep().await;
            }
        };
        // Measuring never ends; it is dropped with the connection.
        tokio::select! {
            why = hear => why,
            never = self.measure(client.clone()) => match never {},
        }
    }

    /// Keeps the round trip to the peer, over the connection on which it would be asked to take over. A peer that refuses the
    /// question as an older agent does is not asked again on this connection: each time it would tell of a refusal.
    async fn measure(&self, mut client: PeerServiceClient<Channel>) -> std::convert::Infallible {
        loop {
            let asked = Instant::now();
            let node = self.journal.node().to_string();
            let answer = timeout(SILENCE, client.echo(v1::EchoRequest { node })).await;
            // One that hangs is found silent by what it does not say.
            let round_trip = matches!(answer, Ok(Ok(_))).then(|| asked.elapsed());
            self.shared.update(&self.name, |peer| peer.round_trip = round_trip);
            if matches!(&answer, Ok(Err(status)) if is_unknown(status)) {
                return std::future::pending().await;
            }
            tokio::time::sleep(self.measure_every).await;
        }
    }

    /// The next message and its age; one that does not say when it was sent is as old as can be.
    async fn next(
        &self,
        messages: &mut Streaming<v1::WatchReportsResponse>,
    ) -> Result<(Payload, Duration), Why> {
        let message = timeout(SILENCE, messages.message()).await.map_err(|_| silent())?;
        let message = message.map_err(|status| Why::of_status(&status))?;
        let message = message.ok_or_else(|| Quiet::Ended.because("it ended the stream"))?;
        let age = self.shared.age(&self.name, message.sent_at).unwrap_or(Duration::MAX);
        let payload = message.payload;
        let unknown =
            || Quiet::Malformed.because("it says what this version does not know; compare the versions");
        let payload = payload.ok_or_else(unknown)?;
        Ok((payload, age))
    }

    fn take(&self, report: &mut Builder, message: Payload, age: Duration) -> Result<(), Why> {
        match message {
            Payload::Report(part) => {
                let whole = report.add(part).map_err(|text| Quiet::Malformed.because(text))?;
                if whole.is_some() {
                    // It may wait to know whether we live: see the words of the engine.
                    self.shared.asked.notify_one();
                }
                self.note_heard(whole.map(Arc::new));
            }
            Payload::Heartbeat(_) => self.note_heard(None),
            Payload::Released(_) if age > FRESH => {
                self.shared.counts.release(&self.name, ReleaseOutcome::Late);
                info!(peer = %self.name, ?age, "a release came late and is not acted on; VRRP's timers decide");
            }
            Payload::Released(released) => {
                let routers =
                    wire::released_from_wire(released).map_err(|text| Quiet::Malformed.because(text))?;
                let word = HeardRelease { peer: Arc::clone(&self.name), routers };
                // What is not taken VRRP's own priority 0 tells as well.
                let taken = self.shared.incoming.try_send(Incoming::Released(word)).is_ok();
                let outcome = if taken { ReleaseOutcome::Taken } else { ReleaseOutcome::Busy };
                self.shared.counts.release(&self.name, outcome);
            }
            Payload::Opened(_) => return Err(Quiet::Malformed.because("it introduces itself twice")),
        }
        Ok(())
    }

    fn is(&self, contact: &Contact) -> bool {
        self.known().is_some_and(|peer| peer.contact == *contact)
    }

    fn known(&self) -> Option<Arc<super::PeerView>> {
        self.shared.view.borrow().peers.get(&self.name).cloned()
    }

    /// A peer is reachable from its first whole report on. The event stands in the journal before anything follows from it.
    fn note_heard(&self, whole: Option<Arc<super::Report>>) {
        let now = clock::now();
        let before = self.known().filter(|peer| whole.is_some() && peer.contact != Contact::Reachable);
        if let Some(before) = &before {
            self.tell(PeerEvent::Reachable { after: now.since(before.since) });
        }
        self.shared.update(&self.name, |peer| {
            peer.heard = Some(now);
            if before.is_some() {
                peer.contact = Contact::Reachable;
                peer.since = now;
            }
            if whole.is_some() {
                peer.report = whole;
            }
        });
    }

    fn note_silent(&self, why: Why) {
        let news = self.known().is_some_and(|peer| !matches!(peer.contact, Contact::Silent(_)));
        if news {
            self.tell(PeerEvent::Silent { why: Arc::clone(&why.text) });
        }
        self.shared.update(&self.name, |peer| {
            if news {
                peer.since = clock::now();
            }
            peer.contact = Contact::Silent(why);
            peer.round_trip = None;
        });
    }

    fn tell(&self, event: PeerEvent) {
        self.journal.append(Box::new(Event {
            at: clock::now(),
            subject: Subject::Peer(Arc::clone(&self.name)),
            kind: EventKind::Peer(event),
            cause: Cause::PeerReport,
            evidence: Evidence::default(),
            actor: None,
        }));
    }
}

/// Whether a peer has answered as one does that does not know the question: such methods need admin, which a node is not.
fn is_unknown(status: &tonic::Status) -> bool {
    matches!(status.code(), Code::Unimplemented | Code::PermissionDenied)
}

fn silent() -> Why {
    let text =
        format!("nothing was heard for {SILENCE:?}: is its network gone, or does its vrrp thread hang?");
    Quiet::NoAnswer.because(text)
}

/// Slows down what is read from a peer that floods: then its own queues fill.
struct Pace {
    since: Instant,
    count: u32,
}

impl Pace {
    fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    async fn keep(&mut self) {
        const SECOND: Duration = Duration::from_secs(1);
        if self.since.elapsed() >= SECOND {
            *self = Self::new();
        }
        self.count += 1;
        if self.count > MOST_MESSAGES {
            tokio::time::sleep_until(self.since + SECOND).await;
        }
    }
}

/// Half to the whole of it, so that nodes that lost each other together do not dial together.
fn jittered(pause: Duration) -> Duration {
    let share = RandomState::new().hash_one(clock::now().as_nanos()) % 512;
    pause / 2 + pause / 1024 * u32::try_from(share).unwrap_or(0)
}
