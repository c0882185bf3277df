//! A keepalived.conf as our configuration: its language is read as keepalived reads it, its statements become TOML with the place
//! that each line comes from, and that TOML is read like any other. So what `convert` prints is what a loaded file means.
//!
//! Defaults are keepalived's: version 2, scripts without jitter whose first result counts, root. What it does not have stays as it is here:
//! addresses have a lease in the kernel, and announcements keep an interval. `KEEPALIVED.md` has every keyword.

mod beside;
mod expand;
mod files;
mod keywords;
mod machine;
mod toml;
mod translate;
mod tree;

use std::path::Path;

use crate::document::{self, Context, Outcome, Source};
use crate::finding::Severity;
use crate::report::Report;
use expand::Expander;
use files::{Files, Reports};
pub use machine::{Machine, NoMachine, program_files};
use toml::{Manner, Toml};
use translate::Node;

/// What begins a block of keepalived and nothing of ours, or stands at the top of such a file.
const BEGINNINGS: &[&str] = &[
    "global_defs",
    "vrrp_instance",
    "vrrp_script",
    "vrrp_sync_group",
    "vrrp_track_process",
    "vrrp_track_file",
    "virtual_server",
    "virtual_server_group",
    "static_ipaddress",
    "static_routes",
    "bfd_instance",
    "include",
];

/// A keepalived.conf as TOML. Has no `Debug`, because the text may contain passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct Conversion {
    /// The text, with the passwords that the keepalived.conf has.
    pub text: String,
    /// What came of the keepalived.conf itself: findings at its places.
    pub outcome: Outcome,
}

/// Whether a text that is not TOML is a keepalived.conf: by its name, or because one of keepalived's blocks stands in it before any
/// table of TOML.
pub(crate) fn is_one(source: &Source<'_>) -> bool {
    let name = source.path.file_name().unwrap_or_default().to_string_lossy();
    if name.starts_with("keepalived") && name.ends_with(".conf") {
        return true;
    }
    let is_table = |line: &str| line.starts_with('[');
    let mut before = source.text.lines().map(str::trim_start).take_while(|line| !is_table(line));
    before.any(|line| BEGINNINGS.iter().any(|word| begins(unconditional(line), word)))
}

/// A line without the `@name` before it.
fn unconditional(line: &str) -> &str {
    match line.split_once([' ', '\t']) {
        Some((condition, rest)) if condition.starts_with('@') => rest.trim_start(),
        _ => line,
    }
}

fn begins(line: &str, word: &str) -> bool {
    let rest = line.strip_prefix(word);
    rest.is_some_and(|rest| rest.trim_end().is_empty() || rest.starts_with([' ', '\t', '{']))
}

/// Reads a keepalived.conf and what it includes.
pub(crate) fn read(source: &Source<'_>, context: &mut Context<'_>) -> Conversion {
    let mut files = Files::load(source.path, source.text, context.machine);
    let companion = files.load_companion(context.machine);
    let mut reports = Reports::new(&files);
    let toml = match template(source.text) {
        Some(at) => {
            let place = files::Place::new(0, at, at + 2);
            reports.error(place, "this is a template of a keepalived.conf", "check the file that it makes");
            Toml::default()
        }
        None => made(&files, companion, context, &mut reports),
    };
    let model = reports.is_usable().then(|| model(source.path, &toml, context, &mut reports)).flatten();
    let digest = document::digest(files.files.iter().map(|file| file.text.as_str()));
    let model = model.filter(|_| reports.is_usable()).map(|model| crate::Configuration { digest, ..model });
    Conversion { text: toml.text, outcome: Outcome { model, findings: reports.finish() } }
}

/// Where the first braces of a template stand; within quotes they may be an argument, as of `docker inspect -f`.
fn template(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        match (character, quote) {
            ('\n', _) => quote = None,
            ('"' | '\'', None) => quote = Some(character),
            (_, Some(open)) if character == open => quote = None,
            ('%' | '{', None) if before == '{' => return Some(at - 1),
            _ => {}
        }
        before = character;
    }
    None
}

fn made(
    files: &Files,
    companion: Option<files::Place>,
    context: &mut Context<'_>,
    reports: &mut Reports<'_>,
) -> Toml {
    // keepalived compares conditions with the first part of the node's name.
    let id = context.host_name.split('.').next().unwrap_or_default();
    let lines = Expander::new(files, id, reports).all();
    let statements = tree::read(&lines, reports);
    drop(lines);
    let mut toml = Toml::default();
    let left_out = companion.map(|place| beside(files, place, &mut toml, reports)).unwrap_or_default();
    let node = Node { host_name: context.host_name, left_out: &left_out };
    translate::translate(toml, &statements, node, context.machine, reports)
}

/// Takes over the file of ours that stands beside it, but for what it says of the keepalived.conf itself.
fn beside(files: &Files, place: files::Place, toml: &mut Toml, reports: &mut Reports<'_>) -> beside::LeftOut {
    let text = files.text(place);
    let own = beside::table_of(text);
    let (end, begin) = own.clone().map_or((text.len(), text.len()), |own| (own.start, own.end));
    let part = |from: usize, to: usize| files::Place::new(place.file as usize, from, to);
    for (from, to) in [(0, end), (begin, text.len())] {
        if from < to {
            toml.verbatim(&text[from..to], part(from, to));
        }
    }
    own.map(|own| beside::read(&text[own.clone()], part(own.start, own.end), reports)).unwrap_or_default()
}

/// What our own reader makes of it; what it finds is said at the place in the keepalived.conf.
fn model(
    path: &Path,
    toml: &Toml,
    context: &mut Context<'_>,
    reports: &mut Reports<'_>,
) -> Option<crate::Configuration> {
    if toml.text.len() > document::LARGEST_TEXT {
        let message =
            format!("it becomes {} octets of TOML, more than {}", toml.text.len(), document::LARGEST_TEXT);
        reports.error(files::Place::default(), message, "shorten its sequences");
        return None;
    }
    let line = |offset: usize| reports.line(toml.origin(&(offset..offset)).0);
    let mut report = Report::new(String::new(), &toml.text).made_of(line);
    let model = document::read_toml(&Source { path, text: &toml.text }, context, &mut report);
    let findings = report.finish();
    for finding in findings {
        let (place, manner) = toml.origin(&finding.span);
        let remedy = finding.remedy.unwrap_or_default();
        let remedy = match manner {
            Manner::Verbatim => remedy,
            _ => format!("{remedy} (in the words of TOML, which `hactl config convert` writes)"),
        };
        if finding.severity == Severity::Error || manner != Manner::Quiet {
            reports.say(place, finding.severity, finding.message, remedy);
        }
    }
    model
}

#[cfg(test)]
mod tests;
