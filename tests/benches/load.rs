//! Clients of an agent's control plane: watchers of events, one that reads nothing, callers at a steady rate, and an operator who
//! changes things. Everything is on a few threads of ordinary priority, over the agent's unix socket.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use ha_proto::v1;
use ha_proto::v1::watch_events_response::Payload;
use prost::Message as _;
use tokio::{runtime::Builder, sync::mpsc};

use crate::rpc::{Call, Connection, Messages, Windows};

/// Streams on one connection; the agent allows 32.
const STREAMS: usize = 30;
/// Connections of the callers.
const CALLERS: usize = 12;
/// Calls begin together this often.
const BEAT: Duration = Duration::from_millis(1);

/// What is to be done to the agent.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) socket: PathBuf,
    pub(crate) watchers: usize,
    /// Calls a second.
    pub(crate) calls: usize,
    /// Changes a second.
    pub(crate) changes: usize,
    /// The instance whose priority is changed.
    pub(crate) instance: String,
}

/// What the clients saw while [`Load::record`] was on.
#[derive(Debug, Default)]
struct Seen {
    /// From an event's time to when a watcher had it.
    events: Mutex<Vec<f32>>,
    /// From when a call was due to when its answer was whole.
    calls: Mutex<Vec<f32>>,
    failed: AtomicUsize,
    changes: AtomicUsize,
    opened: AtomicUsize,
    /// Events that a watcher was not told.
    missed: AtomicUsize,
    is_recording: AtomicBool,
    end: AtomicBool,
    first_error: Mutex<Option<String>>,
}

/// Clients at work. Dropping them ends them.
#[derive(Debug)]
pub(crate) struct Load {
    seen: Arc<Seen>,
    threads: Vec<JoinHandle<()>>,
}

/// What became of it; times in milliseconds.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<f64>,
    pub(crate) calls: Vec<f64>,
    pub(crate) failed: usize,
    pub(crate) changes: usize,
    pub(crate) missed: usize,
    pub(crate) first_error: Option<String>,
}

impl Seen {
    fn fail(&self, error: &io::Error) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut first = self.first_error.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| error.to_string());
    }

    fn note(&self, times: &Mutex<Vec<f32>>, took: Duration) {
        if self.is_recording.load(Ordering::Relaxed) {
            times.lock().unwrap_or_else(PoisonError::into_inner).push(took.as_secs_f32() * 1e3);
        }
    }
}

impl Load {
    /// Begins, and returns when all watchers watch.
    pub(crate) fn start(plan: &Plan) -> Self {
        let seen = Arc::<Seen>::default();
        let on_a_thread = |name: &str, work: fn(Plan, Arc<Seen>)| {
            let (plan, seen) = (plan.clone(), Arc::clone(&seen));
            thread::Builder::new().name(name.to_owned()).spawn(move || work(plan, seen)).expect("a thread")
        };
        let mut threads = vec![on_a_thread("watchers", watch)];
        let begun = Instant::now();
        while seen.opened.load(Ordering::Relaxed) < plan.watchers + 1 {
            let error = seen.first_error.lock().unwrap_or_else(PoisonError::into_inner).clone();
            assert!(error.is_none() && begun.elapsed() < Duration::from_secs(60), "no watchers: {error:?}");
            thread::sleep(Duration::from_millis(10));
        }
        threads.push(on_a_thread("callers", call));
        Self { seen, threads }
    }

    /// From now on what is seen counts.
    pub(crate) fn record(&self) {
        self.seen.is_recording.store(true, Ordering::Relaxed);
    }

    /// Ends them.
    pub(crate) fn end(mut self) -> Outcome {
        self.seen.is_recording.store(false, Ordering::Relaxed);
        self.join();
        let take = |times: &Mutex<Vec<f32>>| {
            let times = std::mem::take(&mut *times.lock().unwrap_or_else(PoisonError::into_inner));
            times.into_iter().map(f64::from).collect()
        };
        Outcome {
            events: take(&self.seen.events),
            calls: take(&self.seen.calls),
            failed: self.seen.failed.load(Ordering::Relaxed),
            changes: self.seen.changes.load(Ordering::Relaxed),
            missed: self.seen.missed.load(Ordering::Relaxed),
            first_error: self.seen.first_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn join(&mut self) {
        self.seen.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.join();
    }
}

/// Runs a client's work on this thread until the end.
fn run(seen: &Arc<Seen>, work: impl Future<Output = io::Result<()>>) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let worked = tokio::select! {
            worked = work => worked,
            () = until_the_end(seen) => Ok(()),
        };
        // Those who work in tasks of their own go on until the end.
        if let Err(error) = worked {
            seen.fail(&error);
        }
        until_the_end(seen).await;
    });
}

async fn until_the_end(seen: &Seen) {
    while !seen.end.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn watch(plan: Plan, seen: Arc<Seen>) {
    let shared = Arc::clone(&seen);
    run(&shared, async move {
        let request = Call::new("EventService/WatchEvents", &v1::WatchEventsRequest::default());
        let stalled = Connection::open(&plan.socket, Windows::DEFAULT).await?;
        let _unread = stalled.begin(&request).await?;
        seen.opened.fetch_add(1, Ordering::Relaxed);
        let mut left = plan.watchers;
        while left > 0 {
            let connection = Connection::open(&plan.socket, Windows::WIDE).await?;
            for _ in 0..left.min(STREAMS) {
                let stream = connection.begin(&request).await?;
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    if let Err(error) = follow(Messages::new(stream), &seen).await {
                        seen.fail(&error);
                    }
                });
            }
            left -= left.min(STREAMS);
        }
        until_the_end(&seen).await;
        Ok(())
    });
}

async fn follow(mut messages: Messages, seen: &Seen) -> io::Result<()> {
    let mut newest = None;
    while let Some(octets) = messages.next().await? {
        let message = v1::WatchEventsResponse::decode(octets).map_err(io::Error::other)?;
        match message.payload {
            Some(Payload::Opened(opened)) => {
                newest = Some(opened.newest_sequence);
                seen.opened.fetch_add(1, Ordering::Relaxed);
            }
            Some(Payload::EventBatch(batch)) => {
                let now = SystemTime::now();
                for event in batch.events {
                    let missed = newest.replace(event.sequence).map_or(0, |last| event.sequence - last - 1);
                    seen.missed.fetch_add(usize::try_from(missed).unwrap_or(usize::MAX), Ordering::Relaxed);
                    let time = event.event_time.and_then(|time| SystemTime::try_from(time).ok());
                    let took = time.and_then(|time| now.duration_since(time).ok()).unwrap_or_default();
                    seen.note(&seen.events, took);
                }
            }
            _ => {}
        }
    }
    Err(io::Error::other("a watch ended"))
}

fn call(plan: Plan, seen: Arc<Seen>) {
    let shared = Arc::clone(&seen);
    run(&shared, async move {
        let connections = connections(&plan.socket).await?;
        let questions = [
            Call::new("NodeService/GetNode", &v1::GetNodeRequest::default()),
            Call::new("InstanceService/ListInstances", &v1::ListInstancesRequest::default()),
            Call::new("VipService/ListVips", &v1::ListVipsRequest::default()),
        ];
        let operator = Connection::open(&plan.socket, Windows::WIDE).await?;
        tokio::spawn(change(operator, plan.clone(), Arc::clone(&seen)));
        let mut beats = beats(&seen);
        let (each, mut number) = (plan.calls / 1000, 0);
        while let Some(due) = beats.recv().await {
            for _ in 0..each {
                number += 1;
                let connection = connections[number % connections.len()].clone();
                let (question, seen) = (questions[number % questions.len()].clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    match connection.ask(&question).await {
                        Ok(_) => seen.note(&seen.calls, due.elapsed()),
                        Err(error) if !seen.end.load(Ordering::Relaxed) => seen.fail(&error),
                        Err(_ended) => {}
                    }
                });
            }
        }
        Ok(())
    });
}

async fn connections(socket: &Path) -> io::Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..CALLERS {
        connections.push(Connection::open(socket, Windows::WIDE).await?);
    }
    Ok(connections)
}

/// A runtime's timers are a millisecond late; a thread's are not.
fn beats(seen: &Arc<Seen>) -> mpsc::UnboundedReceiver<Instant> {
    let (send, beats) = mpsc::unbounded_channel();
    let seen = Arc::clone(seen);
    thread::spawn(move || {
        let mut due = Instant::now();
        while !seen.end.load(Ordering::Relaxed) {
            due += BEAT;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if send.send(due).is_err() {
                return;
            }
        }
    });
    beats
}

/// An operator who sets one priority to another value again and again.
async fn change(connection: Connection, plan: Plan, seen: Arc<Seen>) {
    let changes = [120, 121].map(|priority| {
        let name = format!("nodes/self/instances/{}", plan.instance);
        let request = v1::OverridePriorityRequest { name, priority, ..Default::default() };
        Call::new("InstanceService/OverridePriority", &request)
    });
    let mut beat = tokio::time::interval(Duration::from_secs(1) / u32::try_from(plan.changes).unwrap_or(1));
    for number in 0.. {
        beat.tick().await;
        match connection.ask(&changes[number % 2]).await {
            Ok(_) => {
                let counts = usize::from(seen.is_recording.load(Ordering::Relaxed));
                seen.changes.fetch_add(counts, Ordering::Relaxed);
            }
            Err(error) if !seen.end.load(Ordering::Relaxed) => seen.fail(&error),
            Err(_ended) => return,
        }
    }
}
