//! One connection to one agent, and the questions hactl asks over it. No retries and no reconnects here: a broken
//! connection is an answer, and what to do about it is the caller's choice.

mod checks;
mod config;
mod connect;
mod debug;
mod moves;
mod view;
mod wire;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use ha_proto::v1;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::instance_service_client::InstanceServiceClient;
use ha_proto::v1::node_service_client::NodeServiceClient;
use ha_proto::v1::vip_service_client::VipServiceClient;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tonic::transport::{Channel, Uri};
use tonic::{Request, Status};

use self::connect::connect;
pub(crate) use self::connect::no_certificates;
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::names;

/// Pages are as large as the agent allows.
const PAGE_SIZE: i32 = 1000;

/// More pages than any node has; a server that never ends its list is stopped here.
const PAGES_AT_MOST: usize = 10_000;

/// One connection to one agent.
pub(crate) struct Session {
    channel: Channel,
    name: Arc<OnceLock<String>>,
}

impl Session {
    /// Connects. `name` is filled as soon as the agent has said who it is, so that a later failure can name it.
    ///
    /// # Errors
    /// When nothing can be connected at the endpoint.
    pub(crate) async fn open(endpoint: &Endpoint, name: Arc<OnceLock<String>>) -> Result<Self, Failure> {
        let (stream, broken) = connect(endpoint).await?;
        // The stream is made here and handed over once: errors of connect(2) arrive undisguised, and tonic cannot
        // reconnect behind our back to an agent that has restarted.
        let once = Arc::new(Mutex::new(Some(TokioIo::new(stream))));
        let connector = tower::service_fn(move |_: Uri| {
            let stream = once.lock().map_or(None, |mut slot| slot.take());
            let broken = broken.clone();
            async move { stream.ok_or_else(|| broken.error()) }
        });
        let channel = tonic::transport::Endpoint::from_static("http://ha-agent")
            .connect_with_connector(connector)
            .await
            .map_err(|error| Failure::from_status(&Status::from_error(Box::new(error))))?;
        Ok(Session { channel, name })
    }

    /// Asks who the node is, and compares its clock with ours.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn node(&mut self) -> Result<(v1::Node, Clock), Failure> {
        let mut client = NodeServiceClient::new(self.channel.clone());
        let mut best: Option<(v1::Node, Clock)> = None;
        // The first round trip pays for the connection as well; the best one measures the clock.
        for _ in 0..3 {
            let (wall, started) = (Timestamp::now(), Instant::now());
            let answer = client.get_node(v1::GetNodeRequest { name: String::new() }).await;
            let round_trip = started.elapsed();
            let node =
                answer.map_err(|status| asking("cannot ask who the node is", &status))?.into_inner().node;
            let node = node.ok_or_else(|| incomplete("cannot ask who the node is"))?;
            let clock = Clock::measured(wall, round_trip, node.server_time.as_ref());
            if best.as_ref().is_none_or(|(_, known)| clock.uncertainty < known.uncertainty) {
                best = Some((node, clock));
            }
        }
        let (node, clock) = best.ok_or_else(|| incomplete("cannot ask who the node is"))?;
        // Filled once; a second answer has the same name.
        let _ = self.name.set(names::last(&node.name).to_owned());
        Ok((node, clock))
    }

    /// The node's name as far as it is known.
    pub(crate) fn name(&self) -> &str {
        self.name.get().map_or("", String::as_str)
    }

    /// All virtual routers of the node.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn instances(&self) -> Result<Vec<v1::Instance>, Failure> {
        let mut client = InstanceServiceClient::new(self.channel.clone());
        let mut pages = Pages::new("cannot list instances");
        let mut all = Vec::new();
        while let Some(page_token) = pages.next()? {
            let request =
                v1::ListInstancesRequest { parent: String::new(), page_size: PAGE_SIZE, page_token };
            let answer = client
                .list_instances(request)
                .await
                .map_err(|status| asking(pages.what, &status))?
                .into_inner();
            all.extend(answer.instances);
            pages.then(answer.next_page_token);
        }
        Ok(all)
    }

    /// All virtual addresses of the node.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn vips(&self) -> Result<Vec<v1::Vip>, Failure> {
        let mut client = VipServiceClient::new(self.channel.clone());
        let mut pages = Pages::new("cannot list virtual addresses");
        let mut all = Vec::new();
        while let Some(page_token) = pages.next()? {
            let request = v1::ListVipsRequest { parent: String::new(), page_size: PAGE_SIZE, page_token };
            let answer =
                client.list_vips(request).await.map_err(|status| asking(pages.what, &status))?.into_inner();
            all.extend(answer.vips);
            pages.then(answer.next_page_token);
        }
        Ok(all)
    }

    /// The newest `limit` events that match `request`, oldest first, and the token to go on from there.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn newest_events(
        &self,
        request: v1::ListEventsRequest,
        limit: usize,
    ) -> Result<History, Failure> {
        let mut client = EventServiceClient::new(self.channel.clone());
        let mut pages = Pages::new("cannot list events");
        let mut history = History::default();
        while let Some(page_token) = pages.next()? {
            let missing = i32::try_from(limit - history.events.len()).unwrap_or(PAGE_SIZE).min(PAGE_SIZE);
            let page = v1::ListEventsRequest {
                newest_first: true,
                page_size: missing,
                page_token,
                ..request.clone()
            };
            let answer =
                client.list_events(page).await.map_err(|status| asking(pages.what, &status))?.into_inner();
            if history.resume_token.is_empty() {
                history.resume_token = answer.resume_token; // the first page's: later pages are older, not newer
            }
            history.past_missing |= answer.past_missing;
            history.oldest_available_sequence = answer.oldest_available_sequence;
            history.oldest_available_time = answer.oldest_available_time;
            history.events.extend(answer.events);
            history.events.truncate(limit);
            let enough = history.events.len() >= limit;
            pages.then(if enough { String::new() } else { answer.next_page_token });
        }
        history.events.reverse();
        Ok(history)
    }

    /// Opens the watch stream.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn watch(
        &self,
        request: v1::WatchEventsRequest,
    ) -> Result<tonic::Streaming<v1::WatchEventsResponse>, Failure> {
        let mut client = EventServiceClient::new(self.channel.clone());
        let answer = client.watch_events(request).await;
        Ok(answer.map_err(|status| asking("cannot watch events", &status))?.into_inner())
    }

    /// Overrides a priority.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn override_priority(
        &self,
        request: v1::OverridePriorityRequest,
    ) -> Result<v1::OverridePriorityResponse, Failure> {
        let what = format!("cannot set the priority of {}", names::instance_label(&request.name));
        let mut client = InstanceServiceClient::new(self.channel.clone());
        let answer = client.override_priority(Request::new(request)).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Clears an override.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn clear_priority(
        &self,
        request: v1::ClearPriorityRequest,
    ) -> Result<v1::ClearPriorityResponse, Failure> {
        let what = format!("cannot clear the priority of {}", names::instance_label(&request.name));
        let mut client = InstanceServiceClient::new(self.channel.clone());
        let answer = client.clear_priority(Request::new(request)).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }
}

/// A part of a node's history.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// Oldest first.
    pub events: Vec<v1::Event>,
    /// Where the watch stream goes on without a hole.
    pub resume_token: String,
    /// How far back the node's history reaches.
    pub oldest_available_sequence: i64,
    /// The same as a time of the node's clock; absent when it has no history.
    pub oldest_available_time: Option<prost_types::Timestamp>,
    /// The node's disk did not answer: only what it has in memory is told.
    pub past_missing: bool,
}

fn asking(what: &str, status: &Status) -> Failure {
    Failure::from_status(status).doing(what)
}

/// An answer without its content, which the contract rules out.
pub(crate) fn incomplete(what: &str) -> Failure {
    Failure::local(
        crate::exit::Exit::Internal,
        "INTERNAL",
        "ANSWER_INCOMPLETE",
        "the agent's answer is empty",
        "what listens there is not this version's ha-agent: hactl node list shows versions",
    )
    .doing(what)
}

/// The tokens of a list's pages, bounded.
struct Pages {
    what: &'static str,
    token: Option<String>,
    taken: usize,
}

impl Pages {
    fn new(what: &'static str) -> Self {
        Pages { what, token: Some(String::new()), taken: 0 }
    }

    fn next(&mut self) -> Result<Option<String>, Failure> {
        self.taken += 1;
        if self.taken > PAGES_AT_MOST {
            return Err(Failure::internal("the agent's list does not end").doing(self.what));
        }
        Ok(self.token.take())
    }

    fn then(&mut self, token: String) {
        self.token = Some(token).filter(|token| !token.is_empty());
    }
}
