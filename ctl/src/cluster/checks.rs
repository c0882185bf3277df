//! The checks and pools of the nodes that answered, and what is wrong with them.

use super::Cluster;
use crate::model::{CheckView, PoolView};
use crate::verdict::{Reason, ReasonCode, Verdict};

impl Cluster {
    /// The checks that were asked for, by node and name.
    pub(crate) fn checks(&self) -> Vec<CheckView> {
        let mut checks: Vec<CheckView> = self
            .snapshots()
            .flat_map(|(_, _, snapshot)| {
                snapshot.checks.iter().map(|check| CheckView::new(check, snapshot.clock, self.now))
            })
            .collect();
        checks.sort_by(|one, other| (&one.check, &one.node).cmp(&(&other.check, &other.node)));
        checks
    }

    /// The pools that were asked for, by name and node.
    pub(crate) fn pools(&self) -> Vec<PoolView> {
        let mut pools: Vec<PoolView> = self
            .snapshots()
            .flat_map(|(_, _, snapshot)| {
                snapshot.pools.iter().map(|pool| PoolView::new(pool, snapshot.clock, self.now))
            })
            .collect();
        pools.sort_by(|one, other| (&one.pool, &one.node).cmp(&(&other.pool, &other.node)));
        pools
    }
}

/// What fails and is not muted. The service is worse than it should be, whoever holds the address.
pub(super) fn reasons(cluster: &Cluster) -> Vec<Reason> {
    let checks = cluster.checks().into_iter().filter(|check| check.verdict == "FAILING");
    let checks = checks.filter(|check| check.mute.is_none()).map(|check| check_reason(&check));
    let pools = cluster.pools().into_iter().filter(|pool| pool.enabled);
    checks.chain(pools.filter_map(|pool| pool_reason(&pool))).collect()
}

fn check_reason(check: &CheckView) -> Reason {
    let endangers = match check.endangers() {
        nothing if nothing.is_empty() => String::new(),
        what => format!(" (endangers {what})"),
    };
    let message = format!("check {} fails on {}: {}{endangers}", check.check, check.node, check.saw());
    Reason::new(Verdict::Degraded, ReasonCode::CheckFailing, &[&check.node], message)
}

fn pool_reason(pool: &PoolView) -> Option<Reason> {
    let notes = pool.notes();
    if pool.verdict != "FAILING" && notes.is_empty() {
        return None;
    }
    let what = match pool.verdict {
        "FAILING" => format!("has lost its quorum ({})", pool.in_service()),
        _ => pool.in_service(),
    };
    let notes: String = notes.iter().map(|note| format!("; {note}")).collect();
    let message = format!("pool {} on {} {what}{notes}", pool.pool, pool.node);
    Some(Reason::new(Verdict::Degraded, ReasonCode::PoolFailing, &[&pool.node], message))
}
