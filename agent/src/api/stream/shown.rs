//! How everything stands, as the first part of a stream: each resource is converted when its turn comes, and a stream that waits for
//! its client remembers no more than which was the last.

use std::sync::Arc;

use ha_engine::InstanceStatus;
use ha_proto::v1;
use ha_proto::v1::snapshot_entry::Resource;
use tonic::Status;

use super::super::convert::Context;
use super::super::filter::Filter;
use super::super::shared::Shared;
use super::super::{node, vip};
use super::whole::{Lent, Whole, Wholes};

/// How far the client has been shown everything.
pub(super) struct Shown {
    lent: Lent,
    sequence: u64,
    last: Last,
}

/// The last resource that was shown, in the order in which all are.
#[derive(Clone, Default)]
struct Last {
    part: Part,
    name: Arc<str>,
    /// Of a router: 0 = itself, otherwise its address of that number.
    address: usize,
}

/// Resources of a kind; addresses follow their router.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Part {
    #[default]
    Nothing,
    Node,
    Routers,
    Checks,
    Pools,
}

impl Last {
    fn new(part: Part, name: &Arc<str>, address: usize) -> Self {
        Self { part, name: Arc::clone(name), address }
    }

    /// After which name a part goes on; `None` = it was shown whole.
    fn in_part(&self, part: Part) -> Option<&str> {
        (self.part <= part).then_some(if self.part == part { &*self.name } else { "" })
    }

    /// What of a part, which is sorted by name, comes after it.
    fn rest<'a, T>(&self, part: Part, all: &'a [T], name: impl Fn(&T) -> &str) -> &'a [T] {
        self.in_part(part).map_or(&[], |last| &all[all.partition_point(|one| name(one) <= last)..])
    }
}

/// A resource that is wanted, and how it is made.
type Next<'a> = (Last, Box<dyn Fn() -> Resource + 'a>);

impl Shown {
    /// Everything with the effect of every event up to `sequence`, which must have been reached.
    pub(super) async fn ask(shared: &Shared, sequence: u64) -> Result<Self, Status> {
        let (lent, whole) = Wholes::lend(shared, sequence).await?;
        Ok(Self { lent, sequence: whole.sequence(), last: Last::default() })
    }

    /// The effect of every event up to here is in it.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The next resource that the filter wants; `None` when everything was shown.
    pub(super) async fn next(
        &mut self,
        shared: &Shared,
        filter: &Filter,
    ) -> Result<Option<v1::SnapshotEntry>, Status> {
        let whole = match self.lent.get() {
            Some(whole) => whole,
            None => {
                let (lent, whole) = Wholes::lend(shared, self.sequence).await?;
                self.lent = lent;
                whole
            }
        };
        let all = All { whole: &whole, shared, filter, context: shared.context(&whole.instances) };
        let Some((last, make)) = all.after(&self.last) else { return Ok(None) };
        let resource = make();
        drop(make);
        self.last = last;
        Ok(Some(v1::SnapshotEntry { resource: Some(resource) }))
    }
}

/// All resources that are wanted, in order.
struct All<'a> {
    whole: &'a Whole,
    shared: &'a Shared,
    filter: &'a Filter,
    context: Context<'a>,
}

impl All<'_> {
    fn after<'a>(&'a self, last: &'a Last) -> Option<Next<'a>> {
        let node = self.node(last).into_iter();
        node.chain(self.routers(last)).chain(self.checks(last)).chain(self.pools(last)).next()
    }

    fn wants(&self, name: &str) -> bool {
        self.filter.matches_subject(name)
    }

    fn node(&self, last: &Last) -> Option<Next<'_>> {
        let is_next = last.part < Part::Node && self.wants(&self.shared.names.node());
        let make = || Resource::Node(node::node(self.shared, &self.whole.instances));
        is_next.then(|| (Last::new(Part::Node, &Arc::default(), 0), Box::new(make) as _))
    }

    fn routers<'a>(&'a self, last: &'a Last) -> impl Iterator<Item = Next<'a>> {
        let all = &self.whole.instances.snapshot.instances;
        let rest = last.in_part(Part::Routers).map_or(&[][..], |name| {
            // With the router that was shown last: its addresses may be left.
            &all[all.partition_point(|status| &*status.config.name < name)..]
        });
        let each =
            rest.iter().flat_map(|status| (0..=status.config.addresses.len()).map(move |at| (status, at)));
        let each = each.skip_while(|(status, at)| {
            last.part == Part::Routers && (&*status.config.name, *at) <= (&*last.name, last.address)
        });
        each.filter_map(|(status, at)| self.router(status, at))
    }

    fn router<'a>(&'a self, status: &'a InstanceStatus, at: usize) -> Option<Next<'a>> {
        let (names, config) = (&self.shared.names, &status.config);
        let last = Last::new(Part::Routers, &config.name, at);
        let Some(address) = at.checked_sub(1).and_then(|at| config.addresses.get(at)) else {
            let make = || Resource::Instance(self.context.instance(status));
            return self.wants(&names.instance(&config.name)).then(|| (last, Box::new(make) as _));
        };
        let make = || Resource::Vip(vip::vip(self.shared, &self.whole.instances, status, address));
        self.wants(&names.vip(address.address)).then(|| (last, Box::new(make) as _))
    }

    fn checks<'a>(&'a self, last: &'a Last) -> impl Iterator<Item = Next<'a>> {
        let rest =
            last.rest(Part::Checks, &self.whole.checks.snapshot.checks, |view| &view.status.policy.name);
        rest.iter().filter_map(|view| {
            let name = &view.status.policy.name;
            let make = || Resource::Check(self.context.check(view, &self.whole.dependents));
            let is_wanted = self.wants(&self.shared.names.of_this(name));
            is_wanted.then(|| (Last::new(Part::Checks, name, 0), Box::new(make) as _))
        })
    }

    fn pools<'a>(&'a self, last: &'a Last) -> impl Iterator<Item = Next<'a>> {
        let rest = last.rest(Part::Pools, &self.whole.pools.snapshot.pools, |view| &view.status.config.name);
        rest.iter().filter_map(|view| {
            let name = &view.status.config.name;
            let make = || Resource::Pool(self.context.pool(view, &self.whole.dependents));
            let is_wanted = self.wants(&self.shared.names.of_this(&format!("pools/{name}")));
            is_wanted.then(|| (Last::new(Part::Pools, name, 0), Box::new(make) as _))
        })
    }
}
