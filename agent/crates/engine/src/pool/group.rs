//! One pool: which of its servers are in, whether it has its quorum, what its balancer is to use.

mod balance;
mod operate;
mod reload;
mod show;
mod tell;

pub use tell::MASS_FAILURE_WINDOW;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::config::{PoolConfig, PoolScope};
use super::quorum::{Quorum, Weights};
use super::server::{Facts, SLOW_START_STEPS, Server};
use super::status::{BalancerStatus, ServerState};
use super::wire::{Desired, DesiredServer, PoolOutput, RunningServer};
use crate::event::{Actor, Cause, PoolEvent, Standing};
use crate::track::{Fact, Verdict};
use crate::units::Instant;

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) config: Arc<PoolConfig>,
    fact: Arc<str>,
    pub(super) servers: Vec<Server>,
    verdict: Verdict,
    since: Instant,
    weights: Weights,
    /// Servers that fail and are kept in.
    kept: usize,
    sorry_in: bool,
    /// Whether its instance is Active, if it is used only there.
    is_enabled: bool,
    /// The first set waits until then for servers that are not known yet.
    patience_ends: Option<Instant>,
    /// An event about a mass failure was told, and half of the servers have failed ever since.
    is_mass_told: bool,
    /// The set in force, when it was made, and why.
    desired: Option<Desired>,
    wanted: (Instant, Cause),
    told: Option<(Verdict, Option<i32>)>,
    balancer: BalancerStatus,
    running: Vec<RunningServer>,
    /// When it must be called at the latest.
    pub(super) due: Option<Instant>,
}

/// What a pool may do to the world.
pub(super) struct Sink<'a> {
    pub(super) now: Instant,
    pub(super) outputs: &'a mut Vec<PoolOutput>,
    /// Of the last set, of all pools.
    pub(super) generation: &'a mut u64,
}

/// Why a pool changes.
#[derive(Clone)]
pub(super) struct Because {
    pub(super) cause: Cause,
    pub(super) actor: Option<Arc<Actor>>,
    /// The fact that changed, and what it said.
    pub(super) fact: Option<(Arc<str>, Arc<str>)>,
}

impl Because {
    pub(super) const fn of(cause: Cause) -> Self {
        Self { cause, actor: None, fact: None }
    }

    pub(super) fn fact(fact: &Fact) -> Self {
        let fact = Some((Arc::clone(&fact.name), Arc::clone(&fact.detail)));
        Self { cause: Cause::CheckChanged, actor: None, fact }
    }
}

impl Pool {
    pub(super) fn new(config: Arc<PoolConfig>, facts: &Facts, is_enabled: bool, now: Instant) -> Self {
        let servers = config.servers.iter().map(|server| Server::new(server.clone(), facts, now)).collect();
        Self {
            fact: fact_name(&config.name),
            config,
            servers,
            verdict: Verdict::Unknown,
            since: now,
            weights: Weights::default(),
            kept: 0,
            sorry_in: false,
            is_enabled,
            patience_ends: Some(now.after(PATIENCE)),
            is_mass_told: false,
            desired: None,
            wanted: (now, Cause::AgentStart),
            told: None,
            balancer: BalancerStatus::default(),
            running: Vec::new(),
            due: None,
        }
    }

    /// A fact changed that some of the servers go by.
    pub(super) fn on_fact(
        &mut self,
        sink: &mut Sink<'_>,
        places: &[usize],
        facts: &Facts,
        because: &Because,
    ) {
        for place in places {
            if let Some(server) = self.servers.get_mut(*place) {
                server.judge(facts, sink.now, self.config.slow_start);
            }
        }
        self.refresh(sink, because);
    }

    /// The instance of its scope became Active, or is no longer.
    pub(super) fn on_instance(&mut self, sink: &mut Sink<'_>, is_active: bool) {
        if core::mem::replace(&mut self.is_enabled, is_active) != is_active {
            self.want(sink, Cause::InstanceChanged);
        }
    }

    /// Whether it is used only where this instance is Active.
    pub(super) fn is_scoped_to(&self, instance: &str) -> bool {
        matches!(&self.config.scope, PoolScope::WhenActive(name) if **name == *instance)
    }

    /// Works out when it must be called at the latest.
    pub(super) fn set_due(&mut self, now: Instant) {
        let of_servers =
            self.servers.iter().filter_map(|server| server.deadline(now, self.config.slow_start));
        self.due = of_servers.chain(self.patience_ends).filter(|at| *at < Instant::END).min();
    }

    /// Reacts to what is due.
    pub(super) fn on_deadline(&mut self, sink: &mut Sink<'_>) {
        let now = sink.now;
        self.patience_ends = self.patience_ends.filter(|until| *until > now);
        let is_over = |server: &Server| server.drain.as_ref().is_some_and(|drain| !drain.lasts(now));
        let over: Vec<usize> =
            self.servers.iter().enumerate().filter(|(_, s)| is_over(s)).map(|(place, _)| place).collect();
        for place in over {
            self.end_drain(sink, place, &Because::of(Cause::OverrideExpired));
        }
        self.refresh(sink, &Because::of(Cause::CheckChanged));
    }

    /// Works out everything anew from what its servers are, and tells what changed.
    pub(super) fn refresh(&mut self, sink: &mut Sink<'_>, because: &Because) {
        self.tell_mass_failure(sink, because);
        self.weights = self.weigh();
        let quorum = Quorum::new(&self.config, self.weights.total);
        let verdict = quorum.verdict(self.verdict, self.weights);
        let before = core::mem::replace(&mut self.verdict, verdict);
        let kept = self.keep();
        let states: Vec<ServerState> = self
            .servers
            .iter()
            .zip(&kept)
            .map(|(server, is_kept)| self.state_of(server, *is_kept, sink.now))
            .collect();
        let kept_before = core::mem::replace(&mut self.kept, kept.iter().filter(|is_kept| **is_kept).count());
        let sorry_in = verdict == Verdict::Failing && self.may_be_sorry();
        let sorry_before = core::mem::replace(&mut self.sorry_in, sorry_in);
        self.move_servers(sink, states, because);
        self.tell_floor(sink, kept_before, because);
        if before != verdict {
            self.since = sink.now;
            let (weight, quorum) = (self.weights.passing, quorum.wanted);
            self.tell(sink, PoolEvent::Changed { from: before, to: verdict, weight, quorum }, because);
        }
        if sorry_before != sorry_in {
            self.tell(sink, if sorry_in { PoolEvent::SorryIn } else { PoolEvent::SorryOut }, because);
        }
        self.want(sink, because.cause);
        self.tell_fact(sink, because);
    }

    fn weigh(&self) -> Weights {
        let mut weights = Weights::default();
        for server in &self.servers {
            weights.total = weights.total.saturating_add(server.config.weight.max(1));
            let sum = match server.health {
                _ if server.is_drained() => continue,
                Verdict::Passing => &mut weights.passing,
                Verdict::Unknown => &mut weights.unknown,
                Verdict::Failing => continue,
            };
            *sum = sum.saturating_add(server.weight);
        }
        weights
    }

    /// Which failing servers stay in because of the floor: those held back by damping first, since they pass; then those
    /// that worked most recently; of several that failed at once those that are in; then in the order of the configuration.
    fn keep(&self) -> Vec<bool> {
        let usable = self.servers.iter().filter(|server| !server.is_drained()).count();
        let good = self.servers.iter().filter(|server| server.is_good()).count();
        let wanted = self.floor().min(usable).saturating_sub(good);
        let mut kept: Vec<bool> = self.servers.iter().map(|_| false).collect();
        if wanted == 0 {
            return kept;
        }
        let mut candidates: Vec<_> = self
            .servers
            .iter()
            .enumerate()
            .filter(|(_, server)| !server.is_drained() && server.health == Verdict::Failing)
            .map(|(place, server)| {
                let is_out = server.state == ServerState::Down;
                (Reverse(server.is_damped), Reverse(server.failed), is_out, place)
            })
            .collect();
        candidates.sort_unstable();
        for (.., place) in candidates.into_iter().take(wanted) {
            if let Some(is_kept) = kept.get_mut(place) {
                *is_kept = true;
            }
        }
        kept
    }

    fn floor(&self) -> usize {
        self.config.floor.of(self.servers.len())
    }

    /// A floor and a sorry server exclude each other: what must stay in is not replaced.
    fn may_be_sorry(&self) -> bool {
        self.config.sorry.is_some() && self.floor() == 0
    }

    fn state_of(&self, server: &Server, is_kept: bool, now: Instant) -> ServerState {
        match server.health {
            _ if server.is_drained() => ServerState::Draining,
            Verdict::Failing if is_kept => ServerState::Kept,
            Verdict::Failing => ServerState::Down,
            Verdict::Unknown => ServerState::Unknown,
            Verdict::Passing if server.steps(now, self.config.slow_start) < SLOW_START_STEPS => {
                ServerState::SlowStart
            }
            Verdict::Passing => ServerState::Up,
        }
    }

    fn move_servers(&mut self, sink: &mut Sink<'_>, states: Vec<ServerState>, because: &Because) {
        let is_in = |state: &ServerState| !matches!(state, ServerState::Down | ServerState::Draining);
        let used = u32::try_from(states.iter().filter(|state| is_in(state)).count()).unwrap_or(u32::MAX);
        let standing = Standing { used, total: u32::try_from(self.servers.len()).unwrap_or(u32::MAX) };
        for (place, to) in states.into_iter().enumerate() {
            let Some(server) = self.servers.get_mut(place) else { return };
            let from = core::mem::replace(&mut server.state, to);
            if to != ServerState::SlowStart && server.health != Verdict::Failing {
                server.grows_since = None;
            }
            if from == to {
                continue;
            }
            server.since = sink.now;
            let was_out = matches!(from, ServerState::Down | ServerState::Kept);
            match to {
                ServerState::Down => self.tell_of(sink, place, PoolEvent::ServerLeft(standing), because),
                ServerState::Kept => self.tell_of(sink, place, PoolEvent::ServerKept(standing), because),
                ServerState::Up | ServerState::SlowStart | ServerState::Unknown if was_out => {
                    self.tell_of(sink, place, PoolEvent::ServerReturned(standing), because);
                }
                _ => {}
            }
        }
    }

    /// Makes the set that the balancer is to use, and tells it if it is another.
    fn want(&mut self, sink: &mut Sink<'_>, cause: Cause) {
        let servers = self.set(sink.now);
        let is_known = self.servers.iter().all(|server| server.state != ServerState::Unknown);
        if self.desired.is_none() && !is_known && self.patience_ends.is_some() {
            return;
        }
        self.patience_ends = None;
        let is_same = |desired: &Desired| desired.enabled == self.is_enabled && *desired.servers == *servers;
        if self.desired.as_ref().is_some_and(is_same) {
            return;
        }
        *sink.generation += 1;
        let (pool, enabled) = (Arc::clone(&self.config.name), self.is_enabled);
        let desired = Desired { pool, generation: *sink.generation, enabled, servers: servers.into() };
        self.wanted = (sink.now, cause);
        self.desired = Some(desired.clone());
        sink.outputs.push(PoolOutput::Desired(desired));
    }

    /// The servers of the set, with the weights that they get.
    fn set(&mut self, now: Instant) -> Vec<DesiredServer> {
        let (is_open, slow_start) = (self.is_enabled && !self.sorry_in, self.config.slow_start);
        let mut set = Vec::new();
        for server in &mut self.servers {
            // With a slow start a whole weight is as many parts, so that a weight of 1 can grow, too.
            let parts = if slow_start.is_some() { server.steps(now, slow_start) } else { 1 };
            server.desired_weight = match server.state {
                ServerState::Down | ServerState::Draining => 0,
                _ if !is_open => 0,
                _ => server.weight.saturating_mul(parts),
            };
            if is_open && server.state != ServerState::Down {
                let (name, config) = (Arc::clone(&server.config.name), &server.config);
                let weight = server.desired_weight;
                set.push(DesiredServer { name, address: config.address, port: config.port, weight });
            }
        }
        if let Some(sorry) = self.config.sorry.as_ref().filter(|_| self.is_enabled && self.sorry_in) {
            let name = "sorry".into();
            set.push(DesiredServer { name, address: sorry.address, port: sorry.port, weight: 1 });
        }
        set
    }

    fn tell_fact(&mut self, sink: &mut Sink<'_>, because: &Because) {
        let value = i32::try_from(self.weights.passing).unwrap_or(i32::MAX);
        let now = (self.verdict, Some(value));
        if self.told == Some(now) {
            return;
        }
        self.told = Some(now);
        let (name, detail) = (Arc::clone(&self.fact), self.sentence(because));
        let (verdict, value) = now;
        let fact = Fact { name, verdict, value, detail, since: self.since, damped: false };
        sink.outputs.push(PoolOutput::Fact(fact));
    }

    fn record(&self, sink: &mut Sink<'_>, event: crate::event::Event) {
        sink.outputs.push(PoolOutput::Event(Box::new(event)));
    }
}

/// The name of a pool's fact.
pub(super) fn fact_name(pool: &str) -> Arc<str> {
    alloc::format!("pools/{pool}").into()
}

/// How long the first set of a pool waits for servers that are not known yet: longer than most first attempts take, so that
/// a restart does not bring back for a moment what was out.
const PATIENCE: Duration = Duration::from_secs(3);
