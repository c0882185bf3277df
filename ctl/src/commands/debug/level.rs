//! `hactl debug log-level`.

use ha_proto::v1;
use jiff::Timestamp;

use crate::commands::Context;
use crate::commands::change::{confirm, outcome_line, request_id, require_consent};
use crate::commands::lacks::not_told;
use crate::commands::unknown::unknown_node;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, Snapshot, ask_one};
use crate::model::LogLevelView;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Report, Times};
use crate::session::Session;
use crate::span::Span;

/// What shall be logged.
pub(super) enum Wish {
    /// Another level than the configured one.
    Set {
        /// Directives.
        level: String,
        /// For how long.
        ttl: Span,
        /// Why.
        reason: String,
    },
    /// The configured one.
    Reset,
}

impl Item for LogLevelView {
    const KIND: &'static str = "LogLevel";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["NODE", "LEVEL", "CONFIGURED", "ASKED FOR"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        let paint = if self.level_override.is_some() { Paint::Warn } else { Paint::Plain };
        vec![
            Cell::painted(Paint::Bold, &self.node),
            Cell::painted(paint, &self.level),
            Cell::new(&self.configured_level),
            Cell::new(self.asked()),
        ]
    }
}

/// Shows what each agent logs.
pub(super) async fn list(context: &Context) -> Result<Exit, Stop> {
    let question = async |session: &Session, _: &Snapshot| session.log_level().await;
    let (cluster, told) = context.ask_with(Scope::Routers, question).await?;
    let filter = context.filter();
    let lacks = not_told(&told).into_iter().filter(|lack| filter.wants(&lack.node)).collect();
    let levels = told.iter().filter(|told| filter.wants(&told.node));
    let levels = levels
        .filter_map(|told| Some(LogLevelView::new(told.result.as_ref().ok()?, told.clock, cluster.now)));
    let (mut answer, exit) = context.answer_list(&cluster, "LogLevelList", levels.collect());
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, None)?;
    Ok(exit)
}

/// Changes what one agent logs. Its answer says what is in force.
pub(super) async fn change(context: &Context, node: &str, wish: Wish) -> Result<Exit, Stop> {
    require_consent(context)?;
    let cluster = context.ask(Scope::Routers).await?;
    let Some((known, snapshot)) = cluster.of_node(node) else { return Err(unknown_node(&cluster, node)) };
    let id = request_id()?;
    let call = async |validate_only: bool| {
        let question = async |session: Session| ask(&session, node, &wish, id.clone(), validate_only).await;
        let answer = ask_one(&known.endpoint, node, context.global.node_timeout, question).await;
        let view = answer.map(|level| LogLevelView::new(&level, snapshot.clock, Timestamp::now()));
        view.map_err(|failure| Stop::Failure(Box::new(failure), cluster.statuses()))
    };
    let planned = call(true).await?;
    let mut answer = Report::new("LogLevelChange");
    answer.complete = cluster.is_complete();
    answer.nodes = cluster.statuses();
    let (text, view) = if context.global.dry_run {
        (format!("would log on {node} at {}\n", planned.level), planned)
    } else {
        context.out.note(&plan(node, &wish, &planned));
        confirm(context)?;
        let made = call(false).await?;
        let asked = made.asked();
        let what = if asked.is_empty() { "as configured".to_owned() } else { asked };
        (outcome_line(&format!("nodes/{node}"), &format!("logs at {}, {what}", made.level)), made)
    };
    answer.items.push(view);
    context.print(&answer, Some(&text))?;
    Ok(Exit::Done)
}

fn plan(node: &str, wish: &Wish, planned: &LogLevelView) -> String {
    match wish {
        Wish::Set { ttl, .. } => {
            format!(
                "log on {node} at {} for {ttl}, then at {} again",
                planned.level, planned.configured_level
            )
        }
        Wish::Reset => format!("log on {node} at {}, as configured", planned.level),
    }
}

async fn ask(
    session: &Session,
    node: &str,
    wish: &Wish,
    request_id: String,
    validate_only: bool,
) -> Result<v1::LogLevel, Failure> {
    let name = format!("nodes/{node}/logLevel");
    match wish {
        Wish::Set { level, ttl, reason } => {
            let (level, reason, ttl) = (level.clone(), reason.clone(), Some(ttl.to_proto()));
            let request = v1::SetLogLevelRequest { name, level, ttl, reason, request_id, validate_only };
            session.set_log_level(request).await
        }
        Wish::Reset => {
            session.reset_log_level(v1::ResetLogLevelRequest { name, request_id, validate_only }).await
        }
    }
}
