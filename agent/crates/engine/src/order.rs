//! What an operator has ordered until further notice: an override, a mute, a drain, a hold.

use alloc::sync::Arc;

use crate::event::Actor;
use crate::units::Instant;

/// Why, whose, since when, and until when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StandingOrder {
    /// Free text for colleagues.
    pub reason: Arc<str>,
    /// Who wants it.
    pub actor: Arc<Actor>,
    /// Since when.
    pub since: Instant,
    /// When it ends by itself; `None` = when an operator ends it.
    pub expires: Option<Instant>,
    /// Whether it is to survive a restart of the agent, which sees to that.
    pub survives: bool,
}

impl StandingOrder {
    /// Whether its time is not over.
    pub fn lasts(&self, now: Instant) -> bool {
        self.expires.is_none_or(|at| at > now)
    }
}
