//! What operators do to servers.

use alloc::sync::Arc;

use super::tell::count;
use super::{Because, Pool, Quorum, Sink};
use crate::event::PoolEvent;
use crate::order::StandingOrder;
use crate::pool::status::DrainedServer;
use crate::pool::wire::PoolRefusal;
use crate::track::Verdict;

impl Pool {
    /// The place of a server.
    pub(in crate::pool) fn place(&self, server: &str) -> Result<usize, PoolRefusal> {
        let place = self.servers.iter().position(|found| *found.config.name == *server);
        place.ok_or(PoolRefusal::UnknownServer)
    }

    /// Whether a server may be drained: enough good ones must be left, and the pool must not fail by it.
    pub(in crate::pool) fn may_drain(&self, place: usize) -> Result<(), PoolRefusal> {
        let Some(server) = self.servers.get(place).filter(|server| !server.is_drained()) else {
            return Ok(());
        };
        let is_used = server.is_good() || self.kept > 0;
        let left =
            self.servers.iter().filter(|server| server.is_good()).count() - usize::from(server.is_good());
        if is_used && left < self.floor() {
            return Err(PoolRefusal::BelowFloor { left: count(left), floor: count(self.floor()) });
        }
        let own = if server.health == Verdict::Failing { 0 } else { server.weight };
        let weight = self.weights.passing.saturating_add(self.weights.unknown).saturating_sub(own);
        let quorum = Quorum::new(&self.config, self.weights.total).keep;
        if self.verdict != Verdict::Failing && weight < quorum {
            return Err(PoolRefusal::BelowQuorum { weight, quorum });
        }
        Ok(())
    }

    /// A drain of an earlier process, before the pool says anything.
    pub(in crate::pool) fn inherit(&mut self, drained: &DrainedServer) {
        if let Ok(server) = self
            .place(&drained.server)
            .and_then(|place| self.servers.get_mut(place).ok_or(PoolRefusal::UnknownServer))
        {
            server.drain = Some(drained.drain.clone());
        }
    }

    /// Takes a server out: no new sessions.
    pub(in crate::pool) fn drain(
        &mut self,
        sink: &mut Sink<'_>,
        place: usize,
        drain: StandingOrder,
        because: &Because,
    ) {
        let (reason, lasts) = (Arc::clone(&drain.reason), drain.expires.map(|at| at.since(sink.now)));
        let Some(server) = self.servers.get_mut(place) else { return };
        server.drain = Some(drain);
        self.tell_of(sink, place, PoolEvent::ServerDrained { reason, lasts }, because);
        self.refresh(sink, because);
    }

    /// Lets a server be used again.
    pub(in crate::pool) fn undrain(&mut self, sink: &mut Sink<'_>, place: usize, because: &Because) {
        if self.servers.get(place).is_some_and(super::Server::is_drained) {
            self.end_drain(sink, place, because);
            self.refresh(sink, because);
        }
    }

    /// A server that passes comes back slowly, like one that recovered.
    pub(super) fn end_drain(&mut self, sink: &mut Sink<'_>, place: usize, because: &Because) {
        let slow_start = self.config.slow_start;
        let Some(server) = self.servers.get_mut(place) else { return };
        server.drain = None;
        server.grows_since = slow_start.map(|_| sink.now).filter(|_| server.health == Verdict::Passing);
        self.tell_of(sink, place, PoolEvent::ServerUndrained, because);
    }
}
