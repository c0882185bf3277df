//! What goes into and comes out of [`super::Pools`]: plain data.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::config::PoolConfig;
use super::status::DrainedServer;
use crate::event::{Actor, Event};
use crate::track::Fact;
use crate::units::Instant;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum PoolInput<'a> {
    /// All pools. Servers that are still there keep what is known of them, and their drains.
    Reconfigure(&'a [PoolConfig]),
    /// What an earlier process of the agent left drained, before the first configuration. None of it is news.
    Inherit(Vec<DrainedServer>),
    /// The fact of a server's check; others are ignored.
    Fact(Fact),
    /// A check exists no longer: it is Unknown.
    FactRemoved(Arc<str>),
    /// The instant of [`super::Pools::next_deadline`] has come.
    Deadline,
    /// An operator takes a server out; answered by [`PoolOutput::Answer`]. A second drain replaces the first.
    Drain {
        /// Of which pool.
        pool: Arc<str>,
        /// Which.
        server: Arc<str>,
        /// Free text for colleagues.
        reason: Arc<str>,
        /// Who wants it.
        actor: Arc<Actor>,
        /// When it ends by itself; `None` = when undrained.
        expires: Option<Instant>,
        /// Whether it is to survive a restart of the agent, which sees to that.
        survives: bool,
        /// Although too few servers would be left.
        allow_below_floor: bool,
        /// Check and answer, change nothing.
        dry_run: bool,
    },
    /// An operator lets a server be used again; answered by [`PoolOutput::Answer`], also when it was not drained.
    Undrain {
        /// Of which pool.
        pool: Arc<str>,
        /// Which.
        server: Arc<str>,
        /// Who wants it.
        actor: Arc<Actor>,
        /// Check and answer, change nothing.
        dry_run: bool,
    },
    /// Whether an instance is Active, for [`super::PoolScope::WhenActive`]; told at start and whenever it changes.
    InstanceState {
        /// Which.
        instance: Arc<str>,
        /// Whether it is.
        active: bool,
    },
    /// What became of a [`Desired`], and what the balancer runs now.
    Balanced(Balanced),
}

/// What became of a [`Desired`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Balanced {
    /// Of which pool.
    pub pool: Arc<str>,
    /// Of which set; maybe one that was replaced meanwhile.
    pub generation: u64,
    /// When it was known.
    pub at: Instant,
    /// `Err`: it was not taken over, in the balancer's words, with what to do.
    pub result: Result<(), Arc<str>>,
    /// What was read back; `None` = it could not be.
    pub running: Option<Vec<RunningServer>>,
}

/// A server as the balancer runs it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunningServer {
    /// Where it is.
    pub address: IpAddr,
    /// Where it is.
    pub port: u16,
    /// 0 = no new sessions.
    pub weight: u32,
}

/// One effect to carry out.
#[derive(Debug)]
pub enum PoolOutput {
    /// Let the balancer use exactly these servers.
    Desired(Desired),
    /// The balancer has nothing to do for that pool any more: it is not configured.
    Removed(Arc<str>),
    /// The pool's verdict or its passing weight changed.
    Fact(Fact),
    /// The pool of that fact exists no longer.
    FactRemoved(Arc<str>),
    /// Something to record.
    Event(Box<Event>),
    /// The answer to the operator's command that was the input.
    Answer(Result<(), PoolRefusal>),
}

/// The whole set of servers that a pool's balancer is to use from now on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Desired {
    /// Of which pool.
    pub pool: Arc<str>,
    /// Grows with each set, over all pools; a newer one replaces an older one.
    pub generation: u64,
    /// Whether the pool is used on this node at all; if not, `servers` is empty, and the balancer should have nothing of
    /// it, or keep what it has where it cannot be without.
    pub enabled: bool,
    /// In the order of the configuration.
    pub servers: Arc<[DesiredServer]>,
}

/// A server as the balancer is to use it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DesiredServer {
    /// The configured name; `sorry` for the sorry server.
    pub name: Arc<str>,
    /// Where it is.
    pub address: IpAddr,
    /// Where it is.
    pub port: u16,
    /// Its share relative to the others. 0 = drained: no new sessions, those that exist end by themselves.
    pub weight: u32,
}

/// Why an operator's command was not carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PoolRefusal {
    /// There is no such pool.
    UnknownPool,
    /// The pool has no such server.
    UnknownServer,
    /// Too few servers would be left in.
    BelowFloor {
        /// Servers that would be left and are not failing.
        left: u32,
        /// The fewest that must be.
        floor: u32,
    },
    /// Too little weight would be left, and the pool would fail.
    BelowQuorum {
        /// Weight that would be left.
        weight: u32,
        /// The least that must be.
        quorum: u32,
    },
}

/// The effects of one input. Borrows the pools, so that the next input cannot overtake them.
#[must_use = "undone effects are lost"]
#[derive(Debug)]
pub struct PoolOutputs<'a>(pub(super) vec::Drain<'a, PoolOutput>);

impl Iterator for PoolOutputs<'_> {
    type Item = PoolOutput;

    fn next(&mut self) -> Option<PoolOutput> {
        self.0.next()
    }
}
