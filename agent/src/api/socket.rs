//! The unix socket: one agent per path, never a window in which strangers can connect, nothing left behind.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::{Group, Uid, User};
use tokio::net::UnixListener;
use tracing::warn;

/// Why the control plane cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Another agent serves this socket; this one must not start.
    #[error("another agent is running: it serves {}; stop it first, or give this one a socket of its own", .0.display())]
    AlreadyServed(PathBuf),
    /// Something else has that path.
    #[error("{} exists and is not a socket; remove it, or name another path", .0.display())]
    NotASocket(PathBuf),
    /// The system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}; ss -ltnp shows who has the port")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// The system's answer.
        source: io::Error,
    },
    /// The descriptors of the contract cannot be served by reflection.
    #[error("cannot offer reflection: {0}")]
    Reflection(String),
}

/// Makes this process the one agent of a socket, for as long as a clone of it lives. It outlives the socket when the agent
/// leaves for another process: that one must not begin before this one has ended.
#[derive(Clone, Debug)]
pub struct Claim {
    _lock: Arc<Flock<File>>,
}

impl Claim {
    /// Makes the socket's directory with mode 0750 when there is none.
    ///
    /// # Errors
    /// [`ApiError::AlreadyServed`] when another process has the claim.
    pub fn take(path: &Path, group: Option<u32>) -> Result<Self, ApiError> {
        Self::lock(path, group, FlockArg::LockExclusiveNonblock)
    }

    /// The same when another process is about to give it up. Blocks until it has.
    ///
    /// # Errors
    /// The system's refusal.
    pub fn wait(path: &Path, group: Option<u32>) -> Result<Self, ApiError> {
        Self::lock(path, group, FlockArg::LockExclusive)
    }

    fn lock(path: &Path, group: Option<u32>, how: FlockArg) -> Result<Self, ApiError> {
        make_directory(path, group)?;
        take_lock(path, how).map(|lock| Self { _lock: Arc::new(lock) })
    }
}

/// A bound socket with the claim that makes it ours. Dropping it gives both up.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    inode: u64,
    /// Held as long as the socket is ours.
    _claim: Claim,
}

impl Socket {
    /// Binds `path` with mode 0660 and, when given, the group `group`. Takes the claim unless it has it already, and the place
    /// of a socket that nobody serves.
    pub(crate) fn bind(
        path: &Path,
        group: Option<u32>,
        claim: Option<Claim>,
    ) -> Result<(Self, UnixListener), ApiError> {
        let claim = claim.map_or_else(|| Claim::take(path, group), Ok)?;
        check_vacant(path)?;
        // Bound beside its place and moved there when its mode is right, so that no connection comes too early.
        let fresh = beside(path, "new");
        remove_if_there(&fresh)?;
        let listener = UnixListener::bind(&fresh).map_err(failed("bind", &fresh))?;
        fs::set_permissions(&fresh, Permissions::from_mode(0o660))
            .map_err(failed("set the mode of", &fresh))?;
        give_to_group(&fresh, group);
        let inode = fs::symlink_metadata(&fresh).map_err(failed("look at", &fresh))?.ino();
        fs::rename(&fresh, path).map_err(failed("put the socket at", path))?;
        Ok((Self { path: path.to_owned(), inode, _claim: claim }, listener))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Only while it is still ours: somebody may have put something else there.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn make_directory(path: &Path, group: Option<u32>) -> Result<(), ApiError> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    if directory.is_dir() {
        return Ok(());
    }
    let made = DirBuilder::new().recursive(true).mode(0o750).create(directory);
    made.map_err(failed("make directory", directory))?;
    give_to_group(directory, group);
    Ok(())
}

/// An agent that is not root may do that for groups of its own only. Addresses do not depend on it.
fn give_to_group(path: &Path, group: Option<u32>) {
    let Some(number) = group else { return };
    if let Err(error) = chown(path, None, group) {
        let group = Group::from_gid(number.into()).ok().flatten();
        let group = group.map_or_else(|| number.to_string(), |group| group.name);
        warn!(
            "{} cannot be given to the group {group}, whose members cannot use hactl here: {error}; put the agent's user into \
             it (usermod -aG {group} {}) and restart the agent",
            path.display(),
            own_user()
        );
    }
}

/// The user that the agent runs as, by name if it has one.
pub(super) fn own_user() -> String {
    let own = User::from_uid(Uid::effective()).ok().flatten();
    own.map_or_else(|| Uid::effective().to_string(), |user| user.name)
}

/// The lock decides between two agents that start at the same time.
fn take_lock(path: &Path, how: FlockArg) -> Result<Flock<File>, ApiError> {
    let lock = beside(path, "lock");
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&lock).map_err(failed("open", &lock))?;
    Flock::lock(file, how).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => ApiError::AlreadyServed(path.to_owned()),
        other => ApiError::Io { action: "lock", path: lock.clone(), source: other.into() },
    })
}

/// Refuses when something answers at `path`, or when it is no socket.
fn check_vacant(path: &Path) -> Result<(), ApiError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", path)(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(ApiError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        // Connected, or its queue is full: somebody is there.
        _ => Err(ApiError::AlreadyServed(path.to_owned())),
    }
}

fn remove_if_there(path: &Path) -> Result<(), ApiError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ApiError {
    let path = path.to_owned();
    move |source| ApiError::Io { action, path, source }
}
