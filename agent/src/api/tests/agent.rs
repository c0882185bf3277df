//! An agent for tests: the real engine on a task, the real journal and control plane, no network and no kernel.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ha_config::ClusterPeer;
use ha_dataplane::{Heard, LinkAnswers};
use ha_engine::{
    AddressLease, AddressLostPolicy, AdvertisementInterval, AnnouncePolicy, Applied, ChecksumForm, Engine,
    Event, Fact, Family, Input, InstanceConfig, LinkCondition, LinkState, Output, Priority, Protocol,
    Transport, VirtualAddress, VirtualRouterId,
};
use ha_probe::command::Commands;
use ha_proto::v1::check_service_client::CheckServiceClient;
use ha_proto::v1::config_service_client::ConfigServiceClient;
use ha_proto::v1::event_service_client::EventServiceClient;
use ha_proto::v1::instance_service_client::InstanceServiceClient;
use ha_proto::v1::node_service_client::NodeServiceClient;
use ha_proto::v1::pool_service_client::PoolServiceClient;
use ha_proto::v1::vip_service_client::VipServiceClient;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::api::{
    Asked, Condition, ConfigInfo, Counters, DataplaneState, KernelAddress, KernelState, Limits, Options,
    Principals, Roles, Tcp, Wire, bind,
};
use crate::clock;
use crate::configure::{self, Judged, Told};
use crate::driver::{Handle, Notices, Request, Snapshot};
use crate::facts;
use crate::health;
use crate::intents;
use crate::journal::store::{self, Standing, Store, StoreOptions};
use crate::journal::{Journal, Read, collect};
use crate::moves;
use crate::peers::{self, Incoming};
use crate::pools;
use crate::telemetry::logging::Levels;

/// A running agent without network.
pub(super) struct Agent {
    pub(super) socket: PathBuf,
    pub(super) journal: Arc<Journal>,
    pub(super) peers: peers::Handle,
    /// What peers ask and say.
    pub(super) words: mpsc::Receiver<Incoming>,
    pub(super) counters: Arc<Counters>,
    pub(super) roles: watch::Sender<Arc<Roles>>,
    pub(super) driver: Arc<Driver>,
    pub(super) shutdown: CancellationToken,
    /// Ends when the control plane has ended.
    pub(super) serving: JoinHandle<()>,
    /// What keeps what is to survive.
    pub(super) intents: intents::Handle,
    configuration: Arc<ha_config::Configuration>,
    store: Option<Store>,
    _directory: Directory,
}

/// What tests look at and turn on the driver's side.
#[derive(Debug, Default)]
pub(super) struct Driver {
    /// Snapshots that were asked for.
    pub(super) snapshots: AtomicU64,
    /// Commands that were not dry runs.
    pub(super) commands: AtomicU64,
    /// While set, nothing is answered.
    pub(super) silent: AtomicBool,
    /// How long each command takes.
    pub(super) delay: Mutex<Duration>,
    /// Addresses that the kernel has.
    pub(super) held: Mutex<Vec<IpAddr>>,
    /// Who answers on the wire, and for what.
    pub(super) answering: Mutex<Vec<(IpAddr, [u8; 6])>>,
    /// While set, looking at the kernel panics.
    pub(super) broken_kernel: AtomicBool,
}

/// A directory of its own for each test, gone with it.
pub(super) struct Directory(pub(super) PathBuf);

impl Directory {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("ha-agent-api-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Where an agent in it listens.
    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("run/agent.sock")
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How an agent for a test differs from the ordinary.
pub(super) struct Setup {
    pub(super) instances: Vec<InstanceConfig>,
    /// What the engine is told before it starts.
    pub(super) facts: Vec<Fact>,
    pub(super) journal_capacity: usize,
    /// Where the history is kept on disk.
    pub(super) history: Option<PathBuf>,
    /// The disk says nothing until the other end of this is dropped.
    pub(super) silence: Option<std::sync::mpsc::Receiver<()>>,
    pub(super) limits: Limits,
    pub(super) group: Option<u32>,
    pub(super) tcp: Option<Tcp>,
    /// Its name.
    pub(super) node: &'static str,
    /// The other nodes.
    pub(super) peers: Vec<ClusterPeer>,
    /// Where its socket is; one of its own otherwise.
    pub(super) directory: Option<Directory>,
    /// `[[check]]` and `[[pool]]` tables.
    pub(super) checks: String,
    /// How often the round trip to a peer is measured.
    pub(super) measure_every: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        let instances = vec![config("web", 1, 100), config("owner", 2, 255)];
        Self {
            instances,
            facts: Vec::new(),
            journal_capacity: 10_000,
            history: None,
            silence: None,
            limits: Limits::default(),
            group: None,
            tcp: None,
            node: "a",
            peers: Vec::new(),
            directory: None,
            checks: String::new(),
            measure_every: peers::MEASURE_EVERY,
        }
    }
}

/// A VRRPv3 IPv4 instance on eth0 with one address, that becomes Active at once when nobody contradicts.
pub(super) fn config(name: &str, virtual_router_id: u8, priority: u8) -> InstanceConfig {
    let address = VirtualAddress::new([10, 9, 0, virtual_router_id].into(), 32);
    InstanceConfig {
        name: name.into(),
        interface: "eth0".into(),
        virtual_router_id: VirtualRouterId::new(virtual_router_id).unwrap(),
        family: Family::Ipv4,
        protocol: Protocol::V3 { checksum: ChecksumForm::PseudoHeader },
        priority: Priority::new(priority).unwrap(),
        interval: AdvertisementInterval::DEFAULT,
        longest_adopted_interval: Duration::from_secs(10),
        addresses: [address].into(),
        preempt: true,
        preempt_delay: Duration::ZERO,
        startup_delay: Duration::ZERO,
        transport: Transport::Multicast { allowed_sources: Vec::new() },
        source: None,
        announce: AnnouncePolicy::default(),
        address_lost: AddressLostPolicy::default(),
        lease: AddressLease::default(),
        virtual_mac: false,
        tracks: Arc::default(),
        group: None,
    }
}

impl Agent {
    pub(super) async fn start() -> Self {
        Self::start_with(Setup::default()).await
    }

    pub(super) async fn start_with(setup: Setup) -> Self {
        let directory = setup.directory.unwrap_or_else(Directory::new);
        let socket = directory.socket();
        let journal = Journal::new(setup.node, setup.journal_capacity);
        let store = setup.history.map(|directory| keep_history(&journal, directory, setup.silence));
        let (handle, requests) = Handle::new();
        let (events, receiver) = mpsc::channel(65_536);
        tokio::spawn(collect(Notices { events: receiver, lost: Arc::default() }, Arc::clone(&journal)));
        let driver = Arc::new(Driver::default());
        let own = nix::unistd::geteuid().as_raw();
        let roles =
            Roles { admins: Principals { users: [own].into(), ..Principals::default() }, ..Roles::default() };
        let roles = watch::Sender::new(Arc::new(roles));
        let counters = Arc::<Counters>::default();
        let info = config_info(&setup.checks);
        let configuration = Arc::clone(&info.configuration);
        let options = Options {
            socket: socket.clone(),
            claim: None,
            group: setup.group,
            tcp: setup.tcp,
            roles: roles.subscribe(),
            version: "1.2.3".to_owned(),
            config: watch::channel(info).1,
            conditions: watch::channel(vec![condition()]).1,
            kernel: kernel(&driver),
            dataplane: Arc::new(|| DataplaneState { heartbeat: clock::now(), waiting: (3, 32_768) }),
            wire: wire(&driver),
            limits: setup.limits,
            log: Levels::new("info", false, |_| Ok(())),
            counters: Arc::clone(&counters),
            observer: None,
        };
        let shutdown = CancellationToken::new();
        let (checks, pools) = checks_and_pools(&setup.checks, &journal, &handle, &shutdown);
        let (configure, _) = configure::Handle::new(Arc::new(judge));
        let (peers, words) = peers::Handle::new(setup.peers.into());
        peers::start(
            &peers,
            peers::Start {
                driver: handle.clone(),
                journal: Arc::clone(&journal),
                config: options.config.clone(),
                certificates: options.tcp.as_ref().map(|tcp| Arc::clone(&tcp.certificates)),
                measure_every: setup.measure_every,
                end: shutdown.clone(),
            },
        );
        let moves = moves::Handle::new(handle.clone(), Arc::clone(&journal), peers.clone());
        let intents = intents::Handle::new(
            store.clone(),
            Arc::clone(&journal),
            handle.clone(),
            checks.clone(),
            pools.clone(),
        );
        let asked = Asked {
            driver: handle,
            checks,
            pools,
            configure,
            peers: peers.clone(),
            moves,
            intents: intents.clone(),
        };
        let bound = bind(options).unwrap();
        let serving = bound.serve(asked, Arc::clone(&journal), shutdown.clone()).unwrap();
        let serving = tokio::spawn(serving);
        let (ready, started) = oneshot::channel();
        let told = (setup.instances, setup.facts);
        tokio::spawn(drive(Arc::clone(&driver), told, requests, events, ready));
        started.await.unwrap();
        Self {
            socket,
            journal,
            peers,
            words,
            counters,
            roles,
            driver,
            shutdown,
            serving,
            intents,
            configuration,
            store,
            _directory: directory,
        }
    }

    /// Ends in order; what it leaves is its history.
    pub(super) async fn stop(mut self) {
        self.shutdown.cancel();
        let serving = std::mem::replace(&mut self.serving, tokio::spawn(async {}));
        serving.await.unwrap();
        if let Some(store) = &self.store {
            store.finish().await;
        }
    }

    /// The history on disk.
    pub(super) fn store(&self) -> &Store {
        self.store.as_ref().expect("this agent keeps its history")
    }

    pub(super) fn configuration(&self) -> Arc<ha_config::Configuration> {
        Arc::clone(&self.configuration)
    }

    /// A connection of its own.
    pub(super) async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("unix://{}", self.socket.display())).unwrap().connect().await.unwrap()
    }

    pub(super) async fn nodes(&self) -> NodeServiceClient<Channel> {
        NodeServiceClient::new(self.channel().await)
    }

    pub(super) async fn instances(&self) -> InstanceServiceClient<Channel> {
        InstanceServiceClient::new(self.channel().await)
    }

    pub(super) async fn vips(&self) -> VipServiceClient<Channel> {
        VipServiceClient::new(self.channel().await)
    }

    pub(super) async fn checks(&self) -> CheckServiceClient<Channel> {
        CheckServiceClient::new(self.channel().await)
    }

    pub(super) async fn pools(&self) -> PoolServiceClient<Channel> {
        PoolServiceClient::new(self.channel().await)
    }

    pub(super) async fn configs(&self) -> ConfigServiceClient<Channel> {
        ConfigServiceClient::new(self.channel().await)
    }

    pub(super) async fn events(&self) -> EventServiceClient<Channel> {
        EventServiceClient::new(self.channel().await)
    }

    /// The types of what the journal holds, that begin so.
    pub(super) fn journal_types(&self, beginning: &str) -> Vec<&'static str> {
        let Some(Read::Records(records)) = self.journal.reader(0).try_read(usize::MAX) else {
            return Vec::new();
        };
        let types = records.iter().map(|record| record.type_name());
        types.filter(|name| name.starts_with(beginning)).collect()
    }

    /// Waits until the journal has reached a sequence.
    pub(super) async fn reached(&self, sequence: u64) {
        let mut changes = self.journal.changes();
        let reached = changes.wait_for(|newest| *newest >= sequence);
        tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap().unwrap();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A link with the MAC address 02::1, on which others answer.
fn wire(driver: &Arc<Driver>) -> Wire {
    let driver = Arc::clone(driver);
    Arc::new(move |_, addresses, _| {
        let answering = driver.answering.lock().unwrap();
        let heard = answering.iter().filter(|(address, _)| addresses.contains(address));
        let heard = heard.map(|(address, mac)| Heard {
            address: *address,
            mac: *mac,
            after: Duration::from_millis(1),
        });
        Ok(LinkAnswers { mac: [2, 0, 0, 0, 0, 1], heard: heard.collect() })
    })
}

fn text_with(tables: &str) -> String {
    format!(
        "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvirtual_router_id = 1\naddresses = ['10.9.0.1']\n{tables}"
    )
}

fn parse(octets: &[u8]) -> ha_config::Outcome {
    let mut context = ha_config::Context {
        host_name: "a",
        read_file: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
        machine: &mut ha_config::NoMachine,
    };
    ha_config::parse_bytes(Path::new("test.toml"), octets, &mut context)
}

/// The configuration that the control plane shows as being in force.
fn config_info(tables: &str) -> ConfigInfo {
    let model = parse(text_with(tables).as_bytes()).model.unwrap();
    let (digest, file) = ("abc".to_owned(), "test.toml".into());
    ConfigInfo { configuration: Arc::new(model), file, digest, loaded: SystemTime::now() }
}

/// As the supervisor does, but for checks, which are not compiled.
fn judge(octets: &[u8]) -> Judged {
    let outcome = parse(octets);
    let told = outcome.findings.iter().map(Told::from).collect();
    Judged { told, configuration: outcome.model.map(Arc::new), digest: String::new() }
}

fn keep_history(
    journal: &Arc<Journal>,
    directory: PathBuf,
    silence: Option<std::sync::mpsc::Receiver<()>>,
) -> Store {
    let options = StoreOptions { directory, size: 64 << 20, age: Duration::from_secs(3600) };
    // Its thread calls this when it has opened the file, and waits as it would for a disk.
    let tell = move |_: &Standing| {
        let _ = silence.as_ref().map(std::sync::mpsc::Receiver::recv);
    };
    store::start(journal, options, Box::new(tell)).unwrap().0
}

/// The real thread of the checks, with those that a file configures. The instances of these tests hear none of it.
fn checks_and_pools(
    tables: &str,
    journal: &Arc<Journal>,
    driver: &Handle,
    end: &CancellationToken,
) -> (health::Handle, pools::Handle) {
    let outcome = parse(text_with(tables).as_bytes());
    let model = outcome.model.unwrap_or_else(|| panic!("{:#?}", outcome.findings));
    // No script is run here.
    let commands = Commands::launched_by("/bin/false", 1);
    let environment = health::Environment { node: "a".to_owned(), commands: commands.clone() };
    let checks = health::compile(&model.checks, &[], &environment).unwrap();
    let (handle, requests) = health::Handle::new();
    let (instances, _) = facts::channel();
    let (for_pools, of_checks) = facts::channel();
    let (pools, pool_requests) = pools::Handle::new();
    tokio::spawn(pools::run(pools::Start {
        journal: Arc::clone(journal),
        driver: driver.clone(),
        of_checks,
        for_instances: instances.another(),
        requests: pool_requests,
        wanted: pools::Wanted { pools: model.pools, nginx: model.nginx },
        drained: Vec::new(),
        end: end.clone(),
    }));
    let outlets = health::Outlets { journal: Arc::clone(journal), pools: for_pools, instances };
    let muted = Vec::new();
    health::start(health::Start { outlets, requests, commands, places: 100, checks, muted }).unwrap();
    (handle, pools)
}

fn condition() -> Condition {
    Condition {
        name: "RealtimeScheduling",
        holds: Some(false),
        reason: "NotPermitted".to_owned(),
        message: "give the agent CAP_SYS_NICE".to_owned(),
        since: SystemTime::now(),
    }
}

fn kernel(driver: &Arc<Driver>) -> KernelState {
    let driver = Arc::clone(driver);
    Arc::new(move |interface, address| {
        assert!(!driver.broken_kernel.load(Ordering::Relaxed), "this test breaks the view of the kernel");
        assert!(matches!(&**interface, "eth0" | "eth1"), "{interface}");
        let present = driver.held.lock().unwrap().contains(&address);
        Some(KernelAddress {
            present,
            last_announce: present.then(clock::now),
            announcements: u64::from(present),
        })
    })
}

/// The engine and its clock; the kernel of this agent does everything at once.
async fn drive(
    driver: Arc<Driver>,
    (instances, facts): (Vec<InstanceConfig>, Vec<Fact>),
    mut requests: mpsc::Receiver<Request>,
    events: mpsc::Sender<Box<Event>>,
    ready: oneshot::Sender<()>,
) {
    let mut engine = Engine::new();
    for fact in facts {
        carry_out(&driver, &mut engine, &events, Input::Fact(fact));
    }
    carry_out(&driver, &mut engine, &events, Input::Reconfigure(&instances));
    if let Some(link) = engine.link("eth0") {
        let state = LinkState { condition: LinkCondition::Up, addresses: vec![[10, 9, 9, 9].into()] };
        carry_out(&driver, &mut engine, &events, Input::Link(link, state));
    }
    ready.send(()).unwrap();
    loop {
        let due = engine.next_deadline().map(|(at, _)| at.since(clock::now()));
        let request = tokio::select! {
            request = requests.recv() => match request { Some(request) => request, None => return },
            () = tokio::time::sleep(due.unwrap_or(Duration::from_secs(3600))) => {
                carry_out(&driver, &mut engine, &events, Input::Deadline);
                continue;
            }
        };
        while driver.silent.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        answer(&driver, &mut engine, &events, request).await;
    }
}

async fn answer(driver: &Driver, engine: &mut Engine, events: &mpsc::Sender<Box<Event>>, request: Request) {
    match request {
        Request::Snapshot(reply) => {
            driver.snapshots.fetch_add(1, Ordering::Relaxed);
            let mut instances: Vec<_> = engine.statuses().collect();
            instances.sort_by(|a, b| a.config.name.cmp(&b.config.name));
            let (drain, drain_revision) = engine.drain();
            let at = clock::now();
            let whole = Snapshot { at, instances, drain, drain_revision, ..Snapshot::default() };
            let _ = reply.send(Arc::new(whole));
        }
        Request::Operate(command, reply) => {
            let delay = *driver.delay.lock().unwrap();
            tokio::time::sleep(delay).await;
            driver.commands.fetch_add(u64::from(!command.dry_run), Ordering::Relaxed);
            let outcome = carry_out(driver, engine, events, Input::Operator(command));
            let _ = reply.send(outcome.expect("the engine answers every command"));
        }
        Request::Drain(command, reply) => {
            driver.commands.fetch_add(u64::from(!command.dry_run), Ordering::Relaxed);
            let outcome = carry_out(driver, engine, events, Input::Drain(command));
            let _ = reply.send(outcome.expect("the engine answers every command"));
        }
        Request::PeerWord(word) => drop(carry_out(driver, engine, events, Input::PeerWord(word))),
        Request::Ping(reply) => drop(reply.send(())),
        Request::Reconfigure(instances, reply) => {
            carry_out(driver, engine, events, Input::Reconfigure(&instances));
            let _ = reply.send(());
        }
        Request::Stop(reply) => {
            carry_out(driver, engine, events, Input::Stop);
            let _ = reply.send(());
        }
        Request::Leave(reply) => {
            carry_out(driver, engine, events, Input::Leave);
            let _ = reply.send(engine.inheritance(clock::now()));
        }
    }
}

fn carry_out(
    driver: &Driver,
    engine: &mut Engine,
    events: &mpsc::Sender<Box<Event>>,
    input: Input<'_>,
) -> Option<Result<(), ha_engine::Refusal>> {
    let (mut done, mut outcome) = (Vec::new(), None);
    for output in engine.handle(clock::now(), input) {
        match output {
            Output::Event(event) => events.try_send(event).unwrap(),
            Output::Answer(answer) => outcome = Some(answer),
            Output::Own(own) => {
                driver.held.lock().unwrap().retain(|address| !of_instance(*address, own.instance.0));
                driver.held.lock().unwrap().extend(own.addresses.iter().map(|address| address.address));
                let at = clock::now();
                done.push(Applied { instance: own.instance, generation: own.generation, result: Ok(()), at });
            }
            Output::Transmit(_) | Output::Announce(_) => {}
        }
    }
    for applied in done {
        carry_out(driver, engine, events, Input::Applied(applied));
    }
    outcome
}

/// The addresses of these tests carry their instance's number, counted from one.
fn of_instance(address: IpAddr, instance: u32) -> bool {
    matches!(address, IpAddr::V4(address) if u32::from(address.octets()[3]) == instance + 1)
}
