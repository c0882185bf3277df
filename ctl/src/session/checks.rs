//! What hactl asks about checks and pools.

use ha_proto::v1;
use ha_proto::v1::check_service_client::CheckServiceClient;
use ha_proto::v1::pool_service_client::PoolServiceClient;
use tonic::{Code, Status};

use super::{PAGE_SIZE, Pages, Session, asking};
use crate::failure::Failure;
use crate::names;

impl Session {
    /// The checks of the node; `failing`: only those that do not pass. None on an agent that is older than checks.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn checks(&self, failing: bool) -> Result<Vec<v1::Check>, Failure> {
        let mut client = CheckServiceClient::new(self.channel.clone());
        let mut pages = Pages::new("cannot list checks");
        let mut all = Vec::new();
        while let Some(page_token) = pages.next()? {
            let request =
                v1::ListChecksRequest { parent: String::new(), page_size: PAGE_SIZE, page_token, failing };
            let answer = match client.list_checks(request).await {
                Err(status) if is_too_old(&status) => return Ok(Vec::new()),
                answer => answer.map_err(|status| asking(pages.what, &status))?.into_inner(),
            };
            all.extend(answer.checks);
            pages.then(answer.next_page_token);
        }
        Ok(all)
    }

    /// The pools of the node. None on an agent that is older than pools.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn pools(&self) -> Result<Vec<v1::Pool>, Failure> {
        let mut client = PoolServiceClient::new(self.channel.clone());
        let mut pages = Pages::new("cannot list pools");
        let mut all = Vec::new();
        while let Some(page_token) = pages.next()? {
            let request = v1::ListPoolsRequest { parent: String::new(), page_size: PAGE_SIZE, page_token };
            let answer = match client.list_pools(request).await {
                Err(status) if is_too_old(&status) => return Ok(Vec::new()),
                answer => answer.map_err(|status| asking(pages.what, &status))?.into_inner(),
            };
            all.extend(answer.pools);
            pages.then(answer.next_page_token);
        }
        Ok(all)
    }

    /// Makes one attempt of a check.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn run_check(
        &self,
        request: v1::RunCheckRequest,
    ) -> Result<v1::RunCheckResponse, Failure> {
        let what = format!("cannot run {}", names::label(&request.name));
        let answer = CheckServiceClient::new(self.channel.clone()).run_check(request).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Mutes a check.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn mute_check(
        &self,
        request: v1::MuteCheckRequest,
    ) -> Result<v1::MuteCheckResponse, Failure> {
        let what = format!("cannot mute {}", names::label(&request.name));
        let answer = CheckServiceClient::new(self.channel.clone()).mute_check(request).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Ends a mute.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn unmute_check(
        &self,
        request: v1::UnmuteCheckRequest,
    ) -> Result<v1::UnmuteCheckResponse, Failure> {
        let what = format!("cannot unmute {}", names::label(&request.name));
        let answer = CheckServiceClient::new(self.channel.clone()).unmute_check(request).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Takes a server out of its pool.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn drain_server(
        &self,
        request: v1::DrainServerRequest,
    ) -> Result<v1::DrainServerResponse, Failure> {
        let what = format!("cannot drain {}", names::label(&request.name));
        let answer = PoolServiceClient::new(self.channel.clone()).drain_server(request).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }

    /// Puts a server back into its pool.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn undrain_server(
        &self,
        request: v1::UndrainServerRequest,
    ) -> Result<v1::UndrainServerResponse, Failure> {
        let what = format!("cannot undrain {}", names::label(&request.name));
        let answer = PoolServiceClient::new(self.channel.clone()).undrain_server(request).await;
        Ok(answer.map_err(|status| asking(&what, &status))?.into_inner())
    }
}

/// Whether the agent does not know the service at all.
fn is_too_old(status: &Status) -> bool {
    status.code() == Code::Unimplemented
}
