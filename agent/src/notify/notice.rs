//! What is told: a record of the history, whom it is about in the words of the configuration, and what that turned to.

use std::sync::Arc;

use ha_config::{NotifyScope, NotifyState};
use ha_engine::{CheckEvent, EventKind, PoolEvent, StateName, Subject, Verdict};

use crate::journal::Record;

/// One record, as those who are told look at it.
#[derive(Debug)]
pub(crate) struct Notice {
    pub(crate) record: Arc<Record>,
    pub(crate) class: Class,
    /// `web`; of a server `POOL/SERVER`, of a link its name, of the node nothing.
    pub(crate) name: String,
    /// What it turned to, when this is about that.
    pub(crate) turned: Option<NotifyState>,
    /// It is one of the changes that are told when no types are named.
    pub(crate) is_transition: bool,
    /// Of an instance: the state it is in.
    pub(crate) stands: Option<StateName>,
    /// Of an instance: its effective priority; of all else 0.
    pub(crate) priority: u8,
}

/// Whom a record is about.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Class {
    /// The node, or one of its links.
    Node,
    /// A virtual router or one of its addresses.
    Instance,
    /// A sync group.
    Group,
    /// A check of `[[check]]`.
    Check,
    /// A pool.
    Pool,
    /// A server of a pool, or one of its checks.
    Server,
    /// Somebody who is told of events.
    Notifier,
}

impl Class {
    /// The word in arguments and lines: keepalived's for what it knows.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Node => "NODE",
            Self::Instance => "INSTANCE",
            Self::Group => "GROUP",
            Self::Check => "CHECK",
            Self::Pool => "POOL",
            Self::Server => "SERVER",
            Self::Notifier => "NOTIFIER",
        }
    }
}

impl Notice {
    /// `stands` and `priority` are those of the instance that this is about, after it.
    pub(crate) fn new(record: Arc<Record>, stands: Option<StateName>, priority: u8) -> Self {
        let (class, name) = whom(record.subject());
        let (is_transition, turned) = record.event().map_or((false, None), |event| turn(&event.kind, class));
        Self { record, class, name, turned, is_transition, stands, priority }
    }

    /// Notices with the same key are told in their order.
    pub(crate) fn key(&self) -> (Class, &str) {
        (self.class, &self.name)
    }

    /// Whether this is within `scope`.
    pub(crate) fn is_in(&self, scope: &NotifyScope) -> bool {
        let is = |class, name: &Option<String>| {
            self.class == class && name.as_deref().is_none_or(|name| name == self.name)
        };
        match scope {
            NotifyScope::Node => matches!(self.class, Class::Node | Class::Notifier),
            NotifyScope::Instances(name) => is(Class::Instance, name),
            NotifyScope::Groups(name) => is(Class::Group, name),
            NotifyScope::Checks(name) => is(Class::Check, name),
            NotifyScope::Pools(name) => is(Class::Pool, name),
            NotifyScope::Servers(None) => self.class == Class::Server,
            NotifyScope::Servers(Some(pool)) => {
                self.class == Class::Server && self.name.split('/').next() == Some(pool)
            }
        }
    }
}

fn whom(subject: &Subject) -> (Class, String) {
    match subject {
        Subject::Node => (Class::Node, String::new()),
        Subject::Interface(name) => (Class::Node, name.to_string()),
        Subject::Instance(_, name) | Subject::Vip(_, name, _) => (Class::Instance, name.to_string()),
        Subject::Group(name) => (Class::Group, name.to_string()),
        Subject::Check(fact) => check(fact),
        Subject::Pool(pool) => (Class::Pool, pool.to_string()),
        Subject::Server(pool, server) => (Class::Server, format!("{pool}/{server}")),
        Subject::Peer(name) => (Class::Node, name.to_string()),
        Subject::Notifier(name) => (Class::Notifier, name.to_string()),
    }
}

/// A fact's name is `checks/NAME` or `pools/POOL/servers/SERVER/checks/CHECK`.
fn check(fact: &str) -> (Class, String) {
    let mut words = fact.split('/');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("pools"), Some(pool), Some("servers"), Some(server)) => {
            (Class::Server, format!("{pool}/{server}"))
        }
        (Some("checks"), Some(name), None, None) => (Class::Check, name.to_owned()),
        _ => (Class::Check, fact.to_owned()),
    }
}

/// Whether it is a transition, and into what.
fn turn(kind: &EventKind, class: Class) -> (bool, Option<NotifyState>) {
    let verdict = |verdict: Verdict| match verdict {
        Verdict::Unknown => None,
        Verdict::Passing => Some(NotifyState::Passing),
        Verdict::Failing => Some(NotifyState::Failing),
    };
    match kind {
        EventKind::StateChanged { to, .. } | EventKind::GroupStateChanged { to, .. } => {
            (true, Some(state(*to)))
        }
        EventKind::InstanceRemoved => (true, Some(NotifyState::Stopped)),
        // A server leaves and returns by its checks together; each of them would tell the same again.
        EventKind::Check(CheckEvent::Changed { to, .. }) => (class == Class::Check, verdict(*to)),
        EventKind::Pool(PoolEvent::Changed { to, .. }) => (true, verdict(*to)),
        EventKind::Pool(PoolEvent::ServerLeft(_) | PoolEvent::ServerKept(_)) => {
            (true, Some(NotifyState::Failing))
        }
        EventKind::Pool(PoolEvent::ServerReturned(_)) => (true, Some(NotifyState::Passing)),
        EventKind::Pool(PoolEvent::ServerDrained { .. }) => (true, Some(NotifyState::Stopped)),
        EventKind::Pool(PoolEvent::ServerUndrained) => (true, None),
        _ => (false, None),
    }
}

const fn state(name: StateName) -> NotifyState {
    match name {
        StateName::Initialize => NotifyState::Stopped,
        StateName::Backup => NotifyState::Backup,
        StateName::Active => NotifyState::Active,
        StateName::Fault => NotifyState::Fault,
    }
}
