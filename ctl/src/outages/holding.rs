//! The stretches in which one node held an address, from its own events.

use ha_proto::v1;

use super::{Lane, Window};
use crate::clock::Clock;
use crate::model::{EvidenceView, cause_word, explain};
use crate::span::Span;

/// One end of a stretch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    /// When, on our clock.
    pub at: i128,
    /// It is within this much of the truth.
    pub error: Span,
    /// Why, in one line; empty when the node did not tell.
    pub why: String,
    /// The state after it: `FAULT`; empty when the node did not tell.
    pub state: String,
    /// The event that says so; empty when there is none.
    pub event: String,
}

/// What a node knew of the holder before it when it became Active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knew {
    /// It heard it still.
    Peer,
    /// It had not heard it for so long.
    Silence(i128),
    /// It had heard nobody; for so long, when that is known.
    Nothing(Option<i128>),
}

/// When a node that did not tell its end was last known to live, and when it was there again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone {
    seen: i128,
    back: i128,
}

impl Gone {
    /// Whether it may have ended then.
    pub(super) fn contains(self, at: i128) -> bool {
        (self.seen..=self.back).contains(&at)
    }
}

/// A stretch in which a node held the address.
#[derive(Clone, Debug)]
pub(super) struct Holding {
    pub(super) node: String,
    /// Since when its kernel had the address.
    pub(super) from: Edge,
    /// Since when it was Active, which is a little before.
    pub(super) active_at: i128,
    pub(super) knew: Knew,
    /// Until when; absent while it holds.
    pub(super) to: Option<Edge>,
    /// It did not tell its end.
    pub(super) gone: Option<Gone>,
    held: bool,
}

impl Holding {
    fn new(node: &str, from: Edge, knew: Knew) -> Self {
        Holding { node: node.to_owned(), active_at: from.at, from, knew, to: None, gone: None, held: false }
    }

    /// Its end, or now.
    pub(super) fn end(&self, window: Window) -> i128 {
        self.to.as_ref().map_or(window.now, |edge| edge.at)
    }
}

/// The stretches of one node in the window, oldest first.
pub(super) fn holdings(lane: &Lane, window: Window) -> Vec<Holding> {
    let mut reader = Reader { lane, all: Vec::new(), open: None, seen: None };
    let start = lane.known_from.max(window.since);
    let was_active = lane.events.iter().find(|event| is_transition(event));
    if was_active.map_or(lane.is_active, |event| event.previous_state == "ACTIVE") {
        let from = Edge { at: start, error: Span::ZERO, ..Edge::default() };
        reader.open = Some(Holding::new(&lane.node, from, Knew::Peer));
    }
    for event in &lane.events {
        reader.read(event);
    }
    reader.all.extend(reader.open);
    reader.all
}

struct Reader<'a> {
    lane: &'a Lane,
    all: Vec<Holding>,
    open: Option<Holding>,
    /// The incarnation and the time of the last event.
    seen: Option<(&'a str, i128)>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, event: &'a v1::Event) {
        let edge = edge(event, self.lane.clock);
        if let Some((incarnation, seen)) = self.seen
            && incarnation != event.incarnation_id
            && event.r#type != "instance.adopted"
        {
            self.died(Gone { seen, back: edge.at });
        }
        if event.r#type == "instance.adopted"
            && let Some(open) = &mut self.open
        {
            open.held = true; // all along
        }
        self.seen = Some((&event.incarnation_id, edge.at));
        match event.r#type.as_str() {
            "instance.addresses_held" => {
                if let Some(open) = self.open.as_mut().filter(|open| !open.held) {
                    open.held = true;
                    // The stretch from before the events began was held all the time.
                    open.from.at = if open.from.event.is_empty() { open.from.at } else { edge.at };
                }
            }
            "instance.addresses_released" if self.open.is_none() => {
                let last = self.all.last_mut().filter(|last| last.gone.is_none());
                if let Some(to) = last.and_then(|last| last.to.as_mut()) {
                    to.at = edge.at;
                }
            }
            _ if becomes_active(event) => {
                self.open.get_or_insert_with(|| Holding::new(&self.lane.node, edge, knew(event)));
            }
            _ if stops_being_active(event) => {
                if let Some(open) = self.open.take() {
                    self.all.push(Holding { to: Some(edge), ..open });
                }
            }
            _ => {}
        }
    }

    /// The agent started again without having told that it left.
    fn died(&mut self, gone: Gone) {
        if let Some(open) = self.open.take() {
            let error = self.lane.clock.uncertainty;
            let to = Edge { at: gone.back, error, ..Edge::default() };
            self.all.push(Holding { to: Some(to), gone: Some(gone), ..open });
        }
    }
}

fn edge(event: &v1::Event, clock: Clock) -> Edge {
    Edge {
        at: clock.corrected(event.event_time.as_ref()),
        error: clock.uncertainty,
        why: explain(&cause_word(event.cause), event.evidence.as_ref().map(EvidenceView::from).as_ref()),
        state: event.current_state.clone(),
        event: event.name.clone(),
    }
}

/// From the evidence of becoming Active.
fn knew(event: &v1::Event) -> Knew {
    let evidence = event.evidence.as_ref();
    let nanos = |span: Option<&prost_types::Duration>| span.map(|span| i128::from(Span::from(span).nanos()));
    let silence = nanos(evidence.and_then(|evidence| evidence.last_advertisement_age.as_ref()));
    match (event.cause(), silence) {
        (v1::Cause::ActiveDownTimer | v1::Cause::PeerPriorityZero, Some(silence)) => Knew::Silence(silence),
        (v1::Cause::ActiveDownTimer, None) => {
            Knew::Nothing(nanos(evidence.and_then(|evidence| evidence.active_down_interval.as_ref())))
        }
        _ if evidence.is_some_and(|evidence| !evidence.peer_address.is_empty()) => Knew::Peer,
        _ => Knew::Nothing(None),
    }
}

fn is_transition(event: &v1::Event) -> bool {
    !event.previous_state.is_empty() && !event.current_state.is_empty()
}

fn becomes_active(event: &v1::Event) -> bool {
    event.current_state == "ACTIVE" && event.previous_state != "ACTIVE"
}

fn stops_being_active(event: &v1::Event) -> bool {
    event.previous_state == "ACTIVE" && !matches!(event.current_state.as_str(), "ACTIVE" | "")
}
