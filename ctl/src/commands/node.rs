//! `hactl node list` and `hactl node get`.

use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::unknown::unknown_node;
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{NodeStatus, NodeView};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Table, Times, paint};

impl Item for NodeView {
    const KIND: &'static str = "Node";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers =
            vec!["NODE", "STATE", "VERSION", "UPTIME", "ACTIVE", "INSTANCES", "CLOCK", "CONFIG", "PROBLEMS"];
        if wide {
            headers.extend(["ENDPOINT", "STARTED", "CONFIG LOADED", "INCARNATION"]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let problems = self.problems();
        let paint = if problems.is_empty() { Paint::Plain } else { Paint::Warn };
        let mut cells = vec![
            Cell::painted(Paint::Bold, &self.node),
            Cell::painted(Paint::Good, "ANSWERED"),
            Cell::new(&self.version),
            Cell::new(self.uptime.map(|uptime| uptime.to_string()).unwrap_or_default()),
            Cell::new(self.active_count.to_string()),
            Cell::new(self.instance_count.to_string()),
            Cell::new(clock_label(self)),
            Cell::new(self.config_digest.chars().take(12).collect::<String>()),
            Cell::painted(paint, problems.join("; ")),
        ];
        if wide {
            cells.extend([
                Cell::new(&self.endpoint),
                Cell::new(times.maybe(self.start_time)),
                Cell::new(times.maybe(self.config_load_time)),
                Cell::new(&self.incarnation_id),
            ]);
        }
        cells
    }
}

/// `+2ms ±0.2ms`.
pub(crate) fn clock_label(node: &NodeView) -> String {
    let sign = if node.clock_offset.nanos() > 0 { "+" } else { "" };
    format!("{sign}{} ±{}", node.clock_offset, node.clock_uncertainty)
}

/// Lists the nodes; those that did not answer are in the table too.
///
/// # Errors
/// When none has answered, or the answer cannot be written.
pub(crate) async fn list(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let filter = context.filter();
    let mut nodes = cluster.nodes();
    nodes.retain(|node| filter.wants(&node.node));
    let (answer, exit) = context.answer_list(&cluster, "NodeList", nodes);
    let wide = context.global.output == crate::args::Format::Wide;
    let mut table = Table::new(NodeView::headers(wide));
    for node in &answer.items {
        table.row(node.cells(wide, &context.times));
    }
    if !answer.complete {
        for status in answer.nodes.iter().filter(|status| !status.is_answered()) {
            table.row(missing_cells(status));
        }
    }
    context.print(&answer, Some(&table.render(context.layout())))?;
    Ok(exit)
}

fn missing_cells(status: &NodeStatus) -> Vec<Cell> {
    let unknown = || Cell::new("");
    let mut cells =
        vec![Cell::painted(Paint::Bold, status.label()), Cell::painted(Paint::Bad, status.state.word())];
    cells.extend((0..6).map(|_| unknown()));
    cells.push(Cell::painted(Paint::Bad, &status.message));
    cells
}

/// Shows one node whole.
///
/// # Errors
/// When it did not answer, is not there, or the answer cannot be written.
pub(crate) async fn get(context: &Context, wanted: &str) -> Result<Exit, Stop> {
    let wanted = wanted.strip_prefix("nodes/").unwrap_or(wanted);
    let cluster = context.ask(Scope::Routers).await?;
    let node = cluster.nodes().into_iter().find(|node| node.node == wanted);
    let Some(node) = node else {
        return Err(unknown_node(&cluster, wanted));
    };
    let text = block(&node, &context.times);
    // The one that was asked for has answered: nothing is missing from this answer.
    let (answer, exit) = context.answer(&cluster, "Node", vec![node], true);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

fn block(node: &NodeView, times: &Times) -> String {
    let heading =
        format!("NODE {}  version {}", paint(Paint::Bold, &node.node), paint(Paint::Plain, &node.version));
    let mut block = Block::new(heading);
    block.fact("endpoint", &node.endpoint);
    block.fact("started", times.with_age(node.start_time, node.uptime));
    block.fact("active", format!("{} of {} virtual routers", node.active_count, node.instance_count));
    block.fact("clock", clock_label(node));
    block.fact("config", format!("{}, loaded {}", node.config_digest, times.maybe(node.config_load_time)));
    block.fact("api", node.api_versions.join(" "));
    block.fact("incarnation", &node.incarnation_id);
    for condition in &node.conditions {
        let good = condition.status == "TRUE";
        let why = [condition.reason.as_str(), condition.message.as_str()];
        let why = why.iter().filter(|text| !text.is_empty()).copied().collect::<Vec<_>>().join(": ");
        let status = paint(if good { Paint::Good } else { Paint::Warn }, condition.status);
        let kind = paint(Paint::Plain, &condition.kind);
        block.painted("condition", format!("{kind} {status}  {}", paint(Paint::Plain, &why)));
    }
    block.render()
}
