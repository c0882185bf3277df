//! What an instance tracks: facts about the node (checks, pools), told by [`crate::Input::Fact`], and what each is worth.
//! Which checks there are, and how their verdicts come about, is left to others.

use alloc::sync::Arc;

use crate::units::Instant;

/// One thing that an instance tracks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Track {
    /// Name of the fact: `checks/NAME` or `pools/NAME`.
    pub fact: Arc<str>,
    /// What it is worth.
    pub effect: TrackEffect,
}

/// What a tracked fact does to an instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TrackEffect {
    /// Failing means Fault.
    Fault {
        /// Passing means Fault instead.
        reverse: bool,
    },
    /// A positive weight is added while the fact passes, a negative one while it fails.
    Weight {
        /// -253..=253, not 0.
        weight: i16,
        /// The weight's sign is turned, and so is when it counts: a positive one is subtracted while the fact passes, a
        /// negative one is added while it fails.
        reverse: bool,
    },
    /// The fact's value times this is added, at most 253; -254 or less means Fault.
    Value {
        /// -2147483647..=2147483647, not 0.
        factor: i32,
    },
    /// A value other than 0 means Fault.
    ValueFault,
}

/// What is known about a fact.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Verdict {
    /// Not known yet, or not any more. After a known verdict that one goes on counting.
    #[default]
    Unknown,
    /// As it should be.
    Passing,
    /// Not as it should be.
    Failing,
}

impl Verdict {
    /// The word in API, log and CLI.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Passing => "PASSING",
            Self::Failing => "FAILING",
        }
    }
}

/// Something about the node that an instance may track.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fact {
    /// `checks/NAME` or `pools/NAME`.
    pub name: Arc<str>,
    /// How it stands.
    pub verdict: Verdict,
    /// The number that a check of a number found; 0 where there is none.
    pub value: i32,
    /// The evidence, one sentence; empty when there is none.
    pub detail: Arc<str>,
    /// Since when the verdict stands.
    pub since: Instant,
    /// Failing only because it is held back by damping ([`crate::Damping`]): it passes, but did not last before. Better
    /// than nothing: when there is no other, it may be used.
    pub damped: bool,
}

/// A track with what is known about its fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackedFact {
    /// What is tracked, and what it is worth.
    pub track: Track,
    /// What was told last; `None` = nothing yet.
    pub fact: Option<Fact>,
    /// What it adds to the priority now.
    pub delta: i32,
    /// Whether it keeps the instance in Fault now.
    pub faulty: bool,
}
