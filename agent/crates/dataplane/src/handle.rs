//! The dataplane thread from outside. Nothing here blocks: queues are bounded, and a full one is the caller's news.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use ha_engine::{Announcement, Instant, LinkId, Ownership};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;
use crate::kernel_view::KernelView;
use crate::report::Report;
use crate::{clock, runner};

/// How the dataplane thread works.
#[derive(Clone, Debug)]
pub struct Options {
    /// SCHED_FIFO priority of the thread, lower than the `vrrp` thread's; `None` = ordinary scheduling. When it is refused
    /// the thread runs on and says so in a [`Report::Trouble`]. Default `None`.
    pub priority: Option<u8>,
    /// Ownerships, announcements and the like that may wait; default 32 768.
    pub commands: usize,
    /// Reports that may wait before newer ones replace older ones; default 1024.
    pub reports: usize,
    /// How often everything is read from the kernel again, in case a notification went astray; default 10 s.
    pub heartbeat: Duration,
    /// How long the kernel may take for one batch; default 2 s.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            priority: None,
            commands: 32_768,
            reports: 1024,
            heartbeat: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
        }
    }
}

/// Links by the engine's number and the configured name.
pub type Links = Vec<(LinkId, Arc<str>)>;

/// The thread that talks netlink.
#[derive(Debug)]
pub struct Dataplane;

impl Dataplane {
    /// Starts the thread, in the network namespace of the calling thread, and reads the kernel once. When every handle is
    /// dropped without [`Handle::shutdown`], the thread withdraws all that is ours and ends.
    ///
    /// # Errors
    /// When a socket or the thread cannot be made, the first reading fails, or the kernel is older than 5.18.
    pub fn spawn(options: Options) -> Result<(Handle, mpsc::Receiver<Report>), Error> {
        let (commands, queue) = mpsc::channel(options.commands.max(1));
        let (reports, receiver) = mpsc::channel(options.reports.max(1));
        let shared = Arc::new(Shared::default());
        shared.alive.store(clock::now().as_nanos(), Ordering::Relaxed);
        let (stop, stopped) = mpsc::channel(1);
        runner::start(options, queue, stopped, reports, Arc::clone(&shared))?;
        Ok((Handle { commands, stop, shared }, receiver))
    }
}

/// Asks the dataplane thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    stop: mpsc::Sender<End>,
    shared: Arc<Shared>,
}

/// What did not reach the dataplane thread.
#[derive(Debug, thiserror::Error)]
#[error("the dataplane thread {}", if *.ended { "has ended" } else { "is behind" })]
pub struct Undelivered<T> {
    /// To be tried again.
    pub item: T,
    /// The thread has ended; trying again is of no use.
    pub ended: bool,
}

/// What a shutdown took away.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Withdrawn {
    /// Addresses that were removed.
    pub addresses: usize,
    /// Macvlan links that were removed.
    pub links: usize,
    /// What could not be removed, in the kernel's words.
    pub failures: Vec<String>,
}

/// What was left for another process by [`Handle::leave`].
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Left {
    /// To be told to the next process by [`Handle::inherit`].
    pub settings: LinkSettings,
    /// What could not be renewed, in the kernel's words.
    pub failures: Vec<String>,
}

/// `arp_ignore` and `arp_announce` of links below our macvlans, as they were before we set them; by the link's name.
pub type LinkSettings = BTreeMap<Arc<str>, [u32; 2]>;

/// The end of a shutdown. Resolves to an error only when the thread had ended before.
pub type Completion = oneshot::Receiver<Withdrawn>;

impl Handle {
    /// Makes the kernel hold exactly these addresses for the instance. Answered by [`Report::Applied`], unless a newer
    /// ownership of the same instance overtakes it.
    ///
    /// # Errors
    /// [`Undelivered`] when the queue is full; try again later.
    pub fn own(&self, ownership: Ownership) -> Result<(), Undelivered<Ownership>> {
        self.deliver(ownership, Command::Own, |command| match command {
            Command::Own(ownership) => Some(ownership),
            _ => None,
        })
    }

    /// Announces once each address that the kernel then holds. Answered by [`Report::Announced`].
    ///
    /// # Errors
    /// [`Undelivered`] when the queue is full; try again later.
    pub fn announce(&self, announcement: Announcement) -> Result<(), Undelivered<Announcement>> {
        self.deliver(announcement, Command::Announce, |command| match command {
            Command::Announce(announcement) => Some(announcement),
            _ => None,
        })
    }

    /// Reports exactly these links from now on, each at once.
    ///
    /// # Errors
    /// [`Undelivered`] when the queue is full; try again later.
    pub fn watch(&self, links: Links) -> Result<(), Undelivered<Links>> {
        self.deliver(links, Command::Watch, |command| match command {
            Command::Watch(links) => Some(links),
            _ => None,
        })
    }

    /// Removes what an earlier process of ours left and no ownership claims by now, and goes on doing so. To be called once,
    /// when the instances are configured.
    ///
    /// # Errors
    /// [`Undelivered`] when the queue is full; try again later.
    pub fn settle(&self) -> Result<(), Undelivered<()>> {
        self.deliver((), |()| Command::Settle, |_| Some(()))
    }

    /// The heartbeat of the `vrrp` thread: leases are renewed only while it is younger than a third of the lease. One atomic
    /// store.
    pub fn alive(&self, now: Instant) {
        self.shared.alive.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// When [`Self::alive`] was called last.
    pub fn last_alive(&self) -> Instant {
        self.shared.last_alive()
    }

    /// Commands that wait for the thread, and how many may.
    pub fn waiting(&self) -> (usize, usize) {
        let most = self.commands.max_capacity();
        (most - self.commands.capacity(), most)
    }

    /// Withdraws every address and macvlan of ours, then ends the thread. Commands that were given before are carried out
    /// first. Never refused.
    pub fn shutdown(&self) -> Completion {
        let (done, completion) = oneshot::channel();
        // A full queue means that another shutdown is on its way; then this completion ends with the thread.
        let _ = self.stop.try_send(End::Withdraw(done));
        completion
    }

    /// Leaves every address and macvlan for another process, with leases as fresh as can be, then ends the thread. Commands
    /// that were given before are carried out first. Never refused.
    pub fn leave(&self) -> oneshot::Receiver<Left> {
        let (done, completion) = oneshot::channel();
        // As with a shutdown.
        let _ = self.stop.try_send(End::Leave(done));
        completion
    }

    /// What an earlier process left. To be called before the first ownership.
    ///
    /// # Errors
    /// [`Undelivered`] when the queue is full; try again later.
    pub fn inherit(&self, settings: LinkSettings) -> Result<(), Undelivered<LinkSettings>> {
        self.deliver(settings, Command::Inherit, |command| match command {
            Command::Inherit(settings) => Some(settings),
            _ => None,
        })
    }

    /// What the kernel has, as it was read back last.
    pub fn kernel_view(&self) -> Arc<KernelView> {
        self.shared.view.load_full()
    }

    fn deliver<T>(
        &self,
        item: T,
        wrap: impl FnOnce(T) -> Command,
        unwrap: impl FnOnce(Command) -> Option<T>,
    ) -> Result<(), Undelivered<T>> {
        let (command, ended) = match self.commands.try_send(wrap(item)) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(command)) => (command, false),
            Err(TrySendError::Closed(command)) => (command, true),
        };
        let item = unwrap(command).expect("try_send gives back what it was given");
        Err(Undelivered { item, ended })
    }
}

/// What waits for the dataplane thread.
#[derive(Debug)]
pub(crate) enum Command {
    Own(Ownership),
    Announce(Announcement),
    Watch(Links),
    Inherit(LinkSettings),
    Settle,
}

/// How the thread is to end, and who wants to know.
#[derive(Debug)]
pub(crate) enum End {
    Withdraw(oneshot::Sender<Withdrawn>),
    Leave(oneshot::Sender<Left>),
}

/// What both sides reach without a queue.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Nanoseconds on the boot clock of the `vrrp` thread's last heartbeat.
    pub(crate) alive: AtomicU64,
    pub(crate) view: ArcSwap<KernelView>,
}

impl Shared {
    pub(crate) fn last_alive(&self) -> Instant {
        Instant::from_nanos(self.alive.load(Ordering::Relaxed))
    }
}
