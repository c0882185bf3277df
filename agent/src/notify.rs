//! Notifications: whoever is to be told of what happens is told, by a program, a named pipe, mail or a webhook. NOTIFICATIONS.md
//! says what they get.
//!
//! One reader of the journal hands each record to those who want it, into a queue of their own; each of them is served by a task of
//! its own. A receiver that is dead, slow or full delays nobody: its queue drops the oldest, which is counted and told once.

mod command;
mod dispatch;
mod document;
mod episode;
mod fifo;
mod line;
mod mail;
mod notice;
mod queue;
mod selection;
mod serve;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ha_config::{Configuration, Mail, Notifier, NotifyChannel};
use ha_probe::command::Commands;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::journal::Journal;
pub use episode::Counts;
pub use line::Servers;

/// Who is told, and what is needed for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Setup {
    /// The receivers.
    pub notifiers: Vec<Arc<Notifier>>,
    /// The mail server, when there is one.
    pub mail: Option<Arc<Mail>>,
    /// The configured priority of each instance, until a record says another.
    pub priorities: BTreeMap<String, u8>,
    /// Where the servers of the pools are.
    pub servers: Arc<Servers>,
}

/// How it goes with each notifier, by name; what telemetry shows.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Mutex<BTreeMap<String, Arc<Counts>>>>);

/// Running notifications.
pub struct Notifications {
    requests: mpsc::Sender<Request>,
    task: AbortOnDropHandle<()>,
}

/// What the dispatcher is asked for.
enum Request {
    Reconfigure(Setup, oneshot::Sender<()>),
    /// Tell what has happened so far, and end.
    Finish,
}

impl Setup {
    /// What of it cannot be used, by the name of the notifier: files that cannot be read, certificates that are none.
    pub fn unusable(&self) -> Vec<(String, String)> {
        let judge = |channel: &NotifyChannel| match (channel, &self.mail) {
            (NotifyChannel::Webhook(webhook), _) => webhook::way(webhook).map(|_| ()),
            (NotifyChannel::Mail { to }, Some(server)) => mail::check(server, to),
            _ => Ok(()),
        };
        let judged = self.notifiers.iter().map(|notifier| (&notifier.name, judge(&notifier.channel)));
        judged.filter_map(|(name, judged)| Some((name.clone(), judged.err()?))).collect()
    }
}

/// From the configuration in force.
impl From<&Configuration> for Setup {
    fn from(configuration: &Configuration) -> Self {
        let servers = configuration.pools.iter().flat_map(|pool| {
            let pool = &pool.config;
            pool.servers.iter().map(|server| {
                let name = (pool.name.to_string(), server.name.to_string());
                (name, SocketAddr::new(server.address, server.port))
            })
        });
        Self {
            notifiers: configuration.notifiers.iter().cloned().map(Arc::new).collect(),
            mail: configuration.mail.clone().map(Arc::new),
            priorities: configuration
                .instances
                .iter()
                .map(|instance| (instance.name.to_string(), instance.priority.get()))
                .collect(),
            servers: Arc::new(servers.collect()),
        }
    }
}

impl Tally {
    /// A copy of who there is.
    pub fn counts(&self) -> BTreeMap<String, Arc<Counts>> {
        self.lock().clone()
    }

    /// The counts of one, from now on.
    pub(crate) fn of(&self, name: &str) -> Arc<Counts> {
        Arc::clone(self.lock().entry(name.to_owned()).or_default())
    }

    /// Counts of notifiers that are no longer configured are forgotten.
    fn retain(&self, is_configured: impl Fn(&str) -> bool) {
        self.lock().retain(|name, _| is_configured(name));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Arc<Counts>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the agent takes at its end for telling what happened last.
pub const LAST_WORDS: Duration = Duration::from_secs(2);

impl Notifications {
    /// Begins with the oldest record of the journal. Call inside the main runtime.
    pub fn start(journal: Arc<Journal>, commands: Commands, setup: Setup, tally: Tally) -> Self {
        let (requests, for_dispatcher) = mpsc::channel(1);
        let dispatcher = dispatch::Dispatcher::new(journal, commands, tally, setup);
        let task = tokio::spawn(dispatcher.run(for_dispatcher));
        Self { requests, task: AbortOnDropHandle::new(task) }
    }

    /// Asks for changes from a place that cannot keep the whole.
    pub fn handle(&self) -> Handle {
        Handle(self.requests.clone())
    }

    /// Tells what the journal has by now, once each, for [`LAST_WORDS`] at most, and ends.
    pub async fn finish(self) {
        /// Beside what the dispatcher keeps to itself.
        const MARGIN: Duration = Duration::from_millis(200);
        // An error says that it has ended.
        let _ = self.requests.send(Request::Finish).await;
        if timeout(LAST_WORDS + MARGIN, self.task).await.is_err() {
            warn!("notifications did not end in time; what waited is lost");
        }
    }
}

/// Reaches running notifications.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Request>);

impl Handle {
    /// Takes over another configuration: who stays as he was notices nothing, who changed keeps what waits for him.
    pub async fn reconfigure(&self, setup: Setup) {
        let (done, is_done) = oneshot::channel();
        if self.0.send(Request::Reconfigure(setup, done)).await.is_ok() {
            let _ = is_done.await;
        }
    }
}
