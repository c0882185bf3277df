//! Hands the journal's records to those who want them, and starts, changes and ends those who tell them on.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use ha_config::{Notifier, NotifyChannel};
use ha_engine::{EventKind, StateName, Subject};
use ha_probe::command::Commands;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use super::command::{self, Runner};
use super::episode::Episodes;
use super::fifo::Fifo;
use super::line::Servers;
use super::mail::Mail;
use super::notice::Notice;
use super::queue::Queue;
use super::serve::{Phase, Post, serve};
use super::webhook::Webhook;
use super::{LAST_WORDS, Request, Setup, Tally, selection};
use crate::journal::{CHUNK, Journal, Read, Reader, Record};

/// The one reader of the journal for all notifiers.
pub(super) struct Dispatcher {
    journal: Arc<Journal>,
    commands: Commands,
    tally: Tally,
    tellers: BTreeMap<String, Teller>,
    /// What is known of each instance.
    known: BTreeMap<String, Known>,
}

/// What is known of an instance: by its configuration, and by the records since.
#[derive(Clone, Copy, Default)]
struct Known {
    state: Option<StateName>,
    priority: u8,
}

/// Whoever tells one notifier.
struct Teller {
    post: Post,
    /// What else its work depends on.
    needs: Needs,
    phase: watch::Sender<Phase>,
    task: AbortOnDropHandle<()>,
}

#[derive(Clone, PartialEq, Eq)]
struct Needs {
    mail: Option<Arc<ha_config::Mail>>,
    servers: Option<Arc<Servers>>,
}

impl Needs {
    fn new(notifier: &Notifier, setup: &Setup) -> Self {
        let is_mail = matches!(notifier.channel, NotifyChannel::Mail { .. });
        let is_fifo = matches!(notifier.channel, NotifyChannel::Fifo(_));
        Self {
            mail: setup.mail.clone().filter(|_| is_mail),
            servers: is_fifo.then(|| Arc::clone(&setup.servers)),
        }
    }
}

impl Dispatcher {
    pub(super) fn new(journal: Arc<Journal>, commands: Commands, tally: Tally, setup: Setup) -> Self {
        let mut new = Self { journal, commands, tally, tellers: BTreeMap::new(), known: BTreeMap::new() };
        new.reconfigure(setup);
        new
    }

    /// Until it is told to finish.
    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut reader = self.journal.reader(0);
        loop {
            // Cancelled in favour of a request, a read has taken nothing.
            tokio::select! {
                biased;
                request = requests.recv() => match request {
                    Some(Request::Reconfigure(setup, done)) => {
                        // What happened before is told by the configuration that was in force then.
                        self.catch_up(&mut reader);
                        self.reconfigure(setup);
                        let _ = done.send(());
                    }
                    Some(Request::Finish) => {
                        self.catch_up(&mut reader);
                        return self.finish().await;
                    }
                    None => return,
                },
                read = reader.read(CHUNK) => self.take(read),
            }
        }
    }

    fn catch_up(&mut self, reader: &mut Reader) {
        let newest = self.journal.newest();
        while reader.position() < newest {
            let Some(read) = reader.try_read(CHUNK) else { return };
            self.take(read);
        }
    }

    fn take(&mut self, read: Read) {
        match read {
            Read::Records(records) => records.into_iter().for_each(|record| self.hand_on(record)),
            Read::Lagged(lagged) => {
                let why = "the history was overtaken before it was told; not all of it was for this notifier";
                self.tellers.values().for_each(|teller| teller.post.episodes.dropped(lagged.count(), why));
            }
        }
    }

    fn hand_on(&mut self, record: Arc<Record>) {
        let Known { state, priority } = self.follow(&record);
        let notice = Arc::new(Notice::new(record, state, priority));
        for teller in self.tellers.values().filter(|teller| selection::wants(&teller.post.notifier, &notice))
        {
            let dropped = teller.post.queue.push(Arc::clone(&notice));
            teller.post.episodes.counts().set_queued(teller.post.queue.len());
            teller.post.episodes.dropped(dropped, "too many wait; the oldest makes room");
        }
    }

    /// What is known, after a record, of the instance that it is about.
    fn follow(&mut self, record: &Record) -> Known {
        let about = record.event().and_then(|event| match &event.subject {
            Subject::Instance(_, name) | Subject::Vip(_, name, _) => Some((event, name)),
            _ => None,
        });
        let Some((event, name)) = about else { return Known::default() };
        if event.kind == EventKind::InstanceRemoved {
            return self.known.remove(&**name).unwrap_or_default();
        }
        let known = self.known.entry(name.to_string()).or_default();
        let measured = event.evidence.local_priority;
        match event.kind {
            EventKind::StateChanged { to, .. } | EventKind::Adopted { state: to, .. } => {
                known.state = Some(to)
            }
            EventKind::PriorityChanged { to, .. } => known.priority = to.get(),
            _ => {}
        }
        if let Some(priority) = measured.filter(|_| !matches!(event.kind, EventKind::PriorityChanged { .. }))
        {
            known.priority = priority.get();
        }
        *known
    }

    fn reconfigure(&mut self, setup: Setup) {
        for (name, priority) in &setup.priorities {
            // What the records said counts more; a changed base makes a record of its own.
            self.known.entry(name.clone()).or_insert(Known { state: None, priority: *priority });
        }
        let is_configured = |name: &str| setup.notifiers.iter().any(|notifier| notifier.name == name);
        self.tellers.retain(|name, teller| {
            let stays = is_configured(name);
            if !stays {
                teller.note_lost("it is no longer configured");
            }
            stays
        });
        self.tally.retain(is_configured);
        for notifier in &setup.notifiers {
            let needs = Needs::new(notifier, &setup);
            let old = self.tellers.remove(&notifier.name);
            let teller = match old {
                Some(old) if *old.post.notifier == **notifier && old.needs == needs => old,
                old => self.start(notifier, needs, old),
            };
            self.tellers.insert(notifier.name.clone(), teller);
        }
    }

    /// Begins to tell, after whoever told before has ended what was under way.
    fn start(&self, notifier: &Arc<Notifier>, needs: Needs, old: Option<Teller>) -> Teller {
        let capacity = usize::try_from(notifier.queue).unwrap_or(usize::MAX);
        // A receiver that does not answer is the same trouble after a reload.
        let episodes = old.as_ref().map(|old| Arc::clone(&old.post.episodes));
        let episodes = episodes.unwrap_or_else(|| {
            let counts = self.tally.of(&notifier.name);
            Arc::new(Episodes::new(&notifier.name, Arc::clone(&self.journal), counts))
        });
        let post = Post { notifier: Arc::clone(notifier), queue: Arc::new(Queue::new(capacity)), episodes };
        let (phase, receiver) = watch::channel(Phase::Run);
        let work = self.work(&post, &needs, receiver);
        let heir = post.clone();
        let task = tokio::spawn(async move {
            if let Some(old) = old {
                old.hand_over(&heir).await;
            }
            work.await;
        });
        Teller { post, needs, phase, task: AbortOnDropHandle::new(task) }
    }

    fn work(&self, post: &Post, needs: &Needs, phase: watch::Receiver<Phase>) -> Work {
        let journal = Arc::clone(&self.journal);
        let own = post.clone();
        let sad = phase.clone();
        let made: Result<Work, String> = match &post.notifier.channel {
            NotifyChannel::Command(notify) => {
                let runner = Runner { journal, commands: self.commands.clone(), notify: notify.clone() };
                Ok(Box::pin(command::serve(runner, own, phase)))
            }
            NotifyChannel::Fifo(fifo) => {
                let servers = needs.servers.clone().unwrap_or_default();
                Ok(Box::pin(serve(Fifo::new(&fifo.path, servers), own, phase)))
            }
            NotifyChannel::Webhook(webhook) => {
                Webhook::new(webhook, journal).map(|channel| -> Work { Box::pin(serve(channel, own, phase)) })
            }
            NotifyChannel::Mail { to } => match &needs.mail {
                Some(server) => Mail::new(server, to, journal)
                    .map(|channel| -> Work { Box::pin(serve(channel, own, phase)) }),
                None => Err("there is no [mail] server".to_owned()),
            },
        };
        made.unwrap_or_else(|why| Box::pin(mourn(post.clone(), why, sad)))
    }

    /// Everybody is told what waits, side by side, for as long as the agent has.
    async fn finish(self) {
        let latest = Instant::now() + LAST_WORDS;
        for teller in self.tellers.values() {
            teller.phase.send_replace(Phase::Finish);
        }
        for (name, Teller { post, task, .. }) in self.tellers {
            // Its own end, or ours: what is under way is given up with the task.
            let _ = timeout_at(latest, task).await;
            let left = post.episodes.counts().waiting();
            if left > 0 {
                post.episodes.dropped(left, "the agent ended");
                warn!(notifier = name, "{left} events were not told before the agent ended");
            }
        }
    }
}

/// What a teller does.
type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Teller {
    /// Ends what is under way and leaves what waits.
    async fn hand_over(self, heir: &Post) {
        self.phase.send_replace(Phase::HandOver);
        // An error is the end as well.
        let _ = self.task.await;
        heir.episodes.dropped(heir.queue.inherit(&self.post.queue), "the queue is shorter now");
    }

    fn note_lost(&self, why: &str) {
        let left = u64::try_from(self.post.queue.len()).unwrap_or(u64::MAX);
        self.post.episodes.dropped(left, why);
    }
}

/// Serves a post whose channel cannot be used: whatever should be told is lost, and that is said.
async fn mourn(post: Post, why: String, mut phase: watch::Receiver<Phase>) {
    while *phase.borrow_and_update() == Phase::Run {
        let lost = post.queue.take(usize::MAX).len();
        if lost > 0 {
            post.episodes.failed(&why);
            post.episodes.dropped(u64::try_from(lost).unwrap_or(u64::MAX), &why);
        }
        tokio::select! {
            () = post.queue.changed() => {}
            changed = phase.changed() => if changed.is_err() { return },
        }
    }
}
