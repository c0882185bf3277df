//! The thread that writes. It reads the journal like everybody else, at the pace of the disk; while the disk does not take
//! anything it keeps its place, and the ring keeps what it can.

use std::sync::Arc;
use std::time::Duration;

use ha_engine::{Cause, Event, EventKind, Evidence, Instant, JournalEvent, Subject};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tracing::{info, warn};

use super::intents::{self, Changes, Intents, IsKnown};
use super::open::{Trouble, guarded, look, open, put_aside};
use super::tables::{Row, Tables, millis};
use super::{NotKept, Request, Standing, StoreOptions, Tell};
use crate::clock;
use crate::journal::{Journal, Read, Reader, Record};

/// Records in one commit at most.
const BATCH: usize = 1024;

/// How long a commit waits for more records, so that a burst costs one.
const GATHER: Duration = Duration::from_millis(20);

/// How often rows that became too old go, although nothing happens.
const TIDY: Duration = Duration::from_secs(3600);

/// Between two tries while the disk does not take anything.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// An agent that takes the place of another waits for it so long before it complains.
const CHANGE_OF_GUARD: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What the thread owns.
pub(super) struct Writer {
    journal: Arc<Journal>,
    reader: Reader,
    options: StoreOptions,
    tell: Tell,
    asked: mpsc::Receiver<Request>,
    tables: Option<Tables>,
    trouble: Option<Episode>,
    /// Records that were overtaken before they were written, in this episode.
    lost: u64,
    /// Read, and not on disk yet.
    unwritten: Vec<Row>,
    /// What is to survive a restart, or no longer, and is not on disk yet.
    unsettled: Changes,
    /// All that is to survive, to be compared with what is there.
    all: Option<All>,
    /// The last record that was read.
    newest: u64,
    finished: bool,
}

/// All that is to survive a restart.
struct All {
    intents: Intents,
    /// Of other rows than those of these names none is touched.
    is_known: IsKnown,
}

/// A time in which nothing is written.
struct Episode {
    began: Instant,
    why: Arc<str>,
    /// Another process has the file.
    busy: bool,
    pause: Duration,
    /// It was said.
    told: bool,
}

/// What the thread wakes up for.
enum Wake {
    Request(Request),
    Abandoned,
    Read(Read),
    Try,
    Tidy,
}

impl Writer {
    pub(super) fn new(
        journal: Arc<Journal>,
        options: StoreOptions,
        tell: Tell,
        asked: mpsc::Receiver<Request>,
    ) -> Self {
        Self {
            reader: journal.reader(0),
            journal,
            options,
            tell,
            asked,
            tables: None,
            trouble: None,
            lost: 0,
            unwritten: Vec::new(),
            unsettled: Changes::new(),
            all: None,
            newest: 0,
            finished: false,
        }
    }

    /// Until it is told to finish, or nobody can tell it any more.
    pub(super) fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.serve()),
            Err(error) => warn!(%error, "history is kept in memory alone"),
        }
    }

    async fn serve(&mut self) {
        self.open();
        while !self.finished {
            let wake = self.wait().await;
            if self.journal.archive().take_suspicion() {
                self.fail(Trouble::Damaged("a reader found it damaged".to_owned()));
            }
            match wake {
                Wake::Request(request) => self.answer(request),
                Wake::Abandoned => self.finish(),
                Wake::Read(read) => {
                    self.take(read);
                    sleep(GATHER).await;
                    self.take_more();
                    self.write();
                }
                Wake::Try => self.open(),
                Wake::Tidy => self.write(),
            }
        }
    }

    /// All branches may be cancelled: none takes anything before it is ready.
    async fn wait(&mut self) -> Wake {
        let failing = self.trouble.as_ref().map(|episode| episode.pause);
        // Who asks while the agent before this one still has the file waits for it.
        let is_guard_changing = self.trouble.as_ref().is_some_and(|episode| !episode.told);
        tokio::select! {
            biased;
            request = self.asked.recv(), if !is_guard_changing => request.map_or(Wake::Abandoned, Wake::Request),
            () = sleep(failing.unwrap_or(TIDY)) => if failing.is_some() { Wake::Try } else { Wake::Tidy },
            read = self.reader.read(BATCH), if failing.is_none() => Wake::Read(read),
        }
    }

    fn take(&mut self, read: Read) {
        match read {
            Read::Records(records) => {
                let rows = records.iter().map(|record| row(&self.journal, record));
                self.unwritten.extend(rows);
            }
            Read::Lagged(lagged) => {
                warn!(
                    count = lagged.count(),
                    "the disk is too slow: events are missing in the history on disk"
                );
                self.lost += lagged.count();
            }
        }
        self.newest = self.reader.position();
    }

    fn take_more(&mut self) {
        while self.unwritten.len() < BATCH
            && let Some(read) = self.reader.try_read(BATCH)
        {
            self.take(read);
        }
    }

    fn write(&mut self) {
        let Some(mut tables) = self.tables.take() else { return };
        let (rows, newest, options) = (&self.unwritten, self.newest, &self.options);
        let (unsettled, all) = (&mut self.unsettled, &mut self.all);
        let written = guarded(&options.directory, || {
            settle(&tables, unsettled, all)?;
            tables.append(rows, newest, options)?;
            Ok((tables.oldest()?, tables))
        });
        match written {
            Ok((oldest, tables)) => {
                self.journal.archive().note_oldest(oldest);
                self.tables = Some(tables);
                self.unwritten.clear();
                self.recovered();
            }
            Err(trouble) => self.fail(trouble),
        }
    }

    fn open(&mut self) {
        match open(&self.options.directory, self.journal.incarnation()) {
            Ok(tables) => {
                self.journal.archive().offer(Some(Arc::clone(&tables.database)));
                self.tables = Some(tables);
                self.journal.archive().set_opening(false);
                // What could not be written before, and proof that it can be now.
                self.write();
            }
            Err(trouble) => self.fail(trouble),
        }
    }

    /// Nothing can be written; said once in an episode.
    fn fail(&mut self, trouble: Trouble) {
        self.tables = None;
        self.journal.archive().offer(None);
        let (why, busy) = match trouble {
            Trouble::Refused(why) => (why, false),
            Trouble::Busy(why) => (why, true),
            Trouble::Damaged(why) => (self.begin_anew(&why), false),
        };
        let patience = if busy { CHANGE_OF_GUARD } else { Duration::ZERO };
        let now = clock::now();
        let episode = self.trouble.get_or_insert_with(|| Episode {
            began: now,
            why: Arc::default(),
            busy: false,
            pause: LOOK_AGAIN,
            told: false,
        });
        (episode.why, episode.busy) = (why.as_str().into(), busy);
        if now.since(episode.began) < patience {
            return;
        }
        episode.pause = (episode.pause * 2).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        self.journal.archive().set_opening(false);
        if !std::mem::replace(&mut episode.told, true) {
            let error = Arc::clone(&episode.why);
            (self.tell)(&Standing::InMemory(Arc::clone(&error)));
            self.say(JournalEvent::Failing { error });
        }
    }

    /// What can still be read of what is to survive a restart goes into the next file, unless all of it was said anew.
    fn begin_anew(&mut self, why: &str) -> String {
        let saved = look(&self.options.directory);
        let lost = match &saved {
            Ok(_) => "",
            Err(_) => {
                "; overrides, mutes and drains that were to survive a restart cannot be read: check what is in force"
            }
        };
        let is_known = self.all.as_ref().map(|all| all.is_known);
        let is_said_anew = |name: &str| is_known.is_some_and(|is_known| is_known(name));
        let old = saved.unwrap_or_default().into_iter().filter(|(name, _)| !is_said_anew(name));
        for (name, octets) in old {
            self.unsettled.entry(name).or_insert(Some(octets));
        }
        match put_aside(&self.options.directory) {
            Ok(aside) => format!(
                "the file was damaged ({why}); it is now {}, and history on disk begins anew{lost}",
                aside.display()
            ),
            Err(error) => format!("the file is damaged ({why}) and cannot be put aside: {error}; remove it"),
        }
    }

    fn recovered(&mut self) {
        let Some(episode) = self.trouble.take() else {
            if std::mem::take(&mut self.lost) == 0 && self.newest == 0 {
                (self.tell)(&Standing::Kept);
            }
            return;
        };
        (self.tell)(&Standing::Kept);
        let lost = std::mem::take(&mut self.lost);
        if episode.told {
            self.say(JournalEvent::Recovered { lost, lasted: clock::elapsed(episode.began) });
        }
    }

    fn say(&self, event: JournalEvent) {
        self.journal.append(Box::new(Event {
            at: clock::now(),
            subject: Subject::Node,
            kind: EventKind::Journal(event),
            cause: Cause::JournalFailed,
            evidence: Evidence::default(),
            actor: None,
        }));
    }

    /// Who no longer waits for an answer does not get one.
    fn answer(&mut self, request: Request) {
        match request {
            Request::Keep(changes, reply) => drop(reply.send(self.keep(&changes))),
            Request::Settle(changes, reply) => {
                self.unsettled.extend(changes);
                self.write();
                let _ = reply.send(self.is_kept());
            }
            Request::Replace(intents, is_known) => {
                self.all = Some(All { intents, is_known });
                self.unsettled.clear();
                self.write();
            }
            Request::Intents(reply) => drop(reply.send(self.intents())),
            Request::Finish(reply) => {
                self.finish();
                let _ = reply.send(());
            }
        }
    }

    /// All or nothing, now.
    fn keep(&mut self, changes: &Changes) -> Result<(), NotKept> {
        self.write();
        self.change(|tables| tables.keep(changes))?;
        // What was to be settled of the same things is not wanted any more.
        self.unsettled.retain(|name, _| !changes.contains_key(name));
        Ok(())
    }

    fn intents(&mut self) -> Result<Intents, NotKept> {
        let mut intents = Intents::new();
        if self.tables.is_some() {
            self.change(|tables| {
                intents = tables.intents()?;
                Ok(())
            })?;
        } else if self.trouble.as_ref().is_some_and(|episode| episode.busy) {
            // It is another agent's.
            self.is_kept()?;
        } else {
            let there = look(&self.options.directory);
            intents = there.map_err(|trouble| NotKept(trouble.into_words().into()))?;
        }
        for (name, octets) in &self.unsettled {
            match octets {
                Some(octets) => drop(intents.insert(name.clone(), octets.clone())),
                None => drop(intents.remove(name)),
            }
        }
        Ok(intents)
    }

    fn change(&mut self, work: impl FnOnce(&Tables) -> Result<(), redb::Error>) -> Result<(), NotKept> {
        let Some(tables) = self.tables.take() else { return self.is_kept() };
        let done = guarded(&self.options.directory, || {
            work(&tables)?;
            Ok(tables)
        });
        match done {
            Ok(tables) => self.tables = Some(tables),
            Err(trouble) => self.fail(trouble),
        }
        self.is_kept()
    }

    fn is_kept(&self) -> Result<(), NotKept> {
        match &self.tables {
            Some(_) => Ok(()),
            None => Err(NotKept(
                self.trouble.as_ref().map_or_else(Arc::default, |episode| Arc::clone(&episode.why)),
            )),
        }
    }

    /// All that happened, and that nothing comes after it.
    fn finish(&mut self) {
        self.finished = true;
        while self.tables.is_some() && self.newest < self.journal.newest() {
            self.take_more();
            self.write();
        }
        // Closed before anybody is told, so that the next agent finds it free.
        if let Some(mut tables) = self.tables.take() {
            let newest = self.newest;
            match guarded(&self.options.directory, || tables.end(newest)) {
                Ok(()) => info!(events = newest, "the history is on disk"),
                Err(trouble) => self.fail(trouble),
            }
        }
        self.journal.archive().offer(None);
    }
}

/// Puts on disk what waits for that.
fn settle(tables: &Tables, unsettled: &mut Changes, all: &mut Option<All>) -> Result<(), redb::Error> {
    let mut changes = Changes::new();
    if let Some(all) = all.as_ref() {
        changes = intents::difference(&tables.intents()?, &all.intents, all.is_known);
    }
    changes.extend(unsettled.iter().map(|(name, octets)| (name.clone(), octets.clone())));
    if !changes.is_empty() {
        tables.keep(&changes)?;
    }
    unsettled.clear();
    *all = None;
    Ok(())
}

fn row(journal: &Journal, record: &Record) -> Row {
    Row {
        sequence: record.sequence,
        millis: millis(record.wall),
        is_noise: record.is_noise(),
        octets: crate::api::event(journal, record).encode_to_vec(),
    }
}
