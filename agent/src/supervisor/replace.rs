//! The next process is started first: it does everything that takes time, asks the running one to leave, and goes on within
//! milliseconds. Until then the running one stays in charge, so a binary or a configuration that cannot be used costs nothing.
//!
//! ```text
//!   running    SIGUSR1 ─► starts its file anew ……………………… SIGUSR2 ─► last advert, leaves, ends
//!   next                  reads, opens, asks ──────────────┘           claims, goes on: first advert
//! ```

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::Pid;
use tokio::time::{sleep, timeout};
use tracing::info;

use crate::api::{ApiError, Claim};

/// How long the running agent may take to leave: what it ends first is bounded by less.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long until an agent that starts or ends is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How long an upgrade may take in all.
const LONGEST_UPGRADE: Duration = Duration::from_secs(30);

/// Why a running agent could not be taken over from.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotReplaced {
    #[error(transparent)]
    Claim(#[from] ApiError),
    #[error("cannot ask the running agent (process {pid}) to leave: {errno}; run this as the same user")]
    NotAsked { pid: Pid, errno: Errno },
    #[error(
        "the running agent (process {pid}) did not leave within {PATIENCE:?}; it stays in charge, its log says why"
    )]
    NotLeft { pid: Pid },
}

/// Asks the agent that serves `socket` to leave and takes its place; without one, takes the place at once.
pub(super) async fn claim(socket: &Path, group: Option<u32>) -> Result<Claim, NotReplaced> {
    let pid = match find(socket, group).await? {
        Found::Free(claim) => return Ok(claim),
        Found::Served { by } => by,
    };
    kill(pid, Signal::SIGUSR2).map_err(|errno| NotReplaced::NotAsked { pid, errno })?;
    info!(%pid, "asked the running agent to leave");
    let path = socket.to_owned();
    let waiting = tokio::task::spawn_blocking(move || Claim::wait(&path, group));
    match timeout(PATIENCE, waiting).await {
        Ok(Ok(claim)) => Ok(claim?),
        _ => Err(NotReplaced::NotLeft { pid }),
    }
}

/// What stands at a socket.
enum Found {
    Free(Claim),
    Served { by: Pid },
}

/// An agent that has the claim and does not serve yet, or no longer, starts or ends: a moment later there is one to ask, or none.
async fn find(socket: &Path, group: Option<u32>) -> Result<Found, ApiError> {
    let began = Instant::now();
    loop {
        if let Some(by) = serving(socket) {
            return Ok(Found::Served { by });
        }
        match Claim::take(socket, group) {
            Err(ApiError::AlreadyServed(_)) if began.elapsed() < PATIENCE => sleep(LOOK_AGAIN).await,
            taken => return Ok(Found::Free(taken?)),
        }
    }
}

/// Who serves a socket, by the kernel's word.
fn serving(socket: &Path) -> Option<Pid> {
    let stream = UnixStream::connect(socket).ok()?;
    let pid = getsockopt(&stream, PeerCredentials).ok()?.pid();
    (pid > 1).then(|| Pid::from_raw(pid))
}

/// Has the running agent replace itself with what its file is now, and waits until that is done. Says what happened.
pub(super) fn upgrade(socket: &Path) -> Result<String, String> {
    let path = socket.display();
    let Some(old) = serving(socket) else {
        return Err(format!("no agent serves {path}; start one"));
    };
    let began = Instant::now();
    kill(old, Signal::SIGUSR1).map_err(|errno| {
        format!("cannot signal the agent (process {old}): {errno}; run this as its user or as root")
    })?;
    while began.elapsed() < LONGEST_UPGRADE {
        thread::sleep(LOOK_AGAIN);
        if let Some(new) = serving(socket).filter(|new| *new != old) {
            return Ok(format!("process {new} has taken over from {old} after {:.1?}", began.elapsed()));
        }
    }
    Err(format!("process {old} is still in charge after {LONGEST_UPGRADE:?}; its log says why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_agent_that_ends_or_has_not_begun_to_serve_is_waited_for() {
        let folder = std::env::temp_dir().join(format!("ha-agent-replace-{}", std::process::id()));
        let socket = folder.join("api.sock");
        let other = Claim::take(&socket, None).expect("nobody has it");
        let next = claim(&socket, None);
        tokio::pin!(next);
        let early = timeout(LOOK_AGAIN * 3, &mut next).await;
        assert!(early.is_err(), "taken from under another: {early:?}");
        drop(other);
        next.await.expect("it is free");
        std::fs::remove_dir_all(folder).expect("it is there");
    }
}
