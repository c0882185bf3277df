//! The whole file: limits, TOML grammar, its sections, and the order in which they are read.

use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use toml::de::DeTable;

use crate::cluster;
use crate::drafts::{Drafts, Whole};
use crate::files::Files;
use crate::finding::{Finding, Severity};
use crate::keepalived::{self, Conversion, Machine};
use crate::keys;
use crate::model::Configuration;
use crate::pool;
use crate::report::Report;
use crate::section::Section;
use crate::settings::Settings;
use crate::syntax;

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
    /// What a keepalived.conf may include, and which users there are.
    pub machine: &'a mut dyn Machine,
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

/// Reads a configuration, TOML or a keepalived.conf. Never panics, whatever the text.
pub fn parse(source: &Source<'_>, context: &mut Context<'_>) -> Outcome {
    let mut report = Report::new(source.path.display().to_string(), source.text);
    if !is_text(source.text, &mut report) {
        return Outcome { model: None, findings: report.finish() };
    }
    if is_foreign(source) {
        return keepalived::read(source, context).outcome;
    }
    let model = read_toml(source, context, &mut report);
    let model = model.filter(|_| report.is_usable());
    Outcome { model, findings: report.finish() }
}

/// Writes a keepalived.conf as TOML, and says what it means; `None` when the text is none. What the TOML means is the same,
/// with the passwords that the keepalived.conf contains.
pub fn convert(source: &Source<'_>, context: &mut Context<'_>) -> Option<Conversion> {
    let mut report = Report::new(source.path.display().to_string(), source.text);
    let is_one = is_text(source.text, &mut report) && is_foreign(source);
    is_one.then(|| keepalived::read(source, context))
}

/// Whether it is a keepalived.conf: what is TOML is never one.
fn is_foreign(source: &Source<'_>) -> bool {
    keepalived::is_one(source) && !DeTable::parse_recoverable(source.text).1.is_empty()
}

/// Like [`parse`], for octets that may not be UTF-8.
pub fn parse_bytes(path: &Path, octets: &[u8], context: &mut Context<'_>) -> Outcome {
    match str::from_utf8(octets) {
        Ok(text) => parse(&Source { path, text }, context),
        // Comments of old files are in whatever their writers had.
        Err(_) if is_foreign(&Source { path, text: &String::from_utf8_lossy(octets) }) => {
            parse(&Source { path, text: &String::from_utf8_lossy(octets) }, context)
        }
        Err(error) => {
            let valid = error.valid_up_to();
            let text = octets.get(..valid).and_then(|valid| str::from_utf8(valid).ok()).unwrap_or_default();
            let mut report = Report::new(path.display().to_string(), text);
            report.error(&(valid..valid), "the text is not UTF-8 from here on", "save the file as UTF-8");
            Outcome { model: None, findings: report.finish() }
        }
    }
}

/// Whether it can be a configuration at all.
fn is_text(text: &str, report: &mut Report<'_>) -> bool {
    if text.len() > LARGEST_TEXT {
        let message = format!("the file has {} octets, more than {LARGEST_TEXT}", text.len());
        report.error(&(0..0), message, "is it the right file? Set common values once in [defaults]");
        return false;
    }
    if let Some(nul) = text.find('\0') {
        report.error(&(nul..nul + 1), "the file contains a NUL octet", "is it the right file? Remove it");
        return false;
    }
    true
}

/// The SHA-256 of texts, one behind the other.
pub(crate) fn digest<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    let mut digest = Sha256::new();
    texts.into_iter().for_each(|text| digest.update(text));
    digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What a text in TOML says.
pub(crate) fn read_toml(
    source: &Source<'_>,
    context: &mut Context<'_>,
    report: &mut Report<'_>,
) -> Option<Configuration> {
    let (table, syntax_errors) = DeTable::parse_recoverable(source.text);
    syntax::report_all(&syntax_errors, source.text, report);
    let root = Section::new("the file", 0..0, table.get_ref());
    let settings = Settings::read(&root, context.host_name, report);
    root.reject_unknown(report, keys::SECTIONS, section_remedy);
    let cluster = cluster::read(&root, &settings, report);
    let mut files = Files { beside: source.path, read_file: context.read_file };
    let nginx = pool::read_nginx(&root, report);
    let drafts = Drafts::read(&root, &mut files, report);
    // What seems to be missing or in conflict may only stand in the part that could not be read.
    let whole = if syntax_errors.is_empty() { drafts.build(&settings, report) } else { Whole::default() };
    let digest = digest([source.text]);
    Some(Configuration {
        node_name: settings.node_name,
        instances: whole.instances,
        checks: whole.checks,
        pools: whole.pools,
        nginx,
        notifiers: whole.notifiers,
        mail: whole.mail,
        cluster,
        api: settings.api,
        metrics: settings.metrics,
        journal: settings.journal,
        telemetry: settings.telemetry,
        log: settings.log,
        realtime: settings.realtime,
        digest,
    })
}

fn section_remedy(word: &str) -> Option<String> {
    match word {
        "instances" | "vrrp" | "router" | "routers" | "virtual_router" | "group" => {
            Some("write [[instance]]".to_owned())
        }
        "keepalived" => Some("it counts in a file beside a keepalived.conf only: remove it here".to_owned()),
        word if keys::SHARED.contains(&word) || keys::OWN.contains(&word) => {
            Some("it belongs below an [[instance]] or [defaults]".to_owned())
        }
        word => keys::foreign_remedy(word),
    }
}
