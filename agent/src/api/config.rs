//! `ConfigService`: the configuration in force, what a text would be worth here, and a reload by the supervisor.

use std::sync::Arc;

use ha_config::{Change, Severity};
use ha_proto::v1;
use ha_proto::v1::config_service_server::ConfigService;
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use super::audit::Ticket;
use super::connection::User;
use super::convert::{duration, timestamp};
use super::error::{Reason, refuse, refuse_for_now, refuse_with, stopping};
use super::shared::{Shared, caller};
use super::{request, tokens};
use crate::configure::{Judged, Refused, Reload, Reloaded, Told};

/// The service.
#[derive(Clone)]
pub(crate) struct Configs {
    pub(crate) shared: Arc<Shared>,
}

/// Octets of values in an answer; the rest of the message needs little.
const MOST_VALUES: usize = 3 << 20;

/// Findings and changes in an answer. A file has at most 500 findings of its own.
const MOST_ENTRIES: usize = 1000;

#[async_trait]
impl ConfigService for Configs {
    async fn get_config(
        &self,
        request: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::GetConfigResponse>, Status> {
        self.shared.names.check_config(&request.get_ref().name)?;
        Ok(Response::new(v1::GetConfigResponse { config: Some(in_force(&self.shared, true)) }))
    }

    async fn validate_config(
        &self,
        request: Request<v1::ValidateConfigRequest>,
    ) -> Result<Response<v1::ValidateConfigResponse>, Status> {
        self.shared.rate.take(caller(&request)?.user)?;
        let judged = self.shared.configure.judge(request.into_inner().text).await.map_err(refused)?;
        let now = Arc::clone(&self.shared.options.config.borrow().configuration);
        let next = judged.configuration.as_deref();
        let changes = next.map(|next| ha_config::changes(&now, next)).unwrap_or_default();
        Ok(Response::new(v1::ValidateConfigResponse {
            valid: next.is_some(),
            findings: findings(&judged),
            changes: shown(&changes),
            digest: judged.digest,
        }))
    }

    async fn reload_config(
        &self,
        request: Request<v1::ReloadConfigRequest>,
    ) -> Result<Response<v1::ReloadConfigResponse>, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        self.shared.names.check_config(&request.name)?;
        let id = request::id(&request.request_id)?;
        let wish = Reload {
            actor: Some(Arc::new(caller.actor(id))),
            reason: request::reason(&request.reason)?.to_owned(),
            in_force: request.etag.clone(),
            expected: request.expected_digest.clone(),
            dry_run: request.validate_only,
        };
        caller.ticket.note(|details| {
            details.reason = wish.reason.as_str().into();
            details.request_id = id.to_owned();
            details.dry_run = wish.dry_run;
        });
        // What changes nothing uses up no id.
        let id = if wish.dry_run { "" } else { id };
        let (this, user, ticket) = (self.clone(), caller.user, caller.ticket.clone());
        let effect = async move { this.reload(user, &ticket, wish).await };
        Ok(Response::new(self.shared.once.run(user, id, &request, effect).await?))
    }
}

impl Configs {
    /// What runs to its end even if the caller leaves.
    async fn reload(
        &self,
        user: User,
        ticket: &Ticket,
        wish: Reload,
    ) -> Result<v1::ReloadConfigResponse, Status> {
        let shared = &self.shared;
        shared.rate.take(user)?;
        let before = in_words(&shared.options.config.borrow().digest);
        ticket.note(|details| details.before = before.into());
        let resume_token = tokens::resume_token(&shared.journal, shared.journal.newest());
        let Reloaded { judged, changes, took } = shared.configure.reload(wish).await.map_err(refused)?;
        ticket.note(|details| details.after = after_in_words(&judged.digest, &changes));
        Ok(v1::ReloadConfigResponse {
            config: Some(in_force(shared, false)),
            valid: judged.configuration.is_some(),
            findings: findings(&judged),
            changes: shown(&changes),
            digest: judged.digest,
            resume_token,
            took: Some(duration(took)),
        })
    }
}

/// Which configuration, for who reads what was changed.
fn in_words(digest: &str) -> String {
    format!("configuration {digest:.12}")
}

/// The same after a reload, with what that changed.
fn after_in_words(digest: &str, changes: &[Change]) -> Arc<str> {
    /// More are read in the log of the reload.
    const MOST: usize = 8;
    let mut named: Vec<String> = changes.iter().take(MOST).map(ToString::to_string).collect();
    if changes.is_empty() {
        named.push("nothing changed".to_owned());
    }
    if changes.len() > MOST {
        named.push(format!("and {} more changes", changes.len() - MOST));
    }
    format!("{}: {}", in_words(digest), named.join("; ")).into()
}

fn in_force(shared: &Shared, with_values: bool) -> v1::Config {
    let info = shared.options.config.borrow().clone();
    let (values, truncated) = if with_values { values(&info.configuration) } else { Default::default() };
    v1::Config {
        name: shared.names.config(),
        etag: info.digest.clone(),
        digest: info.digest,
        source: info.file.display().to_string(),
        load_time: Some(timestamp(info.loaded)),
        values,
        truncated,
    }
}

/// The values in force, and whether some had to be left out.
fn values(configuration: &ha_config::Configuration) -> (Vec<v1::ConfigValue>, bool) {
    let (mut values, mut octets) = (Vec::new(), 0);
    for ha_config::EffectiveValue { key, value } in ha_config::effective(configuration) {
        let value = v1::ConfigValue { key, value };
        octets += value.encoded_len() + 8;
        if octets > MOST_VALUES {
            return (values, true);
        }
        values.push(value);
    }
    (values, false)
}

fn findings(judged: &Judged) -> Vec<v1::ConfigFinding> {
    judged.told.iter().take(MOST_ENTRIES).map(finding).collect()
}

fn finding(told: &Told) -> v1::ConfigFinding {
    let level = match told.severity {
        Severity::Error => v1::config_finding::Level::Error,
        Severity::Warning => v1::config_finding::Level::Warning,
    };
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let (line, column) = told.place.unwrap_or_default();
    v1::ConfigFinding {
        level: level.into(),
        line: number(line),
        column: number(column),
        message: told.message.clone(),
        remedy: told.remedy.clone(),
        source_line: told.source_line.clone(),
    }
}

fn shown(changes: &[Change]) -> Vec<v1::ConfigChange> {
    let shown = |change: &Change| v1::ConfigChange {
        change: change.to_string(),
        restart_needed: matches!(change, Change::Setting { needs_restart: true, .. }),
    };
    let mut all: Vec<_> = changes.iter().take(MOST_ENTRIES).map(shown).collect();
    let more = changes.len() - all.len();
    if more > 0 {
        let change = format!("and {more} more changes");
        all.push(v1::ConfigChange { change, restart_needed: false });
    }
    all
}

fn refused(refused: Refused) -> Status {
    match refused {
        Refused::OtherInForce(digest) => refuse_with(
            Reason::EtagMismatch,
            format!("configuration {digest:.12} is in force, another than you read"),
            "read it again, decide again, and send its new etag",
            ("etag", &digest),
        ),
        Refused::OtherFile(digest) => refuse(
            Reason::ConfigFileChanged,
            format!("the file now has the digest {digest:.12}, another than you expect"),
            "look again at what it would change, with validate_only",
        ),
        Refused::Rejected { first, count } => refuse(
            Reason::ConfigRejected,
            format!(
                "the file has {count} error{}, the old configuration stays in force; the first: {first}",
                if count == 1 { "" } else { "s" }
            ),
            "hactl config reload --dry-run shows all of them",
        ),
        Refused::Stopping => stopping(),
        Refused::Busy => refuse_for_now(
            Reason::TooManyValidations,
            "another configuration is being judged",
            "try again in a moment",
            std::time::Duration::from_secs(1),
        ),
    }
}
