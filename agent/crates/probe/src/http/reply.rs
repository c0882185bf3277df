//! An HTTP/1 response (RFC 9112), read octet by octet from whoever sends: heads, bodies and lines are bounded, what is not
//! wanted is not kept, and no piece is looked at twice.

use std::mem::MaybeUninit;

use httparse::{ParserConfig, Status};

use super::Answer;

/// A head is not longer, all headers included.
const LONGEST_HEAD: usize = 1 << 16;
const MOST_HEADERS: usize = 128;
/// 1xx responses before the final one.
const MOST_INTERIM: u8 = 8;
/// A chunk's size, without extensions, has fewer digits: less than 2^60 octets.
const MOST_DIGITS: u8 = 15;

/// What is wanted of a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Wanted {
    /// Otherwise it is complete with its head.
    pub(crate) body: bool,
    /// Octets of the body to keep; it is complete with one more.
    pub(crate) limit: usize,
    /// It answers HEAD: there is no body (RFC 9112 §6.3).
    pub(crate) is_head: bool,
}

/// What a peer did wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Offence {
    /// It does not speak HTTP/1.
    NotHttp,
    /// The head breaks a rule.
    BadHead,
    LongHead,
    /// More than [`MOST_INTERIM`] interim responses.
    TooManyInterim,
    /// The body's chunks break a rule.
    BadChunk,
    /// The connection ended before the response did.
    Incomplete,
}

impl Offence {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotHttp => "what came is not HTTP/1",
            Self::BadHead => "the head of the answer breaks the rules of HTTP",
            Self::LongHead => "the head of the answer is longer than 64 KiB or has more than 128 headers",
            Self::TooManyInterim => "more than 8 interim responses came",
            Self::BadChunk => "the body is not chunked as its head says",
            Self::Incomplete => "the peer closed the connection before its answer was complete",
        }
    }
}

/// A response that is being read.
#[derive(Debug)]
pub(crate) struct Reply {
    wanted: Wanted,
    head: Vec<u8>,
    interim: u8,
    state: State,
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Head,
    /// So many octets of the body are missing.
    Counted(u64),
    Chunked(Chunk),
    UntilClose,
    Complete,
}

/// Where in a chunked body (RFC 9112 §7.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Chunk {
    Size {
        value: u64,
        digits: u8,
        is_extension: bool,
    },
    Data(u64),
    /// The line end behind the data.
    DataEnd,
    Trailer {
        is_empty_line: bool,
    },
}

impl Chunk {
    const BEGIN: Self = Self::Size { value: 0, digits: 0, is_extension: false };
}

impl Reply {
    pub(crate) fn new(wanted: Wanted) -> Self {
        Self { wanted, head: Vec::new(), interim: 0, state: State::Head, answer: Answer::default() }
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// The final head has come.
    pub(crate) fn has_head(&self) -> bool {
        self.state != State::Head
    }

    /// What is kept of it; nothing is left behind.
    pub(crate) fn take_answer(&mut self) -> Answer {
        std::mem::take(&mut self.answer)
    }

    /// Takes what came next.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Result<(), Offence> {
        match self.state {
            State::Head => self.take_head(octets),
            _ => self.take_body(octets),
        }
    }

    /// The connection has ended.
    pub(crate) fn end(&mut self) -> Result<(), Offence> {
        match self.state {
            State::UntilClose | State::Complete => {
                self.state = State::Complete;
                Ok(())
            }
            _ => Err(Offence::Incomplete),
        }
    }

    /// A head that comes whole is read where it lies; only the beginning of one is kept.
    fn take_head(&mut self, octets: &[u8]) -> Result<(), Offence> {
        let mut gathered = std::mem::take(&mut self.head);
        // Two line ends may lie across the border of two pieces.
        let mut searched = gathered.len().saturating_sub(3);
        if !gathered.is_empty() {
            gathered.extend_from_slice(octets);
        }
        let mut left = if gathered.is_empty() { octets } else { &gathered[..] };
        loop {
            if !left.iter().zip(b"HTTP/1.").all(|(octet, wanted)| octet == wanted) {
                return Err(Offence::NotHttp);
            }
            let Some(end) = end_of_head(&left[searched..]).map(|end| searched + end) else { break };
            let (head, rest) = left.split_at(end);
            let (status, state) = parse_head(head, self.wanted)?;
            if is_interim(status) {
                self.count_interim()?;
                (left, searched) = (rest, 0);
                continue;
            }
            (self.answer.status, self.state) = (status, state);
            return self.take_body(rest);
        }
        if left.len() > LONGEST_HEAD {
            return Err(Offence::LongHead);
        }
        // Not copied again for each piece, or many small ones would cost time without bound.
        let is_whole = left.len() == gathered.len();
        self.head = if is_whole { gathered } else { left.to_vec() };
        Ok(())
    }

    fn count_interim(&mut self) -> Result<(), Offence> {
        self.interim += 1;
        if self.interim > MOST_INTERIM { Err(Offence::TooManyInterim) } else { Ok(()) }
    }

    fn take_body(&mut self, mut octets: &[u8]) -> Result<(), Offence> {
        while !octets.is_empty() {
            match self.state {
                // What follows a complete response is nobody's.
                State::Head | State::Complete => return Ok(()),
                State::UntilClose => {
                    self.keep(octets);
                    return Ok(());
                }
                State::Counted(left) => {
                    let (body, _) = split(octets, left);
                    self.state = State::Counted(left - length(body));
                    if left == length(body) {
                        self.state = State::Complete;
                    }
                    self.keep(body);
                    return Ok(());
                }
                State::Chunked(chunk) => octets = self.take_chunk(chunk, octets)?,
            }
        }
        Ok(())
    }

    /// Takes what belongs to the part of a chunk that is running; gives back the rest.
    fn take_chunk<'a>(&mut self, chunk: Chunk, octets: &'a [u8]) -> Result<&'a [u8], Offence> {
        if let Chunk::Data(left) = chunk {
            let (body, rest) = split(octets, left);
            let left = left - length(body);
            self.state = State::Chunked(if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) });
            self.keep(body);
            return Ok(rest);
        }
        let Some((octet, rest)) = octets.split_first() else { return Ok(octets) };
        self.state = match next_chunk(chunk, *octet)? {
            Some(chunk) => State::Chunked(chunk),
            None => State::Complete,
        };
        Ok(rest)
    }

    /// Keeps a piece of the body; a body longer than the limit is complete with what is kept.
    fn keep(&mut self, piece: &[u8]) {
        let room = self.wanted.limit.saturating_sub(self.answer.body.len());
        self.answer.body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            self.answer.is_cut = true;
            self.state = State::Complete;
        }
    }
}

/// What follows `octet` outside of data; `None` when the body is complete. A lone LF ends a line, too (RFC 9112 §2.2).
fn next_chunk(chunk: Chunk, octet: u8) -> Result<Option<Chunk>, Offence> {
    let next = match (chunk, octet) {
        (_, b'\r') => chunk,
        (Chunk::Size { digits: 0, .. }, b'\n' | b';' | b' ' | b'\t') => return Err(Offence::BadChunk),
        (Chunk::Size { value: 0, .. }, b'\n') => Chunk::Trailer { is_empty_line: true },
        (Chunk::Size { value, .. }, b'\n') => Chunk::Data(value),
        (Chunk::Size { is_extension: true, .. }, _) => chunk,
        (Chunk::Size { value, digits, .. }, b';' | b' ' | b'\t') => {
            Chunk::Size { value, digits, is_extension: true }
        }
        (Chunk::Size { value, digits, .. }, _) => {
            let digit =
                char::from(octet).to_digit(16).filter(|_| digits < MOST_DIGITS).ok_or(Offence::BadChunk)?;
            Chunk::Size { value: value << 4 | u64::from(digit), digits: digits + 1, is_extension: false }
        }
        (Chunk::DataEnd, b'\n') => Chunk::BEGIN,
        (Chunk::DataEnd | Chunk::Data(_), _) => return Err(Offence::BadChunk),
        (Chunk::Trailer { is_empty_line: true }, b'\n') => return Ok(None),
        (Chunk::Trailer { .. }, _) => Chunk::Trailer { is_empty_line: octet == b'\n' },
    };
    Ok(Some(next))
}

/// Where the head ends: behind the first empty line.
fn end_of_head(octets: &[u8]) -> Option<usize> {
    let line_ends = octets.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at);
    line_ends.into_iter().find_map(|at| match octets.get(at + 1..)? {
        [b'\n', ..] => Some(at + 2),
        [b'\r', b'\n', ..] => Some(at + 3),
        _ => None,
    })
}

/// Another response follows; 101 is final for who did not ask for it.
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status) && status != 101
}

/// The status of a whole head, and how its body is delimited (RFC 9112 §6.3).
fn parse_head(head: &[u8], wanted: Wanted) -> Result<(u16, State), Offence> {
    let mut headers = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    match ParserConfig::default().parse_response_with_uninit_headers(&mut response, head, &mut headers) {
        Ok(Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(Offence::LongHead),
        Ok(Status::Partial) | Err(_) => return Err(Offence::BadHead),
    }
    let status = response.code.ok_or(Offence::BadHead)?;
    let has_no_body = wanted.is_head || !wanted.body || matches!(status, 100..=199 | 204 | 304);
    let state = if has_no_body { State::Complete } else { framing(response.headers)? };
    Ok((status, state))
}

fn framing(headers: &[httparse::Header<'_>]) -> Result<State, Offence> {
    let values = |name: &'static str| {
        headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value)
    };
    if let Some(coding) = values("transfer-encoding").next_back() {
        let last = coding.rsplit(|octet| *octet == b',').next().unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if is_chunked { State::Chunked(Chunk::BEGIN) } else { State::UntilClose });
    }
    let mut lengths = values("content-length").map(content_length);
    let Some(first) = lengths.next() else { return Ok(State::UntilClose) };
    let first = first.ok_or(Offence::BadHead)?;
    if lengths.any(|other| other != Some(first)) {
        return Err(Offence::BadHead);
    }
    Ok(if first == 0 { State::Complete } else { State::Counted(first) })
}

fn content_length(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let is_number = (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn split(octets: &[u8], most: u64) -> (&[u8], &[u8]) {
    octets.split_at(usize::try_from(most).unwrap_or(usize::MAX).min(octets.len()))
}

fn length(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
