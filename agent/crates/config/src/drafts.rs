//! Everything of a file that names something else of it: instances, groups, checks, pools. First all is read, then all of it
//! is looked at together, so that the order in the file does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ha_engine::InstanceConfig;

use crate::files::Files;
use crate::instance::{self, Shared};
use crate::model::{Check, Pool};
use crate::reader::tables;
use crate::report::Report;
use crate::section::Section;
use crate::settings::Settings;
use crate::{check, group, pool, track};

/// What stands in the file.
pub(crate) struct Drafts {
    instances: Vec<instance::Draft>,
    groups: Vec<group::Draft>,
    checks: Vec<check::Draft>,
    pools: Vec<pool::Draft>,
}

/// What it means.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) instances: Vec<InstanceConfig>,
    pub(crate) checks: Vec<Check>,
    pub(crate) pools: Vec<Pool>,
}

impl Drafts {
    /// Reads the tables; reports what is wrong with each by itself.
    pub(crate) fn read(root: &Section<'_>, files: &mut Files<'_>, report: &mut Report<'_>) -> Self {
        let defaults = root
            .table(report, "defaults", "[defaults]")
            .map(|section| Shared::read_defaults(&section, files, report))
            .unwrap_or_else(Shared::nothing);
        let instances = tables(root, report, "instance");
        let groups = tables(root, report, "group");
        let checks = tables(root, report, "check");
        let pools = tables(root, report, "pool");
        Self {
            instances: instances
                .into_iter()
                .map(|section| instance::Draft::read(section, &defaults, files, report))
                .collect(),
            groups: groups.into_iter().map(|section| group::Draft::read(section, report)).collect(),
            checks: checks.into_iter().map(|section| check::Draft::read(section, files, report)).collect(),
            pools: pools.into_iter().map(|section| pool::Draft::read(section, report)).collect(),
        }
    }

    /// Looks at all of it together; reports what does not fit.
    pub(crate) fn build(&self, settings: &Settings, report: &mut Report<'_>) -> Whole {
        if self.instances.is_empty() && report.is_usable() {
            let message = "there is no [[instance]], so no virtual address is held";
            report.warning(&(0..0), message, "add one with name, interface, virtual_router_id and addresses");
        }
        instance::across::check(&self.instances, report);
        group::check(&self.groups, &self.instances, report);
        pool::check_files(&self.pools, report);
        let mut plan = check::Plan::new(&self.checks, report);
        let names: BTreeSet<&str> =
            self.pools.iter().filter_map(|pool| Some(pool.name.value()?.as_str())).collect();
        let tracks = track::resolve(&self.instances, &self.groups, &names, &mut plan, report);
        let virtual_addresses = self.virtual_addresses();
        let instances: Vec<&str> =
            self.instances.iter().filter_map(|instance| Some(instance.name.value()?.as_str())).collect();
        let context = pool::Context { instances: &instances, virtual_addresses: &virtual_addresses };
        let pools = pool::build(&self.pools, &context, &mut plan, report);
        let drafts = self.instances.iter().zip(tracks);
        let instances =
            drafts.filter_map(|(draft, tracks)| draft.build(&settings.realtime, tracks, report)).collect();
        Whole { instances, checks: plan.finish(false, &virtual_addresses, report), pools }
    }

    /// The virtual addresses of this node, and whose they are.
    fn virtual_addresses(&self) -> BTreeMap<IpAddr, &str> {
        let mut found = BTreeMap::new();
        for instance in &self.instances {
            let addresses = instance.addresses.value().into_iter().flatten();
            found.extend(addresses.map(|(address, _)| (address.address, instance.title.as_str())));
        }
        found
    }
}
