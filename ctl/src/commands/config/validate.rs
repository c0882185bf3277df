//! `hactl config validate FILE`: each node judges the text as its own.

use std::io::Read;
use std::path::Path;

use ha_proto::v1;

use super::{Asked, ask_wanted};
use crate::cluster::Cluster;
use crate::commands::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::fanout::Scope;
use crate::model::FindingView;
use crate::output::Stop;
use crate::render::{Cell, Item, Paint, Times, paint};

/// An agent takes no larger request.
const MOST_OCTETS: u64 = (1 << 20) - 1024;

impl Item for FindingView {
    const KIND: &'static str = "ConfigFinding";

    fn name(&self) -> String {
        self.headline()
    }

    fn headers(_wide: bool) -> Vec<&'static str> {
        vec!["NODE", "FINDING"]
    }

    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        vec![Cell::painted(Paint::Bold, &self.node), Cell::new(self.headline())]
    }
}

/// Has the file judged by each node that is wanted.
pub(super) async fn run(context: &Context, file: &Path) -> Result<Exit, Stop> {
    let text = read(file)?;
    let label = file.display().to_string();
    let cluster = context.ask(Scope::Routers).await?;
    let Asked { told: judged, lacks } = judge(context, &cluster, &text).await?;
    let mut findings = Vec::new();
    for (node, answer) in &judged {
        findings.extend(answer.findings.iter().map(|finding| FindingView::new(node, &label, finding)));
    }
    let usable = judged.iter().all(|(_, answer)| answer.valid);
    let mut shown = by_text(&findings);
    for (node, answer) in &judged {
        let own = findings.iter().filter(|finding| finding.node == *node && finding.is_error()).count();
        let verdict = match (answer.valid, own) {
            (true, _) => paint(Paint::Good, "can be put in force"),
            (false, 1) => paint(Paint::Bad, "cannot be put in force, 1 error"),
            (false, count) => paint(Paint::Bad, &format!("cannot be put in force, {count} errors")),
        };
        shown.push_str(&format!(
            "{}: {verdict} on {}\n",
            paint(Paint::Plain, &label),
            paint(Paint::Bold, node)
        ));
    }
    let (mut answer, exit) = context.answer_list(&cluster, "ConfigFindingList", findings);
    let exit = context.without(&cluster, &mut answer, exit, lacks);
    context.print(&answer, Some(&shown))?;
    Ok(if usable { exit } else { Exit::ConditionFalse })
}

/// What each node says about a text.
pub(super) async fn judge(
    context: &Context,
    cluster: &Cluster,
    text: &str,
) -> Result<Asked<v1::ValidateConfigResponse>, Stop> {
    ask_wanted(context, cluster, |session| {
        let text = text.to_owned();
        async move { session.validate_config(text).await }
    })
    .await
}

/// The text to be judged, bounded.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MOST_OCTETS + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(MOST_OCTETS + 1).read_to_string(&mut text))
    };
    let label = file.display();
    match read {
        Err(error) => Err(Failure::usage(format!("cannot read {label}: {error}"), "name another file")),
        Ok(octets) if octets as u64 > MOST_OCTETS => {
            let message = format!("{label} is larger than an agent takes from afar ({MOST_OCTETS} octets)");
            Err(Failure::usage(message, "copy it to the node and run ha-agent check FILE there"))
        }
        Ok(_) => Ok(text),
    }
}

/// Each finding once, with the nodes that see it and the line it is about.
pub(super) fn by_text(findings: &[FindingView]) -> String {
    let mut text = String::new();
    for (index, finding) in findings.iter().enumerate() {
        let same = |other: &&FindingView| other.headline() == finding.headline();
        if findings[..index].iter().any(|earlier| same(&earlier)) {
            continue;
        }
        let style = if finding.is_error() { Paint::Bad } else { Paint::Warn };
        let nodes: Vec<&str> = findings.iter().filter(same).map(|other| other.node.as_str()).collect();
        text.push_str(&format!(
            "{}  {}\n",
            paint(style, &finding.headline()),
            paint(Paint::Dim, &format!("({})", nodes.join(", ")))
        ));
        if let Some((line, source)) = finding.line.zip(finding.source_line.as_ref()) {
            text.push_str(&format!("  {line} | {}\n", paint(Paint::Plain, source)));
        }
    }
    text
}
