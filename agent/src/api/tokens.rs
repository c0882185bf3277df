//! The opaque words that clients hand back: resume tokens, page tokens, etags. All of them name the node or its
//! incarnation, so that a word of another life or another node is recognised instead of misread.

use std::hash::{DefaultHasher, Hash, Hasher};

use ha_proto::v1::resync_required::Reason as Resync;
use prost::Message;
use tonic::Status;

use super::error::{Reason, refuse, refuse_with};
use crate::journal::{Journal, Place};

/// `{node}/{incarnation}.{sequence}`: everything up to this sequence has been handled.
pub(crate) fn resume_token(journal: &Journal, position: u64) -> String {
    format!("{}/{}.{position}", journal.node(), journal.incarnation())
}

/// The same of a place in any incarnation.
pub(crate) fn resume_token_of(journal: &Journal, place: &Place) -> String {
    format!("{}/{}.{}", journal.node(), place.incarnation, place.sequence)
}

/// The place from which a resume token goes on, `None` when that is impossible; and why the client must look anew, if it must.
pub(crate) async fn resume_place(journal: &Journal, token: &str) -> (Option<Place>, Option<Resync>) {
    let place = match named_place(journal, token) {
        Ok(place) => place,
        Err(reason) => return (None, Some(reason)),
    };
    let is_current = place.incarnation == *journal.incarnation();
    if is_current && journal.oldest().is_none_or(|oldest| place.sequence >= oldest.sequence.saturating_sub(1))
    {
        return (Some(place), None);
    }
    match journal.archive().locate(&place.incarnation).await {
        None if is_current => (None, Some(Resync::TokenExpired)),
        None => (None, Some(Resync::IncarnationChanged)),
        Some(known) if place.sequence < known.complete_after => (None, Some(Resync::TokenExpired)),
        Some(known) if known.all_ended => match is_current || place.sequence <= known.newest {
            true => (Some(place), None),
            false => (None, Some(Resync::TokenUnknown)),
        },
        // Nothing follows what is known of it, whatever a client says.
        Some(known) => {
            let sequence = place.sequence.min(known.newest);
            (Some(Place { sequence, ..place }), Some(Resync::EndUnknown))
        }
    }
}

/// What a token says, when it can be one of this node.
fn named_place(journal: &Journal, token: &str) -> Result<Place, Resync> {
    let (node, rest) = token.rsplit_once('/').ok_or(Resync::TokenUnknown)?;
    let (incarnation, position) = rest.split_once('.').ok_or(Resync::TokenUnknown)?;
    let position: u64 = position.parse().map_err(|_| Resync::TokenUnknown)?;
    if node != &**journal.node() || incarnation.len() != journal.incarnation().len() {
        return Err(Resync::TokenUnknown);
    }
    if incarnation == &**journal.incarnation() && position > journal.newest() {
        return Err(Resync::TokenUnknown);
    }
    Ok(Place { incarnation: incarnation.into(), sequence: position })
}

/// `{incarnation}-{revision}` of an instance's intent.
pub(crate) fn etag(incarnation: &str, revision: u64) -> String {
    format!("{incarnation}-{revision}")
}

/// The revision that an etag demands; `None` when it demands none. One that is none of this incarnation demands what never is.
pub(crate) fn expected_revision(incarnation: &str, etag: &str) -> Option<u64> {
    if etag.is_empty() {
        return None;
    }
    let revision = etag.strip_prefix(incarnation).and_then(|rest| rest.strip_prefix('-'));
    Some(revision.and_then(|revision| revision.parse().ok()).unwrap_or(NEVER))
}

/// What no revision ever is.
const NEVER: u64 = u64::MAX;

/// Refuses at once what no revision can satisfy, before anything is made ready for the change.
pub(crate) fn check_expected(incarnation: &str, expected: Option<u64>, current: u64) -> Result<(), Status> {
    if expected == Some(NEVER) { Err(etag_mismatch(incarnation, current)) } else { Ok(()) }
}

/// The resource is not as the caller saw it.
pub(crate) fn etag_mismatch(incarnation: &str, current: u64) -> Status {
    refuse_with(
        Reason::EtagMismatch,
        "somebody else changed the configuration or an operator's wish since you read it",
        "read it again, decide again, and send its new etag",
        ("etag", &etag(incarnation, current)),
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
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EventPage {
    /// The last event that was looked at.
    pub(crate) place: Place,
    /// The newest when the listing began.
    pub(crate) newest: Place,
    /// Of everything in the request that decides what is listed.
    pub(crate) question: u64,
}

impl EventPage {
    /// The token's text.
    pub(crate) fn encode(&self) -> String {
        let Self { place, newest, question } = self;
        let shown = |place: &Place| format!("{}.{}", place.incarnation, place.sequence);
        format!("events:{}.{}.{question:016x}", shown(place), shown(newest))
    }

    /// Reads it back; refuses one of another request, and one of an incarnation that is no longer kept.
    pub(crate) async fn decode(journal: &Journal, token: &str, question: u64) -> Result<Self, Status> {
        let rest = token.strip_prefix("events:").ok_or_else(page_token_invalid)?;
        let [incarnation, position, newest_incarnation, newest, asked] =
            <[&str; 5]>::try_from(rest.split('.').collect::<Vec<_>>()).map_err(|_| page_token_invalid())?;
        let place = |incarnation: &str, text: &str| -> Result<Place, Status> {
            let sequence = text.parse().map_err(|_| page_token_invalid())?;
            Ok(Place { incarnation: incarnation.into(), sequence })
        };
        let page = Self {
            place: place(incarnation, position)?,
            newest: place(newest_incarnation, newest)?,
            question,
        };
        let is_current = |place: &Place| place.incarnation == *journal.incarnation();
        let same = u64::from_str_radix(asked, 16) == Ok(question);
        if !same || (is_current(&page.newest) && page.newest.sequence > journal.newest()) {
            return Err(page_token_invalid());
        }
        if !is_current(&page.place) && journal.archive().locate(incarnation).await.is_none() {
            return Err(page_token_expired());
        }
        Ok(page)
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
