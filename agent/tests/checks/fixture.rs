//! A running thread of checks with its journal, and what it is told to look at.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use ha_agent::facts::{self, FactInbox, News};
use ha_agent::health::{self, Check, Environment, Handle, Outlets, Start, Unusable};
use ha_agent::journal::Journal;
use ha_engine::{Fact, Verdict};
use ha_probe::command::Commands;
use tokio::time::timeout;

/// Nothing here takes longer, unless the machine is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running thread of checks.
pub(crate) struct Thread {
    pub(crate) handle: Handle,
    pub(crate) journal: Arc<Journal>,
    pub(crate) commands: Commands,
    /// What the `vrrp` thread is told.
    pub(crate) facts: FactInbox,
    /// Keeps the pools' end open.
    _servers: FactInbox,
    thread: JoinHandle<()>,
    environment: Environment,
    checks: Arc<[Check]>,
}

/// Checks of a configuration file in which an instance tracks `names`.
pub(crate) fn configured(names: &[&str], checks: &str) -> Vec<ha_config::Check> {
    let text = format!(
        "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvirtual_router_id = 1\naddresses = ['10.0.0.10']\n\
         track = {names:?}\n{checks}"
    );
    let mut context = ha_config::Context {
        host_name: "a",
        read_file: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
        machine: &mut ha_config::NoMachine,
    };
    let outcome = ha_config::parse_bytes(Path::new("test.toml"), text.as_bytes(), &mut context);
    let Some(model) = outcome.model else { panic!("{text}\n{:#?}", outcome.findings) };
    model.checks
}

impl Thread {
    pub(crate) fn start(checks: &[ha_config::Check]) -> Self {
        Self::start_with(checks, 1000)
    }

    pub(crate) fn start_with(checks: &[ha_config::Check], places: usize) -> Self {
        let commands = Commands::launched_by(env!("CARGO_BIN_EXE_ha-agent"), 8);
        let environment = Environment { node: "a".to_owned(), commands: commands.clone() };
        let checks = health::compile(checks, &[], &environment).expect("they can be run");
        let journal = Journal::new("a", 10_000);
        let (handle, requests) = Handle::new();
        let (instances, facts) = facts::channel();
        let (pools, servers) = facts::channel();
        let outlets = Outlets { journal: Arc::clone(&journal), instances, pools };
        let start = Start {
            outlets,
            requests,
            commands: commands.clone(),
            places,
            checks: Arc::clone(&checks),
            muted: Vec::new(),
        };
        let thread = health::start(start).expect("a thread");
        Self { handle, journal, commands, facts, _servers: servers, thread, environment, checks }
    }

    /// Puts other checks in force.
    pub(crate) async fn reload(&mut self, checks: &[ha_config::Check]) -> Result<(), Vec<Unusable>> {
        self.checks = health::compile(checks, &self.checks, &self.environment)?;
        self.handle.reconfigure(Arc::clone(&self.checks)).await.expect("it runs");
        Ok(())
    }

    /// The next fact that is known.
    pub(crate) async fn fact(&mut self) -> Fact {
        loop {
            match self.news().await {
                News::Stands(fact) if fact.verdict != Verdict::Unknown => return fact,
                News::Stands(_) => {}
                News::Removed(name) => panic!("{name} was removed"),
            }
        }
    }

    /// The next that is told of any fact.
    pub(crate) async fn news(&mut self) -> News {
        let news = timeout(PATIENCE, self.facts.recv()).await;
        news.expect("in time").expect("the thread runs")
    }

    /// Types and sentences of what the journal has.
    pub(crate) fn events(&self) -> Vec<(&'static str, String)> {
        let mut events: Vec<_> = Vec::new();
        let mut reader = self.journal.reader(0);
        while let Some(ha_agent::journal::Read::Records(records)) = reader.try_read(1000) {
            events.extend(records.iter().map(|record| (record.type_name(), record.message())));
        }
        events
    }

    /// Waits for an event of that type.
    pub(crate) async fn event(&self, wanted: &str) -> String {
        let mut changes = self.journal.changes();
        loop {
            changes.mark_unchanged();
            if let Some((_, text)) = self.events().into_iter().find(|(name, _)| *name == wanted) {
                return text;
            }
            let changed = timeout(PATIENCE, changes.changed()).await;
            changed
                .unwrap_or_else(|_| panic!("no {wanted} in {:#?}", self.events()))
                .expect("the journal is there");
        }
    }

    /// Ends everything.
    pub(crate) async fn stop(self) -> Arc<Journal> {
        timeout(PATIENCE, self.handle.stop()).await.expect("in time").expect("it ran");
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().unwrap();
        assert_eq!(self.commands.running(), 0);
        self.journal
    }
}

/// A listener on a port of its own that can be closed.
pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A `tcp` check of that address, every 20 ms.
pub(crate) fn tcp(name: &str, address: SocketAddr, keys: &str) -> String {
    format!(
        "[[check]]\nname = '{name}'\nkind = 'tcp'\nhost = '{}'\nport = {}\ninterval = '20ms'\ntimeout = '20ms'\n\
         jitter = '0%'\n{keys}\n",
        address.ip(),
        address.port()
    )
}

/// A folder for scripts where only root may write: what is below /tmp or a user's home, as a checkout may be, is refused.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new("/var/lib").join(format!("hat-{}-checks-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }

    /// A shell script with these lines.
    pub(crate) fn script(&self, name: &str, lines: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
