//! `hactl instance priority set` and `clear`: plan, confirm, change, and watch until the effect is seen.

mod observe;
mod plan;

use std::time::Instant;

use ha_proto::v1;
use serde::Serialize;

use self::observe::{Goal, observe};
use self::plan::{Move, Plan};
use crate::args::{Format, PriorityCommand, Target, Ttl};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::change::{confirm, request_id, require_consent};
use crate::commands::unknown::unknown_instance;
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::{EventView, OverrideView, also_restarts};
use crate::names;
use crate::output::Stop;
use crate::render::{Item, Paint, Report, paint};
use crate::session::{Session, incomplete};
use crate::span::Span;

/// What shall be done to one virtual router on one node.
struct Change {
    name: String,
    endpoint: Endpoint,
    /// The new priority; none = clear.
    priority: Option<i32>,
    ttl: Option<Span>,
    /// Also over a restart of the agent.
    survive_restart: bool,
    reason: String,
    etag: String,
    request_id: String,
}

/// The answer: what was planned, and what came of it.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct PriorityChangeView {
    pub name: String,
    pub node: String,
    pub instance: String,
    pub request_id: String,
    pub dry_run: bool,
    pub previous: PriorityView,
    pub current: PriorityView,
    /// Where the addresses move by it, as far as can be told.
    pub movement: Option<Move>,
    /// Whether the effect has been seen; never with --dry-run.
    pub observed: bool,
    /// How long that took.
    pub observed_after: Option<Span>,
    /// What it caused on the node.
    pub events: Vec<EventView>,
}

/// The priority of a virtual router at one moment.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct PriorityView {
    pub base_priority: i32,
    pub effective_priority: i32,
    pub priority_override: Option<OverrideView>,
}

impl From<&v1::Instance> for PriorityView {
    fn from(instance: &v1::Instance) -> Self {
        PriorityView {
            base_priority: instance.base_priority,
            effective_priority: instance.effective_priority,
            priority_override: instance.priority_override.as_ref().map(OverrideView::from),
        }
    }
}

impl Item for PriorityChangeView {
    const KIND: &'static str = "PriorityChange";

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// Changes a priority.
///
/// # Errors
/// When it is refused, not confirmed, or its effect is not seen in time.
pub(crate) async fn run(context: &Context, command: PriorityCommand) -> Result<Exit, Stop> {
    let global = &context.global;
    require_consent(context)?;
    let cluster = context.ask(Scope::Routers).await?;
    context.tell_missing(&cluster);
    let (before, change) = prepare(&cluster, command)?;
    let planned = call(context, &change, true)
        .await
        .map_err(|failure| Stop::Failure(Box::new(failure), cluster.statuses()))?;
    let plan = Plan::new(&cluster, &before, &planned.0);
    let text = plan.text(context, &change.describe());
    if global.dry_run {
        let view = view(&before, &planned.0, &change, plan.movement, true);
        return finish(context, &cluster, view, None, &text);
    }
    context.out.note(&text);
    confirm(context)?;
    let started = Instant::now();
    let (after, resume_token) = call(context, &change, false).await?;
    let goal = Goal {
        name: change.name.clone(),
        endpoint: change.endpoint.clone(),
        request_id: change.request_id.clone(),
        priority: change.priority,
        movement: plan.movement.clone().filter(Move::is_certain),
        expect_event: plan.changes_something,
        resume_token,
    };
    let seen = observe(context, goal, started).await;
    let mut view = view(&before, &after, &change, plan.movement, false);
    view.events = seen.events;
    view.observed = seen.missing.is_none();
    view.observed_after = view.observed.then(|| Span::from(started.elapsed()));
    let failure = seen.missing.map(|missing| not_seen(context, &change, &missing));
    let text = outcome(&view, context);
    finish(context, &cluster, view, failure, &text)
}

/// Finds the virtual router that is meant, and puts the change together.
fn prepare(cluster: &Cluster, command: PriorityCommand) -> Result<(v1::Instance, Change), Stop> {
    let (target, priority, ttl, reason, survive_restart) = match command {
        PriorityCommand::Set { target, priority, ttl, reason, survive_restart } => {
            let ttl = match ttl {
                Ttl::Never => None,
                Ttl::For(span) => Some(span),
            };
            (target, Some(priority), ttl, reason, survive_restart)
        }
        PriorityCommand::Clear { target } => (target, None, None, String::new(), false),
    };
    let name = resolve(cluster, &target)?;
    let (instance, answer) = cluster
        .find_instance(&name)
        .ok_or_else(|| Failure::internal(format!("{name} was there a moment ago")))?;
    let change = Change {
        name,
        endpoint: answer.endpoint.clone(),
        priority,
        ttl,
        survive_restart,
        reason,
        etag: instance.etag.clone(),
        request_id: request_id()?,
    };
    Ok((instance.clone(), change))
}

fn resolve(cluster: &Cluster, target: &Target) -> Result<String, Stop> {
    let found: Vec<_> =
        cluster.instances().into_iter().filter(|one| target.matches(&one.node, &one.instance)).collect();
    match found.as_slice() {
        [] => Err(unknown_instance(cluster, target)),
        [one] => Ok(one.name.clone()),
        several => {
            let names: Vec<String> =
                several.iter().map(|one| format!("{}/{}", one.node, one.instance)).collect();
            let message = format!("{target} is on several nodes, and each has its own priority");
            Err(Failure::usage(message, format!("say which: {}", names.join(", "))).into())
        }
    }
}

/// Asks the agent for the change, or with `validate_only` what it would be. Gives the virtual router after it, and the
/// token to watch from.
async fn call(
    context: &Context,
    change: &Change,
    validate_only: bool,
) -> Result<(v1::Instance, String), Failure> {
    let label = names::node(&change.name).to_owned();
    let limit = context.global.node_timeout;
    let asked = async {
        let session = Session::open(&change.endpoint, Default::default()).await?;
        let (instance, token) = match change.priority {
            Some(priority) => {
                let request = v1::OverridePriorityRequest {
                    name: change.name.clone(),
                    priority,
                    reason: change.reason.clone(),
                    ttl: change.ttl.map(Span::to_proto),
                    etag: change.etag.clone(),
                    request_id: change.request_id.clone(),
                    validate_only,
                    survive_restart: change.survive_restart,
                };
                let answer = session.override_priority(request).await?;
                (answer.instance, answer.resume_token)
            }
            None => {
                let request = v1::ClearPriorityRequest {
                    name: change.name.clone(),
                    etag: change.etag.clone(),
                    request_id: change.request_id.clone(),
                    validate_only,
                };
                let answer = session.clear_priority(request).await?;
                (answer.instance, answer.resume_token)
            }
        };
        Ok((instance.ok_or_else(|| incomplete("cannot change the priority"))?, token))
    };
    match tokio::time::timeout(limit.to_duration(), asked).await {
        Ok(answer) => answer.map_err(|failure: Failure| failure.on(label)),
        Err(_) => Err(in_doubt(Failure::node_timeout(limit).on(label), change, validate_only)),
    }
}

/// A change that was not answered may have been made.
fn in_doubt(mut failure: Failure, change: &Change, validate_only: bool) -> Failure {
    failure = failure.doing(format!("cannot change the priority of {}", names::instance_label(&change.name)));
    if !validate_only {
        failure.remedy =
            format!("it may have been changed: hactl instance get {}", names::instance_label(&change.name))
                .into();
    }
    failure
}

impl Change {
    fn describe(&self) -> String {
        let label = names::instance_label(&self.name);
        match (self.priority, self.ttl) {
            (None, _) => format!("clear the priority override of {label}"),
            (Some(priority), ttl) => {
                let how_long = ttl.map_or("until cleared".to_owned(), |ttl| format!("for {ttl}"));
                let also = also_restarts(self.survive_restart);
                format!("set the priority of {label} to {priority} {how_long}{also}")
            }
        }
    }
}

fn not_seen(context: &Context, change: &Change, missing: &str) -> Failure {
    let label = names::instance_label(&change.name);
    let message = format!(
        "the change was made, but its effect was not seen within {}: {missing}",
        context.global.timeout
    );
    let remedy = format!(
        "hactl events --last 20 shows what happened; undo with hactl instance priority clear {label}"
    );
    Failure::local(Exit::Timeout, "DEADLINE_EXCEEDED", "EFFECT_NOT_OBSERVED", message, remedy).on(label)
}

fn view(
    before: &v1::Instance,
    after: &v1::Instance,
    change: &Change,
    movement: Option<Move>,
    dry_run: bool,
) -> PriorityChangeView {
    PriorityChangeView {
        name: change.name.clone(),
        node: names::node(&change.name).to_owned(),
        instance: names::last(&change.name).to_owned(),
        request_id: change.request_id.clone(),
        dry_run,
        previous: PriorityView::from(before),
        current: PriorityView::from(after),
        movement,
        observed: false,
        observed_after: None,
        events: Vec::new(),
    }
}

/// What has changed, for a reader.
fn outcome(view: &PriorityChangeView, context: &Context) -> String {
    let (was, is) = (view.previous.effective_priority, view.current.effective_priority);
    let until = match &view.current.priority_override {
        None => "no override".to_owned(),
        Some(given) => match given.hold.order.expire_time {
            Some(time) => format!("overridden until {}", context.times.full(time)),
            None => "overridden until cleared".to_owned(),
        },
    };
    let change = if was == is { format!("stays {is}") } else { format!("{was} → {is}") };
    let label = format!("{}/{}", view.node, view.instance);
    let mut out = format!("{}  priority {change}, {until}\n", paint(Paint::Bold, &label));
    if let (Some(movement), true, Some(after)) = (&view.movement, view.observed, view.observed_after)
        && movement.is_certain()
    {
        out.push_str(&format!("  {}, in its kernel after {after}\n", paint(Paint::Good, &movement.done())));
    }
    for event in &view.events {
        let time = context.times.maybe(event.event_time);
        let text = format!("{time}  {}  {}  {}", event.subject_label(), event.change(), event.sentence());
        out.push_str(&format!("  {}\n", paint(Paint::Dim, &text)));
    }
    out
}

fn finish(
    context: &Context,
    cluster: &Cluster,
    view: PriorityChangeView,
    failure: Option<Failure>,
    text: &str,
) -> Result<Exit, Stop> {
    let mut answer = Report::new("PriorityChange");
    answer.complete = cluster.is_complete();
    answer.nodes = cluster.statuses();
    answer.items.push(view);
    let exit = failure.as_ref().map_or(Exit::Done, |failure| failure.exit);
    if let Some(failure) = &failure {
        context.out.error(&super::error_text(failure));
    }
    answer.error = failure;
    let for_readers = matches!(context.global.output, Format::Table | Format::Wide);
    context.print(&answer, for_readers.then_some(text))?;
    Ok(exit)
}
