//! The loop of the checks' thread: hear what ended, tell the monitor, begin what is due, wait.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use ha_engine::{CheckId, CheckInput, CheckOutput, CheckRefusal, Monitor, MutedCheck};
use ha_probe::command::Commands;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant as TokioInstant, sleep, sleep_until};
use tracing::warn;

use super::asked::Askers;
use super::compile::Check;
use super::equipment::Equipment;
use super::jobs::{Done, Jobs};
use super::outlet::Outlets;
use super::shown::SnapshotJob;
use super::statistics::Statistics;
use super::{Action, Asked, CheckView, Command, Request};
use crate::clock;

/// What the thread owns.
pub(super) struct Runner {
    pub(super) monitor: Monitor,
    pub(super) equipment: Equipment,
    pub(super) jobs: Jobs,
    pub(super) commands: Commands,
    pub(super) outlets: Outlets,
    pub(super) askers: Askers,
    pub(super) statistics: Statistics,
    /// What the monitor wants and has not had yet.
    pub(super) outputs: VecDeque<CheckOutput>,
    /// What ended and the monitor was not told yet.
    pub(super) done: VecDeque<Done>,
    requests: mpsc::Receiver<Request>,
    snapshots: SnapshotJob,
}

/// Until the next try to tell somebody who was too busy to listen.
const RETRY: Duration = Duration::from_millis(20);

/// The clock of waits stands still while the machine is suspended, that of deadlines does not: no wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// Ends that are taken before deadlines have their turn again.
const BURST: usize = 1024;

/// How long commands may take to end when the agent stops: SIGTERM, a second, SIGKILL, and a little.
const LAST_WORDS: Duration = Duration::from_millis(1500);

/// What ended the wait.
enum Wake {
    Done(Done),
    Request(Request),
    Time,
    /// Nobody can ask us any more.
    Abandoned,
}

impl Runner {
    pub(super) fn new(
        outlets: Outlets,
        requests: mpsc::Receiver<Request>,
        commands: Commands,
        jobs: Jobs,
    ) -> Self {
        Self {
            monitor: Monitor::new(),
            equipment: Equipment::default(),
            jobs,
            commands,
            outlets,
            askers: Askers::default(),
            statistics: Statistics::default(),
            outputs: VecDeque::new(),
            done: VecDeque::new(),
            requests,
            snapshots: SnapshotJob::default(),
        }
    }

    /// Runs until [`Request::Stop`] was carried out, or nobody can ask any more.
    pub(super) async fn run(mut self, checks: Arc<[Check]>, muted: Vec<MutedCheck>) {
        self.take(CheckInput::Inherit(muted));
        self.reconfigure(&checks);
        loop {
            match self.wait().await {
                Wake::Done(done) => self.on_done(done),
                Wake::Request(Request::Stop(reply)) => return self.stop(Some(reply)).await,
                Wake::Request(request) => self.on_request(request),
                Wake::Abandoned => return self.stop(None).await,
                Wake::Time => {}
            }
            self.on_deadline();
            self.outlets.offer();
            self.snapshots.step(&self.monitor, &self.equipment, &self.jobs, &self.statistics);
        }
    }

    /// Waits for the first of everything. Cancelling a branch loses nothing: what ended stays, channels keep their items.
    async fn wait(&mut self) -> Wake {
        let until = self.wake_at();
        let (jobs, requests) = (&mut self.jobs, &mut self.requests);
        // Ends first: a deadline must not overtake the result that would have kept it from coming.
        tokio::select! {
            biased;
            done = jobs.next() => Wake::Done(done),
            request = requests.recv() => request.map_or(Wake::Abandoned, Wake::Request),
            () = sleep_until(until) => Wake::Time,
        }
    }

    fn wake_at(&self) -> TokioInstant {
        let now = TokioInstant::now();
        if self.snapshots.is_busy() {
            return now;
        }
        let here = clock::now();
        let due = self.monitor.next_deadline().map_or(LONGEST_WAIT, |due| due.since(here));
        let retry = if self.outlets.has_kept() { RETRY } else { LONGEST_WAIT };
        let next = now + due.min(retry).min(LONGEST_WAIT);
        self.jobs.next_deadline().map_or(next, |deadline| deadline.min(next))
    }

    /// Everything that has ended by now.
    fn on_done(&mut self, first: Done) {
        self.done.push_back(first);
        while self.done.len() < BURST
            && let Some(done) = self.jobs.next().now_or_never()
        {
            self.done.push_back(done);
        }
        self.settle();
    }

    fn on_deadline(&mut self) {
        let now = clock::now();
        let Some(due) = self.monitor.next_deadline().filter(|due| *due <= now) else { return };
        self.statistics.woke(now.since(due));
        self.feed(CheckInput::Deadline);
    }

    /// Who no longer waits for an answer does not get one.
    fn on_request(&mut self, request: Request) {
        match request {
            Request::Snapshot(reply) => self.snapshots.ask(reply),
            Request::Check(name, reply) => drop(reply.send(self.view_of(&name))),
            Request::Operate(command, reply) => drop(reply.send(self.operate(command))),
            Request::RunNow(name, reply) => self.run_now(name, reply),
            Request::Reconfigure(checks, reply) => {
                self.reconfigure(&checks);
                let _ = reply.send(());
            }
            // The loop carries it out.
            Request::Stop(_) => {}
        }
    }

    fn reconfigure(&mut self, checks: &[Check]) {
        let policies: Vec<_> = checks.iter().map(|check| (*check.policy).clone()).collect();
        self.take(CheckInput::Reconfigure(&policies));
        // Before anything new is begun.
        let replaced = self.equipment.replace(checks, |name| self.monitor.check(name));
        self.askers.forget(&replaced);
        self.settle();
    }

    fn operate(&mut self, command: Command) -> Result<CheckView, CheckRefusal> {
        let Command { check: name, action, actor, dry_run } = command;
        let input = match action {
            Action::Mute { reason, expires, survives } => {
                CheckInput::Mute { name, reason, actor, expires, survives, dry_run }
            }
            Action::Unmute => CheckInput::Unmute { name, actor, dry_run },
        };
        self.take(input);
        let answer = self.take_answer();
        self.settle();
        answer.and_then(|check| self.view(check).ok_or(CheckRefusal::UnknownCheck))
    }

    fn run_now(&mut self, name: Arc<str>, reply: oneshot::Sender<Result<Asked, CheckRefusal>>) {
        self.take(CheckInput::RunNow { name });
        match self.take_answer() {
            Ok(check) => self.askers.wait(check, reply),
            Err(refusal) => drop(reply.send(Err(refusal))),
        }
        self.settle();
    }

    fn view_of(&self, name: &str) -> Option<CheckView> {
        Some(self.equipment.view(self.monitor.status(name)?))
    }

    pub(super) fn view(&self, check: CheckId) -> Option<CheckView> {
        Some(self.equipment.view(self.monitor.status(self.equipment.name(check)?)?))
    }

    /// Gives everything up and waits until no command is left.
    async fn stop(mut self, reply: Option<oneshot::Sender<()>>) {
        self.jobs.cancel_all();
        let began = TokioInstant::now();
        while self.commands.running() > 0 && began.elapsed() < LAST_WORDS {
            sleep(Duration::from_millis(5)).await;
        }
        match self.commands.running() {
            0 => {}
            left => warn!("{left} commands of checks did not end in time; their launchers end them"),
        }
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
    }
}
