//! The start, in its order.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ha_config::Configuration;
use ha_probe::command::Commands;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::checks::{Prepared, Surroundings};
use super::conditions::Conditions;
use super::configuration::Loaded;
use super::life::{self, Beside, Life};
use super::reload::{Reloader, info_of};
use super::replace::{self, NotReplaced};
use super::{certificates, configuration, descriptors, keeping, punctual, roles, translate};
use crate::api::{self, ApiError, Claim, ConfigInfo, Roles, Tcp, TlsError};
use crate::clock;
use crate::configure;
use crate::driver::{self, Handle, Inbox, Started};
use crate::journal::{self, Journal};
use crate::legacy::{self, Estate};
use crate::notify::{Notifications, Setup};
use crate::telemetry::{NodeCounts, logging};
use crate::{facts, intents, moves, peers};

/// Why the daemon could not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Log(#[from] logging::LogError),
    #[error(transparent)]
    Dataplane(#[from] ha_dataplane::Error),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("control plane over TLS: {0}")]
    Tls(#[from] TlsError),
    #[error(transparent)]
    NotReplaced(#[from] NotReplaced),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("cannot listen to signals: {0}")]
    Signals(std::io::Error),
}

/// Starts everything; what it returns ends it, and changes it. `beside_another` = takes over from a running agent.
pub(super) async fn start(
    file: &Path,
    loaded: Loaded,
    commands: Commands,
    conditions: &Arc<Conditions>,
    log: &logging::Log,
    beside_another: bool,
) -> Result<(Life, Reloader, configure::Requests), Failure> {
    let configuration = &loaded.configuration;
    let journal = Journal::new(&configuration.node_name, configuration.api.history);
    let group = roles::socket_group(&configuration.api);
    let places = descriptors::raise();
    let (driver, requests) = Handle::new();
    let priority = configuration.realtime.scheduling.then_some(configuration.realtime.priority);
    let (dataplane, reports) = ha_dataplane::Dataplane::spawn(dataplane_options(priority))?;
    let checks = Prepared::new();
    let shutdown = CancellationToken::new();
    let counts = Arc::new(NodeCounts::default());
    let shown = Shown::new(configuration, file);
    let (configure, asked_to_reload) = configure::Handle::new(judge(file, &commands));
    let tcp = configuration.api.tls.as_ref().map(certificates::load).transpose()?;
    let options = api::Options {
        group,
        ..api_options(configuration, tcp.as_ref(), &shown, conditions, &dataplane, &counts, log)
    };
    let (peers, words) = peers::Handle::new(configuration.cluster.peers.clone().into());
    let moves = moves::Handle::new(driver.clone(), Arc::clone(&journal), peers.clone());
    let (tell_facts, facts) = facts::channel();
    let inbox = Inbox { reports, facts, requests };
    let instances: Arc<[_]> = configuration.instances.clone().into();
    // From here to the driver's start peers' timers run, if an earlier process has left something.
    let claim = match beside_another {
        true => replace::claim(&configuration.api.socket, group).await?,
        false => Claim::take(&configuration.api.socket, group)?,
    };
    // Nobody else runs on this node now, and what we find of ours in the kernel and on disk was left behind.
    let keeping = keeping::begin(&configuration.journal, &journal, conditions);
    let store = keeping.as_ref().map(|keeping| keeping.store.clone());
    let (checks_handle, pools_handle) = (checks.checks.clone(), checks.pools.clone());
    let intents =
        intents::Handle::new(store, Arc::clone(&journal), driver.clone(), checks_handle, pools_handle);
    let Estate { inheritance, mutes, servers, .. } = inherit(configuration, &dataplane, &intents).await;
    let started = driver::start(priority, dataplane.clone(), inbox, instances, inheritance);
    let started = started.map_err(Failure::Thread)?;
    let asked = api::Asked {
        driver: driver.clone(),
        checks: checks.checks.clone(),
        pools: checks.pools.clone(),
        configure,
        peers: peers.clone(),
        moves: moves.clone(),
        intents: intents.clone(),
    };
    let sources = translate::sources(&asked, &dataplane, log.lost(), &counts);
    let offered = offer(api::Options { claim: Some(claim.clone()), ..options }).await;
    let served = offered.and_then(|bound| bound.serve(asked, Arc::clone(&journal), shutdown.clone()));
    let api = match served {
        Ok(api) => api,
        Err(error) => {
            life::release(&driver, &dataplane).await;
            if let Some(keeping) = keeping {
                keeping.end().await;
            }
            return Err(error.into());
        }
    };
    let Started { notices, troubles, unpunctual, thread } = started;
    punctual::note_realtime(priority, unpunctual, conditions);
    tokio::spawn(life::tell_troubles(troubles));
    let telemetry = translate::start_telemetry(configuration, &journal, sources);
    let observer = tokio::spawn(life::observe(Arc::clone(&journal), telemetry.clone(), Arc::clone(&counts)));
    let setup = Setup::from(&**configuration);
    let tally = counts.notifications.clone();
    let notifications = Notifications::start(Arc::clone(&journal), commands.clone(), setup, tally);
    let collector = tokio::spawn(journal::collect(notices, Arc::clone(&journal)));
    let around = Surroundings {
        journal: Arc::clone(&journal),
        driver: driver.clone(),
        facts: tell_facts,
        commands: commands.clone(),
        places,
        muted: mutes,
        drained: servers,
    };
    let (for_reload, pools) = (checks.checks.clone(), checks.pools.clone());
    let checks = checks.start(&loaded, around).map_err(Failure::Thread)?;
    let api = tokio::spawn(api);
    let certificates = tcp.map(|tcp| certificates::watch_over(tcp, conditions));
    let around = peers::Start {
        driver: driver.clone(),
        journal: Arc::clone(&journal),
        config: shown.info.subscribe(),
        certificates: certificates.clone(),
        end: shutdown.clone(),
        measure_every: peers::MEASURE_EVERY,
    };
    peers.set_split_brain(configuration.cluster.split_brain);
    peers::start(&peers, around);
    tokio::spawn(super::peers::watch_over(peers.clone(), Arc::clone(conditions)));
    moves.serve(words);
    intents.serve(Arc::clone(configuration));
    let notifications_handle = notifications.handle();
    let beside = Beside { checks, shutdown, api, telemetry, observer, notifications, keeping };
    let life = Life { driver: driver.clone(), moves, dataplane, thread, collector, beside, claim };
    let reloader = Reloader {
        file: file.to_owned(),
        current: loaded,
        commands,
        driver,
        checks: for_reload,
        notifications: notifications_handle,
        pools,
        peers,
        journal,
        conditions: Arc::clone(conditions),
        counts,
        info: shown.info,
        roles: shown.roles,
        log: log.levels(),
        certificates,
    };
    Ok((life, reloader, asked_to_reload))
}

/// Judges texts for the control plane, as those of the node's file.
fn judge(file: &Path, commands: &Commands) -> configure::Judge {
    let (file, commands) = (file.to_owned(), commands.clone());
    Arc::new(move |octets| configuration::judge_from_afar(&file, octets, &commands).into_judged())
}

/// Binds the control plane's sockets. An earlier process that has left may not have closed its own yet.
async fn offer(options: api::Options) -> Result<api::Bound, ApiError> {
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(50);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match api::bind(options.clone()) {
            Err(ApiError::Listen { source, .. })
                if source.kind() == ErrorKind::AddrInUse && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            outcome => return outcome,
        }
    }
}

/// What an earlier process left to this one: by word of its own, else what was to survive without it.
async fn inherit(
    configuration: &Configuration,
    dataplane: &ha_dataplane::Handle,
    intents: &intents::Handle,
) -> Estate {
    let mut estate = match legacy::take(&configuration.api.socket, clock::now()) {
        Ok(Some(estate)) => {
            intents.note_inherited();
            estate
        }
        Ok(None) => intents.restore(configuration).await.into(),
        Err(unusable) => {
            warn!("starting as if nothing had been left: {unusable}");
            return intents.restore(configuration).await.into();
        }
    };
    let all = estate.inheritance.routers.len();
    let routers = estate.inheritance.routers.iter().filter(|router| router.role.is_some()).count();
    if all > 0 && routers == 0 {
        info!("of what was left, no role is gone on with: it is too old; what operators wanted counts");
    }
    if routers > 0 {
        let incarnation = &estate.incarnation;
        info!(routers, from = %incarnation, version = %estate.version, "going on with what was left");
    }
    // The queue is empty yet.
    let _ = dataplane.inherit(std::mem::take(&mut estate.links));
    estate
}

/// What the control plane shows of the configuration, and what it decides by.
struct Shown {
    info: watch::Sender<ConfigInfo>,
    roles: watch::Sender<Arc<Roles>>,
}

impl Shown {
    fn new(configuration: &Arc<Configuration>, file: &Path) -> Self {
        Self {
            info: watch::Sender::new(info_of(configuration, file)),
            roles: watch::Sender::new(translate::roles(configuration)),
        }
    }
}

/// A little less urgent than the `vrrp` thread.
fn dataplane_options(priority: Option<u8>) -> ha_dataplane::Options {
    ha_dataplane::Options { priority: priority.map(|own| own.saturating_sub(1).max(1)), ..Default::default() }
}

fn api_options(
    configuration: &Configuration,
    tcp: Option<&Tcp>,
    shown: &Shown,
    conditions: &Conditions,
    dataplane: &ha_dataplane::Handle,
    counts: &Arc<NodeCounts>,
    log: &logging::Log,
) -> api::Options {
    api::Options {
        socket: configuration.api.socket.clone(),
        group: None,
        claim: None,
        tcp: tcp.cloned(),
        roles: shown.roles.subscribe(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config: shown.info.subscribe(),
        conditions: conditions.subscribe(),
        kernel: translate::kernel_state(dataplane),
        dataplane: translate::dataplane_state(dataplane),
        wire: translate::wire(),
        limits: configuration.api.limits.into(),
        log: log.levels(),
        counters: Arc::clone(&counts.api),
        observer: Some(counts.observer()),
    }
}
