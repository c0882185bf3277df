//! `hactl check run`: one attempt now, on each node that has the check, shown step by step.

use ha_proto::v1;
use serde::Serialize;

use super::find;
use crate::args::CheckTarget;
use crate::commands::change::request_id;
use crate::commands::{Context, error_text};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, ask_one};
use crate::model::{AttemptView, CheckView};
use crate::names;
use crate::output::Stop;
use crate::render::{Cell, Item, Layout, Paint, Table, paint};
use crate::session::Session;
use crate::span::Span;

/// One attempt of one check on one node.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct RunView {
    pub name: String,
    pub node: String,
    pub check: String,
    pub passed: bool,
    pub verdict: &'static str,
    pub attempt: AttemptView,
}

impl Item for RunView {
    const KIND: &'static str = "CheckRun";

    fn name(&self) -> String {
        self.name.clone()
    }
}

/// The word of an attempt that passed.
const PASSED: &str = "PASSED";

/// Runs a check on each node that has it.
pub(super) async fn run(context: &Context, target: &CheckTarget) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Everything).await?;
    if !target.is_of_one_node() {
        context.tell_missing(&cluster);
    }
    let checks = find(context, &cluster, target)?;
    let mut views = Vec::new();
    let mut failures = Vec::new();
    for attempt in attempts(context, &cluster, &checks).await {
        match attempt {
            Ok(view) => views.push(view),
            Err(failure) => failures.push(failure),
        }
    }
    failures.iter().for_each(|failure| context.out.error(&error_text(failure)));
    let text = views.iter().map(block).collect::<Vec<_>>().join("\n");
    let all_passed = views.iter().all(|view| view.passed);
    let (mut answer, incomplete) = context.answer(&cluster, "CheckRun", views, target.is_of_one_node());
    answer.error = failures.first().cloned();
    context.print(&answer, Some(&text))?;
    Ok(match (failures.first(), all_passed) {
        (Some(failure), _) => failure.exit,
        (None, false) => Exit::ConditionFalse,
        (None, true) => incomplete,
    })
}

/// Asks all nodes at the same time; each may take as long as its check.
async fn attempts(
    context: &Context,
    cluster: &crate::cluster::Cluster,
    checks: &[CheckView],
) -> Vec<Result<RunView, Failure>> {
    let asked = checks.iter().map(|check| async move {
        let endpoint = cluster
            .endpoint_of(&check.node)
            .ok_or_else(|| Failure::internal(format!("{} was there a moment ago", check.node)))?;
        let limit = Span::from_nanos(
            context.global.node_timeout.nanos() + check.timeout.unwrap_or(Span::ZERO).nanos(),
        );
        let request = v1::RunCheckRequest { name: check.name.clone(), request_id: request_id()? };
        let question = async |session: Session| session.run_check(request).await;
        let answer = ask_one(&endpoint, &check.node, limit, question).await?;
        Ok(view(check, &answer))
    });
    futures::future::join_all(asked).await
}

fn view(check: &CheckView, answer: &v1::RunCheckResponse) -> RunView {
    let attempt = answer.attempt.as_ref().map(AttemptView::from);
    let attempt = attempt.unwrap_or_else(|| AttemptView::from(&v1::CheckAttempt::default()));
    let verdict = answer.check.as_ref().map_or(v1::Verdict::Unknown, v1::Check::verdict);
    RunView {
        name: check.name.clone(),
        node: check.node.clone(),
        check: check.check.clone(),
        passed: attempt.result == PASSED,
        verdict: crate::model::verdict_word(verdict),
        attempt,
    }
}

fn block(view: &RunView) -> String {
    let style = if view.passed { Paint::Good } else { Paint::Bad };
    let mut out = format!(
        "CHECK {}  {} in {}  verdict {}\n",
        paint(Paint::Bold, &names::label(&view.name)),
        paint(style, &view.attempt.result),
        view.attempt.duration.unwrap_or(Span::ZERO),
        paint(super::verdict_paint(view.verdict), view.verdict),
    );
    let mut table = Table::new(Vec::new());
    for step in &view.attempt.steps {
        table.row(vec![
            Cell::painted(Paint::Dim, format!("  {}", step.step)),
            Cell::new(step.duration.map(|span| span.to_string()).unwrap_or_default()),
            Cell::new(step.detail.clone().unwrap_or_default()),
        ]);
    }
    out.push_str(&table.render(Layout { headers: false, width: None }));
    if let Some(evidence) = &view.attempt.evidence {
        out.push_str(&format!("  {}  {}\n", paint(Paint::Dim, "saw"), paint(Paint::Plain, evidence)));
    }
    out
}
