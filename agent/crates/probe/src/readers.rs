//! The readers of what targets send, for the fuzzer and nobody else. Each takes octets as they may come from anybody and
//! gives a number that stands for what it made of them; none may panic, take long, or keep more than its bound.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash};

use crate::dns::{Question, RecordType, Response};
use crate::grpc::answer_status;
use crate::http::{Reply, Wanted};
use crate::icmp::reply_sequence;
use crate::smtp::Reader;
use crate::tls::validity;

/// A response over HTTP/1, in pieces of `piece` octets.
///
/// # Panics
/// When the reader keeps more than its bound.
pub fn http(octets: &[u8], piece: usize) -> u64 {
    const LIMIT: usize = 64;
    let mut reply = Reply::new(Wanted { body: true, limit: LIMIT, is_head: false });
    for piece in octets.chunks(piece.max(1)) {
        if let Err(offence) = reply.take(piece) {
            return number(&(1, offence.as_str()));
        }
    }
    let end = reply.end().map_err(|offence| offence.as_str());
    let is_complete = reply.is_complete();
    let answer = reply.take_answer();
    assert!(answer.body.len() <= LIMIT, "{} octets of body", answer.body.len());
    number(&(2, end, is_complete, answer.status, answer.body.len(), answer.is_cut))
}

/// Replies of a mail server, in pieces of `piece` octets.
pub fn smtp(octets: &[u8], piece: usize) -> u64 {
    let mut reader = Reader::default();
    let mut seen = Vec::new();
    for piece in octets.chunks(piece.max(1)) {
        reader.push(piece);
        loop {
            match reader.next() {
                Ok(Some(reply)) => seen.push((reply.code(), reply.count(), reply.has_word("STARTTLS"))),
                Ok(None) => break,
                Err(_) => return number(&(1, seen)),
            }
        }
    }
    number(&(2, seen))
}

/// The answer of a name server to a question for the address of `web.example.org` with the id 7.
pub fn dns(octets: &[u8]) -> u64 {
    let question = Question::new("web.example.org", RecordType::A);
    let response = question.map(|question| Response::parse(octets, 7, &question));
    let Ok(Ok(response)) = response else { return number(&format!("{response:?}")) };
    let kinds: Vec<RecordType> = response.answers.iter().map(|record| record.kind).collect();
    number(&(response.is_truncated, response.code, kinds))
}

/// A question whose answer [`dns`] reads.
pub fn dns_question() -> Vec<u8> {
    Question::new("web.example.org", RecordType::A).map(|question| question.message(7)).unwrap_or_default()
}

/// A datagram where an echo reply is waited for, through sockets of every kind.
pub fn icmp(octets: &[u8]) -> u64 {
    number(&reply_sequence(octets))
}

/// The body of an answer of grpc.health.v1.
pub fn grpc(octets: &[u8]) -> u64 {
    number(&answer_status(octets))
}

/// A certificate in DER.
pub fn certificate(octets: &[u8]) -> u64 {
    number(&validity(octets).map(|validity| validity.not_before < validity.not_after))
}

fn number(what: &impl Hash) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(what)
}
