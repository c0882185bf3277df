//! What an agent process leaves to the next one on the same node (`systemctl restart`, an upgrade), so that a restart is no
//! transition: a file beside the control plane's socket, written in the moment in which the old process stops speaking and
//! taken by the next one before it speaks. What is in it is good for less than three advertisement intervals.
//!
//! Whoever takes it removes it first: nothing is gone on with twice. A file that is not the agent's own, of another boot, of
//! another network namespace, too old or damaged is removed, told, and otherwise as if it had never been there: the start is
//! an ordinary one, which clears away what is left of an earlier process.

mod file;
#[cfg(test)]
mod tests;
mod wishes;
mod words;

use std::path::{Path, PathBuf};

use ha_dataplane::LinkSettings;
use ha_engine::{DrainedServer, Inheritance, Instant, Legacy, MutedCheck, Role};

use words::Document;

/// Everything that the next process goes on with.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Estate {
    /// Incarnation of the process that left it.
    pub incarnation: String,
    /// Its version.
    pub version: String,
    /// The virtual routers, what was known of checks and pools, and the node's drain.
    pub inheritance: Inheritance,
    /// What links below macvlans were like.
    pub links: LinkSettings,
    /// Checks whose verdicts operators have frozen.
    pub mutes: Vec<MutedCheck>,
    /// Servers of pools that operators have drained.
    pub servers: Vec<DrainedServer>,
}

impl Estate {
    /// That of a process that has nothing yet.
    pub fn of_process(incarnation: &str) -> Self {
        Self {
            incarnation: incarnation.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..Self::default()
        }
    }
}

/// Why there is nothing to go on with although there is a file.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It cannot be read, or is not the agent's own.
    #[error("cannot use {}: {reason}", path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It is of another boot or network namespace, or of no use any more.
    #[error("what {} says is not of use here: {reason}", path.display())]
    Foreign {
        /// Its path.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// Leaves it beside the control plane's socket.
///
/// # Errors
/// The system's refusal; then nothing is there.
pub fn leave(socket: &Path, estate: &Estate) -> std::io::Result<()> {
    let document = Document::new(estate, Place::here());
    file::write(&path(socket), &document.to_octets())
}

/// Takes what was left and is still of use; `Ok(None)` = nothing was left.
///
/// # Errors
/// [`Unusable`] when something is there that cannot be gone on with; it has been removed.
pub fn take(socket: &Path, now: Instant) -> Result<Option<Estate>, Unusable> {
    read(socket, now, file::take)
}

/// Whether a process has left addresses that the next one may still go on with. Leaves everything as it is.
pub fn is_waiting(socket: &Path, now: Instant) -> bool {
    let active = |router: &Legacy| router.role == Some(Role::Active);
    matches!(read(socket, now, file::look), Ok(Some(estate)) if estate.inheritance.routers.iter().any(active))
}

fn read(
    socket: &Path,
    now: Instant,
    open: fn(&Path) -> Result<Option<Vec<u8>>, String>,
) -> Result<Option<Estate>, Unusable> {
    let path = path(socket);
    let octets = match open(&path) {
        Ok(Some(octets)) => octets,
        Ok(None) => return Ok(None),
        Err(reason) => return Err(Unusable::File { path, reason }),
    };
    let document = match Document::parse(&octets) {
        Ok(document) => document,
        Err(reason) => return Err(Unusable::File { path, reason }),
    };
    match document.estate(&Place::here(), now) {
        Ok(estate) => Ok(Some(estate)),
        Err(reason) => Err(Unusable::Foreign { path, reason }),
    }
}

/// Beside the socket, whose directory is the agent's own.
fn path(socket: &Path) -> PathBuf {
    let mut name = socket.as_os_str().to_owned();
    name.push(".legacy");
    name.into()
}

/// Where a process runs: instants and links mean the same in the same place only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// The kernel's number of this boot.
    boot: String,
    /// The network namespace.
    network: String,
}

impl Place {
    fn here() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let network = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
        Self { boot: boot.trim().to_owned(), network: network.display().to_string() }
    }
}
