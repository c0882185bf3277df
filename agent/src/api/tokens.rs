//! The opaque words that clients hand back: resume tokens, page tokens, etags. All of them name the node or its
//! incarnation, so that a word of another life or another node is recognised instead of misread.

use std::hash::{DefaultHasher, Hash, Hasher};

use ha_proto::v1::resync_required::Reason as Resync;
use prost::Message;
use tonic::Status;

use super::error::{Reason, refuse};
use crate::journal::Journal;

/// `{node}/{incarnation}.{sequence}`: everything up to this sequence has been handled.
pub(crate) fn resume_token(journal: &Journal, position: u64) -> String {
    format!("{}/{}.{position}", journal.node(), journal.incarnation())
}

/// The position that a resume token names, or why it cannot be resumed from.
pub(crate) fn resume_position(journal: &Journal, token: &str) -> Result<u64, Resync> {
    let (node, rest) = token.rsplit_once('/').ok_or(Resync::TokenUnknown)?;
    let (incarnation, position) = rest.split_once('.').ok_or(Resync::TokenUnknown)?;
    let position: u64 = position.parse().map_err(|_| Resync::TokenUnknown)?;
    if node != &**journal.node() || incarnation.len() != journal.incarnation().len() {
        return Err(Resync::TokenUnknown);
    }
    if incarnation != &**journal.incarnation() {
        return Err(Resync::IncarnationChanged);
    }
    if position > journal.newest() {
        return Err(Resync::TokenUnknown);
    }
    match journal.oldest() {
        Some(oldest) if position + 1 < oldest.sequence => Err(Resync::TokenExpired),
        _ => Ok(position),
    }
}

/// `{incarnation}-{revision}` of an instance's intent.
pub(crate) fn etag(incarnation: &str, revision: u64) -> String {
    format!("{incarnation}-{revision}")
}

/// The revision that an etag demands; `None` when it demands none.
pub(crate) fn expected_revision(incarnation: &str, etag: &str) -> Result<Option<u64>, Status> {
    if etag.is_empty() {
        return Ok(None);
    }
    let revision = etag.strip_prefix(incarnation).and_then(|rest| rest.strip_prefix('-'));
    match revision.and_then(|revision| revision.parse().ok()) {
        Some(revision) => Ok(Some(revision)),
        None => Err(etag_mismatch()),
    }
}

/// The resource is not as the caller saw it.
pub(crate) fn etag_mismatch() -> Status {
    refuse(
        Reason::EtagMismatch,
        "somebody else changed the instance's configuration or override since you read it",
        "read it again, decide again, and send its new etag",
    )
}

/// Where a listing of named things goes on: after this name.
pub(crate) fn page_after(kind: &str, last: &str) -> String {
    format!("{kind}:{last}")
}

/// The name after which a page begins; `None` for the first.
pub(crate) fn page_start<'a>(kind: &str, token: &'a str) -> Result<Option<&'a str>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    token.strip_prefix(kind).and_then(|rest| rest.strip_prefix(':')).map(Some).ok_or_else(page_token_invalid)
}

/// Where a listing of events goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EventPage {
    /// Sequence of the last event that was looked at.
    pub(crate) position: u64,
    /// The newest sequence when the listing began.
    pub(crate) newest: u64,
    /// Of everything in the request that decides what is listed.
    pub(crate) question: u64,
}

impl EventPage {
    /// The token's text.
    pub(crate) fn encode(self, journal: &Journal) -> String {
        let Self { position, newest, question } = self;
        format!("events:{}.{position}.{newest}.{question:016x}", journal.incarnation())
    }

    /// Reads it back; refuses one of another request or another incarnation.
    pub(crate) fn decode(journal: &Journal, token: &str, question: u64) -> Result<Self, Status> {
        let rest = token.strip_prefix("events:").ok_or_else(page_token_invalid)?;
        let [incarnation, position, newest, asked] =
            <[&str; 4]>::try_from(rest.split('.').collect::<Vec<_>>()).map_err(|_| page_token_invalid())?;
        if incarnation != &**journal.incarnation() {
            return Err(page_token_expired());
        }
        let number = |text: &str| text.parse().map_err(|_| page_token_invalid());
        let page = Self { position: number(position)?, newest: number(newest)?, question };
        let same = u64::from_str_radix(asked, 16) == Ok(question);
        if same && page.newest <= journal.newest() { Ok(page) } else { Err(page_token_invalid()) }
    }
}

/// A number for everything in a message, the same in every agent of this build.
pub(crate) fn fingerprint(message: &impl Message) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.encode_to_vec().hash(&mut hasher);
    hasher.finish()
}

fn page_token_invalid() -> Status {
    refuse(
        Reason::PageTokenInvalid,
        "the page token is not one that this agent gave for this request",
        "repeat the request that gave it unchanged, or begin again without a token",
    )
}

/// What the token points at is no longer kept.
pub(crate) fn page_token_expired() -> Status {
    refuse(
        Reason::PageTokenExpired,
        "the history no longer holds the place where this page begins",
        "begin again without a token, or watch instead of paging",
    )
}
