//! Everything of a file that names something else of it: instances, groups, checks, pools, notifiers. First all is read, then all of it
//! is looked at together, so that the order in the file does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ha_engine::InstanceConfig;

use crate::files::Files;
use crate::instance::{self, Shared};
use crate::model::{Check, Mail, Notifier, Pool};
use crate::reader::tables;
use crate::report::Report;
use crate::section::{Section, Slot};
use crate::settings::Settings;
use crate::{check, group, notify, pool, track};

/// What stands in the file.
pub(crate) struct Drafts {
    instances: Vec<instance::Draft>,
    groups: Vec<group::Draft>,
    checks: Vec<check::Draft>,
    pools: Vec<pool::Draft>,
    notifiers: Vec<notify::Draft>,
    mail: Slot<Mail>,
}

/// What one part of the file can name in another.
pub(crate) struct Names<'d> {
    pub(crate) instances: BTreeSet<&'d str>,
    pub(crate) groups: BTreeSet<&'d str>,
    pub(crate) pools: BTreeSet<&'d str>,
    /// The virtual addresses of this node, and whose they are.
    pub(crate) virtual_addresses: BTreeMap<IpAddr, &'d str>,
}

/// What it means.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) instances: Vec<InstanceConfig>,
    pub(crate) checks: Vec<Check>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) notifiers: Vec<Notifier>,
    pub(crate) mail: Option<Mail>,
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
        let notifiers = tables(root, report, "notify");
        Self {
            instances: instances
                .into_iter()
                .map(|section| instance::Draft::read(section, &defaults, files, report))
                .collect(),
            groups: groups.into_iter().map(|section| group::Draft::read(section, report)).collect(),
            checks: checks.into_iter().map(|section| check::Draft::read(section, files, report)).collect(),
            pools: pools.into_iter().map(|section| pool::Draft::read(section, report)).collect(),
            notifiers: notifiers
                .into_iter()
                .map(|section| notify::Draft::read(section, files, report))
                .collect(),
            mail: notify::mail::read(root, files, report),
        }
    }

    /// Looks at all of it together; reports what does not fit.
    pub(crate) fn build(&self, settings: &Settings, report: &mut Report<'_>) -> Whole {
        if self.is_idle() && report.is_usable() {
            let message = "there is no [[instance]], so no virtual address is held";
            report.warning(&(0..0), message, "add one with name, interface, virtual_router_id and addresses");
        }
        let names = self.names();
        instance::across::check(&self.instances, report);
        group::check(&self.groups, &self.instances, report);
        let mut plan = check::Plan::new(&self.checks, report);
        let tracks = track::resolve(&self.instances, &self.groups, &names, &mut plan, report);
        let pools = pool::build(&self.pools, &names, &mut plan, report);
        let notifiers = notify::build(&self.notifiers, &names, &self.mail, &mut plan, report);
        let drafts = self.instances.iter().zip(tracks);
        let instances =
            drafts.filter_map(|(draft, tracks)| draft.build(&settings.realtime, tracks, report)).collect();
        let all_are_told = self.notifiers.iter().any(notify::Draft::is_told_of_all_checks);
        let checks = plan.finish(all_are_told, &names.virtual_addresses, report);
        Whole { instances, checks, pools, notifiers, mail: self.mail.value().cloned() }
    }

    /// Whether there is nothing to do.
    fn is_idle(&self) -> bool {
        self.instances.is_empty() && self.pools.is_empty() && self.checks.is_empty()
    }

    fn names(&self) -> Names<'_> {
        let instances = self.instances.iter();
        let of_instances = instances.clone().filter_map(|draft| draft.shared.group.value());
        let mut virtual_addresses = BTreeMap::new();
        for instance in instances.clone() {
            let addresses = instance.addresses.value().into_iter().flatten();
            virtual_addresses
                .extend(addresses.map(|(address, _)| (address.address, instance.title.as_str())));
        }
        Names {
            instances: instances.filter_map(|draft| draft.name.value()).map(String::as_str).collect(),
            groups: self
                .groups
                .iter()
                .filter_map(|draft| draft.name.value())
                .chain(of_instances)
                .map(String::as_str)
                .collect(),
            pools: self.pools.iter().filter_map(|draft| draft.name.value()).map(String::as_str).collect(),
            virtual_addresses,
        }
    }
}
