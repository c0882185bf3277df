//! Waits until a change has had its effect: the node says that it has made it, the virtual router shows it, and, where
//! the addresses move, the new node is Active and its kernel holds them.

use std::time::Instant;

use ha_proto::v1;
use ha_proto::v1::watch_events_response::Payload;
use tokio::time::{sleep, timeout_at};
use tonic::Streaming;

use super::plan::Move;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::change::LOOK_AGAIN;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::EventView;
use crate::names;
use crate::session::Session;

/// What must be seen.
pub(super) struct Goal {
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    pub(super) request_id: String,
    /// The overriding priority; none = no override.
    pub(super) priority: Option<i32>,
    /// Where the addresses must be.
    pub(super) movement: Option<Move>,
    /// Whether the node must tell of it in an event.
    pub(super) expect_event: bool,
    pub(super) resume_token: String,
}

/// What was seen.
pub(super) struct Seen {
    /// The events that the request has caused on the node.
    pub(super) events: Vec<EventView>,
    /// What was not seen in time.
    pub(super) missing: Option<String>,
}

/// Looks until all of the goal has been seen, for at most `--timeout` since `started`.
pub(super) async fn observe(context: &Context, goal: Goal, started: Instant) -> Seen {
    let deadline = started + context.global.timeout.to_duration();
    let mut seen = Seen { events: Vec::new(), missing: Some("nothing was seen".to_owned()) };
    let looked = timeout_at(deadline.into(), watch(context, &goal, &mut seen)).await;
    if let Ok(Err(failure)) = looked {
        context.out.detail(&format!("the stream cannot be watched: {failure}"));
        // The stream is one way to see it; looking at the virtual router is the other.
        let goal = Goal { expect_event: false, ..goal };
        let _ = timeout_at(deadline.into(), look_until_done(context, &goal, &mut seen)).await;
    }
    seen
}

/// Reads the stream of what the request causes, and looks at the cluster between its messages.
async fn watch(context: &Context, goal: &Goal, seen: &mut Seen) -> Result<(), Failure> {
    let mut session = Session::open(&goal.endpoint, Default::default()).await?;
    let (_, clock) = session.node().await?;
    let filter = v1::EventFilter { request_id: goal.request_id.clone(), ..v1::EventFilter::default() };
    let start = (!goal.resume_token.is_empty())
        .then(|| v1::watch_events_request::Start::ResumeToken(goal.resume_token.clone()));
    let request = v1::WatchEventsRequest { filter: Some(filter), start, ..v1::WatchEventsRequest::default() };
    let mut stream = session.watch(request).await?;
    loop {
        take_events(&mut stream, clock, goal, seen).await?;
        if is_done(context, goal, seen).await {
            return Ok(());
        }
    }
}

async fn look_until_done(context: &Context, goal: &Goal, seen: &mut Seen) {
    while !is_done(context, goal, seen).await {
        sleep(LOOK_AGAIN).await;
    }
}

/// Notes the events that come within one pause.
async fn take_events(
    stream: &mut Streaming<v1::WatchEventsResponse>,
    clock: Clock,
    goal: &Goal,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let until = tokio::time::Instant::now() + LOOK_AGAIN;
    while let Ok(message) = timeout_at(until, stream.message()).await {
        let message = message.map_err(|status| Failure::from_status(&status))?;
        let message = message.ok_or_else(|| Failure::internal("the stream ended"))?;
        let Some(Payload::EventBatch(batch)) = message.payload else { continue };
        let node = names::node(&goal.name);
        seen.events.extend(batch.events.iter().map(|event| EventView::new(event, node, clock, false)));
        if !batch.events.is_empty() {
            return Ok(());
        }
    }
    Ok(())
}

/// Compares the cluster with the goal, and notes what is missing.
async fn is_done(context: &Context, goal: &Goal, seen: &mut Seen) -> bool {
    let cluster = Cluster::ask(&context.global, Scope::Routers).await;
    seen.missing = missing(&cluster, goal, !seen.events.is_empty());
    seen.missing.is_none()
}

fn missing(cluster: &Cluster, goal: &Goal, told: bool) -> Option<String> {
    let label = names::instance_label(&goal.name);
    let Some((instance, _)) = cluster.find_instance(&goal.name) else {
        return Some(format!("{label} does not answer"));
    };
    let given = instance.priority_override.as_ref().map(|given| given.priority);
    if given != goal.priority {
        return Some(match goal.priority {
            Some(priority) => format!("{label} does not show an override of {priority}"),
            None => format!("{label} still shows an override"),
        });
    }
    if goal.expect_event && !told {
        return Some(format!("{} has not told of it in an event", names::node(&goal.name)));
    }
    let movement = goal.movement.as_ref()?;
    let there = |nodes: &[String]| nodes == movement.to.as_slice();
    let vips = cluster.vips();
    let late = vips
        .iter()
        .filter(|vip| movement.vips.contains(&vip.address))
        .find(|vip| !there(&vip.active_on) || !there(&vip.held_by))?;
    let to = movement.to.join(" or ");
    Some(match there(&late.active_on) {
        true => format!("{to} is ACTIVE, but {} is not in its kernel alone", late.address),
        false => format!("{to} has not become ACTIVE for {}", late.address),
    })
}
