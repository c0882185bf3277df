//! Server pools: which servers a balancer is to use, and whether a pool is worth using. Sans-IO like the engine: checks are
//! told as facts, and balancing is left to the driver. The rules for operators are in `agent/crates/config/CHECKS.md`.

mod config;
mod group;
mod quorum;
mod server;
mod status;
#[cfg(test)]
mod tests;
mod wire;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

pub use config::{Floor, PoolConfig, PoolScope, ServerConfig, SorryServer};
pub use group::MASS_FAILURE_WINDOW;
pub use server::SLOW_START_STEPS;
pub use status::{BalancerStatus, DrainedServer, PoolStatus, ServerState, ServerStatus};
pub use wire::{
    Balanced, Desired, DesiredServer, PoolInput, PoolOutput, PoolOutputs, PoolRefusal, RunningServer,
};

use crate::event::Cause;
use crate::order::StandingOrder;
use crate::track::Fact;
use crate::units::Instant;
use group::{Because, Pool, Sink};
use server::Facts;

/// All pools of a node under one clock.
///
/// A driver calls [`Pools::handle`] with what happened, carries out the outputs in order, and calls again at the latest at
/// [`Pools::next_deadline`]. Sets are level-triggered: a newer one replaces an older one, whether that was taken over or not.
#[derive(Debug, Default)]
pub struct Pools {
    pools: BTreeMap<Arc<str>, Pool>,
    /// Every fact that was told, used or not: a pool that comes later knows them.
    facts: Facts,
    /// Which servers of which pools go by a fact.
    users: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<usize>>>,
    /// Which instances are Active; one that was not told is not.
    active: BTreeMap<Arc<str>, bool>,
    /// Drains that an earlier process left, until the first configuration has taken them.
    inherited: Vec<DrainedServer>,
    outputs: Vec<PoolOutput>,
    generation: u64,
}

impl Pools {
    /// No pools; the first [`PoolInput::Reconfigure`] brings them.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one input and answers with what to do. `now` must not go backwards.
    pub fn handle(&mut self, now: Instant, input: PoolInput<'_>) -> PoolOutputs<'_> {
        self.outputs.clear();
        match input {
            PoolInput::Reconfigure(pools) => self.on_reconfigure(now, pools),
            PoolInput::Fact(fact) => self.on_fact(now, fact),
            PoolInput::FactRemoved(name) => self.on_fact_removed(now, &name),
            PoolInput::Deadline => self.on_deadline(now),
            PoolInput::Inherit(drained) => self.inherited = drained,
            PoolInput::Drain {
                pool,
                server,
                reason,
                actor,
                expires,
                survives,
                allow_below_floor,
                dry_run,
            } => {
                let drain = StandingOrder { reason, actor, since: now, expires, survives };
                self.operate(now, &pool, &server, |pool, sink, place| {
                    if !allow_below_floor {
                        pool.may_drain(place)?;
                    }
                    if !dry_run {
                        let because = by(Cause::AdminDrain, &drain.actor);
                        pool.drain(sink, place, drain, &because);
                    }
                    Ok(())
                });
            }
            PoolInput::Undrain { pool, server, actor, dry_run } => {
                self.operate(now, &pool, &server, |pool, sink, place| {
                    if !dry_run {
                        pool.undrain(sink, place, &by(Cause::AdminUndrain, &actor));
                    }
                    Ok(())
                });
            }
            PoolInput::InstanceState { instance, active } => self.on_instance(now, instance, active),
            PoolInput::Balanced(balanced) => {
                let name = Arc::clone(&balanced.pool);
                self.with(now, &name, |pool, sink, _| pool.on_balanced(sink, balanced));
            }
        }
        PoolOutputs(self.outputs.drain(..))
    }

    /// When to call with [`PoolInput::Deadline`] at the latest.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.pools.values().filter_map(|pool| pool.due).min()
    }

    /// A pool as it stands.
    pub fn status(&self, pool: &str) -> Option<PoolStatus> {
        self.pools.get(pool).map(|pool| pool.status(&self.facts))
    }

    /// Every pool as it stands, by name. Lazy, so that a driver may take a few at a time.
    pub fn statuses(&self) -> impl Iterator<Item = PoolStatus> + '_ {
        self.pools.values().map(|pool| pool.status(&self.facts))
    }

    fn on_fact(&mut self, now: Instant, fact: Fact) {
        let (name, because) = (Arc::clone(&fact.name), Because::fact(&fact));
        self.facts.insert(Arc::clone(&name), fact);
        self.on_changed(now, &name, &because);
    }

    fn on_fact_removed(&mut self, now: Instant, name: &str) {
        self.facts.remove(name);
        self.on_changed(now, name, &Because::of(Cause::ConfigReload));
    }

    fn on_changed(&mut self, now: Instant, name: &str, because: &Because) {
        let Some(users) = self.users.get_mut(name).map(core::mem::take) else { return };
        for (pool, places) in &users {
            self.with(now, pool, |pool, sink, facts| pool.on_fact(sink, places, facts, because));
        }
        self.users.insert(name.into(), users);
    }

    fn on_deadline(&mut self, now: Instant) {
        for name in self.names_of(|pool| pool.due.is_some_and(|due| due <= now)) {
            self.with(now, &name, |pool, sink, _| pool.on_deadline(sink));
        }
    }

    fn on_instance(&mut self, now: Instant, instance: Arc<str>, active: bool) {
        for name in self.names_of(|pool| pool.is_scoped_to(&instance)) {
            self.with(now, &name, |pool, sink, _| pool.on_instance(sink, active));
        }
        self.active.insert(instance, active);
    }

    /// Removes, changes and adds pools; what did not change is not touched.
    fn on_reconfigure(&mut self, now: Instant, configs: &[PoolConfig]) {
        let wanted: BTreeMap<&str, &PoolConfig> =
            configs.iter().map(|config| (&*config.name, config)).collect();
        for name in self.names_of(|pool| !wanted.contains_key(&*pool.config.name)) {
            self.pools.remove(&name);
            self.outputs.push(PoolOutput::Removed(Arc::clone(&name)));
            self.outputs.push(PoolOutput::FactRemoved(group::fact_name(&name)));
        }
        for config in wanted.into_values() {
            let is_same = |pool: &Pool| *pool.config == *config;
            if !self.pools.get(&config.name).is_some_and(is_same) {
                self.take_over(now, Arc::new(config.clone()));
            }
        }
        self.inherited.clear();
        self.connect();
    }

    fn take_over(&mut self, now: Instant, config: Arc<PoolConfig>) {
        let is_enabled = match &config.scope {
            PoolScope::Always => true,
            PoolScope::WhenActive(instance) => self.active.get(instance).copied().unwrap_or(false),
        };
        let name = Arc::clone(&config.name);
        if self.pools.contains_key(&name) {
            return self
                .with(now, &name, |pool, sink, facts| pool.reconfigure(sink, config, facts, is_enabled));
        }
        let mut fresh = Pool::new(config, &self.facts, is_enabled, now);
        let drained = self.inherited.iter().filter(|one| one.pool == name);
        drained.for_each(|one| fresh.inherit(one));
        self.pools.insert(Arc::clone(&name), fresh);
        self.with(now, &name, |pool, sink, _| pool.refresh(sink, &Because::of(Cause::ConfigReload)));
    }

    fn connect(&mut self) {
        self.users.clear();
        for (name, pool) in &self.pools {
            for (place, server) in pool.servers.iter().enumerate() {
                for fact in server.config.checks.iter().chain(&server.config.weight_from) {
                    let places =
                        self.users.entry(Arc::clone(fact)).or_default().entry(Arc::clone(name)).or_default();
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
        }
    }

    fn operate(
        &mut self,
        now: Instant,
        pool: &str,
        server: &str,
        act: impl FnOnce(&mut Pool, &mut Sink<'_>, usize) -> Result<(), PoolRefusal>,
    ) {
        let mut answer = Err(PoolRefusal::UnknownPool);
        self.with(now, pool, |pool, sink, _| {
            answer = pool.place(server).and_then(|place| act(pool, sink, place));
        });
        self.outputs.push(PoolOutput::Answer(answer));
    }

    fn with(&mut self, now: Instant, pool: &str, react: impl FnOnce(&mut Pool, &mut Sink<'_>, &Facts)) {
        let Some(pool) = self.pools.get_mut(pool) else { return };
        let (outputs, generation) = (&mut self.outputs, &mut self.generation);
        react(pool, &mut Sink { now, outputs, generation }, &self.facts);
        pool.set_due(now);
    }

    fn names_of(&self, is_meant: impl Fn(&Pool) -> bool) -> Vec<Arc<str>> {
        self.pools.iter().filter(|(_, pool)| is_meant(pool)).map(|(name, _)| Arc::clone(name)).collect()
    }
}

fn by(cause: Cause, actor: &Arc<crate::Actor>) -> Because {
    Because { cause, actor: Some(Arc::clone(actor)), fact: None }
}
