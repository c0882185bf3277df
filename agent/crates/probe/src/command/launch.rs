//! The agent's side: starts launchers, not more than so many at once, and takes their reports. It waits for nothing that a
//! command can delay: a command that is given up, for whatever cause, is ended by its launcher.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{self, Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::ReadHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::launcher::{ARGUMENT, NAME};
use super::wire::{self, News};
use super::{Command, Ended, Ending, GRACE, sweep};

/// Runs commands, a bounded number at once. Clones share the bound.
#[derive(Clone, Debug)]
pub struct Commands {
    launcher: Arc<PathBuf>,
    slots: Arc<Semaphore>,
    most: usize,
}

/// The right to run one command.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

/// How many commands run at once when nobody says otherwise.
pub const MOST_COMMANDS: usize = 64;

/// The same commands, not merely equal ones.
impl PartialEq for Commands {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.slots, &other.slots)
    }
}

impl Eq for Commands {}

impl Default for Commands {
    fn default() -> Self {
        Self::new(MOST_COMMANDS)
    }
}

impl Commands {
    /// At most `most` commands at once, at least one. The launcher is this program, whose `main` calls
    /// [`super::launcher_main`]; it is reached through the kernel's link to what runs, so an upgrade that replaces the file
    /// on disk does not matter.
    pub fn new(most: usize) -> Self {
        Self::launched_by("/proc/self/exe", most)
    }

    /// As [`Self::new`], with another program as the launcher.
    pub fn launched_by(launcher: impl Into<PathBuf>, most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        Self { launcher: Arc::new(launcher.into()), slots: Arc::new(Semaphore::new(most)), most }
    }

    /// How many run now.
    pub fn running(&self) -> usize {
        self.most.saturating_sub(self.slots.available_permits())
    }

    /// How many may run at once.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Waits for its turn, in the order of asking. May be cancelled.
    pub async fn slot(&self) -> Slot {
        let permit = Arc::clone(&self.slots).acquire_owned().await;
        Slot { _permit: permit.expect("the semaphore is never closed") }
    }

    /// Waits for its turn, runs the command, and returns when nothing of it is left. Cancelled, the command is ended with
    /// everything that it started.
    pub async fn run(&self, command: &Command) -> Ended {
        let slot = self.slot().await;
        self.run_in(slot, command, Until::Gone, ()).await
    }

    /// Runs the command and returns as soon as its end is certain: when its time is up, what is left of it is ended while
    /// nobody waits. `keep` and the slot are held until then. Cancelled, the command is ended with everything that it started.
    pub async fn run_to_verdict(&self, slot: Slot, command: &Command, keep: impl Send + 'static) -> Ended {
        self.run_in(slot, command, Until::Certain, keep).await
    }

    async fn run_in(&self, slot: Slot, command: &Command, until: Until, keep: impl Send + 'static) -> Ended {
        if let Err(ending) = judge(command) {
            return Ended::without_start(ending);
        }
        let begun = Instant::now();
        let launcher = match launch(Arc::clone(&self.launcher), wire::order(command)).await {
            Ok(launcher) => launcher,
            Err(error) => {
                let why = format!("cannot start a launcher: {}", crate::errno::words(&error));
                return Ended::without_start(Ending::NotStarted(why));
            }
        };
        // Two news at most come, so that telling them never waits.
        let (tell, mut news) = mpsc::channel(2);
        let patience = command.timeout.saturating_add(GRACE).saturating_add(MARGIN);
        tokio::spawn(follow(launcher, begun + patience, tell, (slot, keep)));
        let mut last = None;
        while let Some(news) = news.recv().await {
            match news {
                News::TimeUp(ended) | News::Ended(ended) if until == Until::Certain => return ended,
                News::TimeUp(_) => {}
                News::Ended(ended) => last = Some(ended),
            }
        }
        last.unwrap_or_else(|| lost(begun.elapsed()))
    }
}

fn lost(took: Duration) -> Ended {
    let why = "its launcher ended without a report; somebody killed it, or memory ran out".to_owned();
    Ended { took, ..Ended::without_start(Ending::Lost(why)) }
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// How it ends is known.
    Certain,
    /// Nothing of it is left.
    Gone,
}

/// Beyond the command's time and the grace: for the burial of what was killed, and for a busy machine.
const MARGIN: Duration = Duration::from_secs(5);

fn judge(command: &Command) -> Result<(), Ending> {
    /// The kernel takes 2 MiB, environment included; nobody needs that much.
    const LONGEST: usize = 128 << 10;
    let environment = command.environment.iter().flat_map(|(name, value)| [name, value]);
    let texts = command.argv.iter().chain(environment);
    let refuse = |why: &str| Err(Ending::Refused(why.to_owned()));
    if command.argv.is_empty() {
        return refuse("no program is named");
    }
    if texts.clone().any(|text| text.contains('\0')) {
        return refuse("an argument or a value of the environment contains a NUL");
    }
    if texts.map(|text| text.len() + 1).sum::<usize>() > LONGEST {
        return refuse("its arguments and its environment are longer than 128 KiB");
    }
    Ok(())
}

/// A launcher that runs.
struct Launcher {
    child: Child,
    socket: UnixStream,
}

async fn launch(program: Arc<PathBuf>, order: Vec<u8>) -> io::Result<Launcher> {
    // To start a process takes a moment, and longer when its binary has to be read from a disk.
    let started = spawn_blocking(move || {
        let (ours, theirs) = StdStream::pair()?;
        let child = process::Command::new(&*program)
            .arg0(NAME)
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        // Fits into the socket's buffer, and a launcher that is gone is noticed by its silence.
        let _ = io::Write::write_all(&mut &ours, &order);
        ours.set_nonblocking(true)?;
        Ok::<_, io::Error>((child, ours))
    });
    let (child, socket) = started.await.map_err(io::Error::other)??;
    Ok(Launcher { child, socket: UnixStream::from_std(socket)? })
}

/// Hands on what the launcher tells until it ends, and takes its end. When nobody listens any more the command is given up.
async fn follow(launcher: Launcher, patience: Instant, tell: mpsc::Sender<News>, keep: impl Send) {
    let Launcher { mut child, mut socket } = launcher;
    let (mut reader, mut writer) = socket.split();
    let mut is_over = false;
    while !is_over {
        let mut reading = pin!(read_news(&mut reader));
        let news = tokio::select! {
            news = &mut reading => news,
            () = tell.closed() => {
                // A launcher that is gone is noticed by the end of its news.
                let _ = writer.shutdown().await;
                timeout_at(patience, reading).await.ok().flatten()
            }
            () = sleep_until(patience) => None,
        };
        let Some(news) = news else { break };
        is_over = matches!(news, News::Ended(_));
        // Nobody listens when the command was given up.
        let _ = tell.try_send(news);
    }
    let burial = spawn_blocking(move || {
        if !is_over {
            kill_instead(&mut child);
        }
        // Fails when the launcher was waited for already, which nobody else does.
        child.wait()
    });
    let _ = burial.await;
    // The slot is free before anybody learns that nothing is left.
    drop(keep);
    drop(tell);
}

/// The launcher is dead or stuck and cannot end its command; perhaps it did not even tell that it began. But all that it
/// started is in the session that it made, unless it left on purpose.
fn kill_instead(launcher: &mut Child) {
    let _ = launcher.kill();
    if let Ok(session) = i32::try_from(launcher.id()) {
        sweep::kill_session(Pid::from_raw(session));
    }
}

/// `None` at the end, also at the end of sense. Not to be cancelled: what was read of a frame would be lost.
async fn read_news(socket: &mut ReadHalf<'_>) -> Option<News> {
    let mut announced = [0; 4];
    socket.read_exact(&mut announced).await.ok()?;
    let mut frame = vec![0; wire::length(announced)?];
    socket.read_exact(&mut frame).await.ok()?;
    News::read(&frame)
}
