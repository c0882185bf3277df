//! Asks all nodes at once. Each node has its own bound; one hung node costs one bound, not one per question.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use futures::future::join_all;
use ha_proto::v1;

use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::session::Session;
use crate::span::Span;

/// What came back from one endpoint.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    /// Who was asked.
    pub endpoint: Endpoint,
    /// The node's name, when it said so before it failed.
    pub name: Option<String>,
    /// What it answered.
    pub result: Result<T, Failure>,
}

impl<T> Answer<T> {
    /// The node's name, or its endpoint.
    pub(crate) fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.endpoint.to_string())
    }
}

/// What a node is asked for beside itself, its virtual routers and its virtual addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Nothing.
    Routers,
    /// The checks that do not pass, and the pools.
    Problems,
    /// All checks and pools.
    Everything,
}

/// What a node knows about itself, its virtual routers and its virtual addresses; and what else it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The node.
    pub node: v1::Node,
    /// Its clock against ours.
    pub clock: Clock,
    /// Its virtual routers.
    pub instances: Vec<v1::Instance>,
    /// Its virtual addresses.
    pub vips: Vec<v1::Vip>,
    /// Its checks.
    pub checks: Vec<v1::Check>,
    /// Its pools.
    pub pools: Vec<v1::Pool>,
    /// How it sees the other nodes, without their routers; or why it did not tell: then the rest counts all the same.
    pub peers: Result<v1::ClusterView, Failure>,
}

/// What was asked of a node beside its snapshot.
#[derive(Debug)]
pub(crate) struct More<T> {
    /// Who was asked.
    pub endpoint: Endpoint,
    /// The node's name.
    pub node: String,
    /// Its clock against ours.
    pub clock: Clock,
    /// What it answered.
    pub result: Result<T, Failure>,
}

/// Asks every endpoint `question`, all at the same time, each for at most `limit` in all: connecting included.
pub(crate) async fn ask_all<T, F, Fut>(endpoints: &[Endpoint], limit: Span, question: F) -> Vec<Answer<T>>
where
    F: Fn(usize, Session) -> Fut,
    Fut: Future<Output = Result<T, Failure>>,
{
    let question = &question;
    join_all(endpoints.iter().enumerate().map(|(index, endpoint)| async move {
        let name = Arc::new(OnceLock::new());
        let asked = async { question(index, Session::open(endpoint, name.clone()).await?).await };
        let result = match tokio::time::timeout(limit.to_duration(), asked).await {
            Ok(result) => result,
            Err(_) => Err(Failure::node_timeout(limit)),
        };
        let name = name.get().cloned();
        let label = name.clone().unwrap_or_else(|| endpoint.to_string());
        Answer { endpoint: endpoint.clone(), name, result: result.map_err(|failure| failure.on(label)) }
    }))
    .await
}

/// Asks one node whose name is known, for at most `limit` in all: connecting included.
///
/// # Errors
/// What it answers, or that it did not in time.
pub(crate) async fn ask_one<T>(
    endpoint: &Endpoint,
    node: &str,
    limit: Span,
    question: impl AsyncFnOnce(Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let asked = async { question(Session::open(endpoint, Arc::default()).await?).await };
    let answer = tokio::time::timeout(limit.to_duration(), asked).await;
    answer.unwrap_or_else(|_| Err(Failure::node_timeout(limit))).map_err(|failure| failure.on(node))
}

/// Asks one node for what is in `scope`.
///
/// # Errors
/// The first of its answers that is an error.
pub(crate) async fn snapshot(session: &mut Session, scope: Scope) -> Result<Snapshot, Failure> {
    let (node, clock) = session.node().await?;
    let peers = async { Ok::<_, Failure>(session.peers().await) };
    let (instances, vips, peers) = tokio::try_join!(session.instances(), session.vips(), peers)?;
    let (checks, pools) = match scope {
        Scope::Routers => Default::default(),
        Scope::Problems => tokio::try_join!(session.checks(true), session.pools())?,
        Scope::Everything => tokio::try_join!(session.checks(false), session.pools())?,
    };
    Ok(Snapshot { node, clock, instances, vips, checks, pools, peers })
}
