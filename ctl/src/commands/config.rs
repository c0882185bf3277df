//! `hactl config …`: what is in force, what differs, what a text is worth, and a reload.

mod diff;
mod reload;
mod validate;

use std::future::Future;

use crate::args::ConfigCommand;
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::blocks::Block;
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
        ConfigCommand::Reload { reason } => reload::run(context, reason).await,
    }
}

async fn show(context: &Context) -> Result<Exit, Stop> {
    let cluster = context.ask(Scope::Routers).await?;
    let asked = ask_wanted(context, &cluster, |session| async move { session.config().await }).await?;
    let configs: Vec<ConfigView> = asked.into_iter().map(|(_, config)| config.into()).collect();
    let text: Vec<String> = configs.iter().map(|config| block(config, &context.times)).collect();
    let (answer, exit) = context.answer_list(&cluster, "ConfigList", configs);
    context.print(&answer, Some(&text.join("\n")))?;
    Ok(exit)
}

/// Asks each node that has answered and is wanted, and names what it says by the node.
///
/// # Errors
/// When one of them fails now, or none is wanted.
async fn ask_wanted<T, Fut>(
    context: &Context,
    cluster: &Cluster,
    question: impl Fn(Session) -> Fut,
) -> Result<Vec<(String, T)>, Stop>
where
    Fut: Future<Output = Result<T, Failure>>,
{
    let filter = context.filter();
    let nodes = cluster.nodes().into_iter().map(|node| node.node).filter(|node| filter.wants(node));
    let (wanted, endpoints): (Vec<String>, Vec<_>) =
        nodes.filter_map(|node| cluster.endpoint_of(&node).map(|endpoint| (node, endpoint))).unzip();
    if endpoints.is_empty() {
        let message = "none of the nodes that answered is wanted";
        return Err(Failure::usage(message, "hactl node list shows what there is").into());
    }
    let limit = context.global.node_timeout.min(context.global.timeout);
    let answers = ask_all(&endpoints, limit, |_, session| question(session)).await;
    let named = wanted.into_iter().zip(answers).map(|(node, answer)| match answer.result {
        Ok(said) => Ok((node, said)),
        Err(failure) => Err(Stop::Failure(Box::new(failure.on(node)), cluster.statuses())),
    });
    named.collect()
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
