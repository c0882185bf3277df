//! Numbers of bytes: a number and a unit, as `64 MiB`.

use crate::report::Report;
use crate::value::{Value, shown};

const SMALLEST: u64 = 8 << 20;
const LARGEST: u64 = 4 << 30;

/// A number of bytes with its unit, 8 MiB to 4 GiB.
pub(crate) fn size(value: &Value<'_>, report: &mut Report<'_>) -> Option<u64> {
    const UNITS: [(&str, u64); 2] = [("MiB", 1 << 20), ("GiB", 1 << 30)];
    let text = value.text(report)?;
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = UNITS.iter().find(|(word, _)| *word == unit.trim_start()).map(|(_, bytes)| *bytes);
    let bytes = number.parse::<u64>().ok().zip(unit).and_then(|(number, unit)| number.checked_mul(unit));
    let bytes = bytes.filter(|bytes| (SMALLEST..=LARGEST).contains(bytes));
    if bytes.is_none() {
        let message = format!("{} {} is no size that can be used here", value.key, shown(text));
        report.error(&value.span, message, "write \"8 MiB\" to \"4 GiB\"");
    }
    bytes
}

#[cfg(test)]
mod tests {
    fn read(line: &str) -> Result<[u64; 2], String> {
        let mut context = crate::Context {
            host_name: "a",
            read_file: &mut |_| Err(std::io::ErrorKind::NotFound.into()),
            machine: &mut crate::NoMachine,
        };
        let outcome = crate::parse_bytes(std::path::Path::new("t.toml"), line.as_bytes(), &mut context);
        let findings = outcome.findings.iter().map(ToString::to_string).collect();
        outcome.model.map(|model| [model.journal.size, model.api.limits.unread_answers]).ok_or(findings)
    }

    #[test]
    fn sizes_have_a_unit_and_a_range() {
        for (place, section) in ["[journal]\nsize", "[api]\nunread_answers"].into_iter().enumerate() {
            for (text, bytes) in [("8 MiB", 8 << 20), ("64MiB", 64 << 20), ("4 GiB", 4 << 30)] {
                let read = read(&format!("{section} = \"{text}\"")).map(|sizes| sizes[place]);
                assert_eq!(read, Ok(bytes), "{section} {text}");
            }
            for text in ["7 MiB", "5 GiB", "64", "MiB", "64 MB", "-8 MiB", "99999999999999999999 GiB"] {
                let findings = read(&format!("{section} = \"{text}\"")).unwrap_err();
                assert!(findings.contains("8 MiB"), "{section} {text}: {findings}");
            }
        }
    }
}
