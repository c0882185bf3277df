//! How everything stands, as the first part of a stream: each resource is converted when its turn comes.

use std::collections::VecDeque;
use std::sync::Arc;

use ha_proto::v1;
use ha_proto::v1::snapshot_entry::Resource;
use tonic::Status;

use super::super::convert::Dependents;
use super::super::filter::Filter;
use super::super::shared::Shared;
use super::super::snapshots::View;
use super::super::{node, vip};
use crate::{health, pools};

/// What is left to show.
pub(super) struct Shown {
    instances: Arc<View>,
    checks: Arc<View<health::Snapshot>>,
    pools: Arc<View<pools::Snapshot>>,
    dependents: Dependents,
    entries: VecDeque<Entry>,
}

/// A resource by its place in its view.
#[derive(Clone, Copy)]
enum Entry {
    Node,
    Instance(usize),
    Vip(usize, usize),
    Check(usize),
    Pool(usize),
}

impl Shown {
    /// Everything that the filter wants, with the effect of every event up to `sequence`, which must have been reached.
    pub(super) async fn ask(shared: &Shared, filter: &Filter, sequence: u64) -> Result<Self, Status> {
        let instances = shared.snapshots.containing(sequence);
        let checks = shared.checks.containing(sequence);
        let pools = shared.pools.containing(sequence);
        let (instances, checks, pools) = tokio::try_join!(instances, checks, pools)?;
        let dependents = Dependents::new(&instances.snapshot.instances, &checks.snapshot);
        let mut this = Self { instances, checks, pools, dependents, entries: VecDeque::new() };
        this.add_instances(shared, filter);
        this.add_checks(shared, filter);
        this.add_pools(shared, filter);
        Ok(this)
    }

    /// The effect of every event up to here is in it.
    pub(super) fn sequence(&self) -> u64 {
        self.instances.sequence.min(self.checks.sequence).min(self.pools.sequence)
    }

    /// The next resource; `None` when everything was shown.
    pub(super) fn next(&mut self, shared: &Shared) -> Option<v1::SnapshotEntry> {
        let resource = self.resource(shared, self.entries.front().copied()?);
        self.entries.pop_front();
        Some(v1::SnapshotEntry { resource: Some(resource) })
    }

    fn add_instances(&mut self, shared: &Shared, filter: &Filter) {
        let (names, wanted) = (&shared.names, |name: &str| filter.matches_subject(name));
        if wanted(&names.node()) {
            self.entries.push_back(Entry::Node);
        }
        for (index, status) in self.instances.snapshot.instances.iter().enumerate() {
            if wanted(&names.instance(&status.config.name)) {
                self.entries.push_back(Entry::Instance(index));
            }
            for (place, address) in status.config.addresses.iter().enumerate() {
                if wanted(&names.vip(address.address)) {
                    self.entries.push_back(Entry::Vip(index, place));
                }
            }
        }
    }

    fn add_checks(&mut self, shared: &Shared, filter: &Filter) {
        let checks = self.checks.snapshot.checks.iter().enumerate();
        let wanted = checks
            .filter(|(_, view)| filter.matches_subject(&shared.names.of_this(&view.status.policy.name)));
        self.entries.extend(wanted.map(|(index, _)| Entry::Check(index)));
    }

    fn add_pools(&mut self, shared: &Shared, filter: &Filter) {
        let name =
            |view: &pools::PoolView| shared.names.of_this(&format!("pools/{}", view.status.config.name));
        let pools = self.pools.snapshot.pools.iter().enumerate();
        let wanted = pools.filter(|(_, view)| filter.matches_subject(&name(view)));
        self.entries.extend(wanted.map(|(index, _)| Entry::Pool(index)));
    }

    fn resource(&self, shared: &Shared, entry: Entry) -> Resource {
        let context = shared.context(&self.instances);
        let instances = &self.instances.snapshot.instances;
        match entry {
            Entry::Node => Resource::Node(node::node(shared, &self.instances)),
            Entry::Instance(index) => Resource::Instance(context.instance(&instances[index])),
            Entry::Vip(index, place) => {
                let status = &instances[index];
                Resource::Vip(vip::vip(shared, &self.instances, status, &status.config.addresses[place]))
            }
            Entry::Check(index) => {
                Resource::Check(context.check(&self.checks.snapshot.checks[index], &self.dependents))
            }
            Entry::Pool(index) => {
                Resource::Pool(context.pool(&self.pools.snapshot.pools[index], &self.dependents))
            }
        }
    }
}
