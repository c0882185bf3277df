//! What hactl asks about addresses on the wire.

use ha_proto::v1;
use ha_proto::v1::vip_service_client::VipServiceClient;

use super::{Session, asking, incomplete};
use crate::failure::Failure;
use crate::names;

impl Session {
    /// Who answers for an address on the node's link.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn probe_vip(
        &self,
        name: String,
        timeout: Option<prost_types::Duration>,
    ) -> Result<v1::VipProbe, Failure> {
        let what = format!("cannot ask the wire for {}", names::label(&name));
        let mut client = VipServiceClient::new(self.channel.clone());
        let answer = client.probe_vip(v1::ProbeVipRequest { name, timeout }).await;
        let probe = answer.map_err(|status| asking(&what, &status))?.into_inner().probe;
        probe.ok_or_else(|| incomplete(&what))
    }

    /// Has the node announce an address again.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn announce_vip(&self, request: v1::AnnounceVipRequest) -> Result<(), Failure> {
        let what = format!("cannot announce {}", names::label(&request.name));
        let answer = VipServiceClient::new(self.channel.clone()).announce_vip(request).await;
        answer.map(drop).map_err(|status| asking(&what, &status))
    }
}
