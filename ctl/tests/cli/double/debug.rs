//! What a double tells of itself to whoever looks for a fault in it.

use ha_proto::v1;
use ha_proto::v1::debug_service_server::DebugService;
use tonic::{Request, Response, Status};

use super::{Service, World};

impl World {
    fn level(&self, asked: Option<&v1::SetLogLevelRequest>) -> v1::LogLevel {
        let level_override = asked.map(|asked| {
            let now = self.now();
            let lasts = asked.ttl.as_ref().map_or(900, |ttl| ttl.seconds);
            v1::LogLevelOverride {
                level: asked.level.clone(),
                reason: asked.reason.clone(),
                actor: Some(v1::Actor { principal: "cert:alice".to_owned(), ..Default::default() }),
                create_time: Some(now),
                expire_time: Some(prost_types::Timestamp { seconds: now.seconds + lasts, ..now }),
            }
        });
        v1::LogLevel {
            name: format!("nodes/{}/logLevel", self.name),
            level: asked.map_or("info".to_owned(), |asked| asked.level.clone()),
            configured_level: "info".to_owned(),
            level_override,
        }
    }
}

#[tonic::async_trait]
impl DebugService for Service {
    type DumpStateStream = tokio_stream::Iter<std::vec::IntoIter<Result<v1::DumpStateResponse, Status>>>;

    async fn dump_state(
        &self,
        _: Request<v1::DumpStateRequest>,
    ) -> Result<Response<Self::DumpStateStream>, Status> {
        let world = self.world().await?;
        if let Some(refusal) = &world.refuse_dump {
            return Err(refusal.clone());
        }
        let entry = |section: &str, name: &str, json: &str| v1::StateEntry {
            section: section.to_owned(),
            name: name.to_owned(),
            json: json.to_owned(),
        };
        let first = v1::DumpStateResponse {
            entries: vec![entry("queue", "vrrp.requests", r#"{"waiting":0,"capacity":1024}"#)],
            ..Default::default()
        };
        let last = v1::DumpStateResponse {
            entries: vec![entry("instance", "web", r#"{"substate":"SETTLED","detail":"password=hunter2"}"#)],
            complete: !world.dump_is_cut,
            truncated: world.dump_is_cut,
        };
        Ok(Response::new(tokio_stream::iter(vec![Ok(first), Ok(last)])))
    }

    async fn get_log_level(
        &self,
        _: Request<v1::GetLogLevelRequest>,
    ) -> Result<Response<v1::GetLogLevelResponse>, Status> {
        let world = self.world().await?;
        if world.is_old {
            return Err(Status::unimplemented("it does not know it"));
        }
        let log_level = Some(world.level(world.log_level.as_ref()));
        Ok(Response::new(v1::GetLogLevelResponse { log_level }))
    }

    async fn set_log_level(
        &self,
        request: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        let mut world = self.world().await?;
        if let Some(refusal) = &world.refuse_changes {
            return Err(refusal.clone());
        }
        let request = request.into_inner();
        let log_level = Some(world.level(Some(&request)));
        if !request.validate_only {
            world.log_level = Some(request);
        }
        Ok(Response::new(v1::SetLogLevelResponse { log_level }))
    }

    async fn reset_log_level(
        &self,
        request: Request<v1::ResetLogLevelRequest>,
    ) -> Result<Response<v1::ResetLogLevelResponse>, Status> {
        let mut world = self.world().await?;
        if !request.get_ref().validate_only {
            world.log_level = None;
        }
        Ok(Response::new(v1::ResetLogLevelResponse { log_level: Some(world.level(None)) }))
    }
}
