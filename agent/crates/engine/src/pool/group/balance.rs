//! What the balancer made of a pool's set.

use alloc::sync::Arc;

use super::{Pool, Sink};
use crate::event::{BalancerEvent, Cause, Event, EventKind, Evidence, Subject};
use crate::pool::wire::Balanced;
use crate::units::Instant;

impl Pool {
    /// The balancer says what became of a set, and what it runs. One that changes often may be told of older sets only.
    pub(in crate::pool) fn on_balanced(&mut self, sink: &mut Sink<'_>, balanced: Balanced) {
        let Balanced { generation, at, result, running, .. } = balanced;
        self.balancer.read_back = running.is_some();
        self.running = running.unwrap_or_default();
        if self.desired.as_ref().is_none_or(|desired| desired.generation < generation) {
            return;
        }
        match result {
            Ok(()) => self.on_applied(sink, generation, at),
            Err(error) => self.on_failed(sink, error),
        }
    }

    /// Told as an event when it is the newest set, and was not known to run.
    fn on_applied(&mut self, sink: &mut Sink<'_>, generation: u64, at: Instant) {
        let had_failed = self.balancer.error.take().is_some();
        if self.balancer.generation == Some(generation) && !had_failed {
            return;
        }
        self.balancer.generation = Some(generation);
        self.balancer.applied = Some(at);
        let Some(desired) = self.desired.as_ref().filter(|desired| desired.generation == generation) else {
            return;
        };
        let servers = super::tell::count(desired.servers.iter().filter(|server| server.weight > 0).count());
        let (wanted, cause) = self.wanted;
        self.tell_balancer(
            sink,
            BalancerEvent::Applied { generation, servers, took: at.since(wanted) },
            cause,
        );
    }

    /// The same complaint again is no news.
    fn on_failed(&mut self, sink: &mut Sink<'_>, error: Arc<str>) {
        if self.balancer.error.as_ref() != Some(&error) {
            self.balancer.error = Some(Arc::clone(&error));
            self.tell_balancer(sink, BalancerEvent::Failed { error }, Cause::BalancerFailed);
        }
    }

    fn tell_balancer(&self, sink: &mut Sink<'_>, event: BalancerEvent, cause: Cause) {
        let event = Event {
            at: sink.now,
            subject: Subject::Pool(Arc::clone(&self.config.name)),
            kind: EventKind::Balancer(event),
            cause,
            evidence: Evidence::default(),
            actor: None,
        };
        self.record(sink, event);
    }
}
