//! Collects findings while a text is read, and turns octet ranges into lines, columns and excerpts.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::finding::{Excerpt, Finding, Severity};
use crate::secret::secret_ranges;

/// Findings kept. Who has more than that in one file has one mistake many times.
pub(crate) const MOST_FINDINGS: usize = 500;
/// Characters of a source line that are shown.
const WIDEST_EXCERPT: usize = 160;

/// A finding before its place is worked out.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Raw {
    start: usize,
    end: usize,
    severity: Severity,
    message: String,
    remedy: String,
}

/// The findings about one text.
pub(crate) struct Report<'t> {
    file: String,
    text: &'t str,
    line_starts: Vec<usize>,
    /// Lines with a syntax error, on which nothing else is reported: what was read of them is a guess.
    unreadable: BTreeSet<usize>,
    errors: Vec<Raw>,
    warnings: Vec<Raw>,
    is_usable: bool,
    /// What says of an octet which line of which file it comes from, when this text is made of others.
    origin: Option<Box<dyn Fn(usize) -> String + 't>>,
}

impl<'t> Report<'t> {
    pub(crate) fn new(file: String, text: &'t str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self {
            file,
            text,
            line_starts,
            unreadable: BTreeSet::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            is_usable: true,
            origin: None,
        }
    }

    /// The same for a text that nobody has written: messages that name a second place name the one that it comes from.
    pub(crate) fn made_of(self, origin: impl Fn(usize) -> String + 't) -> Self {
        Self { origin: Some(Box::new(origin)), ..self }
    }

    /// Whether nothing has been found that forbids the use of the text.
    pub(crate) fn is_usable(&self) -> bool {
        self.is_usable
    }

    /// The file as it is named.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The line of an octet, for messages that name a second place: `12`, or `12 of keepalived.conf`.
    pub(crate) fn line(&self, offset: usize) -> String {
        self.origin.as_ref().map_or_else(|| self.line_of(offset).to_string(), |origin| origin(offset))
    }

    /// The 1-based line of an octet.
    pub(crate) fn line_of(&self, offset: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= offset)
    }

    /// Something that must be changed.
    pub(crate) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Error, span, message.into(), remedy.into());
    }

    /// Something that is probably not meant.
    pub(crate) fn warning(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.push(Severity::Warning, span, message.into(), remedy.into());
    }

    /// A mistake against the grammar of TOML.
    pub(crate) fn syntax(&mut self, span: &Range<usize>, message: String, remedy: String) {
        self.keep(Severity::Error, span, message, remedy);
        self.unreadable.insert(self.line_of(span.start));
    }

    fn push(&mut self, severity: Severity, span: &Range<usize>, message: String, remedy: String) {
        if self.unreadable.is_empty() || !self.unreadable.contains(&self.line_of(span.start)) {
            self.keep(severity, span, message, remedy);
        }
    }

    fn keep(&mut self, severity: Severity, span: &Range<usize>, message: String, remedy: String) {
        let kept = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        self.is_usable &= severity != Severity::Error;
        // A value that many instances inherit may be found wrong once for each: bounded before it is sorted.
        if kept.len() < MOST_FINDINGS * 20 {
            // Most messages quote what they name; words of a keepalived.conf are also named as they stand there.
            let (message, remedy) = (harmless(message), harmless(remedy));
            kept.push(Raw { start: span.start, end: span.end, severity, message, remedy });
        }
    }

    /// All findings, each once, by place. When there are too many, warnings make room for errors.
    pub(crate) fn finish(mut self) -> Vec<Finding> {
        for kept in [&mut self.errors, &mut self.warnings] {
            kept.sort();
            kept.dedup();
        }
        let surplus = (self.errors.len() + self.warnings.len()).saturating_sub(MOST_FINDINGS);
        self.errors.truncate(MOST_FINDINGS);
        self.warnings.truncate(MOST_FINDINGS - self.errors.len());
        let mut raw = self.errors;
        raw.append(&mut self.warnings);
        raw.sort();
        if raw.is_empty() {
            return Vec::new();
        }
        let lines = Lines { text: self.text, starts: self.line_starts, secrets: secret_ranges(self.text) };
        let file = &self.file;
        let mut findings: Vec<Finding> = raw.into_iter().map(|raw| lines.finding(file, raw)).collect();
        if let Some(last) = findings.last_mut().filter(|_| surplus > 0) {
            last.message.push_str(&format!(" (and {surplus} more findings, not shown)"));
        }
        findings
    }
}

/// Where the lines and the secrets of a text are.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
    secrets: Vec<Range<usize>>,
}

impl<'t> Lines<'t> {
    fn finding(&self, file: &str, raw: Raw) -> Finding {
        let start = floor_boundary(self.text, raw.start);
        let end = floor_boundary(self.text, raw.end).max(start);
        let line = self.starts.partition_point(|line| *line <= start);
        let line_start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        Finding {
            severity: raw.severity,
            file: harmless(file.to_owned()),
            line,
            column: self.text[line_start..start].chars().count() + 1,
            span: start..end,
            message: raw.message,
            remedy: Some(raw.remedy),
            excerpt: self.excerpt(line_start, start..end),
        }
    }

    /// The line with secrets masked and what a terminal must not see replaced, cut to a window around the span.
    fn excerpt(&self, line_start: usize, span: Range<usize>) -> Excerpt {
        let rest = &self.text[line_start..];
        let line_end = line_start + rest.find('\n').unwrap_or(rest.len());
        let skipped = self.text[line_start..span.start].chars().count().saturating_sub(WIDEST_EXCERPT / 2);
        let shown = self.text[line_start..line_end].trim_end_matches('\r').char_indices();
        let mut excerpt = Excerpt::default();
        if skipped > 0 {
            excerpt.text.push('…');
            excerpt.offset += 1;
        }
        let mut mask_shown = false;
        for (at, character) in shown.skip(skipped).take(WIDEST_EXCERPT) {
            let at = line_start + at;
            let secret = self.is_secret(at);
            let pushed = !(secret && mask_shown);
            if pushed {
                excerpt.text.push_str(if secret { "***" } else { "" });
                excerpt.text.extend((!secret).then(|| printable(character)));
            }
            let characters = if !pushed {
                0
            } else if secret {
                3
            } else {
                1
            };
            if at < span.start {
                excerpt.offset += characters;
            } else if at < span.end {
                excerpt.width += characters;
            }
            mask_shown = secret;
        }
        excerpt.width = excerpt.width.max(1);
        excerpt
    }

    fn is_secret(&self, offset: usize) -> bool {
        let index = self.secrets.partition_point(|secret| secret.end <= offset);
        self.secrets.get(index).is_some_and(|secret| secret.contains(&offset))
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    text.floor_char_boundary(offset)
}

/// `text` with an escape for each character that a terminal must not see.
fn harmless(text: String) -> String {
    if !text.contains(is_harmful) {
        return text;
    }
    text.chars().map(|c| if is_harmful(c) { c.escape_unicode().to_string() } else { c.to_string() }).collect()
}

/// The character, or a stand-in of the same width for one that a terminal must not see.
fn printable(character: char) -> char {
    match character {
        '\t' => ' ',
        harmful if is_harmful(harmful) => '\u{fffd}',
        character => character,
    }
}

/// Whether a terminal that is sent the character would move its cursor, change its colours or turn the direction of writing.
fn is_harmful(character: char) -> bool {
    let turns =
        matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control()
}
