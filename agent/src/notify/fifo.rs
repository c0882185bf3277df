//! Lines into a named pipe. Never blocks anybody: while the pipe is full, what is to be written waits with the rest, of which
//! the oldest makes room.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, mkfifo};
use tokio::net::unix::pipe::Sender;

use super::line::{Servers, line};
use super::queue::Waiting;
use super::serve::{Channel, Delivery};

/// A named pipe, by its path.
pub(super) struct Fifo {
    path: PathBuf,
    servers: Arc<Servers>,
    pipe: Option<Open>,
}

struct Open {
    sender: Sender,
    /// Device and inode: the path may get another pipe.
    identity: (u64, u64),
}

impl Fifo {
    pub(super) fn new(path: &Path, servers: Arc<Servers>) -> Self {
        Self { path: path.to_owned(), servers, pipe: None }
    }

    /// The pipe that has the path now.
    fn pipe(&mut self) -> io::Result<&Sender> {
        let identity = std::fs::symlink_metadata(&self.path).ok().map(|found| (found.dev(), found.ino()));
        if self.pipe.as_ref().map(|pipe| pipe.identity) != identity || identity.is_none() {
            self.pipe = None;
        }
        let path = &self.path;
        match &mut self.pipe {
            Some(pipe) => Ok(&pipe.sender),
            none => Ok(&none.insert(open_pipe(path)?).sender),
        }
    }
}

impl Channel for Fifo {
    /// Whoever reads need not wait for the first line.
    fn prepare(&mut self) -> Result<(), String> {
        let path = self.path.display().to_string();
        self.pipe().map(|_| ()).map_err(|error| format!("{path}: {error}"))
    }

    fn most(&self) -> usize {
        1
    }

    fn lateness(&self, timeout: Duration) -> String {
        format!("{}: nobody reads it, it has been full for {timeout:?}", self.path.display())
    }

    /// Room in the pipe is waited for, not paused for.
    fn longest_pause(&self) -> Duration {
        Duration::from_millis(100)
    }

    async fn deliver(&mut self, batch: &[Waiting]) -> Delivery {
        let servers = Arc::clone(&self.servers);
        for line in batch.iter().filter_map(|waiting| line(&waiting.notice, &servers)) {
            let path = self.path.clone();
            let fail = |error: io::Error| Delivery::Again(format!("{}: {error}", path.display()));
            let pipe = match self.pipe() {
                Ok(pipe) => pipe,
                Err(error) => return fail(error),
            };
            if let Err(error) = write(pipe, line.as_bytes()).await {
                return fail(error);
            }
        }
        Delivery::Done
    }
}

/// A line is shorter than PIPE_BUF (4096), so that it is written whole or not at all. Cancelled, it is not written.
async fn write(pipe: &Sender, line: &[u8]) -> io::Result<()> {
    loop {
        match pipe.try_write(line) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => pipe.writable().await?,
            other => return other.map(|_| ()),
        }
    }
}

/// Opened for both directions, so that a reader may come and go; nothing is ever read.
fn open_pipe(path: &Path) -> io::Result<Open> {
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    match mkfifo(path, mode) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
    let file: OwnedFd = open(path, flags, Mode::empty())?;
    let file = std::fs::File::from(file);
    let found = file.metadata()?;
    if !found.file_type().is_fifo() {
        return Err(io::Error::other("it is not a named pipe; remove it, it is made anew"));
    }
    if found.uid() != 0 && found.uid() != geteuid().as_raw() {
        let why = format!("it belongs to user {}, neither root nor the agent's user", found.uid());
        return Err(io::Error::other(why));
    }
    Ok(Open { identity: (found.dev(), found.ino()), sender: Sender::from_file(file)? })
}
