//! One server of a pool: what its checks say, and how much it is to get.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use super::config::ServerConfig;
use super::status::ServerState;
use crate::order::StandingOrder;
use crate::track::{Fact, Verdict};
use crate::units::Instant;

/// Every fact that was told, by name.
pub(super) type Facts = BTreeMap<Arc<str>, Fact>;

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) config: ServerConfig,
    /// What its checks say together.
    pub(super) health: Verdict,
    /// It fails only because its recovery is held back by damping.
    pub(super) is_damped: bool,
    /// What it adds to the quorum, and its share when in full.
    pub(super) weight: u32,
    /// The first of its checks that fails, and what it saw.
    pub(super) culprit: Option<(Arc<str>, Arc<str>)>,
    /// When it last began to fail.
    pub(super) failed: Instant,
    pub(super) state: ServerState,
    pub(super) since: Instant,
    /// When its slow start began.
    pub(super) grows_since: Option<Instant>,
    pub(super) drain: Option<StandingOrder>,
    /// What the balancer is to use.
    pub(super) desired_weight: u32,
}

impl Server {
    pub(super) fn new(config: ServerConfig, facts: &Facts, now: Instant) -> Self {
        let mut server = Self {
            weight: config.weight.max(1),
            config,
            health: Verdict::Unknown,
            is_damped: false,
            culprit: None,
            failed: now,
            state: ServerState::Unknown,
            since: now,
            grows_since: None,
            drain: None,
            desired_weight: 0,
        };
        server.judge(facts, now, None);
        server
    }

    /// Adds up its checks. One that fails outweighs those that are not known.
    pub(super) fn judge(&mut self, facts: &Facts, now: Instant, slow_start: Option<Duration>) {
        let before = self.health;
        let verdict_of = |name: &Arc<str>| facts.get(name).map_or(Verdict::Unknown, |fact| fact.verdict);
        let failing = || {
            let checks = self.config.checks.iter().filter_map(|name| facts.get(name));
            checks.filter(|fact| fact.verdict == Verdict::Failing)
        };
        self.culprit = failing().next().map(|fact| (Arc::clone(&fact.name), Arc::clone(&fact.detail)));
        self.is_damped = self.culprit.is_some() && failing().all(|fact| fact.damped);
        self.health = if self.culprit.is_some() {
            Verdict::Failing
        } else if self.config.checks.iter().any(|name| verdict_of(name) == Verdict::Unknown) {
            Verdict::Unknown
        } else {
            Verdict::Passing
        };
        self.weigh(facts);
        match (before, self.health) {
            (Verdict::Failing, Verdict::Failing) => {}
            (_, Verdict::Failing) => (self.failed, self.grows_since) = (now, None),
            // A server that was kept in did not stop working for its sessions.
            (Verdict::Failing, _) if self.state == ServerState::Down => {
                self.grows_since = slow_start.map(|_| now);
            }
            _ => {}
        }
    }

    /// The weight of its check, if one says it; 0 or less takes it out like a failure.
    fn weigh(&mut self, facts: &Facts) {
        let told = self.config.weight_from.as_ref().and_then(|name| facts.get(name));
        self.weight = self.config.weight.max(1);
        let Some((fact, value)) = told.and_then(|fact| Some((fact, fact.value?))) else { return };
        match u32::try_from(value).unwrap_or(0) {
            0 if self.health != Verdict::Failing => {
                self.health = Verdict::Failing;
                self.culprit = Some((Arc::clone(&fact.name), "its weight is 0".into()));
            }
            0 => {}
            weight => self.weight = weight,
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether it is in for its own sake: not drained, and not known to fail.
    pub(super) fn is_good(&self) -> bool {
        !self.is_drained() && self.health != Verdict::Failing
    }

    /// How many of its steps of a slow start it has taken, from 1; all of them without one.
    pub(super) fn steps(&self, now: Instant, slow_start: Option<Duration>) -> u32 {
        match (self.grows_since, slow_start) {
            (Some(since), Some(duration)) => {
                let taken = (1..SLOW_START_STEPS).filter(|step| now >= step_at(since, duration, *step));
                u32::try_from(taken.count()).unwrap_or(0) + 1
            }
            _ => SLOW_START_STEPS,
        }
    }

    /// When it must be looked at again.
    pub(super) fn deadline(&self, now: Instant, slow_start: Option<Duration>) -> Option<Instant> {
        let grows = self.grows_since.zip(slow_start);
        let step = grows.and_then(|(since, duration)| {
            (1..SLOW_START_STEPS).map(|step| step_at(since, duration, step)).find(|at| *at > now)
        });
        let undrained = self.drain.as_ref().and_then(|drain| drain.expires);
        [step, undrained].into_iter().flatten().min()
    }
}

/// Steps in which a server that returned gets its weight: the first at once, the last after the whole time.
pub const SLOW_START_STEPS: u32 = 5;

fn step_at(since: Instant, duration: Duration, step: u32) -> Instant {
    since.after(duration.saturating_mul(step) / (SLOW_START_STEPS - 1))
}
