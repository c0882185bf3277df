//! What each check of the monitor is run with.

use std::sync::Arc;

use ha_engine::{CheckId, CheckStatus};
use ha_probe::Probe;
use ha_probe::command::Command;

use super::CheckView;
use super::compile::Check;

/// By the monitor's numbers, which are small and used again.
#[derive(Default)]
pub(super) struct Equipment {
    checks: Vec<Option<Item>>,
}

struct Item {
    name: Arc<str>,
    kind: &'static str,
    target: Arc<str>,
    /// `None` = it follows from other checks.
    probe: Option<Arc<Probe>>,
    remedy: Option<Arc<Command>>,
}

impl Equipment {
    /// Takes over another list of checks. Returns the numbers that no longer mean the check that they meant before.
    pub(super) fn replace(
        &mut self,
        checks: &[Check],
        find: impl Fn(&str) -> Option<CheckId>,
    ) -> Vec<CheckId> {
        let before = std::mem::take(&mut self.checks);
        for check in checks {
            let Some(place) = find(&check.policy.name).and_then(|id| usize::try_from(id.0).ok()) else {
                continue;
            };
            if self.checks.len() <= place {
                self.checks.resize_with(place + 1, || None);
            }
            self.checks[place] = Some(Item {
                name: Arc::clone(&check.policy.name),
                kind: check.kind,
                target: Arc::clone(&check.target),
                probe: check.probe.clone(),
                remedy: check.remedy.clone(),
            });
        }
        let numbers = (0..).map(CheckId).zip(before);
        numbers
            .filter(|(id, item)| item.as_ref().is_some_and(|item| self.name(*id) != Some(&item.name)))
            .map(|(id, _)| id)
            .collect()
    }

    pub(super) fn probe(&self, check: CheckId) -> Option<&Arc<Probe>> {
        self.item(check)?.probe.as_ref()
    }

    pub(super) fn remedy(&self, check: CheckId) -> Option<&Arc<Command>> {
        self.item(check)?.remedy.as_ref()
    }

    /// The word in the configuration; empty when there is no such check any more.
    pub(super) fn kind(&self, check: CheckId) -> &'static str {
        self.item(check).map_or("", |item| item.kind)
    }

    /// A status with what the monitor does not know.
    pub(super) fn view(&self, status: CheckStatus) -> CheckView {
        let item = self.item(status.id);
        let (kind, target) = item.map_or(("", "".into()), |item| (item.kind, Arc::clone(&item.target)));
        CheckView { status, kind, target }
    }

    pub(super) fn name(&self, check: CheckId) -> Option<&Arc<str>> {
        self.item(check).map(|item| &item.name)
    }

    fn item(&self, check: CheckId) -> Option<&Item> {
        self.checks.get(usize::try_from(check.0).ok()?)?.as_ref()
    }
}
