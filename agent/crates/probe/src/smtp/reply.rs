//! Replies of a mail server (RFC 5321 §4.2): lines of three digits, `-` before the last, and text.

use std::fmt;

use crate::evidence::escaped;

/// RFC 5321 §4.5.3.1.5 allows 512 octets; some servers write more.
const LONGEST_LINE: usize = 4096;
const MOST_LINES: usize = 128;

/// One whole reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reply {
    code: u16,
    lines: Vec<Vec<u8>>,
}

/// Why what came is no reply.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The line that is none.
    NotSmtp(Vec<u8>),
    /// A line or a reply without end.
    TooLong,
}

/// Puts replies together from what comes.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    octets: Vec<u8>,
    /// Octets of it that are known to hold no line end.
    searched: usize,
    code: Option<u16>,
    lines: Vec<Vec<u8>>,
}

impl Reader {
    pub(crate) fn push(&mut self, octets: &[u8]) {
        self.octets.extend_from_slice(octets);
    }

    /// Nothing has come that is not yet read.
    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty() && self.lines.is_empty()
    }

    /// The next reply, once it is whole.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, Fault> {
        while let Some(line) = self.line()? {
            let (code, is_last, text) = parse(&line).ok_or_else(|| Fault::NotSmtp(line.clone()))?;
            // All lines of a reply have the same code (RFC 5321 §4.2.1).
            if *self.code.get_or_insert(code) != code {
                return Err(Fault::NotSmtp(line));
            }
            self.lines.push(text.to_vec());
            if is_last {
                self.code = None;
                return Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }));
            }
            if self.lines.len() >= MOST_LINES {
                return Err(Fault::TooLong);
            }
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let end = self.octets[self.searched..].iter().position(|octet| *octet == b'\n');
        let Some(end) = end.map(|end| self.searched + end) else {
            self.searched = self.octets.len();
            return if self.octets.len() > LONGEST_LINE { Err(Fault::TooLong) } else { Ok(None) };
        };
        let rest = self.octets.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.octets, rest);
        self.searched = 0;
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > LONGEST_LINE { Err(Fault::TooLong) } else { Ok(Some(line)) }
    }
}

/// Code, whether the reply ends here, text.
fn parse(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let (digits, rest) = line.split_at_checked(3)?;
    let is_code = matches!(digits, [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9']);
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit.wrapping_sub(b'0')));
    match rest {
        _ if !is_code => None,
        [] => Some((code, true, rest)),
        [b' ', text @ ..] => Some((code, true, text)),
        [b'-', text @ ..] => Some((code, false, text)),
        _ => None,
    }
}

impl Reply {
    pub(crate) fn code(&self) -> u16 {
        self.code
    }

    /// How many lines it has.
    pub(crate) fn count(&self) -> usize {
        self.lines.len()
    }

    /// A line begins with `word`, whatever the case (RFC 5321 §4.1.1.1).
    pub(crate) fn has_word(&self, word: &str) -> bool {
        let first =
            |line: &Vec<u8>| line.split(|octet| *octet == b' ').next().map(<[u8]>::to_ascii_uppercase);
        self.lines.iter().any(|line| first(line).is_some_and(|first| first == word.as_bytes()))
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.lines.first().map(Vec::as_slice).unwrap_or_default();
        write!(f, "{} {}", self.code, escaped(first, 80))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&str]) -> Result<Option<Reply>, Fault> {
        let mut reader = Reader::default();
        for piece in pieces {
            reader.push(piece.as_bytes());
            if let Some(reply) = reader.next()? {
                return Ok(Some(reply));
            }
        }
        Ok(None)
    }

    #[test]
    fn a_reply_is_put_together_from_pieces() {
        let reply = read(&["25", "0-mail\r", "\n250-PIPE", "LINING\r\n250 starttls x\n"]).unwrap().unwrap();
        assert_eq!((reply.code(), reply.count()), (250, 3));
        assert!(reply.has_word("STARTTLS") && reply.has_word("PIPELINING") && !reply.has_word("START"));
        assert_eq!(reply.to_string(), "250 mail");
        assert_eq!(read(&["220\r\n"]).unwrap().unwrap().to_string(), "220 ");
        assert_eq!(read(&["220 half"]), Ok(None));
    }

    #[test]
    fn what_is_no_reply_is_told_with_the_line() {
        for text in [
            "HTTP/1.1 400 Bad\r\n",
            "22\r\n",
            "\r\n",
            "620 x\r\n",
            "2x0 x\r\n",
            "220x\r\n",
            "220-a\r\n221 b\r\n",
        ] {
            assert!(matches!(read(&[text]), Err(Fault::NotSmtp(_))), "{text}");
        }
    }

    #[test]
    fn lines_and_replies_have_an_end() {
        assert_eq!(read(&["x".repeat(LONGEST_LINE + 1).as_str()]), Err(Fault::TooLong));
        assert_eq!(read(&["220-x\r\n".repeat(MOST_LINES + 1).as_str()]), Err(Fault::TooLong));
        let long = format!("220 {}\r\n", "x".repeat(LONGEST_LINE));
        assert_eq!(read(&[&long]), Err(Fault::TooLong));
    }
}
