//! `GetClusterView`: the cluster from here. What is said of a peer is what it said itself; nothing is concluded.

use std::sync::Arc;
use std::time::SystemTime;

use ha_proto::v1;
use ha_proto::v1::node_view::Contact;
use tonic::Status;

use super::convert::{duration, timestamp};
use super::page::Page;
use super::shared::Shared;
use super::tokens;
use crate::clock;
use crate::peers::{self, PeerView, Router, own_router, router_to_wire};

/// What the page tokens of this listing begin with.
const PAGE_KIND: &str = "cluster";

/// A node, and its virtual routers by name.
struct Known {
    name: Arc<str>,
    node: v1::NodeView,
    routers: Vec<Arc<Router>>,
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
        let routers = view.snapshot.instances.iter().map(|status| own_router(status, &view.snapshot));
        Ok(Known {
            name: Arc::clone(self.journal.node()),
            routers: routers.map(Arc::new).collect(),
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
        let (contact, detail) = match &peer.contact {
            peers::Contact::Dialling => (Contact::Dialling, String::new()),
            peers::Contact::Reachable => (Contact::Reachable, String::new()),
            peers::Contact::Silent(why) => (Contact::Silent, why.to_string()),
        };
        let time = |at| timestamp(self.journal.wall_clock().wall(at));
        let report = peer.report.as_deref();
        let text = |of: fn(&peers::Report) -> &Arc<str>| report.map(|report| of(report).to_string());
        Known {
            name: Arc::clone(&peer.name),
            routers: report.into_iter().flat_map(|report| report.routers.values().cloned()).collect(),
            node: v1::NodeView {
                name: format!("nodes/{}", peer.name),
                endpoint: peer.endpoint.to_string(),
                contact: contact.into(),
                contact_time: Some(time(peer.since)),
                detail,
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
    let all = known.iter().enumerate();
    let all = all.flat_map(|(owner, node)| node.routers.iter().map(move |router| (owner, node, router)));
    for (owner, node, router) in all.filter(|(_, node, router)| after < Some((&*node.name, &*router.name))) {
        if page.is_full() {
            next = tokens::page_after(PAGE_KIND, &last);
            break;
        }
        page.push(router_to_wire(router, now));
        owners.push(owner);
        last = format!("{}/{}", node.name, router.name);
    }
    for (owner, router) in owners.into_iter().zip(page.into_entries()) {
        known[owner].node.routers.push(router);
    }
    next
}
