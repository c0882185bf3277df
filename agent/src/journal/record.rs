//! One line of the history, and the questions that every reader of it asks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ha_engine::{
    Actor, Cause, CheckEvent, Event, EventKind, Evidence, Instant, PoolEvent, Severity, Subject,
};

/// One line of the history.
#[derive(Debug)]
pub struct Record {
    /// +1 for each record of an incarnation, from 1.
    pub sequence: u64,
    /// When it was decided, on the decision clock.
    pub at: Instant,
    /// The same, since the agent started; immune to clock steps.
    pub offset: Duration,
    /// The same, on the wall clock as it stood when the record was added.
    pub wall: SystemTime,
    /// What happened.
    pub entry: Entry,
    /// The record of the same instance that led to this one.
    pub caused_by: Option<u64>,
    /// The operator's request at the beginning of that chain, when it had an id.
    pub request: Option<Arc<str>>,
}

/// What happened.
#[derive(Debug)]
pub enum Entry {
    /// The engine decided something.
    Event(Box<Event>),
    /// Events were lost here because the journal did not take them in time.
    Lost {
        /// How many.
        count: u64,
    },
}

impl Record {
    /// The engine's event, unless this says that some were lost.
    pub fn event(&self) -> Option<&Event> {
        match &self.entry {
            Entry::Event(event) => Some(event),
            Entry::Lost { .. } => None,
        }
    }

    /// Whether it is kept apart, so that it cannot push history out.
    pub fn is_noise(&self) -> bool {
        self.event().is_some_and(Event::is_noise)
    }

    /// "instance.state_changed"; the OpenTelemetry event name is "ha_agent." and this.
    pub fn type_name(&self) -> &'static str {
        self.event().map_or("node.events_lost", Event::type_name)
    }

    /// How much it should worry an operator.
    pub fn severity(&self) -> Severity {
        self.event().map_or(Severity::Error, Event::severity)
    }

    /// Whom it is about.
    pub fn subject(&self) -> &Subject {
        self.event().map_or(&Subject::Node, |event| &event.subject)
    }

    /// Why. Events are lost when the agent's ordinary threads did not run for a while.
    pub fn cause(&self) -> Cause {
        self.event().map_or(Cause::AgentStalled, |event| event.cause)
    }

    /// What was measured; nothing when events were lost.
    pub fn evidence(&self) -> Option<&Evidence> {
        self.event().map(|event| &event.evidence)
    }

    /// Who wanted it, when it was somebody.
    pub fn actor(&self) -> Option<&Arc<Actor>> {
        self.event()?.actor.as_ref()
    }

    /// From which word to which the state of an instance or the verdict of a check or pool moved, when this is about that.
    pub fn transition(&self) -> Option<(&'static str, &'static str)> {
        match &self.event()?.kind {
            EventKind::StateChanged { from, to } | EventKind::GroupStateChanged { from, to } => {
                Some((from.as_str(), to.as_str()))
            }
            EventKind::Adopted { state, .. } => Some((state.as_str(), state.as_str())),
            EventKind::Check(CheckEvent::Changed { from, to })
            | EventKind::Pool(PoolEvent::Changed { from, to, .. }) => Some((from.as_str(), to.as_str())),
            _ => None,
        }
    }

    /// One sentence for a human.
    pub fn message(&self) -> String {
        match &self.entry {
            Entry::Event(event) => event.to_string(),
            Entry::Lost { count } => {
                format!("{count} events were lost here: the journal did not take them in time")
            }
        }
    }
}

/// The resource name of what an event is about: `nodes/a/instances/web`.
pub fn subject_name(node: &str, subject: &Subject) -> String {
    match subject {
        Subject::Node => format!("nodes/{node}"),
        Subject::Interface(name) => format!("nodes/{node}/interfaces/{name}"),
        Subject::Instance(_, name) => format!("nodes/{node}/instances/{name}"),
        Subject::Vip(_, _, address) => format!("nodes/{node}/vips/{address}"),
        Subject::Group(name) => format!("nodes/{node}/groups/{name}"),
        Subject::Check(fact) => format!("nodes/{node}/{fact}"),
        Subject::Pool(pool) => format!("nodes/{node}/pools/{pool}"),
        Subject::Server(pool, server) => format!("nodes/{node}/pools/{pool}/servers/{server}"),
        Subject::Peer(name) => format!("nodes/{node}/peers/{name}"),
        Subject::Notifier(name) => format!("nodes/{node}/notifiers/{name}"),
    }
}
