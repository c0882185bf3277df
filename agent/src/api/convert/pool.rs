//! A pool in the contract's words.

use ha_engine::{BalancerStatus, PoolScope, PoolStatus, ServerState, ServerStatus, StandingOrder};
use ha_proto::v1;

use super::{Context, Dependents, actor, verdict};
use crate::pools::PoolView;

impl Context<'_> {
    /// A pool as it stands.
    pub(crate) fn pool(&self, view: &PoolView, dependents: &Dependents) -> v1::Pool {
        let PoolView { status, backend } = view;
        let config = &status.config;
        let fact = format!("pools/{}", config.name);
        v1::Pool {
            name: self.names.of_this(&fact),
            verdict: verdict(status.verdict).into(),
            last_change_time: self.time(status.since),
            servers: status.servers.iter().map(|server| self.server(&fact, server)).collect(),
            healthy_weight: count(status.passing_weight),
            quorum: count(config.quorum),
            hysteresis: count(config.hysteresis),
            floor_reached: status.floor_reached,
            sorry_in_use: status.sorry_in,
            enabled: status.enabled,
            scope: match &config.scope {
                PoolScope::Always => String::new(),
                PoolScope::WhenActive(instance) => self.names.instance(instance),
            },
            backend: backend.unwrap_or_default().to_owned(),
            backend_state: backend_state(status, backend.is_some()).into(),
            last_apply_time: status.balancer.applied.and_then(|at| self.time(at)),
            backend_error: status.balancer.error.as_deref().unwrap_or_default().to_owned(),
            affected_instances: self.instances_affected(&fact, dependents),
            floor: count(status.floor),
            used_count: count(status.used),
        }
    }

    fn server(&self, pool: &str, server: &ServerStatus) -> v1::PoolServer {
        let config = &server.config;
        v1::PoolServer {
            name: self.names.of_this(&format!("{pool}/servers/{}", config.name)),
            address: config.address.to_string(),
            port: i32::from(config.port),
            state: state(server.state).into(),
            last_change_time: self.time(server.since),
            configured_weight: count(config.weight),
            desired_weight: count(server.desired_weight),
            running_weight: server.running_weight.map(count),
            failing_checks: server.failing_checks.iter().map(|check| self.names.of_this(check)).collect(),
            detail: server.detail.to_string(),
            drain: server.drain.as_ref().map(|drain| self.drain(drain)),
            sorry: server.sorry,
        }
    }

    fn drain(&self, drain: &StandingOrder) -> v1::ServerDrain {
        v1::ServerDrain {
            reason: drain.reason.to_string(),
            actor: Some(actor(&drain.actor)),
            create_time: self.time(drain.since),
            expire_time: drain.expires.and_then(|expires| self.time(expires)),
            survives_restart: drain.survives,
        }
    }
}

fn backend_state(status: &PoolStatus, has_backend: bool) -> v1::BackendState {
    let BalancerStatus { generation, error, read_back, .. } = &status.balancer;
    match (has_backend, error, generation) {
        (false, ..) => v1::BackendState::Unspecified,
        (true, Some(_), _) => v1::BackendState::Failed,
        (true, None, Some(applied)) if *applied != status.generation => v1::BackendState::Pending,
        (true, None, Some(_)) if *read_back => v1::BackendState::Current,
        (true, None, Some(_)) => v1::BackendState::Unknown,
        (true, None, None) => v1::BackendState::Pending,
    }
}

fn state(state: ServerState) -> v1::pool_server::State {
    match state {
        ServerState::Up => v1::pool_server::State::Up,
        ServerState::Down => v1::pool_server::State::Down,
        ServerState::Unknown => v1::pool_server::State::Unknown,
        ServerState::Draining => v1::pool_server::State::Draining,
        ServerState::Kept => v1::pool_server::State::Kept,
        ServerState::SlowStart => v1::pool_server::State::SlowStart,
        ServerState::Standby => v1::pool_server::State::Standby,
    }
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
