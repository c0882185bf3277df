//! The line that `systemctl status` shows: how many virtual routers this node has, and in which states.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ha_engine::{Event, EventKind, StateName, Subject};

use super::systemd;
use crate::journal::{CHUNK, Journal, Read};

/// Between two lines at least, however much happens.
const PAUSE: Duration = Duration::from_secs(1);

/// Tells systemd, until the agent ends.
pub(super) async fn follow(journal: Arc<Journal>) {
    let mut reader = journal.reader(0);
    let mut states = States::default();
    let mut told = String::new();
    loop {
        // Cancelled here and below when the agent ends: a line that is no longer told is missed by nobody.
        match reader.read(CHUNK).await {
            Read::Records(records) => {
                records.iter().filter_map(|record| record.event()).for_each(|event| states.note(event));
            }
            Read::Lagged(_) => states.forget(),
        }
        let line = states.line();
        if line != told {
            systemd::status(&line);
            told = line;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The state of each virtual router, as far as it is known.
#[derive(Default)]
struct States(BTreeMap<Arc<str>, Option<StateName>>);

impl States {
    fn note(&mut self, event: &Event) {
        let Subject::Instance(_, name) = &event.subject else { return };
        match event.kind {
            EventKind::InstanceAdded => drop(self.0.entry(Arc::clone(name)).or_default()),
            EventKind::InstanceRemoved => drop(self.0.remove(name)),
            EventKind::StateChanged { to: state, .. } | EventKind::Adopted { state, .. } => {
                self.0.insert(Arc::clone(name), Some(state));
            }
            _ => {}
        }
    }

    /// What was missed may have changed any of them.
    fn forget(&mut self) {
        self.0.values_mut().for_each(|state| *state = None);
    }

    fn line(&self) -> String {
        let words = [
            (Some(StateName::Active), "Active"),
            (Some(StateName::Backup), "Backup"),
            (Some(StateName::Fault), "Fault"),
            (Some(StateName::Initialize), "Initialize"),
            (None, "not known here, see hactl status"),
        ];
        let count = |wanted| self.0.values().filter(|state| **state == wanted).count();
        let states = words.map(|(state, word)| (count(state), word));
        let states = states.iter().filter(|(count, _)| *count > 0);
        let states = states.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ");
        match self.0.len() {
            0 => "no virtual routers".to_owned(),
            1 => format!("1 virtual router: {states}"),
            all => format!("{all} virtual routers: {states}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use ha_engine::{Cause, Evidence, InstanceId, Instant};

    use super::*;

    fn about(name: &str, kind: EventKind) -> Event {
        Event {
            at: Instant::from_nanos(0),
            subject: Subject::Instance(InstanceId(0), name.into()),
            kind,
            cause: Cause::AgentStart,
            evidence: Evidence::default(),
            actor: None,
        }
    }

    fn moved(name: &str, from: StateName, to: StateName) -> Event {
        about(name, EventKind::StateChanged { from, to })
    }

    #[test]
    fn the_line_counts_the_routers_by_their_states() {
        use StateName::{Active, Backup, Fault, Initialize};
        let steps = [
            (about("a", EventKind::InstanceAdded), "1 virtual router: 1 not known here, see hactl status"),
            (moved("a", Initialize, Backup), "1 virtual router: 1 Backup"),
            (moved("a", Backup, Active), "1 virtual router: 1 Active"),
            (moved("b", Initialize, Fault), "2 virtual routers: 1 Active, 1 Fault"),
            (
                about("c", EventKind::Adopted { state: Active, silent: Default::default() }),
                "3 virtual routers: 2 Active, 1 Fault",
            ),
            (about("a", EventKind::InstanceRemoved), "2 virtual routers: 1 Active, 1 Fault"),
            (about("b", EventKind::InstanceAdded), "2 virtual routers: 1 Active, 1 Fault"),
        ];
        let mut states = States::default();
        assert_eq!(states.line(), "no virtual routers");
        for (event, expected) in steps {
            states.note(&event);
            assert_eq!(states.line(), expected);
        }
        states.forget();
        assert_eq!(states.line(), "2 virtual routers: 2 not known here, see hactl status");
    }
}
