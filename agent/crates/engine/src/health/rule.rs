//! Expressions over other checks: what depends on what, and the three-valued logic.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::check::Check;
use super::wire::CheckId;
use crate::track::Verdict;

/// How the members of an expression stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) members: u32,
    pub(super) wanted: u32,
    pub(super) passing: u32,
    pub(super) unknown: u32,
    /// The member that changed last.
    pub(super) led: Option<Arc<str>>,
}

impl Tally {
    /// Kleene: Unknown only as long as the unknown members could turn it.
    pub(super) fn verdict(&self) -> Verdict {
        if self.passing >= self.wanted {
            Verdict::Passing
        } else if self.passing.saturating_add(self.unknown) < self.wanted {
            Verdict::Failing
        } else {
            Verdict::Unknown
        }
    }

    /// A member's verdict changed.
    pub(super) fn on_member(&mut self, name: &Arc<str>, before: Verdict, after: Verdict) {
        self.add(before, false);
        self.add(after, true);
        self.led = Some(Arc::clone(name));
    }

    fn add(&mut self, verdict: Verdict, more: bool) {
        let count = match verdict {
            Verdict::Passing => &mut self.passing,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Failing => return,
        };
        *count = if more { count.saturating_add(1) } else { count.saturating_sub(1) };
    }
}

/// Makes the graph of expressions anew: for each check who depends on it, for each expression how its members stand and
/// its rank, which is higher than theirs. Returns the expressions by rank. One that depends on itself (the configuration
/// does not let that happen) has only unknown members.
pub(super) fn connect(
    checks: &mut [Option<Check>],
    by_name: &BTreeMap<Arc<str>, CheckId>,
) -> BTreeSet<(u32, CheckId)> {
    let edges = edges(checks, by_name);
    let ranks = ranks(&edges);
    for check in checks.iter_mut().flatten() {
        check.dependents.clear();
        let Some(rule) = &check.policy.rule else { continue };
        let members = u32::try_from(rule.members().len()).unwrap_or(u32::MAX);
        check.rank = ranks.get(&check.id).copied().unwrap_or(u32::MAX);
        check.tally = Tally { members, wanted: rule.wanted(), unknown: members, ..Tally::default() };
    }
    for (rule, members) in edges.iter().filter(|(rule, _)| ranks.contains_key(rule)) {
        for member in members {
            let Some(found) = checks.get_mut(member.0 as usize).and_then(Option::as_mut) else { continue };
            found.dependents.push(*rule);
            let (name, verdict) = (Arc::clone(&found.policy.name), found.verdict);
            if let Some(check) = checks.get_mut(rule.0 as usize).and_then(Option::as_mut) {
                check.tally.on_member(&name, Verdict::Unknown, verdict);
            }
        }
    }
    checks
        .iter()
        .flatten()
        .filter(|check| check.policy.rule.is_some())
        .map(|check| (check.rank, check.id))
        .collect()
}

/// The members of each expression that exist; one that is named twice counts twice.
fn edges(checks: &[Option<Check>], by_name: &BTreeMap<Arc<str>, CheckId>) -> BTreeMap<CheckId, Vec<CheckId>> {
    let rules = checks.iter().flatten().filter_map(|check| Some((check.id, check.policy.rule.as_ref()?)));
    rules
        .map(|(id, rule)| {
            (id, rule.members().iter().filter_map(|member| by_name.get(member).copied()).collect())
        })
        .collect()
}

/// Ranks of the expressions that do not depend on themselves (Kahn's algorithm).
fn ranks(edges: &BTreeMap<CheckId, Vec<CheckId>>) -> BTreeMap<CheckId, u32> {
    let mut waits: BTreeMap<CheckId, usize> = BTreeMap::new();
    let mut dependents: BTreeMap<CheckId, Vec<CheckId>> = BTreeMap::new();
    for (rule, members) in edges {
        let rules = members.iter().filter(|member| edges.contains_key(member));
        waits.insert(*rule, rules.clone().count());
        rules.for_each(|member| dependents.entry(*member).or_default().push(*rule));
    }
    let mut ready: Vec<CheckId> =
        waits.iter().filter(|(_, count)| **count == 0).map(|(rule, _)| *rule).collect();
    let mut ranks: BTreeMap<CheckId, u32> = BTreeMap::new();
    while let Some(rule) = ready.pop() {
        let rank = ranks.get(&rule).copied().unwrap_or(0);
        ranks.insert(rule, rank);
        for dependent in dependents.get(&rule).into_iter().flatten() {
            let higher = ranks.entry(*dependent).or_default();
            *higher = (*higher).max(rank + 1);
            if let Some(count) = waits.get_mut(dependent) {
                *count -= 1;
                if *count == 0 {
                    ready.push(*dependent);
                }
            }
        }
    }
    ranks.retain(|rule, _| waits.get(rule) == Some(&0));
    ranks
}
