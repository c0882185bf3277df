//! The envelope that programs read, the same on success and on failure, as JSON, JSON lines or YAML; and the choice
//! between it, a table and bare names.

use serde::Serialize;

use crate::args::Format;
use crate::failure::Failure;
use crate::model::NodeStatus;
use crate::render::{Cell, Layout, Table, Times};
use crate::verdict::{Reason, Verdict};

/// The API that the fields follow.
const API_VERSION: &str = "ha.agent.v1";

/// Something that can stand in a list.
pub(crate) trait Item: Serialize {
    /// Its kind in JSON lines.
    const KIND: &'static str;
    /// What to tell a reader of a list that has none.
    const NONE: &'static str = "";
    /// Its resource name.
    fn name(&self) -> String;
    /// The columns; more when wide. None when it is told in sentences instead.
    fn headers(_wide: bool) -> Vec<&'static str> {
        Vec::new()
    }
    /// Its cells.
    fn cells(&self, _wide: bool, _times: &Times) -> Vec<Cell> {
        Vec::new()
    }
}

/// An answer to be printed.
#[derive(Debug, Serialize)]
pub(crate) struct Report<T> {
    /// Always `ha.agent.v1`.
    pub api_version: &'static str,
    /// What was asked for.
    pub kind: &'static str,
    /// Who asked, and when.
    pub observer: Observer,
    /// Whether each node asked has answered, and none has left anything out.
    pub complete: bool,
    /// Is it OK? Only where that was judged.
    pub verdict: Option<Verdict>,
    /// Why not, beyond what the items say themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
    /// The answer itself.
    pub items: Vec<T>,
    /// Each node asked.
    pub nodes: Vec<NodeStatus>,
    /// What nodes that answered have left out, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Failure>,
    /// Where to go on with `--resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_token: Option<String>,
    /// What ended the run, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

/// Who asked, and when.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Observer {
    /// This machine.
    pub host: String,
    /// hactl and its version.
    pub client: &'static str,
    /// Our clock.
    pub time: jiff::Timestamp,
}

impl Observer {
    fn here() -> Self {
        // Only a label: a machine that does not tell its name goes without.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Observer {
            host: host.trim().to_owned(),
            client: concat!("hactl/", env!("CARGO_PKG_VERSION")),
            time: jiff::Timestamp::now(),
        }
    }
}

impl<T> Report<T> {
    /// An empty answer.
    pub(crate) fn new(kind: &'static str) -> Self {
        Report {
            api_version: API_VERSION,
            kind,
            observer: Observer::here(),
            complete: true,
            verdict: None,
            reasons: Vec::new(),
            items: Vec::new(),
            nodes: Vec::new(),
            missing: Vec::new(),
            resume_token: None,
            error: None,
        }
    }
}

/// The last line of JSON lines: the envelope without items and nodes, which came before.
#[derive(Debug, Serialize)]
pub(crate) struct Tail<'a> {
    /// As in the envelope.
    pub api_version: &'static str,
    /// As in the envelope: what was asked for.
    pub of: &'static str,
    /// As in the envelope.
    pub observer: Observer,
    /// As in the envelope.
    pub complete: bool,
    /// As in the envelope.
    pub verdict: Option<Verdict>,
    /// As in the envelope.
    #[serde(skip_serializing_if = "<[Reason]>::is_empty")]
    pub reasons: &'a [Reason],
    /// As in the envelope.
    #[serde(skip_serializing_if = "<[Failure]>::is_empty")]
    pub missing: &'a [Failure],
    /// As in the envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resume_token: Option<&'a str>,
    /// As in the envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a Failure>,
}

#[derive(Serialize)]
struct Line<'a, T> {
    kind: &'a str,
    #[serde(flatten)]
    content: &'a T,
}

/// One line of JSON with its kind.
///
/// # Errors
/// When the content cannot be written as JSON, which would be a bug.
pub(crate) fn jsonl_line<T: Serialize>(kind: &str, content: &T) -> Result<String, Failure> {
    let line = serde_json::to_string(&Line { kind, content }).map_err(unwritable)?;
    Ok(line + "\n")
}

/// The line that ends JSON lines.
///
/// # Errors
/// As [`jsonl_line`].
pub(crate) fn end_line<T>(report: &Report<T>) -> Result<String, Failure> {
    let tail = Tail {
        api_version: report.api_version,
        of: report.kind,
        observer: report.observer.clone(),
        complete: report.complete,
        verdict: report.verdict,
        reasons: &report.reasons,
        missing: &report.missing,
        resume_token: report.resume_token.as_deref(),
        error: report.error.as_ref(),
    };
    jsonl_line("End", &tail)
}

/// The answer in the wanted form. `text` replaces the plain table for readers.
///
/// # Errors
/// When it cannot be written as JSON or YAML, which would be a bug.
pub(crate) fn report<T: Item>(
    report: &Report<T>,
    format: Format,
    layout: Layout,
    times: &Times,
    text: Option<&str>,
) -> Result<String, Failure> {
    match format {
        Format::Json => Ok(serde_json::to_string_pretty(report).map_err(unwritable)? + "\n"),
        Format::Yaml => serde_yaml_ng::to_string(report).map_err(unwritable),
        Format::Jsonl => {
            let mut out = String::new();
            for item in &report.items {
                out.push_str(&jsonl_line(T::KIND, item)?);
            }
            for node in &report.nodes {
                out.push_str(&jsonl_line("NodeStatus", node)?);
            }
            Ok(out + &end_line(report)?)
        }
        Format::Name => Ok(report.items.iter().map(|item| item.name() + "\n").collect()),
        Format::Table | Format::Wide => Ok(match text {
            Some(text) => text.to_owned(),
            None => table(&report.items, format == Format::Wide, layout, times),
        }),
    }
}

fn table<T: Item>(items: &[T], wide: bool, layout: Layout, times: &Times) -> String {
    let mut table = Table::new(T::headers(wide));
    for item in items {
        table.row(item.cells(wide, times));
    }
    table.render(layout)
}

fn unwritable(error: impl std::fmt::Display) -> Failure {
    Failure::internal(format!("cannot write the answer: {error}"))
}
