//! `hactl explain`: why a node is or is not Active, and how its priority came about.

use crate::args::ExplainTarget;
use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::unknown::unknown_target;
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{ContenderView, ExplainView, GroupView, StepView};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint};

impl Item for ExplainView {
    const KIND: &'static str = "Explanation";

    fn name(&self) -> String {
        self.router.name.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["INSTANCE", "NODE", "STATE", "PRIORITY", "WINS", "BECAUSE"];
        if wide {
            headers.extend(["WHY", "GROUP", "CONTENDERS"]);
        }
        headers
    }

    fn cells(&self, wide: bool, _times: &Times) -> Vec<Cell> {
        let router = &self.router;
        let mut cells = vec![
            Cell::painted(Paint::Bold, &router.instance),
            Cell::new(&router.node),
            Cell::painted(Paint::state(router.state), router.state),
            Cell::new(router.priority_sum()),
            Cell::new(self.winners.join(" or ")),
            Cell::new(&self.reason),
        ];
        if wide {
            cells.extend([
                Cell::new(&router.why),
                Cell::new(self.group.as_ref().map(members).unwrap_or_default()),
                Cell::new(self.contenders.iter().map(contender).collect::<Vec<_>>().join(", ")),
            ]);
        }
        cells
    }
}

/// Explains a virtual router, or those that own an address.
///
/// # Errors
/// When it is not there, no node has answered, or the answer cannot be written.
pub(crate) async fn run(context: &Context, target: &ExplainTarget) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let filter = context.filter();
    let all = cluster.explanations(|router| target.matches(router) && filter.wants(&router.node));
    if all.is_empty() {
        return Err(unknown_target(&cluster, target));
    }
    let text = all.iter().map(|one| block(one, &context.times)).collect::<Vec<_>>().join("\n");
    // Who wins leans on every node, also when only one is explained.
    let (answer, exit) = context.answer(&cluster, "Explanation", all, false);
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

fn block(one: &ExplainView, times: &Times) -> String {
    let router = &one.router;
    let mut block = Block::new(format!(
        "EXPLAIN {}  {}  since {}",
        paint(Paint::Bold, &format!("{}/{}", router.node, router.instance)),
        paint(Paint::state(router.state), router.state),
        times.with_age(router.last_transition_time, router.state_age),
    ));
    block.fact("why", &router.why);
    waterfall(&mut block, one);
    block.fact("group", one.group.as_ref().map(members).unwrap_or_default());
    let winners = if one.winners.is_empty() { "nobody".to_owned() } else { one.winners.join(" or ") };
    block.painted("wins", format!("{}: {}", paint(Paint::Bold, &winners), paint(Paint::Plain, &one.reason)));
    for (index, contender) in one.contenders.iter().enumerate() {
        block.fact(if index == 0 { "of" } else { "" }, self::contender(contender));
    }
    for warning in &one.warnings {
        block.painted("warn", paint(Paint::Warn, warning));
    }
    block.render()
}

/// One line for each step, the result below.
fn waterfall(block: &mut Block, one: &ExplainView) {
    let width = one.steps.iter().map(|step| step.source.chars().count()).max().unwrap_or(0);
    for (index, step) in one.steps.iter().enumerate() {
        let delta = if index == 0 { step.delta.to_string() } else { format!("{:+}", step.delta) };
        let text = format!("{delta:>5} {:<width$}  {}", step.source, step.because);
        block.painted(if index == 0 { "priority" } else { "" }, paint(step_paint(step), text.trim_end()));
    }
    let word = if one.steps.is_empty() { "priority" } else { "" };
    block.painted(word, paint(Paint::Bold, &format!("= {:>3} effective", one.router.effective_priority)));
}

fn step_paint(step: &StepView) -> Paint {
    if step.because.contains(", FAULT)") {
        return Paint::Bad;
    }
    if step.delta == 0 && step.source != "config" { Paint::Dim } else { Paint::Plain }
}

fn members(group: &GroupView) -> String {
    let each = group.members.iter().map(|member| {
        let wish =
            if member.wish == member.state { String::new() } else { format!(" wants {}", member.wish) };
        let because = member.because.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        format!("{} {}{wish}{because}", member.instance, member.state)
    });
    format!("{}: {}", group.name, each.collect::<Vec<_>>().join(", "))
}

fn contender(one: &ContenderView) -> String {
    let preempt = one.tolerates.map(|why| format!(", {why}")).unwrap_or_default();
    let faults = match one.fault_reasons.as_slice() {
        faults if one.state == "FAULT" => format!(": {}", faults.join("; ")),
        _ => String::new(),
    };
    format!("{} {} eff {}{preempt}{faults}", one.node, one.state, one.effective_priority)
}
