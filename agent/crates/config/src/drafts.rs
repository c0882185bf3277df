//! Everything of a file that names something else of it: instances, groups, checks. First all is read, then all of it
//! is looked at together, so that the order in the file does not matter.

use std::collections::BTreeSet;

use ha_engine::InstanceConfig;

use crate::files::Files;
use crate::instance::{self, Shared};
use crate::model::Check;
use crate::reader::tables;
use crate::report::Report;
use crate::section::Section;
use crate::settings::Settings;
use crate::{check, group, track};

/// What stands in the file.
pub(crate) struct Drafts {
    instances: Vec<instance::Draft>,
    groups: Vec<group::Draft>,
    checks: Vec<check::Draft>,
}

/// What it means.
#[derive(Default)]
pub(crate) struct Whole {
    pub(crate) instances: Vec<InstanceConfig>,
    pub(crate) checks: Vec<Check>,
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
        Self {
            instances: instances
                .into_iter()
                .map(|section| instance::Draft::read(section, &defaults, files, report))
                .collect(),
            groups: groups.into_iter().map(|section| group::Draft::read(section, report)).collect(),
            checks: checks.into_iter().map(|section| check::Draft::read(section, files, report)).collect(),
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
        let mut plan = check::Plan::new(&self.checks, report);
        let pools = BTreeSet::new();
        let tracks = track::resolve(&self.instances, &self.groups, &pools, &mut plan, report);
        let drafts = self.instances.iter().zip(tracks);
        let instances =
            drafts.filter_map(|(draft, tracks)| draft.build(&settings.realtime, tracks, report)).collect();
        Whole { instances, checks: plan.finish(false, report) }
    }
}
