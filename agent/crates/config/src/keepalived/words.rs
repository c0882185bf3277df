//! Values of keepalived's as they would be written in our file.

use super::lines::Line;

/// Longer values are cut: they are shown, not read.
const LONGEST: usize = 120;

/// A text that fits, without what would move the cursor of a terminal.
pub(super) fn cut(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().filter(|character| !character.is_control()).take(longest).collect();
    if text.chars().nth(longest).is_some() {
        shown.push('…');
    }
    shown
}

/// The first words of lines.
pub(super) fn words_of<'t>(lines: &[Line<'t>]) -> Vec<&'t str> {
    lines.iter().map(Line::word).collect()
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(text, LONGEST).replace('\\', "\\\\").replace('"', "\\\""))
}

/// A list of texts.
pub(super) fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> String {
    format!("[{}]", texts.into_iter().map(quoted).collect::<Vec<_>>().join(", "))
}

/// A program as a list; its arguments, which may be secret, are only hinted at.
pub(super) fn program<'t>(words: impl IntoIterator<Item = &'t str>) -> String {
    let mut words = words.into_iter();
    match (quoted(words.next().unwrap_or_default()), words.next()) {
        (program, None) => format!("[{program}]"),
        (program, Some(_)) => format!("[{program}, …], each argument in quotes of its own"),
    }
}

/// Seconds as a duration; what is no number stays what it is.
pub(super) fn seconds(text: &str) -> String {
    quoted(&format!("{text}s"))
}

/// `name = "…"`, of characters that names may have.
pub(super) fn named(text: &str) -> String {
    let allowed = |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-');
    let name: String = text.chars().map(|c| if allowed(c) { c } else { '-' }).take(63).collect();
    format!("name = {}", quoted(&name))
}
