//! The native protocol of systemd-journald (systemd's JOURNAL_NATIVE_PROTOCOL): a datagram for each entry, with a field
//! for each value, so that `journalctl CAUSE=ACTIVE_DOWN_TIMER` finds what it should.

use std::fmt::Debug;

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
        let mut said = Said::default();
        event.record(&mut said);
        let mut entry = Entry::default();
        entry.add("PRIORITY", priority(*metadata.level()));
        entry.add("SYSLOG_IDENTIFIER", "ha-agent");
        // First, so that a long entry loses other fields.
        entry.add("MESSAGE", &said.message());
        entry.add("TARGET", metadata.target());
        said.fields.iter().for_each(|(name, value)| entry.add(&journal_name(name), value));
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

/// What systemd takes the level of a line on standard error from (sd-daemon(3)).
pub(super) fn mark(level: Level) -> String {
    format!("<{}>", priority(level))
}

/// What a line says.
#[derive(Default)]
struct Said {
    text: String,
    fields: Vec<(&'static str, String)>,
}

impl Said {
    /// `journalctl` shows nothing else unless it is asked: what the line is about is in it, or the values of a line that is
    /// about nothing.
    fn message(&self) -> String {
        let subject = self.fields.iter().find(|(name, _)| *name == SUBJECT);
        match subject.map(|(_, subject)| within_node(subject)) {
            Some("") => self.text.clone(),
            Some(subject) => format!("{subject}: {}", self.text),
            None if self.fields.is_empty() => self.text.clone(),
            None => format!("{} ({})", self.text, self.values()),
        }
    }

    fn values(&self) -> String {
        let values = self.fields.iter().map(|(name, value)| format!("{name}={value}"));
        values.collect::<Vec<_>>().join(", ")
    }
}

/// The field that says what an event of the journal is about: `nodes/a/instances/web`.
const SUBJECT: &str = "subject";

/// `instances/web` of it: which node it is stands in each line already. Nothing, when it is the node.
fn within_node(subject: &str) -> &str {
    subject.splitn(3, '/').nth(2).unwrap_or_default()
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

impl Said {
    fn note(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.text = value,
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.note(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.note(field, format!("{value:?}"));
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
    fn a_message_says_what_it_is_about() {
        let table: [(&[(&str, &str)], &str); 5] = [
            (&[], "said"),
            (&[("subject", "nodes/a"), ("cause", "DRAIN")], "said"),
            (&[("cause", "DRAIN"), ("subject", "nodes/a/instances/web")], "instances/web: said"),
            (&[("subject", "nodes/a/pools/web/servers/w1")], "pools/web/servers/w1: said"),
            (&[("address", "192.0.2.1:7443"), ("count", "2")], "said (address=192.0.2.1:7443, count=2)"),
        ];
        for (fields, expected) in table {
            let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
            assert_eq!(Said { text: "said".to_owned(), fields }.message(), expected);
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
