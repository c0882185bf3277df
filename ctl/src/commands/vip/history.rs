//! What the events say about a virtual address: which event made its holder Active, who held it before, and how long
//! nobody did. It is extra: without it the answer still stands, so its failures are only details.

use std::net::IpAddr;

use ha_proto::v1;

use crate::clock::{Clock, timestamp};
use crate::commands::Context;
use crate::failure::Failure;
use crate::fanout::{More, Snapshot};
use crate::model::{Before, EvidenceView, VipView, cause_word, explain};
use crate::names;
use crate::session::{History, Session};
use crate::span::Span;

/// How many events of an address are read on each node.
pub(super) const DEPTH: usize = 200;

/// A former holder that leaves this much after its successor took over still is the one before.
const OVERLAP: i128 = 5_000_000_000;

/// A node that yields to a stronger one does so on its first advertisement, so the takeover is this near.
const YIELD: i128 = 1_000_000_000;

/// What one node's history says of one virtual router.
struct Past {
    clock: Clock,
    events: Vec<v1::Event>,
}

impl Past {
    /// Times of this node on our clock.
    fn time(&self, event: &v1::Event) -> i128 {
        self.clock.corrected(event.event_time.as_ref())
    }
}

/// The newest events of the virtual routers of one node that own `address`.
///
/// # Errors
/// What the agent answers.
pub(super) async fn read(
    session: &Session,
    snapshot: &Snapshot,
    address: IpAddr,
    request: v1::ListEventsRequest,
    depth: usize,
) -> Result<History, Failure> {
    let owns = |vip: &String| names::last(vip).parse() == Ok(address);
    let owners = snapshot.instances.iter().filter(|instance| instance.vips.iter().any(owns));
    let subjects: Vec<String> = owners.map(|instance| instance.name.clone()).collect();
    if subjects.is_empty() {
        return Ok(History::default());
    }
    let filter = v1::EventFilter { subjects, ..request.filter.unwrap_or_default() };
    session.newest_events(v1::ListEventsRequest { filter: Some(filter), ..request }, depth).await
}

/// Adds event, former holder and gap to an address, as far as the nodes' histories reach.
pub(super) fn add(context: &Context, told: Vec<More<History>>, vip: &mut VipView) {
    let past = |more: More<History>| match more.result {
        Ok(history) => Some(Past { clock: more.clock, events: history.events }),
        Err(failure) => {
            context.out.detail(&format!("no history: {failure}"));
            None
        }
    };
    let pasts: Vec<Past> = told.into_iter().filter_map(past).collect();
    let Some(holder) = vip.active_on.first().cloned() else { return };
    let taken = pasts
        .iter()
        .flat_map(|past| past.events.iter().map(move |event| (past, event)))
        .filter(|(_, event)| names::node(&event.subject) == holder && becomes_active(event))
        .max_by_key(|(past, event)| past.time(event));
    let Some((holder_past, taken)) = taken else { return };
    // An older takeover is not this one: the event that tells of it has been pushed out, or has not been written yet.
    if taken.event_time.as_ref().and_then(|time| timestamp(Some(time))) < vip.since.map(earlier) {
        return;
    }
    vip.event = Some(taken.name.clone());
    vip.before = before(&pasts, holder_past, taken);
}

/// A state's time and its event's time are taken at almost the same moment.
fn earlier(time: jiff::Timestamp) -> jiff::Timestamp {
    time.checked_sub(std::time::Duration::from_secs(1)).unwrap_or(time)
}

fn before(pasts: &[Past], holder: &Past, taken: &v1::Event) -> Option<Before> {
    let taken_at = holder.time(taken);
    let peer = taken.evidence.as_ref().map(|evidence| evidence.peer_address.clone());
    let address = peer.filter(|address| !address.is_empty());
    let left = pasts
        .iter()
        .flat_map(|past| past.events.iter().map(move |event| (past, event)))
        .filter(|(past, event)| stops_being_active(event) && past.time(event) <= taken_at + OVERLAP)
        .filter(|(_, event)| event.subject != taken.subject || event.sequence < taken.sequence)
        .max_by_key(|(past, event)| past.time(event));
    let is_before = |past: &Past, event: &v1::Event| {
        // Who yielded did so to somebody; when that was not this holder, it is somebody who does not tell.
        !yields(event) || (event.subject != taken.subject && (past.time(event) - taken_at).abs() <= YIELD)
    };
    let Some((past, left)) = left.filter(|(past, event)| is_before(past, event)) else {
        return address.map(|address| Before { address: Some(address), ..Before::default() });
    };
    let left_at = past.time(left);
    let held_from = past
        .events
        .iter()
        .filter(|event| becomes_active(event) && event.subject == left.subject && past.time(event) <= left_at)
        .map(|event| past.time(event))
        .max();
    let same_node = names::node(&left.subject) == names::node(&taken.subject);
    let uncertainty = past.clock.uncertainty.nanos().saturating_add(holder.clock.uncertainty.nanos());
    let evidence = left.evidence.as_ref().map(EvidenceView::from);
    Some(Before {
        node: names::node(&left.subject).to_owned(),
        address,
        active_for: held_from.map(|from| Span::from_wide(left_at - from)),
        left_at: timestamp(left.event_time.as_ref()),
        left_for: left.current_state.clone(),
        why: explain(&cause_word(left.cause), evidence.as_ref()),
        event: left.name.clone(),
        gap: Some(Span::from_wide(taken_at - left_at)),
        gap_uncertainty: if same_node { Span::ZERO } else { Span::from_nanos(uncertainty) },
    })
}

fn becomes_active(event: &v1::Event) -> bool {
    event.current_state == "ACTIVE" && event.previous_state != "ACTIVE"
}

fn yields(event: &v1::Event) -> bool {
    matches!(event.cause(), v1::Cause::PeerHigherPriority | v1::Cause::PeerEqualPriorityHigherAddress)
}

fn stops_being_active(event: &v1::Event) -> bool {
    event.previous_state == "ACTIVE" && !matches!(event.current_state.as_str(), "ACTIVE" | "")
}
