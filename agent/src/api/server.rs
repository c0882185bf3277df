//! Puts the services behind the gate and on the socket, and ends them in time.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use ha_proto::v1::check_service_server::CheckServiceServer;
use ha_proto::v1::config_service_server::ConfigServiceServer;
use ha_proto::v1::debug_service_server::DebugServiceServer;
use ha_proto::v1::event_service_server::EventServiceServer;
use ha_proto::v1::instance_service_server::InstanceServiceServer;
use ha_proto::v1::node_service_server::NodeServiceServer;
use ha_proto::v1::peer_service_server::PeerServiceServer;
use ha_proto::v1::pool_service_server::PoolServiceServer;
use ha_proto::v1::vip_service_server::VipServiceServer;
use tokio::net::UnixListener;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tracing::{info, warn};

use super::audit::Auditor;
use super::check::Checks;
use super::config::Configs;
use super::connection::{Connection, Incoming, Places, accept};
use super::debug::Debug;
use super::event::Events;
use super::gate::GateLayer;
use super::health::Healths;
use super::instance::Instances;
use super::node::Nodes;
use super::peer::Peers;
use super::pool::PoolsService;
use super::question::LONGEST;
use super::reflection::{self, LONGEST_QUESTION, Placed};
use super::shared::Shared;
use super::socket::{ApiError, Socket};
use super::tls::Listeners;
use super::unsent::Unsent;
use super::vip::Vips;
use super::{Asked, Limits, Options, Tcp};
use crate::journal::Journal;

/// How long open calls may take to end by themselves when the agent stops.
const GRACE: Duration = Duration::from_millis(1500);

/// How long connections may take to end after that.
const LAST_GRACE: Duration = Duration::from_millis(300);

/// Octets of a message that is sent.
const MOST_SENT: usize = 4 << 20;

/// Octets of a header list, for each connection; streams that a client may reset before they were looked at.
const MOST_HEADERS: u32 = 16 << 10;
const MOST_RESETS: usize = 20;

/// How often a silent client is asked whether it is there, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The sockets of the control plane, bound. Nothing is answered before [`Bound::serve`].
pub struct Bound {
    options: Options,
    socket: Socket,
    listener: UnixListener,
    tcp: Option<Listeners>,
}

/// Takes the sockets, in less than a millisecond. Must be called within a runtime.
///
/// # Errors
/// [`ApiError`] when a socket cannot be had; another agent's above all.
pub fn bind(mut options: Options) -> Result<Bound, ApiError> {
    // The socket's alone: whoever still looks at the options must not keep the next process waiting.
    let claim = options.claim.take();
    let (socket, listener) = Socket::bind(&options.socket, options.group, claim)?;
    info!(socket = %options.socket.display(), "control plane offered");
    let tcp = bind_tcp(options.tcp.as_ref())?;
    Ok(Bound { options, socket, listener, tcp })
}

impl Bound {
    /// What serves the sockets until `shutdown` is cancelled, and at most two seconds longer. To be called within a runtime.
    ///
    /// # Errors
    /// [`ApiError`] when the contract cannot be offered.
    pub fn serve(
        self,
        asked: Asked,
        journal: Arc<Journal>,
        shutdown: CancellationToken,
    ) -> Result<impl Future<Output = ()> + Send + 'static, ApiError> {
        let Self { options, socket, listener, tcp } = self;
        let shared = Arc::new(Shared::new(options, asked, journal, shutdown));
        let routes = routes(&shared)?;
        Ok(async move {
            run(shared, routes, listener, tcp).await;
            drop(socket);
        })
    }
}

fn bind_tcp(tcp: Option<&Tcp>) -> Result<Option<Listeners>, ApiError> {
    let Some(tcp) = tcp else { return Ok(None) };
    let listeners =
        Listeners::bind(&tcp.listen).map_err(|(address, source)| ApiError::Listen { address, source })?;
    tcp.listen.iter().for_each(|address| info!(%address, "control plane offered over TLS"));
    Ok(Some(listeners))
}

/// What comes in over TLS; nothing without listeners.
fn accept_tls(
    shared: &Shared,
    listeners: Option<Listeners>,
    end: &CancellationToken,
) -> impl Incoming + use<> {
    let Limits { tls_connections, certificate_connections, .. } = shared.options.limits;
    let accepted = listeners.zip(shared.options.tcp.as_ref()).map(|(listeners, tcp)| {
        let counters = Arc::clone(&shared.options.counters);
        let limits = (tls_connections, certificate_connections);
        listeners.serve(Arc::clone(&tcp.certificates), counters, limits, &shared.shutdown)
    });
    let end = end.clone();
    let accepted = futures::stream::iter(accepted.map(ReceiverStream::new)).flatten();
    accepted.map(move |secure| Ok(Connection::secure(secure, &end)))
}

async fn run(shared: Arc<Shared>, routes: Routes, listener: UnixListener, listeners: Option<Listeners>) {
    let Limits { connections, reserved_connections, streams, unread_answers, .. } = shared.options.limits;
    let (shutdown, end) = (shared.shutdown.clone(), CancellationToken::new());
    let counters = Arc::clone(&shared.options.counters);
    let gate = GateLayer::new(
        shared.options.roles.clone(),
        Arc::clone(&counters),
        shared.options.observer.clone(),
        Auditor::new(Arc::clone(&shared.journal)),
        Unsent::new(unread_answers, Arc::clone(&counters)),
    );
    let local = accept(listener, Places::new(connections, reserved_connections), counters, end.clone());
    let incoming = futures::stream::select(Box::pin(local), Box::pin(accept_tls(&shared, listeners, &end)));
    let serving = Server::builder()
        .layer(gate)
        .max_concurrent_streams(streams)
        .http2_max_header_list_size(MOST_HEADERS)
        .http2_max_pending_accept_reset_streams(Some(MOST_RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, shutdown.clone().cancelled_owned());
    let pulsing = Arc::clone(&shared);
    tokio::spawn(async move {
        // Streams that are open then say what is left to say by themselves.
        let pulse = pulsing.pulse.run(Arc::clone(&pulsing.journal));
        pulsing.shutdown.run_until_cancelled(pulse).await
    });
    let mut serving = std::pin::pin!(serving);
    let overdue = async {
        shutdown.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    // The server goes on in the second branch; the first may be cancelled, it only waits.
    let ended = tokio::select! {
        ended = &mut serving => Some(ended),
        () = overdue => {
            end.cancel();
            tokio::time::timeout(LAST_GRACE, serving).await.ok()
        }
    };
    match ended {
        Some(Ok(())) => {}
        Some(Err(error)) => warn!(%error, "the control plane ended with an error"),
        None => warn!("connections to the control plane did not end in time"),
    }
}

fn routes(shared: &Arc<Shared>) -> Result<Routes, ApiError> {
    let nodes = NodeServiceServer::new(Nodes { shared: Arc::clone(shared) });
    let instances = InstanceServiceServer::new(Instances { shared: Arc::clone(shared) });
    let vips = VipServiceServer::new(Vips { shared: Arc::clone(shared) });
    let events = EventServiceServer::new(Events { shared: Arc::clone(shared) });
    let checks = CheckServiceServer::new(Checks::new(Arc::clone(shared)));
    let pools = PoolServiceServer::new(PoolsService { shared: Arc::clone(shared) });
    let configs = ConfigServiceServer::new(Configs { shared: Arc::clone(shared) });
    let peers = PeerServiceServer::new(Peers::new(Arc::clone(shared)));
    let debug = DebugServiceServer::new(Debug { shared: Arc::clone(shared) });
    let health = HealthServer::new(Healths { shared: Arc::clone(shared) });
    let v1 = reflection::contract().build_v1().map_err(reflection::refused)?;
    let v1 = v1.max_decoding_message_size(LONGEST_QUESTION).max_encoding_message_size(MOST_SENT);
    let v1alpha = reflection::contract().build_v1alpha().map_err(reflection::refused)?;
    let v1alpha = v1alpha.max_decoding_message_size(LONGEST_QUESTION).max_encoding_message_size(MOST_SENT);
    Ok(Routes::new(nodes.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(instances.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(vips.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(pools.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(peers.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(checks.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(configs.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(debug.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(events.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(health.max_decoding_message_size(LONGEST).max_encoding_message_size(MOST_SENT))
        .add_service(Placed { service: v1, shared: Arc::clone(shared) })
        .add_service(Placed { service: v1alpha, shared: Arc::clone(shared) }))
}
