//! DNS messages (RFC 1035 §4): one question out, an answer in. What comes in is from anybody: every length is checked, a
//! name's pointers only lead backwards, and a message yields at most [`MOST_ANSWERS`] records.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::evidence::escaped;
use crate::spec::Invalid;

/// Records beyond are not looked at.
const MOST_ANSWERS: usize = 512;
/// The longest name in octets, with lengths and root (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;
const LONGEST_LABEL: usize = 63;
const CLASS_IN: u16 = 1;
const HEADER: usize = 12;

/// A type of record that can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RecordType {
    /// IPv4 address.
    A,
    /// Name server.
    Ns,
    /// Alias.
    Cname,
    /// Start of a zone.
    Soa,
    /// Name of an address.
    Ptr,
    /// Mail server.
    Mx,
    /// Text.
    Txt,
    /// IPv6 address.
    Aaaa,
    /// Service.
    Srv,
}

impl RecordType {
    const ALL: [(Self, u16, &'static str); 9] = [
        (Self::A, 1, "A"),
        (Self::Ns, 2, "NS"),
        (Self::Cname, 5, "CNAME"),
        (Self::Soa, 6, "SOA"),
        (Self::Ptr, 12, "PTR"),
        (Self::Mx, 15, "MX"),
        (Self::Txt, 16, "TXT"),
        (Self::Aaaa, 28, "AAAA"),
        (Self::Srv, 33, "SRV"),
    ];

    /// Its word, as in zone files.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _, _)| *kind == self).map_or("", |(_, _, word)| word)
    }

    fn code(self) -> u16 {
        Self::ALL.iter().find(|(kind, _, _)| *kind == self).map_or(0, |(_, code, _)| *code)
    }

    fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().find(|(_, other, _)| *other == code).map(|(kind, _, _)| *kind)
    }
}

impl FromStr for RecordType {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let found = Self::ALL.iter().find(|(_, _, word)| word.eq_ignore_ascii_case(text));
        found.map(|(kind, _, _)| *kind).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(_, _, word)| *word).collect();
            Invalid::new("type", format!("`{}` is not one of {}", text.escape_debug(), words.join(", ")))
        })
    }
}

/// A question, ready to be sent with any id.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Question {
    name: Vec<u8>,
    pub(crate) kind: RecordType,
}

impl Question {
    /// `name` in ASCII, `.` for the root; a dot at its end changes nothing.
    pub(crate) fn new(name: &str, kind: RecordType) -> Result<Self, Invalid> {
        let mut octets = Vec::new();
        let bare = name.strip_suffix('.').unwrap_or(name);
        for label in bare.split('.').filter(|_| !bare.is_empty()) {
            let length =
                u8::try_from(label.len()).ok().filter(|_| (1..=LONGEST_LABEL).contains(&label.len()));
            let Some(length) = length.filter(|_| label.bytes().all(|octet| octet.is_ascii_graphic())) else {
                let text = format!("`{}` is not a DNS name", name.escape_debug());
                return Err(Invalid::new("name", text));
            };
            octets.push(length);
            octets.extend(label.bytes());
        }
        octets.push(0);
        if octets.len() > LONGEST_NAME {
            return Err(Invalid::new("name", "a DNS name has at most 253 octets"));
        }
        Ok(Self { name: octets, kind })
    }

    /// The message that asks it, recursion desired.
    pub(crate) fn message(&self, id: u16) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + self.name.len() + 4);
        message.extend(id.to_be_bytes());
        message.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend(&self.name);
        message.extend(self.kind.code().to_be_bytes());
        message.extend(CLASS_IN.to_be_bytes());
        message
    }
}

/// An answer, as far as it is of use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Response {
    /// It did not fit; ask again over TCP.
    pub(crate) is_truncated: bool,
    pub(crate) code: ResponseCode,
    /// The records of the answer section that are of a known type.
    pub(crate) answers: Vec<Record>,
}

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    pub(crate) kind: RecordType,
    /// Seconds.
    pub(crate) ttl: u32,
    pub(crate) data: Data,
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Data {
    V4(Ipv4Addr),
    V6(Ipv6Addr),
    /// As in zone files; names in lower case without the last dot, texts without quotes.
    Text(String),
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => address.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// RCODE (RFC 1035 §4.1.1, RFC 2136 §2.2), the four bits of the header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ResponseCode(pub u8);

impl ResponseCode {
    /// The answer is whole.
    pub const NO_ERROR: Self = Self(0);
    /// The name does not exist.
    pub const NAME_ERROR: Self = Self(3);
    const WORDS: [&'static str; 11] = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET",
        "NOTAUTH", "NOTZONE",
    ];
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WORDS.get(usize::from(self.0)) {
            Some(word) => f.write_str(word),
            None => write!(f, "RCODE{}", self.0),
        }
    }
}

impl FromStr for ResponseCode {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let mut codes = (0..=u8::MAX).zip(Self::WORDS);
        let found = codes.find(|(_, word)| word.eq_ignore_ascii_case(text));
        found.map(|(code, _)| Self(code)).ok_or_else(|| {
            let text = format!("`{}` is not one of {}", text.escape_debug(), Self::WORDS.join(", "));
            Invalid::new("rcode", text)
        })
    }
}

/// Why octets are not the answer that is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unusable {
    /// Another id or question, or no answer at all: somebody else's, or forged.
    Stray,
    /// Ours, and broken.
    Malformed,
}

impl Response {
    /// Reads the answer to `question` that was asked with `id`.
    pub(crate) fn parse(message: &[u8], id: u16, question: &Question) -> Result<Self, Unusable> {
        let header = message.get(..HEADER).ok_or(Unusable::Stray)?;
        let is_response = header[2] & 0x80 != 0;
        if header[..2] != id.to_be_bytes() || !is_response {
            return Err(Unusable::Stray);
        }
        let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
        let mut reader = Reader { message, at: HEADER };
        let code = ResponseCode(header[3] & 0x0f);
        match count(4) {
            // Some servers leave the question out when they refuse.
            0 if code != ResponseCode::NO_ERROR => {}
            1 => reader.expect_question(question)?,
            _ => return Err(Unusable::Malformed),
        }
        let is_truncated = header[2] & 0x02 != 0;
        let mut answers = Vec::new();
        // What is left of a truncated answer may end anywhere.
        let wanted = if is_truncated { 0 } else { count(6).min(MOST_ANSWERS) };
        for _ in 0..wanted {
            answers.extend(reader.record().ok_or(Unusable::Malformed)?);
        }
        Ok(Self { is_truncated, code, answers })
    }
}

/// A place in a message.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.message.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn octet(&mut self) -> Option<u8> {
        self.take(1).map(|octets| octets[0])
    }

    fn two(&mut self) -> Option<u16> {
        self.take(2).and_then(|octets| octets.try_into().ok()).map(u16::from_be_bytes)
    }

    fn four(&mut self) -> Option<u32> {
        self.take(4).and_then(|octets| octets.try_into().ok()).map(u32::from_be_bytes)
    }

    /// Passes over a question that must be ours; letters may differ in case.
    fn expect_question(&mut self, question: &Question) -> Result<(), Unusable> {
        let name = self.take(question.name.len()).ok_or(Unusable::Stray)?;
        let kind = self.two().ok_or(Unusable::Stray)?;
        let class = self.two().ok_or(Unusable::Stray)?;
        let is_ours =
            name.eq_ignore_ascii_case(&question.name) && kind == question.kind.code() && class == CLASS_IN;
        if is_ours { Ok(()) } else { Err(Unusable::Stray) }
    }

    /// One record; `Some(None)` when it is of a type that nobody asks for.
    fn record(&mut self) -> Option<Option<Record>> {
        self.name()?;
        let (code, class, ttl) = (self.two()?, self.two()?, self.four()?);
        let length = usize::from(self.two()?);
        let mut inner = *self;
        let data = self.take(length)?;
        let Some(kind) = RecordType::from_code(code).filter(|_| class == CLASS_IN) else { return Some(None) };
        let data = inner.data(kind, data)?;
        Some(Some(Record { kind, ttl, data }))
    }

    /// `raw` is the record's data, at which this reader stands.
    fn data(&mut self, kind: RecordType, raw: &[u8]) -> Option<Data> {
        let end = self.at + raw.len();
        let data = match kind {
            RecordType::A => return Some(Data::V4(<[u8; 4]>::try_from(raw).ok()?.into())),
            RecordType::Aaaa => return Some(Data::V6(<[u8; 16]>::try_from(raw).ok()?.into())),
            RecordType::Txt => return texts(raw).map(Data::Text),
            RecordType::Ns | RecordType::Cname | RecordType::Ptr => self.name()?,
            RecordType::Mx => format!("{} {}", self.two()?, self.name()?),
            RecordType::Srv => format!("{} {} {} {}", self.two()?, self.two()?, self.two()?, self.name()?),
            RecordType::Soa => {
                let (server, mailbox) = (self.name()?, self.name()?);
                let numbers = [self.four()?, self.four()?, self.four()?, self.four()?, self.four()?];
                format!("{server} {mailbox} {}", numbers.map(|number| number.to_string()).join(" "))
            }
        };
        (self.at == end).then_some(Data::Text(data))
    }

    /// A name in lower case without its last dot, `.` for the root (RFC 1035 §4.1.4).
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut octets = 0;
        let mut place = *self;
        let mut lowest = self.at;
        let mut has_jumped = false;
        loop {
            let length = place.octet()?;
            match length {
                0 => break,
                1..=0x3f => {
                    let label = place.take(usize::from(length))?;
                    octets += label.len() + 1;
                    if octets >= LONGEST_NAME {
                        return None;
                    }
                    push_label(&mut name, label);
                }
                0xc0..=0xff => {
                    let to = usize::from(length & 0x3f) << 8 | usize::from(place.octet()?);
                    if !has_jumped {
                        self.at = place.at;
                        has_jumped = true;
                    }
                    // Each jump goes further back than all before, so there is an end.
                    if to >= lowest {
                        return None;
                    }
                    lowest = to;
                    place.at = to;
                }
                _ => return None,
            }
        }
        if !has_jumped {
            self.at = place.at;
        }
        Some(if name.is_empty() { ".".to_owned() } else { name })
    }
}

fn push_label(name: &mut String, label: &[u8]) {
    if !name.is_empty() {
        name.push('.');
    }
    for octet in label {
        match octet {
            b'.' | b'\\' => name.extend(['\\', char::from(*octet)]),
            0x21..=0x7e => name.push(char::from(octet.to_ascii_lowercase())),
            _ => name.push_str(&format!("\\{octet:03}")),
        }
    }
}

/// The character strings of a TXT record, one after the other.
fn texts(raw: &[u8]) -> Option<String> {
    let mut text = Vec::new();
    let mut rest = raw;
    while let Some((length, behind)) = rest.split_first() {
        text.extend(behind.get(..usize::from(*length))?);
        rest = behind.get(usize::from(*length)..)?;
    }
    Some(escaped(&text, usize::from(u16::MAX)))
}
