//! What nodes that did answer have left out: a history, a virtual router, the end of a configuration. Such an answer is told as
//! partial, as if the node were missing from it: whoever acts on it must not take silence for good news.

use std::collections::BTreeSet;

use crate::cluster::Cluster;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::More;
use crate::render::Report;
use crate::session::History;

/// Something that a node which answered did not tell.
pub(super) fn lack(node: &str, reason: &str, message: impl Into<String>, remedy: &str) -> Failure {
    Failure::local(Exit::NodesMissing, "DATA_LOSS", reason, message, remedy).on(node)
}

/// What the nodes have not told of what was asked beside their snapshots.
pub(super) fn not_told<T>(told: &[More<T>]) -> Vec<Failure> {
    told.iter().filter_map(|more| more.result.as_ref().err()).cloned().collect()
}

/// That a node's disk did not answer, if it did not.
pub(super) fn lost_past(node: &str, history: &History) -> Option<Failure> {
    let message = format!("the disk of {node} did not answer: of its history only what is in memory is told");
    let remedy = "look at the disk and the load of that node, and ask again";
    history.past_missing.then(|| lack(node, "HISTORY_SILENT", message, remedy))
}

impl Context {
    /// Takes from an answer what `lacks` says, tells the reader, and gives the exit code that follows: a node that left
    /// something out counts as one that has not answered.
    pub(super) fn without<T>(
        &self,
        cluster: &Cluster,
        answer: &mut Report<T>,
        exit: Exit,
        lacks: Vec<Failure>,
    ) -> Exit {
        if lacks.is_empty() {
            return exit;
        }
        if !self.global.output.is_for_programs() {
            lacks.iter().for_each(|lack| self.out.note(&format!("missing: {lack}")));
        }
        let nodes: BTreeSet<&str> = lacks.iter().map(|lack| &*lack.node).collect();
        let (asked, answered) = cluster.counts();
        let whole = answered.saturating_sub(nodes.len());
        let is_met = self.global.require.is_met(whole, asked);
        answer.complete = false;
        answer.missing = lacks;
        if is_met { exit } else { exit.max(Exit::NodesMissing) }
    }
}
