//! A journal with events, notifiers with short times, and folders that commands may be run from.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ha_agent::clock;
use ha_agent::journal::Journal;
use ha_agent::notify::{Counts, Notifications, Setup, Tally};
use ha_config::{Command, Fifo, Mail, Notifier, NotifyChannel, NotifyCommand, NotifyScope};
use ha_engine::{
    Actor, Cause, CheckEvent, Event, EventKind, Evidence, InstanceId, PoolEvent, Priority, Standing,
    StateName, Subject, Verdict,
};
use ha_probe::command::Commands;

/// Running notifications with their journal.
pub(crate) struct Bench {
    pub(crate) journal: Arc<Journal>,
    pub(crate) tally: Tally,
    pub(crate) notifications: Notifications,
}

impl Bench {
    pub(crate) fn start(notifiers: impl IntoIterator<Item = Notifier>, mail: Option<Mail>) -> Self {
        let journal = Journal::new("node-a", 100_000);
        let tally = Tally::default();
        let commands = Commands::launched_by(env!("CARGO_BIN_EXE_ha-agent"), 16);
        let setup = setup(notifiers, mail);
        let notifications = Notifications::start(Arc::clone(&journal), commands, setup, tally.clone());
        Self { journal, tally, notifications }
    }

    pub(crate) fn tell(&self, event: Event) {
        self.journal.append(Box::new(event));
    }

    pub(crate) fn counts(&self, name: &str) -> Arc<Counts> {
        Arc::clone(&self.tally.counts()[name])
    }

    /// The types and sentences of the events about a notifier.
    pub(crate) fn troubles(&self, name: &str) -> Vec<(&'static str, String)> {
        let mut reader = self.journal.reader(0);
        let mut found = Vec::new();
        while let Some(ha_agent::journal::Read::Records(records)) = reader.try_read(1000) {
            let own =
                records.into_iter().filter(|record| *record.subject() == Subject::Notifier(name.into()));
            found.extend(own.map(|record| (record.type_name(), record.message())));
        }
        found
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) -> Duration {
        let begun = Instant::now();
        while !condition(self) {
            assert!(begun.elapsed() < Duration::from_secs(20), "not in time: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        begun.elapsed()
    }
}

pub(crate) fn setup(notifiers: impl IntoIterator<Item = Notifier>, mail: Option<Mail>) -> Setup {
    let servers = [(("web".to_owned(), "w1".to_owned()), "10.0.0.7:80".parse().unwrap())];
    Setup {
        notifiers: notifiers.into_iter().map(Arc::new).collect(),
        mail: mail.map(Arc::new),
        priorities: [("configured".to_owned(), 77)].into(),
        servers: Arc::new(servers.into()),
    }
}

/// A notifier of everything that turns.
pub(crate) fn notifier(name: &str, channel: NotifyChannel) -> Notifier {
    Notifier {
        name: name.to_owned(),
        on: vec![
            NotifyScope::Instances(None),
            NotifyScope::Groups(None),
            NotifyScope::Checks(None),
            NotifyScope::Pools(None),
            NotifyScope::Servers(None),
        ],
        states: Vec::new(),
        types: Vec::new(),
        channel,
        timeout: Duration::from_secs(5),
        retry_for: Duration::from_secs(60),
        queue: 1024,
    }
}

/// A command of whoever runs the tests.
pub(crate) fn command(program: &str) -> NotifyChannel {
    let user = nix::unistd::geteuid().is_root().then(|| "root".to_owned());
    let command = Command { argv: vec![program.to_owned(), "configured".to_owned()], user };
    NotifyChannel::Command(NotifyCommand { command, arguments: true, leave_running: false })
}

pub(crate) fn fifo(path: &Path) -> NotifyChannel {
    NotifyChannel::Fifo(Fifo { path: path.to_owned(), priorities: false })
}

fn event(subject: Subject, kind: EventKind) -> Event {
    let actor =
        Actor { principal: "uid=0(unix)".to_owned(), roles: vec!["admin".to_owned()], ..Actor::default() };
    let evidence = Evidence {
        peer: Some("10.0.0.2".parse().unwrap()),
        peer_priority: Some(0),
        local_priority: Priority::new(120),
        subject: Some("checks/http".into()),
        detail: Some("connection refused\nby \"10.0.0.7\"".into()),
        ..Evidence::default()
    };
    Event {
        at: clock::now(),
        subject,
        kind,
        cause: Cause::CheckChanged,
        evidence,
        actor: Some(Arc::new(actor)),
    }
}

pub(crate) fn turned(instance: &str, from: StateName, to: StateName) -> Event {
    event(Subject::Instance(InstanceId(0), instance.into()), EventKind::StateChanged { from, to })
}

/// The `number`th event of an instance that flaps; which, is told by its priority.
pub(crate) fn flap(instance: &str, number: u8) -> Event {
    let (from, to) = match number % 2 {
        0 => (StateName::Backup, StateName::Active),
        _ => (StateName::Active, StateName::Backup),
    };
    let mut event = turned(instance, from, to);
    event.evidence.local_priority = Priority::new(number.max(1));
    event
}

pub(crate) fn instance(name: &str, kind: EventKind) -> Event {
    event(Subject::Instance(InstanceId(0), name.into()), kind)
}

pub(crate) fn group(name: &str, to: StateName) -> Event {
    event(Subject::Group(name.into()), EventKind::GroupStateChanged { from: StateName::Backup, to })
}

pub(crate) fn check(fact: &str, to: Verdict) -> Event {
    let kind = EventKind::Check(CheckEvent::Changed { from: Verdict::Unknown, to });
    event(Subject::Check(fact.into()), kind)
}

pub(crate) fn pool(name: &str, to: Verdict) -> Event {
    let kind = PoolEvent::Changed { from: Verdict::Unknown, to, weight: 1, quorum: 2 };
    event(Subject::Pool(name.into()), EventKind::Pool(kind))
}

pub(crate) fn server(pool: &str, name: &str, event_of: fn(Standing) -> PoolEvent) -> Event {
    let standing = Standing { used: 1, total: 2 };
    event(Subject::Server(pool.into(), name.into()), EventKind::Pool(event_of(standing)))
}

/// A folder where only root may write: commands below /tmp or a user's home, as a checkout may be, are refused.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new("/var/lib").join(format!("hat-{}-notify-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn script(&self, name: &str, lines: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\ncd {}\n{lines}\n", self.0.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
