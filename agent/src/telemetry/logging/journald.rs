//! The native protocol of systemd-journald (systemd's JOURNAL_NATIVE_PROTOCOL): a datagram for each entry, with a field
//! for each value, so that `journalctl CAUSE=ACTIVE_DOWN_TIMER` finds what it should.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::sink::{LINE_LIMIT, Queue};

/// Turns events into journal entries.
pub(super) struct JournaldLayer {
    queue: Queue,
}

impl JournaldLayer {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue }
    }
}

impl<S: Subscriber> Layer<S> for JournaldLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut entry = Entry::default();
        entry.add("PRIORITY", priority(*metadata.level()));
        entry.add("SYSLOG_IDENTIFIER", "ha-agent");
        entry.add("TARGET", metadata.target());
        event.record(&mut entry);
        self.queue.push(&entry.octets);
    }
}

/// The levels of syslog; a debug and a trace line are the same to it.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// An entry in the making.
#[derive(Default)]
struct Entry {
    octets: Vec<u8>,
}

impl Entry {
    /// Name, newline, length as 64 bits little endian, value, newline: the form that can carry any value.
    fn add(&mut self, name: &str, value: &str) {
        let value = truncated(value);
        let field_size = name.len() + value.len() + 10;
        // A whole field or none: journald discards an entry that ends within one.
        if self.octets.len() + field_size >= LINE_LIMIT {
            return;
        }
        self.octets.extend_from_slice(name.as_bytes());
        self.octets.push(b'\n');
        let length = u64::try_from(value.len()).unwrap_or_default();
        self.octets.extend_from_slice(&length.to_le_bytes());
        self.octets.extend_from_slice(value.as_bytes());
        self.octets.push(b'\n');
    }
}

/// Octets of a value; what is longer is cut.
const VALUE_LIMIT: usize = 8 * 1024;

fn truncated(value: &str) -> &str {
    value.get(..value.floor_char_boundary(VALUE_LIMIT)).unwrap_or(value)
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(&journal_name(field.name()), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = write!(text, "{value:?}");
        self.add(&journal_name(field.name()), &text);
    }
}

/// Journal field names are upper-case letters, digits and underscores, begin with a letter and have at most 64 octets.
fn journal_name(field: &str) -> String {
    let allowed = |character: char| {
        if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }
    };
    let name: String = field.chars().map(allowed).take(62).collect();
    if name.starts_with(|first: char| first.is_ascii_alphabetic()) { name } else { format!("F_{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_names_are_what_the_journal_accepts() {
        let table = [
            ("cause", "CAUSE"),
            ("error.type", "ERROR_TYPE"),
            ("_private", "F__PRIVATE"),
            ("1st", "F_1ST"),
            ("", "F_"),
        ];
        for (field, expected) in table {
            assert_eq!(journal_name(field), expected);
        }
    }

    #[test]
    fn an_entry_ends_with_a_whole_field_however_long_its_values_are() {
        let mut entry = Entry::default();
        entry.add("MESSAGE", &"ä".repeat(VALUE_LIMIT));
        entry.add("SECOND", &"x".repeat(VALUE_LIMIT));
        entry.add("THIRD", "short");
        assert!(entry.octets.len() < LINE_LIMIT);
        let fields = parse(&entry.octets);
        assert_eq!(fields[0].0, "MESSAGE");
        assert!(fields[0].1.len() <= VALUE_LIMIT && fields[0].1.chars().all(|character| character == 'ä'));
        assert_eq!(fields.last().unwrap(), &("THIRD".to_owned(), "short".to_owned()));
    }

    fn parse(mut octets: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !octets.is_empty() {
            let end = octets.iter().position(|octet| *octet == b'\n').unwrap();
            let name = String::from_utf8(octets[..end].to_vec()).unwrap();
            let length = u64::from_le_bytes(octets[end + 1..end + 9].try_into().unwrap()) as usize;
            let value = String::from_utf8(octets[end + 9..end + 9 + length].to_vec()).unwrap();
            assert_eq!(octets[end + 9 + length], b'\n');
            fields.push((name, value));
            octets = &octets[end + 10 + length..];
        }
        fields
    }
}
