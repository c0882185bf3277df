//! `hactl config …`: what is in force, what differs, what a text is worth, and a reload.

mod convert;
mod diff;
mod reload;
mod validate;

use std::future::Future;

use ha_proto::v1;

use crate::args::ConfigCommand;
use crate::cluster::{Cluster, none_answered};
use crate::commands::Context;
use crate::commands::blocks::Block;
use crate::commands::lacks::lack;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::{Scope, ask_all};
use crate::model::ConfigView;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint};
use crate::session::Session;

impl Item for ConfigView {
    const KIND: &'static str = "Config";

    fn name(&self) -> String {
        self.name.clone()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["NODE", "DIGEST", "LOADED", "SOURCE"]
    }

    fn cells(&self, _wide: bool, times: &Times) -> Vec<Cell> {
        vec![
            Cell::painted(Paint::Bold, &self.node),
            Cell::new(short(&self.digest)),
            Cell::new(times.maybe(self.load_time)),
            Cell::new(&self.source),
        ]
    }
}

/// Does what the user asked for.
///
/// # Errors
/// What stopped it.
pub(crate) async fn run(context: &Context, command: ConfigCommand) -> Result<Exit, Stop> {
    match command {
        ConfigCommand::Show => show(context).await,
        ConfigCommand::Diff { against } => diff::run(context, against).await,
        ConfigCommand::Validate { file } => validate::run(context, &file).await,
        ConfigCommand::Convert { file } => convert::run(context, &file),
        ConfigCommand::Reload { reason } => reload::run(context, reason).await,
    }
}

async fn show(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let Asked { told, mut lacks } =
        ask_wanted(context, &cluster, |session| async move { session.config().await }).await?;
    let configs: Vec<ConfigView> = told.into_iter().map(|(_, config)| config.into()).collect();
    lacks.extend(configs.iter().filter_map(cut));
    let text: Vec<String> = configs.iter().map(|config| block(config, &context.times)).collect();
    let (mut answer, exit) = context.answer_list(&cluster, "ConfigList", configs);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, Some(&text.join("\n")))?;
    Ok(exit)
}

/// What nodes said, by node, and why others of them did not.
struct Asked<T> {
    told: Vec<(String, T)>,
    lacks: Vec<Failure>,
}

impl<T> Asked<T> {
    /// What they said, or the first failure where all must have said something.
    fn all(self, cluster: &Cluster) -> Result<Vec<(String, T)>, Stop> {
        match self.lacks.into_iter().next() {
            Some(failure) => Err(Stop::Failure(Box::new(failure), cluster.statuses())),
            None => Ok(self.told),
        }
    }
}

/// Asks each node that has answered and is wanted.
///
/// # Errors
/// When none of them answers now.
async fn ask_wanted<T, Fut>(
    context: &Context,
    cluster: &Cluster,
    question: impl Fn(Session) -> Fut,
) -> Result<Asked<T>, Stop>
where
    Fut: Future<Output = Result<T, Failure>>,
{
    let filter = context.filter();
    ask_those(context, cluster, |node| filter.wants(node), question).await
}

/// Asks each node that has answered and is meant.
///
/// # Errors
/// As [`ask_wanted`].
async fn ask_those<T, Fut>(
    context: &Context,
    cluster: &Cluster,
    is_meant: impl Fn(&str) -> bool,
    question: impl Fn(Session) -> Fut,
) -> Result<Asked<T>, Stop>
where
    Fut: Future<Output = Result<T, Failure>>,
{
    let nodes = cluster.nodes().into_iter().map(|node| node.node).filter(|node| is_meant(node));
    let (names, endpoints): (Vec<String>, Vec<_>) =
        nodes.filter_map(|node| cluster.endpoint_of(&node).map(|endpoint| (node, endpoint))).unzip();
    let limit = context.global.node_timeout.min(context.global.timeout);
    let answers = ask_all(&endpoints, limit, |_, session| question(session)).await;
    let mut asked = Asked { told: Vec::new(), lacks: Vec::new() };
    for (node, answer) in names.into_iter().zip(answers) {
        match answer.result {
            Ok(said) => asked.told.push((node, said)),
            Err(failure) => asked.lacks.push(failure.on(node)),
        }
    }
    if asked.told.is_empty() {
        if asked.lacks.len() > 1 && !context.global.output.is_for_programs() {
            asked.lacks.iter().for_each(|lack| context.out.note(&format!("missing: {lack}")));
        }
        let failure = none_answered(&asked.lacks.iter().collect::<Vec<_>>());
        return Err(Stop::Failure(Box::new(failure), cluster.statuses()));
    }
    Ok(asked)
}

/// What each wanted node says about its own file, without reloading it.
///
/// # Errors
/// As [`ask_wanted`].
async fn judge_own_files(
    context: &Context,
    cluster: &Cluster,
) -> Result<Asked<v1::ReloadConfigResponse>, Stop> {
    ask_wanted(context, cluster, |session| async move {
        let request = v1::ReloadConfigRequest { validate_only: true, ..Default::default() };
        session.reload_config(request).await
    })
    .await
}

/// That a node had more in force than fits into its answer.
pub(super) fn cut(config: &ConfigView) -> Option<Failure> {
    let message =
        format!("only the first {} values of its configuration fitted into the answer", config.values.len());
    let remedy = "ha-agent check --summary on that node shows what its file does";
    config.truncated.then(|| lack(&config.node, "CONFIG_TRUNCATED", message, remedy))
}

fn block(config: &ConfigView, times: &Times) -> String {
    let heading = format!(
        "CONFIG {}  {}  in force since {}",
        paint(Paint::Bold, &config.node),
        short(&config.digest),
        times.maybe(config.load_time),
    );
    let mut block = Block::new(heading);
    block.fact("from", &config.source);
    let mut text = block.render();
    for value in &config.values {
        let line = format!("{} = {}", value.key, value.value);
        text.push_str(&format!("  {}\n", paint(Paint::Plain, &line)));
    }
    if config.truncated {
        text.push_str(&paint(Paint::Warn, "  … and more, too much for one answer\n"));
    }
    text
}

/// As much of a digest as people compare.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
