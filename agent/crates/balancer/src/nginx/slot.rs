//! The file of one pool: replaced whole or not at all, with what nginx last ran kept beside it until the new one runs.
//!
//! ```text
//!   web.servers                   what nginx reads at its next start or reload
//!   .web.servers.ha-agent.new     being written; nginx never sees it
//!   .web.servers.ha-agent.old     what was there before the change that is not yet known to run; empty when there was nothing
//! ```
//!
//! While `.old` is there a change is unfinished: tested, reloaded or neither, whoever was killed meanwhile. The names
//! begin with a dot so that no `include *` of nginx takes them.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, fchmod, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::Error;

/// More than any file of ours has: 16,384 servers of at most 100 octets.
const LARGEST: u64 = 2 * 1024 * 1024;

/// nginx's workers do not read it, its master may not be root: readable for all, it holds no secret.
const READABLE: Mode = Mode::from_raw_mode(0o644);

/// Where one pool's servers are stored.
#[derive(Debug)]
pub(super) struct Slot {
    path: PathBuf,
    folder: PathBuf,
    name: OsString,
    new: OsString,
    old: OsString,
}

/// What is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Stored {
    pub(super) text: Vec<u8>,
    /// When this text came under this name (ctime): renaming counts, copying an old time does not help.
    pub(super) since: SystemTime,
}

/// A folder that is held open, so that nobody can put another in its place between two steps.
struct Folder<'slot> {
    fd: OwnedFd,
    slot: &'slot Slot,
}

impl Slot {
    /// For a path that is absolute and has a file name.
    pub(super) fn new(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_owned();
        let beside = |suffix: &str| {
            let mut hidden = OsString::from(".");
            hidden.push(&name);
            hidden.push(suffix);
            hidden
        };
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let (new, old) = (beside(".ha-agent.new"), beside(".ha-agent.old"));
        Self { path: path.to_owned(), folder, name, new, old }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What nginx would read now.
    pub(super) fn read(&self) -> Result<Option<Stored>, Error> {
        self.open()?.read(&self.name)
    }

    /// Whether a change is unfinished.
    pub(super) fn is_unfinished(&self) -> Result<bool, Error> {
        self.open()?.has(&self.old)
    }

    /// Puts `text` in place of what is there, and keeps that until [`Self::settle`] or [`Self::restore`].
    ///
    /// A change on top of an unfinished one keeps what was there before both: it is the last that nginx is known to have run.
    pub(super) fn replace(&self, text: &[u8]) -> Result<(), Error> {
        let folder = self.open()?;
        let is_first = !folder.has(&self.old)?;
        if is_first {
            let before = folder.read(&self.name)?.map(|stored| stored.text).unwrap_or_default();
            folder.write(&before)?;
            folder.rename(&self.new, &self.old)?;
        }
        let replaced = folder.write(text).and_then(|()| folder.rename(&self.new, &self.name));
        if replaced.is_err() && is_first {
            // Nothing was changed, so nothing is unfinished. The error that is told is the first one.
            let _ = folder.remove(&self.old);
        }
        replaced
    }

    /// Puts back what was there before an unfinished change.
    pub(super) fn restore(&self) -> Result<(), Error> {
        let folder = self.open()?;
        match folder.read(&self.old)? {
            None => Ok(()),
            Some(before) if before.text.is_empty() => {
                folder.remove(&self.name)?;
                folder.remove(&self.old)
            }
            Some(_) => folder.rename(&self.old, &self.name),
        }
    }

    /// The change is in force: forgets what was before.
    pub(super) fn settle(&self) -> Result<(), Error> {
        let folder = self.open()?;
        folder.remove(&self.new)?;
        folder.remove(&self.old)
    }

    fn open(&self) -> Result<Folder<'_>, Error> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let fd = openat(CWD, &self.folder, flags, Mode::empty());
        let fd = fd.map_err(|errno| failure("open the folder", &self.folder, errno))?;
        let mode = fstat(&fd).map_err(|errno| failure("look at", &self.folder, errno))?.st_mode;
        if Mode::from_raw_mode(mode).contains(Mode::WOTH) {
            let reason = "everybody may write in it, so anybody could tell nginx where to send requests";
            return Err(Error::Unsafe { path: self.folder.clone(), reason });
        }
        Ok(Folder { fd, slot: self })
    }
}

impl Folder<'_> {
    fn path(&self, name: &OsString) -> PathBuf {
        self.slot.folder.join(name)
    }

    fn has(&self, name: &OsString) -> Result<bool, Error> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(failure("look at", &self.path(name), errno)),
        }
    }

    fn read(&self, name: &OsString) -> Result<Option<Stored>, Error> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let path = self.path(name);
        let refuse = |reason| Err(Error::Unsafe { path: path.clone(), reason });
        let fd = match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return refuse("it is a symbolic link, and would be replaced by a file"),
            Err(errno) => return Err(failure("read", &path, errno)),
        };
        let about = fstat(&fd).map_err(|errno| failure("look at", &path, errno))?;
        if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
            return refuse("it is not a regular file");
        }
        let mut text = Vec::new();
        let read = File::from(fd).take(LARGEST + 1).read_to_end(&mut text);
        read.map_err(|source| Error::File { action: "read", path: path.clone(), source })?;
        if text.len() as u64 > LARGEST {
            return refuse("it is larger than 2 MiB, so it is not of this program");
        }
        Ok(Some(Stored { text, since: time(about.st_ctime, about.st_ctime_nsec) }))
    }

    /// A new file of ours, whole and on the disk. One that a killed process left is removed, never used again.
    fn write(&self, text: &[u8]) -> Result<(), Error> {
        let name = &self.slot.new;
        self.remove(name)?;
        let written = self.create(name).and_then(|mut file| {
            fchmod(&file, READABLE)?;
            file.write_all(text)?;
            file.sync_all()
        });
        written.map_err(|source| {
            // It may be the disk that is full: what is there of the file only takes room.
            let _ = self.remove(name);
            Error::File { action: "write", path: self.path(name), source }
        })
    }

    fn create(&self, name: &OsString) -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(openat(&self.fd, name, flags, READABLE)?))
    }

    /// Moves the file and makes that outlive a loss of power.
    fn rename(&self, from: &OsString, to: &OsString) -> Result<(), Error> {
        let renamed = renameat(&self.fd, from, &self.fd, to).and_then(|()| rustix::fs::fsync(&self.fd));
        renamed.map_err(|errno| failure("replace", &self.path(to), errno))
    }

    fn remove(&self, name: &OsString) -> Result<(), Error> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failure("remove", &self.path(name), errno)),
        }
    }
}

fn failure(action: &'static str, path: &Path, errno: Errno) -> Error {
    Error::File { action, path: path.to_owned(), source: errno.into() }
}

fn time(seconds: i64, nanoseconds: impl TryInto<u64>) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH + seconds + Duration::from_nanos(nanoseconds.try_into().unwrap_or_default())
}

#[cfg(test)]
mod tests;
