//! Opens the file, and says what is wrong with it. A damaged one is put aside, so that history begins anew instead of never.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::backends::FileBackend;
use redb::{Builder, Error};

use super::intents::{self, Intents};
use super::overlay::Overlay;
use super::tables::Tables;

/// Memory for pages of the file. Small, because it is locked: what is asked for again is in the system's own cache of the file.
const CACHE: usize = 1 << 20;

/// Why the file cannot be used.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Another process has it.
    Busy(String),
    /// It is not what was written.
    Damaged(String),
    /// The system refuses something.
    Refused(String),
}

impl Trouble {
    pub(super) fn into_words(self) -> String {
        match self {
            Self::Busy(why) | Self::Refused(why) => why,
            Self::Damaged(why) => format!("the file is damaged: {why}"),
        }
    }
}

/// The file in its directory.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("history.redb")
}

/// Opens the file, or makes it.
pub(super) fn open(directory: &Path, incarnation: &Arc<str>) -> Result<Tables, Trouble> {
    let path = file(directory);
    let refused = |error: std::io::Error| {
        Trouble::Refused(format!("cannot open {}: {error}; {}", path.display(), advice(&error, directory)))
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(refused)?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(refused)?;
    guarded(directory, || {
        let mut builder = Builder::new();
        let backend = FileBackend::new(file)?;
        let database = builder.set_cache_size(CACHE).create_with_backend(backend)?;
        Tables::new(database, incarnation)
    })
}

/// What survives a restart, of a file that cannot be opened for writing.
pub(super) fn look(directory: &Path) -> Result<Intents, Trouble> {
    let path = file(directory);
    let file = match File::open(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Intents::new()),
        file => file.and_then(Overlay::new),
    };
    let overlay = file.map_err(|error| {
        Trouble::Refused(format!("cannot read {}: {error}; {}", path.display(), advice(&error, directory)))
    })?;
    guarded(directory, || {
        let mut builder = Builder::new();
        intents::read(&builder.set_cache_size(CACHE).create_with_backend(overlay)?)
    })
}

/// Runs something on the file; what it panics of is damage.
pub(super) fn guarded<T>(directory: &Path, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Trouble> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(judge(error, directory)),
        Err(_panic) => Err(Trouble::Damaged("the store found its file in a state that cannot be".to_owned())),
    }
}

/// Puts a damaged file aside, in the place of one that was put aside earlier. Returns where it is.
pub(super) fn put_aside(directory: &Path) -> std::io::Result<PathBuf> {
    let aside = directory.join("history.redb.damaged");
    std::fs::rename(file(directory), &aside)?;
    Ok(aside)
}

fn judge(error: Error, directory: &Path) -> Trouble {
    let path = file(directory);
    match error {
        Error::DatabaseAlreadyOpen => Trouble::Busy(format!(
            "another process has {}; give each agent its own directory in [journal]",
            path.display()
        )),
        Error::Corrupted(_) | Error::UpgradeRequired(_) | Error::TableTypeMismatch { .. } => {
            Trouble::Damaged(error.to_string())
        }
        Error::Io(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) => {
            Trouble::Damaged(error.to_string())
        }
        Error::Io(error) => Trouble::Refused(format!(
            "cannot write {}: {error}; {}",
            path.display(),
            advice(&error, directory)
        )),
        other => Trouble::Refused(format!("cannot write {}: {other}", path.display())),
    }
}

/// What to do next.
fn advice(error: &std::io::Error, directory: &Path) -> String {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on that file system".to_owned(),
        ErrorKind::ReadOnlyFilesystem => {
            "remount it for writing, or name another directory in [journal]".to_owned()
        }
        ErrorKind::PermissionDenied => format!("give the agent's user the directory {}", directory.display()),
        _ => "the kernel's log may say more".to_owned(),
    }
}
