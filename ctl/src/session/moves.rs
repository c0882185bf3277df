//! Planned moves.

use ha_proto::v1;
use ha_proto::v1::instance_service_client::InstanceServiceClient;
use ha_proto::v1::node_service_client::NodeServiceClient;
use tonic::Request;

use super::{Session, asking, incomplete};
use crate::failure::Failure;
use crate::names;

impl Session {
    /// Drains the node.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn drain_node(
        &self,
        request: v1::DrainNodeRequest,
    ) -> Result<v1::DrainNodeResponse, Failure> {
        let what = format!("cannot drain {}", names::node(&request.name));
        let answer = NodeServiceClient::new(self.channel.clone()).drain_node(Request::new(request)).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// The drain of the node, in force or not.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn drain(&self) -> Result<v1::Drain, Failure> {
        const WHAT: &str = "cannot ask whether the node is drained";
        let answer =
            NodeServiceClient::new(self.channel.clone()).get_drain(v1::GetDrainRequest::default()).await;
        answer.map_err(|status| asking(WHAT, &status))?.into_inner().drain.ok_or_else(|| incomplete(WHAT))
    }

    /// Ends a drain.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn undrain_node(
        &self,
        request: v1::UndrainNodeRequest,
    ) -> Result<v1::UndrainNodeResponse, Failure> {
        let what = format!("cannot undrain {}", names::node(&request.name));
        let answer = NodeServiceClient::new(self.channel.clone()).undrain_node(Request::new(request)).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Gives a virtual router to another node.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn transfer_instance(
        &self,
        request: v1::TransferInstanceRequest,
    ) -> Result<v1::TransferInstanceResponse, Failure> {
        let what = format!("cannot transfer {}", names::instance_label(&request.name));
        let mut client = InstanceServiceClient::new(self.channel.clone());
        let answer = client.transfer_instance(Request::new(request)).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Lets a virtual router preempt again.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn end_transfer(
        &self,
        request: v1::EndTransferRequest,
    ) -> Result<v1::EndTransferResponse, Failure> {
        let what = format!("cannot end the transfer of {}", names::instance_label(&request.name));
        let mut client = InstanceServiceClient::new(self.channel.clone());
        let answer = client.end_transfer(Request::new(request)).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }
}
