//! `hactl simulate …` as clap reads it.

use clap::Subcommand;

use super::value::{Target, priority};
use crate::simulate::Change;

/// `hactl simulate …`: nothing is changed, whatever is predicted.
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// An operator drains a node.
    Drain {
        /// The node's name.
        node: String,
    },
    /// A node dies with everything on it.
    Fail {
        /// The node's name.
        node: String,
    },
    /// A node comes back whole: links up, checks passing, not drained.
    Recover {
        /// The node's name.
        node: String,
    },
    /// An operator overrides a priority.
    Priority {
        /// `node/instance`.
        target: Target,
        /// The priority in place of the configured one, 1..254.
        #[arg(value_parser = priority::<u8>)]
        priority: u8,
    },
    /// The network falls apart into these parts; nodes that are not named stay together.
    Partition {
        /// Nodes of a part with commas, parts with bars: 'a,b|c'.
        #[arg(value_parser = parts)]
        parts: Parts,
    },
}

/// The parts of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts(pub Vec<Vec<String>>);

fn parts(text: &str) -> Result<Parts, String> {
    let part = |part: &str| part.split(',').map(|node| node.trim().to_owned()).collect::<Vec<_>>();
    let parts: Vec<Vec<String>> = text.split('|').map(part).collect();
    let mut all: Vec<&String> = parts.iter().flatten().collect();
    let count = all.len();
    all.sort();
    all.dedup();
    if all.len() < count || all.iter().any(|node| node.is_empty()) {
        return Err("name each node once, with commas and bars between: a,b|c".to_owned());
    }
    Ok(Parts(parts))
}

impl SimulateCommand {
    /// What is to be done to the cluster.
    ///
    /// # Errors
    /// When a priority is asked for without saying on which node.
    pub(crate) fn change(self) -> Result<Change, String> {
        Ok(match self {
            SimulateCommand::Drain { node } => Change::Drain(node),
            SimulateCommand::Fail { node } => Change::Fail(node),
            SimulateCommand::Recover { node } => Change::Recover(node),
            SimulateCommand::Partition { parts } => Change::Partition(parts.0),
            SimulateCommand::Priority { target, priority } => {
                let instance = target.instance;
                let node = target.node.ok_or_else(|| format!("say on which node: NODE/{instance}"))?;
                Change::Priority { node, instance, priority }
            }
        })
    }
}
