//! The next process, started beside the running one.
//!
//! It must not be the running one's child: systemd counts on nothing from a main process that is not its own, and kills it at the
//! next stop or restart instead of waiting for its end. So a process in between starts it, says its number and ends, and the
//! machine's first process, systemd, inherits it.
//!
//! ```text
//!   running ──► start-next ──► run --replace
//!               ends at once   the first process' child
//! ```

use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tracing::{error, info};

/// The agent's file as it was named when this process started; an upgrade puts another one there.
pub(super) struct Program {
    path: io::Result<PathBuf>,
    next: Arc<Mutex<Next>>,
}

/// The process that was started to take over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    Nobody,
    Starting,
    Runs(u32),
}

impl Program {
    pub(super) fn new() -> Self {
        Self { path: std::env::current_exe(), next: Arc::new(Mutex::new(Next::Nobody)) }
    }

    /// Starts the next process beside this one.
    pub(super) fn start(&self, configuration: &Path) {
        if self.seen() != Next::Nobody {
            return info!("SIGUSR1: the next process is starting already");
        }
        if let Err(refusal) = self.begin(configuration) {
            set(&self.next, Next::Nobody);
            error!("cannot start the next process, staying in charge: {refusal}");
        }
    }

    fn begin(&self, configuration: &Path) -> io::Result<()> {
        let path = self.path.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        let (path, configuration, next) = (path.clone(), configuration.to_owned(), Arc::clone(&self.next));
        set(&self.next, Next::Starting);
        // Not of the runtime, which would wait for it at the end of this process.
        let thread = thread::Builder::new().name("next".to_owned());
        thread.spawn(move || follow(&path, &configuration, &next)).map(drop)
    }

    /// The process that was started to take over, if it runs. It may ask before it is known here, so one that is starting is
    /// waited for.
    pub(super) async fn next(&self) -> Option<u32> {
        const PATIENCE: Duration = Duration::from_secs(1);
        let began = Instant::now();
        loop {
            match self.seen() {
                Next::Starting if began.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(1)).await
                }
                Next::Starting | Next::Nobody => return None,
                Next::Runs(pid) => return Some(pid),
            }
        }
    }

    fn seen(&self) -> Next {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn set(next: &Mutex<Next>, to: Next) {
    *next.lock().unwrap_or_else(PoisonError::into_inner) = to;
}

/// From its start to its end; this process may end before.
fn follow(path: &Path, configuration: &Path, next: &Mutex<Next>) {
    match started_by_another(path, configuration) {
        Ok(pid) => {
            set(next, Next::Runs(pid));
            info!(pid, "SIGUSR1: started the next process; in charge until it asks");
            wait_for_end(pid);
            error!(pid, "the next process ended, its own lines say why; staying in charge");
        }
        Err(refusal) => error!("cannot start the next process, staying in charge: {refusal}"),
    }
    set(next, Next::Nobody);
}

/// The number of the next process, whose parent has ended.
fn started_by_another(path: &Path, configuration: &Path) -> io::Result<u32> {
    let mut command = Command::new(path);
    command.args(["start-next", "--config"]).arg(configuration).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let status = end_of(&mut child)?;
    let mut said = [0; 16];
    let length = child.stdout.take().map_or(Ok(0), |mut output| output.read(&mut said))?;
    let said = String::from_utf8_lossy(said.get(..length).unwrap_or_default());
    let number = said.trim().parse().ok().filter(|_| status.success());
    number.ok_or_else(|| io::Error::other(format!("{} ended with {status}, saying {said:?}", path.display())))
}

/// Whatever was put at the agent's place may be no agent: it gets the time in which an agent would have answered long ago.
fn end_of(child: &mut Child) -> io::Result<ExitStatus> {
    const LIMIT: Duration = Duration::from_secs(10);
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(Duration::from_millis(1));
    }
    child.kill()?;
    child.wait()
}

/// Of a process that is not ours. At once, when it is gone already.
fn wait_for_end(pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return };
    while let Err(rustix::io::Errno::INTR) = poll(&mut [PollFd::new(&process, PollFlags::IN)], None) {}
}

/// Starts the next process as a child of this one, which is to end now. Its number.
///
/// # Errors
/// The system's refusal.
pub(super) fn start(configuration: &Path) -> io::Result<u32> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", "--replace", "--config"]).arg(configuration).stdin(Stdio::null());
    // Standard output is for the number.
    command.stdout(io::stderr().as_fd().try_clone_to_owned()?);
    // It names another process, and the next one is to feed the watchdog, too.
    command.env_remove("WATCHDOG_PID");
    command.spawn().map(|child| child.id())
}
