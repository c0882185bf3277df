//! `hactl pool server drain` and `undrain`: done when the balancer runs it.

use ha_proto::v1;

use crate::args::{ServerTarget, Ttl};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::change::{Change, Request, outcome_line, require_consent, run};
use crate::commands::check::held;
use crate::commands::unknown::unknown_thing;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::{PoolView, ServerView, also_restarts};
use crate::names;
use crate::output::Stop;
use crate::render::Times;
use crate::session::Session;

/// A drain, or the end of one.
pub(super) enum Drain {
    /// Takes it out.
    Out { ttl: Ttl, reason: String, survive_restart: bool, allow_below_floor: bool },
    /// Puts it back.
    Back,
}

/// A server with its pool.
#[derive(Debug, serde::Serialize)]
pub(super) struct Drained {
    backend: Option<String>,
    backend_state: &'static str,
    backend_error: Option<String>,
    #[serde(flatten)]
    server: ServerView,
}

/// Does it on each node that has the pool.
pub(super) async fn change(context: &Context, target: &ServerTarget, change: Drain) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Problems).await?;
    if !target.is_of_one_node() {
        context.tell_missing(&cluster);
    }
    let filter = context.filter();
    let pools = cluster.pools();
    let servers = pools.iter().filter(|pool| filter.wants(&pool.node)).flat_map(|pool| &pool.servers);
    let servers: Vec<String> =
        servers.map(|server| server.name.clone()).filter(|name| target.matches(name)).collect();
    if servers.is_empty() {
        let list = format!("hactl pool get {} shows what there is", target.pool());
        let all = pools.iter().flat_map(|pool| &pool.servers).map(|server| server.name.clone());
        return Err(unknown_thing(&cluster, "server", &target.to_string(), all, &list));
    }
    let done = run(context, &cluster, &change, servers).await?;
    Ok(if target.is_of_one_node() { done } else { context.everywhere(&cluster, done) })
}

impl Change for Drain {
    type View = Drained;
    const KIND: &'static str = "ServerChange";
    const SCOPE: Scope = Scope::Problems;

    fn describe(&self, name: &str) -> String {
        let label = names::label(name);
        match self {
            Drain::Out { ttl, survive_restart, .. } => {
                let how_long = ttl.in_words("until undrained");
                format!("take {label} out of its pool {how_long}{}", also_restarts(*survive_restart))
            }
            Drain::Back => format!("put {label} back into its pool"),
        }
    }

    async fn call(&self, session: Session, name: String, request: Request) -> Result<(), Failure> {
        let Request { id: request_id, validate_only } = request;
        match self {
            Drain::Out { ttl, reason, survive_restart, allow_below_floor } => {
                let (reason, ttl) = (reason.clone(), ttl.to_proto());
                let (allow_below_floor, survive_restart) = (*allow_below_floor, *survive_restart);
                let request = v1::DrainServerRequest {
                    name,
                    reason,
                    ttl,
                    allow_below_floor,
                    request_id,
                    validate_only,
                    survive_restart,
                };
                session.drain_server(request).await.map(drop)
            }
            Drain::Back => {
                let request = v1::UndrainServerRequest { name, request_id, validate_only };
                session.undrain_server(request).await.map(drop)
            }
        }
    }

    fn look(&self, cluster: &Cluster, name: &str) -> Option<Drained> {
        cluster.pools().into_iter().find_map(|pool| {
            let PoolView { backend, backend_state, backend_error, servers, .. } = pool;
            let server = servers.into_iter().find(|server| server.name == name)?;
            Some(Drained { backend, backend_state, backend_error, server })
        })
    }

    fn missing(&self, drained: &Drained) -> Option<String> {
        let label = names::label(&drained.server.name);
        match (self, &drained.server.drain) {
            (Drain::Out { .. }, None) => return Some(format!("{label} does not show the drain")),
            (Drain::Back, Some(_)) => return Some(format!("{label} is still drained")),
            _ => {}
        }
        let backend = drained.backend.as_ref()?;
        let running = drained.server.running_weight.unwrap_or(0);
        let differs = drained.backend_state != "CURRENT" || running != drained.server.desired_weight;
        let error = drained.backend_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        differs.then(|| format!("{backend} does not run it yet{error}"))
    }

    fn outcome(&self, drained: &Drained, _times: &Times) -> String {
        let server = &drained.server;
        let what = match &server.drain {
            Some(drain) => format!("{}, drained {}", server.state, held(drain)),
            None => format!("{}, weight {}", server.state, server.desired_weight),
        };
        outcome_line(&server.name, &what)
    }
}
