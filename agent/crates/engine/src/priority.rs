//! The effective priority and how it came about.

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use crate::track::TrackedFact;
use crate::units::Priority;

/// What adverts carry, with the waterfall that led to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effective {
    /// The result.
    pub value: Priority,
    /// Base, override, what each fact adds, and the clamp; in the order in which they were added up. What adds nothing is
    /// left out.
    pub because: Vec<Contribution>,
}

/// One step of the waterfall.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contribution {
    /// Where it comes from.
    pub source: Source,
    /// What it adds.
    pub delta: i32,
    /// The sum after it.
    pub result: i32,
}

/// Where a contribution comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// The configured base.
    Configuration,
    /// An operator's override, which replaces the base: its delta is the difference.
    Override,
    /// A tracked fact, by name.
    Fact(Arc<str>),
    /// The node is drained: its delta leaves 1, the priority of a last resort, whatever was added up before.
    Drain,
    /// The sum left 1..=254, the priorities of everybody but an address owner: its delta brings it back.
    Clamp,
}

impl Source {
    /// The word in API and CLI.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Configuration => "config",
            Self::Override => "override",
            Self::Fact(name) => name,
            Self::Drain => "drain",
            Self::Clamp => "clamp",
        }
    }
}

/// The lowest and the highest priority of a router that is no address owner (RFC 9568 §5.2.4).
const RANGE: (i32, i32) = (1, 254);

impl Effective {
    /// Adds up the base or its override and what the tracked facts are worth. An address owner (255) stays what it is, unless
    /// the node is drained: who gives the addresses up does not speak as their owner, so that any other router may take them.
    pub fn explain(
        base: Priority,
        override_: Option<Priority>,
        tracked: &[TrackedFact],
        drained: bool,
    ) -> Self {
        let configured = i32::from(base.get());
        let mut sum = Sum { total: 0, because: vec![] };
        sum.add(Source::Configuration, configured);
        if base.is_owner() && !drained {
            return Self { value: base, because: sum.because };
        }
        if let Some(priority) = override_.filter(|_| !base.is_owner()) {
            sum.add(Source::Override, i32::from(priority.get()) - configured);
        }
        for fact in tracked.iter().filter(|fact| fact.delta != 0) {
            sum.add(Source::Fact(Arc::clone(&fact.track.fact)), fact.delta);
        }
        if drained {
            sum.add(Source::Drain, RANGE.0.saturating_sub(sum.total));
        }
        let clamped = sum.total.clamp(RANGE.0, RANGE.1);
        if clamped != sum.total {
            sum.add(Source::Clamp, clamped.saturating_sub(sum.total));
        }
        let value = u8::try_from(clamped).ok().and_then(Priority::new).unwrap_or(base);
        Self { value, because: sum.because }
    }
}

struct Sum {
    total: i32,
    because: Vec<Contribution>,
}

impl Sum {
    fn add(&mut self, source: Source, delta: i32) {
        self.total = self.total.saturating_add(delta);
        self.because.push(Contribution { source, delta, result: self.total });
    }
}
