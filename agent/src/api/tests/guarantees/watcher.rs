//! A real client that resumes from its tokens, and looks at every message that it gets.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::resync_required::Reason;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::transport::{Endpoint, Uri};
use tonic::{Code, Streaming};

use super::judge::{Judge, Place, Wants};
use super::world::{Life, World};
use super::{Broken, Tally};

/// After so long without a message a client has nothing to read.
const QUIET: Duration = Duration::from_millis(60);

/// No message, end or event may take longer on a machine under load.
const LONG: Duration = Duration::from_secs(30);

/// A client.
pub(super) struct Watcher {
    wants: Wants,
    /// Lets in next to nothing that it does not read.
    is_narrow: bool,
    /// From its first connection on.
    judge: Option<Judge>,
    token: Option<String>,
    connection: Option<Connection>,
    pub(super) seen: Tally,
}

struct Connection {
    stream: Streaming<v1::WatchEventsResponse>,
    /// Carries the octets; aborting it cuts the connection.
    carrier: Arc<Mutex<Option<AbortHandle>>>,
    /// The newest sequence before it was asked for.
    newest_before: u64,
    is_opened: bool,
    /// Until the end of the snapshot that follows.
    resync: Option<Reason>,
    is_going_away: bool,
    lagged: Option<SystemTime>,
}

impl Watcher {
    pub(super) fn all() -> Vec<Self> {
        let kinds = [
            (Wants::Everything, false),
            (Wants::Everything, true),
            (Wants::Changes, true),
            (Wants::Nothing, false),
        ];
        let watcher = |(wants, is_narrow)| Self {
            wants,
            is_narrow,
            judge: None,
            token: None,
            connection: None,
            seen: Tally::default(),
        };
        kinds.map(watcher).into()
    }

    /// Takes at most so many messages, fewer when nothing comes for a while.
    pub(super) async fn read(&mut self, world: &World, messages: u64) -> Result<(), Broken> {
        self.connect(world).await?;
        for _ in 0..messages {
            let connection = self.connection.as_mut().unwrap();
            match timeout(QUIET, connection.stream.message()).await {
                Err(_quiet) => break,
                Ok(Ok(Some(message))) => self.handle(world, message)?,
                Ok(Ok(None)) => return Err("the stream ends with OK".to_owned()),
                Ok(Err(status)) => return Err(format!("the stream ends: {status:?}")),
            }
        }
        Ok(())
    }

    /// Breaks the connection; what had arrived until then is read, every other time.
    pub(super) async fn cut(&mut self, world: &World) -> Result<(), Broken> {
        let is_read = self.seen.resumed.is_multiple_of(2);
        if let Some(connection) = self.connection.as_ref().filter(|_| is_read) {
            connection.carrier.lock().unwrap().take().unwrap().abort();
            self.read_until_error(world).await?;
        }
        self.hang_up();
        Ok(())
    }

    /// Breaks the connection as it is.
    pub(super) fn hang_up(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Some(carrier) = connection.carrier.lock().unwrap().take()
        {
            carrier.abort();
        }
    }

    /// The agent ends in order: a client that reads is told so.
    pub(super) async fn read_to_the_end(&mut self, world: &World) -> Result<(), Broken> {
        if self.connection.is_none() {
            return Ok(());
        }
        let code = self.read_until_error(world).await?;
        let connection = self.connection.as_ref().unwrap();
        if code != Code::Unavailable || !connection.is_going_away {
            return Err(format!("the end of the agent comes as {code:?} without a farewell"));
        }
        Ok(())
    }

    async fn read_until_error(&mut self, world: &World) -> Result<Code, Broken> {
        let limit = Instant::now() + LONG;
        while let Some(connection) = &mut self.connection {
            match timeout_at(limit, connection.stream.message()).await {
                Err(_elapsed) => return Err("a broken stream does not end".to_owned()),
                Ok(Ok(Some(message))) => self.handle(world, message)?,
                Ok(Ok(None)) => return Err("the stream ends with OK".to_owned()),
                Ok(Err(status)) => return Ok(status.code()),
            }
        }
        Ok(Code::Unknown)
    }

    /// Reads until everything that happened was told and bookmarked.
    pub(super) async fn catch_up(&mut self, world: &World) -> Result<(), Broken> {
        self.connect(world).await?;
        let lives = world.lives();
        let newest = Place { life: lives.len() - 1, sequence: lives.last().unwrap().newest };
        let (limit, bookmarks) = (Instant::now() + LONG, self.seen.bookmarks);
        while self.at() != Some(newest) || self.seen.bookmarks == bookmarks {
            let connection = self.connection.as_mut().unwrap();
            match timeout_at(limit, connection.stream.message()).await {
                Err(_elapsed) => {
                    return Err(format!("reliable: told up to {:?}, and {newest:?} never comes", self.at()));
                }
                Ok(Ok(Some(message))) => self.handle(world, message)?,
                Ok(ended) => return Err(format!("the stream ends: {ended:?}")),
            }
        }
        self.judge.as_ref().map_or(Ok(()), Judge::caught_up)
    }

    fn at(&self) -> Option<Place> {
        self.judge.as_ref().map(|judge| judge.at)
    }

    async fn connect(&mut self, world: &World) -> Result<(), Broken> {
        if self.connection.is_some() {
            return Ok(());
        }
        let types = match self.wants {
            Wants::Everything => vec![],
            Wants::Changes => vec!["instance.state_changed".to_owned()],
            Wants::Nothing => vec!["vip.*".to_owned()],
        };
        let request = v1::WatchEventsRequest {
            filter: Some(v1::EventFilter { types, ..Default::default() }),
            start: self.token.clone().map(Start::ResumeToken),
            heartbeat_interval: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            ..Default::default()
        };
        let journal = &world.agent().journal;
        let newest_before = journal.newest();
        let (mut client, carrier) = dial(world.agent().socket.clone(), self.is_narrow).await;
        let stream = timeout(LONG, client.watch_events(request)).await.map_err(|_| "no stream in time")?;
        let stream = stream.map_err(|status| format!("no stream: {status:?}"))?.into_inner();
        self.connection = Some(Connection {
            stream,
            carrier,
            newest_before,
            is_opened: false,
            resync: None,
            is_going_away: false,
            lagged: None,
        });
        self.seen.resumed += u64::from(self.token.is_some());
        if let Some(judge) = &mut self.judge {
            judge.connected();
        }
        Ok(())
    }

    fn handle(&mut self, world: &World, message: v1::WatchEventsResponse) -> Result<(), Broken> {
        let lives = world.lives();
        let place = Place::of_token(&lives, &message.resume_token)?;
        let connection = self.connection.as_mut().unwrap();
        let payload = message.payload.as_ref().ok_or("a message without payload")?;
        if connection.is_opened == matches!(payload, Payload::Opened(_)) {
            return Err(format!("the stream is opened first and once, not by {payload:?}"));
        }
        let life = lives.iter().position(|life| *life.incarnation == *message.incarnation_id);
        let life = life.ok_or("a message of an unknown life")?;
        match payload {
            Payload::Opened(opened) => self.on_opened(&lives, place, sequence(opened.newest_sequence))?,
            Payload::ResyncRequired(resync) => {
                connection.resync = Some(resync.reason());
                self.seen.resyncs[usize::try_from(resync.reason).unwrap()] += 1;
                self.check_resync(world, &lives, resync.reason())?;
            }
            Payload::SnapshotEnd(end) => self.on_snapshot(&lives, place, sequence(end.sequence))?,
            Payload::EventBatch(batch) => self.on_batch(&lives, place, life, &batch.events)?,
            Payload::Lagged(lagged) if world.keeps_everything() => {
                return Err(format!("reliable: the disk has what is told as lost: {lagged:?}"));
            }
            Payload::Lagged(lagged) => {
                let server_time = SystemTime::try_from(message.server_time.unwrap()).unwrap();
                self.on_lagged(life, lagged, server_time)?;
            }
            Payload::Heartbeat(heartbeat) => {
                self.seen.bookmarks += 1;
                if place != (Place { life, sequence: sequence(heartbeat.newest_sequence) }) {
                    return Err(format!("bookmarkable: {place:?} is not {heartbeat:?} of life {life}"));
                }
            }
            Payload::GoingAway(_) => connection.is_going_away = true,
            Payload::SnapshotEntry(_) => {}
        }
        // Handled: from now on this is where it would go on.
        self.judge.as_mut().unwrap().pass(&lives, place)?;
        self.token = Some(message.resume_token);
        Ok(())
    }

    fn on_opened(&mut self, lives: &[Life], place: Place, newest: u64) -> Result<(), Broken> {
        let connection = self.connection.as_mut().unwrap();
        connection.is_opened = true;
        let current = lives.len() - 1;
        if newest < connection.newest_before || newest > lives[current].newest {
            return Err(format!("opened at {newest}, asked for at {}", connection.newest_before));
        }
        if self.judge.is_none() {
            if place != (Place { life: current, sequence: newest }) {
                return Err(format!("a fresh stream begins at {place:?}"));
            }
            self.judge = Some(Judge::new(self.wants, place));
        }
        Ok(())
    }

    fn on_snapshot(&mut self, lives: &[Life], place: Place, end: u64) -> Result<(), Broken> {
        let connection = self.connection.as_mut().unwrap();
        let reason = connection.resync.take().ok_or("a snapshot that nobody asked for")?;
        let judge = self.judge.as_mut().unwrap();
        if reason == Reason::EndUnknown {
            judge.end_is_unknown = true;
            return Ok(());
        }
        let is_whole = (connection.newest_before..=end).contains(&place.sequence);
        if place.life != lives.len() - 1 || !is_whole {
            return Err(format!("atomic: after a snapshot of {end}, {place:?}"));
        }
        judge.begin_anew(place);
        Ok(())
    }

    fn on_batch(
        &mut self,
        lives: &[Life],
        place: Place,
        life: usize,
        events: &[v1::Event],
    ) -> Result<(), Broken> {
        self.seen.events += u64::try_from(events.len()).unwrap();
        let last = events.last().ok_or("an empty batch")?.sequence;
        if place.life != life || place.sequence < sequence(last) {
            return Err(format!("atomic: {place:?} is in the middle of a batch up to {last}"));
        }
        for event in events {
            if *event.incarnation_id != *lives[life].incarnation {
                return Err("atomic: a batch of two lives".to_owned());
            }
            self.judge.as_mut().unwrap().told(lives, Place { life, sequence: sequence(event.sequence) })?;
        }
        Ok(())
    }

    fn on_lagged(&mut self, life: usize, lagged: &v1::Lagged, at: SystemTime) -> Result<(), Broken> {
        let connection = self.connection.as_mut().unwrap();
        let apart = connection.lagged.replace(at).map(|last| at.duration_since(last).unwrap_or_default());
        if apart.is_some_and(|apart| apart < Duration::from_millis(990)) {
            return Err(format!("two losses are told within {apart:?}"));
        }
        let [first, last, count] =
            [lagged.first_lost_sequence, lagged.last_lost_sequence, lagged.lost_count].map(sequence);
        self.seen.lost += count;
        self.judge.as_mut().unwrap().lost(life, first, last, count)
    }

    /// A client looks anew only when it must.
    fn check_resync(&self, world: &World, lives: &[Life], reason: Reason) -> Result<(), Broken> {
        let token = Place::of_token(lives, self.token.as_ref().ok_or("a resync without a token")?)?;
        let (current, own) = (lives.last().unwrap(), &lives[token.life]);
        let is_current = token.life == lives.len() - 1;
        let oldest = world.agent().journal.oldest().map_or(1, |oldest| oldest.sequence);
        let may = match reason {
            Reason::TokenExpired if world.is_on_disk() => !world.keeps_everything(),
            Reason::TokenExpired => is_current && token.sequence + 1 < oldest,
            Reason::IncarnationChanged => {
                let of_lineage = lives[..=token.life].iter().filter(|life| life.lineage == own.lineage);
                let is_empty = of_lineage.clone().all(|life| life.killed_at.unwrap_or(life.newest) == 0);
                current.lineage != own.lineage || is_empty
            }
            Reason::EndUnknown => {
                let since = &lives[token.life..lives.len() - 1];
                current.lineage == own.lineage && since.iter().any(|life| life.killed_at.is_some())
            }
            Reason::TokenUnknown | Reason::Unspecified => false,
        };
        if may { Ok(()) } else { Err(format!("resumable: {reason:?} for {token:?}, the oldest is {oldest}")) }
    }
}

/// A client over a connection of its own that can be cut.
async fn dial(
    socket: PathBuf,
    is_narrow: bool,
) -> (EventServiceClient<tonic::transport::Channel>, Arc<Mutex<Option<AbortHandle>>>) {
    let carrier = Arc::<Mutex<Option<AbortHandle>>>::default();
    let kept = Arc::clone(&carrier);
    let connector = tower::service_fn(move |_: Uri| {
        let (socket, kept) = (socket.clone(), Arc::clone(&kept));
        async move {
            let mut agent = UnixStream::connect(socket).await?;
            let (ours, mut theirs) = UnixStream::pair()?;
            let carrying = tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut theirs, &mut agent).await;
            });
            *kept.lock().unwrap() = Some(carrying.abort_handle());
            Ok::<_, std::io::Error>(TokioIo::new(ours))
        }
    });
    let mut endpoint = Endpoint::from_static("http://agent");
    if is_narrow {
        endpoint = endpoint.initial_stream_window_size(4096).initial_connection_window_size(65_535);
    }
    let channel = endpoint.connect_with_connector(connector).await.unwrap();
    (EventServiceClient::new(channel), carrier)
}

fn sequence(number: i64) -> u64 {
    u64::try_from(number).unwrap()
}
