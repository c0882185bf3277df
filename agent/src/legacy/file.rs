//! The file: never seen half-written, never somebody else's, never read twice.

use std::fs::{File, OpenOptions, remove_file, rename};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc;

/// Ten thousand virtual routers take some 6 MiB.
const LONGEST: u64 = 64 << 20;

/// Puts it there at once or not at all. Nothing waits for a disk: it is of use for seconds, and a machine that loses power
/// has nothing to go on with.
pub(super) fn write(path: &Path, octets: &[u8]) -> std::io::Result<()> {
    let fresh = beside(path);
    match remove_file(&fresh) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC);
    let written = options.open(&fresh).and_then(|mut file| file.write_all(octets));
    written.and_then(|()| rename(&fresh, path)).inspect_err(|_| drop(remove_file(&fresh)))
}

/// Reads it after it has been removed, so that it is of use once. Whatever else is there goes, too.
pub(super) fn take(path: &Path) -> Result<Option<Vec<u8>>, String> {
    let opened = open(path);
    match remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(format!("it cannot be removed: {error}; remove it by hand"));
        }
        _ => {}
    }
    // What was half-written by a process that was killed.
    let _ = remove_file(beside(path));
    opened?.map(read).transpose()
}

/// Reads it and leaves it there.
pub(super) fn look(path: &Path) -> Result<Option<Vec<u8>>, String> {
    open(path)?.map(read).transpose()
}

fn open(path: &Path) -> Result<Option<File>, String> {
    // A pipe in its place must not make the start wait.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => is_ours(&file).map(|()| Some(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => Err("it is a symbolic link".to_owned()),
        Err(error) => Err(format!("it cannot be opened: {error}")),
    }
}

/// Of the descriptor, so that nothing can change between the look and the reading.
fn is_ours(file: &File) -> Result<(), String> {
    let found = file.metadata().map_err(|error| format!("it cannot be looked at: {error}"))?;
    let own = nix::unistd::geteuid().as_raw();
    if !found.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if found.uid() != own {
        return Err(format!("it belongs to user {}, and this agent is user {own}", found.uid()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(format!("others than its owner may use it (mode {:o})", found.mode() & 0o7777));
    }
    if found.nlink() > 1 {
        return Err("it has another name elsewhere".to_owned());
    }
    if found.len() > LONGEST {
        return Err(format!("{} octets are too many", found.len()));
    }
    Ok(())
}

fn read(file: File) -> Result<Vec<u8>, String> {
    let mut octets = Vec::new();
    let read = file.take(LONGEST + 1).read_to_end(&mut octets);
    read.map(|_| octets).map_err(|error| format!("it cannot be read: {error}"))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}
