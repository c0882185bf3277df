//! Metrics about server pools and what balances them.

use std::sync::{Arc, PoisonError};

use ha_engine::{PoolStatus, ServerState, ServerStatus, Verdict};
use opentelemetry::KeyValue;

use super::super::schema;
use super::{Emit, Facts, Registrar};

pub(super) fn register(registrar: &Registrar<'_>) {
    registrar.up_down_counter(&schema::POOL_STATUS, status);
    registrar.gauge(&schema::POOL_SERVERS, servers);
    registrar.up_down_counter(&schema::POOL_FLOOR, |facts, emit| {
        each(facts, |pool| emit(i64::from(pool.floor_reached), &[name(pool)]));
    });
    registrar.up_down_counter(&schema::POOL_SORRY, |facts, emit| {
        each(facts, |pool| emit(i64::from(pool.sorry_in), &[name(pool)]));
    });
    registrar.counter(&schema::BALANCER_RELOADS, reloads);
}

fn each(facts: &Facts, mut visit: impl FnMut(&PoolStatus)) {
    facts.pools.current_blocking().pools.iter().for_each(|view| visit(&view.status));
}

fn name(pool: &PoolStatus) -> KeyValue {
    KeyValue::new("pool", Arc::clone(&pool.config.name))
}

fn status(facts: &Facts, emit: Emit<'_, i64>) {
    each(facts, |pool| {
        for verdict in [Verdict::Unknown, Verdict::Passing, Verdict::Failing] {
            let word = KeyValue::new("verdict", verdict.as_str());
            emit(i64::from(pool.verdict == verdict), &[name(pool), word]);
        }
    });
}

fn servers(facts: &Facts, emit: Emit<'_, f64>) {
    each(facts, |pool| {
        let count = |is_one: fn(&ServerStatus) -> bool| {
            let found = pool.servers.iter().filter(|server| !server.sorry && is_one(server)).count();
            u32::try_from(found).unwrap_or(u32::MAX)
        };
        let counts = [
            ("total", count(|_| true)),
            ("used", pool.used),
            ("passing", count(|server| matches!(server.state, ServerState::Up | ServerState::SlowStart))),
            ("drained", count(|server| server.drain.is_some())),
            ("floor", pool.floor),
        ];
        for (kind, servers) in counts {
            emit(f64::from(servers), &[KeyValue::new("kind", kind), name(pool)]);
        }
    });
}

/// Of the pools that there are; one without a balancer has none.
fn reloads(facts: &Facts, emit: Emit<'_, u64>) {
    let snapshot = facts.pools.current_blocking();
    let events = facts.events.lock().unwrap_or_else(PoisonError::into_inner);
    for view in &snapshot.pools {
        let (success, failure) = events.balancers.get(&view.status.config.name).copied().unwrap_or_default();
        for (outcome, count) in [("success", success), ("failure", failure)] {
            emit(count, &[KeyValue::new("outcome", outcome), name(&view.status)]);
        }
    }
}
