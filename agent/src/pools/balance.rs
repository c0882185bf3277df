//! Has the balancers use what the pools want: the newest sets together, paced, again after a failure, and looked at again now and
//! then, because somebody else may have changed what they run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ha_balancer::{
    Applied, Backend, DEFAULT_SPACING, Error, Form, Nginx, Observed, Options, Pacer, PoolOptions, Server,
    Sorry, Standing,
};
use ha_config::{Balancer, NginxForm, NginxPool, NginxSorry};
use ha_engine::{Balanced, Desired, RunningServer, SorryServer};
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Wanted;
use crate::clock;

/// What the pools want of a balancer.
pub(super) enum Order {
    /// Use exactly these servers.
    Use(Desired),
    /// There is no such pool any more.
    Forget(Arc<str>),
}

/// The pools' side: what is wanted, and what became of it.
pub(super) struct Balance {
    /// What was ordered and not published yet is in it too.
    orders: Orders,
    is_new: bool,
    wanted: watch::Sender<Orders>,
    results: mpsc::Receiver<Balanced>,
}

/// Everything that the balancers of this node are to do.
#[derive(Clone, Debug, Default)]
struct Orders {
    nginx: Arc<Options>,
    sorry: Arc<BTreeMap<Arc<str>, SorryServer>>,
    sets: BTreeMap<Arc<str>, Desired>,
}

/// The balancers' side.
struct Worker {
    wanted: watch::Receiver<Orders>,
    results: mpsc::Sender<Balanced>,
    pacer: Pacer<Orders>,
    backend: Option<(Arc<Options>, Backend)>,
}

/// How often what runs is compared with what is wanted although nothing changed here.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Results that wait for the pools, which take them within microseconds.
const WAITING: usize = 1024;

impl Balance {
    /// Starts the balancers' task; it ends with `end`.
    pub(super) fn start(end: CancellationToken) -> Self {
        let (wanted, receiver) = watch::channel(Orders::default());
        let (sender, results) = mpsc::channel(WAITING);
        let worker =
            Worker { wanted: receiver, results: sender, pacer: Pacer::new(DEFAULT_SPACING), backend: None };
        tokio::spawn(async move {
            // Cancelled at any step: the backend finishes or undoes it when the agent starts again.
            let _ = end.run_until_cancelled(worker.run()).await;
        });
        Self { orders: Orders::default(), is_new: false, wanted, results }
    }

    pub(super) fn configure(&mut self, wanted: &Wanted) {
        let nginx = options(wanted);
        if *self.orders.nginx != nginx {
            self.orders.nginx = Arc::new(nginx);
        }
        let sorry = wanted
            .pools
            .iter()
            .filter_map(|pool| Some((Arc::clone(&pool.config.name), pool.config.sorry.clone()?)));
        self.orders.sorry = Arc::new(sorry.collect());
        self.is_new = true;
    }

    pub(super) fn order(&mut self, order: Order) {
        match order {
            Order::Use(desired) => drop(self.orders.sets.insert(Arc::clone(&desired.pool), desired)),
            Order::Forget(pool) => drop(self.orders.sets.remove(&pool)),
        }
        self.is_new = true;
    }

    /// Hands on what was ordered since the last time.
    pub(super) fn publish(&mut self) {
        if std::mem::take(&mut self.is_new) {
            self.wanted.send_replace(self.orders.clone());
        }
    }

    /// What became of a set. May be cancelled.
    pub(super) async fn next(&mut self) -> Balanced {
        match self.results.recv().await {
            Some(balanced) => balanced,
            // The task has ended with the agent.
            None => std::future::pending().await,
        }
    }
}

impl Worker {
    async fn run(mut self) {
        loop {
            let look = Instant::now() + LOOK_AGAIN;
            let due = self.pacer.next_deadline().map_or(look, |(due, _)| due);
            tokio::select! {
                changed = self.wanted.changed() => match changed {
                    Ok(()) => {}
                    // The pools' task has ended with the agent.
                    Err(_) => return,
                },
                () = sleep_until(due.into()) => {
                    if let Some(orders) = self.pacer.start(Instant::now()) {
                        self.turn(&orders).await;
                        continue;
                    }
                }
            }
            let orders = self.wanted.borrow_and_update().clone();
            if !orders.nginx.pools.is_empty() {
                self.pacer.offer(orders, Instant::now());
            }
        }
    }

    /// One turn: apply, read back, tell.
    async fn turn(&mut self, orders: &Orders) {
        let applied = self.apply(orders).await;
        let observed = match &self.backend {
            Some((_, backend)) => backend.observe().await.ok(),
            None => None,
        };
        let is_whole = applied.as_ref().is_ok_and(Applied::is_complete);
        match is_whole {
            true => self.pacer.succeeded(Instant::now()),
            false => self.pacer.failed(Instant::now()),
        }
        if let Ok(Applied { reloaded: true, written, .. }) = &applied {
            info!(pools = written.join(" "), "nginx reloaded with the pools' servers");
        }
        for desired in orders.sets.values().filter(|desired| orders.nginx.pools.contains_key(&desired.pool)) {
            let result = outcome(&desired.pool, &applied);
            if let Err(error) = &result {
                warn!(pool = &*desired.pool, "nginx does not run what the pool wants: {error}");
            }
            let running = observed.as_ref().and_then(|observed| running(observed, &desired.pool));
            let (pool, generation) = (Arc::clone(&desired.pool), desired.generation);
            // The pools take results as they come; if they cannot, the next turn tells more.
            let _ = self.results.try_send(Balanced { pool, generation, at: clock::now(), result, running });
        }
    }

    async fn apply(&mut self, orders: &Orders) -> Result<Applied, Error> {
        let backend = self.backend(&orders.nginx).await?;
        let sets = orders.sets.values().filter(|desired| orders.nginx.pools.contains_key(&desired.pool));
        let sets: Result<Vec<_>, Error> = sets.map(|desired| set(desired, &orders.sorry)).collect();
        backend.apply(&sets?).await
    }

    /// The nginx of these options; a new one first finishes or undoes what a killed agent left half done.
    async fn backend(&mut self, options: &Arc<Options>) -> Result<&Backend, Error> {
        if !self.backend.as_ref().is_some_and(|(known, _)| known == options) {
            let backend = Backend::Nginx(Nginx::new((**options).clone())?);
            backend.apply(&[]).await?;
            self.backend = Some((Arc::clone(options), backend));
        }
        let backend = self.backend.as_ref().map(|(_, backend)| backend);
        backend.ok_or_else(|| Error::Internal("the balancer that was just made is not there".to_owned()))
    }
}

fn outcome(pool: &Arc<str>, applied: &Result<Applied, Error>) -> Result<(), Arc<str>> {
    let told = |error: &Error| Err(format!("{error}: {}", error.remedy()).into());
    match applied {
        Err(error) => told(error),
        Ok(applied) => match applied.refused.iter().find(|refusal| refusal.pool == *pool) {
            Some(refusal) => told(&refusal.error),
            None if applied.unused.contains(pool) => {
                Err("nginx's configuration includes the pool's file nowhere: add the include".into())
            }
            None => Ok(()),
        },
    }
}

/// What is proven to run.
fn running(observed: &Observed, pool: &Arc<str>) -> Option<Vec<RunningServer>> {
    let view = observed.pools.get(pool).filter(|view| view.standing == Standing::Running)?;
    let server =
        |server: &Server| RunningServer { address: server.address, port: server.port, weight: server.weight };
    Some(view.servers.iter().filter(|server| !server.backup).map(server).collect())
}

fn set(desired: &Desired, sorry: &BTreeMap<Arc<str>, SorryServer>) -> Result<ha_balancer::Desired, Error> {
    let sorry = sorry.get(&desired.pool).filter(|_| desired.enabled);
    let is_sorry = |address, port| sorry.is_some_and(|sorry| sorry.address == address && sorry.port == port);
    let regular = desired.servers.iter().filter(|server| !is_sorry(server.address, server.port));
    let mut servers: Vec<Server> = regular
        .map(|server| Server { weight: server.weight, ..Server::new(server.address, server.port) })
        .collect();
    servers.extend(sorry.map(|sorry| Server { backup: true, ..Server::new(sorry.address, sorry.port) }));
    ha_balancer::Desired::new(Arc::clone(&desired.pool), servers)
}

fn options(wanted: &Wanted) -> Options {
    let nginx = &wanted.nginx;
    let pools = wanted.pools.iter().filter_map(|pool| {
        let Balancer::Nginx(options) = pool.balancer.as_ref()?;
        Some((Arc::clone(&pool.config.name), pool_options(options)))
    });
    Options {
        program: nginx.program.clone(),
        configuration: nginx.configuration.clone(),
        prefix: nginx.prefix.clone(),
        pid_file: nginx.pid_file.clone(),
        test: nginx.test.clone(),
        reload: nginx.reload.clone(),
        command_timeout: nginx.command_timeout,
        reload_timeout: nginx.reload_timeout,
        pools: pools.collect(),
    }
}

fn pool_options(pool: &NginxPool) -> PoolOptions {
    PoolOptions {
        file: pool.file.clone(),
        form: match pool.form {
            NginxForm::Servers => Form::Servers,
            NginxForm::Upstream => Form::Upstream,
        },
        sorry: match pool.sorry {
            NginxSorry::Standby => Sorry::Standby,
            NginxSorry::Alone => Sorry::Alone,
        },
        passive_checks: pool.passive_checks,
    }
}
