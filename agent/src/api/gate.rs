//! What every call passes: who calls and whether they may, the deadline, panics, and errors that carry their reason.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ha_engine::Actor;
use http::{HeaderMap, Request, Response};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, error, info_span, warn};

use super::audit::{Auditor, Ticket};
use super::connection::{Peer, User};
use super::error::{Reason, complete, internal, refuse};
use super::question::Questions;
use super::roles::{Role, Roles, is_for_nodes, is_stream, required};
use super::unsent::Unsent;
use super::{Call, Counters, Observer};

/// Who calls; in the extensions of every request that reaches a service.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// For bookkeeping.
    pub(crate) user: User,
    /// Where a change says what it is, for the event about it.
    pub(crate) ticket: Ticket,
    peer: Peer,
    role: Role,
    trace_id: String,
}

impl Caller {
    /// "uid=0(unix)" or "alice(certificate)".
    pub(crate) fn principal(&self) -> String {
        self.peer.principal()
    }

    /// Whether it may speak for this node.
    pub(crate) fn is_node(&self, name: &str) -> bool {
        match &self.peer {
            Peer::Certificate { identity, .. } => identity.node.as_deref() == Some(name),
            Peer::Unix { .. } => self.peer.is_a_node(),
        }
    }

    /// As it is written into events and overrides.
    pub(crate) fn actor(&self, request_id: &str) -> Actor {
        Actor {
            principal: self.principal(),
            roles: self.role.included().map(|role| role.as_str().to_owned()).collect(),
            peer_address: self.peer.address(),
            request_id: request_id.to_owned(),
            trace_id: self.trace_id.clone(),
        }
    }
}

/// When the caller no longer waits; in the extensions of requests that have a deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

/// Wraps all services.
#[derive(Clone)]
pub(crate) struct GateLayer {
    gate: Arc<Gate>,
}

/// What the gate knows.
pub(crate) struct Gate {
    roles: watch::Receiver<Arc<Roles>>,
    counters: Arc<Counters>,
    observer: Option<Observer>,
    auditor: Arc<Auditor>,
    questions: Questions,
    unsent: Unsent,
}

impl GateLayer {
    pub(crate) fn new(
        roles: watch::Receiver<Arc<Roles>>,
        counters: Arc<Counters>,
        observer: Option<Observer>,
        auditor: Arc<Auditor>,
        unsent: Unsent,
    ) -> Self {
        Self {
            gate: Arc::new(Gate {
                roles,
                counters,
                observer,
                auditor,
                questions: Questions::default(),
                unsent,
            }),
        }
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: Arc::clone(&self.gate) }
    }
}

/// All services behind the gate.
#[derive(Clone)]
pub(crate) struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that said it was ready.
        let inner = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, inner);
        let gate = Arc::clone(&self.gate);
        let method = request.uri().path().to_owned();
        let span = info_span!(
            target: "ha_agent::rpc",
            "rpc",
            rpc.system.name = "grpc",
            rpc.method = method.trim_start_matches('/'),
            rpc.response.status_code = tracing::field::Empty,
        );
        let ticket = Ticket::default();
        let open = gate.auditor.open(&method, &ticket, || gate.actor(&request));
        let admitted = gate.admit(&mut request, &method, ticket);
        let user = request.extensions().get::<Peer>().map(Peer::user);
        let answering = async move {
            let began = Instant::now();
            let response = match admitted {
                Ok(deadline) => answer(inner, gate.take_in(request, user, &method), deadline).await?,
                Err(refusal) => refusal.into_http(),
            };
            if let Some(open) = open {
                open.close(Status::from_header_map(response.headers()).as_ref());
            }
            let response = match user.filter(|_| !is_stream(&method)) {
                Some(user) => gate.unsent.hold(user, response),
                None => response,
            };
            gate.observe(&method, &response, began.elapsed());
            Ok(response)
        };
        Box::pin(answering.instrument(span))
    }
}

impl Gate {
    /// Finds out who calls and whether they may; puts [`Caller`] and [`Deadline`] into the request.
    fn admit(
        &self,
        request: &mut Request<Body>,
        method: &str,
        ticket: Ticket,
    ) -> Result<Option<Instant>, Status> {
        let peer = request.extensions().get::<Peer>().cloned().ok_or_else(internal)?;
        let role = self.role_for(&peer, method)?;
        let trace_id = trace_id(request.headers()).unwrap_or_default().to_owned();
        let deadline = timeout(request.headers()).map(|timeout| Instant::now() + timeout);
        request.extensions_mut().insert(Caller { user: peer.user(), ticket, peer, role, trace_id });
        if let Some(deadline) = deadline {
            request.extensions_mut().insert(Deadline(deadline));
        }
        Ok(deadline)
    }

    fn take_in(&self, request: Request<Body>, user: Option<User>, method: &str) -> Request<Body> {
        match user {
            Some(user) => request.map(|body| self.questions.take_in(user, method, body)),
            None => request,
        }
    }

    /// Who calls, whatever may become of the call.
    fn actor(&self, request: &Request<Body>) -> Option<Actor> {
        let peer = request.extensions().get::<Peer>()?;
        let role = self.roles.borrow().of_peer(peer);
        Some(Actor {
            principal: peer.principal(),
            roles: role
                .iter()
                .flat_map(|role| role.included())
                .map(|role| role.as_str().to_owned())
                .collect(),
            peer_address: peer.address(),
            request_id: String::new(),
            trace_id: trace_id(request.headers()).unwrap_or_default().to_owned(),
        })
    }

    /// The role in which somebody calls a method, when they may.
    fn role_for(&self, peer: &Peer, method: &str) -> Result<Role, Status> {
        let role = self.roles.borrow().of_peer(peer);
        if is_for_nodes(method) {
            let reader = role.unwrap_or(Role::Reader);
            return peer.is_a_node().then_some(reader).ok_or_else(|| {
                self.note_denied(peer, method, "node");
                no_node(peer)
            });
        }
        let needed = required(method);
        role.filter(|role| *role >= needed).ok_or_else(|| {
            self.note_denied(peer, method, needed.as_str());
            denied(peer, needed, role)
        })
    }

    fn note_denied(&self, peer: &Peer, method: &str, needed: &str) {
        self.counters.denied.fetch_add(1, Ordering::Relaxed);
        warn!(caller = peer.principal(), method, needed, "call denied");
    }

    fn observe(&self, method: &str, response: &Response<Body>, elapsed: Duration) {
        let code = Status::from_header_map(response.headers()).map_or(Code::Ok, |status| status.code());
        tracing::Span::current().record("rpc.response.status_code", tracing::field::debug(code));
        if let Some(observer) = &self.observer {
            observer(&Call { method, code, elapsed });
        }
    }
}

async fn answer<S>(
    mut inner: S,
    request: Request<Body>,
    deadline: Option<Instant>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<Body>>,
{
    let answering = AssertUnwindSafe(async { inner.call(request).await }).catch_unwind();
    let answered = match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline, answering).await,
        None => Ok(answering.await),
    };
    match answered {
        Ok(Ok(response)) => response.map(with_reason),
        Ok(Err(_panic)) => {
            error!("a call to the control plane panicked; the agent goes on");
            Ok(internal().into_http())
        }
        Err(_elapsed) => Ok(deadline_exceeded().into_http()),
    }
}

/// The caller's deadline has passed.
pub(crate) fn deadline_exceeded() -> Status {
    refuse(
        Reason::DeadlineExceeded,
        "the deadline of the call has passed",
        "allow more time; a change may have been made, so repeat it with the same request_id",
    )
}

fn denied(peer: &Peer, needed: Role, role: Option<Role>) -> Status {
    let has = role.map_or("no role", Role::as_str);
    let next = match peer {
        Peer::Unix { .. } => {
            format!("have the user listed as {needed} in the agent's configuration, or call as root")
        }
        Peer::Certificate { .. } => format!(
            "have a certificate issued with --role {needed}, or the name listed as {needed} in the agent's configuration"
        ),
    };
    refuse(
        Reason::RoleMissing,
        format!("{} has {has} here and this call needs {needed}", peer.principal()),
        next,
    )
}

fn no_node(peer: &Peer) -> Status {
    refuse(
        Reason::RoleMissing,
        format!("{} is not a node, and this call is for the agents of the cluster", peer.principal()),
        "for an agent, issue its certificate with hactl pki issue node; people ask NodeService and InstanceService",
    )
}

/// Gives an error answer of the gRPC library our reason.
fn with_reason(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() != Code::Ok && status.details().is_empty() => {
            complete(status).into_http()
        }
        _ => response,
    }
}

/// The caller's `grpc-timeout`, less a little: the gRPC library ends the call at that time with CANCELLED, here and at the
/// caller's, and the caller is to read DEADLINE_EXCEEDED with its reason.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    let timeout = match unit {
        "H" => Duration::from_secs(value * 3600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    };
    let earlier = (timeout / 20).clamp(Duration::from_millis(3), Duration::from_millis(100));
    Some(timeout.saturating_sub(earlier))
}

/// The trace id of a W3C `traceparent`: version, 32 hexadecimal digits, span, flags.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let id = parts.nth(1)?;
    let valid = id.len() == 32
        && id.bytes().all(|digit| digit.is_ascii_hexdigit())
        && id.bytes().any(|digit| digit != b'0');
    valid.then_some(id)
}

#[cfg(test)]
mod tests;
