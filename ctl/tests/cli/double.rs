//! A test double of an agent: it answers the real contract over a unix socket from a world that the test may change
//! while hactl looks at it. It decides nothing itself.

mod config;
mod debug;
mod guard;
mod health;
mod moves;
mod view;

pub use self::guard::Guard;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use ha_proto::v1;
use ha_proto::v1::check_service_server::CheckServiceServer;
use ha_proto::v1::config_service_server::ConfigServiceServer;
use ha_proto::v1::debug_service_server::DebugServiceServer;
use ha_proto::v1::event_service_server::EventServiceServer;
use ha_proto::v1::instance_service_server::{InstanceService, InstanceServiceServer};
use ha_proto::v1::node_service_server::{NodeService, NodeServiceServer};
use ha_proto::v1::pool_service_server::PoolServiceServer;
use ha_proto::v1::vip_service_server::{VipService, VipServiceServer};
use tokio::net::UnixListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

/// What a priority change does to the world besides being noted.
pub type Effect = Box<dyn Fn(&mut World, i32) + Send>;

/// All that one agent knows.
pub struct World {
    pub name: String,
    pub incarnation: String,
    pub instances: Vec<v1::Instance>,
    pub vips: Vec<v1::Vip>,
    pub events: Vec<v1::Event>,
    pub conditions: Vec<v1::Condition>,
    pub checks: Vec<v1::Check>,
    pub pools: Vec<v1::Pool>,
    /// Its configuration in force, of which `values_fit` fit into an answer.
    pub values: Vec<(String, String)>,
    pub values_fit: Option<usize>,
    /// Every call about its configuration is answered with this.
    pub refuse_config: Option<Status>,
    /// What it logs: the level asked for, and the whole wish.
    pub log_level: Option<v1::SetLogLevelRequest>,
    /// A call for its inner state is answered with this.
    pub refuse_dump: Option<Status>,
    pub dump_is_cut: bool,
    /// It is older than checks and pools.
    pub is_old: bool,
    /// Its balancer does not take over what its pools want.
    pub balancer_lags: bool,
    /// The agent's clock less the machine's.
    pub clock_ahead: i64,
    /// Every call is answered with this.
    pub refusal: Option<Status>,
    /// Every change is answered with this.
    pub refuse_changes: Option<Status>,
    /// Every watch is answered with this.
    pub refuse_watch: Option<Status>,
    /// No call is answered at all.
    pub hangs: bool,
    /// No call for history is answered.
    pub history_hangs: bool,
    /// When its history begins; absent = always has been.
    pub history_begins: Option<prost_types::Timestamp>,
    pub heartbeat: Duration,
    pub heartbeats_stop: bool,
    /// Sent once to each open stream.
    pub special: Vec<v1::watch_events_response::Payload>,
    /// Raising it ends all open streams with UNAVAILABLE.
    pub break_count: u64,
    pub effect: Option<Effect>,
    pub overrides: Vec<v1::OverridePriorityRequest>,
    /// What it answers to a drain or a transfer; its effect is that of a priority of 1.
    pub moves: Vec<v1::Move>,
    pub drains: Vec<v1::DrainNodeRequest>,
    /// Who drained it, why and until when.
    pub drain: v1::Drain,
    pub transfers: Vec<v1::TransferInstanceRequest>,
    /// How it sees the other nodes.
    pub peers: Vec<v1::NodeView>,
    pub watches: usize,
    /// How often it was called.
    pub calls: usize,
    /// Tells that something has changed.
    pub changed: watch::Sender<u64>,
}

/// A running agent. Dropping it ends it and leaves its socket behind, as a crash does.
pub struct Agent {
    pub path: PathBuf,
    /// Where it listens with TLS, when it does.
    pub address: Option<std::net::SocketAddr>,
    world: Arc<Mutex<World>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Agent {
    /// Starts an agent that listens in `directory`, and waits until it does.
    pub fn start(directory: &Path, name: &str) -> Agent {
        Agent::serve(directory.join(format!("{name}.sock")), Arc::new(Mutex::new(World::new(name))))
    }

    fn serve(path: PathBuf, world: Arc<Mutex<World>>) -> Agent {
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (socket, served) = (path.clone(), world.clone());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let _ = std::fs::remove_file(&socket);
                let listener = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
                ready.send(()).unwrap();
                tokio::select! {
                    served = server(served).serve_with_incoming(listener) => served.unwrap(),
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        is_ready.recv_timeout(Duration::from_secs(10)).unwrap();
        Agent { path, address: None, world, stop: Some(stop), thread: Some(thread) }
    }

    /// Ends it, and starts it again on the same socket, with the same history.
    pub fn restart(mut self, incarnation: &str) -> Agent {
        self.end();
        self.world().incarnation = incarnation.to_owned();
        Agent::serve(self.path.clone(), self.world.clone())
    }

    /// The agent's world, to look at and to change.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// The world, to be shared with an effect.
    pub fn shared(&self) -> Arc<Mutex<World>> {
        self.world.clone()
    }

    /// For --endpoint.
    pub fn endpoint(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    /// Ends it.
    pub fn end(&mut self) {
        if let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) {
            let _ = stop.send(());
            thread.join().unwrap();
        }
    }

    /// Something happens on the node.
    pub fn emit(&self, event: v1::Event) {
        self.world().emit(event);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

/// All services over a world.
fn server(world: Arc<Mutex<World>>) -> tonic::transport::server::Router {
    tonic::transport::Server::builder()
        .add_service(NodeServiceServer::new(Service(world.clone())))
        .add_service(InstanceServiceServer::new(Service(world.clone())))
        .add_service(VipServiceServer::new(Service(world.clone())))
        .add_service(CheckServiceServer::new(Service(world.clone())))
        .add_service(PoolServiceServer::new(Service(world.clone())))
        .add_service(ConfigServiceServer::new(Service(world.clone())))
        .add_service(DebugServiceServer::new(Service(world.clone())))
        .add_service(EventServiceServer::new(Service(world)))
}

impl World {
    fn new(name: &str) -> Self {
        World {
            name: name.to_owned(),
            incarnation: format!("{name}1"),
            instances: Vec::new(),
            vips: Vec::new(),
            events: Vec::new(),
            conditions: Vec::new(),
            checks: Vec::new(),
            pools: Vec::new(),
            values: Vec::new(),
            values_fit: None,
            refuse_config: None,
            log_level: None,
            refuse_dump: None,
            dump_is_cut: false,
            is_old: false,
            balancer_lags: false,
            clock_ahead: 0,
            refusal: None,
            refuse_changes: None,
            refuse_watch: None,
            hangs: false,
            history_hangs: false,
            history_begins: None,
            heartbeat: Duration::from_millis(100),
            heartbeats_stop: false,
            special: Vec::new(),
            break_count: 0,
            effect: None,
            overrides: Vec::new(),
            moves: Vec::new(),
            drains: Vec::new(),
            drain: v1::Drain::default(),
            peers: Vec::new(),
            transfers: Vec::new(),
            watches: 0,
            calls: 0,
            changed: watch::Sender::new(0),
        }
    }

    /// Adds an event to the history, with name, sequence, and, if it has none, time.
    pub fn emit(&mut self, mut event: v1::Event) {
        let own = self.events.iter().filter(|known| known.incarnation_id == self.incarnation);
        event.sequence = own.map(|known| known.sequence).max().unwrap_or(0) + 1;
        event.incarnation_id = self.incarnation.clone();
        event.name = format!("nodes/{}/events/{}.{}", self.name, self.incarnation, event.sequence);
        if event.event_time.is_none() {
            event.event_time = Some(self.now());
        }
        self.events.push(event);
        self.touch();
    }

    /// Wakes the open streams.
    pub fn touch(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends the open streams.
    pub fn break_streams(&mut self) {
        self.break_count += 1;
        self.touch();
    }

    /// The agent's clock.
    pub fn now(&self) -> prost_types::Timestamp {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        prost_types::Timestamp {
            seconds: now.as_secs() as i64 + self.clock_ahead,
            nanos: now.subsec_nanos() as i32,
        }
    }

    /// The newest sequence of this incarnation.
    pub fn newest(&self) -> i64 {
        let own = self.events.iter().filter(|event| event.incarnation_id == self.incarnation);
        own.map(|event| event.sequence).max().unwrap_or(0)
    }

    /// Where a stream goes on after `sequence`.
    pub fn token(&self, sequence: i64) -> String {
        format!("{}/{sequence}", self.incarnation)
    }

    fn find(&mut self, name: &str) -> Result<&mut v1::Instance, Status> {
        let missing =
            || crate::support::refused(tonic::Code::NotFound, "INSTANCE_NOT_FOUND", "no such instance");
        self.instances.iter_mut().find(|instance| instance.name == name).ok_or_else(missing)
    }

    fn override_priority(
        &mut self,
        name: &str,
        given: Option<v1::PriorityOverride>,
        request_id: &str,
        etag: &str,
        validate_only: bool,
    ) -> Result<(v1::Instance, String), Status> {
        if let Some(refusal) = &self.refuse_changes {
            return Err(refusal.clone());
        }
        let token = self.token(self.newest());
        let instance = self.find(name)?;
        if !etag.is_empty() && etag != instance.etag {
            return Err(crate::support::refused(
                tonic::Code::Aborted,
                "ETAG_MISMATCH",
                "somebody changed it",
            ));
        }
        let mut changed = instance.clone();
        changed.effective_priority = given.as_ref().map_or(changed.base_priority, |given| given.priority);
        changed.priority_override = given;
        if validate_only {
            return Ok((changed, token));
        }
        *instance = changed.clone();
        self.emit(v1::Event {
            r#type: "instance.priority_changed".to_owned(),
            subject: name.to_owned(),
            cause: v1::Cause::AdminPriority as i32,
            message: format!("priority is {}", changed.effective_priority),
            actor: Some(v1::Actor { request_id: request_id.to_owned(), ..v1::Actor::default() }),
            ..v1::Event::default()
        });
        if let Some(effect) = self.effect.take() {
            effect(self, changed.effective_priority);
            self.effect = Some(effect);
        }
        Ok((changed, token))
    }
}

/// The services over a world.
#[derive(Clone)]
pub struct Service(pub Arc<Mutex<World>>);

impl Service {
    /// Does not come back while the history hangs.
    pub async fn history_hangs(&self) {
        let hangs = self.0.lock().unwrap().history_hangs;
        if hangs {
            std::future::pending::<()>().await;
        }
    }

    /// The world, if the agent answers at all.
    pub async fn world(&self) -> Result<MutexGuard<'_, World>, Status> {
        let (hangs, refusal) = {
            let mut world = self.0.lock().unwrap();
            world.calls += 1;
            (world.hangs, world.refusal.clone())
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        match refusal {
            Some(status) => Err(status),
            None => Ok(self.0.lock().unwrap()),
        }
    }
}

/// One page of a list, by offset.
pub fn page<T: Clone>(all: &[T], size: i32, token: &str) -> (Vec<T>, String) {
    let from: usize = token.parse().unwrap_or(0);
    let size = if size == 0 { 100 } else { (size as usize).min(3) }; // small, so that clients must turn pages
    let page: Vec<T> = all.iter().skip(from).take(size).cloned().collect();
    let next = if from + size < all.len() { (from + size).to_string() } else { String::new() };
    (page, next)
}

#[tonic::async_trait]
impl NodeService for Service {
    async fn get_node(
        &self,
        _: Request<v1::GetNodeRequest>,
    ) -> Result<Response<v1::GetNodeResponse>, Status> {
        let world = self.world().await?;
        let now = world.now();
        let node = v1::Node {
            name: format!("nodes/{}", world.name),
            incarnation_id: world.incarnation.clone(),
            version: "0.1.0".to_owned(),
            api_versions: vec!["ha.agent.v1".to_owned()],
            start_time: Some(prost_types::Timestamp { seconds: now.seconds - 3_600, nanos: 0 }),
            server_time: Some(now),
            config_digest: "0123456789abcdef".to_owned(),
            conditions: world.conditions.clone(),
            instance_count: world.instances.len() as i32,
            active_count: world.instances.iter().filter(|i| i.state() == v1::instance::State::Active).count()
                as i32,
            ..v1::Node::default()
        };
        Ok(Response::new(v1::GetNodeResponse { node: Some(node) }))
    }

    async fn drain_node(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::DrainNodeResponse>, Status> {
        self.world().await?.drain(request.into_inner()).map(Response::new)
    }

    async fn undrain_node(
        &self,
        request: Request<v1::UndrainNodeRequest>,
    ) -> Result<Response<v1::UndrainNodeResponse>, Status> {
        self.world().await?.undrain(request.into_inner()).map(Response::new)
    }

    async fn get_drain(
        &self,
        _: Request<v1::GetDrainRequest>,
    ) -> Result<Response<v1::GetDrainResponse>, Status> {
        Ok(Response::new(v1::GetDrainResponse { drain: Some(self.world().await?.drain_now()) }))
    }

    async fn get_cluster_view(
        &self,
        _: Request<v1::GetClusterViewRequest>,
    ) -> Result<Response<v1::GetClusterViewResponse>, Status> {
        let view = self.world().await?.cluster_view();
        Ok(Response::new(v1::GetClusterViewResponse { view: Some(view), next_page_token: String::new() }))
    }
}

#[tonic::async_trait]
impl InstanceService for Service {
    async fn get_instance(
        &self,
        request: Request<v1::GetInstanceRequest>,
    ) -> Result<Response<v1::GetInstanceResponse>, Status> {
        let mut world = self.world().await?;
        let instance = world.find(&request.get_ref().name)?.clone();
        Ok(Response::new(v1::GetInstanceResponse { instance: Some(instance) }))
    }

    async fn list_instances(
        &self,
        request: Request<v1::ListInstancesRequest>,
    ) -> Result<Response<v1::ListInstancesResponse>, Status> {
        let world = self.world().await?;
        let request = request.get_ref();
        let (instances, next_page_token) = page(&world.instances, request.page_size, &request.page_token);
        let resume_token = world.token(world.newest());
        Ok(Response::new(v1::ListInstancesResponse { instances, next_page_token, resume_token }))
    }

    async fn override_priority(
        &self,
        request: Request<v1::OverridePriorityRequest>,
    ) -> Result<Response<v1::OverridePriorityResponse>, Status> {
        let mut world = self.world().await?;
        let request = request.into_inner();
        let expire_time = request.ttl.map(|ttl| {
            let now = world.now();
            prost_types::Timestamp { seconds: now.seconds + ttl.seconds, nanos: now.nanos }
        });
        let given = v1::PriorityOverride {
            priority: request.priority,
            reason: request.reason.clone(),
            expire_time,
            ..v1::PriorityOverride::default()
        };
        let (instance, resume_token) = world.override_priority(
            &request.name,
            Some(given),
            &request.request_id,
            &request.etag,
            request.validate_only,
        )?;
        world.overrides.push(request);
        Ok(Response::new(v1::OverridePriorityResponse { instance: Some(instance), resume_token }))
    }

    async fn clear_priority(
        &self,
        request: Request<v1::ClearPriorityRequest>,
    ) -> Result<Response<v1::ClearPriorityResponse>, Status> {
        let mut world = self.world().await?;
        let request = request.into_inner();
        let (instance, resume_token) = world.override_priority(
            &request.name,
            None,
            &request.request_id,
            &request.etag,
            request.validate_only,
        )?;
        Ok(Response::new(v1::ClearPriorityResponse { instance: Some(instance), resume_token }))
    }

    async fn transfer_instance(
        &self,
        request: Request<v1::TransferInstanceRequest>,
    ) -> Result<Response<v1::TransferInstanceResponse>, Status> {
        self.world().await?.transfer(request.into_inner()).map(Response::new)
    }

    async fn end_transfer(
        &self,
        request: Request<v1::EndTransferRequest>,
    ) -> Result<Response<v1::EndTransferResponse>, Status> {
        self.world().await?.end_transfer(request.into_inner()).map(Response::new)
    }
}

#[tonic::async_trait]
impl VipService for Service {
    async fn list_vips(
        &self,
        request: Request<v1::ListVipsRequest>,
    ) -> Result<Response<v1::ListVipsResponse>, Status> {
        let world = self.world().await?;
        let request = request.get_ref();
        let (vips, next_page_token) = page(&world.vips, request.page_size, &request.page_token);
        Ok(Response::new(v1::ListVipsResponse { vips, next_page_token, resume_token: String::new() }))
    }

    async fn announce_vip(
        &self,
        _: Request<v1::AnnounceVipRequest>,
    ) -> Result<Response<v1::AnnounceVipResponse>, Status> {
        Err(Status::unimplemented("the double has no wire"))
    }

    async fn probe_vip(
        &self,
        _: Request<v1::ProbeVipRequest>,
    ) -> Result<Response<v1::ProbeVipResponse>, Status> {
        Err(Status::unimplemented("the double has no wire"))
    }
}
