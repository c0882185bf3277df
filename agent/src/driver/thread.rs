//! Starts the `vrrp` thread: its own runtime, real-time scheduling and exact timers when the kernel permits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;

use ha_dataplane::Report;
use ha_engine::{Inheritance, InstanceConfig};
use tokio::sync::mpsc;

use super::effects::Effects;
use super::run::Driver;
use super::{Notices, Request};
use crate::facts::FactInbox;

/// Events that may wait for the journal: a takeover of ten thousand instances fits.
const EVENTS: usize = 65_536;
/// Troubles that may wait to be logged; more of the same is of no use.
const TROUBLES: usize = 64;

/// A running `vrrp` thread.
#[derive(Debug)]
pub struct Started {
    /// What it decided.
    pub notices: Notices,
    /// What went wrong around it, for the log.
    pub troubles: mpsc::Receiver<String>,
    /// Why it is not as punctual as it could be, if so.
    pub unpunctual: Option<ha_dataplane::Error>,
    /// Ends after [`super::Handle::stop`].
    pub thread: JoinHandle<()>,
}

/// What the thread hears from others.
#[derive(Debug)]
pub struct Inbox {
    /// Of the dataplane.
    pub reports: mpsc::Receiver<Report>,
    /// From those who tell facts.
    pub facts: FactInbox,
    /// The other end of a [`super::Handle`].
    pub requests: mpsc::Receiver<Request>,
}

/// Starts the thread with its first configuration and what an earlier process left.
///
/// # Errors
/// When the thread cannot be made.
pub fn start(
    priority: Option<u8>,
    dataplane: ha_dataplane::Handle,
    inbox: Inbox,
    instances: Arc<[InstanceConfig]>,
    inheritance: Inheritance,
) -> std::io::Result<Started> {
    let (events, event_receiver) = mpsc::channel(EVENTS);
    let (trouble_sender, troubles) = mpsc::channel(TROUBLES);
    let lost = Arc::new(AtomicU64::new(0));
    let effects = Effects::new(dataplane, events, Arc::clone(&lost), trouble_sender);
    let (told, refusal) = std::sync::mpsc::channel();
    let body = move || {
        // Nobody listens any more only when the agent is ending.
        let _ = told.send(become_punctual(priority));
        serve(effects, inbox, instances, inheritance)
    };
    let thread = std::thread::Builder::new().name("vrrp".to_owned()).spawn(move || {
        // An agent without its heart must not look alive: end at once, the kernel's lease and the supervisor do the rest.
        match catch_unwind(AssertUnwindSafe(body)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => die(&error.to_string()),
            Err(_) => die("a panic"),
        }
    })?;
    let unpunctual = refusal.recv().ok().and_then(Result::err);
    let notices = Notices { events: event_receiver, lost };
    Ok(Started { notices, troubles, unpunctual, thread })
}

fn serve(
    effects: Effects,
    inbox: Inbox,
    instances: Arc<[InstanceConfig]>,
    inheritance: Inheritance,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async { Driver::new(effects, inbox)?.run(instances, inheritance).await })
}

fn become_punctual(priority: Option<u8>) -> Result<(), ha_dataplane::Error> {
    ha_dataplane::set_timer_slack()?;
    priority.map_or(Ok(()), ha_dataplane::set_fifo_priority)
}

fn die(why: &str) -> ! {
    eprintln!("ha-agent: the vrrp thread ended: {why}");
    std::process::abort()
}
