//! What is to survive a restart, as the file has it: a row for each thing that somebody wants, under a name that says what it
//! is about. What stands in a row is for [`crate::intents`] to say.

use std::collections::BTreeMap;

use redb::{Database, Error, ReadableDatabase, ReadableTable, TableDefinition, TableError, WriteTransaction};

/// By name: an encoded row.
pub(super) const INTENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("intents");

/// Rows by name.
pub(crate) type Intents = BTreeMap<String, Vec<u8>>;

/// What shall stand under each name; `None` = nothing.
pub(crate) type Changes = BTreeMap<String, Option<Vec<u8>>>;

/// Which names mean something to this version.
pub(crate) type IsKnown = fn(&str) -> bool;

/// All rows; none when the file never had any.
pub(super) fn read(database: &Database) -> Result<Intents, Error> {
    let table = match database.begin_read()?.open_table(INTENTS) {
        Err(TableError::TableDoesNotExist(_)) => return Ok(Intents::new()),
        table => table?,
    };
    let mut intents = Intents::new();
    for row in table.iter()? {
        let (name, octets) = row?;
        intents.insert(name.value().to_owned(), octets.value().to_owned());
    }
    Ok(intents)
}

/// Makes the rows what `changes` say.
pub(super) fn write(transaction: &WriteTransaction, changes: &Changes) -> Result<(), Error> {
    let mut table = transaction.open_table(INTENTS)?;
    for (name, octets) in changes {
        match octets {
            Some(octets) => drop(table.insert(name.as_str(), octets.as_slice())?),
            None => drop(table.remove(name.as_str())?),
        }
    }
    Ok(())
}

/// What makes `wanted` of the rows that are there; of names that `is_known` does not know, another version's, none is touched.
pub(super) fn difference(there: &Intents, wanted: &Intents, is_known: IsKnown) -> Changes {
    let gone = there.keys().filter(|name| is_known(name) && !wanted.contains_key(*name));
    let changed = wanted.iter().filter(|(name, octets)| there.get(*name) != Some(octets));
    gone.map(|name| (name.clone(), None))
        .chain(changed.map(|(name, octets)| (name.clone(), Some(octets.clone()))))
        .collect()
}
