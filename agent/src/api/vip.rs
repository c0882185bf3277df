//! `VipService`: the virtual addresses that the node may hold, as wanted and as the kernel has them; announced again, and asked
//! for on the wire.

use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{
    Actor, InstanceId, InstanceStatus, OperatorAction, OperatorCommand, Refusal, StateName, Subject,
    VirtualAddress,
};
use ha_proto::v1;
use ha_proto::v1::vip_service_server::VipService;
use tonic::{Request, Response, Status, async_trait};

use super::audit::Ticket;
use super::connection::User;
use super::error::{Reason, refuse};
use super::page::Page;
use super::probe::probe;
use super::request;
use super::shared::{Shared, caller};
use super::snapshots::View;
use super::tokens;

/// The service.
#[derive(Clone)]
pub(crate) struct Vips {
    pub(crate) shared: Arc<Shared>,
}

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "vips";

#[async_trait]
impl VipService for Vips {
    async fn list_vips(
        &self,
        request: Request<v1::ListVipsRequest>,
    ) -> Result<Response<v1::ListVipsResponse>, Status> {
        let request = request.into_inner();
        self.shared.names.check_node(&request.parent)?;
        let after = tokens::page_start(PAGE_KIND, &request.page_token)?;
        let mut page = Page::new(request.page_size)?;
        let view = self.shared.snapshots.view().await?;
        let mut next_page_token = String::new();
        for (name, status, address) in sorted(&self.shared, &view) {
            if after.is_some_and(|after| name.as_str() <= after) {
                continue;
            }
            let last = page.last().map(|vip: &v1::Vip| vip.name.as_str()).unwrap_or_default();
            // A link-local address on several links has one name, after which the next page goes on.
            if page.is_full() && last != name {
                next_page_token = tokens::page_after(PAGE_KIND, last);
                break;
            }
            page.push(vip(&self.shared, &view, status, address));
        }
        let resume_token = tokens::resume_token(&self.shared.journal, view.sequence);
        Ok(Response::new(v1::ListVipsResponse { vips: page.into_entries(), next_page_token, resume_token }))
    }

    async fn announce_vip(
        &self,
        request: Request<v1::AnnounceVipRequest>,
    ) -> Result<Response<v1::AnnounceVipResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let address = self.shared.names.vip_of(&request.name)?;
        let id = request::id(&request.request_id)?;
        let reason = request::reason(&request.reason)?.into();
        let wish = Wish { address, reason, dry_run: request.validate_only };
        let actor = Arc::new(caller.actor(id));
        caller.ticket.note(|details| {
            details.subject = Subject::Vip(InstanceId(0), Arc::default(), address);
            details.reason = Arc::clone(&wish.reason);
            details.request_id = id.to_owned();
            details.dry_run = wish.dry_run;
        });
        // What changes nothing uses up no id.
        let id = if wish.dry_run { "" } else { id };
        let (this, user, ticket) = (self.clone(), caller.user, caller.ticket.clone());
        let effect = async move { this.announce(user, &ticket, actor, wish).await };
        Ok(Response::new(self.shared.once.run(user, id, &request, effect).await?))
    }

    async fn probe_vip(
        &self,
        request: Request<v1::ProbeVipRequest>,
    ) -> Result<Response<v1::ProbeVipResponse>, Status> {
        let user = caller(&request)?.user;
        let (shared, request) = (&self.shared, request.into_inner());
        let address = shared.names.vip_of(&request.name)?;
        let view = shared.snapshots.view().await?;
        let found = find(&view, address).ok_or_else(|| shared.names.no_vip(address))?;
        let probe = probe(shared, &view, user, found, request.timeout.as_ref()).await?;
        Ok(Response::new(v1::ProbeVipResponse { probe: Some(probe) }))
    }
}

/// An address that is to be announced again.
struct Wish {
    address: IpAddr,
    reason: Arc<str>,
    dry_run: bool,
}

impl Vips {
    /// What runs to its end even if the caller leaves.
    async fn announce(
        &self,
        user: User,
        ticket: &Ticket,
        actor: Arc<Actor>,
        wish: Wish,
    ) -> Result<v1::AnnounceVipResponse, Status> {
        let shared = &self.shared;
        shared.rate.take(user)?;
        let view = shared.snapshots.view().await?;
        let (status, address) = find(&view, wish.address).ok_or_else(|| shared.names.no_vip(wish.address))?;
        let vip = vip(shared, &view, status, address);
        let before = in_words(status, &vip);
        ticket.note(|details| details.before = before.into());
        let resume_token = tokens::resume_token(&shared.journal, shared.journal.newest());
        let command = OperatorCommand {
            instance: Arc::clone(&status.config.name),
            action: OperatorAction::Announce { reason: wish.reason },
            actor,
            expected_revision: None,
            dry_run: wish.dry_run,
        };
        shared.snapshots.operate(command).await?.map_err(|refusal| not_held(shared, status, refusal))?;
        let after = format!("{}, and is being announced again", in_words(status, &vip));
        ticket.note(|details| details.after = after.into());
        Ok(v1::AnnounceVipResponse { vip: Some(vip), resume_token })
    }
}

/// How an address stands, for who reads what was changed.
fn in_words(status: &InstanceStatus, vip: &v1::Vip) -> String {
    let (name, state) = (&status.config.name, status.state.as_str());
    format!("{name} is {state}, announced {} times", vip.announcement_count)
}

fn not_held(shared: &Shared, status: &InstanceStatus, refusal: Refusal) -> Status {
    if refusal == Refusal::UnknownInstance {
        return shared.names.no_instance(&status.config.name);
    }
    let (name, state) = (&status.config.name, status.state.as_str());
    refuse(
        Reason::VipNotHeld,
        format!("{name} is {state} on this node: only the Active router may announce its addresses"),
        "ask the node that is Active; hactl vip get shows which",
    )
}

/// An address with its instance; the one that is Active when several link-local ones are the same.
pub(super) fn find(view: &View, address: IpAddr) -> Option<(&InstanceStatus, &VirtualAddress)> {
    let all = view
        .snapshot
        .instances
        .iter()
        .flat_map(|status| status.config.addresses.iter().map(move |address| (status, address)));
    let mut found = all.filter(|(_, candidate)| candidate.address == address);
    let first = found.next()?;
    Some(
        std::iter::once(first)
            .chain(found)
            .find(|(status, _)| status.state == StateName::Active)
            .unwrap_or(first),
    )
}

/// An address as it stands.
pub(crate) fn vip(
    shared: &Shared,
    view: &View,
    status: &InstanceStatus,
    address: &VirtualAddress,
) -> v1::Vip {
    let kernel = (shared.options.kernel)(status.config.link_of(address), address.address);
    shared.context(view).vip(status, address, kernel.as_ref())
}

fn sorted<'a>(shared: &Shared, view: &'a View) -> Vec<(String, &'a InstanceStatus, &'a VirtualAddress)> {
    let mut vips: Vec<_> = view
        .snapshot
        .instances
        .iter()
        .flat_map(|status| status.config.addresses.iter().map(move |address| (status, address)))
        .map(|(status, address)| (shared.names.vip(address.address), status, address))
        .collect();
    vips.sort_by(|a, b| a.0.cmp(&b.0));
    vips
}
