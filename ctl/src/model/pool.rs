//! A server pool as one node sees it.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::{Clock, timestamp};
use crate::model::{HoldView, some, verdict_word};
use crate::names;
use crate::span::Span;

/// A server pool. The fields mean what `ha.agent.v1.Pool` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct PoolView {
    pub name: String,
    pub node: String,
    pub pool: String,
    pub verdict: &'static str,
    pub last_change_time: Option<Timestamp>,
    /// How long the verdict has been this, by the node's own clock.
    pub verdict_age: Option<Span>,
    pub servers: Vec<ServerView>,
    pub healthy_weight: i32,
    pub quorum: i32,
    pub hysteresis: i32,
    pub floor_reached: bool,
    pub sorry_in_use: bool,
    pub enabled: bool,
    pub scope: Option<String>,
    pub backend: Option<String>,
    pub backend_state: &'static str,
    pub last_apply_time: Option<Timestamp>,
    pub backend_error: Option<String>,
    pub affected_instances: Vec<String>,
}

/// A server of a pool. The fields mean what `ha.agent.v1.PoolServer` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ServerView {
    pub name: String,
    pub server: String,
    pub address: String,
    pub port: i32,
    pub state: &'static str,
    pub last_change_time: Option<Timestamp>,
    /// How long it has been in this state, by the node's own clock.
    pub state_age: Option<Span>,
    pub configured_weight: i32,
    pub desired_weight: i32,
    pub running_weight: Option<i32>,
    pub failing_checks: Vec<String>,
    pub detail: Option<String>,
    pub drain: Option<HoldView>,
    pub sorry: bool,
}

impl PoolView {
    /// From the API's message, and the clock of the node that sent it.
    pub(crate) fn new(pool: &v1::Pool, clock: Clock, now: Timestamp) -> Self {
        PoolView {
            name: pool.name.clone(),
            node: names::node(&pool.name).to_owned(),
            pool: names::last(&pool.name).to_owned(),
            verdict: verdict_word(pool.verdict()),
            last_change_time: timestamp(pool.last_change_time.as_ref()),
            verdict_age: clock.age(pool.last_change_time.as_ref(), now),
            servers: pool.servers.iter().map(|server| ServerView::new(server, clock, now)).collect(),
            healthy_weight: pool.healthy_weight,
            quorum: pool.quorum,
            hysteresis: pool.hysteresis,
            floor_reached: pool.floor_reached,
            sorry_in_use: pool.sorry_in_use,
            enabled: pool.enabled,
            scope: some(names::last(&pool.scope)),
            backend: some(&pool.backend),
            backend_state: pool.backend_state().as_str_name().trim_start_matches("BACKEND_STATE_"),
            last_apply_time: timestamp(pool.last_apply_time.as_ref()),
            backend_error: some(&pool.backend_error),
            affected_instances: pool
                .affected_instances
                .iter()
                .map(|name| names::last(name).to_owned())
                .collect(),
        }
    }

    /// `2/3 in`: servers that get traffic, of those that could.
    pub(crate) fn in_service(&self) -> String {
        let regular = self.servers.iter().filter(|server| !server.sorry);
        let all = regular.clone().count();
        let serving = regular.filter(|server| server.desired_weight > 0).count();
        format!("{serving}/{all} in")
    }

    /// What an operator should know beside the verdict.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.floor_reached {
            notes.push("servers that fail are kept, because too few would be left".to_owned());
        }
        if self.sorry_in_use {
            notes.push("the sorry server answers".to_owned());
        }
        if let Some(error) = &self.backend_error {
            notes.push(format!("{}: {error}", self.backend.as_deref().unwrap_or("balancer")));
        }
        notes
    }
}

impl ServerView {
    fn new(server: &v1::PoolServer, clock: Clock, now: Timestamp) -> Self {
        ServerView {
            name: server.name.clone(),
            server: names::last(&server.name).to_owned(),
            address: server.address.clone(),
            port: server.port,
            state: server.state().as_str_name().trim_start_matches("STATE_"),
            last_change_time: timestamp(server.last_change_time.as_ref()),
            state_age: clock.age(server.last_change_time.as_ref(), now),
            configured_weight: server.configured_weight,
            desired_weight: server.desired_weight,
            running_weight: server.running_weight,
            failing_checks: server.failing_checks.iter().map(|name| names::last(name).to_owned()).collect(),
            detail: some(&server.detail),
            drain: server.drain.as_ref().map(HoldView::from),
            sorry: server.sorry,
        }
    }

    /// `192.0.2.1:80` or `[2001:db8::1]:80`.
    pub(crate) fn endpoint(&self) -> String {
        if self.address.contains(':') {
            return format!("[{}]:{}", self.address, self.port);
        }
        format!("{}:{}", self.address, self.port)
    }
}
