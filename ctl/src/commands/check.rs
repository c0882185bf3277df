//! `hactl check list`, `get`, `run`, `mute` and `unmute`.

mod mute;
mod run;

use crate::args::{CheckCommand, CheckTarget};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::unknown::unknown_thing;
use crate::exit::Exit;
use crate::fanout::Scope;
use crate::model::{CheckView, HoldView};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint};

impl Item for CheckView {
    const KIND: &'static str = "Check";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(wide: bool) -> Vec<&'static str> {
        let mut headers = vec!["CHECK", "NODE", "VERDICT", "SINCE", "SAW", "ENDANGERS"];
        if wide {
            headers.extend(["KIND", "TARGET", "TOOK", "IN A ROW", "INTERVAL", "REMEDY", "MUTED"]);
        }
        headers
    }

    fn cells(&self, wide: bool, times: &Times) -> Vec<Cell> {
        let mut cells = vec![
            Cell::painted(Paint::Bold, &self.check),
            Cell::new(&self.node),
            Cell::painted(verdict_paint(self.verdict), self.verdict_label()),
            Cell::new(times.with_age(self.last_change_time, self.verdict_age)),
            Cell::new(self.saw()),
            Cell::new(self.endangers()),
        ];
        if wide {
            cells.extend([
                Cell::new(&self.kind),
                Cell::new(&self.target),
                Cell::new(self.last_run_duration.map(|span| span.to_string()).unwrap_or_default()),
                Cell::new(self.in_a_row()),
                Cell::new(self.interval.map(|span| span.to_string()).unwrap_or_default()),
                Cell::new(self.remedy.as_ref().map(|remedy| remedy.state).unwrap_or_default()),
                Cell::new(self.mute.as_ref().map(held).unwrap_or_default()),
            ]);
        }
        cells
    }
}

impl CheckView {
    /// `FAILING`, and in small what holds it so.
    fn verdict_label(&self) -> String {
        let mut label = self.verdict.to_owned();
        if self.mute.is_some() {
            label.push_str(" (muted)");
        }
        if self.damped {
            label.push_str(" (damped)");
        }
        label
    }

    fn in_a_row(&self) -> String {
        let needed = if self.is_passing() { self.fall } else { self.rise };
        format!("{} of {needed}", self.consecutive_count)
    }
}

/// The paint of a verdict.
pub(super) fn verdict_paint(verdict: &str) -> Paint {
    match verdict {
        "PASSING" => Paint::Good,
        "FAILING" => Paint::Bad,
        _ => Paint::Unknown,
    }
}

/// Until when something is held, by whom and why.
pub(super) fn held(hold: &HoldView) -> String {
    hold.words("until it is ended")
}

/// Does what the user asked for.
///
/// # Errors
/// What stopped it.
pub(crate) async fn run(context: &Context, command: CheckCommand) -> Result<Exit, Stop> {
    match command {
        CheckCommand::List { failing } => list(context, failing).await,
        CheckCommand::Get { target } => get(context, &target).await,
        CheckCommand::Run { target } => run::run(context, &target).await,
        CheckCommand::Mute { target, ttl, reason, survive_restart } => {
            mute::mute(context, &target, mute::Hold { ttl, reason, survive_restart }).await
        }
        CheckCommand::Unmute { target } => mute::unmute(context, &target).await,
    }
}

async fn list(context: &Context, failing: bool) -> Result<Exit, Stop> {
    let scope = if failing { Scope::Problems } else { Scope::Everything };
    let cluster = context.ask(scope).await?;
    let filter = context.filter();
    let mut checks = cluster.checks();
    checks.retain(|check| filter.wants(&check.node));
    let (answer, exit) = context.answer_list(&cluster, "CheckList", checks);
    context.print(&answer, None)?;
    context.say_none(&answer, if failing { "no check fails" } else { "no check is configured" });
    Ok(exit)
}

async fn get(context: &Context, target: &CheckTarget) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Everything).await?;
    let checks = find(context, &cluster, target)?;
    let text = checks.iter().map(|check| block(check, &context.times)).collect::<Vec<_>>().join("\n");
    let (answer, exit) = match target.is_of_one_node() {
        // The one node that was asked for has answered.
        true => context.answer(&cluster, "Check", checks, true),
        false => context.answer_list(&cluster, "Check", checks),
    };
    context.print(&answer, Some(&text))?;
    Ok(exit)
}

/// The checks that are meant, on the nodes that are wanted.
fn find(context: &Context, cluster: &Cluster, target: &CheckTarget) -> Result<Vec<CheckView>, Stop> {
    let filter = context.filter();
    let mut checks = cluster.checks();
    checks.retain(|check| target.matches(&check.name) && filter.wants(&check.node));
    match checks.is_empty() {
        true => {
            let all = cluster.checks().into_iter().map(|check| check.name);
            let list = "hactl check list shows what there is";
            Err(unknown_thing(cluster, "check", &target.to_string(), all, list))
        }
        false => Ok(checks),
    }
}

fn block(check: &CheckView, times: &Times) -> String {
    let heading = format!(
        "CHECK {}  {}  since {}",
        paint(Paint::Bold, &format!("{}/{}", check.node, check.check)),
        paint(verdict_paint(check.verdict), &check.verdict_label()),
        times.with_age(check.last_change_time, check.verdict_age),
    );
    let mut block = Block::new(heading);
    block.fact("saw", check.saw());
    block.fact("looks at", format!("{}: {}", check.kind, check.target));
    block.fact("last", last(check, times));
    block.fact("window", format!("{} in a row (rise {}, fall {})", check.in_a_row(), check.rise, check.fall));
    block.fact("timing", timing(check, times));
    block.fact("value", check.value.map(|value| value.to_string()).unwrap_or_default());
    block.fact("muted", check.mute.as_ref().map(held).unwrap_or_default());
    block.fact("remedy", remedy(check, times));
    block.fact("endangers", check.endangers());
    block.fact("counts", counts(check));
    block.render()
}

fn last(check: &CheckView, times: &Times) -> String {
    let Some(time) = check.last_run_time else { return "not run yet".to_owned() };
    let took = check.last_run_duration.map(|span| format!(", took {span}")).unwrap_or_default();
    format!("{}{took}", times.full(time))
}

fn timing(check: &CheckView, times: &Times) -> String {
    let parts = [
        check.interval.map(|span| format!("every {span}")),
        check.timeout.map(|span| format!("for at most {span}")),
        check.next_run_time.map(|time| format!("next {}", times.full(time))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn remedy(check: &CheckView, times: &Times) -> String {
    let Some(remedy) = &check.remedy else { return String::new() };
    let mut text = format!("{}, run {}×, helped {}×", remedy.state, remedy.run_count, remedy.helped_count);
    if let Some(time) = remedy.last_start_time {
        text.push_str(&format!(", last {}", times.full(time)));
    }
    if let Some(result) = &remedy.last_result {
        text.push_str(&format!(": {result}"));
    }
    text
}

fn counts(check: &CheckView) -> String {
    let mut text = format!(
        "{} passed, {} failed, {} changes of the verdict",
        check.pass_count, check.failure_count, check.change_count
    );
    if check.inconclusive_count > 0 {
        text.push_str(&format!(", {} said nothing (this node was late or short)", check.inconclusive_count));
    }
    if check.overrun_count > 0 {
        text.push_str(&format!(", {} left out (the one before had not ended)", check.overrun_count));
    }
    text
}
