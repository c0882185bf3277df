//! `hactl vip outages`: how long nobody held an address, as the events of all nodes together tell.

use std::net::IpAddr;

use ha_proto::v1;
use jiff::Timestamp;

use super::history;
use crate::args::When;
use crate::clock::to_proto;
use crate::cluster::{Cluster, heard};
use crate::commands::Context;
use crate::commands::lacks::not_told;
use crate::commands::unknown::unknown_vip;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{More, Scope, Snapshot};
use crate::model::{OutageView, OutagesView, SilenceView, VipView, event_label};
use crate::names;
use crate::outages::{Lane, Window, account};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Table, Times, paint};
use crate::session::{History, Session};
use crate::span::Span;

/// How many events of an address are read on each node; older ones are as if they were forgotten.
const DEPTH: usize = 20_000;

/// What one node told about the address.
struct Told {
    history: History,
    is_active: bool,
    hears_active: bool,
}

/// Shows the outages of one address.
///
/// # Errors
/// When it is not there, no node has answered, or the answer cannot be written.
pub(crate) async fn run(context: &Context, address: IpAddr, since: &When) -> Result<Exit, Stop> {
    let now = Timestamp::now();
    let since = since.resolve(now, &context.times.zone).map_err(|error| Failure::usage(error, ""))?;
    if since >= now {
        return Err(Failure::usage("--since lies in the future", "give how long ago: --since 24h").into());
    }
    let past = async |session: &Session, snapshot: &Snapshot| read(session, snapshot, address, since).await;
    let (cluster, told) = context.ask_with(Scope::Routers, past).await?;
    let Some(vip) = cluster.vips().into_iter().find(|vip| vip.address.parse() == Ok(address)) else {
        return Err(unknown_vip(&cluster, address));
    };
    let lacks = not_told(&told);
    let view = view(&cluster, &vip, told, since);
    let text = text(context, &view);
    let (mut answer, exit) = context.answer(&cluster, "VipOutages", vec![view], false);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

async fn read(
    session: &Session,
    snapshot: &Snapshot,
    address: IpAddr,
    since: Timestamp,
) -> Result<Told, Failure> {
    let types = ["state_changed", "addresses_held", "addresses_released", "adopted"];
    let types = types.iter().map(|kind| format!("instance.{kind}")).collect();
    let request = v1::ListEventsRequest {
        filter: Some(v1::EventFilter { types, ..v1::EventFilter::default() }),
        since_time: Some(to_proto(snapshot.clock.theirs(since))),
        ..v1::ListEventsRequest::default()
    };
    let history = history::read(session, snapshot, address, request, DEPTH).await?;
    let owns = |vip: &String| names::last(vip).parse() == Ok(address);
    let mut routers = snapshot.instances.iter().filter(|instance| instance.vips.iter().any(owns));
    let is_active = routers.clone().any(|instance| instance.state() == v1::instance::State::Active);
    Ok(Told { history, is_active, hears_active: routers.any(|instance| heard(instance).is_some()) })
}

fn view(cluster: &Cluster, vip: &VipView, told: Vec<More<Told>>, since: Timestamp) -> OutagesView {
    let window = Window { since: since.as_nanosecond(), now: cluster.now.as_nanosecond() };
    let mut missing = cluster.missing();
    let (mut lanes, mut histories_begin) = (Vec::new(), Vec::new());
    for more in told.into_iter().filter(|more| vip.is_on(|node| node == more.node)) {
        let Ok(told) = more.result else {
            missing.push(more.node);
            continue;
        };
        let is_cut = told.history.events.len() >= DEPTH;
        let oldest = told.history.events.first().and_then(|event| event.event_time).filter(|_| is_cut);
        let begins = oldest.or(told.history.oldest_available_time);
        let known_from = begins.as_ref().map_or(window.since, |time| more.clock.corrected(Some(time)));
        if known_from > window.since {
            histories_begin.push(SilenceView::new(&more.node, begins.as_ref(), more.clock));
        }
        lanes.push(Lane {
            node: more.node,
            clock: more.clock,
            events: told.history.events,
            known_from,
            is_active: told.is_active,
            hears_active: told.hears_active,
        });
    }
    let found = account(&lanes, &missing, window);
    let outages: Vec<OutageView> = found.holes.iter().map(|hole| OutageView::new(hole, window.now)).collect();
    let sum = |part: fn(&OutageView) -> Span| {
        let known = outages.iter().filter(|outage| outage.length != "UNKNOWN");
        Span::from_wide(known.map(|outage| i128::from(part(outage).nanos())).sum())
    };
    OutagesView {
        address: vip.address.clone(),
        prefix_length: vip.prefix_length,
        since,
        until: cluster.now,
        total: sum(|outage| outage.duration),
        total_uncertainty: sum(|outage| outage.uncertainty),
        outages,
        seamless_changes: found.seamless,
        histories_begin,
    }
}

fn text(context: &Context, view: &OutagesView) -> String {
    let label = paint(Paint::Bold, &format!("{}/{}", view.address, view.prefix_length));
    let length = Span::from_wide(view.until.as_nanosecond() - view.since.as_nanosecond());
    let unknown = view.outages.iter().filter(|outage| outage.length == "UNKNOWN").count();
    let count = match view.outages.len() - unknown {
        0 => paint(Paint::Good, "no outage"),
        1 => paint(Paint::Warn, "1 outage"),
        count => paint(Paint::Warn, &format!("{count} outages")),
    };
    let total = format!("{} without a holder (±{} clock error)", view.total, view.total_uncertainty);
    let mut out = format!("VIP {label}  {count} in {length}  {total}\n");
    for silence in &view.histories_begin {
        let begins = context.times.maybe(silence.history_begins);
        let line = format!("  ! the history of {} begins at {begins}: before, others tell", silence.node);
        out.push_str(&format!("{}\n", paint(Paint::Warn, &line)));
    }
    if view.seamless_changes > 0 {
        let changes = match view.seamless_changes {
            1 => "1 change".to_owned(),
            count => format!("{count} changes"),
        };
        let line = format!("  {changes} of the holder left no time without one that the clocks can tell");
        out.push_str(&format!("{}\n", paint(Paint::Dim, &line)));
    }
    if !view.outages.is_empty() {
        let mut table = Table::new(vec!["BEGAN", "LASTED", "CLOCK ±", "BEFORE", "AFTER", "WHY", "EVENTS"]);
        for outage in &view.outages {
            table.row(row(outage, &context.times));
        }
        out.push('\n');
        out.push_str(&table.render(context.layout()));
    }
    out
}

fn row(outage: &OutageView, times: &Times) -> Vec<Cell> {
    let ends = [&outage.before, &outage.after];
    let [before, after] = ends.map(|end| end.as_ref().map(|end| end.node.clone()).unwrap_or_default());
    let events = ends.iter().filter_map(|end| end.as_ref()).filter(|end| !end.event.is_empty());
    let events: Vec<String> = events.map(|end| event_label(&end.event)).collect();
    let severity = match outage.length {
        "UNKNOWN" => Paint::Unknown,
        _ => Paint::Bad,
    };
    vec![
        Cell::new(times.maybe(outage.began)),
        Cell::painted(severity, outage.duration_label()),
        Cell::new(outage.uncertainty.to_string()),
        Cell::painted(Paint::Bold, before),
        Cell::painted(Paint::Bold, after),
        Cell::new(outage.why()),
        Cell::new(events.join(" ")),
    ]
}

impl Item for OutagesView {
    const KIND: &'static str = "VipOutages";

    fn name(&self) -> String {
        format!("vips/{}", self.address)
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["VIP", "OUTAGES", "TOTAL"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![
            Cell::new(&self.address),
            Cell::new(self.outages.len().to_string()),
            Cell::new(self.total.to_string()),
        ]
    }
}
