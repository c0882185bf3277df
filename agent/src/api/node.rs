//! `NodeService`: the node that answers.

use std::sync::Arc;
use std::time::SystemTime;

use ha_engine::StateName;
use ha_proto::v1;
use ha_proto::v1::node_service_server::NodeService;
use tonic::{Request, Response, Status, async_trait};

use super::Condition;
use super::convert::timestamp;
use super::shared::{Shared, caller};
use super::snapshots::View;

/// The service.
#[derive(Clone)]
pub(crate) struct Nodes {
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl NodeService for Nodes {
    async fn get_node(
        &self,
        request: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::GetNodeResponse>, Status> {
        self.shared.names.check_node(&request.get_ref().name)?;
        let view = self.shared.snapshots.view().await?;
        Ok(Response::new(v1::GetNodeResponse { node: Some(node(&self.shared, &view)) }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        let caller = caller(&request)?;
        self.shared.names.check_node(&request.get_ref().name)?;
        Ok(Response::new(self.shared.drain_node(&caller, request.into_inner()).await?))
    }

    async fn undrain_node(
        &self,
        request: Request<v1::UndrainNodeRequest>,
    ) -> Result<Response<v1::UndrainNodeResponse>, Status> {
        let caller = caller(&request)?;
        self.shared.names.check_node(&request.get_ref().name)?;
        Ok(Response::new(self.shared.undrain_node(&caller, request.into_inner()).await?))
    }

    async fn get_drain(
        &self,
        request: Request<v1::GetDrainRequest>,
    ) -> Result<Response<v1::GetDrainResponse>, Status> {
        let name = &request.get_ref().name;
        self.shared.names.check_node(name.strip_suffix("/drain").unwrap_or(name))?;
        Ok(Response::new(v1::GetDrainResponse { drain: Some(self.shared.drain().await?) }))
    }

    async fn get_cluster_view(
        &self,
        request: Request<v1::GetClusterViewRequest>,
    ) -> Result<Response<v1::GetClusterViewResponse>, Status> {
        Ok(Response::new(self.shared.cluster_view(request.get_ref()).await?))
    }
}

/// The node as it stands.
pub(crate) fn node(shared: &Shared, view: &View) -> v1::Node {
    let Shared { options, journal, names, .. } = shared;
    let instances = &view.snapshot.instances;
    let active = instances.iter().filter(|status| status.state == StateName::Active).count();
    let config = options.config.borrow().clone();
    v1::Node {
        name: names.node(),
        incarnation_id: journal.incarnation().to_string(),
        version: options.version.clone(),
        api_versions: vec!["ha.agent.v1".to_owned()],
        start_time: Some(timestamp(journal.wall_clock().wall(journal.started()))),
        server_time: Some(timestamp(SystemTime::now())),
        config_digest: config.digest,
        config_load_time: Some(timestamp(config.loaded)),
        conditions: options.conditions.borrow().iter().map(condition).collect(),
        instance_count: i32::try_from(instances.len()).unwrap_or(i32::MAX),
        active_count: i32::try_from(active).unwrap_or(i32::MAX),
    }
}

fn condition(condition: &Condition) -> v1::Condition {
    let status = match condition.holds {
        Some(true) => v1::condition::Status::True,
        Some(false) => v1::condition::Status::False,
        None => v1::condition::Status::Unknown,
    };
    v1::Condition {
        r#type: condition.name.to_owned(),
        status: status.into(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        last_transition_time: Some(timestamp(condition.since)),
    }
}
