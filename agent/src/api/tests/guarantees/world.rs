//! The agent over its lives, and what happened in each of them: what clients are judged by.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{Cause, Event, EventKind, Evidence, InstanceId, StateName, Subject};

use super::super::agent::{Agent, Directory, Setup};
use super::Broken;
use super::plan::{Kept, Plan, Step};
use super::watcher::Watcher;
use crate::clock;
use crate::journal::Journal;

/// A life of the agent.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) incarnation: Arc<str>,
    /// The newest sequence; of the life that goes on, when it was last looked at.
    pub(super) newest: u64,
    /// It was killed when its disk had this.
    pub(super) killed_at: Option<u64>,
    /// Lives with the same number share one history.
    pub(super) lineage: usize,
}

/// The agent, all its lives, and where its history is.
pub(super) struct World {
    kept: Kept,
    capacity: usize,
    /// Nobody between two lives.
    agent: Option<Agent>,
    lives: Vec<Life>,
    lineage: usize,
    /// Of histories; the last is in use. Those before go with it.
    directories: Vec<Directory>,
}

impl World {
    pub(super) async fn new(plan: &Plan) -> Self {
        let (kept, capacity) = (plan.kept, plan.capacity);
        let directories = vec![Directory::new()];
        let mut this = Self { kept, capacity, agent: None, lives: Vec::new(), lineage: 0, directories };
        this.begin_life().await;
        this
    }

    async fn begin_life(&mut self) {
        let history = self.is_on_disk().then(|| self.directory().0.clone());
        let (instances, journal_capacity) = (Vec::new(), self.capacity);
        let agent =
            Agent::start_with(Setup { instances, journal_capacity, history, ..Setup::default() }).await;
        let incarnation = Arc::clone(agent.journal.incarnation());
        self.lives.push(Life { incarnation, newest: 0, killed_at: None, lineage: self.lineage });
        self.agent = Some(agent);
    }

    fn directory(&self) -> &Directory {
        self.directories.last().unwrap()
    }

    pub(super) fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    /// All lives; the last one goes on.
    pub(super) fn lives(&self) -> Vec<Life> {
        let mut lives = self.lives.clone();
        lives.last_mut().unwrap().newest = self.agent().journal.newest();
        lives
    }

    /// Whether everything that ever happened in this lineage can be told, to the slowest reader, too.
    pub(super) fn keeps_everything(&self) -> bool {
        self.kept == Kept::Disk
    }

    pub(super) fn is_on_disk(&self) -> bool {
        self.kept != Kept::Memory
    }

    pub(super) async fn take(&mut self, step: Step, watchers: &mut [Watcher]) -> Result<(), Broken> {
        match step {
            Step::Happen(count) => self.happen(count).await,
            Step::HappenWhileReading(count, client) => {
                let (read, ()) = tokio::join!(watchers[client].read(self, 20), self.happen(count));
                read?;
            }
            Step::Flood => self.flood().await,
            Step::Read(client, messages) => watchers[client].read(self, messages).await?,
            Step::Cut(client) => watchers[client].cut(self).await?,
            Step::Restart => self.restart(watchers).await?,
            Step::Kill(unwritten) => self.kill(unwritten, watchers).await?,
            Step::Forget => {
                self.lineage += 1;
                self.directories.push(Directory::new());
                self.next_life(watchers).await;
            }
        }
        Ok(())
    }

    async fn happen(&self, count: u64) {
        let most = if self.keeps_everything() { self.capacity / 8 } else { 60 };
        let mut left = count;
        while left > 0 {
            let now = left.min(u64::try_from(most).unwrap());
            (0..now).for_each(|_| append(&self.agent().journal));
            left -= now;
            if self.keeps_everything() {
                self.on_disk().await;
            } else {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    }

    async fn flood(&self) {
        let count = u64::try_from(self.capacity * 2).unwrap();
        if self.keeps_everything() {
            self.happen(count).await;
        } else {
            (0..count).for_each(|_| append(&self.agent().journal));
        }
    }

    /// Waits until the disk has what has happened.
    async fn on_disk(&self) {
        let journal = &self.agent().journal;
        let (newest, incarnation) = (journal.newest(), journal.incarnation());
        let written = async {
            while journal.archive().locate(incarnation).await.is_none_or(|known| known.newest < newest) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), written).await.expect("the disk is written");
    }

    async fn restart(&mut self, watchers: &mut [Watcher]) -> Result<(), Broken> {
        self.agent().shutdown.cancel();
        watchers[0].read_to_the_end(self).await?;
        self.lineage += usize::from(!self.is_on_disk());
        self.next_life(watchers).await;
        Ok(())
    }

    async fn kill(&mut self, unwritten: u64, watchers: &mut [Watcher]) -> Result<(), Broken> {
        if self.is_on_disk() {
            // The file as it is when nothing writes it: what happens from then on it never sees, and clients do.
            self.on_disk().await;
            tokio::time::sleep(Duration::from_millis(150)).await;
            let copy = Directory::new();
            let [from, to] = [self.directory(), &copy].map(|directory| directory.0.join("history.redb"));
            std::fs::copy(from, to).unwrap();
            self.directories.push(copy);
            self.lives.last_mut().unwrap().killed_at = Some(self.agent().journal.newest());
        } else {
            self.lineage += 1;
        }
        (0..unwritten).for_each(|_| append(&self.agent().journal));
        watchers[1].read(self, 4).await?;
        self.next_life(watchers).await;
        Ok(())
    }

    /// Nobody is connected when the agent goes.
    async fn next_life(&mut self, watchers: &mut [Watcher]) {
        watchers.iter_mut().for_each(Watcher::hang_up);
        self.lives = self.lives();
        self.end().await;
        self.begin_life().await;
    }

    pub(super) async fn end(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.stop().await;
        }
    }
}

/// What an event is; its sequence decides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Kept apart from the others, and gone earlier.
    Noise,
    /// A change of state.
    Change,
    /// Something else.
    Other,
}

pub(super) fn kind_of(sequence: u64) -> Kind {
    match (sequence.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 3 {
        0 => Kind::Noise,
        1 => Kind::Change,
        _ => Kind::Other,
    }
}

fn append(journal: &Journal) {
    let sequence = journal.newest() + 1;
    let kind = match kind_of(sequence) {
        Kind::Noise => EventKind::ActiveObserved { address: Ipv4Addr::LOCALHOST.into(), priority: 7 },
        Kind::Change => EventKind::StateChanged { from: StateName::Backup, to: StateName::Active },
        Kind::Other => EventKind::InstanceAdded,
    };
    let subject = Subject::Instance(InstanceId(0), "web".into());
    let (cause, evidence, actor) = (Cause::AgentStart, Evidence::default(), None);
    let event = Event { at: clock::now(), subject, kind, cause, evidence, actor };
    assert_eq!(journal.append(Box::new(event)), sequence, "nothing else happens");
}
