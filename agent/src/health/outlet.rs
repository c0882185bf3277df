//! Where changes go: events to the journal, verdicts to the `vrrp` thread and to the pools.

use std::sync::Arc;

use ha_engine::{Event, Fact};

use crate::facts::{Facts, News};
use crate::journal::Journal;

/// Takes what the monitor decided.
#[derive(Debug)]
pub struct Outlets {
    /// The history of the node.
    pub journal: Arc<Journal>,
    /// The `vrrp` thread, for checks that an instance may track.
    pub instances: Facts,
    /// The pools, for checks of their servers.
    pub pools: Facts,
}

impl Outlets {
    pub(super) fn event(&self, event: Box<Event>) {
        self.journal.append(event);
    }

    pub(super) fn stands(&mut self, fact: Fact) {
        self.tell(News::Stands(fact));
    }

    pub(super) fn removed(&mut self, name: Arc<str>) {
        self.tell(News::Removed(name));
    }

    /// Whether somebody was too busy to listen.
    pub(super) fn has_kept(&self) -> bool {
        self.instances.has_kept() || self.pools.has_kept()
    }

    /// Tries again what somebody was too busy to hear.
    pub(super) fn offer(&mut self) {
        self.instances.offer();
        self.pools.offer();
    }

    /// No instance can track a check of a server; a server may name any check.
    fn tell(&mut self, news: News) {
        if !news.name().starts_with("pools/") {
            self.instances.tell(news.clone());
        }
        self.pools.tell(news);
    }
}
