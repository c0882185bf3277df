//! What an agent tells of itself: what it logs, and its inner state.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use super::ActorView;
use crate::clock::{Clock, timestamp};
use crate::names;
use crate::span::Span;

/// Something of an agent's own inner state. Sections and keys are those of the agent's `STATE.md`.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct StateView {
    pub node: String,
    pub section: String,
    pub name: String,
    pub state: serde_json::Value,
}

impl StateView {
    /// As a node told it; what is no JSON is kept as text.
    pub(crate) fn new(node: &str, entry: v1::StateEntry) -> Self {
        let state = serde_json::from_str(&entry.json);
        StateView {
            node: node.to_owned(),
            section: entry.section,
            name: entry.name,
            state: state.unwrap_or(serde_json::Value::String(entry.json)),
        }
    }
}

/// The log's level on a node. The fields mean what `ha.agent.v1.LogLevel` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct LogLevelView {
    pub name: String,
    pub node: String,
    pub level: String,
    pub configured_level: String,
    #[serde(rename = "override")]
    pub level_override: Option<LevelOverrideView>,
}

/// A level that somebody asked for. The fields mean what `ha.agent.v1.LogLevelOverride` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct LevelOverrideView {
    pub level: String,
    pub reason: String,
    pub actor: Option<ActorView>,
    pub create_time: Option<Timestamp>,
    pub expire_time: Option<Timestamp>,
    /// How long it still lasts.
    pub expires_in: Option<Span>,
}

impl LogLevelView {
    /// As a node told it at `now` of our clock.
    pub(crate) fn new(level: &v1::LogLevel, clock: Clock, now: Timestamp) -> Self {
        let level_override = level.level_override.as_ref().map(|own| LevelOverrideView {
            level: own.level.clone(),
            reason: own.reason.clone(),
            actor: own.actor.as_ref().map(ActorView::from),
            create_time: timestamp(own.create_time.as_ref()),
            expire_time: timestamp(own.expire_time.as_ref()),
            expires_in: own.expire_time.as_ref().map(|time| {
                let left = clock.corrected(Some(time)) - now.as_nanosecond();
                Span::from_wide(left.max(0))
            }),
        });
        LogLevelView {
            name: level.name.clone(),
            node: names::node(&level.name).to_owned(),
            level: level.level.clone(),
            configured_level: level.configured_level.clone(),
            level_override,
        }
    }

    /// Who asked for it, and for how long yet; empty when nobody did.
    pub(crate) fn asked(&self) -> String {
        let Some(own) = &self.level_override else { return String::new() };
        let left = own.expires_in.map(|left| format!("for {left} more, ")).unwrap_or_default();
        let reason = if own.reason.is_empty() { String::new() } else { format!(": {}", own.reason) };
        let who = own.actor.as_ref().map_or("somebody", |actor| actor.principal.as_str());
        format!("{left}by {who}{reason}")
    }
}
