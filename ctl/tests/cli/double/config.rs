//! The configuration of the double: a few values, of which the last ones may not fit into its answer.

use ha_proto::v1;
use ha_proto::v1::config_service_server::ConfigService;
use tonic::{Request, Response, Status};

use super::{Service, World};

impl World {
    fn config(&self) -> v1::Config {
        let value =
            |(key, value): &(String, String)| v1::ConfigValue { key: key.clone(), value: value.clone() };
        let fit = self.values_fit.unwrap_or(self.values.len());
        v1::Config {
            name: format!("nodes/{}/config", self.name),
            digest: "0123456789abcdef".to_owned(),
            source: format!("/etc/{}.toml", self.name),
            values: self.values.iter().take(fit).map(value).collect(),
            truncated: fit < self.values.len(),
            ..v1::Config::default()
        }
    }
}

#[tonic::async_trait]
impl ConfigService for Service {
    async fn get_config(
        &self,
        _: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::GetConfigResponse>, Status> {
        let world = self.world().await?;
        match &world.refuse_config {
            Some(refusal) => Err(refusal.clone()),
            None => Ok(Response::new(v1::GetConfigResponse { config: Some(world.config()) })),
        }
    }

    async fn validate_config(
        &self,
        _: Request<v1::ValidateConfigRequest>,
    ) -> Result<Response<v1::ValidateConfigResponse>, Status> {
        if let Some(refusal) = &self.world().await?.refuse_config {
            return Err(refusal.clone());
        }
        Ok(Response::new(v1::ValidateConfigResponse { valid: true, ..Default::default() }))
    }

    async fn reload_config(
        &self,
        _: Request<v1::ReloadConfigRequest>,
    ) -> Result<Response<v1::ReloadConfigResponse>, Status> {
        let world = self.world().await?;
        if let Some(refusal) = &world.refuse_config {
            return Err(refusal.clone());
        }
        let config = Some(v1::Config { values: Vec::new(), ..world.config() });
        let digest = "0123456789abcdef".to_owned();
        Ok(Response::new(v1::ReloadConfigResponse { config, valid: true, digest, ..Default::default() }))
    }
}
