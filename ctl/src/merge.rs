//! Puts the events of several nodes into one order. Pure: the caller says what time it is.
//!
//! Three rules, the stronger first. Within a node its own order stands. Between nodes a cause comes before its effect,
//! whatever the clocks say. Otherwise the corrected time decides, and where two times are closer than we know the clocks
//! the order is marked uncertain.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ha_proto::v1;

use crate::clock::Clock;
use crate::names;

#[cfg(test)]
mod tests;

/// How far apart the times of a cause and its effect may be: corrected clocks are never this wrong.
const CAUSAL_WINDOW: i128 = 10_000_000_000;

/// An advertisement is heard this soon after the takeover that it tells of. What is heard later may be of a router that
/// has been Active for long.
const HEARD_WITHIN: i128 = 20_000_000;

/// How many of the events that are out already are remembered, to find their effects and uncertain neighbours.
const REMEMBERED: usize = 256;

/// What an event has to do with events of other nodes.
#[derive(Clone, Debug, Default)]
struct Links {
    name: String,
    caused_by: Vec<String>,
    router: String,
    part: Part,
}

/// An event's part in a change of the Active router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    /// None.
    #[default]
    None,
    /// Becomes Active because the peer released: comes after a release.
    TakesAfterRelease,
    /// Becomes Active for another reason.
    Takes,
    /// Stops being Active because a stronger one took over: comes after that.
    YieldsAfterTakeover,
    /// Stops being Active for another reason.
    Releases,
    /// Hears a new Active router: comes after its takeover, if that was at the same moment.
    Observes,
}

impl Links {
    fn of(event: &v1::Event) -> Self {
        let on_router = names::collection(&event.subject) == "instances";
        Links {
            name: event.name.clone(),
            caused_by: event.caused_by_events.clone(),
            router: names::last(&event.subject).to_owned(),
            part: if on_router { Part::of(event) } else { Part::None },
        }
    }

    /// Whether this must stand before `effect`, if it is the right one of its kind.
    fn may_cause(&self, effect: &Links) -> bool {
        match effect.part {
            Part::TakesAfterRelease if self.part == Part::Releases => self.router == effect.router,
            Part::YieldsAfterTakeover if matches!(self.part, Part::Takes | Part::TakesAfterRelease) => {
                self.router == effect.router
            }
            Part::Observes if matches!(self.part, Part::Takes | Part::TakesAfterRelease) => {
                self.router == effect.router
            }
            _ => false,
        }
    }

    fn is_named_by(&self, effect: &Links) -> bool {
        !self.name.is_empty() && effect.caused_by.contains(&self.name)
    }

    /// Whether its place depends on other nodes' events at all.
    fn is_effect(&self) -> bool {
        !self.caused_by.is_empty()
            || matches!(self.part, Part::TakesAfterRelease | Part::YieldsAfterTakeover | Part::Observes)
    }
}

impl Part {
    fn of(event: &v1::Event) -> Self {
        let (was, is) = (event.previous_state == "ACTIVE", event.current_state == "ACTIVE");
        match (was, is, event.cause()) {
            (false, true, v1::Cause::PeerPriorityZero) => Part::TakesAfterRelease,
            (false, true, _) => Part::Takes,
            (true, false, v1::Cause::PeerHigherPriority | v1::Cause::PeerEqualPriorityHigherAddress) => {
                Part::YieldsAfterTakeover
            }
            (true, false, _) => Part::Releases,
            _ if event.r#type == "instance.active_observed" => Part::Observes,
            _ => Part::None,
        }
    }
}

/// Where an entry stands in time and among causes.
#[derive(Clone, Debug)]
struct Place {
    lane: usize,
    /// Its number among those of its lane that are out, from 1.
    number: u64,
    time: i128,
    uncertainty: i128,
    links: Links,
}

impl Place {
    /// Whether this is a cause of `effect` by kind and by time; several may be, and the nearest is the one.
    fn may_cause(&self, effect: &Place) -> bool {
        let window = match effect.links.part {
            Part::Observes => HEARD_WITHIN + self.uncertainty + effect.uncertainty,
            _ => CAUSAL_WINDOW,
        };
        self.lane != effect.lane && self.distance(effect) <= window && self.links.may_cause(&effect.links)
    }

    fn is_named_by(&self, effect: &Place) -> bool {
        self.lane != effect.lane && self.links.is_named_by(&effect.links)
    }

    fn distance(&self, other: &Place) -> i128 {
        (self.time - other.time).abs()
    }
}

struct Pending<T> {
    place: Place,
    arrived: Option<Instant>,
    payload: T,
}

/// What comes out, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Merged<T> {
    /// What was put in.
    pub payload: T,
    /// It may have happened before something that came out earlier.
    pub order_uncertain: bool,
}

/// Merges lanes: one for each node, each in its own order.
pub(crate) struct Merger<T> {
    lanes: Vec<VecDeque<Pending<T>>>,
    recent: VecDeque<Place>,
    /// For each lane: how many events of each other lane are known to come before what it brings next.
    known: Vec<Vec<u64>>,
    out: Vec<u64>,
}

impl<T> Merger<T> {
    /// With this many lanes.
    pub(crate) fn new(lanes: usize) -> Self {
        Merger {
            lanes: (0..lanes).map(|_| VecDeque::new()).collect(),
            recent: VecDeque::new(),
            known: vec![vec![0; lanes]; lanes],
            out: vec![0; lanes],
        }
    }

    /// Adds the next event of a lane.
    pub(crate) fn push(
        &mut self,
        lane: usize,
        event: &v1::Event,
        clock: Clock,
        arrived: Option<Instant>,
        payload: T,
    ) {
        let place = Place {
            lane,
            number: 0,
            time: clock.corrected(event.event_time.as_ref()),
            uncertainty: i128::from(clock.uncertainty.nanos()),
            links: Links::of(event),
        };
        self.enqueue(Pending { place, arrived, payload });
    }

    /// Adds something that is no event to a lane: it keeps its place between the lane's events.
    pub(crate) fn push_mark(&mut self, lane: usize, time: i128, arrived: Option<Instant>, payload: T) {
        // Nothing is uncertain about a mark: no event's place depends on it.
        let place = Place { lane, number: 0, time, uncertainty: -CAUSAL_WINDOW, links: Links::default() };
        self.enqueue(Pending { place, arrived, payload });
    }

    fn enqueue(&mut self, pending: Pending<T>) {
        // A lane that was not announced would be a bug of ours; losing an event would be worse than its place.
        let lane = pending.place.lane.min(self.lanes.len().saturating_sub(1));
        if let Some(queue) = self.lanes.get_mut(lane) {
            queue.push_back(pending);
        }
    }

    /// Whether anything has waited for `hold` since it arrived, and when the next thing will have.
    pub(crate) fn due(&self, now: Instant, hold: Duration) -> Option<Instant> {
        let oldest = self.lanes.iter().filter_map(|lane| lane.front()?.arrived).min()?;
        Some((oldest + hold).max(now))
    }

    /// Takes the next, if something has waited for `hold` by `now`.
    pub(crate) fn pop_due(&mut self, now: Instant, hold: Duration) -> Option<Merged<T>> {
        if self.due(now, hold)? > now { None } else { self.pop() }
    }

    /// Takes the next.
    pub(crate) fn pop(&mut self) -> Option<Merged<T>> {
        let mut heads: Vec<(i128, usize)> = self
            .lanes
            .iter()
            .enumerate()
            .filter_map(|(lane, queue)| Some((queue.front()?.place.time, lane)))
            .collect();
        heads.sort_unstable();
        // When causes go round in a circle, which only a wrong clock or a lying node can do, time decides.
        let lane = heads
            .iter()
            .find(|(_, lane)| !self.is_blocked(*lane))
            .or(heads.first())
            .map(|(_, lane)| *lane)?;
        let Pending { mut place, payload, .. } = self.lanes[lane].pop_front()?;
        self.out[lane] += 1;
        place.number = self.out[lane];
        self.learn(&place);
        let order_uncertain = self.recent.iter().any(|earlier| self.is_uncertain(earlier, &place));
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(place);
        Some(Merged { payload, order_uncertain })
    }

    /// Notes which events are known to come before this one, and so before all that its lane brings later.
    fn learn(&mut self, effect: &Place) {
        let candidates = self.recent.iter().filter(|place| place.may_cause(effect));
        let nearest = candidates.min_by_key(|place| place.distance(effect));
        let named = self.recent.iter().filter(|place| place.is_named_by(effect));
        for cause in nearest.into_iter().chain(named) {
            let (before, theirs) = (self.known[cause.lane].clone(), &mut self.known[effect.lane]);
            theirs[cause.lane] = theirs[cause.lane].max(cause.number);
            // What came before the cause comes before the effect. Later knowledge of that lane is too much by little:
            // it can only leave a mark out that time itself does not ask for.
            for (known, more) in theirs.iter_mut().zip(before) {
                *known = (*known).max(more);
            }
        }
    }

    /// Whether `later` may have happened before `earlier`, which is out already.
    fn is_uncertain(&self, earlier: &Place, later: &Place) -> bool {
        let known = earlier.lane == later.lane || self.known[later.lane][earlier.lane] >= earlier.number;
        !known && later.time - earlier.time <= earlier.uncertainty + later.uncertainty
    }

    /// Whether the head of this lane has a cause that is still waiting in another one.
    ///
    /// A cause that is not named is the nearest one of its kind; if that one is out already, nothing blocks.
    fn is_blocked(&self, lane: usize) -> bool {
        let Some(head) = self.lanes[lane].front().map(|pending| &pending.place) else { return false };
        if !head.links.is_effect() {
            return false;
        }
        // A lane is in the order of its own clock: nothing behind what is too late for a cause can be one.
        let bound = head.time + CAUSAL_WINDOW;
        let waiting = || {
            self.lanes.iter().flat_map(move |lane| {
                lane.iter().map(|pending| &pending.place).take_while(move |place| place.time <= bound)
            })
        };
        if waiting().any(|place| place.is_named_by(head) && place.distance(head) <= CAUSAL_WINDOW) {
            return true;
        }
        let distance = |place: &Place| place.distance(head);
        let nearest_waiting = waiting().filter(|place| place.may_cause(head)).map(distance).min();
        let nearest_out = self.recent.iter().filter(|place| place.may_cause(head)).map(distance).min();
        match (nearest_waiting, nearest_out) {
            (Some(waiting), Some(out)) => waiting < out,
            (waiting, _) => waiting.is_some(),
        }
    }
}

/// Merges whole histories, one for each node and oldest first, and keeps the newest `limit`.
pub(crate) fn merge_newest<T>(histories: Vec<(Clock, Vec<(v1::Event, T)>)>, limit: usize) -> Vec<Merged<T>> {
    let mut merger = Merger::new(histories.len());
    for (lane, (clock, events)) in histories.into_iter().enumerate() {
        for (event, payload) in events {
            merger.push(lane, &event, clock, None, payload);
        }
    }
    let mut merged: Vec<Merged<T>> = std::iter::from_fn(|| merger.pop()).collect();
    merged.drain(..merged.len().saturating_sub(limit));
    merged
}
