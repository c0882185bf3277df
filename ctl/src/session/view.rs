//! The cluster as the node sees it.

use std::collections::BTreeMap;

use ha_proto::v1;
use ha_proto::v1::node_service_client::NodeServiceClient;

use super::{PAGE_SIZE, Pages, Session, asking, incomplete};
use crate::failure::Failure;

impl Session {
    /// The nodes that this one knows and whether it hears them, without their virtual routers.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn peers(&self) -> Result<v1::ClusterView, Failure> {
        const WHAT: &str = "cannot ask how it sees its peers";
        let mut client = NodeServiceClient::new(self.channel.clone());
        let request = v1::GetClusterViewRequest { page_size: 1, page_token: String::new() };
        let answer = client.get_cluster_view(request).await.map_err(|status| asking(WHAT, &status))?;
        let mut view = answer.into_inner().view.ok_or_else(|| incomplete(WHAT))?;
        view.nodes.iter_mut().for_each(|node| node.routers.clear());
        Ok(view)
    }

    /// What the node knows of itself and its peers.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn cluster_view(&self) -> Result<v1::ClusterView, Failure> {
        let mut client = NodeServiceClient::new(self.channel.clone());
        let mut pages = Pages::new("cannot ask how it sees the cluster");
        let mut whole: Option<v1::ClusterView> = None;
        while let Some(page_token) = pages.next()? {
            let request = v1::GetClusterViewRequest { page_size: PAGE_SIZE, page_token };
            let answer = client.get_cluster_view(request).await;
            let answer = answer.map_err(|status| asking(pages.what, &status))?.into_inner();
            let page = answer.view.ok_or_else(|| incomplete(pages.what))?;
            whole = Some(match whole {
                None => page,
                Some(before) => joined(before, page),
            });
            pages.then(answer.next_page_token);
        }
        whole.ok_or_else(|| incomplete(pages.what))
    }
}

/// The newer page, with the routers of those before it.
fn joined(before: v1::ClusterView, mut page: v1::ClusterView) -> v1::ClusterView {
    let mut earlier: BTreeMap<String, Vec<v1::PeerRouter>> =
        before.nodes.into_iter().map(|node| (node.name, node.routers)).collect();
    for node in &mut page.nodes {
        if let Some(mut routers) = earlier.remove(&node.name) {
            routers.append(&mut node.routers);
            node.routers = routers;
        }
    }
    page
}
