//! `[journal]`: the history on disk.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Journal;
use crate::report::Report;
use crate::section::Section;
use crate::size::size;
use crate::value::{Value, shown};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Reads the section; what is wrong is reported and stands at its default.
pub(super) fn read(section: &Section<'_>, report: &mut Report<'_>) -> Journal {
    let default = Journal::default();
    let ages = Duration::from_secs(3600)..=DAY * 3650;
    Journal {
        enabled: section.read(report, "enabled", Value::boolean).value_or(default.enabled),
        directory: section.read(report, "directory", directory).value().cloned(),
        size: section.read(report, "size", size).value_or(default.size),
        age: section.read(report, "age", |v, r| v.duration(r, ages)).value_or(default.age),
    }
}

fn directory(value: &Value<'_>, report: &mut Report<'_>) -> Option<PathBuf> {
    let text = value.text(report)?;
    if !text.starts_with('/') {
        let message = format!("directory {} is no absolute path", shown(text));
        report.error(&value.span, message, "write a path such as \"/var/lib/ha-agent\"");
        return None;
    }
    Some(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Configuration;

    fn read_text(text: &str) -> Result<Configuration, Vec<String>> {
        let mut context = crate::Context {
            host_name: "a",
            read_file: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
            machine: &mut crate::NoMachine,
        };
        let outcome = crate::parse_bytes(std::path::Path::new("t.toml"), text.as_bytes(), &mut context);
        outcome.model.ok_or_else(|| outcome.findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_directory_is_absolute_or_left_to_the_service_manager() {
        assert_eq!(read_text("").map(|read| read.journal), Ok(Journal::default()));
        assert!(read_text("[journal]\ndirectory = \"here\"").is_err());
        let read = read_text("[journal]\ndirectory = \"/srv/ha\"\nenabled = false\nage = \"2h\"").unwrap();
        assert_eq!(read.journal.directory.as_deref(), Some(std::path::Path::new("/srv/ha")));
        assert!(!read.journal.enabled);
    }
}
