//! Reads a file that cannot be written, because its disk is full or read-only: what the store would write, to bring a file in
//! order that a kill left behind, stays in memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Octets that are kept in memory together.
const BLOCK: u64 = 4096;

/// What may be kept at most; bringing a file in order needs a few hundred blocks.
const MOST_BLOCKS: usize = 4096;

/// The file, and what was written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    /// Of the whole.
    length: u64,
    /// By number.
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn new(file: File) -> Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, written: Mutex::new(Written { length, blocks: BTreeMap::new() }) })
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block as the file has it; zeros beyond its end.
    fn block(&self, number: u64) -> Result<Box<[u8]>> {
        let mut block = vec![0; usize::try_from(BLOCK).unwrap_or(0)];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, number * BLOCK + u64::try_from(filled).unwrap_or(0)) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(block.into())
    }
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64> {
        Ok(self.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let written = self.lock();
        each_block(offset, out.len(), |number, within, span| {
            let fresh;
            let block = match written.blocks.get(&number) {
                Some(block) => block,
                None => {
                    fresh = self.block(number)?;
                    &fresh
                }
            };
            if let (Some(out), Some(block)) = (out.get_mut(span), block.get(within)) {
                out.copy_from_slice(block);
            }
            Ok(())
        })
    }

    fn set_len(&self, length: u64) -> Result<()> {
        self.lock().length = length;
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut written = self.lock();
        each_block(offset, data.len(), |number, within, span| {
            if !written.blocks.contains_key(&number) {
                if written.blocks.len() >= MOST_BLOCKS {
                    return Err(Error::new(
                        ErrorKind::StorageFull,
                        "more was to be written than memory is for",
                    ));
                }
                let block = self.block(number)?;
                written.blocks.insert(number, block);
            }
            let block = written.blocks.get_mut(&number).and_then(|block| block.get_mut(within));
            if let (Some(block), Some(data)) = (block, data.get(span)) {
                block.copy_from_slice(data);
            }
            Ok(())
        })
    }
}

/// Cuts a range into blocks: number, place within the block, place within the range.
fn each_block(
    offset: u64,
    length: usize,
    mut work: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> Result<()>,
) -> Result<()> {
    let mut done = 0;
    while done < length {
        let at = offset + u64::try_from(done).unwrap_or(0);
        let from = usize::try_from(at % BLOCK).unwrap_or(0);
        let count = (usize::try_from(BLOCK).unwrap_or(0) - from).min(length - done);
        work(at / BLOCK, from..from + count, done..done + count)?;
        done += count;
    }
    Ok(())
}
