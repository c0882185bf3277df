//! `InstanceService`: the virtual routers of the node, and an operator's changes to their priority.

use std::future::Future;
use std::sync::Arc;

use ha_engine::{
    Actor, Effective, InstanceId, InstanceStatus, Instant, OperatorAction, OperatorCommand, Override,
    Priority, Refusal, StandingOrder, Subject,
};
use ha_proto::v1;
use ha_proto::v1::instance_service_server::InstanceService;
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::error::{Reason, refuse};
use super::gate::Caller;
use super::page::Page;
use super::request;
use super::shared::{Shared, caller};
use super::snapshots::View;
use super::tokens;
use crate::clock;
use crate::intents::{self, About, Row};

/// The service.
#[derive(Clone)]
pub(crate) struct Instances {
    pub(crate) shared: Arc<Shared>,
}

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "instances";

/// What a change asks for, checked.
struct Change {
    instance: String,
    action: OperatorAction,
    etag: String,
    request_id: String,
    dry_run: bool,
}

#[async_trait]
impl InstanceService for Instances {
    async fn get_instance(
        &self,
        request: Request<v1::GetInstanceRequest>,
    ) -> Result<Response<v1::GetInstanceResponse>, Status> {
        let name = self.shared.names.instance_of(&request.get_ref().name)?;
        let instance = self.shared.shown_instance(name).await?;
        Ok(Response::new(v1::GetInstanceResponse { instance: Some(instance) }))
    }

    async fn list_instances(
        &self,
        request: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let request = request.into_inner();
        self.shared.names.check_node(&request.parent)?;
        let after = tokens::page_start(PAGE_KIND, &request.page_token)?;
        let mut page = Page::new(request.page_size)?;
        let view = self.shared.snapshots.view().await?;
        let context = self.shared.context(&view);
        let mut statuses: Vec<&InstanceStatus> = view.snapshot.instances.iter().collect();
        statuses.sort_by(|a, b| a.config.name.cmp(&b.config.name));
        let mut next_page_token = String::new();
        let mut last = "";
        for status in
            statuses.into_iter().filter(|status| after.is_none_or(|after| &*status.config.name > after))
        {
            if page.is_full() {
                next_page_token = tokens::page_after(PAGE_KIND, last);
                break;
            }
            page.push(context.instance(status));
            last = &status.config.name;
        }
        Ok(Response::new(v1::ListInstancesResponse {
            instances: page.into_entries(),
            next_page_token,
            resume_token: tokens::resume_token(&self.shared.journal, view.sequence),
        }))
    }

    async fn override_priority(
        &self,
        request: Request<v1::OverridePriorityRequest>,
    ) -> Result<Response<v1::OverridePriorityResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let change = self.override_change(&request)?;
        let (instance, resume_token) = self.make(&caller, &request, change).await?;
        Ok(Response::new(v1::OverridePriorityResponse { instance: Some(instance), resume_token }))
    }

    async fn clear_priority(
        &self,
        request: Request<v1::ClearPriorityRequest>,
    ) -> Result<Response<v1::ClearPriorityResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let change = Change {
            instance: self.shared.names.instance_of(&request.name)?.to_owned(),
            action: OperatorAction::ClearPriority,
            etag: request.etag.clone(),
            request_id: request::id(&request.request_id)?.to_owned(),
            dry_run: request.validate_only,
        };
        let (instance, resume_token) = self.make(&caller, &request, change).await?;
        Ok(Response::new(v1::ClearPriorityResponse { instance: Some(instance), resume_token }))
    }

    async fn transfer_instance(
        &self,
        request: Request<v1::TransferInstanceRequest>,
    ) -> Result<Response<v1::TransferInstanceResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.shared.transfer_instance(&caller, request.into_inner()).await?))
    }

    async fn end_transfer(
        &self,
        request: Request<v1::EndTransferRequest>,
    ) -> Result<Response<v1::EndTransferResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.shared.end_transfer(&caller, request.into_inner()).await?))
    }
}

impl Instances {
    fn override_change(&self, request: &v1::OverridePriorityRequest) -> Result<Change, Status> {
        Ok(Change {
            instance: self.shared.names.instance_of(&request.name)?.to_owned(),
            action: OperatorAction::OverridePriority {
                priority: checked_priority(request.priority)?,
                reason: request::reason(&request.reason)?.into(),
                expires: request::expires(request.ttl.as_ref())?,
                survives: request.survive_restart,
            },
            etag: request.etag.clone(),
            request_id: request::id(&request.request_id)?.to_owned(),
            dry_run: request.validate_only,
        })
    }

    /// Makes a change, or says what it would do. Returns the instance after it, and where to watch for its effects.
    async fn make(
        &self,
        caller: &Caller,
        request: &impl Message,
        change: Change,
    ) -> Result<(v1::Instance, String), Status> {
        let actor = Arc::new(caller.actor(&change.request_id));
        caller.ticket.note(|details| {
            details.subject = Subject::Instance(InstanceId(0), change.instance.as_str().into());
            if let OperatorAction::OverridePriority { reason, .. } = &change.action {
                details.reason = Arc::clone(reason);
            }
            details.request_id.clone_from(&change.request_id);
            details.dry_run = change.dry_run;
        });
        // A change that changes nothing uses up no id.
        let id = if change.dry_run { String::new() } else { change.request_id.clone() };
        let effect = self.effect(caller, actor, change);
        let answer = self.shared.once.run(caller.user, &id, request, effect).await?;
        Ok((answer.instance.unwrap_or_default(), answer.resume_token))
    }

    /// What runs to its end even if the caller leaves.
    fn effect(
        &self,
        caller: &Caller,
        actor: Arc<Actor>,
        change: Change,
    ) -> impl Future<Output = Result<v1::OverridePriorityResponse, Status>> + Send + 'static {
        let (this, user, ticket) = (self.clone(), caller.user, caller.ticket.clone());
        async move {
            let shared = &this.shared;
            shared.rate.take(user)?;
            let view = shared.snapshots.view().await?;
            let before = view.instance(&change.instance).map(in_words).unwrap_or_default();
            ticket.note(|details| details.before = before);
            let rows = rows(&view, &change, &actor);
            let incarnation = shared.journal.incarnation();
            let expected_revision = tokens::expected_revision(incarnation, &change.etag);
            if let Some(status) = view.instance(&change.instance) {
                tokens::check_expected(incarnation, expected_revision, status.revision)?;
            }
            let resume_token = tokens::resume_token(&shared.journal, shared.journal.newest());
            let command = OperatorCommand {
                instance: change.instance.as_str().into(),
                action: change.action.clone(),
                actor: Arc::clone(&actor),
                expected_revision,
                dry_run: change.dry_run,
            };
            let making = async {
                let answer = shared.snapshots.operate(command).await?;
                answer.map_err(|refusal| this.refused(refusal, &change.instance))
            };
            shared.keeping(rows, change.dry_run, making).await?;
            let view = shared.snapshots.view().await?;
            let status =
                view.instance(&change.instance).ok_or_else(|| shared.names.no_instance(&change.instance))?;
            ticket.note(|details| details.after = in_words(status));
            let context = shared.context(&view);
            let instance = match change.dry_run {
                true => context.instance(&would_be(status.clone(), change.action, actor, context.at)),
                false => context.instance(status),
            };
            Ok(v1::OverridePriorityResponse { instance: Some(instance), resume_token })
        }
    }

    fn refused(&self, refusal: Refusal, instance: &str) -> Status {
        match refusal {
            Refusal::UnknownInstance => self.shared.names.no_instance(instance),
            Refusal::RevisionMismatch { current } => {
                tokens::etag_mismatch(self.shared.journal.incarnation(), current)
            }
            Refusal::AddressOwner => refuse(
                Reason::AddressOwner,
                format!("{instance} is the address owner (priority 255), which no override replaces"),
                "change its priority in the configuration and reload",
            ),
            Refusal::NotActive
            | Refusal::NotHandingOver
            | Refusal::Faulty
            | Refusal::Drained
            | Refusal::NotBackup
            | Refusal::AnotherActive { .. } => {
                Status::internal(format!("{refusal:?} is no answer to a change of priority"))
            }
        }
    }
}

/// What it makes of the disk. A change counts for the whole sync group.
fn rows(view: &View, change: &Change, actor: &Arc<Actor>) -> intents::Change {
    let mut rows = intents::Change::default();
    let Some(named) = view.instance(&change.instance) else { return rows };
    let group = named.config.group.as_ref();
    let is_member = |status: &&InstanceStatus| {
        status.config.name == named.config.name || group.is_some() && status.config.group.as_ref() == group
    };
    for member in view.snapshot.instances.iter().filter(is_member) {
        let before = member.override_.as_ref().filter(|own| own.order.survives).map(Row::of_override);
        let after = override_of(&change.action, actor, clock::now()).filter(|own| own.order.survives);
        rows.and(
            About::Instance(Arc::clone(&member.config.name)),
            before,
            after.as_ref().map(Row::of_override),
        );
    }
    rows
}

/// What an action sets.
fn override_of(action: &OperatorAction, actor: &Arc<Actor>, since: Instant) -> Option<Override> {
    let OperatorAction::OverridePriority { priority, reason, expires, survives } = action else {
        return None;
    };
    let (reason, actor) = (Arc::clone(reason), Arc::clone(actor));
    let order = StandingOrder { reason, actor, since, expires: *expires, survives: *survives };
    Some(Override { priority: *priority, order })
}

/// The priority and what stands behind it, for who reads what was changed.
fn in_words(status: &InstanceStatus) -> Arc<str> {
    let effective = status.effective.value;
    match &status.override_ {
        None => format!("priority {} as configured, effective {effective}", status.config.priority),
        Some(override_) => {
            let who = &override_.order.actor.principal;
            format!("priority {} by {who}, effective {effective}", override_.priority)
        }
    }
    .into()
}

/// The status after a change that was checked and not made.
fn would_be(
    mut status: InstanceStatus,
    action: OperatorAction,
    actor: Arc<Actor>,
    at: Instant,
) -> InstanceStatus {
    status.override_ = match action {
        OperatorAction::OverridePriority { .. } => override_of(&action, &actor, at),
        OperatorAction::ClearPriority => None,
        // They move instances, not priorities.
        OperatorAction::Handover(_)
        | OperatorAction::Withdraw { .. }
        | OperatorAction::TakeOver { .. }
        | OperatorAction::EndHold
        | OperatorAction::Announce { .. } => status.override_,
    };
    let base = status.override_.as_ref().map(|override_| override_.priority);
    status.effective = Effective::explain(status.config.priority, base, &status.tracks, status.drained);
    status
}

fn checked_priority(value: i32) -> Result<Priority, Status> {
    let priority = u8::try_from(value).ok().and_then(Priority::new).filter(|priority| !priority.is_owner());
    priority.ok_or_else(|| {
        refuse(
            Reason::PriorityOutOfRange,
            format!("priority {value} is out of range"),
            "use 1..254; 255 belongs to the address owner and is configured",
        )
    })
}
