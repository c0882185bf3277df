//! The line that `systemctl status` shows: how many virtual routers this node has, and in which states.

use std::sync::Arc;
use std::time::Duration;

use ha_engine::{EventKind, StateName};

use super::systemd;
use crate::driver;
use crate::journal::{CHUNK, Journal, Read, Reader, Record};

/// Between two questions to the `vrrp` thread at least, however much happens.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells systemd, until the agent ends.
pub(super) async fn follow(journal: Arc<Journal>, driver: driver::Handle) {
    if systemd::listens() {
        each_line(journal, driver, systemd::status).await;
    }
}

/// The `vrrp` thread says how it stands; the journal says when to ask it, also when events were lost.
async fn each_line(journal: Arc<Journal>, driver: driver::Handle, tell: impl Fn(&str)) {
    let mut told = String::new();
    loop {
        // What the journal has now was decided before the answer.
        let mut reader = journal.reader(journal.newest());
        // Cancelled here and below when the agent ends: a line that is no longer told is missed by nobody.
        let Ok(snapshot) = driver.snapshot().await else { return };
        let states: Vec<StateName> = snapshot.instances.iter().map(|status| status.state).collect();
        let line = line(&states);
        if line != told {
            tell(&line);
            told = line;
        }
        tokio::time::sleep(PAUSE).await;
        wait_for_another_state(&mut reader).await;
    }
}

async fn wait_for_another_state(reader: &mut Reader) {
    loop {
        match reader.read(CHUNK).await {
            Read::Records(records) if !records.iter().any(|record| may_change_states(record)) => {}
            Read::Records(_) | Read::Lagged(_) => return,
        }
    }
}

fn may_change_states(record: &Record) -> bool {
    // Without an event some were lost.
    let kind = record.event().map(|event| &event.kind);
    kind.is_none_or(|kind| {
        matches!(
            kind,
            EventKind::InstanceAdded
                | EventKind::InstanceRemoved
                | EventKind::StateChanged { .. }
                | EventKind::Adopted { .. }
        )
    })
}

fn line(states: &[StateName]) -> String {
    let words = [
        (StateName::Active, "Active"),
        (StateName::Backup, "Backup"),
        (StateName::Fault, "Fault"),
        (StateName::Initialize, "Initialize"),
    ];
    let counts = words.map(|(wanted, word)| (states.iter().filter(|state| **state == wanted).count(), word));
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    let counts = counts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
    match states.len() {
        0 => "no virtual routers".to_owned(),
        1 => format!("1 virtual router: {counts}"),
        all => format!("{all} virtual routers: {counts}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU64, Ordering};

    use ha_engine::StateName::{Active, Backup, Fault, Initialize};
    use ha_engine::{Cause, Engine, Event, Evidence, Input, InstanceId, InstanceStatus, Instant, Subject};

    use super::*;
    use crate::driver::{Handle, Request, Snapshot};

    /// A virtual router as the engine would show it.
    fn router(state: StateName) -> InstanceStatus {
        let text = "[[instance]]\nname = 'web'\ninterface = 'eth0'\nvirtual_router_id = 7\npriority = 100\n\
                    addresses = ['192.0.2.1']\n";
        let mut context = ha_config::Context {
            host_name: "a",
            read_file: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
            machine: &mut ha_config::NoMachine,
        };
        let outcome = ha_config::parse_bytes(Path::new("test.toml"), text.as_bytes(), &mut context);
        let configuration = outcome.model.unwrap_or_else(|| panic!("{:#?}", outcome.findings));
        let mut engine = Engine::new();
        drop(engine.handle(Instant::from_nanos(1), Input::Reconfigure(&configuration.instances)));
        InstanceStatus { state, ..engine.statuses().next().unwrap() }
    }

    fn about(kind: EventKind) -> Box<Event> {
        Box::new(Event {
            at: Instant::from_nanos(1),
            subject: Subject::Instance(InstanceId(0), "web".into()),
            kind,
            cause: Cause::AgentStart,
            evidence: Evidence::default(),
            actor: None,
        })
    }

    /// A `vrrp` thread with routers in states that a test changes, the journal, and the lines.
    struct World {
        states: Mutex<Vec<StateName>>,
        asked: AtomicU64,
        lines: Mutex<Vec<String>>,
        journal: Arc<Journal>,
    }

    impl World {
        fn start(states: &[StateName]) -> Arc<Self> {
            let world = Arc::new(Self {
                states: Mutex::new(states.to_vec()),
                asked: AtomicU64::new(0),
                lines: Mutex::default(),
                journal: Journal::new("a", 64),
            });
            let (driver, mut requests) = Handle::new();
            let vrrp = Arc::clone(&world);
            tokio::spawn(async move {
                while let Some(Request::Snapshot(reply)) = requests.recv().await {
                    vrrp.asked.fetch_add(1, Ordering::Relaxed);
                    let instances = vrrp.states.lock().unwrap().iter().map(|state| router(*state)).collect();
                    let _ = reply.send(Arc::new(Snapshot { instances, ..Snapshot::default() }));
                }
            });
            let told = Arc::clone(&world);
            let tell = move |line: &str| told.lines.lock().unwrap().push(line.to_owned());
            tokio::spawn(each_line(Arc::clone(&world.journal), driver, tell));
            world
        }

        /// What is told within some seconds after this.
        async fn next(&self, states: &[StateName], happens: impl FnOnce(&Journal)) -> Vec<String> {
            *self.states.lock().unwrap() = states.to_vec();
            self.lines.lock().unwrap().clear();
            happens(&self.journal);
            tokio::time::sleep(PAUSE * 5).await;
            self.lines.lock().unwrap().clone()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_is_what_the_vrrp_thread_says_also_when_events_were_lost() {
        let changed = |journal: &Journal| {
            journal.append(about(EventKind::StateChanged { from: Backup, to: Active }));
        };
        let world = World::start(&[Initialize]);
        assert_eq!(world.next(&[Initialize], |_| ()).await, ["1 virtual router: 1 Initialize"]);
        assert_eq!(world.next(&[Active], changed).await, ["1 virtual router: 1 Active"]);
        let lost = |journal: &Journal| {
            journal.append_lost(1000);
        };
        assert_eq!(world.next(&[Active, Fault], lost).await, ["2 virtual routers: 1 Active, 1 Fault"]);
        let overtaken = |journal: &Journal| (0..1000).for_each(|_| changed(journal));
        assert_eq!(world.next(&[Backup, Backup], overtaken).await, ["2 virtual routers: 2 Backup"]);
        assert_eq!(world.next(&[Backup, Backup], changed).await, [""; 0], "the same line is told once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_vrrp_thread_is_asked_once_a_second_at_most_and_not_for_what_changes_no_state() {
        let world = World::start(&[Active]);
        world.next(&[Active], |_| ()).await;
        let before = world.asked.load(Ordering::Relaxed);
        let other = |journal: &Journal| {
            journal.append(about(EventKind::InstanceChanged));
        };
        world.next(&[Active], other).await;
        assert_eq!(world.asked.load(Ordering::Relaxed), before);
        for _ in 0..100 {
            world.journal.append(about(EventKind::StateChanged { from: Active, to: Active }));
            tokio::time::sleep(PAUSE / 20).await;
        }
        let asked = world.asked.load(Ordering::Relaxed) - before;
        assert!((4..=6).contains(&asked), "{asked} times in 5 s");
    }

    #[test]
    fn the_line_counts_the_routers_by_their_states() {
        let table: [(&[StateName], &str); 5] = [
            (&[], "no virtual routers"),
            (&[Backup], "1 virtual router: 1 Backup"),
            (&[Fault, Active, Active], "3 virtual routers: 2 Active, 1 Fault"),
            (
                &[Initialize, Fault, Backup, Active],
                "4 virtual routers: 1 Active, 1 Backup, 1 Fault, 1 Initialize",
            ),
            (&[Backup; 1000], "1000 virtual routers: 1000 Backup"),
        ];
        for (states, expected) in table {
            assert_eq!(line(states), expected);
        }
    }
}
