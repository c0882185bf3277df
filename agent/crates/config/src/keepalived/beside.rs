//! `[keepalived]` in the file of ours beside a keepalived.conf: what in it somebody else does, so that the agent leaves it out and runs
//! the rest. While nodes move over one by one the keepalived.conf itself stays as it is, for both programs.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::DeTable;

use super::files::{Place, Reports};
use super::keywords;
use crate::nearest::nearest;
use crate::report::Report;
use crate::section::Section;
use crate::syntax;
use crate::value::shown;

/// The words of `leave_out`, each with its place.
#[derive(Default)]
pub(crate) struct LeftOut(BTreeMap<String, Place>);

impl LeftOut {
    /// Whether a keyword is one of them.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.0.contains_key(word)
    }
}

/// Where the table stands in a text: from its header to the next one. The reader of all other tables does not see it.
pub(crate) fn table_of(text: &str) -> Option<Range<usize>> {
    let (mut start, mut at) = (None, 0);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        match start {
            Some(start) if trimmed.starts_with('[') => return Some(start..at),
            None if is_header(trimmed) => start = Some(at),
            _ => {}
        }
        at += line.len();
    }
    start.map(|start| start..text.len())
}

fn is_header(line: &str) -> bool {
    let rest = line.strip_prefix("[keepalived]").map(str::trim_start);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
}

/// Reads the table; `place` is where it stands.
pub(crate) fn read(text: &str, place: Place, reports: &mut Reports<'_>) -> LeftOut {
    let mut report = Report::new(String::new(), text);
    let (table, errors) = DeTable::parse_recoverable(text);
    syntax::report_all(&errors, text, &mut report);
    let root = Section::new("the file", 0..0, table.get_ref());
    let words = root.table(&mut report, "keepalived", "[keepalived]").map(|section| {
        section.reject_unknown(&mut report, &["leave_out"], |_| None);
        section.read(&mut report, "leave_out", |value, report| {
            value.list(report, |word, report| word.string(report).map(str::to_owned))
        })
    });
    let words = words.and_then(|slot| slot.value().cloned()).unwrap_or_default();
    words.iter().for_each(|(word, span)| judge(word, span, &mut report));
    let at = |span: &Range<usize>| {
        let shift = |octet: usize| place.start as usize + octet;
        Place::new(place.file as usize, shift(span.start), shift(span.end))
    };
    for finding in report.finish() {
        reports.say(at(&finding.span), finding.severity, finding.message, finding.remedy.unwrap_or_default());
    }
    LeftOut(words.into_iter().map(|(word, span)| (word, at(&span))).collect())
}

/// Only what would be an error can be left out: everything else of the file runs, or is told.
fn judge(word: &str, span: &Range<usize>, report: &mut Report<'_>) {
    if keywords::refused_words().any(|known| known == word) {
        return;
    }
    if keywords::is_known(word) {
        let message = format!("{word} is no error, so that leave_out does not count for it");
        return report.warning(span, message, "remove it here");
    }
    let near = nearest(word, keywords::refused_words());
    let remedy = near.map_or("remove it here".to_owned(), |near| format!("did you mean {near}?"));
    report.error(span, format!("keepalived has no {}", shown(word)), remedy);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ends_where_the_next_one_begins() {
        let table = [
            ("", None),
            ("[log]\nlevel = 'info'\n", None),
            ("[keepalived]\nleave_out = []\n", Some("[keepalived]\nleave_out = []\n")),
            (
                "[log]\n  [keepalived] # us\nx = [\n 'x',\n]\n[[peer]]\n",
                Some("  [keepalived] # us\nx = [\n 'x',\n]\n"),
            ),
            ("[keepalived.x]\n[keepalivedx]\n", None),
        ];
        for (text, expected) in table {
            assert_eq!(table_of(text).map(|table| &text[table]), expected, "{text}");
        }
    }
}
