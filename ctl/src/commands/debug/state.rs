//! `hactl debug state-dump`.

use crate::commands::Context;
use crate::commands::lacks::{lack, not_told};
use crate::commands::unknown::unknown_section;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, Snapshot};
use crate::model::StateView;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times};
use crate::session::Session;

/// The sections of the agent's `STATE.md`; agents that are newer may have more.
const SECTIONS: &[&str] =
    &["agent", "thread", "os_thread", "queue", "journal", "limits", "peer", "monitor", "pool", "instance"];

impl Item for StateView {
    const KIND: &'static str = "State";
    const NONE: &'static str = "there is nothing in that section";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.node, self.section, self.name)
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["NODE", "SECTION", "NAME", "STATE"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![
            Cell::painted(Paint::Bold, &self.node),
            Cell::new(&self.section),
            Cell::new(&self.name),
            Cell::new(self.state.to_string()),
        ]
    }
}

/// Shows the inner state of each wanted agent.
pub(super) async fn dump(context: &Context, sections: &[String]) -> Result<Exit, Stop> {
    let filter = context.filter();
    let question = async |session: &Session, _: &Snapshot| match filter.wants(session.name()) {
        true => session.dump_state().await.map(Some),
        false => Ok(None),
    };
    let (cluster, told) = context.ask_with(Scope::Routers, question).await?;
    let mut lacks = not_told(&told);
    let mut views = Vec::new();
    for more in told {
        let Ok(Some((entries, is_whole))) = more.result else { continue };
        if !is_whole {
            lacks.push(cut(&more.node));
        }
        let wanted =
            entries.into_iter().filter(|entry| sections.is_empty() || sections.contains(&entry.section));
        views.extend(wanted.map(|entry| StateView::new(&more.node, entry)));
    }
    let is_known = |wanted: &&String| {
        SECTIONS.contains(&wanted.as_str()) || views.iter().any(|view| view.section == **wanted)
    };
    if let Some(wanted) = sections.iter().find(|wanted| !is_known(wanted)) {
        return Err(Stop::Failure(Box::new(unknown_section(wanted, SECTIONS)), cluster.statuses()));
    }
    let (mut answer, exit) = context.answer_list(&cluster, "StateDump", views);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, None)?;
    Ok(exit)
}

/// A dump that does not reach to its end.
pub(in crate::commands) fn cut(node: &str) -> Failure {
    let message = "its state is more than fits into a dump, or it stopped: the end is missing";
    lack(node, "STATE_TRUNCATED", message, "what is there can be used; see the agent's log on that node")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_are_those_of_the_document() {
        let document = include_str!("../../../../agent/STATE.md");
        let headings = document.lines().filter_map(|line| line.strip_prefix("## `")?.strip_suffix('`'));
        assert!(headings.eq(SECTIONS.iter().copied()));
    }
}
