//! How a check is to be run and judged: what the configuration says, apart from what is probed.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::track::Verdict;

/// How a check is to be run and judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckPolicy {
    /// The name of its fact: `checks/NAME` or, for a check of a pool's server, `pools/POOL/servers/SERVER/checks/NAME`.
    pub name: Arc<str>,
    /// Changes when what is probed changes. Results of the old target say nothing about the new one: the verdict stays
    /// until the first new result, which decides at once.
    pub target: u64,
    /// Between the beginnings of two runs, 10 ms ..= 24 h.
    pub interval: Duration,
    /// For one attempt; longer than `interval` leaves out runs.
    pub timeout: Duration,
    /// Passes in a row that turn FAILING into PASSING, from 1; 0 counts as 1.
    pub rise: u32,
    /// Failures in a row that turn PASSING into FAILING, from 1; 0 counts as 1.
    pub fall: u32,
    /// Each run begins up to this share of the interval later than its beat, 0..=100. How much follows from the name and
    /// the number of the beat, so that many checks spread, and equal inputs give equal outputs.
    pub jitter_percent: u8,
    /// The verdict before the first result. Unknown (default): the first result decides at once.
    pub initial: Verdict,
    /// Failures count only after this time since the check was added, or after its first pass if that comes sooner.
    pub grace: Duration,
    /// While FAILING, the interval doubles with each failure up to this; `None` = it does not. The first pass ends it.
    pub backoff: Option<Duration>,
    /// Recoveries that do not last are held back; `None` = never.
    pub damping: Option<Damping>,
    /// What is tried before the verdict falls; `None` = nothing.
    pub remedy: Option<RemedyPolicy>,
    /// `Some` = the verdict follows from those of other checks; no attempts of its own.
    pub rule: Option<Expr>,
    /// Results come by themselves as well (the kernel tells), and the interval is only a slow look in between.
    pub watched: bool,
}

/// Holds a recovery back after recoveries that did not last.
///
/// A fall that comes within `within` of the recovery before it is a flap. After flaps in a row, the next recovery counts
/// only once the check has passed for a while without any failure: `hold` after the first flap, twice that after the
/// second, and so on, but never longer than `longest`. Staying PASSING for `within` forgets all flaps.
///
/// Only recoveries are delayed, never falls. Held verdicts say so ([`crate::Fact::damped`]), so that a pool can use a
/// held-back server when there is nothing better. For an instance it is a failure: a track without weight means Fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Damping {
    /// How soon a fall must follow a recovery to be a flap.
    pub within: Duration,
    /// How long the first held-back recovery must last.
    pub hold: Duration,
    /// The longest hold.
    pub longest: Duration,
}

/// What is tried before the verdict falls, once for each failure episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemedyPolicy {
    /// For the command.
    pub timeout: Duration,
    /// Between the end of a command that succeeded and the look that decides. A command that failed is not waited for.
    pub wait: Duration,
    /// A failure sooner than this after a remedy that helped belongs to the same episode: the verdict falls without a
    /// second try, so that a service that dies again and again does not stay PASSING for ever.
    pub rest: Duration,
}

/// A verdict from the verdicts of other checks, in the three-valued logic of Kleene: what is Unknown may still become
/// either, so the answer is Unknown only as long as that could change it. Names are those of facts; the configuration
/// ensures that no expression depends on itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expr {
    /// Passing when all pass; also when there are none.
    AllOf(Vec<Arc<str>>),
    /// Passing when one passes.
    AnyOf(Vec<Arc<str>>),
    /// Passing when so many pass.
    AtLeast(u32, Vec<Arc<str>>),
}

impl Expr {
    /// The facts that it depends on.
    pub fn members(&self) -> &[Arc<str>] {
        match self {
            Self::AllOf(members) | Self::AnyOf(members) | Self::AtLeast(_, members) => members,
        }
    }

    /// How many of them must pass.
    pub fn wanted(&self) -> u32 {
        match self {
            Self::AllOf(members) => u32::try_from(members.len()).unwrap_or(u32::MAX),
            Self::AnyOf(_) => 1,
            Self::AtLeast(count, _) => *count,
        }
    }
}
