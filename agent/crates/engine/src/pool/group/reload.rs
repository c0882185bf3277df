//! What a new configuration does to a pool that is already there.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Because, Pool, Sink};
use crate::event::Cause;
use crate::pool::config::PoolConfig;
use crate::pool::server::{Facts, Server};

impl Pool {
    /// Takes over a configuration that differs. Servers of the same name keep what is known of them, and their drains.
    pub(in crate::pool) fn reconfigure(
        &mut self,
        sink: &mut Sink<'_>,
        config: Arc<PoolConfig>,
        facts: &Facts,
        is_enabled: bool,
    ) {
        let before = core::mem::take(&mut self.servers);
        let mut known: BTreeMap<Arc<str>, Server> =
            before.into_iter().map(|server| (Arc::clone(&server.config.name), server)).collect();
        let servers: Vec<Server> = config
            .servers
            .iter()
            .map(|wanted| match known.remove(&wanted.name) {
                Some(mut server) => {
                    server.config = wanted.clone();
                    server.judge(facts, sink.now, config.slow_start);
                    server
                }
                None => Server::new(wanted.clone(), facts, sink.now),
            })
            .collect();
        self.servers = servers;
        self.config = config;
        self.is_enabled = is_enabled;
        self.refresh(sink, &Because::of(Cause::ConfigReload));
    }
}
