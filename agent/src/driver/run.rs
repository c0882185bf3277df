//! The loop of the `vrrp` thread: read the clock once, hear everything that has arrived, react to what is due, send, wait.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ha_dataplane::{Report, Timer};
use ha_engine::{
    Engine, Inheritance, Input, InstanceConfig, InstanceStatus, Instant, LinkCondition, LinkId, LinkState,
    Reason, Role,
};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::effects::Effects;
use super::ports::Ports;
use super::{Inbox, Request, Snapshot, Waiting};
use crate::clock;
use crate::distribution::{LATENESS, Recorder};
use crate::facts::News;

/// While we hold addresses, the dataplane hears from us at least this often.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// Until the next try when a queue was full or a socket could not be opened.
const RETRY: Duration = Duration::from_millis(20);
const REOPEN: Duration = Duration::from_secs(1);
/// A deadline that is later than this may have been overtaken by packets that no poll has shown yet.
const LATE: Duration = Duration::from_millis(1);
/// Instances copied into a snapshot before adverts have their turn again.
const SNAPSHOT_PAGE: usize = 128;
/// Reports, facts and requests taken before adverts have their turn again.
const BURST: usize = 64;

/// What the thread owns.
pub(super) struct Driver {
    engine: Engine,
    effects: Effects,
    ports: Ports,
    timer: AsyncFd<Timer>,
    inbox: Inbox,
    lateness: Recorder,
    snapshots: SnapshotJob,
    /// The links as the dataplane told them last.
    links: BTreeMap<LinkId, LinkState>,
    /// Those that exist and lack a socket, and when to try again.
    refused: BTreeSet<LinkId>,
    reopen_at: Option<Instant>,
    /// Until when addresses of an earlier process may wait for the links of their instances; `None` = what nobody claims has
    /// been put away.
    settles_at: Option<Instant>,
    stopped: bool,
}

/// A snapshot is taken a page at a time; who asks during one gets the next.
#[derive(Default)]
struct SnapshotJob {
    waiting: Vec<oneshot::Sender<Arc<Snapshot>>>,
    running: Option<Running>,
}

struct Running {
    next: usize,
    instances: Vec<InstanceStatus>,
    replies: Vec<oneshot::Sender<Arc<Snapshot>>>,
}

impl Driver {
    /// # Errors
    /// When the timer cannot be made.
    pub(super) fn new(effects: Effects, inbox: Inbox) -> io::Result<Self> {
        Ok(Self {
            engine: Engine::new(),
            effects,
            ports: Ports::default(),
            timer: ha_dataplane::watch_readable(Timer::new()?)?,
            inbox,
            lateness: Recorder::new(LATENESS),
            snapshots: SnapshotJob::default(),
            links: BTreeMap::new(),
            refused: BTreeSet::new(),
            reopen_at: None,
            settles_at: Some(clock::now()),
            stopped: false,
        })
    }

    /// Runs until [`Request::Stop`] was carried out, or nobody can ask any more.
    pub(super) async fn run(
        mut self,
        instances: Arc<[InstanceConfig]>,
        inheritance: Inheritance,
    ) -> io::Result<()> {
        self.inherit(&inheritance);
        self.configure(&instances);
        self.settle();
        while !self.stopped {
            let wake = self.wait().await?;
            self.effects.dataplane().alive(clock::now());
            self.receive(false);
            match wake {
                Wake::Socket => {}
                Wake::Timer => drop(self.timer.get_mut().acknowledge()?),
                Wake::Report(report) => self.on_reports(report),
                Wake::Fact(news) => self.on_facts(news),
                Wake::Request(request) => self.on_requests(request),
                Wake::Abandoned => self.stop(),
            }
            self.on_deadline();
            self.effects.flush(&mut self.ports);
            self.keep_up();
        }
        Ok(())
    }

    /// Waits for the first of everything. Cancelling a branch loses nothing: readiness stays, channels keep their items.
    async fn wait(&mut self) -> io::Result<Wake> {
        let deadline = self.wake_at();
        self.timer.get_mut().arm(deadline)?;
        let (ports, timer) = (&mut self.ports, &self.timer);
        Ok(tokio::select! {
            biased;
            () = poll_fn(|context| ports.poll_readable(context)) => Wake::Socket,
            ready = timer.readable() => {
                ready?.clear_ready();
                Wake::Timer
            }
            Some(report) = self.inbox.reports.recv() => Wake::Report(report),
            Some(news) = self.inbox.facts.recv() => Wake::Fact(news),
            request = self.inbox.requests.recv() => request.map_or(Wake::Abandoned, Wake::Request),
        })
    }

    fn wake_at(&self) -> Option<Instant> {
        let now = clock::now();
        if self.snapshots.is_busy() {
            return Some(now);
        }
        let settles = self.settles_at;
        let heartbeat = self.effects.holds_addresses().then(|| now.after(HEARTBEAT));
        let retry = self.effects.has_pending().then(|| now.after(RETRY));
        let deadline = self.engine.next_deadline().map(|(at, _)| at);
        [deadline, heartbeat, retry, self.reopen_at, settles].into_iter().flatten().min()
    }

    /// Hears what has arrived: from sockets known to be readable, or from all.
    fn receive(&mut self, all: bool) {
        let (engine, effects) = (&mut self.engine, &mut self.effects);
        let now = clock::now();
        self.ports.receive(all, |packet| effects.carry_out(engine.handle(now, Input::Packet(packet))));
    }

    /// Reacts to what is due. What may have been said before must have been heard: a Backup takes over only on silence.
    fn on_deadline(&mut self) {
        let Some((due, reason)) = self.engine.next_deadline() else { return };
        let now = clock::now();
        if due > now {
            return;
        }
        let late = now.since(due);
        self.lateness.record(late);
        // Punctual adverts need no second look: what is readable has been heard in this turn.
        self.receive(reason == Reason::ActiveDown || late >= LATE);
        let now = clock::now();
        self.effects.carry_out(self.engine.handle(now, Input::Deadline));
    }

    fn on_reports(&mut self, first: Report) {
        self.on_report(first);
        for _ in 0..BURST {
            let Ok(report) = self.inbox.reports.try_recv() else { return };
            self.on_report(report);
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Link { link, state, ifindex, .. } => {
                self.links.insert(link, state);
                let troubles = self.ports.renumber(link, ifindex);
                self.note_ports(troubles);
                self.feed_link(link);
            }
            Report::Applied(applied) => self.feed(Input::Applied(applied)),
            Report::Announced { instance, takeover: true, at, .. } => {
                self.feed(Input::Announced { instance, at })
            }
            Report::Announced { .. } => {}
            Report::AddressLost { instance, address } => self.feed(Input::AddressLost { instance, address }),
            Report::Trouble(trouble) => self.effects.report_trouble([trouble.to_string()]),
        }
    }

    fn on_facts(&mut self, first: News) {
        self.on_fact(first);
        for _ in 0..BURST {
            let Ok(news) = self.inbox.facts.try_recv() else { return };
            self.on_fact(news);
        }
    }

    fn on_fact(&mut self, news: News) {
        match news {
            News::Stands(fact) => self.feed(Input::Fact(fact)),
            News::Removed(name) => self.feed(Input::FactRemoved(name)),
        }
    }

    fn on_requests(&mut self, first: Request) {
        self.on_request(first);
        for _ in 0..BURST {
            let Ok(request) = self.inbox.requests.try_recv() else { return };
            self.on_request(request);
        }
    }

    /// Who no longer waits for an answer does not get one.
    fn on_request(&mut self, request: Request) {
        match request {
            Request::Snapshot(reply) => self.snapshots.waiting.push(reply),
            Request::Ping(reply) => drop(reply.send(())),
            Request::Operate(command, reply) => {
                self.feed(Input::Operator(command));
                if let Some(answer) = self.effects.take_answer() {
                    let _ = reply.send(answer);
                }
            }
            Request::Drain(command, reply) => {
                self.feed(Input::Drain(command));
                if let Some(answer) = self.effects.take_answer() {
                    let _ = reply.send(answer);
                }
            }
            Request::PeerWord(word) => self.feed(Input::PeerWord(word)),
            Request::Reconfigure(instances, reply) => {
                self.configure(&instances);
                let _ = reply.send(());
            }
            Request::Stop(reply) => {
                self.stop();
                let _ = reply.send(());
            }
            Request::Leave(reply) => drop(reply.send(self.leave())),
        }
    }

    /// Everything released, and the last adverts on their way.
    fn stop(&mut self) {
        self.feed(Input::Stop);
        self.effects.flush(&mut self.ports);
        self.stopped = true;
    }

    /// Nothing released, and one more advert of each Active router on its way.
    fn leave(&mut self) -> Inheritance {
        self.feed(Input::Leave);
        self.effects.flush(&mut self.ports);
        self.stopped = true;
        self.engine.inheritance(clock::now())
    }

    /// Before the first configuration.
    fn inherit(&mut self, inheritance: &Inheritance) {
        let active = inheritance.routers.iter().filter(|router| router.role == Some(Role::Active));
        self.settles_at = active.map(|router| router.until).max().max(self.settles_at);
        self.feed(Input::Inherit(inheritance));
    }

    /// Puts away what an earlier process left and nobody claims, once; what may still be gone on with stays until then.
    fn settle(&mut self) {
        let Some(at) = self.settles_at else { return };
        if at <= clock::now() || !self.engine.awaits_adoption() {
            self.settles_at = None;
            // What is claimed must be so by then.
            self.effects.flush(&mut self.ports);
            // Full only if thousands of commands wait already, and then the next reading finds what is ours.
            let _ = self.effects.dataplane().settle();
        }
    }

    fn configure(&mut self, instances: &[InstanceConfig]) {
        self.feed(Input::Reconfigure(instances));
        // Goodbyes of removed instances still need their sockets.
        self.effects.flush(&mut self.ports);
        let links = self.engine.links();
        self.effects.watch(links.iter().map(|(id, (name, _))| (*id, Arc::clone(name))).collect());
        let troubles = self.ports.want(links);
        self.note_ports(troubles);
    }

    /// A link without its sockets is as good as down.
    fn note_ports(&mut self, troubles: Vec<String>) {
        self.effects.report_trouble(troubles);
        let refused = self.ports.refused();
        self.reopen_at = (!refused.is_empty()).then(|| clock::now().after(REOPEN));
        let before = std::mem::replace(&mut self.refused, refused);
        let changed: Vec<LinkId> = before.symmetric_difference(&self.refused).copied().collect();
        changed.into_iter().for_each(|link| self.feed_link(link));
    }

    fn feed_link(&mut self, link: LinkId) {
        let Some(mut state) = self.links.get(&link).cloned() else { return };
        if state.condition == LinkCondition::Up && self.refused.contains(&link) {
            state.condition = LinkCondition::NoSocket;
        }
        self.feed(Input::Link(link, state));
    }

    /// What can wait until adverts have left.
    fn keep_up(&mut self) {
        if self.reopen_at.is_some_and(|at| at <= clock::now()) {
            let troubles = self.ports.open_missing();
            self.note_ports(troubles);
        }
        self.settle();
        self.take_snapshot();
    }

    fn take_snapshot(&mut self) {
        let Some(running) = self.snapshots.start() else { return };
        let (page, next) = self.engine.status_page(running.next, SNAPSHOT_PAGE);
        running.instances.extend(page);
        match next {
            Some(next) => running.next = next,
            None => self.finish_snapshot(),
        }
    }

    fn finish_snapshot(&mut self) {
        let Some(Running { mut instances, replies, .. }) = self.snapshots.running.take() else { return };
        // In one piece, on this thread: of ten thousand it takes 3 ms, and would take 9 if it kept the order of equals, of which there
        // are none.
        instances.sort_unstable_by(|left, right| left.config.name.cmp(&right.config.name));
        let (drain, drain_revision) = self.engine.drain();
        let snapshot = Arc::new(Snapshot {
            at: clock::now(),
            drain,
            drain_revision,
            instances,
            discarded: self.engine.unclaimed().collect(),
            lateness: self.lateness.read(),
            waiting: Waiting {
                requests: (self.inbox.requests.len(), self.inbox.requests.max_capacity()),
                reports: (self.inbox.reports.len(), self.inbox.reports.max_capacity()),
                facts: (self.inbox.facts.len(), self.inbox.facts.max_capacity()),
                events: self.effects.events_waiting(),
            },
        });
        for reply in replies {
            // Who no longer waits does not get one.
            let _ = reply.send(Arc::clone(&snapshot));
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.effects.carry_out(self.engine.handle(clock::now(), input));
    }
}

impl SnapshotJob {
    fn is_busy(&self) -> bool {
        self.running.is_some() || !self.waiting.is_empty()
    }

    /// The running job, or a new one for those who wait.
    fn start(&mut self) -> Option<&mut Running> {
        if self.running.is_none() && !self.waiting.is_empty() {
            let replies = std::mem::take(&mut self.waiting);
            self.running = Some(Running { next: 0, instances: Vec::new(), replies });
        }
        self.running.as_mut()
    }
}

/// What ended the wait.
enum Wake {
    Socket,
    Timer,
    Report(Report),
    Fact(News),
    Request(Request),
    /// Nobody can ask us any more.
    Abandoned,
}
