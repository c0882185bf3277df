//! Takes secrets out of text that leaves the house. The agents tell no secret of their configuration; this is for what they
//! only pass on: what a script printed, what a server answered, what a log says.

use std::borrow::Cow;

use serde_json::Value;

/// Stands where a secret stood.
const HIDDEN: &str = "***";

/// Words, in small letters, after which a value is a secret.
const TELLTALES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "credential",
    "auth_pass",
];

/// The text without what looks like a secret: values after telling words (`password=…`, `Authorization: …`), names and
/// passwords in URLs, and private keys. Rather too much than too little.
pub(crate) fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_key = false;
    for line in text.split_inclusive('\n') {
        if in_key || line.contains("PRIVATE KEY-----") {
            in_key = !line.contains("-----END") && (in_key || line.contains("-----BEGIN"));
            out.push_str(&key_line(line));
            continue;
        }
        out.push_str(&values(&urls(line)));
    }
    out
}

/// The same for every text in a document, and the whole of a text whose key tells that it is a secret.
pub(crate) fn redact_json(value: &mut Value) {
    match value {
        Value::String(text) => *text = redact(text),
        Value::Array(items) => items.iter_mut().for_each(redact_json),
        Value::Object(fields) => {
            for (key, value) in fields {
                let small = key.to_ascii_lowercase();
                match value {
                    Value::String(text) if TELLTALES.iter().any(|word| small.contains(word)) => {
                        *text = HIDDEN.to_owned();
                    }
                    value => redact_json(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A line with a part of a private key; in JSON a whole key stands in one line.
fn key_line(line: &str) -> String {
    let begin = line.find("-----BEGIN").unwrap_or(0);
    let end = line.rfind("-----END").map_or(line.trim_end().len(), |at| {
        let after = at + "-----END".len();
        line[after..].find("-----").map_or(line.trim_end().len(), |dashes| after + dashes + 5)
    });
    format!("{}{HIDDEN}{}", &line[..begin], &line[end.max(begin)..])
}

/// `scheme://user:password@host` without who.
fn urls(line: &str) -> Cow<'_, str> {
    if !line.contains("://") {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let authority = tail.find(|c: char| matches!(c, '/' | '?' | '#') || ends_value(c));
        let authority = &tail[..authority.unwrap_or(tail.len())];
        match authority.rfind('@') {
            Some(sign) => {
                out.push_str(HIDDEN);
                rest = &tail[sign..];
            }
            None => rest = tail,
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The line without the values of telling words.
fn values(line: &str) -> String {
    let small = line.to_ascii_lowercase(); // of the same length
    let mut out = String::with_capacity(line.len());
    let mut from = 0;
    while let Some(at) = next_value(&small, from) {
        let (start, end) = at;
        out.push_str(&line[from..start]);
        out.push_str(HIDDEN);
        from = end;
    }
    out.push_str(&line[from..]);
    out
}

/// Where the next secret value begins and ends.
fn next_value(line: &str, from: usize) -> Option<(usize, usize)> {
    let mut searched = from;
    loop {
        let word =
            TELLTALES.iter().filter_map(|word| Some((line[searched..].find(word)?, word.len()))).min()?;
        let after = searched + word.0 + word.1;
        // The rest of the word, closing quotes, and then what separates it from its value.
        let rest = &line[after..];
        let name_end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '-'));
        let rest = &rest[name_end.unwrap_or(rest.len())..];
        let separator = rest.trim_start_matches(['"', '\'', '\\', ' ']);
        if separator.starts_with([':', '=']) {
            let (skipped, is_quoted) = value_begins(separator);
            let value = &separator[skipped..];
            // Such as "Bearer", before the secret itself.
            let scheme = ["bearer ", "basic ", "digest "].iter().find(|scheme| value.starts_with(**scheme));
            let value = &value[scheme.map_or(0, |scheme| scheme.len())..];
            let length = value_length(value, is_quoted);
            if length > 0 {
                let start = line.len() - value.len();
                return Some((start, start + length));
            }
        }
        searched = after;
    }
}

/// The octets before a value, and whether the last of them is a quote.
fn value_begins(text: &str) -> (usize, bool) {
    let (mut at, mut is_quoted) = (0, false);
    loop {
        let rest = &text[at..];
        let length = match rest.chars().next() {
            Some('\\') => escape_length(rest),
            Some(':' | '=' | ' ' | '\t' | '"' | '\'') => 1,
            _ => return (at, is_quoted),
        };
        is_quoted = rest[..length].ends_with(['"', '\'']);
        at += length;
    }
}

/// The octets of a value: to the quote that ends it, or to what ends a word.
fn value_length(text: &str, is_quoted: bool) -> usize {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let length = if c == '\\' { escape_length(&text[at..]) } else { c.len_utf8() };
        let ends = match c {
            '\\' => text[at + 1..].starts_with(['"', '\'', 'n', 'r', 't']),
            '"' | '\'' | '\n' => true,
            c => !is_quoted && ends_value(c),
        };
        if ends {
            return at;
        }
        at += length;
    }
    at
}

/// The octets of what begins with a backslash, as JSON has it.
fn escape_length(text: &str) -> usize {
    match text.chars().nth(1) {
        Some('u') if text.len() >= 6 && text.is_char_boundary(6) => 6,
        Some(next) => 1 + next.len_utf8(),
        None => 1,
    }
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '\\' | '}' | ')' | ']' | '&')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (text, left) in [
            ("password=hunter2 user=bob", "password=*** user=bob"),
            ("Password: hunter2, more", "Password: ***, more"),
            ("authorization: Bearer abc.def", "authorization: Bearer ***"),
            ("{\"db_password\": \"hunter2\", \"a\": 1}", "{\"db_password\": \"***\", \"a\": 1}"),
            ("\"detail\": \"MYSQL_PASSWORD=\\\"x y\\\"\"", "\"detail\": \"MYSQL_PASSWORD=\\\"***\\\"\""),
            ("see https://bob:pw@host/path", "see https://***@host/path"),
            ("https://host/x?token=abc&y=1", "https://host/x?token=***&y=1"),
            ("--api-key=123 --x", "--api-key=*** --x"),
            ("the password is wrong", "the password is wrong"),
            ("password_file = \"/etc/x\"", "password_file = \"***\""),
            ("a b c://d/e@f", "a b c://d/e@f"),
            ("secret: 'a b,c' d", "secret: '***' d"),
            ("token=a\\\\b", "token=***"),
            ("nothing here", "nothing here"),
        ] {
            assert_eq!(redact(text), left);
        }
    }

    #[test]
    fn each_text_of_a_document_is_judged_and_those_with_telling_keys_go_whole() {
        let mut value = serde_json::json!({
            "name": "x", "db_password": "hunter2", "list": ["token=abc z", 7], "in": { "Secret": "a b" }
        });
        redact_json(&mut value);
        let left = serde_json::json!({
            "name": "x", "db_password": "***", "list": ["token=*** z", 7], "in": { "Secret": "***" }
        });
        assert_eq!(value, left);
    }

    #[test]
    fn private_keys_go_whole_as_lines_and_as_one_json_text() {
        let pem = "a\n-----BEGIN PRIVATE KEY-----\nMIIE\nabcd\n-----END PRIVATE KEY-----\nb\n";
        let left = redact(pem);
        assert!(!left.contains("MIIE") && !left.contains("abcd"), "{left}");
        assert!(left.starts_with("a\n") && left.ends_with("b\n"), "{left}");
        let json =
            "\"k\": \"x -----BEGIN RSA PRIVATE KEY-----\\nMIIE\\n-----END RSA PRIVATE KEY-----\\n y\"\nz\n";
        assert_eq!(redact(json), "\"k\": \"x ***\\n y\"\nz\n");
    }

    proptest! {
        #[test]
        fn any_text_passes_and_a_value_after_a_telling_word_is_gone(
            before in ".{0,12}", secret in "[a-zA-Z0-9!$%/+]{4,20}", after in "( .{0,12})?"
        ) {
            prop_assume!(!before.contains(&secret) && !after.contains(&secret));
            let left = redact(&format!("{before} password={secret}{after}"));
            prop_assert!(!left.contains(&secret), "{}", left);
            redact(&format!("{before}\\{after}://{before}@{after}=token"));
        }
    }
}
