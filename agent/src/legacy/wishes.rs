//! What operators wanted, as it is written: overrides, mutes, drains, holds.

use std::sync::Arc;

use ha_engine::{Actor, DrainedServer, Instant, MutedCheck, Override, Priority, StandingOrder, Verdict};
use serde::{Deserialize, Serialize};

/// A standing order: why, whose, since when, until when.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct OrderWords {
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
    /// Whether it is to survive also what leaves nothing.
    #[serde(default)]
    survives: bool,
}

/// The wish for another priority.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct OverrideWords {
    priority: u8,
    #[serde(flatten)]
    order: OrderWords,
}

/// The wish for a frozen verdict.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct MuteWords {
    check: String,
    /// `None` = UNKNOWN.
    passing: Option<bool>,
    value: Option<i32>,
    #[serde(flatten)]
    order: OrderWords,
}

/// The wish for a server without new sessions.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct ServerWords {
    pool: String,
    server: String,
    #[serde(flatten)]
    order: OrderWords,
}

impl From<&MutedCheck> for MuteWords {
    fn from(muted: &MutedCheck) -> Self {
        let passing = match muted.verdict {
            Verdict::Passing => Some(true),
            Verdict::Failing => Some(false),
            Verdict::Unknown => None,
        };
        Self { check: muted.name.to_string(), passing, value: muted.value, order: (&muted.mute).into() }
    }
}

impl From<MuteWords> for MutedCheck {
    fn from(words: MuteWords) -> Self {
        let MuteWords { check, passing, value, order } = words;
        let verdict = passing.map_or(Verdict::Unknown, |passing| match passing {
            true => Verdict::Passing,
            false => Verdict::Failing,
        });
        Self { name: check.into(), verdict, value, mute: order.into() }
    }
}

impl From<&DrainedServer> for ServerWords {
    fn from(drained: &DrainedServer) -> Self {
        let (pool, server) = (drained.pool.to_string(), drained.server.to_string());
        Self { pool, server, order: (&drained.drain).into() }
    }
}

impl From<ServerWords> for DrainedServer {
    fn from(words: ServerWords) -> Self {
        let ServerWords { pool, server, order } = words;
        Self { pool: pool.into(), server: server.into(), drain: order.into() }
    }
}

impl From<&StandingOrder> for OrderWords {
    fn from(order: &StandingOrder) -> Self {
        let actor = &order.actor;
        Self {
            reason: order.reason.to_string(),
            principal: actor.principal.clone(),
            roles: actor.roles.clone(),
            peer_address: actor.peer_address.clone(),
            request_id: actor.request_id.clone(),
            trace_id: actor.trace_id.clone(),
            since: order.since.as_nanos(),
            expires: order.expires.map(Instant::as_nanos),
            survives: order.survives,
        }
    }
}

impl From<OrderWords> for StandingOrder {
    fn from(words: OrderWords) -> Self {
        let OrderWords { principal, roles, peer_address, request_id, trace_id, .. } = words;
        Self {
            reason: words.reason.into(),
            actor: Arc::new(Actor { principal, roles, peer_address, request_id, trace_id }),
            since: Instant::from_nanos(words.since),
            expires: words.expires.map(Instant::from_nanos),
            survives: words.survives,
        }
    }
}

impl From<&Override> for OverrideWords {
    fn from(own: &Override) -> Self {
        Self { priority: own.priority.get(), order: (&own.order).into() }
    }
}

impl OverrideWords {
    /// `None` = no override can say that.
    pub(super) fn override_(self) -> Option<Override> {
        let priority = Priority::new(self.priority).filter(|priority| !priority.is_owner())?;
        Some(Override { priority, order: self.order.into() })
    }
}
