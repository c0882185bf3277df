//! Listings in pages: bounded in number and in octets, and stable while things come and go.

use prost::Message;
use tonic::Status;

use super::error::{Reason, refuse};

/// Entries in a page when the caller does not say.
const DEFAULT_SIZE: usize = 100;

/// Entries in a page at most.
const LARGEST_SIZE: usize = 1000;

/// A page with so many octets gets no further entry: one call is to leave no more than about that with us unread.
const MOST_OCTETS: usize = 512 << 10;

/// Collects one page.
#[derive(Debug)]
pub(crate) struct Page<T> {
    size: usize,
    octets: usize,
    entries: Vec<T>,
}

impl<T: Message> Page<T> {
    /// A page of the size that the caller asked for: 0 = the default, larger ones are cut, negative ones refused.
    pub(crate) fn new(asked: i32) -> Result<Self, Status> {
        let asked = usize::try_from(asked).map_err(|_| {
            refuse(Reason::RequestMalformed, "page_size is negative", "leave it out or set it to 1..1000")
        })?;
        let size = if asked == 0 { DEFAULT_SIZE } else { asked.min(LARGEST_SIZE) };
        Ok(Self { size, octets: 0, entries: Vec::new() })
    }

    /// Whether nothing more goes in.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.len() >= self.size || self.octets >= MOST_OCTETS
    }

    /// Adds an entry.
    pub(crate) fn push(&mut self, entry: T) {
        self.octets += entry.encoded_len();
        self.entries.push(entry);
    }

    /// The last entry so far.
    pub(crate) fn last(&self) -> Option<&T> {
        self.entries.last()
    }

    /// What was collected.
    pub(crate) fn into_entries(self) -> Vec<T> {
        self.entries
    }
}
