//! The whole file: limits, TOML grammar, its sections, and the order in which they are read.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use crate::files::Files;
use crate::finding::{Finding, Severity};
use crate::instance::{self, Draft, Shared};
use crate::keys;
use crate::model::Configuration;
use crate::report::Report;
use crate::section::Section;
use crate::settings::Settings;
use crate::syntax;
use crate::value::kind;

/// The longest text that is read, in octets: 4 MiB, enough for ten thousand instances.
pub const LARGEST_TEXT: usize = 4 << 20;

/// A configuration text and the name of its file. Has no `Debug`, because the text may contain secrets.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The file as it is to be named in findings; password files are looked for beside it.
    pub path: &'a Path,
    /// What it contains.
    pub text: &'a str,
}

/// What a configuration needs to know of the node it is for.
pub struct Context<'a> {
    /// The node's name when the file does not set one.
    pub host_name: &'a str,
    /// Reads a password file. What it refuses (for example a file that others may read) becomes a finding with the text
    /// of its error.
    pub read_file: &'a mut dyn FnMut(&Path) -> io::Result<String>,
}

/// What came of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The configuration, when no finding is an error.
    pub model: Option<Configuration>,
    /// By place in the file; at most 500.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// How many findings are errors.
    pub fn errors(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Error).count()
    }
}

/// Reads a configuration. Never panics, whatever the text.
pub fn parse(source: &Source<'_>, context: &mut Context<'_>) -> Outcome {
    let mut report = Report::new(source.path.display().to_string(), source.text);
    let model = read(source, context, &mut report);
    let model = model.filter(|_| report.is_usable());
    Outcome { model, findings: report.finish() }
}

/// Like [`parse`], for octets that may not be UTF-8.
pub fn parse_bytes(path: &Path, octets: &[u8], context: &mut Context<'_>) -> Outcome {
    match str::from_utf8(octets) {
        Ok(text) => parse(&Source { path, text }, context),
        Err(error) => {
            let valid = error.valid_up_to();
            let text = octets.get(..valid).and_then(|valid| str::from_utf8(valid).ok()).unwrap_or_default();
            let mut report = Report::new(path.display().to_string(), text);
            report.error(&(valid..valid), "the text is not UTF-8 from here on", "save the file as UTF-8");
            Outcome { model: None, findings: report.finish() }
        }
    }
}

fn read(source: &Source<'_>, context: &mut Context<'_>, report: &mut Report<'_>) -> Option<Configuration> {
    if source.text.len() > LARGEST_TEXT {
        let message = format!("the file has {} octets, more than {LARGEST_TEXT}", source.text.len());
        report.error(&(0..0), message, "is it the right file? Set common values once in [defaults]");
        return None;
    }
    if let Some(nul) = source.text.find('\0') {
        report.error(&(nul..nul + 1), "the file contains a NUL octet", "is it the right file? Remove it");
        return None;
    }
    let (table, syntax_errors) = DeTable::parse_recoverable(source.text);
    syntax::report_all(&syntax_errors, source.text, report);
    let root = Section::new("the file", 0..0, table.get_ref());
    let settings = Settings::read(&root, context.host_name, report);
    let instances = read_instances(&root, &settings, source, context, report, !syntax_errors.is_empty());
    let digest = Sha256::digest(source.text).iter().map(|octet| format!("{octet:02x}")).collect();
    Some(Configuration {
        node_name: settings.node_name,
        instances,
        api: settings.api,
        metrics: settings.metrics,
        telemetry: settings.telemetry,
        log: settings.log,
        realtime: settings.realtime,
        digest,
    })
}

fn read_instances(
    root: &Section<'_>,
    settings: &Settings,
    source: &Source<'_>,
    context: &mut Context<'_>,
    report: &mut Report<'_>,
    text_is_broken: bool,
) -> Vec<ha_engine::InstanceConfig> {
    let mut files = Files { beside: source.path, read_file: context.read_file };
    root.reject_unknown(report, keys::SECTIONS, section_remedy);
    let defaults = root.table(report, "defaults", "[defaults]");
    let defaults = defaults
        .map(|section| Shared::read_defaults(&section, &mut files, report))
        .unwrap_or_else(Shared::nothing);
    let drafts: Vec<Draft> = tables_of_instances(root, report)
        .into_iter()
        .map(|section| Draft::read(section, &defaults, &mut files, report))
        .collect();
    if text_is_broken {
        // What seems to be missing or in conflict may only stand in the part that could not be read.
        return Vec::new();
    }
    if drafts.is_empty() && report.is_usable() {
        let message = "there is no [[instance]], so no virtual address is held";
        report.warning(&(0..0), message, "add one with name, interface, virtual_router_id and addresses");
    }
    instance::across::check(&drafts, report);
    drafts.iter().filter_map(|draft| draft.build(&settings.realtime, report)).collect()
}

/// The `[[instance]]` tables; anything else under that name is reported.
fn tables_of_instances<'t>(root: &Section<'t>, report: &mut Report<'_>) -> Vec<Section<'t>> {
    const REMEDY: &str = "write [[instance]], in two brackets, above the keys of each instance";
    let Some(value) = root.get("instance") else {
        return Vec::new();
    };
    let DeValue::Array(array) = value.get_ref() else {
        report.error(&value.span(), format!("instance is {}", kind(value.get_ref())), REMEDY);
        return Vec::new();
    };
    let mut tables = Vec::with_capacity(array.len());
    for element in array {
        match element.get_ref() {
            DeValue::Table(table) => tables.push(Section::new("instance", element.span(), table)),
            other => report.error(&element.span(), format!("an instance is {}", kind(other)), REMEDY),
        }
    }
    tables
}

fn section_remedy(word: &str) -> Option<String> {
    match word {
        "instances" | "vrrp" | "router" | "routers" | "virtual_router" | "group" => {
            Some("write [[instance]]".to_owned())
        }
        word if keys::SHARED.contains(&word) || keys::OWN.contains(&word) => {
            Some("it belongs below an [[instance]] or [defaults]".to_owned())
        }
        word => keys::foreign_remedy(word),
    }
}
