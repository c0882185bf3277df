//! Finds the values of secrets in the text of a configuration, so that no excerpt shows one. Works on the text and not
//! on the parsed table, because a line that does not parse is shown, too.

use std::ops::Range;

use crate::nearest::distance;

/// The octets that must not be shown, in order. Rather too much than too little: whatever follows a word that looks like
/// the key of a secret is masked, also in comments and when the key is misspelt.
pub(crate) fn secret_ranges(text: &str) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for word in words(text) {
        let inside_another = ranges.last().is_some_and(|last| word.start < last.end);
        if !inside_another && is_secret_key(&text[word.clone()]) {
            ranges.extend(value_after(text, word.end));
        }
    }
    ranges.extend(url_credentials(text));
    ranges.sort_by_key(|range| range.start);
    ranges.dedup_by(|next, previous| {
        let overlap = next.start < previous.end;
        if overlap {
            previous.end = previous.end.max(next.end);
        }
        overlap
    });
    ranges
}

/// `user:word` of `scheme://user:word@host`. Each octet is looked at once, however many `://` there are.
fn url_credentials(text: &str) -> impl Iterator<Item = Range<usize>> {
    const SEPARATOR: &str = "://";
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let start = from + text[from..].find(SEPARATOR)? + SEPARATOR.len();
            let rest = &text[start..];
            let length =
                rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
            from = start + length;
            if let Some(at) = rest[..length].rfind('@') {
                return Some(start..start + at);
            }
        }
    })
}

/// Runs of characters that can stand in a bare key.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let is_word = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-';
    let octets = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + octets[at..].iter().position(|octet| is_word(*octet))?;
        let length = octets[start..].iter().position(|octet| !is_word(*octet));
        at = length.map_or(octets.len(), |length| start + length);
        Some(start..at)
    })
}

fn is_secret_key(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    if word.ends_with("_file") || word.len() > 64 {
        return false;
    }
    let misspelt = (5..=11).contains(&word.len()) && distance(&word, "password") <= 3;
    misspelt
        || ["pass", "secret", "pwd", "authorization", "cookie", "token", "webhook"]
            .iter()
            .any(|part| word.contains(part))
}

/// What follows a key: its value when there is a `=`, the rest of the line otherwise.
fn value_after(text: &str, key_end: usize) -> Option<Range<usize>> {
    let rest = &text[key_end..];
    let start = key_end + rest.len() - rest.trim_start_matches(['"', '\'', ' ', '\t', '=']).len();
    // Take back the quote that opens the value.
    let opening = text[key_end..start].rfind('=').map_or(start, |equals| {
        let blank = &text[key_end + equals + 1..];
        text.len() - blank.trim_start().len()
    });
    let end = opening + value_length(&text[opening..]);
    let rest = text[end..].trim_start_matches([' ', '\t']);
    // What stands behind the value against the grammar may be a part of it.
    let closed = rest.is_empty() || rest.starts_with([',', '}', ']', '#', '\n', '\r']);
    let end = if closed { end } else { end + line_length(&text[end..]) };
    (end > opening).then_some(opening..end)
}

/// Of the value that `text` begins with, its quotes included; to the end of the text when it is not closed.
fn value_length(text: &str) -> usize {
    for quotes in ["\"\"\"", "'''"] {
        if let Some(rest) = text.strip_prefix(quotes) {
            return rest.find(quotes).map_or(text.len(), |at| at + 6);
        }
    }
    match text.as_bytes().first() {
        Some(b'"') => string_length(text, true),
        Some(b'\'') => string_length(text, false),
        Some(b'[' | b'{') => bracket_length(text),
        _ => line_length(text),
    }
}

fn line_length(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

/// To the closing quote, or to the end of the line when there is none on it.
fn string_length(text: &str, escapes: bool) -> usize {
    let line = &text.as_bytes()[..line_length(text)];
    let quote = line.first().copied();
    let mut at = 1;
    while at < line.len() {
        match line[at] {
            b'\\' if escapes => at += 2,
            octet if Some(octet) == quote => return at + 1,
            _ => at += 1,
        }
    }
    line.len()
}

/// To the bracket that closes the first one, brackets within strings counted as well: that masks too much, not too
/// little, as long as they are balanced; otherwise to the end of the text.
fn bracket_length(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            // The rest of the line too, should a bracket of a string have closed it.
            return at + line_length(&text[at..]);
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text with every secret replaced by `***`.
    fn masked(text: &str) -> String {
        let mut shown = text.to_owned();
        for range in secret_ranges(text).into_iter().rev() {
            shown.replace_range(range, "***");
        }
        shown
    }

    #[test]
    fn the_value_of_whatever_looks_like_a_password_is_masked() {
        let table = [
            ("password = \"canary\" # why", "password = *** # why"),
            ("pasword = 'canary'", "pasword = ***"),
            ("passwrod=\"canary\", x = 1", "passwrod=***, x = 1"),
            ("auth_pass canary", "auth_pass ***"),
            ("password = canary", "password = ***"),
            ("password = \"can\\\"ary\" # ok", "password = *** # ok"),
            ("password = \"can\"ary\" # ok", "password = ***"),
            ("password = \"a\" \"canary\"\nx", "password = ***\nx"),
            ("password = \"canary", "password = ***"),
            ("\"password\" = \"canary\"", "\"password\" = ***"),
            ("password = \"\"\"\ncanary\n\"\"\"\nx", "password = ***\nx"),
            ("password = '''\ncanary", "password = ***"),
            ("password = [\n \"canary\",\n]\nx", "password = ***\nx"),
            ("# password = \"canary\"", "# password = ***"),
            ("x = \"http://me:canary@host:1\"", "x = \"http://***@host:1\""),
            ("{ address = 1, password = \"canary\" }", "{ address = 1, password = *** }"),
        ];
        for (text, expected) in table {
            assert_eq!(masked(text), expected);
        }
    }

    #[test]
    fn what_is_no_secret_stays_readable() {
        for text in ["password_file = \"/etc/x\"", "priority = 150", "passwords", "address = \"10.0.0.1\""] {
            assert_eq!(masked(text), text);
        }
    }
}
