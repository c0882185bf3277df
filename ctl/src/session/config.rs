//! What hactl asks about configurations.

use ha_proto::v1;
use ha_proto::v1::config_service_client::ConfigServiceClient;

use super::{Session, asking, incomplete};
use crate::failure::Failure;

/// A node's values may fill the largest message that an agent sends.
const MOST_OCTETS: usize = 5 << 20;

impl Session {
    fn config_client(&self) -> ConfigServiceClient<tonic::transport::Channel> {
        ConfigServiceClient::new(self.channel.clone()).max_decoding_message_size(MOST_OCTETS)
    }

    /// The configuration in force.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn config(&self) -> Result<v1::Config, Failure> {
        const WHAT: &str = "cannot read the configuration";
        let answer = self.config_client().get_config(v1::GetConfigRequest::default()).await;
        let config = answer.map_err(|status| asking(WHAT, &status))?.into_inner().config;
        config.ok_or_else(|| incomplete(WHAT))
    }

    /// Has a text judged.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn validate_config(&self, text: String) -> Result<v1::ValidateConfigResponse, Failure> {
        let answer = self.config_client().validate_config(v1::ValidateConfigRequest { text }).await;
        Ok(answer.map_err(|status| asking("cannot have the configuration judged", &status))?.into_inner())
    }

    /// Has the node's file put in force, or judged.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn reload_config(
        &self,
        request: v1::ReloadConfigRequest,
    ) -> Result<v1::ReloadConfigResponse, Failure> {
        let answer = self.config_client().reload_config(request).await;
        Ok(answer.map_err(|status| asking("cannot reload the configuration", &status))?.into_inner())
    }
}
