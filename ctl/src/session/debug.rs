//! What an agent tells of itself to whoever looks for a fault in it.

use ha_proto::v1;
use ha_proto::v1::debug_service_client::DebugServiceClient;

use super::{Session, asking, incomplete};
use crate::failure::Failure;
use crate::names;

/// More than an agent tells: one that goes on is stopped here.
const MOST_OCTETS: usize = 80 << 20;

impl Session {
    /// The agent's own inner state, and whether it is whole.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn dump_state(&self) -> Result<(Vec<v1::StateEntry>, bool), Failure> {
        const WHAT: &str = "cannot ask for the state of the agent";
        let mut client = DebugServiceClient::new(self.channel.clone());
        let answer = client.dump_state(v1::DumpStateRequest::default()).await;
        let mut stream = answer.map_err(|status| asking(WHAT, &status))?.into_inner();
        let (mut entries, mut octets, mut is_whole) = (Vec::new(), 0, false);
        while let Some(message) = stream.message().await.map_err(|status| asking(WHAT, &status))? {
            octets += message.entries.iter().map(|entry| entry.json.len() + entry.name.len()).sum::<usize>();
            if octets > MOST_OCTETS {
                return Err(Failure::internal("the agent's state does not end").doing(WHAT));
            }
            is_whole = message.complete;
            entries.extend(message.entries);
        }
        Ok((entries, is_whole))
    }

    /// What the agent logs.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn log_level(&self) -> Result<v1::LogLevel, Failure> {
        const WHAT: &str = "cannot ask for the log level";
        let mut client = DebugServiceClient::new(self.channel.clone());
        let answer = client.get_log_level(v1::GetLogLevelRequest::default()).await;
        answer.map_err(|status| asking(WHAT, &status))?.into_inner().log_level.ok_or_else(|| incomplete(WHAT))
    }

    /// Has the agent log at another level.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn set_log_level(
        &self,
        request: v1::SetLogLevelRequest,
    ) -> Result<v1::LogLevel, Failure> {
        let what = format!("cannot set the log level of {}", names::node(&request.name));
        let answer = DebugServiceClient::new(self.channel.clone()).set_log_level(request).await;
        answer
            .map_err(|status| asking(&what, &status))?
            .into_inner()
            .log_level
            .ok_or_else(|| incomplete(&what))
    }

    /// Has the agent log at its configured level.
    ///
    /// # Errors
    /// What the agent answers.
    pub(crate) async fn reset_log_level(
        &self,
        request: v1::ResetLogLevelRequest,
    ) -> Result<v1::LogLevel, Failure> {
        let what = format!("cannot reset the log level of {}", names::node(&request.name));
        let answer = DebugServiceClient::new(self.channel.clone()).reset_log_level(request).await;
        answer
            .map_err(|status| asking(&what, &status))?
            .into_inner()
            .log_level
            .ok_or_else(|| incomplete(&what))
    }
}
