//! What operators wanted, as it is written: overrides, mutes, drains, holds.

use std::sync::Arc;

use ha_engine::{
    Actor, Drain, DrainedServer, Instant, Mute, MutedCheck, NodeDrain, Override, PreemptHold, Priority,
    Verdict,
};
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
    /// Whether it is to survive also what leaves nothing.
    #[serde(default)]
    survives: bool,
}

/// The wish for another priority.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct OverrideWords {
    priority: u8,
    #[serde(flatten)]
    wish: Wish,
}

/// The wish for a frozen verdict.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct MuteWords {
    check: String,
    /// `None` = UNKNOWN.
    passing: Option<bool>,
    value: Option<i32>,
    #[serde(flatten)]
    wish: Wish,
}

/// The wish for a server without new sessions.
#[derive(Serialize, Deserialize, Debug)]
pub(super) struct ServerWords {
    pool: String,
    server: String,
    #[serde(flatten)]
    wish: Wish,
}

impl From<&MutedCheck> for MuteWords {
    fn from(muted: &MutedCheck) -> Self {
        let passing = match muted.verdict {
            Verdict::Passing => Some(true),
            Verdict::Failing => Some(false),
            Verdict::Unknown => None,
        };
        let Mute { reason, actor, since, expires, survives } = &muted.mute;
        let wish = Wish::new(reason, actor, *since, *expires, *survives);
        Self { check: muted.name.to_string(), passing, value: muted.value, wish }
    }
}

impl From<MuteWords> for MutedCheck {
    fn from(words: MuteWords) -> Self {
        let MuteWords { check, passing, value, wish } = words;
        let verdict = passing.map_or(Verdict::Unknown, |passing| match passing {
            true => Verdict::Passing,
            false => Verdict::Failing,
        });
        let (actor, since, expires, survives) = (wish.actor(), wish.since(), wish.expires(), wish.survives);
        let mute = Mute { reason: wish.reason.into(), actor, since, expires, survives };
        Self { name: check.into(), verdict, value, mute }
    }
}

impl From<&DrainedServer> for ServerWords {
    fn from(drained: &DrainedServer) -> Self {
        let Drain { reason, actor, since, expires, survives } = &drained.drain;
        let wish = Wish::new(reason, actor, *since, *expires, *survives);
        Self { pool: drained.pool.to_string(), server: drained.server.to_string(), wish }
    }
}

impl From<ServerWords> for DrainedServer {
    fn from(words: ServerWords) -> Self {
        let ServerWords { pool, server, wish } = words;
        let (actor, since, expires, survives) = (wish.actor(), wish.since(), wish.expires(), wish.survives);
        let drain = Drain { reason: wish.reason.into(), actor, since, expires, survives };
        Self { pool: pool.into(), server: server.into(), drain }
    }
}

impl Wish {
    fn new(reason: &str, actor: &Actor, since: Instant, expires: Option<Instant>, survives: bool) -> Self {
        Self {
            reason: reason.to_owned(),
            principal: actor.principal.clone(),
            roles: actor.roles.clone(),
            peer_address: actor.peer_address.clone(),
            request_id: actor.request_id.clone(),
            trace_id: actor.trace_id.clone(),
            since: since.as_nanos(),
            expires: expires.map(Instant::as_nanos),
            survives,
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
        Self::new(&drain.reason, &drain.actor, drain.since, drain.expires, drain.survives)
    }
}

impl From<&PreemptHold> for Wish {
    fn from(hold: &PreemptHold) -> Self {
        Self::new(&hold.reason, &hold.actor, hold.since, hold.expires, false)
    }
}

impl From<Wish> for NodeDrain {
    fn from(wish: Wish) -> Self {
        let (actor, since, expires) = (wish.actor(), wish.since(), wish.expires());
        Self { reason: wish.reason.into(), actor, since, expires, survives: wish.survives }
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
        let wish = Wish::new(&own.reason, &own.actor, own.since, own.expires, own.survives);
        Self { priority: own.priority.get(), wish }
    }

    /// `None` = no override can say that.
    pub(super) fn override_(self) -> Option<Override> {
        let priority = Priority::new(self.priority).filter(|priority| !priority.is_owner())?;
        let (actor, since, expires) = (self.wish.actor(), self.wish.since(), self.wish.expires());
        let (reason, survives) = (self.wish.reason.into(), self.wish.survives);
        Some(Override { priority, reason, actor, since, expires, survives })
    }
}
