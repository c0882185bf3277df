//! `DebugService`: for whoever looks for a fault in the agent itself. The log's level, for a while; its state is told by `dump`.

use std::sync::Arc;
use std::time::Duration;

use ha_proto::v1;
use ha_proto::v1::debug_service_server::DebugService;
use prost::Message;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::convert::{self, timestamp};
use super::error::{Reason, internal, refuse};
use super::gate::Caller;
use super::request;
use super::shared::{Shared, caller};
use crate::clock;
use crate::telemetry::logging::{Directives, LevelOverride, LevelStatus};

/// The service.
#[derive(Clone)]
pub(crate) struct Debug {
    pub(crate) shared: Arc<Shared>,
}

/// How long a level lasts: a debug level that is forgotten fills disks.
const DEFAULT_TTL: Duration = Duration::from_secs(15 * 60);
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);

#[async_trait]
impl DebugService for Debug {
    type DumpStateStream = ReceiverStream<Result<v1::DumpStateResponse, Status>>;

    async fn dump_state(
        &self,
        request: Request<v1::DumpStateRequest>,
    ) -> Result<Response<Self::DumpStateStream>, Status> {
        self.shared.names.check_node(&request.get_ref().name)?;
        Ok(Response::new(self.shared.dump()?))
    }

    async fn get_log_level(
        &self,
        request: Request<v1::GetLogLevelRequest>,
    ) -> Result<Response<v1::GetLogLevelResponse>, Status> {
        self.check_name(&request.get_ref().name)?;
        let log_level = Some(self.shown(&self.shared.options.log.status()));
        Ok(Response::new(v1::GetLogLevelResponse { log_level }))
    }

    async fn set_log_level(
        &self,
        request: Request<v1::SetLogLevelRequest>,
    ) -> Result<Response<v1::SetLogLevelResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        self.check_name(&request.name)?;
        let id = request::id(&request.request_id)?.to_owned();
        let wish = self.wish(&caller, &request, &id)?;
        let reason = Arc::clone(&wish.reason);
        let log_level =
            self.change(&caller, &request, reason, id, request.validate_only, Some(wish)).await?.log_level;
        Ok(Response::new(v1::SetLogLevelResponse { log_level }))
    }

    async fn reset_log_level(
        &self,
        request: Request<v1::ResetLogLevelRequest>,
    ) -> Result<Response<v1::ResetLogLevelResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        self.check_name(&request.name)?;
        let id = request::id(&request.request_id)?.to_owned();
        let log_level =
            self.change(&caller, &request, Arc::default(), id, request.validate_only, None).await?.log_level;
        Ok(Response::new(v1::ResetLogLevelResponse { log_level }))
    }
}

impl Debug {
    fn check_name(&self, name: &str) -> Result<(), Status> {
        self.shared.names.check_node(name.strip_suffix("/logLevel").unwrap_or(name))
    }

    fn wish(
        &self,
        caller: &Caller,
        request: &v1::SetLogLevelRequest,
        id: &str,
    ) -> Result<LevelOverride, Status> {
        let directives: Directives = request.level.parse().map_err(|error| {
            refuse(Reason::LogLevelInvalid, format!("cannot log at that level: {error}"), "correct the level")
        })?;
        let lasts = match &request.ttl {
            None => DEFAULT_TTL,
            Some(ttl) => {
                request::checked_ttl(ttl, LONGEST_TTL, "use 1 s .. 24 h, or leave it out for 15 min")?
            }
        };
        let since = clock::now();
        Ok(LevelOverride {
            directives,
            reason: request::reason(&request.reason)?.into(),
            actor: Arc::new(caller.actor(id)),
            since,
            expires: since.after(lasts),
        })
    }

    /// Makes a change once, or says what it would come to.
    async fn change(
        &self,
        caller: &Caller,
        request: &impl Message,
        reason: Arc<str>,
        id: String,
        dry_run: bool,
        wish: Option<LevelOverride>,
    ) -> Result<v1::GetLogLevelResponse, Status> {
        caller.ticket.note(|details| {
            details.reason = reason;
            details.request_id.clone_from(&id);
            details.dry_run = dry_run;
        });
        // What changes nothing uses up no id.
        let id = if dry_run { String::new() } else { id };
        let (this, user, ticket) = (self.clone(), caller.user, caller.ticket.clone());
        let effect = async move {
            let levels = &this.shared.options.log;
            this.shared.rate.take(user)?;
            ticket.note(|details| details.before = levels.status().to_string().into());
            let status = match dry_run {
                true => levels.would_be(wish),
                // Why a filter that can be read is not taken is nothing that a caller could mend.
                false => levels.set(wish).map_err(|_| internal())?,
            };
            ticket.note(|details| details.after = status.to_string().into());
            Ok(v1::GetLogLevelResponse { log_level: Some(this.shown(&status)) })
        };
        self.shared.once.run(caller.user, &id, request, effect).await
    }

    fn shown(&self, status: &LevelStatus) -> v1::LogLevel {
        let time = |at| Some(timestamp(self.shared.journal.wall_clock().wall(at)));
        let level_override = status.override_.as_ref().map(|own| v1::LogLevelOverride {
            level: own.directives.to_string(),
            reason: own.reason.to_string(),
            actor: Some(convert::actor(&own.actor)),
            create_time: time(own.since),
            expire_time: time(own.expires),
        });
        v1::LogLevel {
            name: self.shared.names.of_this("logLevel"),
            level: status.level.clone(),
            configured_level: status.configured.to_string(),
            level_override,
        }
    }
}
