//! One stream of events, by the watch contract: opened first, then a snapshot when wanted, then every event that matches,
//! in order, once; a loss is said exactly, silence is broken by heartbeats, and the end is never OK.
//!
//! ```text
//! opened ─► [resync required] ─► [snapshot entries ─► snapshot end] ─► batches, heartbeats, lagged ─► going away ─► error
//! ```
//! The stream pulls from the journal when the client takes, so a client that stands still holds nothing but its place. What is
//! no longer in memory, or of an earlier life of the agent, comes from the disk first.

mod past;
mod shown;
mod whole;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use futures::{Stream, StreamExt};
use ha_proto::v1;
use ha_proto::v1::resync_required::Reason as Resync;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use tracing::error;

use super::connection::User;
use super::convert::{self, duration, signed, timestamp};
use super::error::{Reason, internal, refuse, stopping};
use super::filter::Filter;
use super::gate::{Deadline, deadline_exceeded};
use super::shared::{Shared, WatchPlace};
use super::tokens;
use crate::journal::{CHUNK, Lagged, Mark, Read, Reader};
use past::Past;
use shown::Shown;
pub(crate) use whole::Wholes;

/// Heartbeats when the client does not say, and the limits of what it may say.
const HEARTBEAT: Duration = Duration::from_secs(10);
const SHORTEST_HEARTBEAT: Duration = Duration::from_secs(1);
const LONGEST_HEARTBEAT: Duration = Duration::from_secs(60);

/// How long a client should wait before it comes back to an agent that stops.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// A stream of answers.
pub(crate) type Answers = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

/// Installs the subscription and returns its stream.
pub(crate) async fn open(
    shared: &Arc<Shared>,
    user: User,
    request: v1::WatchEventsRequest,
    deadline: Option<Deadline>,
) -> Result<Answers, Status> {
    let place = shared.watch_place(user)?;
    let watch = Watch::new(Arc::clone(shared), place, request, deadline).await?;
    let stream =
        futures::stream::unfold(watch, |mut watch| async move { Some((watch.next().await?, watch)) });
    let stream = AssertUnwindSafe(stream).catch_unwind().map(|item| {
        item.unwrap_or_else(|_panic| {
            error!("a watch of events panicked; the agent goes on");
            Err(internal())
        })
    });
    Ok(Box::pin(stream))
}

/// A subscription.
struct Watch {
    shared: Arc<Shared>,
    filter: Filter,
    reader: Reader,
    /// Where the stream is while it tells what is no longer in memory.
    past: Option<Past>,
    /// The disk had nothing after this sequence.
    disk_ends: Option<u64>,
    /// The newest sequence when the subscription was installed, or the client had to begin anew.
    newest_at_start: u64,
    /// With what a client comes back that was cut off before it had the whole snapshot that it needs.
    unsettled: Option<String>,
    heartbeat: Duration,
    next_heartbeat: Instant,
    deadline: Option<Instant>,
    phase: Phase,
    _place: WatchPlace,
}

/// What comes next.
enum Phase {
    Opened { resync: Option<Resync>, snapshot: bool },
    Resync(Resync),
    AskSnapshot,
    Snapshot(Shown),
    Past,
    Live,
    Leaving,
    Left,
    Ended,
}

/// What a live stream wakes up for.
enum Wake {
    Shutdown,
    Deadline,
    Heartbeat,
    Read(Read),
}

impl Watch {
    async fn new(
        shared: Arc<Shared>,
        place: WatchPlace,
        request: v1::WatchEventsRequest,
        deadline: Option<Deadline>,
    ) -> Result<Self, Status> {
        let filter = Filter::new(request.filter, &shared.names, shared.journal.node())?;
        // The subscription begins here: whatever is appended from now on is after this position.
        let newest_at_start = shared.journal.newest();
        let heartbeat = heartbeat(request.heartbeat_interval.as_ref())?;
        let given = request.start.clone();
        let (from, resync) = past::start(&shared, &filter, request.start, newest_at_start).await?;
        let is_current = from.incarnation == *shared.journal.incarnation();
        let in_memory = is_current && shared.journal.has_all_after(from.sequence);
        Ok(Self {
            reader: shared
                .journal
                .reader_woken_by(if is_current { from.sequence } else { 0 }, shared.pulse.subscribe()),
            past: (!in_memory).then(|| Past::new(from)),
            disk_ends: None,
            unsettled: resync.and_then(|_| given_token(given)),
            shared,
            filter,
            newest_at_start,
            heartbeat,
            next_heartbeat: Instant::now() + heartbeat,
            deadline: deadline.map(|Deadline(at)| at),
            phase: Phase::Opened { resync, snapshot: request.include_snapshot },
            _place: place,
        })
    }

    async fn next(&mut self) -> Option<Result<v1::WatchEventsResponse, Status>> {
        loop {
            if self.shared.shutdown.is_cancelled() && !matches!(self.phase, Phase::Left | Phase::Ended) {
                self.phase = Phase::Leaving;
            }
            let answer = match std::mem::replace(&mut self.phase, Phase::Ended) {
                Phase::Opened { resync, snapshot } => {
                    self.phase = after_opened(resync, snapshot);
                    Some(Ok(self.answer(self.opened())))
                }
                Phase::Resync(reason) => {
                    self.phase = Phase::AskSnapshot;
                    let payload = v1::ResyncRequired { reason: reason.into(), snapshot_follows: true };
                    Some(Ok(self.answer(Payload::ResyncRequired(payload))))
                }
                Phase::AskSnapshot => self.ask_snapshot().await.err().map(Err),
                Phase::Snapshot(shown) => Some(self.show(shown).await),
                Phase::Past => self.tell_past().await,
                Phase::Live => self.live().await,
                Phase::Leaving => Some(Ok(self.leave())),
                Phase::Left => Some(Err(stopping())),
                Phase::Ended => return None,
            };
            if answer.is_some() {
                return answer;
            }
        }
    }

    fn opened(&self) -> Payload {
        Payload::Opened(v1::StreamOpened {
            oldest_available_sequence: signed(self.shared.journal.oldest_sequence()),
            newest_sequence: signed(self.newest_at_start),
            heartbeat_interval: Some(duration(self.heartbeat)),
        })
    }

    /// On failure the stream ends with that error.
    async fn ask_snapshot(&mut self) -> Result<(), Status> {
        self.phase = Phase::Snapshot(Shown::ask(&self.shared, self.newest_at_start).await?);
        Ok(())
    }

    /// On failure the stream ends with that error.
    async fn show(&mut self, mut shown: Shown) -> Result<v1::WatchEventsResponse, Status> {
        if let Some(entry) = shown.next(&self.shared, &self.filter).await? {
            self.phase = Phase::Snapshot(shown);
            return Ok(self.answer(Payload::SnapshotEntry(entry)));
        }
        self.phase = Phase::Past;
        self.unsettled = None;
        Ok(self.answer(Payload::SnapshotEnd(v1::SnapshotEnd { sequence: signed(shown.sequence()) })))
    }

    /// Waits for the next thing to say; `None` when what came does not concern this client.
    async fn live(&mut self) -> Option<Result<v1::WatchEventsResponse, Status>> {
        self.phase = Phase::Live;
        let mark = self.reader.mark();
        match self.wake().await {
            Wake::Shutdown => None,
            Wake::Deadline => {
                self.phase = Phase::Ended;
                Some(Err(deadline_exceeded()))
            }
            Wake::Heartbeat => {
                self.next_heartbeat = Instant::now() + self.heartbeat;
                let newest_sequence = signed(self.reader.position());
                Some(Ok(self.answer(Payload::Heartbeat(v1::Heartbeat { newest_sequence }))))
            }
            Wake::Read(Read::Lagged(_)) if self.may_look_on_disk(mark) => None,
            Wake::Read(read) => self.read(read).map(Ok),
        }
    }

    /// What memory has no longer the disk may have: then nothing is lost, the client is only late.
    fn may_look_on_disk(&mut self, before: Mark) -> bool {
        let journal = &self.shared.journal;
        if !journal.archive().is_there() || self.disk_ends == Some(before.position()) {
            return false;
        }
        self.reader.return_to(before);
        self.past = Some(Past::new(journal.place(before.position())));
        self.phase = Phase::Past;
        true
    }

    async fn wake(&mut self) -> Wake {
        let (deadline, heartbeat) = (self.deadline, self.next_heartbeat);
        let shutdown = self.shared.shutdown.cancelled();
        // Heartbeats before events, so that a flood of events that this client does not want leaves it no doubt.
        // All branches may be cancelled: none takes anything before it is ready.
        tokio::select! {
            biased;
            () = shutdown => Wake::Shutdown,
            () = sleep_until(deadline.unwrap_or(heartbeat)), if deadline.is_some() => Wake::Deadline,
            () = sleep_until(heartbeat) => Wake::Heartbeat,
            read = self.reader.read(CHUNK) => Wake::Read(read),
        }
    }

    fn read(&self, read: Read) -> Option<v1::WatchEventsResponse> {
        match read {
            Read::Lagged(lagged) => Some(self.answer(self.lagged(lagged))),
            Read::Records(records) => {
                let (journal, names) = (&self.shared.journal, &self.shared.names);
                let wanted = records.iter().filter(|record| self.filter.matches(record));
                let events: Vec<v1::Event> =
                    wanted.map(|record| convert::event(journal, names, record)).collect();
                (!events.is_empty()).then(|| self.answer(Payload::EventBatch(v1::EventBatch { events })))
            }
        }
    }

    fn lagged(&self, lagged: Lagged) -> Payload {
        self.shared.options.counters.lost_events.fetch_add(lagged.count(), Ordering::Relaxed);
        Payload::Lagged(v1::Lagged {
            first_lost_sequence: signed(lagged.first),
            last_lost_sequence: signed(lagged.last),
            lost_count: signed(lagged.count()),
        })
    }

    /// Says what is left to say, then that the agent goes.
    fn leave(&mut self) -> v1::WatchEventsResponse {
        // A client that is still in the past, or lost something, goes on there when it comes back.
        let mut mark = self.reader.mark();
        while self.past.is_none()
            && let Some(read) = self.reader.try_read(CHUNK)
        {
            if matches!(read, Read::Lagged(_)) {
                self.reader.return_to(mark);
                break;
            }
            if let Some(answer) = self.read(read) {
                self.phase = Phase::Leaving;
                return answer;
            }
            mark = self.reader.mark();
        }
        self.phase = Phase::Left;
        self.answer(Payload::GoingAway(v1::GoingAway {
            reason: "the agent is stopping".to_owned(),
            retry_delay: Some(duration(RETRY_DELAY)),
        }))
    }

    fn answer(&self, payload: Payload) -> v1::WatchEventsResponse {
        self.answer_of(self.shared.journal.incarnation(), payload)
    }

    /// An answer that speaks of the sequences of this incarnation.
    fn answer_of(&self, incarnation: &str, payload: Payload) -> v1::WatchEventsResponse {
        let journal = &self.shared.journal;
        let past = || self.past.as_ref().map(|past| tokens::resume_token_of(journal, &past.place));
        let token = self.unsettled.clone().or_else(past);
        v1::WatchEventsResponse {
            node: self.shared.names.node(),
            incarnation_id: incarnation.to_owned(),
            resume_token: token.unwrap_or_else(|| tokens::resume_token(journal, self.reader.position())),
            server_time: Some(timestamp(SystemTime::now())),
            payload: Some(payload),
        }
    }
}

/// The token that led to nothing leads to the same again, until the client has what it needs instead; one that is none of ours
/// may be of any length.
fn given_token(start: Option<Start>) -> Option<String> {
    const LONGEST: usize = 256;
    match start {
        Some(Start::ResumeToken(token)) if token.len() <= LONGEST => Some(token),
        _ => Some(String::new()),
    }
}

fn after_opened(resync: Option<Resync>, snapshot: bool) -> Phase {
    match resync {
        Some(reason) => Phase::Resync(reason),
        None if snapshot => Phase::AskSnapshot,
        None => Phase::Past,
    }
}

fn heartbeat(asked: Option<&prost_types::Duration>) -> Result<Duration, Status> {
    let Some(asked) = asked else { return Ok(HEARTBEAT) };
    let asked = convert::checked_duration(asked).ok_or_else(|| {
        refuse(
            Reason::TimeOutOfRange,
            "heartbeat_interval is out of range",
            "use 1 s .. 60 s, or leave it out",
        )
    })?;
    Ok(asked.clamp(SHORTEST_HEARTBEAT, LONGEST_HEARTBEAT))
}
