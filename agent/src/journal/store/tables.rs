//! The tables of the file, and what a batch of records does to them. Keys ascend with time: incarnations are numbered.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ha_proto::v1;
use redb::{Database, Error, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction};

use super::intents::{self, Changes, INTENTS, Intents};
use super::{StoreOptions, read};
use crate::journal::archive::{Oldest, Place};

/// Number of an incarnation, sequence of a record.
pub(super) type Key = (u32, u64);

/// Milliseconds since 1970, an encoded `v1.Event`.
pub(super) type Value<'a> = (u64, &'a [u8]);

/// A table of records.
type Definition = TableDefinition<'static, Key, Value<'static>>;

/// Transitions, operators' actions, configurations.
pub(super) const HISTORY: Definition = TableDefinition::new("history");
/// What others can cause as often as they like.
pub(super) const NOISE: Definition = TableDefinition::new("noise");
/// By number: id, newest sequence that was written, whether it ended in order.
pub(super) const INCARNATIONS: TableDefinition<'_, u32, (&str, u64, bool)> =
    TableDefinition::new("incarnations");
/// The number of an id.
pub(super) const NUMBERS: TableDefinition<'_, &str, u32> = TableDefinition::new("numbers");

/// What a row costs beside its octets.
const ROW: u64 = 32;

/// The file doubles when it grows, and pages are half full at worst: rows may have this part of it.
const PART_OF_ROWS: u64 = 4;

/// Of those, noise may have this part.
const PART_OF_NOISE: u64 = 8;

/// Rows that one batch removes at most of each table, so that no commit is long.
const MOST_REMOVED: usize = 4096;

/// A record on its way to the disk.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) sequence: u64,
    pub(super) millis: u64,
    pub(super) is_noise: bool,
    pub(super) octets: Vec<u8>,
}

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) database: Arc<Database>,
    /// Of the incarnation that writes.
    number: u32,
    incarnation: Arc<str>,
    /// Octets of all rows.
    history: u64,
    noise: u64,
}

impl Tables {
    /// Makes what is missing, and counts what is there.
    pub(super) fn new(database: Database, incarnation: &Arc<str>) -> Result<Self, Error> {
        let number = begin(&database, incarnation)?;
        let transaction = database.begin_read()?;
        let measure = |definition: Definition| -> Result<u64, Error> {
            let table = transaction.open_table(definition)?;
            table.iter()?.try_fold(0, |sum, row| Ok(sum + cost(row?.1.value().1)))
        };
        let (history, noise) = (measure(HISTORY)?, measure(NOISE)?);
        drop(transaction);
        Ok(Self {
            database: Arc::new(database),
            number,
            incarnation: Arc::clone(incarnation),
            history,
            noise,
        })
    }

    /// Writes rows up to `newest`, removes what is too much or too old; all of it or nothing.
    pub(super) fn append(&mut self, rows: &[Row], newest: u64, options: &StoreOptions) -> Result<(), Error> {
        let transaction = self.begin()?;
        let (mut history, mut noise) = (self.history, self.noise);
        for row in rows {
            let (definition, sum) = if row.is_noise { (NOISE, &mut noise) } else { (HISTORY, &mut history) };
            let mut table = transaction.open_table(definition)?;
            let before = table.insert((self.number, row.sequence), (row.millis, row.octets.as_slice()))?;
            let before = before.map_or(0, |before| cost(before.value().1));
            *sum = (*sum + cost(&row.octets)).saturating_sub(before);
        }
        let rows = options.size / PART_OF_ROWS;
        let oldest = millis(SystemTime::now()).saturating_sub(as_millis(options.age));
        let for_noise = rows / PART_OF_NOISE;
        evict(&mut transaction.open_table(NOISE)?, &mut noise, for_noise, oldest)?;
        evict(&mut transaction.open_table(HISTORY)?, &mut history, rows - for_noise, oldest)?;
        transaction.open_table(INCARNATIONS)?.insert(self.number, (&*self.incarnation, newest, false))?;
        forget_incarnations(&transaction, self.number)?;
        transaction.commit()?;
        (self.history, self.noise) = (history, noise);
        Ok(())
    }

    /// The incarnation ends in order: nothing comes after `newest`.
    pub(super) fn end(&mut self, newest: u64) -> Result<(), Error> {
        let transaction = self.begin()?;
        transaction.open_table(INCARNATIONS)?.insert(self.number, (&*self.incarnation, newest, true))?;
        transaction.commit()?;
        Ok(())
    }

    /// Makes the rows of what survives a restart what `changes` say.
    pub(super) fn keep(&self, changes: &Changes) -> Result<(), Error> {
        let transaction = self.begin()?;
        intents::write(&transaction, changes)?;
        transaction.commit()?;
        Ok(())
    }

    /// What survives a restart.
    pub(super) fn intents(&self) -> Result<Intents, Error> {
        intents::read(&self.database)
    }

    /// The oldest record.
    pub(super) fn oldest(&self) -> Result<Option<Oldest>, Error> {
        let oldest = read::after(&self.database, None, 1)?;
        let Some(event) = oldest.and_then(|mut events| events.pop()) else { return Ok(None) };
        let sequence = u64::try_from(event.sequence).unwrap_or(0);
        let place = Place { incarnation: event.incarnation_id.as_str().into(), sequence };
        Ok(Some(Oldest { place, time: time_of(&event) }))
    }

    fn begin(&self) -> Result<WriteTransaction, Error> {
        let mut transaction = self.database.begin_write()?;
        // After a crash the file is ready at once, without being read whole.
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

/// Makes the tables, and finds or makes the number of an incarnation.
fn begin(database: &Database, incarnation: &str) -> Result<u32, Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let number = {
        let (_, _) = (transaction.open_table(HISTORY)?, transaction.open_table(NOISE)?);
        let _ = transaction.open_table(INTENTS)?;
        let mut incarnations = transaction.open_table(INCARNATIONS)?;
        let mut numbers = transaction.open_table(NUMBERS)?;
        let known = numbers.get(incarnation)?.map(|number| number.value());
        let next = incarnations.last()?.map_or(0, |last| last.0.value() + 1);
        if known.is_none() {
            incarnations.insert(next, (incarnation, 0, false))?;
            numbers.insert(incarnation, next)?;
        }
        known.unwrap_or(next)
    };
    transaction.commit()?;
    Ok(number)
}

/// Removes the oldest rows while there are too many octets, or they are older than `oldest`.
fn evict(
    table: &mut Table<'_, Key, Value<'static>>,
    sum: &mut u64,
    most: u64,
    oldest: u64,
) -> Result<(), Error> {
    for _ in 0..MOST_REMOVED {
        let goes = table.first()?.is_some_and(|(_, value)| *sum > most || value.value().0 < oldest);
        if !goes {
            break;
        }
        if let Some((_, value)) = table.pop_first()? {
            *sum = sum.saturating_sub(cost(value.value().1));
        }
    }
    Ok(())
}

/// Incarnations of which no record is left are forgotten.
fn forget_incarnations(transaction: &WriteTransaction, current: u32) -> Result<(), Error> {
    let first = |definition: Definition| -> Result<u32, Error> {
        let table = transaction.open_table(definition)?;
        let first = table.first()?.map_or(current, |(key, _)| key.value().0);
        Ok(first)
    };
    let oldest = first(HISTORY)?.min(first(NOISE)?).min(current);
    let mut incarnations = transaction.open_table(INCARNATIONS)?;
    let mut numbers = transaction.open_table(NUMBERS)?;
    while incarnations.first()?.is_some_and(|(number, _)| number.value() < oldest) {
        if let Some((_, known)) = incarnations.pop_first()? {
            numbers.remove(known.value().0)?;
        }
    }
    Ok(())
}

fn cost(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX).saturating_add(ROW)
}

/// Milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    as_millis(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// When an event was, on the wall clock.
pub(super) fn time_of(event: &v1::Event) -> SystemTime {
    let time = event.event_time.unwrap_or_default();
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    UNIX_EPOCH + Duration::new(seconds, u32::try_from(time.nanos).unwrap_or(0).min(999_999_999))
}
