//! What an instance tracks: facts about the node (checks, pools), told by [`crate::Input::Fact`], and what each is worth.
//! Which checks there are, and how their verdicts come about, is left to others.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::input::InstanceId;
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
        /// The weight's sign is turned: a positive one is subtracted while the fact passes, a negative one is added while
        /// it fails.
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

impl TrackEffect {
    /// What a fact adds to the priority, and whether it means Fault.
    fn worth(self, verdict: Verdict, value: i32) -> (i32, bool) {
        let known = verdict != Verdict::Unknown;
        match self {
            Self::Fault { reverse } => {
                let bad = if reverse { Verdict::Passing } else { Verdict::Failing };
                (0, verdict == bad)
            }
            Self::Weight { weight, reverse } => {
                let counts = if weight > 0 { Verdict::Passing } else { Verdict::Failing };
                let delta = if reverse { -i32::from(weight) } else { weight.into() };
                (if verdict == counts { delta } else { 0 }, false)
            }
            Self::Value { factor } => {
                let product = if known { i64::from(value) * i64::from(factor) } else { 0 };
                let faulty = product < -LARGEST_DELTA;
                let delta = i32::try_from(product.min(LARGEST_DELTA)).unwrap_or_default();
                (if faulty { 0 } else { delta }, faulty)
            }
            Self::ValueFault => (0, known && value != 0),
        }
    }

    /// Whether it can mean Fault only: such a fact must be known before the instance takes part.
    const fn is_unweighted(self) -> bool {
        matches!(self, Self::Fault { .. } | Self::ValueFault)
    }
}

/// From the lowest priority to the highest.
const LARGEST_DELTA: i64 = 253;

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
    /// The number that the last result found, or a pool's passing weight; `None` = it found none, which counts as 0.
    pub value: Option<i32>,
    /// The evidence, one sentence; empty when there is none.
    pub detail: Arc<str>,
    /// Since when the verdict stands.
    pub since: Instant,
    /// Failing only because it is held back by damping ([`crate::Damping`]): it passes, but did not last before. A pool's
    /// floor keeps it before what really fails; for an instance it fails like anything else.
    pub damped: bool,
}

/// A track with what is known about its fact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackedFact {
    /// What is tracked, and what it is worth.
    pub track: Track,
    /// What was told last; `None` = nothing yet.
    pub fact: Option<Fact>,
    /// The verdict that counts: of an unknown fact the last one that was known.
    pub counted: Verdict,
    /// What it adds to the priority now; an address owner's stays what it is.
    pub delta: i32,
    /// Whether it keeps the instance in Fault now.
    pub faulty: bool,
}

impl TrackedFact {
    /// Whether the instance cannot take part before more is known.
    pub fn is_undecided(&self) -> bool {
        self.counted == Verdict::Unknown && self.track.effect.is_unweighted()
    }

    /// The evidence of the last news; `None` when there is none.
    pub(crate) fn detail(&self) -> Option<Arc<str>> {
        self.fact.as_ref().map(|fact| Arc::clone(&fact.detail)).filter(|detail| !detail.is_empty())
    }
}

/// Every fact that was told, and who tracks which.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    known: BTreeMap<Arc<str>, Known>,
    trackers: BTreeMap<Arc<str>, Vec<InstanceId>>,
}

#[derive(Debug)]
struct Known {
    fact: Fact,
    counted: Verdict,
    /// The value that came with `counted`.
    value: i32,
}

impl Facts {
    /// Takes over a fact. While it is unknown again, what was known last goes on counting: that a check was configured
    /// anew says nothing about the service, and must not move an address.
    pub(crate) fn learn(&mut self, fact: Fact) {
        let before = self.known.get(&fact.name);
        let (counted, value) = match (fact.verdict, before) {
            (Verdict::Unknown, Some(known)) => (known.counted, known.value),
            (verdict, _) => (verdict, fact.value.unwrap_or(0)),
        };
        self.known.insert(Arc::clone(&fact.name), Known { fact, counted, value });
    }

    /// What is tracked, with the verdicts and values that count.
    pub(crate) fn counted(&self) -> Vec<Fact> {
        let tracked = self.known.values().filter(|known| self.trackers.contains_key(&known.fact.name));
        let counted =
            |known: &Known| Fact { verdict: known.counted, value: Some(known.value), ..known.fact.clone() };
        tracked.filter(|known| known.counted != Verdict::Unknown).map(counted).collect()
    }

    pub(crate) fn forget(&mut self, name: &str) {
        self.known.remove(name);
    }

    /// The tracks of an instance as they stand.
    pub(crate) fn tracked(&self, tracks: &[Track]) -> Vec<TrackedFact> {
        tracks.iter().map(|track| self.judge(track.clone())).collect()
    }

    pub(crate) fn judge(&self, track: Track) -> TrackedFact {
        let known = self.known.get(&track.fact);
        let (counted, value) = known.map(|known| (known.counted, known.value)).unwrap_or_default();
        let (delta, faulty) = track.effect.worth(counted, value);
        TrackedFact { fact: known.map(|known| known.fact.clone()), counted, delta, faulty, track }
    }

    /// Who tracks a fact, in the order of their numbers.
    pub(crate) fn trackers(&self, name: &str) -> Vec<InstanceId> {
        self.trackers.get(name).cloned().unwrap_or_default()
    }

    /// Takes over who tracks what.
    pub(crate) fn index<'a>(&mut self, instances: impl Iterator<Item = (InstanceId, &'a [Track])>) {
        self.trackers.clear();
        for (id, tracks) in instances {
            for track in tracks {
                let trackers = self.trackers.entry(Arc::clone(&track.fact)).or_default();
                if trackers.last() != Some(&id) {
                    trackers.push(id);
                }
            }
        }
    }
}
