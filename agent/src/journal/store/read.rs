//! Questions to the file. Both tables are read as one, in the order of their keys.

use std::iter::Peekable;
use std::ops::Bound;
use std::time::SystemTime;

use ha_proto::v1;
use prost::Message;
use redb::{Database, Error, Range, ReadTransaction, ReadableDatabase, ReadableTable, StorageError};

use super::tables::{HISTORY, INCARNATIONS, Key, NOISE, NUMBERS, Value, millis};
use crate::journal::archive::Place;
use crate::journal::reader::Lagged;

/// What is known of an incarnation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Located {
    /// The newest sequence that was written.
    pub(crate) newest: u64,
    /// It and all after it but the newest ended in order, so that nothing came after what was written.
    pub(crate) all_ended: bool,
    /// All history after this sequence is here.
    pub(crate) complete_after: u64,
}

/// At most `most` records after a place, or from the oldest, oldest first; `None` when nothing is known of the place.
pub(crate) fn after(
    database: &Database,
    place: Option<&Place>,
    most: usize,
) -> Result<Option<Vec<v1::Event>>, Error> {
    let transaction = database.begin_read()?;
    let begin = match place {
        None => Bound::Unbounded,
        Some(place) => match number_of(&transaction, &place.incarnation)? {
            Some(number) => Bound::Excluded((number, place.sequence)),
            None => return Ok(None),
        },
    };
    let history = transaction.open_table(HISTORY)?;
    let noise = transaction.open_table(NOISE)?;
    let sides = [history.range((begin, Bound::Unbounded))?, noise.range((begin, Bound::Unbounded))?];
    let mut events = Vec::new();
    each(sides, false, |_, octets| {
        events.push(decode(octets)?);
        Ok(events.len() < most)
    })?;
    Ok(Some(events))
}

/// At most `most` records before a place, newest first.
pub(crate) fn before(database: &Database, place: &Place, most: usize) -> Result<Vec<v1::Event>, Error> {
    let transaction = database.begin_read()?;
    let Some(number) = number_of(&transaction, &place.incarnation)? else { return Ok(Vec::new()) };
    let end = Bound::Excluded((number, place.sequence));
    let history = transaction.open_table(HISTORY)?;
    let noise = transaction.open_table(NOISE)?;
    let sides = [history.range((Bound::Unbounded, end))?, noise.range((Bound::Unbounded, end))?];
    let mut events = Vec::new();
    each(sides, true, |_, octets| {
        events.push(decode(octets)?);
        Ok(events.len() < most)
    })?;
    Ok(events)
}

/// What is known of an incarnation; `None` when no record of it is left.
pub(crate) fn locate(database: &Database, incarnation: &str) -> Result<Option<Located>, Error> {
    let transaction = database.begin_read()?;
    let Some(number) = number_of(&transaction, incarnation)? else { return Ok(None) };
    let incarnations = transaction.open_table(INCARNATIONS)?;
    let Some(newest) = incarnations.get(number)?.map(|known| known.value().1) else { return Ok(None) };
    let current = incarnations.last()?.map_or(number, |(current, _)| current.value());
    let mut all_ended = true;
    for earlier in incarnations.range(number..current)? {
        all_ended &= earlier?.1.value().2;
    }
    let complete_after = complete_after(&transaction, number, newest)?;
    Ok(Some(Located { newest, all_ended, complete_after }))
}

/// Rows go from the oldest on: of what is older than the oldest of history only noise may be there, as far as it goes back from
/// there without a hole.
fn complete_after(transaction: &ReadTransaction, number: u32, newest: u64) -> Result<u64, Error> {
    let oldest = transaction.open_table(HISTORY)?.first()?.map(|(key, _)| key.value());
    let mut first = match oldest {
        Some((oldest, sequence)) if oldest == number => sequence,
        Some((oldest, _)) if oldest < number => return Ok(0),
        _ => newest.saturating_add(1),
    };
    for row in transaction.open_table(NOISE)?.range((number, 0)..(number, first))?.rev() {
        if row?.0.value().1 + 1 != first {
            break;
        }
        first -= 1;
    }
    Ok(first.saturating_sub(1))
}

/// What is missing of a place's incarnation after it.
pub(crate) fn gap(database: &Database, place: &Place) -> Result<Option<Lagged>, Error> {
    let transaction = database.begin_read()?;
    let Some(number) = number_of(&transaction, &place.incarnation)? else { return Ok(None) };
    let known = transaction.open_table(INCARNATIONS)?.get(number)?.map_or(0, |known| known.value().1);
    let range = (Bound::Excluded((number, place.sequence)), Bound::Included((number, known)));
    let history = transaction.open_table(HISTORY)?;
    let noise = transaction.open_table(NOISE)?;
    let sides = [history.range(range)?, noise.range(range)?];
    let (mut expected, mut missing) = (place.sequence.saturating_add(1), None);
    let mut note = |from: u64, to: u64| {
        if from < to {
            let (first, lost) = missing.map_or((from, 0), |hole: Lagged| (hole.first, hole.lost));
            missing = Some(Lagged { first, last: to - 1, lost: lost + (to - from) });
        }
    };
    each(sides, false, |(_, sequence), _| {
        note(expected, sequence);
        expected = sequence + 1;
        Ok(true)
    })?;
    note(expected, known.saturating_add(1));
    Ok(missing)
}

/// The place after which the first record of `time` or later follows.
pub(crate) fn place_of(database: &Database, time: SystemTime) -> Result<Option<Place>, Error> {
    let transaction = database.begin_read()?;
    let wanted = millis(time);
    let mut found = None;
    for row in transaction.open_table(HISTORY)?.iter()? {
        let (key, value) = row?;
        if value.value().0 >= wanted {
            found = Some(key.value());
            break;
        }
    }
    let Some((number, sequence)) = found else { return Ok(None) };
    let known = transaction.open_table(INCARNATIONS)?;
    let incarnation = known.get(number)?.map(|known| known.value().0.into());
    Ok(incarnation.map(|incarnation| Place { incarnation, sequence: sequence - 1 }))
}

fn number_of(transaction: &ReadTransaction, incarnation: &str) -> Result<Option<u32>, Error> {
    Ok(transaction.open_table(NUMBERS)?.get(incarnation)?.map(|number| number.value()))
}

type Side<'a> = Range<'a, Key, Value<'static>>;

/// Hands the rows of both sides to `take`, ascending or descending, until it says that it has enough.
fn each(
    sides: [Side<'_>; 2],
    descending: bool,
    mut take: impl FnMut(Key, &[u8]) -> Result<bool, Error>,
) -> Result<(), Error> {
    let [history, noise] = sides;
    match descending {
        false => merge(history.peekable(), noise.peekable(), |a, b| a < b, &mut take),
        true => merge(history.rev().peekable(), noise.rev().peekable(), |a, b| a > b, &mut take),
    }
}

type Rows<'a> = Result<(redb::AccessGuard<'a, Key>, redb::AccessGuard<'a, Value<'static>>), StorageError>;

fn merge<'a>(
    mut left: Peekable<impl Iterator<Item = Rows<'a>>>,
    mut right: Peekable<impl Iterator<Item = Rows<'a>>>,
    comes_first: impl Fn(Key, Key) -> bool,
    take: &mut impl FnMut(Key, &[u8]) -> Result<bool, Error>,
) -> Result<(), Error> {
    loop {
        let from_left = match (left.peek(), right.peek()) {
            (None, None) => return Ok(()),
            (Some(Ok(a)), Some(Ok(b))) => comes_first(a.0.value(), b.0.value()),
            (Some(_), None) | (Some(Err(_)), _) => true,
            (None, Some(_)) | (_, Some(Err(_))) => false,
        };
        let Some(row) = (if from_left { left.next() } else { right.next() }) else { return Ok(()) };
        let (key, value) = row?;
        if !take(key.value(), value.value().1)? {
            return Ok(());
        }
    }
}

fn decode(octets: &[u8]) -> Result<v1::Event, Error> {
    v1::Event::decode(octets).map_err(|error| Error::Corrupted(error.to_string()))
}
