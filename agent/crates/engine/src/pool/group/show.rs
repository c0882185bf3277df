//! A pool as it is shown.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::tell::count;
use super::{Pool, Server};
use crate::pool::config::{ServerConfig, SorryServer};
use crate::pool::server::Facts;
use crate::pool::status::{PoolStatus, ServerState, ServerStatus};
use crate::track::Verdict;

impl Pool {
    /// As it stands.
    pub(in crate::pool) fn status(&self, facts: &Facts) -> PoolStatus {
        let mut servers: Vec<ServerStatus> =
            self.servers.iter().map(|server| self.server_status(server, facts)).collect();
        servers.extend(self.config.sorry.as_ref().map(|sorry| self.sorry_status(sorry)));
        PoolStatus {
            config: Arc::clone(&self.config),
            verdict: self.verdict,
            since: self.since,
            used: count(servers.iter().filter(|server| server.desired_weight > 0).count()),
            servers,
            passing_weight: self.weights.passing,
            unknown_weight: self.weights.unknown,
            floor: count(self.floor()),
            floor_reached: self.kept > 0,
            sorry_in: self.sorry_in,
            enabled: self.is_enabled,
            generation: self.desired.as_ref().map_or(0, |desired| desired.generation),
            balancer: self.balancer.clone(),
        }
    }

    fn server_status(&self, server: &Server, facts: &Facts) -> ServerStatus {
        let is_failing =
            |name: &&Arc<str>| facts.get(*name).is_some_and(|fact| fact.verdict == Verdict::Failing);
        ServerStatus {
            config: server.config.clone(),
            state: server.state,
            since: server.since,
            desired_weight: server.desired_weight,
            running_weight: self.running_weight(server.config.address, server.config.port),
            failing_checks: server.config.checks.iter().filter(is_failing).cloned().collect(),
            detail: server.culprit.as_ref().map(|(_, detail)| Arc::clone(detail)).unwrap_or_default(),
            drain: server.drain.clone(),
            sorry: false,
        }
    }

    fn sorry_status(&self, sorry: &SorryServer) -> ServerStatus {
        let is_used = self.sorry_in && self.is_enabled;
        ServerStatus {
            config: ServerConfig {
                name: "sorry".into(),
                address: sorry.address,
                port: sorry.port,
                weight: 1,
                checks: Vec::new(),
                weight_from: None,
            },
            state: if self.sorry_in { ServerState::Up } else { ServerState::Standby },
            since: self.since,
            desired_weight: u32::from(is_used),
            running_weight: self.running_weight(sorry.address, sorry.port),
            failing_checks: Vec::new(),
            detail: Arc::default(),
            drain: None,
            sorry: true,
        }
    }

    fn running_weight(&self, address: IpAddr, port: u16) -> Option<u32> {
        let found = self.running.iter().find(|running| running.address == address && running.port == port);
        found.map(|running| running.weight)
    }
}
