//! `hactl check mute` and `unmute`.

use ha_proto::v1;

use super::{find, held};
use crate::args::{CheckTarget, Ttl};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::change::{Change, Request, outcome_line, require_consent, run};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::{CheckView, also_restarts};
use crate::names;
use crate::output::Stop;
use crate::render::Times;
use crate::session::Session;

/// A mute, or the end of one.
struct Mute {
    /// None = unmute.
    hold: Option<Hold>,
}

/// How a check is muted.
pub(super) struct Hold {
    /// How long.
    pub(super) ttl: Ttl,
    /// Why.
    pub(super) reason: String,
    /// Also over a restart of the agent.
    pub(super) survive_restart: bool,
}

/// Mutes a check on each node that has it.
pub(super) async fn mute(context: &Context, target: &CheckTarget, hold: Hold) -> Result<Exit, Stop> {
    change(context, target, Mute { hold: Some(hold) }).await
}

/// Ends a mute on each node that has the check.
pub(super) async fn unmute(context: &Context, target: &CheckTarget) -> Result<Exit, Stop> {
    change(context, target, Mute { hold: None }).await
}

async fn change(context: &Context, target: &CheckTarget, change: Mute) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Everything).await?;
    if !target.is_of_one_node() {
        context.tell_missing(&cluster);
    }
    let checks = find(context, &cluster, target)?;
    let done = run(context, &cluster, &change, checks.into_iter().map(|check| check.name).collect()).await?;
    Ok(if target.is_of_one_node() { done } else { context.everywhere(&cluster, done) })
}

impl Change for Mute {
    type View = CheckView;
    const KIND: &'static str = "CheckChange";
    const SCOPE: Scope = Scope::Everything;

    fn describe(&self, name: &str) -> String {
        let label = names::label(name);
        match &self.hold {
            Some(Hold { ttl, survive_restart, .. }) => {
                let (how_long, also) = (ttl.in_words("until unmuted"), also_restarts(*survive_restart));
                format!("mute {label} {how_long}{also}: its verdict stays what it is")
            }
            None => format!("unmute {label}"),
        }
    }

    async fn call(&self, session: Session, name: String, request: Request) -> Result<(), Failure> {
        let Request { id: request_id, validate_only } = request;
        match &self.hold {
            Some(Hold { ttl, reason, survive_restart }) => {
                let (reason, ttl, survive_restart) = (reason.clone(), ttl.to_proto(), *survive_restart);
                let request =
                    v1::MuteCheckRequest { name, reason, ttl, request_id, validate_only, survive_restart };
                session.mute_check(request).await.map(drop)
            }
            None => {
                let request = v1::UnmuteCheckRequest { name, request_id, validate_only };
                session.unmute_check(request).await.map(drop)
            }
        }
    }

    fn look(&self, cluster: &Cluster, name: &str) -> Option<CheckView> {
        cluster.checks().into_iter().find(|check| check.name == name)
    }

    fn missing(&self, check: &CheckView) -> Option<String> {
        let label = names::label(&check.name);
        match (&self.hold, &check.mute) {
            (Some(_), None) => Some(format!("{label} does not show the mute")),
            (None, Some(_)) => Some(format!("{label} still shows a mute")),
            _ => None,
        }
    }

    fn outcome(&self, check: &CheckView, _times: &Times) -> String {
        let what = match &check.mute {
            Some(mute) => format!("stays {}, muted {}", check.verdict, held(mute)),
            None => format!("{}, not muted", check.verdict),
        };
        outcome_line(&check.name, &what)
    }
}
