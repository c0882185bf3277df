//! `[journal]`: the history on disk.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::Journal;
use crate::report::Report;
use crate::section::Section;
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

/// A number of bytes with its unit.
fn size(value: &Value<'_>, report: &mut Report<'_>) -> Option<u64> {
    const UNITS: [(&str, u64); 2] = [("MiB", 1 << 20), ("GiB", 1 << 30)];
    let text = value.text(report)?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = UNITS.iter().find(|(word, _)| *word == unit.trim_start()).map(|(_, bytes)| *bytes);
    let bytes = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let bytes = bytes.filter(|bytes| (SMALLEST..=LARGEST).contains(bytes));
    if bytes.is_none() {
        let message = format!("size {} is no size of the journal", shown(text));
        report.error(&value.span, message, "write \"8 MiB\" to \"4 GiB\"");
    }
    bytes
}

const SMALLEST: u64 = 8 << 20;
const LARGEST: u64 = 4 << 30;

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
    fn sizes_have_a_unit_and_a_range() {
        for (text, bytes) in [("8 MiB", 8 << 20), ("64MiB", 64 << 20), ("4 GiB", 4 << 30)] {
            let read = read_text(&format!("[journal]\nsize = \"{text}\"")).map(|read| read.journal.size);
            assert_eq!(read, Ok(bytes), "{text}");
        }
        for text in ["7 MiB", "5 GiB", "64", "MiB", "64 MB", "-8 MiB", "99999999999999999999 GiB"] {
            let findings = read_text(&format!("[journal]\nsize = \"{text}\"")).unwrap_err().join("");
            assert!(findings.contains("8 MiB"), "{text}: {findings}");
        }
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
