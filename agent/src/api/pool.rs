//! `PoolService`: the server pools of the node, and an operator's drains.

use std::sync::Arc;

use ha_engine::{PoolRefusal, StandingOrder, Subject};
use ha_proto::v1;
use ha_proto::v1::pool_service_server::PoolService;
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::audit::Ticket;
use super::connection::User;
use super::convert::Dependents;
use super::error::{Reason, refuse};
use super::gate::Caller;
use super::page::Page;
use super::request;
use super::shared::{Shared, caller};
use super::tokens;
use crate::clock;
use crate::intents::{self, About, Row};
use crate::pools::{Action, Command, PoolView};

/// The service.
#[derive(Clone)]
pub(crate) struct PoolsService {
    pub(crate) shared: Arc<Shared>,
}

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "pools";

#[async_trait]
impl PoolService for PoolsService {
    async fn get_pool(
        &self,
        request: Request<v1::GetPoolRequest>,
    ) -> Result<Response<v1::GetPoolResponse>, Status> {
        let shared = &self.shared;
        let name = shared.names.pool_of(&request.get_ref().name)?;
        let pools = shared.pools.view().await?;
        let view = pools.snapshot.pool(name).ok_or_else(|| shared.names.no_pool(name))?;
        Ok(Response::new(v1::GetPoolResponse { pool: Some(self.shown(view).await?) }))
    }

    async fn list_pools(
        &self,
        request: Request<v1::ListPoolsRequest>,
    ) -> Result<Response<v1::ListPoolsResponse>, Status> {
        let (shared, request) = (&self.shared, request.into_inner());
        shared.names.check_node(&request.parent)?;
        let after = tokens::page_start(PAGE_KIND, &request.page_token)?;
        let mut page = Page::new(request.page_size)?;
        let (pools, (checks, instances)) = tokio::try_join!(shared.pools.view(), shared.check_views())?;
        let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
        let context = shared.context(&instances);
        let wanted = pools.snapshot.pools.iter().filter(|view| {
            let name = &*view.status.config.name;
            after.is_none_or(|after| name > after)
        });
        let (mut next_page_token, mut last) = (String::new(), "");
        for view in wanted {
            if page.is_full() {
                next_page_token = tokens::page_after(PAGE_KIND, last);
                break;
            }
            page.push(context.pool(view, &dependents));
            last = &view.status.config.name;
        }
        let resume_token = tokens::resume_token(&shared.journal, pools.sequence);
        Ok(Response::new(v1::ListPoolsResponse { pools: page.into_entries(), next_page_token, resume_token }))
    }

    async fn drain_server(
        &self,
        request: Request<v1::DrainServerRequest>,
    ) -> Result<Response<v1::DrainServerResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let action = Action::Drain {
            reason: request::reason(&request.reason)?.into(),
            expires: request::expires(request.ttl.as_ref())?,
            survives: request.survive_restart,
            allow_below_floor: request.allow_below_floor,
        };
        let id = request::id(&request.request_id)?;
        let answer = self.make(&caller, &request, &request.name, action, id, request.validate_only).await?;
        Ok(Response::new(answer))
    }

    async fn undrain_server(
        &self,
        request: Request<v1::UndrainServerRequest>,
    ) -> Result<Response<v1::UndrainServerResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let id = request::id(&request.request_id)?;
        let v1::DrainServerResponse { pool, resume_token } =
            self.make(&caller, &request, &request.name, Action::Undrain, id, request.validate_only).await?;
        Ok(Response::new(v1::UndrainServerResponse { pool, resume_token }))
    }
}

impl PoolsService {
    /// One pool, with what depends on it.
    async fn shown(&self, view: &PoolView) -> Result<v1::Pool, Status> {
        let (checks, instances) = self.shared.check_views().await?;
        let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
        Ok(self.shared.context(&instances).pool(view, &dependents))
    }

    /// Makes a change, or says what it would do. Returns the pool after it, and where to watch for its effects.
    async fn make(
        &self,
        caller: &Caller,
        request: &impl Message,
        name: &str,
        action: Action,
        id: &str,
        dry_run: bool,
    ) -> Result<v1::DrainServerResponse, Status> {
        let (pool, server) = self.shared.names.server_of(name)?;
        let actor = Arc::new(caller.actor(id));
        let command = Command { pool: pool.into(), server: server.into(), action, actor, dry_run };
        let ticket = caller.ticket.clone();
        ticket.note(|details| {
            details.subject = Subject::Server(Arc::clone(&command.pool), Arc::clone(&command.server));
            if let Action::Drain { reason, .. } = &command.action {
                details.reason = Arc::clone(reason);
            }
            details.request_id = id.to_owned();
            details.dry_run = dry_run;
        });
        // A change that changes nothing uses up no id.
        let id = if dry_run { "" } else { id };
        let (this, user) = (self.clone(), caller.user);
        let effect = async move { this.carry_out(user, &ticket, command).await };
        self.shared.once.run(user, id, request, effect).await
    }

    /// What runs to its end even if the caller leaves.
    async fn carry_out(
        &self,
        user: User,
        ticket: &Ticket,
        command: Command,
    ) -> Result<v1::DrainServerResponse, Status> {
        let shared = &self.shared;
        shared.rate.take(user)?;
        let resume_token = tokens::resume_token(&shared.journal, shared.journal.newest());
        let (pool, server) = (Arc::clone(&command.pool), Arc::clone(&command.server));
        let before = shared.pools.view().await?;
        let rows = rows(before.snapshot.pool(&pool), &command);
        let before = before.snapshot.pool(&pool).map(|view| in_words(view, &server)).unwrap_or_default();
        ticket.note(|details| details.before = before);
        let dry_run = command.dry_run;
        let making = async {
            let answer = shared.pools.change(shared.pools.source().operate(command)).await?;
            answer.map_err(|refusal| self.refused(refusal, &pool, &server))
        };
        let view = shared.keeping(rows, dry_run, making).await?;
        ticket.note(|details| details.after = in_words(&view, &server));
        Ok(v1::DrainServerResponse { pool: Some(self.shown(&view).await?), resume_token })
    }

    fn refused(&self, refusal: PoolRefusal, pool: &str, server: &str) -> Status {
        let next = "undrain or mend others first, or repeat it with allow_below_floor";
        match refusal {
            PoolRefusal::UnknownPool => self.shared.names.no_pool(pool),
            PoolRefusal::UnknownServer => self.shared.names.no_server(pool, server),
            PoolRefusal::BelowFloor { left, floor } => refuse(
                Reason::PoolFloor,
                format!("pool {pool} would have {left} servers that do not fail, and its floor is {floor}"),
                next,
            ),
            PoolRefusal::BelowQuorum { weight, quorum } => refuse(
                Reason::PoolFloor,
                format!("pool {pool} would have weight {weight} left, and its quorum is {quorum}"),
                next,
            ),
        }
    }
}

/// What it makes of the disk.
fn rows(before: Option<&PoolView>, command: &Command) -> intents::Change {
    let servers = before.map(|view| view.status.servers.as_slice()).unwrap_or_default();
    let found = servers.iter().find(|status| status.config.name == command.server);
    let before = found.and_then(|status| status.drain.as_ref()).filter(|drain| drain.survives);
    let after = match &command.action {
        Action::Drain { reason, expires, survives: true, .. } => {
            let (reason, actor) = (Arc::clone(reason), Arc::clone(&command.actor));
            Some(StandingOrder { reason, actor, since: clock::now(), expires: *expires, survives: true })
        }
        Action::Drain { .. } | Action::Undrain => None,
    };
    let about = About::Server(Arc::clone(&command.pool), Arc::clone(&command.server));
    intents::Change::of(about, before.map(Row::of_order), after.as_ref().map(Row::of_order))
}

/// Whether a server is drained, for who reads what was changed.
fn in_words(view: &PoolView, server: &str) -> Arc<str> {
    let Some(status) = view.status.servers.iter().find(|status| *status.config.name == *server) else {
        return Arc::default();
    };
    match &status.drain {
        None => format!("not drained, weight {}", status.desired_weight).into(),
        Some(drain) => {
            format!("drained by {}, weight {}", drain.actor.principal, status.desired_weight).into()
        }
    }
}
