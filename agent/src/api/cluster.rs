//! `GetClusterView`: the cluster from here. What is said of a peer is what it said itself; nothing is concluded.

use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;
use tonic::Status;

use super::convert::{duration, timestamp};
use super::page::Page;
use super::shared::Shared;
use super::snapshots::View;
use super::tokens;
use crate::clock;
use crate::peers::{self, PeerView, Report, Router, own_router, router_to_wire};

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "cluster";

/// A node, and its virtual routers by name.
struct Known {
    name: Arc<str>,
    node: v1::NodeView,
    routers: Routers,
}

/// Where the routers of a node stand. Only those of a page are made into anything.
enum Routers {
    Own(Arc<View>),
    Told(Option<Arc<Report>>),
}

impl Routers {
    /// Those whose names come after this one, by name.
    fn after(&self, name: Option<&str>) -> Box<dyn Iterator<Item = Arc<Router>> + '_> {
        match self {
            Self::Own(view) => {
                let all = &view.snapshot.instances;
                let first = name.map_or(0, |name| all.partition_point(|status| &*status.config.name <= name));
                Box::new(all[first..].iter().map(|status| Arc::new(own_router(status, &view.snapshot))))
            }
            Self::Told(None) => Box::new(std::iter::empty()),
            Self::Told(Some(report)) => {
                let first = name.map_or(Bound::Unbounded, Bound::Excluded);
                let rest = report.routers.range::<str, _>((first, Bound::Unbounded));
                Box::new(rest.map(|(_, router)| Arc::clone(router)))
            }
        }
    }
}

impl Shared {
    /// This node and its peers, with a page of their virtual routers.
    pub(super) async fn cluster_view(
        &self,
        request: &v1::GetClusterViewRequest,
    ) -> Result<v1::GetClusterViewResponse, Status> {
        let after = tokens::page_start(PAGE_KIND, &request.page_token)?;
        let page = Page::new(request.page_size)?;
        let own = self.own_view().await?;
        let view = self.peers.view();
        let mut known: Vec<Known> = view.peers.values().map(|peer| self.peer_view(peer)).collect();
        known.push(own);
        known.sort_by(|one, other| one.name.cmp(&other.name));
        let next_page_token = deal(&mut known, after, page);
        let complete = view.peers.values().all(|peer| peer.contact == peers::Contact::Reachable);
        Ok(v1::GetClusterViewResponse {
            view: Some(v1::ClusterView {
                observer: self.names.node(),
                observe_time: Some(timestamp(SystemTime::now())),
                complete,
                nodes: known.into_iter().map(|known| known.node).collect(),
            }),
            next_page_token,
        })
    }

    /// Asked of the `vrrp` thread now: whoever cannot say how it stands itself has no view of others either.
    async fn own_view(&self) -> Result<Known, Status> {
        let view = self.snapshots.view().await?;
        Ok(Known {
            name: Arc::clone(self.journal.node()),
            routers: Routers::Own(view),
            node: v1::NodeView {
                name: self.names.node(),
                contact: Contact::Self_.into(),
                incarnation_id: self.journal.incarnation().to_string(),
                version: self.options.version.clone(),
                config_digest: self.options.config.borrow().digest.clone(),
                ..Default::default()
            },
        })
    }

    fn peer_view(&self, peer: &PeerView) -> Known {
        let (contact, why) = match &peer.contact {
            peers::Contact::Dialling => (Contact::Dialling, None),
            peers::Contact::Reachable => (Contact::Reachable, None),
            peers::Contact::Silent(why) => (Contact::Silent, Some(why)),
        };
        let time = |at| timestamp(self.journal.wall_clock().wall(at));
        let report = peer.report.as_deref();
        let text = |of: fn(&peers::Report) -> &Arc<str>| report.map(|report| of(report).to_string());
        Known {
            name: Arc::clone(&peer.name),
            routers: Routers::Told(peer.report.clone()),
            node: v1::NodeView {
                name: format!("nodes/{}", peer.name),
                endpoint: peer.endpoint.to_string(),
                contact: contact.into(),
                contact_time: Some(time(peer.since)),
                detail: why.map(ToString::to_string).unwrap_or_default(),
                reason: why.map(|why| why.reason.as_str().to_owned()).unwrap_or_default(),
                hear_time: peer.heard.map(time),
                incarnation_id: text(|report| &report.incarnation).unwrap_or_default(),
                version: text(|report| &report.version).unwrap_or_default(),
                config_digest: text(|report| &report.config_digest).unwrap_or_default(),
                round_trip: peer.round_trip.map(duration),
                routers: Vec::new(),
            },
        }
    }
}

/// Gives each node its routers of this page, in the order of nodes' and routers' names, and says where the next page begins.
fn deal(known: &mut [Known], after: Option<&str>, mut page: Page<v1::PeerRouter>) -> String {
    let now = clock::now();
    let after = after.map(|after| after.split_once('/').unwrap_or((after, "")));
    let (mut owners, mut last, mut next) = (Vec::new(), String::new(), String::new());
    let rest = |node: &Known| match after {
        Some((name, _)) if *node.name < *name => None,
        Some((name, router)) if *node.name == *name => Some(Some(router)),
        _ => Some(None),
    };
    let all = known.iter().enumerate().filter_map(|(owner, node)| Some((owner, node, rest(node)?)));
    let all = all.flat_map(|(owner, node, from)| node.routers.after(from).map(move |router| (owner, router)));
    for (owner, router) in all {
        if page.is_full() {
            next = tokens::page_after(PAGE_KIND, &last);
            break;
        }
        page.push(router_to_wire(&router, now));
        owners.push(owner);
        last = format!("{}/{}", known[owner].name, router.name);
    }
    for (owner, router) in owners.into_iter().zip(page.into_entries()) {
        known[owner].node.routers.push(router);
    }
    next
}
