//! How long a virtual address had no holder.

use jiff::Timestamp;
use serde::Serialize;

use crate::clock::Clock;
use crate::outages::{Edge, Hole, Length};
use crate::span::Span;

/// All outages of a virtual address in a stretch of time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OutagesView {
    /// The address, without prefix length.
    pub address: String,
    /// Its prefix length.
    pub prefix_length: i32,
    /// From this time on was looked, on our clock.
    pub since: Timestamp,
    /// Up to this time.
    pub until: Timestamp,
    /// The outages, oldest first; those of which is not known whether they were any are among them.
    pub outages: Vec<OutageView>,
    /// How long all outages lasted together, without what is unknown.
    pub total: Span,
    /// The total is within this much of the truth, as far as clocks are to blame.
    pub total_uncertainty: Span,
    /// How often the holder changed in so little time that the clocks cannot tell whether nobody held.
    pub seamless_changes: usize,
    /// The nodes whose history begins later than `since`.
    pub histories_begin: Vec<SilenceView>,
}

/// A node whose history begins late.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SilenceView {
    /// The node.
    pub node: String,
    /// When its history begins, on our clock.
    pub history_begins: Option<Timestamp>,
}

/// A stretch in which nobody is known to have held the address. All times are on our clock.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct OutageView {
    /// When it began.
    pub began: Option<Timestamp>,
    /// When it ended; absent while it lasts.
    pub ended: Option<Timestamp>,
    /// How long it lasted, or has lasted so far.
    pub duration: Span,
    /// `TOLD` by both ends; `AT_MOST`: the former holder did not tell its end and may have held for longer than it was heard;
    /// `AT_LEAST`: it lasts, or its beginning was noticed late; `UNKNOWN`: a node may have held that does not tell.
    pub length: &'static str,
    /// The duration is within this much of the truth, as far as clocks are to blame.
    pub uncertainty: Span,
    /// Who held before; absent when nobody who tells did.
    pub before: Option<EndView>,
    /// Who held after.
    pub after: Option<EndView>,
    /// The nodes that do not tell what they did then.
    pub silent: Vec<String>,
}

/// One end of an outage.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EndView {
    /// The node.
    pub node: String,
    /// The state that it went to; empty when it did not tell.
    pub state: String,
    /// Why; empty when it did not tell.
    pub why: String,
    /// The event that says so; empty when there is none.
    pub event: String,
}

impl OutageView {
    /// From a hole that ends by `now` at the latest.
    pub(crate) fn new(hole: &Hole, now: i128) -> Self {
        OutageView {
            began: time(hole.began),
            ended: hole.ended.and_then(time),
            duration: Span::from_wide(hole.ended.unwrap_or(now) - hole.began),
            length: match hole.length {
                Length::Told => "TOLD",
                Length::AtMost => "AT_MOST",
                Length::AtLeast => "AT_LEAST",
                Length::Unknown => "UNKNOWN",
            },
            uncertainty: hole.error,
            before: hole.before.as_ref().map(end),
            after: hole.after.as_ref().map(end),
            silent: hole.silent.clone(),
        }
    }

    /// `3.94s`, `≤ 3.61s`.
    pub(crate) fn duration_label(&self) -> String {
        let mark = match self.length {
            "AT_MOST" => "≤ ",
            "AT_LEAST" => "≥ ",
            "UNKNOWN" => "? ",
            _ => "",
        };
        format!("{mark}{}", self.duration)
    }

    /// Why it began, and why it ended.
    pub(crate) fn why(&self) -> String {
        let before = match &self.before {
            Some(end) if !end.why.is_empty() => format!("left for {}: {}", end.state, end.why),
            Some(_) => "ended without a word".to_owned(),
            None => String::new(),
        };
        let after = match &self.after {
            Some(end) => format!("taken for {}", end.why),
            None => "it lasts".to_owned(),
        };
        let silent = match self.silent.is_empty() {
            true => String::new(),
            false if self.silent.len() == 1 => format!("{} does not tell", self.silent[0]),
            false => format!("{} do not tell", self.silent.join(", ")),
        };
        [before, after, silent].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

fn end((node, edge): &(String, Edge)) -> EndView {
    EndView {
        node: node.clone(),
        state: edge.state.clone(),
        why: edge.why.clone(),
        event: edge.event.clone(),
    }
}

fn time(nanos: i128) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanos).ok()
}

impl SilenceView {
    /// A node whose history begins at this time of its clock.
    pub(crate) fn new(node: &str, begins: Option<&prost_types::Timestamp>, clock: Clock) -> Self {
        let history_begins = begins.and_then(|begins| time(clock.corrected(Some(begins))));
        SilenceView { node: node.to_owned(), history_begins }
    }
}
