//! `hactl vip announce`: done when the holder has sent more announcements than before.

use std::net::IpAddr;

use ha_proto::v1;

use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::change::{Change, Request, outcome_line, require_consent, run};
use crate::commands::unknown::unknown_vip;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::VipView;
use crate::names;
use crate::output::Stop;
use crate::render::Times;
use crate::session::Session;

/// An address that is announced again by those who hold it.
struct Again {
    address: IpAddr,
    reason: String,
    before: VipView,
}

/// How often a node has announced an address.
#[derive(Debug, serde::Serialize)]
struct Announced {
    name: String,
    announcement_count: i64,
    announcements_before: i64,
}

/// Has the holder announce, or the nodes named with -n, which refuse when they do not hold it.
pub(super) async fn announce(context: &Context, address: IpAddr, reason: String) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Routers).await?;
    let found = cluster.vips().into_iter().find(|vip| vip.address.parse() == Ok(address));
    let Some(before) = found else {
        return Err(unknown_vip(&cluster, address));
    };
    let (filter, named) = (context.filter(), !context.global.node.is_empty());
    let wanted = before.members.iter().filter(|member| match named {
        true => filter.wants(&member.node),
        false => member.state == "ACTIVE",
    });
    let things: Vec<String> =
        wanted.map(|member| format!("nodes/{}/vips/{}", member.node, before.address)).collect();
    if things.is_empty() {
        let message = format!("no node that answered is ACTIVE for {address}");
        let remedy = format!("hactl vip get {address} shows why");
        let failure = Failure::local(Exit::Refused, "FAILED_PRECONDITION", "VIP_NOT_HELD", message, remedy);
        return Err(Stop::Failure(Box::new(failure), cluster.statuses()));
    }
    run(context, &cluster, &Again { address, reason, before }, things).await
}

impl Again {
    fn count(vip: &VipView, name: &str) -> Option<i64> {
        let member = vip.members.iter().find(|member| member.node == names::node(name))?;
        Some(member.announcement_count)
    }
}

impl Change for Again {
    type View = Announced;
    const KIND: &'static str = "VipAnnouncement";
    const SCOPE: Scope = Scope::Routers;

    fn describe(&self, name: &str) -> String {
        format!("have {} announce {} to its neighbours again", names::node(name), self.address)
    }

    async fn call(&self, session: Session, name: String, request: Request) -> Result<(), Failure> {
        let Request { id: request_id, validate_only } = request;
        let reason = self.reason.clone();
        session.announce_vip(v1::AnnounceVipRequest { name, reason, request_id, validate_only }).await
    }

    fn look(&self, cluster: &Cluster, name: &str) -> Option<Announced> {
        let now = cluster.vips().into_iter().find(|vip| vip.address == self.before.address)?;
        Some(Announced {
            name: name.to_owned(),
            announcement_count: Self::count(&now, name)?,
            announcements_before: Self::count(&self.before, name)?,
        })
    }

    fn missing(&self, view: &Announced) -> Option<String> {
        let sent = view.announcement_count > view.announcements_before;
        (!sent).then(|| format!("{} has sent no announcement yet", names::node(&view.name)))
    }

    fn outcome(&self, view: &Announced, _times: &Times) -> String {
        let count = view.announcement_count - view.announcements_before;
        outcome_line(&view.name, &format!("announced again, {count} so far; the rest of the burst follows"))
    }
}
