//! What would happen: the daemon's own election code, run in virtual time over what the nodes report of themselves. `model` is
//! what is known of the cluster, `world` runs it, and here is what one does to it and what is concluded.
//!
//! Assumed is a network on which every node hears every other, as long as the question is not a partition.

mod model;
mod tie;
mod world;

use std::collections::BTreeSet;
use std::time::Duration;

pub(crate) use self::model::{Model, Reported};
use self::world::World;

/// What is done to the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An operator drains a node.
    Drain(String),
    /// A node dies with everything on it.
    Fail(String),
    /// A node comes back whole: links up, checks passing, not drained.
    Recover(String),
    /// An operator overrides a priority.
    Priority {
        /// The node.
        node: String,
        /// Its virtual router.
        instance: String,
        /// In place of the configured priority, 1..=254.
        priority: u8,
    },
    /// The network falls apart; nodes that are not named stay together.
    Partition(Vec<Vec<String>>),
}

impl Change {
    /// Whether somebody does it on purpose, so that it should cost nothing.
    fn is_planned(&self) -> bool {
        matches!(self, Change::Drain(_) | Change::Priority { .. })
    }

    /// The nodes that it names.
    pub(crate) fn nodes(&self) -> Vec<&str> {
        match self {
            Change::Drain(node) | Change::Fail(node) | Change::Recover(node) => vec![node],
            Change::Priority { node, .. } => vec![node],
            Change::Partition(parts) => parts.iter().flatten().map(String::as_str).collect(),
        }
    }
}

/// What will become of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// The address.
    pub address: String,
    /// Who holds it before.
    pub before: Vec<String>,
    /// Who holds it once everything has settled.
    pub after: Vec<String>,
    /// How long nobody held it from the change on.
    pub gap: Duration,
    /// How long more than one held it.
    pub overlap: Duration,
    /// Whether that is a loss: no holder or two in the end or, of what is done on purpose, any time without one.
    pub loss: bool,
    /// What happens, in order, each with its cause.
    pub why: Vec<String>,
}

/// Runs the cluster into its steady state, does the change, and waits until all has settled.
pub(crate) fn predict(model: &Model, change: &Change) -> Vec<Fate> {
    let mut world = World::settled(model);
    let before: Vec<BTreeSet<String>> =
        model.addresses().iter().map(|address| world.holders(*address)).collect();
    world.make(change);
    world.run_until_settled();
    let fates = model.addresses().into_iter().zip(before).map(|(address, before)| {
        let (gap, overlap) = world.times(address);
        let after = world.holders(address);
        let gap = if before.is_empty() { Duration::ZERO } else { gap };
        let ends_badly = after.len() > 1 || (after.is_empty() && !before.is_empty());
        Fate {
            loss: ends_badly || (change.is_planned() && !gap.is_zero()),
            why: world.sentences(address, &after),
            address: address.to_string(),
            before: before.into_iter().collect(),
            after: after.into_iter().collect(),
            gap,
            overlap,
        }
    });
    fates.collect()
}

#[cfg(test)]
mod tests;
