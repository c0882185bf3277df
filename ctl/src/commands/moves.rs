//! `hactl drain`, `hactl undrain`, `hactl instance transfer`: plan, confirm, change, and look until somebody else is seen to hold
//! what has moved. Whether anybody takes over is the agent's check, not ours.

mod call;
mod observe;

use std::time::{Duration, Instant};

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use self::call::{Answer, call};
use self::observe::missing;
use crate::args::{Format, Target, Ttl};
use crate::cluster::Cluster;
use crate::commands::change::{LOOK_AGAIN, confirm, request_id, require_consent};
use crate::commands::unknown::{unknown_instance, unknown_node};
use crate::commands::{Context, error_text};
use crate::endpoint::Endpoint;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::also_restarts;
use crate::names;
use crate::output::Stop;
use crate::render::{Item, Paint, Report, paint};
use crate::span::Span;

/// What shall be done.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Drain a node.
    Drain {
        /// How long.
        ttl: Ttl,
        /// Why.
        reason: String,
        /// Also over a restart of its agent.
        survive_restart: bool,
        /// Keep there what nobody takes over.
        allow_no_successor: bool,
    },
    /// End the drain of a node.
    Undrain,
    /// Give a virtual router to another node.
    Transfer {
        /// To this one; none = the best.
        to: Option<String>,
        /// How long the node does not preempt.
        ttl: Ttl,
        /// Why.
        reason: String,
    },
    /// Let a virtual router preempt again.
    EndTransfer,
}

/// A wish, and to whom it goes.
struct Change {
    wish: Wish,
    /// `nodes/{node}`, or `nodes/{node}/instances/{instance}`.
    name: String,
    endpoint: Endpoint,
    request_id: String,
}

/// The answer: what moved where, and whether it was seen.
#[derive(Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct MoveChangeView {
    pub name: String,
    pub node: String,
    pub request_id: String,
    pub dry_run: bool,
    /// Whether the node is drained now; absent for a transfer.
    pub drained: Option<bool>,
    pub expire_time: Option<Timestamp>,
    pub moves: Vec<MoveView>,
    /// Whether the effect has been seen; never with --dry-run.
    pub observed: bool,
    /// How long that took.
    pub observed_after: Option<Span>,
}

/// What becomes of a virtual router, or of a sync group.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct MoveView {
    pub instances: Vec<String>,
    pub outcome: &'static str,
    pub successor: Option<String>,
    pub successor_address: Option<String>,
    pub detail: Option<String>,
}

impl From<&v1::Move> for MoveView {
    fn from(one: &v1::Move) -> Self {
        let outcome = match one.outcome() {
            v1::r#move::Outcome::Unspecified => "UNKNOWN",
            v1::r#move::Outcome::Planned => "PLANNED",
            v1::r#move::Outcome::Moved => "MOVED",
            v1::r#move::Outcome::Kept => "KEPT",
        };
        MoveView {
            instances: one.instances.iter().map(|name| names::last(name).to_owned()).collect(),
            outcome,
            successor: crate::model::some(names::node(&one.successor)),
            successor_address: crate::model::some(&one.successor_address),
            detail: crate::model::some(&one.detail),
        }
    }
}

impl MoveView {
    /// `web, mail: to node-b (10.0.0.2)`.
    fn text(&self) -> String {
        let address = self.successor_address.as_ref().map(|address| format!(" ({address})"));
        let to = match (&self.successor, self.outcome) {
            (_, "KEPT") => "stays here".to_owned(),
            (Some(node), _) => format!("to {node}{}", address.unwrap_or_default()),
            (None, "PLANNED") => "to whoever takes over; nobody that can be asked is fit".to_owned(),
            (None, _) => match &self.successor_address {
                Some(address) => format!("to {address}"),
                None => "is not here any more".to_owned(),
            },
        };
        let detail = self.detail.as_ref().map(|detail| format!(" [{detail}]")).unwrap_or_default();
        format!("{}: {to}{detail}", self.instances.join(", "))
    }
}

impl Item for MoveChangeView {
    const KIND: &'static str = "MoveChange";

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// `hactl drain` and `hactl undrain`.
///
/// # Errors
/// When it is refused, not confirmed, or its effect is not seen in time.
pub(crate) async fn node(context: &Context, node: &str, wish: Wish) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Routers).await?;
    context.tell_missing(&cluster);
    let Some(endpoint) = cluster.endpoint_of(node) else {
        return Err(unknown_node(&cluster, node));
    };
    let name = format!("nodes/{node}");
    run(context, &cluster, Change { wish, name, endpoint, request_id: request_id()? }).await
}

/// `hactl instance transfer`.
///
/// # Errors
/// When it is refused, not confirmed, or its effect is not seen in time.
pub(crate) async fn instance(context: &Context, target: &Target, wish: Wish) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Routers).await?;
    context.tell_missing(&cluster);
    let name = resolve(&cluster, target, &wish)?;
    let endpoint = cluster
        .endpoint_of(names::node(&name))
        .ok_or_else(|| Failure::internal(format!("{name} was there a moment ago")))?;
    run(context, &cluster, Change { wish, name, endpoint, request_id: request_id()? }).await
}

/// Of several nodes the one that is meant: the holder gives away, and whoever is held back preempts again.
fn resolve(cluster: &Cluster, target: &Target, wish: &Wish) -> Result<String, Stop> {
    let all = cluster.instances();
    let found: Vec<_> = all.iter().filter(|one| target.matches(&one.node, &one.instance)).collect();
    let is_meant = |name: &str| {
        let instance = cluster.find_instance(name).map(|(instance, _)| instance);
        instance.is_some_and(|instance| match wish {
            Wish::EndTransfer => instance.preempt_hold.is_some(),
            _ => instance.state() == v1::instance::State::Active,
        })
    };
    let meant: Vec<_> = found.iter().copied().filter(|one| is_meant(&one.name)).collect();
    match (found.as_slice(), meant.as_slice()) {
        ([], _) => Err(unknown_instance(cluster, target)),
        // With a single one the agent says what is wrong.
        ([one], _) | (_, [one]) => Ok(one.name.clone()),
        (_, []) => Err(nobody_meant(cluster, target, wish)),
        (_, several) => {
            let names: Vec<String> = several.iter().map(|one| names::label(&one.name)).collect();
            let message = format!("{target} is meant on several nodes");
            Err(Failure::usage(message, format!("say which: {}", names.join(", "))).into())
        }
    }
}

/// Several nodes have it, and on none of them is there anything to do.
fn nobody_meant(cluster: &Cluster, target: &Target, wish: &Wish) -> Stop {
    let (reason, message) = match wish {
        Wish::EndTransfer => {
            ("NOT_HELD", format!("no node is kept from preempting {target}: there is nothing to end"))
        }
        _ => (
            "NOT_ACTIVE",
            format!("no node that answered is ACTIVE for {target}: there is nothing to transfer"),
        ),
    };
    let remedy = "hactl instance list shows how the nodes stand, hactl changes what is in force";
    let failure = Failure::local(Exit::Refused, "FAILED_PRECONDITION", reason, message, remedy);
    Stop::Failure(Box::new(failure), cluster.statuses())
}

async fn run(context: &Context, cluster: &Cluster, change: Change) -> Result<Exit, Stop> {
    let planned = call(context, &change, true)
        .await
        .map_err(|failure| Stop::Failure(Box::new(failure), cluster.statuses()))?;
    let plan = plan_text(&change, &planned);
    if context.global.dry_run {
        let view = view(&change, &planned, true);
        return finish(context, cluster, view, None, &format!("would {plan}"));
    }
    context.out.note(plan.trim_end());
    confirm(context)?;
    let started = Instant::now();
    let answer = call(context, &change, false)
        .await
        .map_err(|failure| Stop::Failure(Box::new(failure), cluster.statuses()))?;
    let unseen = observe(context, &change, &answer, started).await;
    let mut view = view(&change, &answer, false);
    view.observed = unseen.is_none();
    view.observed_after = view.observed.then(|| Span::from(started.elapsed()));
    let text = outcome(&change, &view, context);
    finish(context, cluster, view, unseen, &text)
}

fn plan_text(change: &Change, planned: &Answer) -> String {
    let mut text = format!("{}\n", change.describe());
    for one in &planned.moves {
        text.push_str(&format!("  {}\n", one.text()));
    }
    text
}

/// An agent that is started anew is back before this.
const RETURN: Duration = Duration::from_secs(5);

/// Looks until the effect is seen, for at most `--timeout`, or until the agent is gone for good; says what was not seen.
async fn observe(context: &Context, change: &Change, answer: &Answer, started: Instant) -> Option<Failure> {
    let mut gone_since = None;
    loop {
        let cluster = Cluster::ask(&context.global, Scope::Routers).await;
        let unseen = missing(&cluster, change, answer)?;
        gone_since = cluster.has_ended(&change.endpoint).then(|| gone_since.unwrap_or_else(Instant::now));
        if gone_since.is_some_and(|since| since.elapsed() >= RETURN) {
            return Some(ended(change));
        }
        if started.elapsed() >= context.global.timeout.to_duration() {
            return Some(not_seen(context, change, &unseen));
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

impl Change {
    fn describe(&self) -> String {
        let label = names::label(&self.name);
        match &self.wish {
            Wish::Drain { ttl, survive_restart, .. } => {
                let how_long = ttl.in_words("until undrained");
                format!("drain {label} {how_long}{}", also_restarts(*survive_restart))
            }
            Wish::Undrain => format!("undrain {label}"),
            Wish::Transfer { to: Some(to), .. } => format!("transfer {label} to {to}"),
            Wish::Transfer { to: None, .. } => format!("transfer {label}"),
            Wish::EndTransfer => format!("let {label} preempt again"),
        }
    }
}

fn not_seen(context: &Context, change: &Change, missing: &str) -> Failure {
    let message = format!(
        "the change was made, but its effect was not seen within {}: {missing}",
        context.global.timeout
    );
    let remedy = match &change.wish {
        Wish::Drain { .. } => format!(
            "hactl events --last 20 shows what happened; undo with hactl undrain {}",
            names::node(&change.name)
        ),
        _ => "hactl events --last 20 shows what happened".to_owned(),
    };
    Failure::local(Exit::Timeout, "DEADLINE_EXCEEDED", "EFFECT_NOT_OBSERVED", message, remedy)
        .on(names::node(&change.name).to_owned())
}

/// It was asked, and nobody is there to be looked at.
fn ended(change: &Change) -> Failure {
    let node = names::node(&change.name);
    let message = format!(
        "the change was made, but the agent of {node} ended before its effect was seen, and has not come back"
    );
    let remedy = match &change.wish {
        Wish::Drain { survive_restart: false, .. } => {
            "hactl status shows who holds the addresses now; the drain ended with the agent"
        }
        _ => "hactl status shows who holds the addresses now",
    };
    Failure::local(Exit::Timeout, "DEADLINE_EXCEEDED", "EFFECT_NOT_OBSERVED", message, remedy).on(node)
}

fn view(change: &Change, answer: &Answer, dry_run: bool) -> MoveChangeView {
    MoveChangeView {
        name: change.name.clone(),
        node: names::node(&change.name).to_owned(),
        request_id: change.request_id.clone(),
        dry_run,
        drained: answer.drained,
        expire_time: answer.expire_time,
        moves: answer.moves.clone(),
        observed: false,
        observed_after: None,
    }
}

/// What has changed, for a reader.
fn outcome(change: &Change, view: &MoveChangeView, context: &Context) -> String {
    let until = match view.expire_time {
        Some(time) => format!("until {}", context.times.full(time)),
        None => "until an operator ends it".to_owned(),
    };
    let what = match &change.wish {
        Wish::Drain { .. } => format!("drained {until}"),
        Wish::Undrain => "not drained".to_owned(),
        Wish::Transfer { .. } => {
            format!("transferred; this node does not preempt {until}, or until it is Active")
        }
        Wish::EndTransfer => "may preempt again".to_owned(),
    };
    let mut out = format!("{}  {what}\n", paint(Paint::Bold, &names::label(&change.name)));
    for one in &view.moves {
        let kept = one.outcome == "KEPT";
        out.push_str(&format!("  {}\n", paint(if kept { Paint::Warn } else { Paint::Good }, &one.text())));
    }
    if let Some(after) = view.observed_after {
        out.push_str(&format!("  {}\n", paint(Paint::Dim, &format!("seen after {after}"))));
    }
    out
}

fn finish(
    context: &Context,
    cluster: &Cluster,
    view: MoveChangeView,
    failure: Option<Failure>,
    text: &str,
) -> Result<Exit, Stop> {
    let mut answer = Report::new("MoveChange");
    answer.complete = cluster.is_complete();
    answer.nodes = cluster.statuses();
    answer.items.push(view);
    let exit = failure.as_ref().map_or(Exit::Done, |failure| failure.exit);
    if let Some(failure) = &failure {
        context.out.error(&error_text(failure));
    }
    answer.error = failure;
    let for_readers = matches!(context.global.output, Format::Table | Format::Wide);
    context.print(&answer, for_readers.then_some(text))?;
    Ok(exit)
}
