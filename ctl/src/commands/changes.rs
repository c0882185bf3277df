//! `hactl changes`: who changed what, and what of it is still in force.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::args::When;
use crate::clock::{Clock, timestamp, to_proto};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::lacks::{lost_past, not_told};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{More, Scope, Snapshot};
use crate::model::{ActorView, HoldView, OrderView, also_restarts, some};
use crate::names;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times};
use crate::session::{History, Session};

/// How many changes are read on each node.
const DEPTH: usize = 10_000;

/// One change, or what is still in force of one.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ChangeView {
    /// OVERRIDDEN, MUTED, DRAINED, TRANSFERRED of what is in force; CHANGED, REFUSED of what happened.
    pub state: &'static str,
    pub node: String,
    /// What it is about, a resource name.
    pub subject: String,
    /// Since when, or when; on our clock.
    pub time: Option<Timestamp>,
    pub actor: Option<ActorView>,
    /// The method of the control plane.
    pub method: Option<String>,
    pub reason: Option<String>,
    pub before: Option<String>,
    pub after: Option<String>,
    pub refusal: Option<String>,
    /// When it ends by itself; None = until somebody ends it.
    pub expire_time: Option<Timestamp>,
    /// Whether it survives a restart of the agent.
    pub survives_restart: bool,
    /// Refusals before this one that have no line of their own.
    pub unrecorded_refusals: i64,
}

/// Shows what is in force, then what happened, oldest first.
///
/// # Errors
/// When no node has answered, or the answer cannot be written.
pub(crate) async fn run(context: &Context, since: &When) -> Result<Exit, Stop> {
    let since = since.resolve(Timestamp::now(), &context.times.zone);
    let since = since.map_err(|error| Failure::usage(error, ""))?;
    let past = async |session: &Session, snapshot: &Snapshot| read(session, snapshot, since).await;
    let (cluster, told) = context.ask_with(Scope::Everything, past).await?;
    let filter = context.filter();
    let mut lacks = not_told(&told);
    let histories = told.iter().filter_map(|more| Some((&*more.node, &more.result.as_ref().ok()?.history)));
    lacks.extend(histories.filter_map(|(node, history)| lost_past(node, history)));
    lacks.retain(|lack| filter.wants(&lack.node));
    let mut changes = in_force(&cluster, &told);
    changes.extend(happened(told));
    changes.retain(|change| filter.wants(&change.node));
    let (mut answer, exit) = context.answer_list(&cluster, "ChangeList", changes);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, None)?;
    Ok(exit)
}

/// What a node tells beside its snapshot.
struct Told {
    history: History,
    drain: v1::Drain,
}

async fn read(session: &Session, snapshot: &Snapshot, since: Timestamp) -> Result<Told, Failure> {
    let request = v1::ListEventsRequest {
        filter: Some(v1::EventFilter { types: vec!["audit.*".to_owned()], ..v1::EventFilter::default() }),
        since_time: Some(to_proto(snapshot.clock.theirs(since))),
        ..v1::ListEventsRequest::default()
    };
    let (history, drain) = tokio::try_join!(session.newest_events(request, DEPTH), session.drain())?;
    Ok(Told { history, drain })
}

/// What operators hold: overrides, drains, what stays after a transfer, mutes.
fn in_force(cluster: &Cluster, told: &[More<Told>]) -> Vec<ChangeView> {
    let mut held = Vec::new();
    for instance in cluster.instances() {
        if let Some(given) = instance.priority_override {
            let after = Some(format!("priority {}", given.priority));
            let view = ChangeView::held("OVERRIDDEN", &instance.node, &instance.name, given.hold);
            held.push(ChangeView { after, ..view });
        }
    }
    held.extend(told.iter().filter_map(drain));
    for (node, instances) in cluster.reported() {
        held.extend(transfers(&node, instances));
    }
    for check in cluster.checks() {
        if let Some(mute) = check.mute {
            held.push(ChangeView::held("MUTED", &check.node, &check.name, mute));
        }
    }
    for pool in cluster.pools() {
        for server in pool.servers {
            if let Some(drain) = server.drain {
                held.push(ChangeView::held("DRAINED", &pool.node, &server.name, drain));
            }
        }
    }
    held
}

/// The drain of a node, when it is drained.
fn drain(told: &More<Told>) -> Option<ChangeView> {
    let drain = told.result.as_ref().ok().map(|told| &told.drain).filter(|drain| drain.drained)?;
    let times = [drain.create_time.as_ref(), drain.expire_time.as_ref()];
    let order = OrderView::new(&drain.reason, drain.actor.as_ref(), times);
    let hold = HoldView { order, survives_restart: drain.survives_restart };
    Some(ChangeView::held("DRAINED", &told.node, &format!("nodes/{}", told.node), hold))
}

/// What transfers left on a node.
fn transfers(node: &str, instances: &[v1::Instance]) -> Vec<ChangeView> {
    let holds = instances.iter().filter_map(|instance| {
        let hold = instance.preempt_hold.as_ref()?;
        let hold = HoldView { order: OrderView::from(hold), survives_restart: false };
        Some(ChangeView::held("TRANSFERRED", node, &instance.name, hold))
    });
    holds.collect()
}

/// The changes of all nodes in one order.
fn happened(told: Vec<More<Told>>) -> Vec<ChangeView> {
    let mut changes = Vec::new();
    for More { node, clock, result, .. } in told {
        let events = result.map(|told| told.history.events).unwrap_or_default();
        changes.extend(events.iter().filter_map(|event| ChangeView::happened(&node, event, clock)));
    }
    changes.sort_by_key(|change| change.time);
    changes
}

impl ChangeView {
    fn held(state: &'static str, node: &str, subject: &str, hold: HoldView) -> Self {
        let HoldView { order, survives_restart } = hold;
        Self {
            state,
            node: node.to_owned(),
            subject: subject.to_owned(),
            time: order.create_time,
            actor: order.actor,
            method: None,
            reason: order.reason,
            before: None,
            after: None,
            refusal: None,
            expire_time: order.expire_time,
            survives_restart,
            unrecorded_refusals: 0,
        }
    }

    fn happened(node: &str, event: &v1::Event, clock: Clock) -> Option<Self> {
        let audit = event.audit.as_ref()?;
        let refusal = some(&audit.refusal_code).map(|code| format!("{code}: {}", audit.refusal_reason));
        let state = if refusal.is_some() { "REFUSED" } else { "CHANGED" };
        let corrected = event.event_time.as_ref().map(|time| clock.corrected(Some(time)));
        let time = corrected.and_then(|nanos| Timestamp::from_nanosecond(nanos).ok());
        let order = OrderView {
            reason: some(&audit.reason),
            actor: event.actor.as_ref().map(ActorView::from),
            create_time: time.or(timestamp(event.event_time.as_ref())),
            expire_time: None,
        };
        Some(Self {
            method: some(&audit.method),
            before: some(&audit.before),
            after: some(&audit.after),
            refusal,
            unrecorded_refusals: audit.unrecorded_refusals,
            ..Self::held(state, node, &event.subject, HoldView { order, survives_restart: false })
        })
    }

    /// What was done, or what is held and until when.
    fn what(&self) -> String {
        let Some(method) = &self.method else {
            let until =
                self.expire_time.map_or("until it is ended".to_owned(), |time| format!("until {time}"));
            let until = format!("{until}{}", also_restarts(self.survives_restart));
            return [self.after.clone(), Some(until)].into_iter().flatten().collect::<Vec<_>>().join(" ");
        };
        let method = method.rsplit('/').next().unwrap_or(method);
        match (&self.refusal, &self.after, &self.before) {
            (Some(refusal), ..) => format!("{method}: {refusal}"),
            (None, Some(after), Some(before)) => format!("{method}: {after}, before: {before}"),
            (None, Some(after), None) => format!("{method}: {after}"),
            (None, None, _) => method.to_owned(),
        }
    }
}

impl Item for ChangeView {
    const KIND: &'static str = "Change";
    const NONE: &'static str =
        "nothing was changed in this time, and nothing is overridden, muted or drained";

    fn name(&self) -> String {
        self.subject.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["STATE", "TIME", "NODE", "SUBJECT", "WHO", "WHAT", "REASON"];
        if wide {
            headers.extend(["ROLE", "FROM", "REQUEST"]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let paint = match self.state {
            "CHANGED" => Paint::Dim,
            "REFUSED" => Paint::Bad,
            _ => Paint::Warn,
        };
        let actor = self.actor.as_ref();
        let who = actor.map(|actor| actor.principal.clone()).unwrap_or_default();
        let subject = self.subject.splitn(3, '/').nth(2).unwrap_or(names::last(&self.subject));
        let mut cells = vec![
            Cell::painted(paint, self.state),
            Cell::new(times.maybe(self.time)),
            Cell::new(&self.node),
            Cell::painted(Paint::Bold, subject),
            Cell::new(who),
            Cell::new(self.what()),
            Cell::new(self.reason.clone().unwrap_or_default()),
        ];
        if wide {
            let role = actor.and_then(|actor| actor.roles.last().cloned()).unwrap_or_default();
            let from = actor.and_then(|actor| actor.peer_address.clone()).unwrap_or_default();
            let request = actor.and_then(|actor| actor.request_id.clone()).unwrap_or_default();
            cells.extend([Cell::new(role), Cell::new(from), Cell::new(request)]);
        }
        cells
    }
}
