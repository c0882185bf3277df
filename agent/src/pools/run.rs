//! The loop of the pools' task: hear checks, instances, operators and balancers, tell the pools, hand on what they want.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ha_config::{Balancer, Pool};
use ha_engine::{DrainedServer, PoolInput, PoolOutput, PoolRefusal, Pools};
use tokio::sync::mpsc;
use tokio::time::{Instant as TokioInstant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::balance::{Balance, Order};
use super::instances::{Change, Instances};
use super::{Action, Command, PoolView, Request, Snapshot, Wanted};
use crate::facts::{FactInbox, Facts, News};
use crate::journal::Journal;
use crate::{clock, driver};

/// What the task needs.
#[derive(Debug)]
pub struct Start {
    /// The history of the node.
    pub journal: Arc<Journal>,
    /// Says which instances are Active.
    pub driver: driver::Handle,
    /// What the checks find.
    pub of_checks: FactInbox,
    /// Tells the `vrrp` thread of the pools' verdicts.
    pub for_instances: Facts,
    /// The other end of a [`super::Handle`].
    pub requests: mpsc::Receiver<Request>,
    /// The first configuration.
    pub wanted: Wanted,
    /// What an earlier process left drained.
    pub drained: Vec<DrainedServer>,
    /// Cancelled when the agent ends. Balancers keep what they have.
    pub end: CancellationToken,
}

/// What the task owns.
struct Runner {
    pools: Pools,
    journal: Arc<Journal>,
    for_instances: Facts,
    of_checks: FactInbox,
    requests: mpsc::Receiver<Request>,
    instances: Instances,
    balance: Balance,
    /// What balances each pool.
    backends: BTreeMap<Arc<str>, &'static str>,
    answer: Option<Result<(), PoolRefusal>>,
}

/// Until the next try to tell the `vrrp` thread when it was too busy to listen.
const RETRY: Duration = Duration::from_millis(20);

/// The clock of waits stands still while the machine is suspended, that of deadlines does not: no wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Facts that are taken before anything else has its turn again.
const BURST: usize = 1024;

/// What ended the wait.
enum Wake {
    News(News),
    Instances(Vec<Change>),
    Balanced(ha_engine::Balanced),
    Request(Request),
    Time,
}

/// Runs until the agent ends.
pub async fn run(start: Start) {
    let Start { journal, driver, of_checks, for_instances, requests, wanted, drained, end } = start;
    let instances = Instances::new(&journal, driver);
    let mut runner = Runner {
        pools: Pools::new(),
        journal,
        for_instances,
        of_checks,
        requests,
        instances,
        balance: Balance::start(end.clone()),
        backends: BTreeMap::new(),
        answer: None,
    };
    runner.feed(PoolInput::Inherit(drained));
    runner.reconfigure(&wanted);
    // Cancelled in a wait: everything that was heard has been acted upon.
    let _ = end.run_until_cancelled(runner.go_on()).await;
}

impl Runner {
    async fn go_on(&mut self) {
        loop {
            match self.wait().await {
                Wake::News(news) => self.on_news(news),
                Wake::Instances(changes) => changes.into_iter().for_each(|change| self.on_instance(change)),
                Wake::Balanced(balanced) => self.feed(PoolInput::Balanced(balanced)),
                Wake::Request(request) => self.on_request(request),
                Wake::Time => {}
            }
            if self.pools.next_deadline().is_some_and(|due| due <= clock::now()) {
                self.feed(PoolInput::Deadline);
            }
            self.for_instances.offer();
            self.balance.publish();
        }
    }

    /// Waits for the first of everything. Cancelling a branch loses nothing: channels keep their items.
    async fn wait(&mut self) -> Wake {
        let until = self.wake_at();
        tokio::select! {
            biased;
            Some(news) = self.of_checks.recv() => Wake::News(news),
            changes = self.instances.next() => Wake::Instances(changes),
            Some(request) = self.requests.recv() => Wake::Request(request),
            balanced = self.balance.next() => Wake::Balanced(balanced),
            () = sleep_until(until) => Wake::Time,
        }
    }

    fn wake_at(&self) -> TokioInstant {
        let due = self.pools.next_deadline().map_or(LONGEST_WAIT, |due| due.since(clock::now()));
        let retry = if self.for_instances.has_kept() { RETRY } else { LONGEST_WAIT };
        TokioInstant::now() + due.min(retry).min(LONGEST_WAIT)
    }

    fn on_news(&mut self, first: News) {
        self.take_news(first);
        for _ in 0..BURST {
            let Ok(news) = self.of_checks.try_recv() else { return };
            self.take_news(news);
        }
    }

    fn take_news(&mut self, news: News) {
        match news {
            News::Stands(fact) => self.feed(PoolInput::Fact(fact)),
            News::Removed(name) => self.feed(PoolInput::FactRemoved(name)),
        }
    }

    fn on_instance(&mut self, (instance, active): Change) {
        self.feed(PoolInput::InstanceState { instance, active });
    }

    /// Who no longer waits for an answer does not get one.
    fn on_request(&mut self, request: Request) {
        match request {
            Request::Snapshot(reply) => drop(reply.send(Arc::new(self.snapshot()))),
            Request::Operate(command, reply) => drop(reply.send(self.operate(command))),
            Request::Reconfigure(wanted, reply) => {
                self.reconfigure(&wanted);
                let _ = reply.send(());
            }
        }
    }

    /// The balancer's options first: what the pools want is written with them.
    fn reconfigure(&mut self, wanted: &Wanted) {
        self.backends = wanted.pools.iter().filter_map(backend).collect();
        self.balance.configure(wanted);
        let pools: Vec<_> = wanted.pools.iter().map(|pool| pool.config.clone()).collect();
        self.feed(PoolInput::Reconfigure(&pools));
        self.balance.publish();
    }

    fn operate(&mut self, command: Command) -> Result<PoolView, PoolRefusal> {
        let Command { pool, server, action, actor, dry_run } = command;
        let name = Arc::clone(&pool);
        self.feed(match action {
            Action::Drain { reason, expires, survives, allow_below_floor } => PoolInput::Drain {
                pool,
                server,
                reason,
                actor,
                expires,
                survives,
                allow_below_floor,
                dry_run,
            },
            Action::Undrain => PoolInput::Undrain { pool, server, actor, dry_run },
        });
        self.answer.take().unwrap_or(Err(PoolRefusal::UnknownPool))?;
        let status = self.pools.status(&name).ok_or(PoolRefusal::UnknownPool)?;
        Ok(PoolView { backend: self.backends.get(&name).copied(), status })
    }

    fn snapshot(&self) -> Snapshot {
        let view = |status: ha_engine::PoolStatus| PoolView {
            backend: self.backends.get(&status.config.name).copied(),
            status,
        };
        Snapshot { at: clock::now(), pools: self.pools.statuses().map(view).collect() }
    }

    fn feed(&mut self, input: PoolInput<'_>) {
        for output in self.pools.handle(clock::now(), input) {
            match output {
                PoolOutput::Desired(desired) => self.balance.order(Order::Use(desired)),
                PoolOutput::Removed(pool) => self.balance.order(Order::Forget(pool)),
                PoolOutput::Fact(fact) => self.for_instances.tell(News::Stands(fact)),
                PoolOutput::FactRemoved(name) => self.for_instances.tell(News::Removed(name)),
                PoolOutput::Event(event) => drop(self.journal.append(event)),
                PoolOutput::Answer(answer) => self.answer = Some(answer),
            }
        }
    }
}

fn backend(pool: &Pool) -> Option<(Arc<str>, &'static str)> {
    let Balancer::Nginx(_) = pool.balancer.as_ref()?;
    Some((Arc::clone(&pool.config.name), "nginx"))
}
