//! What is wrong with a configuration, where, and what to do about it. Shows one line of the source; values of secrets
//! are masked before they get here.

use std::fmt;
use std::ops::Range;

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration can be used, but probably does not do what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong.
///
/// `{}` prints `file:line:column: severity: message; remedy` and below it the line of the source with carets;
/// [`Finding::headline`] prints the first line only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// The file as it was named by the caller.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Octets of the file that it is about; empty for something that is missing.
    pub span: Range<usize>,
    /// What is wrong, with the value unless that is secret.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
    /// The line of the source, secrets masked, long lines cut.
    pub(crate) excerpt: Excerpt,
}

impl Finding {
    /// `file:line:column: severity: message; remedy`, without the line of the source.
    pub fn headline(&self) -> String {
        let remedy = self.remedy.as_ref().map(|remedy| format!("; {remedy}")).unwrap_or_default();
        let Self { file, line, column, severity, message, .. } = self;
        format!("{file}:{line}:{column}: {severity}: {message}{remedy}")
    }

    /// The line of the source that it is about, secrets masked, long lines cut; empty when the file is empty.
    pub fn source_line(&self) -> &str {
        &self.excerpt.text
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        if self.excerpt.text.is_empty() {
            return Ok(());
        }
        let Excerpt { text, offset, width } = &self.excerpt;
        let number = self.line.to_string();
        let carets = "^".repeat(*width);
        write!(f, "\n  {number} | {text}\n  {:1$} | {2:3$}{carets}", "", number.len(), "", offset)
    }
}

/// A piece of one line and where in it the finding is, in characters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Excerpt {
    pub(crate) text: String,
    pub(crate) offset: usize,
    pub(crate) width: usize,
}
