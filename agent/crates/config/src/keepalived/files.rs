//! The files of a keepalived.conf: what it includes, read in order, each line with its place.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::machine::{self, Machine};
use crate::finding::Severity;
use crate::report::{MOST_FINDINGS, Report};
use crate::value::shown;

/// The most files, and how deep one includes another. Real ones have some dozens in two levels.
const MOST_FILES: usize = 1024;
const DEEPEST: usize = 16;
/// The most lines of all files.
const MOST_LINES: usize = 1 << 17;
/// The most octets of all files.
const MOST_OCTETS: usize = 8 << 20;

/// Octets of one of the files.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Place {
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

impl Place {
    pub(crate) fn new(file: usize, start: usize, end: usize) -> Self {
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self { file: small(file), start: small(start), end: small(end) }
    }
}

/// One file.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// All files, and their lines in the order in which keepalived reads them.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) files: Vec<File>,
    pub(crate) lines: Vec<Place>,
    /// What is to be said of includes.
    pub(crate) findings: Vec<(Place, bool, String, &'static str)>,
    octets: usize,
}

impl Files {
    /// Reads a text and what it includes.
    pub(crate) fn load(path: &Path, text: &str, machine: &mut dyn Machine) -> Self {
        let mut files = Self::default();
        files.add(path.to_owned(), text.to_owned(), 0, machine);
        files
    }

    /// Reads the file of ours beside it, which has what keepalived does not: `keepalived.toml` beside `keepalived.conf`.
    pub(crate) fn load_companion(&mut self, machine: &mut dyn Machine) -> Option<Place> {
        let path = self.files.first()?.path.with_extension("toml");
        if self.files.iter().any(|file| file.path == path) {
            return None;
        }
        match machine.read(&path) {
            Ok(text) => {
                let place = Place::new(self.files.len(), 0, text.len());
                self.files.push(File { path, text });
                Some(place)
            }
            // There is none, or nobody to ask.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Other) => None,
            Err(error) => {
                let message = format!("{} beside it cannot be read: {error}", shown(&path.to_string_lossy()));
                let remedy = "make it readable for the agent's user, or remove it";
                self.say(Place::default(), true, message, remedy);
                None
            }
        }
    }

    pub(crate) fn text(&self, place: Place) -> &str {
        let file = self.files.get(place.file as usize);
        file.and_then(|file| file.text.get(place.start as usize..place.end as usize)).unwrap_or_default()
    }

    /// The folder of a file, by which keepalived finds what it includes.
    pub(crate) fn folder(&self, file: u32) -> &Path {
        let file = self.files.get(file as usize);
        file.and_then(|file| file.path.parent()).unwrap_or(Path::new(""))
    }

    fn add(&mut self, path: PathBuf, text: String, depth: usize, machine: &mut dyn Machine) {
        let index = self.files.len();
        self.octets += text.len();
        self.files.push(File { path, text });
        let mut start = 0;
        while let Some(line) = self.files.get(index).and_then(|file| file.text.get(start..)) {
            if line.is_empty() {
                return;
            }
            let length = line.find('\n').map_or(line.len(), |at| at + 1);
            let place = Place::new(index, start, start + length);
            start += length;
            if self.lines.len() >= MOST_LINES {
                return self.refuse(place, format!("the files have more than {MOST_LINES} lines"));
            }
            match included(self.text(place)).map(str::to_owned) {
                Some(pattern) => self.include(&pattern, place, depth, machine),
                None => self.lines.push(place),
            }
        }
    }

    fn include(&mut self, pattern: &str, place: Place, depth: usize, machine: &mut dyn Machine) {
        if depth >= DEEPEST {
            return self.refuse(place, format!("files include each other more than {DEEPEST} deep"));
        }
        let whole = self.folder(place.file).join(pattern);
        let found = match machine::find(&whole, machine) {
            Ok(found) => found,
            Err(error) => {
                let message = format!("{} cannot be included: {error}", shown(&whole.to_string_lossy()));
                return self.say(place, true, message, "name the file, or remove the line");
            }
        };
        if found.is_empty() {
            let message = format!("include {} finds no file", shown(&whole.to_string_lossy()));
            let remedy = "keepalived only logs this; name the file, or remove the line";
            self.say(place, false, message, remedy);
        }
        for path in found {
            match machine.read(&path) {
                // keepalived goes on without a file that is not there, but not without one that it may not read.
                Err(error) => {
                    let is_error = !machine::is_absent(&error);
                    let message = format!("{} cannot be read: {error}", shown(&path.to_string_lossy()));
                    let remedy = "name a file that the agent's user may read, or remove the line";
                    self.say(place, is_error, message, remedy);
                }
                Ok(text) if self.files.len() >= MOST_FILES || self.octets + text.len() > MOST_OCTETS => {
                    return self.refuse(
                        place,
                        format!("more than {MOST_FILES} files or {MOST_OCTETS} octets are included"),
                    );
                }
                Ok(text) => self.add(path, text, depth + 1, machine),
            }
        }
    }

    fn refuse(&mut self, place: Place, message: String) {
        let remedy = "remove the include that goes round in a circle, or write fewer files";
        self.say(place, true, message, remedy);
    }

    /// Keeps as many errors and as many warnings as can be shown.
    fn say(&mut self, place: Place, is_error: bool, message: String, remedy: &'static str) {
        let alike = self.findings.iter().filter(|(_, other, ..)| *other == is_error).count();
        if alike < MOST_FINDINGS {
            self.findings.push((place, is_error, message, remedy));
        }
    }
}

/// The pattern of an `include` line or one of its stricter kinds; keepalived looks for them before anything else.
fn included(line: &str) -> Option<&str> {
    const WORDS: [&str; 6] = ["include", "includer", "includem", "includew", "includeb", "includea"];
    let line = line.trim();
    let (word, pattern) = line.split_once([' ', '\t'])?;
    let pattern = pattern.split(['#', '!']).next().unwrap_or_default().trim();
    let pattern = pattern.trim_matches(['"', '\'']);
    (WORDS.contains(&word) && !pattern.is_empty()).then_some(pattern)
}

/// The reports of all files.
pub(crate) struct Reports<'t> {
    reports: Vec<Report<'t>>,
}

impl<'t> Reports<'t> {
    pub(crate) fn new(files: &'t Files) -> Self {
        let report = |file: &'t File| Report::new(file.path.display().to_string(), &file.text);
        let mut reports = Self { reports: files.files.iter().map(report).collect() };
        for (place, is_error, message, remedy) in &files.findings {
            match is_error {
                true => reports.error(*place, message.clone(), *remedy),
                false => reports.warning(*place, message.clone(), *remedy),
            }
        }
        reports
    }

    pub(crate) fn error(&mut self, place: Place, message: impl Into<String>, remedy: impl Into<String>) {
        if let Some(report) = self.reports.get_mut(place.file as usize) {
            report.error(&(place.start as usize..place.end as usize), message, remedy);
        }
    }

    pub(crate) fn warning(&mut self, place: Place, message: impl Into<String>, remedy: impl Into<String>) {
        if let Some(report) = self.reports.get_mut(place.file as usize) {
            report.warning(&(place.start as usize..place.end as usize), message, remedy);
        }
    }

    /// One of the two.
    pub(crate) fn say(&mut self, place: Place, severity: Severity, message: String, remedy: String) {
        match severity {
            Severity::Error => self.error(place, message, remedy),
            Severity::Warning => self.warning(place, message, remedy),
        }
    }

    /// `LINE of FILE`.
    pub(crate) fn line(&self, place: Place) -> String {
        let report = self.reports.get(place.file as usize);
        report.map_or(String::new(), |report| {
            format!("{} of {}", report.line_of(place.start as usize), report.file())
        })
    }

    /// `FILE:LINE`.
    pub(crate) fn at(&self, place: Place) -> String {
        let report = self.reports.get(place.file as usize);
        report.map_or(String::new(), |report| {
            format!("{}:{}", report.file(), report.line_of(place.start as usize))
        })
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.reports.iter().all(Report::is_usable)
    }

    /// All findings, file by file, each by place.
    pub(crate) fn finish(self) -> Vec<crate::finding::Finding> {
        let mut findings: Vec<_> = self.reports.into_iter().flat_map(Report::finish).collect();
        // Errors are never those that are left out.
        if findings.len() > MOST_FINDINGS {
            let mut numbered: Vec<_> = findings.into_iter().enumerate().collect();
            numbered.sort_by_key(|(index, finding)| (finding.severity, *index));
            numbered.truncate(MOST_FINDINGS);
            numbered.sort_by_key(|(index, _)| *index);
            findings = numbered.into_iter().map(|(_, finding)| finding).collect();
        }
        findings
    }
}
