//! The event service of the test double: history in pages, and the watch contract.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::event_service_server::EventService;
use ha_proto::v1::watch_events_request::Start;
use ha_proto::v1::watch_events_response::Payload;
use tokio::sync::{mpsc, watch};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::double::{Service, World, page};
use crate::support::nanos;

fn matches(filter: &v1::EventFilter, event: &v1::Event) -> bool {
    let subject = |pattern: &String| {
        let (pattern, subject): (Vec<&str>, Vec<&str>) =
            (pattern.split('/').collect(), event.subject.split('/').collect());
        pattern.len() == subject.len() && pattern.iter().zip(&subject).all(|(p, s)| *p == "-" || p == s)
    };
    let kind = |pattern: &String| match pattern.strip_suffix('*') {
        Some(prefix) => event.r#type.starts_with(prefix),
        None => *pattern == event.r#type,
    };
    let request = event.actor.as_ref().map_or("", |actor| actor.request_id.as_str());
    (filter.subjects.is_empty() || filter.subjects.iter().any(subject))
        && (filter.types.is_empty() || filter.types.iter().any(kind))
        && (filter.causes.is_empty() || filter.causes.contains(&event.cause))
        && (filter.request_id.is_empty() || filter.request_id == request)
}

#[tonic::async_trait]
impl EventService for Service {
    async fn list_events(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        self.history_hangs().await;
        let world = self.world().await?;
        let request = request.into_inner();
        let filter = request.filter.unwrap_or_default();
        let in_time = |event: &v1::Event| {
            let time = nanos(event.event_time.as_ref());
            request.since_time.as_ref().is_none_or(|since| time >= nanos(Some(since)))
                && request.until_time.as_ref().is_none_or(|until| time <= nanos(Some(until)))
        };
        let mut all: Vec<v1::Event> =
            world.events.iter().filter(|event| matches(&filter, event) && in_time(event)).cloned().collect();
        if request.newest_first {
            all.reverse();
        }
        let (events, next_page_token) = page(&all, request.page_size, &request.page_token);
        Ok(Response::new(v1::ListEventsResponse {
            past_missing: false,
            events,
            next_page_token,
            oldest_available_sequence: 1,
            oldest_available_time: world.history_begins,
            resume_token: world.token(world.newest()),
        }))
    }

    type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<v1::WatchEventsResponse, Status>> + Send>>;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let request = request.into_inner();
        let (sender, receiver) = mpsc::channel(16);
        // Under one lock: whatever happens from now on belongs to the stream.
        let (subscription, changes) = {
            let mut world = self.world().await?;
            if let Some(refusal) = world.refuse_watch.clone() {
                return Err(refusal);
            }
            world.watches += 1;
            (Subscription::new(&world, request), world.changed.subscribe())
        };
        tokio::spawn(stream(self.0.clone(), subscription, changes, sender));
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

/// Where a stream stands.
struct Subscription {
    filter: v1::EventFilter,
    hello: Vec<v1::WatchEventsResponse>,
    sent: i64,
    breaks: u64,
    specials: usize,
    interval: Duration,
}

impl Subscription {
    fn new(world: &World, request: v1::WatchEventsRequest) -> Self {
        let (sent, resync) = begin(world, request.start);
        let opened = v1::StreamOpened {
            oldest_available_sequence: 1,
            newest_sequence: world.newest(),
            heartbeat_interval: Some(prost_types::Duration {
                seconds: 0,
                nanos: world.heartbeat.as_nanos() as i32,
            }),
        };
        let mut hello = vec![message(world, sent, Payload::Opened(opened))];
        if let Some(reason) = resync {
            let resync = v1::ResyncRequired { reason: reason as i32, snapshot_follows: false };
            hello.push(message(world, sent, Payload::ResyncRequired(resync)));
        }
        Subscription {
            filter: request.filter.unwrap_or_default(),
            hello,
            sent,
            breaks: world.break_count,
            specials: world.special.len(),
            interval: world.heartbeat,
        }
    }
}

type Sender = mpsc::Sender<Result<v1::WatchEventsResponse, Status>>;

fn message(world: &World, sequence: i64, payload: Payload) -> v1::WatchEventsResponse {
    v1::WatchEventsResponse {
        node: format!("nodes/{}", world.name),
        incarnation_id: world.incarnation.clone(),
        resume_token: world.token(sequence),
        server_time: Some(world.now()),
        payload: Some(payload),
    }
}

/// Where the stream begins: the sequence it has seen, and what to say about a token that does not carry.
fn begin(world: &World, start: Option<Start>) -> (i64, Option<v1::resync_required::Reason>) {
    match start {
        None => (world.newest(), None),
        Some(Start::TailCount(count)) => (world.newest() - i64::from(count), None),
        Some(Start::SinceTime(since)) => {
            let before =
                world.events.iter().filter(|event| nanos(event.event_time.as_ref()) < nanos(Some(&since)));
            (before.map(|event| event.sequence).max().unwrap_or(0), None)
        }
        Some(Start::ResumeToken(token)) => match token.split_once('/') {
            Some((incarnation, sequence)) if incarnation == world.incarnation => {
                (sequence.parse().unwrap_or(0), None)
            }
            Some(_) => (world.newest(), Some(v1::resync_required::Reason::IncarnationChanged)),
            None => (world.newest(), Some(v1::resync_required::Reason::TokenUnknown)),
        },
    }
}

async fn stream(
    world: Arc<Mutex<World>>,
    subscription: Subscription,
    mut changes: watch::Receiver<u64>,
    out: Sender,
) {
    let Subscription { filter, hello, mut sent, breaks, mut specials, interval } = subscription;
    for message in hello {
        if out.send(Ok(message)).await.is_err() {
            return;
        }
    }
    loop {
        let (messages, broken) = {
            let world = world.lock().unwrap();
            let mut messages = Vec::new();
            let fresh =
                |event: &&v1::Event| event.incarnation_id == world.incarnation && event.sequence > sent;
            let events: Vec<v1::Event> =
                world.events.iter().filter(fresh).filter(|event| matches(&filter, event)).cloned().collect();
            sent = world.newest().max(sent);
            if !events.is_empty() {
                messages.push(message(&world, sent, Payload::EventBatch(v1::EventBatch { events })));
            }
            messages.extend(
                world.special.iter().skip(specials).map(|payload| message(&world, sent, payload.clone())),
            );
            specials = world.special.len();
            if messages.is_empty() && !world.heartbeats_stop {
                let heartbeat = v1::Heartbeat { newest_sequence: sent };
                messages.push(message(&world, sent, Payload::Heartbeat(heartbeat)));
            }
            (messages, world.break_count != breaks)
        };
        for message in messages {
            if out.send(Ok(message)).await.is_err() {
                return;
            }
        }
        if broken {
            let _ = out.send(Err(Status::unavailable("the agent is stopping"))).await;
            return;
        }
        let _ = tokio::time::timeout(interval, changes.changed()).await;
    }
}
