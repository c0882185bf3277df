//! The loop of the dataplane thread: wait for a command, a notification or a due time; do what is due; report.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ha_engine::{Announcement, InstanceId, Instant, LinkId, Ownership};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::announce::Announcer;
use crate::apply::{Owner, Swept};
use crate::clock;
use crate::error::Error;
use crate::handle::{Command, End, Left, Options, Shared, Withdrawn};
use crate::kernel::Kernel;
use crate::kernel_view::KernelView;
use crate::lease::Leases;
use crate::outbox::Outbox;
use crate::readiness::watch_readable;
use crate::report::Report;
use crate::thread::set_fifo_priority;

/// Commands taken at once: so many that a batch pays, so few that the first takeovers of a thousand need not wait for the
/// last.
const COMMANDS: usize = 128;
/// The kernel view is put together at most this often, and so that it takes at most one part in `VIEW_SHARE` of the time. Who asks
/// right after a takeover or a restart sees it beside what the `vrrp` thread says: an address that is held and not yet seen looks
/// like a fault.
const VIEW_INTERVAL: Duration = Duration::from_millis(2);
const VIEW_SHARE: u32 = 20;
/// How soon to try again what failed in the kernel.
const RETRY: Duration = Duration::from_secs(1);

type Stop = mpsc::Receiver<End>;

/// Opens everything in the namespace of the calling thread and starts the thread.
pub(crate) fn start(
    options: Options,
    queue: mpsc::Receiver<Command>,
    stop: Stop,
    reports: mpsc::Sender<Report>,
    shared: Arc<Shared>,
) -> Result<(), Error> {
    check_release()?;
    let fail = |action: &'static str| {
        move |source| Error::Refused { action: action.into(), source, explanation: String::new() }
    };
    let kernel = Kernel::open(&options)?;
    let announcer = Announcer::new()?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(fail("build a runtime"))?;
    let now = clock::now();
    let runner = Runner {
        heartbeat: now.after(options.heartbeat),
        options,
        kernel,
        announcer,
        owner: Owner::default(),
        leases: Leases::default(),
        renewal: None,
        watched: BTreeMap::new(),
        outbox: Outbox::new(reports),
        shared,
        is_settled: false,
        is_in_charge: false,
        view_due: Some(now),
        view_cost: Duration::ZERO,
    };
    let body = move || run(runner, &runtime, queue, stop);
    thread::Builder::new()
        .name("dataplane".into())
        .spawn(body)
        .map_err(fail("start the dataplane thread"))?;
    Ok(())
}

/// IFA_PROTO came with Linux 5.18.
fn check_release() -> Result<(), Error> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if is_old(&release) { Err(Error::OldKernel { release: release.trim().to_owned() }) } else { Ok(()) }
}

/// What cannot be read is not old.
fn is_old(release: &str) -> bool {
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) < (5_u32, 18_u32),
        _ => false,
    }
}

fn run(mut runner: Runner, runtime: &Runtime, mut queue: mpsc::Receiver<Command>, mut stop: Stop) {
    if let Some(priority) = runner.options.priority
        && let Err(error) = set_fifo_priority(priority)
    {
        runner.kernel.trouble(format!("the dataplane thread runs without real-time priority: {error}"));
    }
    // The one who asked may have gone; what was asked for is done all the same.
    match runtime.block_on(runner.run(&mut queue, &mut stop)) {
        Some(End::Leave(done)) => drop(done.send(runner.leave())),
        Some(End::Withdraw(done)) => drop(done.send(runner.withdraw())),
        None => drop(runner.withdraw()),
    }
}

struct Runner {
    options: Options,
    kernel: Kernel,
    announcer: Announcer,
    owner: Owner,
    leases: Leases,
    renewal: Option<Renewal>,
    /// Name and what was reported last.
    watched: BTreeMap<LinkId, (Arc<str>, Option<Report>)>,
    outbox: Outbox,
    shared: Arc<Shared>,
    is_settled: bool,
    /// It was told what is its own: what else of ours is in the kernel was left behind.
    is_in_charge: bool,
    heartbeat: Instant,
    /// When the kernel view is to be put together, `None` = nothing changed.
    view_due: Option<Instant>,
    view_cost: Duration,
}

/// A round of lease renewals.
struct Renewal {
    lifetimes: Vec<u32>,
    /// How far it has come.
    done: Option<InstanceId>,
    start: Instant,
    /// How long commands may come in between.
    patience: Duration,
    cost: Duration,
}

/// What was taken from the queue, the newest of each instance.
#[derive(Default)]
struct Work {
    ownerships: BTreeMap<InstanceId, Ownership>,
    announcements: BTreeMap<InstanceId, Announcement>,
}

impl Runner {
    /// Runs until it is told to stop, and then gives who wants to know, or until nobody is left to tell it anything.
    async fn run(&mut self, queue: &mut mpsc::Receiver<Command>, stop: &mut Stop) -> Option<End> {
        let readiness = self.kernel.readiness().and_then(watch_readable);
        let readiness = match readiness {
            Ok(readiness) => Some(readiness),
            Err(error) => {
                self.kernel
                    .trouble(format!("cannot wait for notifications, will look every second: {error}"));
                self.options.heartbeat = RETRY;
                None
            }
        };
        let mut commands = Vec::with_capacity(COMMANDS);
        loop {
            self.settle_accounts();
            let next = self.next_due();
            // Every branch may be dropped halfway: nothing is taken before it is ready.
            tokio::select! {
                biased;
                count = queue.recv_many(&mut commands, COMMANDS) => {
                    if count == 0 {
                        return stop.try_recv().ok();
                    }
                    self.handle(commands.drain(..));
                }
                done = stop.recv() => return done,
                () = readable(readiness.as_ref()) => self.kernel.refresh(),
                () = self.outbox.has_room(), if !self.outbox.is_empty() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    fn handle(&mut self, commands: impl Iterator<Item = Command>) {
        let mut work = Work::default();
        for command in commands {
            match command {
                Command::Own(ownership) => {
                    let newest =
                        work.ownerships.entry(ownership.instance).or_insert_with(|| ownership.clone());
                    if newest.generation <= ownership.generation {
                        *newest = ownership;
                    }
                }
                Command::Announce(mut announcement) => {
                    let earlier = work.announcements.get(&announcement.instance);
                    announcement.takeover |= earlier.is_some_and(|earlier| earlier.takeover);
                    work.announcements.insert(announcement.instance, announcement);
                }
                Command::Watch(links) => self.watch(links),
                Command::Inherit(settings) => {
                    self.is_in_charge = true;
                    self.owner.inherit(settings);
                }
                Command::Settle => {
                    // What came before it must be claimed first.
                    self.carry_out(&mut work);
                    (self.is_settled, self.is_in_charge) = (true, true);
                    self.sweep();
                }
            }
        }
        self.carry_out(&mut work);
    }

    fn carry_out(&mut self, work: &mut Work) {
        let Work { ownerships, announcements } = std::mem::take(work);
        self.kernel.refresh();
        if !ownerships.is_empty() {
            self.is_in_charge = true;
            for applied in self.owner.apply(&mut self.kernel, &ownerships) {
                self.outbox.forget_losses(applied.instance);
                self.outbox.put(Report::Applied(applied));
            }
            self.leases.set(&self.owner.lifetimes(), clock::now());
            self.outbox.flush();
            self.touch_view();
        }
        if !announcements.is_empty() {
            for report in self.announcer.announce(&self.kernel.observed, &announcements) {
                self.outbox.put(report);
            }
            self.touch_view();
        }
    }

    fn watch(&mut self, links: crate::handle::Links) {
        self.watched = links.into_iter().map(|(link, name)| (link, (name, None))).collect();
        self.report_links();
        self.touch_view();
    }

    /// Whatever woke us: does what is due, and reports.
    fn settle_accounts(&mut self) {
        let now = clock::now();
        self.renew(now);
        if self.heartbeat <= now {
            self.kernel.read_everything();
            if self.is_settled {
                self.sweep();
            }
            self.heartbeat = clock::now().after(self.options.heartbeat);
        }
        if self.kernel.is_stale() {
            self.heartbeat = self.heartbeat.min(clock::now().after(RETRY));
        }
        if self.kernel.observed.take_changed() {
            self.report_links();
            for (instance, address) in self.owner.holdings.take_losses(&self.kernel.observed) {
                self.outbox.put(Report::AddressLost { instance, address });
            }
            self.touch_view();
        }
        self.kernel.take_troubles().into_iter().for_each(|text| self.outbox.put(Report::Trouble(text)));
        self.publish_view();
        self.outbox.flush();
    }

    /// Begins a round of renewals that is due, or goes on with one.
    fn renew(&mut self, now: Instant) {
        if self.renewal.is_none() && self.leases.next().is_some_and(|due| due <= now) {
            let lifetimes = self.leases.take_due(now, self.shared.last_alive());
            let shortest = lifetimes.iter().min().copied().unwrap_or_default();
            let patience = Duration::from_secs(u64::from(shortest)) / 8;
            self.renewal =
                Some(Renewal { lifetimes, done: None, start: now, patience, cost: Duration::ZERO });
        }
        let Some(renewal) = &mut self.renewal else { return };
        // A round that takes long must not let its last addresses run out.
        let is_late = now.since(renewal.start) > renewal.patience;
        loop {
            self.kernel.refresh();
            renewal.done = self.owner.renew(&mut self.kernel, &renewal.lifetimes, renewal.done);
            if renewal.done.is_none() || !is_late {
                break;
            }
        }
        renewal.cost += clock::now().since(now);
        if renewal.done.is_none() {
            self.leases.note_cost(&renewal.lifetimes, renewal.start, renewal.cost);
            self.renewal = None;
        }
    }

    fn report_links(&mut self) {
        for (link, (name, last)) in &mut self.watched {
            let found = self.kernel.observed.link_named(name);
            let report = Report::Link {
                link: *link,
                state: self.kernel.observed.state(name),
                ifindex: found.map(|found| found.index),
                mac: found.and_then(|found| found.mac),
                mtu: found.map_or(0, |found| found.mtu),
            };
            if last.as_ref() != Some(&report) {
                *last = Some(report.clone());
                self.outbox.put(report);
            }
        }
    }

    fn sweep(&mut self) {
        let Swept { addresses, links, failures } = self.owner.sweep(&mut self.kernel);
        if !addresses.is_empty() || !links.is_empty() {
            let all = [addresses, links].concat().join(", ");
            self.kernel.trouble(format!("removed what an earlier process left: {all}"));
        }
        failures.into_iter().for_each(|failure| self.kernel.trouble(failure));
    }

    fn withdraw(mut self) -> Withdrawn {
        if !self.is_in_charge {
            // What is in the kernel belongs to another agent, beside which this one may not run.
            return Withdrawn::default();
        }
        self.kernel.read_everything();
        let Swept { addresses, links, failures } = self.owner.withdraw(&mut self.kernel);
        self.view_due = Some(Instant::default());
        self.publish_view();
        Withdrawn { addresses: addresses.len(), links: links.len(), failures }
    }

    /// The last renewal covers the time until the next process renews for itself; when none comes, the kernel takes the
    /// addresses away.
    fn leave(mut self) -> Left {
        self.kernel.refresh();
        let lifetimes: Vec<u32> = self.owner.lifetimes().into_iter().collect();
        let mut behind = None;
        loop {
            behind = self.owner.renew(&mut self.kernel, &lifetimes, behind);
            if behind.is_none() {
                break;
            }
        }
        let failures = self.kernel.take_troubles().iter().map(ToString::to_string).collect();
        Left { settings: self.owner.into_settings(), failures }
    }

    fn touch_view(&mut self) {
        if self.view_due.is_none() {
            let pause = VIEW_INTERVAL.max(self.view_cost * VIEW_SHARE);
            self.view_due = Some(self.shared.view.load().at.after(pause));
        }
    }

    fn publish_view(&mut self) {
        let now = clock::now();
        if self.view_due.is_some_and(|due| due <= now) {
            self.view_due = None;
            let names = self.watched.values().map(|(name, _)| name);
            let (observed, holdings) = (&self.kernel.observed, &self.owner.holdings);
            let view = KernelView::new(now, names, observed, holdings, self.announcer.history());
            self.shared.view.store(Arc::new(view));
            self.view_cost = clock::now().since(now);
        }
    }

    fn next_due(&self) -> Instant {
        let leases = if self.renewal.is_some() { Some(Instant::default()) } else { self.leases.next() };
        let due = [leases, self.view_due].into_iter().flatten();
        due.fold(self.heartbeat, Instant::min)
    }
}

/// Resolves when notifications wait; the readiness is forgotten first, so that what comes while they are read counts again.
async fn readable(readiness: Option<&AsyncFd<std::os::fd::OwnedFd>>) {
    let Some(readiness) = readiness else { return pending().await };
    match readiness.readable().await {
        Ok(mut guard) => guard.clear_ready(),
        // The runtime is going down.
        Err(_) => pending().await,
    }
}

async fn sleep_until(due: Instant) {
    tokio::time::sleep(due.since(clock::now())).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_before_5_18_are_too_old() {
        let table = [
            ("5.17.15-generic\n", true),
            ("4.18.0-553.el8", true),
            ("5.18.0", false),
            ("6.1.0-28-amd64", false),
            ("6.18.44", false),
            ("7.0-rc1", false),
            ("", false),
        ];
        for (release, expected) in table {
            assert_eq!(is_old(release), expected, "{release}");
        }
    }
}
