//! What happened between this node and its peers since the agent started, for telemetry. Bounded by the configured peers and by
//! the words below.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Announced, Refusal};

/// What a takeover came to when the successor has announced the addresses; otherwise the word of its [`Refusal`].
pub const ANNOUNCED: &str = "ANNOUNCED";

/// Who asked for a takeover.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Direction {
    /// This node asked the peer.
    Transmit,
    /// The peer asked this node.
    Receive,
}

impl Direction {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Transmit => "transmit",
            Self::Receive => "receive",
        }
    }
}

/// What became of a release that was heard.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ReleaseOutcome {
    /// It was handed to whoever acts on it.
    Taken,
    /// It had been under way for too long.
    Late,
    /// Too many words waited.
    Busy,
}

impl ReleaseOutcome {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "TAKEN",
            Self::Late => "LATE",
            Self::Busy => "BUSY",
        }
    }
}

/// What happened with one peer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PeerCounts {
    /// Takeovers that were asked for, by who asked and what came of it.
    pub takeovers: BTreeMap<(Direction, &'static str), u64>,
    /// Releases that the peer told.
    pub releases: BTreeMap<ReleaseOutcome, u64>,
}

/// The counts of all peers.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<BTreeMap<Arc<str>, PeerCounts>>);

impl Counts {
    /// Counts the answer to a takeover.
    pub(super) fn takeover(&self, peer: &str, direction: Direction, answer: &Result<Announced, Refusal>) {
        let outcome = answer.as_ref().map_or_else(Refusal::as_str, |_| ANNOUNCED);
        *self.lock().entry(peer.into()).or_default().takeovers.entry((direction, outcome)).or_default() += 1;
    }

    /// Counts a release that was heard.
    pub(super) fn release(&self, peer: &str, outcome: ReleaseOutcome) {
        *self.lock().entry(peer.into()).or_default().releases.entry(outcome).or_default() += 1;
    }

    /// Those of the peers that `is_known` still knows; the others are forgotten.
    pub(super) fn of(&self, is_known: impl Fn(&str) -> bool) -> BTreeMap<Arc<str>, PeerCounts> {
        let mut counts = self.lock();
        counts.retain(|peer, _| is_known(peer));
        counts.clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, PeerCounts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
