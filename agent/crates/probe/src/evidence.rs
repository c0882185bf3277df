//! Evidence is read by people and stored by machines: it is short, one line, and what a target sent cannot break out of it.

/// The longest evidence, in characters.
pub const EVIDENCE_LIMIT: usize = 256;

/// `octets` as text for evidence: at most `longest` characters, control characters and what is not UTF-8 escaped, and `...`
/// where it was cut.
pub fn escaped(octets: &[u8], longest: usize) -> String {
    let mut text = String::new();
    let mut left = longest;
    for chunk in octets.utf8_chunks() {
        let letters = chunk.valid().chars().map(escaped_letter);
        let others = chunk.invalid().iter().map(|octet| format!("\\x{octet:02x}"));
        for piece in letters.chain(others) {
            let length = piece.chars().count();
            if length > left {
                text.push_str("...");
                return text;
            }
            left -= length;
            text.push_str(&piece);
        }
    }
    text
}

/// `text` in one line and not longer than [`EVIDENCE_LIMIT`].
pub(crate) fn bounded(text: String) -> String {
    let is_ascii = || text.bytes().all(|octet| matches!(octet, b' '..=b'~'));
    let is_plain = text.len() <= EVIDENCE_LIMIT && (is_ascii() || !text.chars().any(needs_escape));
    if is_plain { text } else { escaped(text.as_bytes(), EVIDENCE_LIMIT - 3) }
}

fn escaped_letter(letter: char) -> String {
    if needs_escape(letter) { letter.escape_default().to_string() } else { letter.to_string() }
}

/// Control characters, and the ones that turn the direction of the text or are invisible.
fn needs_escape(letter: char) -> bool {
    let is_invisible = matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    letter.is_control() || is_invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_sends_stays_in_one_line_and_is_cut() {
        let cases: [(&[u8], usize, &str); 6] = [
            (b"220 mail\r\n", 40, "220 mail\\r\\n"),
            (b"\x1b[2Jgone", 40, "\\u{1b}[2Jgone"),
            (b"caf\xc3\xa9 \xff", 40, "caf\u{e9} \\xff"),
            ("a\u{202e}b".as_bytes(), 40, "a\\u{202e}b"),
            (b"abcdef", 6, "abcdef"),
            (b"abcdefg", 6, "abcdef..."),
        ];
        for (octets, longest, text) in cases {
            assert_eq!(escaped(octets, longest), text);
        }
    }

    #[test]
    fn evidence_is_bounded_whatever_is_put_in() {
        let texts = ["x".repeat(300), "\n".repeat(300), "\u{e9}".repeat(300)];
        for text in texts {
            let bounded = bounded(text);
            assert!(bounded.chars().count() <= EVIDENCE_LIMIT, "{}", bounded.len());
            assert!(!bounded.contains('\n'));
        }
    }
}
