//! Configurations: what is in force, what is wrong with a text, what differs.

use ha_proto::v1;
use jiff::Timestamp;
use serde::Serialize;

use crate::clock::timestamp;
use crate::model::some;
use crate::names;

/// What is in force on a node. The fields mean what `ha.agent.v1.Config` says.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ConfigView {
    pub name: String,
    pub node: String,
    pub digest: String,
    pub source: String,
    pub load_time: Option<Timestamp>,
    pub etag: String,
    pub values: Vec<ConfigValueView>,
    pub truncated: bool,
}

/// One value in force.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub(crate) struct ConfigValueView {
    pub key: String,
    pub value: String,
}

impl From<v1::Config> for ConfigView {
    fn from(config: v1::Config) -> Self {
        let values = config.values.into_iter();
        ConfigView {
            node: names::node(&config.name).to_owned(),
            name: config.name,
            digest: config.digest,
            source: config.source,
            load_time: timestamp(config.load_time.as_ref()),
            etag: config.etag,
            values: values.map(|v1::ConfigValue { key, value }| ConfigValueView { key, value }).collect(),
            truncated: config.truncated,
        }
    }
}

/// One thing that is wrong with a text, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs)]
pub(crate) struct FindingView {
    pub node: String,
    /// The file that was judged.
    pub file: String,
    /// ERROR or WARNING.
    pub level: &'static str,
    /// From 1; nothing when it is about no place in particular.
    pub line: Option<i32>,
    pub column: Option<i32>,
    pub message: String,
    pub remedy: Option<String>,
    /// The line of the text, secrets masked.
    pub source_line: Option<String>,
}

impl FindingView {
    /// As `node` says it about `file`.
    pub(crate) fn new(node: &str, file: &str, finding: &v1::ConfigFinding) -> Self {
        let number = |number: i32| (number > 0).then_some(number);
        FindingView {
            node: node.to_owned(),
            file: file.to_owned(),
            level: finding.level().as_str_name().trim_start_matches("LEVEL_"),
            line: number(finding.line),
            column: number(finding.column),
            message: finding.message.clone(),
            remedy: some(&finding.remedy),
            source_line: some(&finding.source_line),
        }
    }

    /// As this program itself says it, of whichever file it is about.
    pub(crate) fn own(finding: &ha_config::Finding) -> Self {
        let number = |number: usize| i32::try_from(number).ok();
        FindingView {
            node: String::new(),
            file: finding.file.clone(),
            level: if finding.severity == ha_config::Severity::Error { "ERROR" } else { "WARNING" },
            line: number(finding.line),
            column: number(finding.column),
            message: finding.message.clone(),
            remedy: finding.remedy.clone(),
            source_line: some(finding.source_line()),
        }
    }

    /// Whether it keeps the text from being used.
    pub(crate) fn is_error(&self) -> bool {
        self.level == "ERROR"
    }

    /// `file:3:7: error: message; remedy`.
    pub(crate) fn headline(&self) -> String {
        let place = self.line.zip(self.column).map(|(line, column)| format!(":{line}:{column}"));
        let remedy = self.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        let (file, level) = (&self.file, self.level.to_lowercase());
        format!("{file}{}: {level}: {}{remedy}", place.unwrap_or_default(), self.message)
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct DifferenceView {
    /// The node whose configuration in force is looked at.
    pub node: String,
    /// What it is compared with: a node or a file.
    pub against: String,
    /// The key, when two nodes are compared; otherwise what the file would change.
    pub what: String,
    /// The value in force on `node`, when two nodes are compared; nothing = it has none.
    pub value: Option<String>,
    /// The value of the other node; nothing = it has none.
    pub other_value: Option<String>,
    /// Takes effect when the agent is started anew.
    pub restart_needed: bool,
}
