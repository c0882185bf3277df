//! What is put in force again at a start, what is not, and why not.

use std::collections::BTreeMap;
use std::sync::Arc;

use ha_config::Configuration;
use ha_engine::{
    Cause, DrainCommand, DrainedServer, Event, EventKind, Evidence, Inheritance, Intent, IntentEvent,
    MutedCheck, OperatorAction, OperatorCommand, Override, StandingOrder, Subject,
};
use prost::Message;

use super::row::{About, Row};
use super::{Shared, health, pools};
use crate::clock;
use crate::driver::Gone;
use crate::journal::Journal;
use crate::journal::store::{Intents, NotKept};
use crate::legacy::Estate;

/// Rows longer than this are nobody's.
const LONGEST: usize = 64 << 10;

/// What survived a restart and still has something that it is about.
#[derive(Debug, Default)]
pub(crate) struct Restored {
    /// The drain of the node.
    pub(crate) drain: Option<StandingOrder>,
    /// By instance.
    pub(crate) overrides: Vec<(Arc<str>, Override)>,
    pub(crate) mutes: Vec<MutedCheck>,
    pub(crate) servers: Vec<DrainedServer>,
    /// As they were read, of what is in force again.
    pub(super) rows: BTreeMap<About, Row>,
    events: Vec<Event>,
}

impl Restored {
    /// Judges what the disk has by what is configured.
    pub(super) fn new(rows: Intents, configured: &Configuration) -> Self {
        let mut restored = Self::default();
        for (name, octets) in rows {
            // Another version's stay where they are.
            let Some(about) = About::parse(&name) else { continue };
            restored.judge(&about, &octets, configured);
        }
        restored
    }

    fn judge(&mut self, about: &About, octets: &[u8], configured: &Configuration) {
        let row = (octets.len() <= LONGEST).then(|| Row::decode(octets).ok()).flatten();
        let Some(row) = row else {
            let why = "its entry on disk cannot be read".into();
            return self.note(about, &Row::default(), |intent| IntentEvent::Dropped { intent, why });
        };
        if !row.node.is_empty() && row.node != configured.node_name {
            let why = format!("it is for the node {}, and this one is {}", row.node, configured.node_name);
            return self.note(about, &row, |intent| IntentEvent::Dropped { intent, why: why.into() });
        }
        let now = clock::now();
        let expires = row.expires();
        if expires.is_some_and(|at| at <= now) {
            let (_, ended) = row.times();
            return self.note(about, &row, |intent| IntentEvent::Expired { intent, ended });
        }
        if let Err(why) = self.take(about, &row, configured) {
            return self.note(about, &row, |intent| IntentEvent::Dropped { intent, why: why.into() });
        }
        self.rows.insert(about.clone(), row.clone());
        let lasts = expires.map(|at| at.since(now));
        self.note(about, &row, |intent| IntentEvent::Restored { intent, lasts });
    }

    fn take(&mut self, about: &About, row: &Row, configured: &Configuration) -> Result<(), &'static str> {
        let order = row.order();
        match about {
            About::Node => self.drain = Some(order),
            About::Instance(name) => {
                let instance = configured.instances.iter().find(|instance| instance.name == *name);
                let instance = instance.ok_or(GONE)?;
                if instance.priority.is_owner() {
                    return Err(
                        "the virtual router is the address owner now, whose priority nobody overrides",
                    );
                }
                let priority = row.priority().ok_or("it says no priority that an override may have")?;
                self.overrides.push((Arc::clone(name), Override { priority, order }));
            }
            About::Check(name) => {
                let is_there = configured.checks.iter().any(|check| check.policy.name == *name);
                is_there.then_some(()).ok_or(GONE)?;
                let (verdict, value) = (row.verdict(), row.value);
                self.mutes.push(MutedCheck { name: Arc::clone(name), verdict, value, mute: order });
            }
            About::Server(pool, server) => {
                let found = configured.pools.iter().find(|found| found.config.name == *pool);
                let found =
                    found.and_then(|found| found.config.servers.iter().find(|one| one.name == *server));
                found.ok_or(GONE)?;
                let (pool, server) = (Arc::clone(pool), Arc::clone(server));
                self.servers.push(DrainedServer { pool, server, drain: order });
            }
        }
        Ok(())
    }

    fn note(&mut self, about: &About, row: &Row, event: impl FnOnce(Intent) -> IntentEvent) {
        let what = match about {
            About::Instance(_) if row.priority > 0 => format!("override to priority {}", row.priority),
            About::Instance(_) => "override".to_owned(),
            About::Check(_) => format!("mute of a check that is {}", row.verdict().as_str()),
            About::Node => "drain of the node".to_owned(),
            About::Server(..) => "drain of the server".to_owned(),
        };
        let (set, _) = row.times();
        let (principal, reason) = (row.principal.as_str().into(), row.reason.as_str().into());
        let event = event(Intent { what: what.into(), principal, set, reason });
        let cause = match event {
            IntentEvent::Expired { .. } => Cause::OverrideExpired,
            _ => Cause::AgentStart,
        };
        self.events.push(tells(about.subject(), event, cause, Some(row)));
    }

    /// Tells what became of each.
    pub(super) fn tell(&self, journal: &Journal) {
        for event in &self.events {
            journal.append(Box::new(event.clone()));
        }
    }

    /// Puts it in force while everything runs; what somebody has decided meanwhile stays.
    pub(super) async fn put_in_force(self, shared: &Shared) -> Result<(), Gone> {
        let snapshot = shared.driver.snapshot().await?;
        if let Some(drain) = self.drain.filter(|_| snapshot.drain.is_none()) {
            let actor = Arc::clone(&drain.actor);
            let command = DrainCommand { drain: Some(drain), actor, expected_revision: None, dry_run: false };
            let _ = shared.driver.drain(command).await?;
        }
        for (instance, own) in self.overrides {
            let is_free = |status: &ha_engine::InstanceStatus| {
                status.config.name == instance && status.override_.is_none()
            };
            if !snapshot.instances.iter().any(is_free) {
                continue;
            }
            let Override { priority, order } = own;
            let StandingOrder { reason, actor, expires, survives, .. } = order;
            let action = OperatorAction::OverridePriority { priority, reason, expires, survives };
            let command =
                OperatorCommand { instance, action, actor, expected_revision: None, dry_run: false };
            let _ = shared.driver.operate(command).await?;
        }
        // A refusal says that a reload took away what it was about.
        for MutedCheck { name, mute, .. } in self.mutes {
            let StandingOrder { reason, actor, expires, survives, .. } = mute;
            let action = health::Action::Mute { reason, expires, survives };
            let command = health::Command { check: name, action, actor, dry_run: false };
            let _ = shared.checks.operate(command).await;
        }
        for DrainedServer { pool, server, drain } in self.servers {
            let StandingOrder { reason, actor, expires, survives, .. } = drain;
            let action = pools::Action::Drain { reason, expires, survives, allow_below_floor: true };
            let command = pools::Command { pool, server, action, actor, dry_run: false };
            let _ = shared.pools.operate(command).await;
        }
        Ok(())
    }
}

const GONE: &str = "it is not configured any more";

/// Says that what survives could not be read.
pub(super) fn tell_unread(journal: &Journal, error: &NotKept) {
    let event = IntentEvent::Unread { error: Arc::clone(&error.0) };
    journal.append(Box::new(tells(Subject::Node, event, Cause::JournalFailed, None)));
}

/// Says that the disk does not forget something that has ended.
pub(super) fn tell_not_forgotten(journal: &Journal, about: &About, error: &NotKept) {
    let event = IntentEvent::NotForgotten { what: about.to_string().into(), error: Arc::clone(&error.0) };
    journal.append(Box::new(tells(about.subject(), event, Cause::JournalFailed, None)));
}

fn tells(subject: Subject, event: IntentEvent, cause: Cause, row: Option<&Row>) -> Event {
    Event {
        at: clock::now(),
        subject,
        kind: EventKind::Intent(event),
        cause,
        evidence: Evidence::default(),
        actor: row.map(Row::actor),
    }
}

impl From<Restored> for Estate {
    fn from(restored: Restored) -> Self {
        let Restored { drain, overrides, mutes, servers, .. } = restored;
        let inheritance = Inheritance { drain, overrides, ..Inheritance::default() };
        Self { inheritance, mutes, servers, ..Self::default() }
    }
}
