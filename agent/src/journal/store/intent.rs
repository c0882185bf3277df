//! What an operator wants to survive a restart, with what is left of its time to live.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ha_engine::{Actor, Instant};

use super::tables::millis;
use crate::clock;

/// One wish of an operator. Times are on both clocks: within one boot of the machine the decision clock counts, so that a step
/// of the wall clock neither ends nor prolongs anything; after a boot there is only the wall clock.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Intent {
    /// What it is about, in one word: "override/web", "mute/checks/http", "drain/pools/web/servers/a".
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    /// Of an override.
    #[prost(uint32, tag = "2")]
    pub(crate) priority: u32,
    /// The operator's words.
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    #[prost(string, tag = "4")]
    principal: String,
    #[prost(string, repeated, tag = "5")]
    roles: Vec<String>,
    #[prost(string, tag = "6")]
    peer_address: String,
    #[prost(string, tag = "7")]
    request_id: String,
    /// Milliseconds since 1970; 0 = until somebody ends it.
    #[prost(uint64, tag = "8")]
    expires_wall: u64,
    /// Nanoseconds of the decision clock, when it expires.
    #[prost(uint64, tag = "9")]
    expires_boot: u64,
    /// The boot of the machine whose decision clock that is.
    #[prost(string, tag = "10")]
    boot: String,
    /// Of a drain: what it may do, as flags of its kind.
    #[prost(uint32, tag = "11")]
    pub(crate) flags: u32,
}

#[cfg_attr(not(test), expect(dead_code, reason = "asked by the control plane, next"))]
impl Intent {
    /// A wish of `actor`, until `expires`.
    pub(crate) fn new(key: String, reason: &str, actor: &Actor, expires: Option<Instant>) -> Self {
        Self {
            key,
            reason: reason.to_owned(),
            principal: actor.principal.clone(),
            roles: actor.roles.clone(),
            peer_address: actor.peer_address.clone(),
            request_id: actor.request_id.clone(),
            expires_wall: expires.map_or(0, |expires| millis(clock::wall(expires)).max(1)),
            expires_boot: expires.map_or(0, Instant::as_nanos),
            boot: boot().to_owned(),
            ..Self::default()
        }
    }

    /// Who wanted it.
    pub(crate) fn actor(&self) -> Arc<Actor> {
        Arc::new(Actor {
            principal: self.principal.clone(),
            roles: self.roles.clone(),
            peer_address: self.peer_address.clone(),
            request_id: self.request_id.clone(),
            trace_id: String::new(),
        })
    }

    /// When it ends; `None` = when somebody ends it.
    pub(crate) fn expires(&self) -> Option<Instant> {
        if self.expires_wall == 0 {
            return None;
        }
        if self.boot == boot() {
            return Some(Instant::from_nanos(self.expires_boot));
        }
        Some(clock::instant(UNIX_EPOCH + Duration::from_millis(self.expires_wall)))
    }

    /// Whether its time is over.
    pub(crate) fn has_expired(&self) -> bool {
        self.expires().is_some_and(|expires| expires <= clock::now())
    }
}

/// The id of this boot of the machine; empty when the kernel does not tell, and then no two are the same.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let told = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        match told.trim() {
            "" => format!("unknown-{}", millis(SystemTime::now())),
            id => id.to_owned(),
        }
    })
}
