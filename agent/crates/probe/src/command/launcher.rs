//! The launcher: runs one command for the agent that started it, watches over it, reports, and ends.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{self, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid, pipe2};
use rustix::process::{PidfdFlags, WaitOptions, pidfd_open};

use super::identity::{self, Identity};
use super::path::{self, Program, SEARCH_PATH};
use super::wire::{self, News};
use super::{Command, Ended, Ending, GRACE, Leftovers, OUTPUT_LIMIT, Output, sweep};

/// The first argument of a process that is to be a launcher.
pub(super) const ARGUMENT: &str = "launch-one-command";
/// How it is called in process lists.
pub(super) const NAME: &str = "ha-command";

/// Makes this process a launcher when it was started as one, and then does not return. Every program that uses
/// [`super::Commands`] calls it first, while it has one thread.
pub fn launcher_main() {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == ARGUMENT) {
        // Whoever listens has the report; the status says nothing.
        let _ = serve();
        process::exit(0);
    }
}

fn serve() -> io::Result<()> {
    close_inherited();
    let agent = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    // An agent that does not listen must not keep us from ending the command.
    agent.set_write_timeout(Some(GRACE))?;
    let Some(command) = wire::read_order(&wire::read_frame(&agent)?) else { return Ok(()) };
    match Run::start(command) {
        Ok(run) => run.supervise(&agent),
        Err(ending) => wire::tell(&agent, &News::Ended(Ended::without_start(ending))),
    }
    Ok(())
}

/// The agent opens everything with O_CLOEXEC; what a library of it forgot ends here.
fn close_inherited() {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers = open.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    for number in numbers.filter(|number| *number > 2).collect::<Vec<_>>() {
        // The folder that was just read is closed already.
        let _ = nix::unistd::close(number);
    }
}

/// A command that runs.
struct Run {
    group: Pid,
    watch: OwnedFd,
    output: Option<File>,
    stored: Output,
    begun: Instant,
    phase: Phase,
    leftovers: Leftovers,
}

enum Phase {
    /// Until then it may run.
    Running(Instant),
    /// It was asked to end and is killed then.
    Ending(Instant),
}

/// How long killed processes may take to be gone. What waits for a dead disk or server does not go; it is left to init.
const BURIAL: Duration = Duration::from_secs(1);

impl Run {
    fn start(command: Command) -> Result<Self, Ending> {
        let not_started = |error: Errno| Ending::NotStarted(error.desc().to_lowercase());
        let _ = nix::sys::prctl::set_name(c"ha-command");
        let identity = Identity::of(&command).map_err(Ending::Refused)?;
        let program = open(&command, &identity)?;
        nix::unistd::setsid().map_err(not_started)?;
        nix::sys::prctl::set_child_subreaper(true).map_err(not_started)?;
        identity::confine(&command).map_err(Ending::NotStarted)?;
        let (output, writer) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(not_started)?;
        set_nonblocking(&output).map_err(not_started)?;
        let (timeout, leftovers) = (command.timeout, command.leftovers);
        let begun = Instant::now();
        let group = become_and_spawn(command, identity, program, writer)?;
        let pid = rustix::process::Pid::from_raw(group.as_raw()).expect("a child has a number");
        let watch = pidfd_open(pid, PidfdFlags::empty());
        let run = Self {
            group,
            watch: watch.map_err(|error| Ending::NotStarted(format!("cannot watch it: {error}")))?,
            output: Some(File::from(output)),
            stored: Output::default(),
            begun,
            phase: Phase::Running(begun + timeout),
            leftovers,
        };
        Ok(run)
    }

    /// Until the command and what it left is gone.
    fn supervise(mut self, agent: &UnixStream) {
        let ending = loop {
            self.wait(agent);
            self.read_output();
            if let Some(ending) = self.ended() {
                break ending;
            }
            self.keep_time(agent);
        };
        let took = self.begun.elapsed();
        let mut killed = 0;
        let is_over = matches!(self.phase, Phase::Ending(_));
        if is_over || self.leftovers == Leftovers::Kill {
            killed = sweep::kill_all(self.group, BURIAL);
        }
        self.read_output();
        let ending = if is_over { Ending::TimedOut } else { ending };
        wire::tell(agent, &News::Ended(Ended { ending, took, output: self.stored, killed }));
    }

    /// Waits for the end of the command, its output, the end of the agent, or the end of the time.
    fn wait(&mut self, agent: &UnixStream) {
        let (Phase::Running(until) | Phase::Ending(until)) = self.phase;
        let left = until.saturating_duration_since(Instant::now()).as_millis().saturating_add(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = vec![PollFd::new(self.watch.as_fd(), PollFlags::POLLIN)];
        ready.extend(self.output.as_ref().map(|output| PollFd::new(output.as_fd(), PollFlags::POLLIN)));
        let is_running = matches!(self.phase, Phase::Running(_));
        if is_running {
            ready.push(PollFd::new(agent.as_fd(), PollFlags::POLLIN));
        }
        // An interruption makes one more round.
        let _ = poll(&mut ready, timeout);
        // The agent says nothing after its order: what can be read is its end.
        let is_abandoned = is_running && ready.last().is_some_and(|agent| agent.any().unwrap_or_default());
        drop(ready);
        if is_abandoned {
            self.end();
        }
    }

    /// Reads what is there, for a bounded while.
    fn read_output(&mut self) {
        const ROUNDS: usize = 64;
        let mut octets = [0; 64 << 10];
        for _ in 0..ROUNDS {
            let Some(output) = &mut self.output else { return };
            match output.read(&mut octets) {
                Ok(0) => self.output = None,
                Ok(length) => self.store(octets.get(..length).unwrap_or_default()),
                Err(_) => return,
            }
        }
    }

    fn store(&mut self, octets: &[u8]) {
        let room = OUTPUT_LIMIT.saturating_sub(self.stored.beginning.len()).min(octets.len());
        self.stored.beginning.extend(octets.get(..room).unwrap_or_default());
        self.stored.total += u64::try_from(octets.len()).unwrap_or_default();
    }

    /// How the command ended, if it did. Its descendants may still run. Takes the ends of those that became ours, too.
    fn ended(&self) -> Option<Ending> {
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((process, status))) if process.as_raw_pid() == self.group.as_raw() => {
                    let signal = status.terminating_signal().map(Ending::Signalled);
                    return status.exit_status().map(Ending::Exited).or(signal);
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => return None,
                Err(error) => return Some(Ending::Lost(format!("its end was not seen: {error}"))),
            }
        }
    }

    fn keep_time(&mut self, agent: &UnixStream) {
        let now = Instant::now();
        match self.phase {
            Phase::Running(until) if now >= until => {
                let took = self.begun.elapsed();
                let output = self.stored.clone();
                self.end();
                wire::tell(agent, &News::TimeUp(Ended { ending: Ending::TimedOut, took, output, killed: 0 }));
            }
            Phase::Ending(until) if now >= until => sweep::signal_all(self.group, Signal::SIGKILL),
            _ => {}
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Ending(Instant::now() + GRACE);
        sweep::signal_all(self.group, Signal::SIGTERM);
    }
}

fn open(command: &Command, identity: &Identity) -> Result<Program, Ending> {
    let path = command.argv.first().map(Path::new).unwrap_or(Path::new(""));
    path::open(path, identity.user).map_err(|refusal| match refusal.is_missing() {
        true => Ending::NotStarted(refusal.to_string()),
        false => Ending::Refused(refusal.to_string()),
    })
}

fn set_nonblocking(file: &OwnedFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(|_| ())
}

/// Starts the program as `identity`. A root launcher stays root, so that the program cannot end its launcher: a thread of its own
/// switches, and credentials are a thread's own. Without root there is no way back and no need for a thread.
fn become_and_spawn(
    command: Command,
    identity: Identity,
    program: Program,
    output: OwnedFd,
) -> Result<Pid, Ending> {
    let start = move || {
        identity.assume().map_err(Ending::NotStarted)?;
        spawn(&command, &program, output)
    };
    if !geteuid().is_root() {
        return start();
    }
    let ended = std::thread::spawn(start).join();
    ended.unwrap_or_else(|_| Err(Ending::NotStarted("the thread that starts it ended".to_owned())))
}

fn spawn(command: &Command, program: &Program, output: OwnedFd) -> Result<Pid, Ending> {
    let own = command.argv.first().map(String::as_str).unwrap_or_default();
    let by_descriptor = |file: &OwnedFd| format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut child = match &program.interpreter {
        None => {
            let mut child = process::Command::new(by_descriptor(&program.file));
            child.arg0(own);
            child
        }
        Some(interpreter) => {
            let mut child = process::Command::new(by_descriptor(&interpreter.file));
            child.arg0(&interpreter.path).args(&interpreter.argument).arg(own);
            child
        }
    };
    let fail =
        |error: io::Error| Ending::NotStarted(format!("cannot start {own}: {}", crate::errno::words(&error)));
    let errors = output.try_clone().map_err(fail)?;
    child.args(command.argv.iter().skip(1)).env_clear();
    child.envs(command.environment.iter().map(|(name, value)| (name, value)));
    child.envs([("PATH", SEARCH_PATH), ("LANG", "C")]);
    child.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    let spawned = child.spawn().map_err(fail)?;
    i32::try_from(spawned.id()).map(Pid::from_raw).map_err(|_| fail(io::Error::other("no number")))
}
