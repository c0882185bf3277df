//! What is kept back whatever the level says: a dead collector makes the SDK complain at every export, and people need to hear of it once a
//! minute; and what libraries say at trace may hold octets of what they carry, passwords among them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// Lets each message of some targets pass once a minute; of all others, always.
#[derive(Debug)]
pub(super) struct AtMostOnceAMinute {
    prefix: &'static str,
    /// By file and line of the message, of which there are finitely many.
    last: Mutex<BTreeMap<(&'static str, u32), Instant>>,
}

const INTERVAL: Duration = Duration::from_secs(60);

impl AtMostOnceAMinute {
    /// For the targets that begin with `prefix`.
    pub(super) fn new(prefix: &'static str) -> Self {
        Self { prefix, last: Mutex::default() }
    }

    fn passes(&self, metadata: &'static Metadata<'static>) -> bool {
        if !metadata.target().starts_with(self.prefix) {
            return true;
        }
        let place = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passes = last.get(&place).is_none_or(|last| last.elapsed() >= INTERVAL);
        if passes {
            last.insert(place, Instant::now());
        }
        passes
    }
}

impl<S> Filter<S> for AtMostOnceAMinute {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        self.passes(event.metadata())
    }
}

/// Lets nothing pass that another crate than ours says at trace.
#[derive(Debug)]
pub(super) struct OursAloneAtTrace;

/// How the targets of our own crates begin.
const OURS: &str = "ha_";

impl<S> Filter<S> for OursAloneAtTrace {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        *metadata.level() != Level::TRACE || metadata.target().starts_with(OURS)
    }
}
