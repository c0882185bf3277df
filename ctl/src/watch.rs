//! One node's event stream, kept alive: it reconnects with the resume token, and says whatever happens to the stream.
//! Nothing is lost in silence.

mod notice;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::watch_events_response::Payload;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

pub(crate) use self::notice::{Notice, NoticeKind};
use crate::clock::{Clock, to_proto};
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::names;
use crate::session::Session;
use crate::span::Span;

/// A stream is dead after this many heartbeats did not come.
const HEARTBEATS_MISSED: u32 = 3;

/// What is asked of the server when nothing else is said; the contract's default.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(10);

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LAST: Duration = Duration::from_secs(2);

/// How many events are fetched after a resync to fill the hole.
const BACKFILL: usize = 10_000;

/// Where a stream begins.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// With what happens from now on.
    Now,
    /// After the answer that gave this token.
    Token(String),
    /// At this time of our clock.
    Since(Timestamp),
}

/// What a watcher tells.
#[derive(Debug)]
pub(crate) enum Update {
    /// Something happened on the node.
    Event(Box<v1::Event>, Clock),
    /// Something happened to the stream.
    Notice(Box<Notice>),
    /// All that had happened when the stream was opened has been told.
    CaughtUp,
    /// A message has been handled whole: the token goes on behind it.
    Handled,
}

/// An update with the lane, that is the node, it belongs to, and the newest token at that point.
#[derive(Debug)]
pub(crate) struct Told {
    /// The watcher's lane.
    pub lane: usize,
    /// The node's name; its endpoint as long as that is not known.
    pub node: String,
    /// Where the stream would go on after this.
    pub token: Option<String>,
    /// What is told.
    pub update: Update,
}

/// Builds the filter for one node. It may have to ask the node for it.
pub(crate) trait FilterFor: Clone + Send + Sync + 'static {
    /// The filter for the node behind this session.
    fn filter(&self, session: &Session) -> impl Future<Output = Result<v1::EventFilter, Failure>> + Send;
}

/// Keeps one node's stream alive.
pub(crate) struct Watcher<F> {
    /// Its number.
    pub lane: usize,
    /// Where the node is.
    pub endpoint: Endpoint,
    /// The node's name when it is known.
    pub node: Option<String>,
    /// Which nodes are wanted, by pattern; others are left alone once they say who they are.
    pub wanted: Vec<String>,
    /// Bound of connecting and of each question.
    pub limit: Span,
    /// Where to begin.
    pub start: Start,
    /// Which events.
    pub filter: F,
    /// How often the server shall give a sign of life; its own choice when absent.
    pub heartbeat: Option<Duration>,
    /// Where to tell.
    pub updates: mpsc::Sender<Told>,
    /// The newest event told: its incarnation and sequence.
    pub last: Option<(String, i64)>,
}

/// Why one connection came to its end.
enum End {
    /// Nobody listens to us any more, or the node is not wanted.
    Stop,
    /// The stream broke; try again after this, when the server has named a time.
    Lost(Failure, Option<Duration>),
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        End::Lost(failure, None)
    }
}

/// What is known of the connection in use.
struct Connection {
    session: Session,
    clock: Clock,
    silence: Duration,
    newest_at_start: Option<i64>,
    /// The agent's own; events of earlier ones come first.
    incarnation: String,
    caught_up: bool,
    retry_after: Option<Duration>,
}

impl<F: FilterFor> Watcher<F> {
    /// Runs until nobody listens, the node is not wanted, or the node refuses for good.
    pub(crate) async fn run(mut self) {
        let mut backoff = BACKOFF_FIRST;
        let mut lost = false;
        loop {
            let mut streamed = false;
            let End::Lost(failure, retry_after) = self.attempt(&mut lost, &mut streamed).await else {
                return;
            };
            let failure = failure.on(self.label());
            if is_final(&failure) {
                self.tell(Update::Notice(Box::new(Notice::refused(&failure)))).await;
                return;
            }
            if !lost && self.tell(Update::Notice(Box::new(Notice::lost(&failure)))).await.is_none() {
                return;
            }
            lost = true;
            if streamed {
                backoff = BACKOFF_FIRST;
            }
            // Cancelled here when the program ends: nothing is held.
            sleep(retry_after.unwrap_or(backoff).min(Duration::from_secs(60))).await;
            backoff = (backoff * 2).min(BACKOFF_LAST);
        }
    }

    fn label(&self) -> String {
        self.node.clone().unwrap_or_else(|| self.endpoint.to_string())
    }

    /// One connection, from its beginning to its end.
    async fn attempt(&mut self, lost: &mut bool, streamed: &mut bool) -> End {
        let opened = match timeout(self.limit.to_duration(), self.open()).await {
            Ok(opened) => opened,
            Err(_) => Err(Failure::node_timeout(self.limit).into()),
        };
        let (mut connection, mut stream) = match opened {
            Ok(opened) => opened,
            Err(end) => return end,
        };
        loop {
            let message = match timeout(connection.silence, stream.message()).await {
                Err(_) => return End::Lost(silent(connection.silence), None),
                Ok(Err(status)) => return End::Lost(ended(&status), connection.retry_after),
                Ok(Ok(None)) => return End::Lost(ended_quietly(), connection.retry_after),
                Ok(Ok(Some(message))) => message,
            };
            if *lost {
                *lost = false;
                if self.tell(Update::Notice(Box::new(Notice::back(&self.label())))).await.is_none() {
                    return End::Stop;
                }
            }
            *streamed = true;
            match self.handle(&mut connection, message).await {
                Ok(()) => {}
                Err(end) => return end,
            }
        }
    }

    async fn open(&mut self) -> Result<(Connection, tonic::Streaming<v1::WatchEventsResponse>), End> {
        let mut session = Session::open(&self.endpoint, Arc::new(OnceLock::new())).await?;
        let (node, clock) = session.node().await?;
        let name = names::last(&node.name).to_owned();
        if !crate::cluster::NodeFilter(&self.wanted).wants(&name) {
            return Err(End::Stop);
        }
        self.node = Some(name);
        let request = v1::WatchEventsRequest {
            filter: Some(self.filter.filter(&session).await?),
            start: match &self.start {
                Start::Now => None,
                Start::Token(token) => Some(v1::watch_events_request::Start::ResumeToken(token.clone())),
                Start::Since(time) => {
                    let theirs = time.checked_add(jiff::SignedDuration::from_nanos(clock.offset.nanos()));
                    Some(v1::watch_events_request::Start::SinceTime(to_proto(theirs.unwrap_or(*time))))
                }
            },
            include_snapshot: false,
            heartbeat_interval: self.heartbeat.map(|interval| Span::from(interval).to_proto()),
        };
        let stream = session.watch(request).await?;
        let silence = self.heartbeat.unwrap_or(HEARTBEAT_DEFAULT) * HEARTBEATS_MISSED;
        let connection = Connection {
            session,
            clock,
            silence,
            newest_at_start: None,
            incarnation: String::new(),
            caught_up: false,
            retry_after: None,
        };
        Ok((connection, stream))
    }

    async fn handle(
        &mut self,
        connection: &mut Connection,
        message: v1::WatchEventsResponse,
    ) -> Result<(), End> {
        let newest_before = connection.newest_at_start;
        let mut seen = None;
        // The token is valid once the message has been handled; told with its last part.
        let token = Some(message.resume_token).filter(|token| !token.is_empty());
        match message.payload {
            Some(Payload::Opened(opened)) => {
                let interval = opened.heartbeat_interval.as_ref().map(|span| Span::from(span).to_duration());
                if let Some(interval) = interval.filter(|interval| !interval.is_zero()) {
                    connection.silence = interval * HEARTBEATS_MISSED;
                }
                connection.newest_at_start = Some(opened.newest_sequence);
                connection.incarnation.clone_from(&message.incarnation_id);
                // Nothing has ever happened there, so nothing is to come.
                seen = (opened.newest_sequence == 0).then_some(0);
            }
            Some(Payload::EventBatch(batch)) => {
                for event in batch.events {
                    seen = Some(event.sequence).filter(|_| event.incarnation_id == connection.incarnation);
                    self.tell_event(event, connection.clock).await?;
                }
            }
            Some(Payload::Heartbeat(heartbeat)) if message.incarnation_id == connection.incarnation => {
                seen = Some(heartbeat.newest_sequence);
            }
            Some(Payload::Lagged(lagged)) => self.notice(Notice::lagged(&self.label(), &lagged)).await?,
            Some(Payload::ResyncRequired(resync)) => {
                self.resync(connection, &resync, &message.incarnation_id).await?;
            }
            Some(Payload::GoingAway(going)) => {
                connection.retry_after =
                    going.retry_delay.as_ref().map(|span| Span::from(span).to_duration());
                self.notice(Notice::going_away(&self.label(), &going)).await?;
            }
            // No snapshot is asked for; what later versions may add is theirs.
            Some(Payload::Heartbeat(_) | Payload::SnapshotEntry(_) | Payload::SnapshotEnd(_)) | None => {}
        }
        if let Some(token) = token {
            self.start = Start::Token(token);
        }
        self.tell(Update::Handled).await.ok_or(End::Stop)?;
        let target = newest_before.or(connection.newest_at_start);
        if !connection.caught_up && target.zip(seen).is_some_and(|(target, seen)| seen >= target) {
            connection.caught_up = true;
            self.tell(Update::CaughtUp).await.ok_or(End::Stop)?;
        }
        Ok(())
    }

    /// Tells an event, unless it has been told before.
    async fn tell_event(&mut self, event: v1::Event, clock: Clock) -> Result<(), End> {
        let known = self.last.as_ref().is_some_and(|(incarnation, sequence)| {
            *incarnation == event.incarnation_id && event.sequence <= *sequence
        });
        if known {
            return Ok(());
        }
        self.last = Some((event.incarnation_id.clone(), event.sequence));
        self.tell(Update::Event(Box::new(event), clock)).await.ok_or(End::Stop)
    }

    /// The token did not carry: the stream goes on from now. What history still has is fetched, and what may be lost
    /// is said.
    async fn resync(
        &mut self,
        connection: &mut Connection,
        resync: &v1::ResyncRequired,
        incarnation: &str,
    ) -> Result<(), End> {
        if resync.reason() == v1::resync_required::Reason::EndUnknown {
            // What is kept follows by itself.
            return self.notice(Notice::resync(&self.label(), resync, true)).await;
        }
        let filter = self.filter.filter(&connection.session).await?;
        let request = v1::ListEventsRequest { filter: Some(filter), ..v1::ListEventsRequest::default() };
        let fetched =
            timeout(self.limit.to_duration(), connection.session.newest_events(request, BACKFILL)).await;
        let history = fetched.map_err(|_| Failure::node_timeout(self.limit))??;
        let last = self.last.clone();
        // Within an incarnation the sequences show whether there is a hole. Across a restart nobody knows what the old
        // incarnation would still have told.
        let lost = match &last {
            Some((known, sequence)) if known == incarnation => {
                history.oldest_available_sequence > sequence + 1
            }
            _ => true,
        };
        self.notice(Notice::resync(&self.label(), resync, lost)).await?;
        for event in history.events {
            let is_new = match &last {
                Some((known, sequence)) if *known == event.incarnation_id => event.sequence > *sequence,
                Some(_) => event.incarnation_id == incarnation,
                None => false,
            };
            if is_new {
                self.tell_event(event, connection.clock).await?;
            }
        }
        Ok(())
    }

    async fn notice(&self, notice: Notice) -> Result<(), End> {
        self.tell(Update::Notice(Box::new(notice))).await.ok_or(End::Stop)
    }

    /// None when nobody listens any more.
    async fn tell(&self, update: Update) -> Option<()> {
        let token = match &self.start {
            Start::Token(token) => Some(token.clone()),
            Start::Now | Start::Since(_) => None,
        };
        let told = Told { lane: self.lane, node: self.label(), token, update };
        self.updates.send(told).await.ok()
    }
}

/// Whether trying again is of no use.
fn is_final(failure: &Failure) -> bool {
    matches!(failure.code, "UNIMPLEMENTED" | "INVALID_ARGUMENT" | "UNAUTHENTICATED")
        || (failure.exit == Exit::Denied && failure.reason != "SOCKET_PERMISSION")
}

fn silent(silence: Duration) -> Failure {
    let message = format!("{HEARTBEATS_MISSED} heartbeats did not come: silent for {}", Span::from(silence));
    let remedy = "the agent may hang: see journalctl -u ha-agent on that node";
    Failure::local(Exit::StreamLost, "UNAVAILABLE", "HEARTBEATS_MISSED", message, remedy)
}

fn ended(status: &tonic::Status) -> Failure {
    Failure::from_status(status)
}

fn ended_quietly() -> Failure {
    let message = "the agent ended the stream without saying why";
    Failure::local(Exit::StreamLost, "OK", "STREAM_ENDED", message, "")
}
