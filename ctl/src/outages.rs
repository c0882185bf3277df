//! How long a virtual address had no holder, from the events of all nodes. Pure: which nodes there are and what they
//! told is the caller's work.
//!
//! Each node's events give the stretches in which it held the address, on our clock. What lies between the stretches of
//! all nodes is a hole. A hole is an outage as far as it is known that nobody held: the next holder's evidence says
//! since when it heard nobody, also where the former one died without a word or never tells anything. The rest of a hole
//! is unknown when a node that may have held does not tell that far back, and no hole at all when another router was
//! heard.

mod holding;

use ha_proto::v1;

pub(crate) use self::holding::Edge;
use self::holding::{Holding, Knew, holdings};
use crate::clock::Clock;
use crate::span::Span;

#[cfg(test)]
mod tests;

/// What one node told about an address.
pub(crate) struct Lane {
    /// The node's name.
    pub node: String,
    /// Its clock against ours.
    pub clock: Clock,
    /// The events of its virtual router, oldest first.
    pub events: Vec<v1::Event>,
    /// From this time of our clock on its events are complete.
    pub known_from: i128,
    /// Whether it is Active now.
    pub is_active: bool,
    /// Whether it hears another Active router now.
    pub hears_active: bool,
}

/// The time that is looked at, on our clock, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// Its beginning.
    pub since: i128,
    /// Its end.
    pub now: i128,
}

/// How well a hole's length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Both ends are told.
    Told,
    /// The former holder did not tell its end: it may have held for longer than it was heard.
    AtMost,
    /// The former holder's end was noticed late, or the hole goes on, or it began before the window.
    AtLeast,
    /// Whether it is an outage at all is not known.
    Unknown,
}

/// A stretch without a known holder.
#[derive(Clone, Debug)]
pub(crate) struct Hole {
    /// When it began.
    pub began: i128,
    /// When it ended; absent while it lasts.
    pub ended: Option<i128>,
    /// How well that is known.
    pub length: Length,
    /// The clocks' error in its length.
    pub error: Span,
    /// Who held before: the node and how it ended.
    pub before: Option<(String, Edge)>,
    /// Who held after: the node and how it began.
    pub after: Option<(String, Edge)>,
    /// The nodes whose history does not reach that far.
    pub silent: Vec<String>,
}

/// What is known of an address in a window.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The holes, oldest first.
    pub holes: Vec<Hole>,
    /// How often the holder changed in so little time that the clocks cannot tell whether there was a hole.
    pub seamless: usize,
}

/// Finds the holes of an address. `missing` are the labels of the nodes that told nothing.
pub(crate) fn account(lanes: &[Lane], missing: &[String], window: Window) -> Account {
    let mut all: Vec<Holding> = lanes.iter().flat_map(|lane| holdings(lane, window)).collect();
    refine(&mut all);
    all.sort_by_key(|holding| holding.from.at);
    let mut finder = Finder { lanes, missing, window, account: Account::default() };
    let mut last: Option<&Holding> = None;
    for holding in &all {
        match last {
            Some(before) if before.end(window) >= holding.from.at => {
                finder.account.seamless += usize::from(before.node != holding.node);
            }
            before => finder.hole(before, Some(holding)),
        }
        if last.is_none_or(|before| before.end(window) < holding.end(window)) {
            last = Some(holding);
        }
    }
    if last.is_none_or(|last| last.to.is_some()) {
        finder.hole(last, None);
    }
    finder.account
}

/// A holder that died did not say when. Its successor knows when it heard it last.
fn refine(all: &mut [Holding]) {
    let heard = |next: &Holding| match next.knew {
        Knew::Silence(silence) => Some((next.node.clone(), next.active_at - silence, next.from.error)),
        _ => None,
    };
    let heard: Vec<(String, i128, Span)> = all.iter().filter_map(heard).collect();
    for holding in all.iter_mut() {
        let Some(gone) = holding.gone else { continue };
        let last = heard
            .iter()
            .filter(|(node, at, _)| *node != holding.node && gone.contains(*at))
            .min_by_key(|(_, at, _)| *at);
        if let (Some(edge), Some((_, at, error))) = (&mut holding.to, last) {
            (edge.at, edge.error) = (*at, *error);
        }
    }
}

struct Finder<'a> {
    lanes: &'a [Lane],
    missing: &'a [String],
    window: Window,
    account: Account,
}

impl Finder<'_> {
    fn hole(&mut self, before: Option<&Holding>, after: Option<&Holding>) {
        let end = before.and_then(|before| Some((before.node.clone(), before.to.clone()?)));
        let start = after.map(|after| (after.node.clone(), after.from.clone()));
        let from = end.as_ref().map_or(self.window.since, |(_, edge)| edge.at).max(self.window.since);
        let to = start.as_ref().map_or(self.window.now, |(_, edge)| edge.at);
        if to <= from {
            return;
        }
        let hole = Hole {
            began: from,
            ended: after.map(|_| to),
            length: Length::Told,
            error: error(end.as_ref(), start.as_ref()),
            before: end,
            after: start,
            silent: self.silent(from),
        };
        match after {
            Some(after) => self.ended(hole, before, after),
            None => self.lasting(hole),
        }
    }

    /// A hole that a node ended.
    fn ended(&mut self, hole: Hole, before: Option<&Holding>, after: &Holding) {
        let is_gone = before.is_some_and(|before| before.gone.is_some());
        let error = i128::from(hole.error.nanos());
        match after.knew {
            // Until it took over, or until it heard the last of it, somebody held: who is none of those who tell, when it
            // was after the former holder's own end.
            Knew::Peer => {}
            Knew::Silence(silence) => {
                let heard = after.active_at - silence;
                let told = before.is_some() && !is_gone && heard <= hole.began + error;
                let length = if told { Length::Told } else { Length::AtMost };
                let began = if told { hole.began } else { heard.max(hole.began) };
                self.add(Hole { began, length, ..hole });
            }
            Knew::Nothing(quiet) if !hole.silent.is_empty() => {
                let began = quiet.map_or(hole.began, |quiet| (after.active_at - quiet).max(hole.began));
                let length = if quiet.is_some() { Length::AtLeast } else { Length::Unknown };
                self.add(Hole { began, length, ..hole });
            }
            Knew::Nothing(_) => {
                let length = if is_gone || before.is_none() { Length::AtLeast } else { Length::Told };
                self.add(Hole { length, ..hole });
            }
        }
    }

    /// A hole that nobody has ended. Who hears an Active router now hears one that does not tell.
    fn lasting(&mut self, hole: Hole) {
        if !self.lanes.iter().any(|lane| lane.hears_active) {
            let length = if self.missing.is_empty() { Length::AtLeast } else { Length::Unknown };
            self.add(Hole { length, ..hole });
        }
    }

    fn add(&mut self, hole: Hole) {
        let lasted = hole.ended.unwrap_or(self.window.now) - hole.began;
        if hole.ended.is_some() && lasted <= i128::from(hole.error.nanos()) {
            self.account.seamless += 1;
        } else {
            self.account.holes.push(hole);
        }
    }

    /// The nodes that do not tell what they did at this time.
    fn silent(&self, at: i128) -> Vec<String> {
        let late = self.lanes.iter().filter(|lane| lane.known_from > at).map(|lane| lane.node.clone());
        late.chain(self.missing.iter().cloned()).collect()
    }
}

/// Ends on one clock differ by no error of clocks.
fn error(end: Option<&(String, Edge)>, start: Option<&(String, Edge)>) -> Span {
    match (end, start) {
        (Some((one, _)), Some((other, _))) if one == other => Span::ZERO,
        (end, start) => {
            let nanos = |edge: Option<&(String, Edge)>| edge.map_or(0, |(_, edge)| edge.error.nanos());
            Span::from_nanos(nanos(end).saturating_add(nanos(start)))
        }
    }
}
