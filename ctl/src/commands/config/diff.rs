//! `hactl config diff`: what is in force against the node's own file, another node, or a file here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ha_proto::v1;

use super::{Asked, ask_those, cut, judge_own_files, validate};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::commands::unknown::unknown_node;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::{ConfigView, DifferenceView, FindingView};
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint};

/// Names the node and nothing else: differs between any two.
const OWN_KEY: &str = "node.name";

impl Item for DifferenceView {
    const KIND: &'static str = "ConfigDifference";

    fn name(&self) -> String {
        format!("{}: {}", self.node, self.what)
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["NODE", "WHAT", "IN FORCE", "AGAINST", "VALUE THERE"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![
            Cell::painted(Paint::Bold, &self.node),
            Cell::new(&self.what),
            Cell::new(self.value.as_deref().unwrap_or_default()),
            Cell::new(&self.against),
            Cell::new(self.other_value.as_deref().unwrap_or_default()),
        ]
    }
}

/// What was compared, and what came of it.
#[derive(Default)]
struct Compared {
    differences: Vec<DifferenceView>,
    findings: Vec<FindingView>,
    /// What could not be compared.
    lacks: Vec<Failure>,
    text: String,
}

/// Shows the differences; exit status 3 when there are any.
pub(super) async fn run(context: &Context, against: Option<String>) -> Result<Exit, Stop> {
    let file = against.as_deref().filter(|text| names_a_file(text)).map(Path::new);
    let text = file.map(|file| validate::read(file).map(|text| (file, text))).transpose()?;
    let cluster = context.ask(Scope::Routers).await?;
    let compared = match (text, &against) {
        (Some((file, text)), _) => with_file(context, &cluster, file, &text).await?,
        (None, Some(node)) => with_node(context, &cluster, node).await?,
        (None, None) => with_own_file(context, &cluster).await?,
    };
    let Compared { differences, findings, lacks, text } = compared;
    let broken = findings.iter().any(FindingView::is_error);
    let differs = broken || !differences.is_empty();
    let (mut answer, exit) = context.answer_list(&cluster, "ConfigDifferenceList", differences);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, Some(&(validate::by_text(&findings) + &text)))?;
    Ok(if differs { Exit::ConditionFalse } else { exit })
}

fn names_a_file(text: &str) -> bool {
    text == "-" || text.contains('/') || text.ends_with(".toml")
}

async fn with_own_file(context: &Context, cluster: &Cluster) -> Result<Compared, Stop> {
    let Asked { told, lacks } = judge_own_files(context, cluster).await?;
    let mut compared = Compared { lacks, ..Compared::default() };
    for (node, answer) in told {
        let source = answer.config.map(|config| config.source).unwrap_or_default();
        compared.add(&node, &source, &answer.changes, &answer.findings);
    }
    Ok(compared)
}

async fn with_file(context: &Context, cluster: &Cluster, file: &Path, text: &str) -> Result<Compared, Stop> {
    let Asked { told, lacks } = validate::judge(context, cluster, text).await?;
    let mut compared = Compared { lacks, ..Compared::default() };
    for (node, answer) in told {
        compared.add(&node, &file.display().to_string(), &answer.changes, &answer.findings);
    }
    Ok(compared)
}

async fn with_node(context: &Context, cluster: &Cluster, against: &str) -> Result<Compared, Stop> {
    if !cluster.nodes().iter().any(|node| node.node == against) {
        return Err(unknown_node(cluster, against));
    }
    let filter = context.filter();
    let is_compared = |node: &str| node != against && filter.wants(node);
    if !cluster.nodes().iter().any(|node| is_compared(&node.node)) {
        let message = format!("there is no other node to compare with {against}");
        let remedy =
            "name a second one with --endpoint or -n; without --against a node is compared with its own file";
        return Err(Failure::usage(message, remedy).into());
    }
    let is_meant = |node: &str| node == against || is_compared(node);
    let asked = ask_those(context, cluster, is_meant, |session| async move { session.config().await });
    let Asked { told, mut lacks } = asked.await?;
    let configs: Vec<ConfigView> = told.into_iter().map(|(_, config)| config.into()).collect();
    let Some(other) = configs.iter().find(|config| config.node == against) else {
        let failure = lacks.into_iter().find(|lack| *lack.node == *against);
        let failure =
            failure.unwrap_or_else(|| Failure::internal(format!("{against} was there a moment ago")));
        return Err(Stop::Failure(Box::new(failure), cluster.statuses()));
    };
    lacks.extend(configs.iter().filter_map(cut));
    let mut compared = Compared { lacks, ..Compared::default() };
    for config in configs.iter().filter(|config| config.node != against) {
        let differences = between(config, other);
        compared.say(&config.node, against, differences.len());
        compared.text.extend(differences.iter().map(line));
        compared.differences.extend(differences);
    }
    Ok(compared)
}

/// Values by which two nodes differ, but for their names. What was cut off from an answer is not known to differ.
fn between(config: &ConfigView, other: &ConfigView) -> Vec<DifferenceView> {
    let (ours, theirs) = (table(config), table(other));
    let keys: BTreeSet<&str> = ours.keys().chain(theirs.keys()).copied().collect();
    let is_told = |key: &str| {
        (!config.truncated || ours.contains_key(key)) && (!other.truncated || theirs.contains_key(key))
    };
    let differing = keys.into_iter().filter(|key| *key != OWN_KEY && ours.get(key) != theirs.get(key));
    let differing = differing.filter(|key| is_told(key));
    differing
        .map(|key| DifferenceView {
            node: config.node.clone(),
            against: other.node.clone(),
            what: key.to_owned(),
            value: ours.get(key).map(|value| (*value).to_owned()),
            other_value: theirs.get(key).map(|value| (*value).to_owned()),
            restart_needed: false,
        })
        .collect()
}

fn table(config: &ConfigView) -> BTreeMap<&str, &str> {
    config.values.iter().map(|value| (value.key.as_str(), value.value.as_str())).collect()
}

fn line(difference: &DifferenceView) -> String {
    let absent = "(absent)";
    let text = format!(
        "  {} = {}, there {}\n",
        difference.what,
        difference.value.as_deref().unwrap_or(absent),
        difference.other_value.as_deref().unwrap_or(absent)
    );
    crate::render::clean(text.trim_end()).into_owned() + "\n"
}

impl Compared {
    fn add(
        &mut self,
        node: &str,
        against: &str,
        changes: &[v1::ConfigChange],
        findings: &[v1::ConfigFinding],
    ) {
        self.findings.extend(findings.iter().map(|finding| FindingView::new(node, against, finding)));
        if findings.iter().any(|finding| finding.level() == v1::config_finding::Level::Error) {
            let what = format!("{against} cannot be put in force on {node}\n");
            self.text.push_str(&paint(Paint::Bad, what.trim_end()));
            self.text.push('\n');
            return;
        }
        self.say(node, against, changes.len());
        for change in changes {
            self.text.push_str(&format!("  {}\n", paint(Paint::Plain, &change.change)));
            self.differences.push(DifferenceView {
                node: node.to_owned(),
                against: against.to_owned(),
                what: change.change.clone(),
                value: None,
                other_value: None,
                restart_needed: change.restart_needed,
            });
        }
    }

    fn say(&mut self, node: &str, against: &str, count: usize) {
        let verdict = match count {
            0 => paint(Paint::Good, "the same"),
            1 => paint(Paint::Warn, "1 difference"),
            count => paint(Paint::Warn, &format!("{count} differences")),
        };
        let (node, against) = (paint(Paint::Bold, node), paint(Paint::Plain, against));
        self.text.push_str(&format!("{node} against {against}: {verdict}\n"));
    }
}
