//! What a mail says: what happened, where, when, why, by what evidence, who wanted it, and where to look further.

use std::fmt::Write as _;

use lettre::Message;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Mailboxes};

use crate::journal::{Journal, Record, subject_name};
use crate::notify::document;
use crate::notify::notice::Notice;
use crate::notify::queue::Waiting;

/// A mail about one event or several.
///
/// # Errors
/// A sentence, when no mail can be made of it.
pub(super) fn message(
    journal: &Journal,
    from: &Mailbox,
    to: &[Mailbox],
    batch: &[Waiting],
) -> Result<Message, String> {
    let notices: Vec<&Notice> = batch.iter().map(|waiting| &*waiting.notice).collect();
    let Some(last) = notices.last() else { return Err("no event to tell".to_owned()) };
    let node = journal.node();
    let identity = format!("<{}.{}@{node}>", journal.incarnation(), last.record.sequence);
    let to: Mailboxes = to.iter().cloned().collect();
    let mut message = Message::builder()
        .from(from.clone())
        .mailbox(lettre::message::header::To::from(to))
        .subject(subject(node, &notices))
        .message_id(Some(identity))
        .date_now()
        .header(ContentType::TEXT_PLAIN)
        .body(body(journal, &notices))
        .map_err(|error| format!("cannot write a mail: {error}"))?;
    // Nobody's holiday notice is wanted in answer (RFC 3834).
    let name = HeaderName::new_from_ascii_str("Auto-Submitted");
    message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
    Ok(message)
}

/// `[node-a] instances/web is ACTIVE: PEER_PRIORITY_ZERO`.
fn subject(node: &str, notices: &[&Notice]) -> String {
    let last = notices.last().map(|notice| headline(node, notice)).unwrap_or_default();
    match notices.len() {
        0 | 1 => format!("[{node}] {last}"),
        count => format!("[{node}] {count} events, the last: {last}"),
    }
}

fn headline(node: &str, notice: &Notice) -> String {
    let record = &notice.record;
    let what = match notice.turned {
        Some(state) => format!("is {}", state.as_str()),
        None => record.type_name().to_owned(),
    };
    format!("{} {what}: {}", subject_of(node, record), record.cause().as_str())
}

/// The subject without the node, which stands beside it; the node itself by its name.
fn subject_of(node: &str, record: &Record) -> String {
    let name = subject_name(node, record.subject());
    let own = name.strip_prefix(&format!("nodes/{node}/")).map(str::to_owned);
    own.unwrap_or(name)
}

fn body(journal: &Journal, notices: &[&Notice]) -> String {
    let mut body = String::new();
    for (place, notice) in notices.iter().enumerate() {
        if place > 0 {
            body.push_str("\r\n----\r\n\r\n");
        }
        for (label, value) in lines(journal, notice) {
            // Writing into a text does not fail.
            let _ = write!(body, "{label:<10} {value}\r\n");
        }
    }
    body
}

fn lines(journal: &Journal, notice: &Notice) -> Vec<(&'static str, String)> {
    let node = journal.node();
    let record = &notice.record;
    let evidence = record.evidence();
    let mut lines = vec![
        ("What", format!("{}: {}", subject_of(node, record), record.message())),
        ("Where", node.to_string()),
        ("When", document::time(record.wall)),
        ("Why", record.cause().as_str().to_owned()),
    ];
    if let Some((previous, current)) = record.transition() {
        lines.push(("Change", format!("{previous} to {current}")));
    }
    if let Some(led) = evidence.and_then(|evidence| evidence.subject.as_ref()) {
        lines.push(("Led by", led.to_string()));
    }
    if let Some(detail) = evidence.and_then(|evidence| evidence.detail.as_ref()) {
        lines.push(("Evidence", detail.to_string()));
    }
    if let Some(actor) = record.actor() {
        lines.push(("Who", format!("{} ({})", actor.principal, actor.roles.join(", "))));
    }
    lines.push(("Severity", document::severity(record.severity()).to_owned()));
    let name = format!("nodes/{node}/events/{}.{}", journal.incarnation(), record.sequence);
    lines.push(("Event", name));
    lines.push(("More", format!("hactl -n {node} events --last 50")));
    // A line end in what a target or the kernel said does not make a line of the mail.
    lines.into_iter().map(|(label, value)| (label, value.replace(['\r', '\n'], " "))).collect()
}
