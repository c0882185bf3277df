//! What requests of several services have in common, checked.

use std::time::Duration;

use ha_engine::Instant;
use tonic::Status;

use super::convert;
use super::error::{Reason, refuse};
use super::once::LONGEST_ID;
use crate::clock;

/// How long what an operator sets lasts at least.
const SHORTEST_TTL: Duration = Duration::from_secs(1);

/// The longest reason in octets.
const LONGEST_REASON: usize = 1024;

/// When something with this time to live ends; `None` = when somebody ends it.
pub(crate) fn expires(ttl: Option<&prost_types::Duration>) -> Result<Option<Instant>, Status> {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
    let next = "use 1 s .. 365 d, or leave it out to keep it until cleared";
    let lasts = ttl.map(|ttl| checked_ttl(ttl, LONGEST, next)).transpose()?;
    Ok(lasts.map(|lasts| clock::now().after(lasts)))
}

/// A time to live of at most `longest`; `next` says what else to ask for.
pub(crate) fn checked_ttl(
    ttl: &prost_types::Duration,
    longest: Duration,
    next: &str,
) -> Result<Duration, Status> {
    let lasts = convert::checked_duration(ttl).filter(|lasts| (SHORTEST_TTL..=longest).contains(lasts));
    lasts.ok_or_else(|| refuse(Reason::TtlOutOfRange, "ttl is out of range", next))
}

/// Free text for colleagues.
pub(crate) fn reason(text: &str) -> Result<&str, Status> {
    check_length("reason", text, LONGEST_REASON)
}

/// The client's id of a change.
pub(crate) fn id(text: &str) -> Result<&str, Status> {
    check_length("request_id", text, LONGEST_ID)
}

fn check_length<'a>(field: &str, text: &'a str, longest: usize) -> Result<&'a str, Status> {
    if text.len() <= longest {
        return Ok(text);
    }
    Err(refuse(
        Reason::FieldTooLong,
        format!("{field} has {} octets", text.len()),
        format!("use at most {longest}"),
    ))
}
