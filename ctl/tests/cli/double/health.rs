//! The double's checks and pools.

use ha_proto::v1;
use ha_proto::v1::check_service_server::CheckService;
use ha_proto::v1::pool_service_server::PoolService;
use tonic::{Code, Request, Response, Status};

use super::{Service, World, page};
use crate::support::refused;

impl World {
    /// Adds a check below `nodes/{node}`: `checks/nginx`.
    pub fn add_check(&mut self, below: &str, verdict: v1::Verdict, result: &str, evidence: &str) {
        self.checks.push(v1::Check {
            name: format!("nodes/{}/{below}", self.name),
            kind: "http".to_owned(),
            target: "http://192.0.2.1:80/".to_owned(),
            verdict: verdict as i32,
            last_change_time: Some(self.now()),
            last_run_time: Some(self.now()),
            last_run_duration: Some(prost_types::Duration { seconds: 0, nanos: 1_200_000 }),
            last_result: result.to_owned(),
            last_evidence: evidence.to_owned(),
            consecutive_count: 2,
            rise: 3,
            fall: 2,
            interval: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
            timeout: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            affected_instances: vec![format!("nodes/{}/instances/web", self.name)],
            ..v1::Check::default()
        });
    }

    /// Adds a pool of servers `w1`, `w2`, … in these states.
    pub fn add_pool(&mut self, pool: &str, states: &[v1::pool_server::State]) {
        let name = format!("nodes/{}/pools/{pool}", self.name);
        let servers = states.iter().zip(1..).map(|(state, number)| v1::PoolServer {
            name: format!("{name}/servers/w{number}"),
            address: format!("192.0.2.{number}"),
            port: 80,
            state: *state as i32,
            configured_weight: 10,
            desired_weight: if *state == v1::pool_server::State::Up { 10 } else { 0 },
            running_weight: Some(10),
            ..v1::PoolServer::default()
        });
        self.pools.push(v1::Pool {
            servers: servers.collect(),
            name,
            verdict: v1::Verdict::Passing as i32,
            quorum: 1,
            enabled: true,
            backend: "nginx".to_owned(),
            backend_state: v1::BackendState::Current as i32,
            ..v1::Pool::default()
        });
    }

    fn check(&mut self, name: &str) -> Result<&mut v1::Check, Status> {
        let missing = || refused(Code::NotFound, "CHECK_NOT_FOUND", "no such check");
        self.checks.iter_mut().find(|check| check.name == name).ok_or_else(missing)
    }

    fn hold(
        &mut self,
        name: &str,
        change: impl FnOnce(&mut v1::PoolServer),
        validate_only: bool,
    ) -> Result<v1::Pool, Status> {
        if let Some(refusal) = &self.refuse_changes {
            return Err(refusal.clone());
        }
        let lags = self.balancer_lags;
        let missing = || refused(Code::NotFound, "SERVER_NOT_FOUND", "no such server");
        let has = |pool: &&mut v1::Pool| pool.servers.iter().any(|server| server.name == name);
        let pool = self.pools.iter_mut().find(has).ok_or_else(missing)?;
        let mut changed = pool.clone();
        let server = changed.servers.iter_mut().find(|server| server.name == name).ok_or_else(missing)?;
        change(server);
        if !lags {
            server.running_weight = Some(server.desired_weight);
        }
        if !validate_only {
            *pool = changed.clone();
        }
        Ok(changed)
    }
}

#[tonic::async_trait]
impl CheckService for Service {
    async fn get_check(
        &self,
        request: Request<v1::GetCheckRequest>,
    ) -> Result<Response<v1::GetCheckResponse>, Status> {
        let check = self.world().await?.check(&request.get_ref().name)?.clone();
        Ok(Response::new(v1::GetCheckResponse { check: Some(check) }))
    }

    async fn list_checks(
        &self,
        request: Request<v1::ListChecksRequest>,
    ) -> Result<Response<v1::ListChecksResponse>, Status> {
        let world = self.world().await?;
        if world.is_old {
            return Err(Status::unimplemented("unknown service"));
        }
        let request = request.get_ref();
        let wanted = |check: &&v1::Check| !request.failing || check.verdict() != v1::Verdict::Passing;
        let all: Vec<v1::Check> = world.checks.iter().filter(wanted).cloned().collect();
        let (checks, next_page_token) = page(&all, request.page_size, &request.page_token);
        Ok(Response::new(v1::ListChecksResponse { checks, next_page_token, resume_token: String::new() }))
    }

    async fn run_check(
        &self,
        request: Request<v1::RunCheckRequest>,
    ) -> Result<Response<v1::RunCheckResponse>, Status> {
        let check = self.world().await?.check(&request.get_ref().name)?.clone();
        let step = |name: &str, millis: i32, detail: &str| v1::CheckStep {
            name: name.to_owned(),
            duration: Some(prost_types::Duration { seconds: 0, nanos: millis * 1_000_000 }),
            detail: detail.to_owned(),
        };
        let attempt = v1::CheckAttempt {
            result: check.last_result.clone(),
            evidence: check.last_evidence.clone(),
            duration: Some(prost_types::Duration { seconds: 0, nanos: 3_000_000 }),
            steps: vec![step("connect", 1, "192.0.2.1:80"), step("first_byte", 2, "HTTP/1.1 200")],
            ..v1::CheckAttempt::default()
        };
        Ok(Response::new(v1::RunCheckResponse { check: Some(check), attempt: Some(attempt) }))
    }

    async fn mute_check(
        &self,
        request: Request<v1::MuteCheckRequest>,
    ) -> Result<Response<v1::MuteCheckResponse>, Status> {
        let mut world = self.world().await?;
        if let Some(refusal) = &world.refuse_changes {
            return Err(refusal.clone());
        }
        let request = request.into_inner();
        let check = world.check(&request.name)?;
        let mute = v1::CheckMute { reason: request.reason, ..v1::CheckMute::default() };
        if !request.validate_only {
            check.mute = Some(mute);
        }
        let check = Some(check.clone());
        Ok(Response::new(v1::MuteCheckResponse { check, resume_token: String::new() }))
    }

    async fn unmute_check(
        &self,
        request: Request<v1::UnmuteCheckRequest>,
    ) -> Result<Response<v1::UnmuteCheckResponse>, Status> {
        let mut world = self.world().await?;
        let check = world.check(&request.get_ref().name)?;
        if !request.get_ref().validate_only {
            check.mute = None;
        }
        let check = Some(check.clone());
        Ok(Response::new(v1::UnmuteCheckResponse { check, resume_token: String::new() }))
    }
}

#[tonic::async_trait]
impl PoolService for Service {
    async fn get_pool(
        &self,
        request: Request<v1::GetPoolRequest>,
    ) -> Result<Response<v1::GetPoolResponse>, Status> {
        let world = self.world().await?;
        let pool = world.pools.iter().find(|pool| pool.name == request.get_ref().name).cloned();
        let pool = pool.ok_or_else(|| refused(Code::NotFound, "POOL_NOT_FOUND", "no such pool"))?;
        Ok(Response::new(v1::GetPoolResponse { pool: Some(pool) }))
    }

    async fn list_pools(
        &self,
        request: Request<v1::ListPoolsRequest>,
    ) -> Result<Response<v1::ListPoolsResponse>, Status> {
        let world = self.world().await?;
        if world.is_old {
            return Err(Status::unimplemented("unknown service"));
        }
        let request = request.get_ref();
        let (pools, next_page_token) = page(&world.pools, request.page_size, &request.page_token);
        Ok(Response::new(v1::ListPoolsResponse { pools, next_page_token, resume_token: String::new() }))
    }

    async fn drain_server(
        &self,
        request: Request<v1::DrainServerRequest>,
    ) -> Result<Response<v1::DrainServerResponse>, Status> {
        let request = request.into_inner();
        let drain = v1::ServerDrain { reason: request.reason, ..v1::ServerDrain::default() };
        let out = |server: &mut v1::PoolServer| {
            server.set_state(v1::pool_server::State::Draining);
            server.desired_weight = 0;
            server.drain = Some(drain);
        };
        let pool = self.world().await?.hold(&request.name, out, request.validate_only)?;
        Ok(Response::new(v1::DrainServerResponse { pool: Some(pool), resume_token: String::new() }))
    }

    async fn undrain_server(
        &self,
        request: Request<v1::UndrainServerRequest>,
    ) -> Result<Response<v1::UndrainServerResponse>, Status> {
        let request = request.into_inner();
        let back = |server: &mut v1::PoolServer| {
            server.set_state(v1::pool_server::State::Up);
            server.desired_weight = server.configured_weight;
            server.drain = None;
        };
        let pool = self.world().await?.hold(&request.name, back, request.validate_only)?;
        Ok(Response::new(v1::UndrainServerResponse { pool: Some(pool), resume_token: String::new() }))
    }
}
