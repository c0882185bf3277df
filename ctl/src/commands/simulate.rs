//! `hactl simulate …`: asks all nodes how they stand, and says what would become of each address.

use serde::Serialize;

use crate::args::{SimulateCommand, Target};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::lacks::lack;
use crate::commands::unknown::{unknown_instance, unknown_node};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Table, Times, paint};
use crate::simulate::{Change, Fate, Model, Reported, predict};
use crate::span::Span;

/// What would become of an address.
#[derive(Clone, Debug, Serialize)]
struct FateView {
    address: String,
    before: Vec<String>,
    after: Vec<String>,
    /// How long nobody would hold it.
    gap: Span,
    /// How long more than one would.
    overlap: Span,
    loss: bool,
    why: Vec<String>,
    /// What was not known, or taken for granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl FateView {
    fn new(fate: Fate, notes: &[String]) -> Self {
        let Fate { address, before, after, gap, overlap, loss, why } = fate;
        let (gap, overlap, notes) = (Span::from(gap), Span::from(overlap), notes.to_vec());
        FateView { address, before, after, gap, overlap, loss, why, notes }
    }
}

impl Item for FateView {
    const KIND: &'static str = "Fate";

    fn name(&self) -> String {
        format!("vips/{}", self.address)
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["VIP", "BEFORE", "AFTER", "WITHOUT A HOLDER", "LOSS"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        let after = if self.after.is_empty() { "nobody".to_owned() } else { self.after.join(", ") };
        vec![
            Cell::painted(Paint::Bold, &self.address),
            Cell::new(self.before.join(", ")),
            Cell::painted(if self.loss { Paint::Bad } else { Paint::Good }, after),
            Cell::new(match self.gap.nanos() {
                0 => "0s".to_owned(),
                _ if self.after.is_empty() => "from then on".to_owned(),
                _ => self.gap.to_string(),
            }),
            Cell::painted(
                if self.loss { Paint::Bad } else { Paint::Plain },
                if self.loss { "yes" } else { "no" },
            ),
        ]
    }
}

/// Says what would happen; exit status 3 when that is a loss.
///
/// # Errors
/// When a node that is named did not answer, or none did.
pub(crate) async fn run(context: &Context, command: SimulateCommand) -> Result<Exit, Stop> {
    let change = command.change().map_err(|message| Failure::usage(message, ""))?;
    let cluster = context.ask(Scope::Routers).await?;
    check_names(&cluster, &change)?;
    let reported = cluster.reported();
    let heard = cluster.heard_peers();
    let hears = |node: &str| heard.get(node).cloned();
    let reports: Vec<Reported<'_>> = reported
        .iter()
        .map(|(node, instances)| Reported { node: node.clone(), instances, hears: hears(node) })
        .collect();
    let mut model = Model::new(&reports);
    model.notes.extend(note_of_drain(&change, &model));
    let fates = predict(&model, &change);
    let views: Vec<FateView> = fates.into_iter().map(|fate| FateView::new(fate, &model.notes)).collect();
    let loss = views.iter().any(|view| view.loss);
    let lacks: Vec<Failure> = model.left_out.iter().map(|(node, router)| left_out(node, router)).collect();
    let is_whole = cluster.is_complete() && lacks.is_empty();
    let is_all = cluster.nodes().iter().all(|node| change.nodes().contains(&node.node.as_str()));
    let text = text(context, &describe(&change, is_all), &views, &model.notes, is_whole);
    let (mut answer, exit) = context.answer(&cluster, "Simulation", views, false);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, Some(&text))?;
    Ok(if loss { Exit::ConditionFalse } else { exit })
}

/// How a drain differs where nobody can be asked to take over.
fn note_of_drain(change: &Change, model: &Model) -> Option<String> {
    let Change::Drain(drained) = change else { return None };
    let node = model.nodes.iter().find(|node| node.name == *drained)?;
    let others = || model.nodes.iter().filter(|other| other.name != *drained);
    (others().next().is_some() && !others().any(|other| node.can_ask(other))).then(|| {
        format!(
            "{drained} hears no other node over the control plane and so asks nobody to take over: it says priority 0 and keeps \
             the addresses until another router is heard"
        )
    })
}

fn left_out(node: &str, router: &str) -> Failure {
    let message = format!("instance {router} is left out: the report lacks what an election needs");
    lack(
        node,
        "ROUTER_LEFT_OUT",
        message,
        "hactl doctor says whether the agent is older than the others; upgrade it",
    )
}

fn check_names(cluster: &Cluster, change: &Change) -> Result<(), Stop> {
    for node in change.nodes() {
        if !cluster.nodes().iter().any(|known| known.node == node) {
            return Err(unknown_node(cluster, node));
        }
    }
    if let Change::Priority { node, instance, .. } = change {
        let known = cluster.instances();
        let target = Target { node: Some(node.clone()), instance: instance.clone() };
        if !known.iter().any(|router| router.node == *node && router.instance == *instance) {
            return Err(unknown_instance(cluster, &target));
        }
    }
    Ok(())
}

fn describe(change: &Change, is_all: bool) -> String {
    match change {
        Change::Drain(node) => format!("{node} is drained"),
        Change::Fail(node) => format!("{node} dies"),
        Change::Recover(node) => format!("{node} comes back whole"),
        Change::Priority { node, instance, priority } => {
            format!("the priority of {node}/{instance} is overridden to {priority}")
        }
        Change::Partition(parts) => {
            let parts: Vec<String> = parts.iter().map(|part| part.join(",")).collect();
            let rest = if is_all { "" } else { " | all others" };
            format!("the network falls apart into {}{rest}", parts.join(" | "))
        }
    }
}

fn text(context: &Context, what: &str, views: &[FateView], notes: &[String], is_whole: bool) -> String {
    let lost = views.iter().filter(|view| view.loss).count();
    let verdict = match lost {
        0 if !is_whole => paint(Paint::Unknown, "nothing is lost of what is known, and not all is"),
        0 => paint(Paint::Good, "nothing is lost"),
        1 => paint(Paint::Bad, "1 address is lost"),
        count => paint(Paint::Bad, &format!("{count} addresses are lost")),
    };
    let mut table = Table::new(FateView::headers(false));
    for view in views {
        let lines = view.why.iter().map(|why| format!("  {}", paint(Paint::Plain, why))).collect();
        table.row_with(view.cells(false, &context.times), lines);
    }
    let mut text = format!("if {}: {verdict}\n\n", paint(Paint::Plain, what));
    text.push_str(&table.render(context.layout()));
    for note in notes {
        text.push_str(&format!("{} {}\n", paint(Paint::Warn, "note"), paint(Paint::Plain, note)));
    }
    text
}
