//! Files that a configuration names: their place, and the secrets in them, which appear in no finding.

use std::io;
use std::path::{Path, PathBuf};

use crate::model::Secret;
use crate::report::Report;
use crate::value::{Value, shown};

/// How files that hold secrets are found and read.
pub(crate) struct Files<'c> {
    /// The configuration file: relative names are beside it.
    pub(crate) beside: &'c Path,
    /// Reads one, or says why it may not be read.
    pub(crate) read_file: &'c mut dyn FnMut(&Path) -> io::Result<String>,
}

impl Files<'_> {
    /// Where a file is that the configuration names.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.beside.parent().unwrap_or(Path::new("")).join(name)
    }

    /// The only line of a file that holds a secret, with the file's path for messages. May be empty.
    pub(crate) fn line(&mut self, value: &Value<'_>, report: &mut Report<'_>) -> Option<(String, PathBuf)> {
        let path = self.path(value.text(report)?);
        match (self.read_file)(&path) {
            Ok(content) => {
                let line = content.strip_suffix('\n').unwrap_or(&content);
                Some((line.strip_suffix('\r').unwrap_or(line).to_owned(), path))
            }
            Err(error) => {
                let message =
                    format!("{} {} cannot be read: {error}", value.key, shown(&path.to_string_lossy()));
                let remedy = "create it, with mode 0600 and the agent's user as its owner";
                report.error(&value.span, message, remedy);
                None
            }
        }
    }

    /// A secret of any length from a file: one line without control characters.
    pub(crate) fn secret(&mut self, value: &Value<'_>, report: &mut Report<'_>) -> Option<Secret> {
        let (line, path) = self.line(value, report)?;
        let problem = if line.is_empty() {
            "is empty"
        } else if line.contains(|c: char| c.is_control()) {
            "has more than one line, or control characters"
        } else {
            return Some(Secret::new(line));
        };
        let message = format!("{} {} {problem}", value.key, shown(&path.to_string_lossy()));
        report.error(&value.span, message, "write the secret on its only line");
        None
    }
}
