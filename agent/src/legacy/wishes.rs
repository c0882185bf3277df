//! What operators wanted, as it is written: overrides, drains, holds.

use std::sync::Arc;

use ha_engine::{Actor, Instant, NodeDrain, Override, PreemptHold, Priority};
use serde::{Deserialize, Serialize};

/// A wish: why, whose, since when, until when.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct Wish {
    reason: String,
    principal: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    peer_address: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    trace_id: String,
    since: u64,
    expires: Option<u64>,
}

/// The wish for another priority.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct OverrideWords {
    priority: u8,
    #[serde(flatten)]
    wish: Wish,
}

impl Wish {
    fn new(reason: &str, actor: &Actor, since: Instant, expires: Option<Instant>) -> Self {
        Self {
            reason: reason.to_owned(),
            principal: actor.principal.clone(),
            roles: actor.roles.clone(),
            peer_address: actor.peer_address.clone(),
            request_id: actor.request_id.clone(),
            trace_id: actor.trace_id.clone(),
            since: since.as_nanos(),
            expires: expires.map(Instant::as_nanos),
        }
    }

    fn actor(&self) -> Arc<Actor> {
        Arc::new(Actor {
            principal: self.principal.clone(),
            roles: self.roles.clone(),
            peer_address: self.peer_address.clone(),
            request_id: self.request_id.clone(),
            trace_id: self.trace_id.clone(),
        })
    }

    fn since(&self) -> Instant {
        Instant::from_nanos(self.since)
    }

    fn expires(&self) -> Option<Instant> {
        self.expires.map(Instant::from_nanos)
    }
}

impl From<&NodeDrain> for Wish {
    fn from(drain: &NodeDrain) -> Self {
        Self::new(&drain.reason, &drain.actor, drain.since, drain.expires)
    }
}

impl From<&PreemptHold> for Wish {
    fn from(hold: &PreemptHold) -> Self {
        Self::new(&hold.reason, &hold.actor, hold.since, hold.expires)
    }
}

impl From<Wish> for NodeDrain {
    fn from(wish: Wish) -> Self {
        let (actor, since, expires) = (wish.actor(), wish.since(), wish.expires());
        Self { reason: wish.reason.into(), actor, since, expires }
    }
}

impl From<Wish> for PreemptHold {
    fn from(wish: Wish) -> Self {
        let (actor, since, expires) = (wish.actor(), wish.since(), wish.expires());
        Self { reason: wish.reason.into(), actor, since, expires }
    }
}

impl OverrideWords {
    pub(super) fn new(own: &Override) -> Self {
        let wish = Wish::new(&own.reason, &own.actor, own.since, own.expires);
        Self { priority: own.priority.get(), wish }
    }

    /// `None` = no override can say that.
    pub(super) fn override_(self) -> Option<Override> {
        let priority = Priority::new(self.priority).filter(|priority| !priority.is_owner())?;
        let (actor, since, expires) = (self.wish.actor(), self.wish.since(), self.wish.expires());
        Some(Override { priority, reason: self.wish.reason.into(), actor, since, expires })
    }
}
