//! A program running in a namespace, with everything it forks: logged, signalled as a whole, measured, killed on drop.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, SysconfVar, sysconf},
};

use crate::{Namespace, wait_for, wait_until};

/// How long a killed program may take to stop first, on a machine under load.
const STANDSTILL: Duration = Duration::from_millis(500);

/// A running program and its descendants.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

/// What a process tree has used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// User and system time of all threads of all processes that are alive; the clock tick (10 ms) is the grain.
    pub cpu: Duration,
    /// Resident memory in bytes; pages that forks share count in each.
    pub resident: u64,
    /// Number of processes.
    pub processes: usize,
}

impl Process {
    /// Starts `command` inside `space`, its output appended to `log`.
    ///
    /// It gets a process group of its own, so that a Ctrl-C at the terminal is the test's to handle.
    #[track_caller]
    pub fn start(space: &Namespace, name: &str, mut command: Command, log: &Path) -> Self {
        use std::os::unix::process::CommandExt as _;
        let open = || File::options().create(true).append(true).open(log);
        let outputs = open().and_then(|out| Ok((out, open()?)));
        let (out, err) = outputs.unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()));
        command.stdin(Stdio::null()).stdout(out).stderr(err).process_group(0);
        let child = space.run(|| command.spawn());
        let child = child.unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// The process id of the program itself.
    pub fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Whether the program itself is still running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the program itself.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(self.id(), signal)
            .unwrap_or_else(|error| panic!("cannot send {signal} to {}: {error}", self.name));
    }

    /// Kills the program and its descendants so that none of them sees the others die.
    pub fn kill(&mut self) {
        self.freeze();
        // A frozen child must not live to see its parent's death: children first, once all really stand still.
        let tree = self.tree();
        wait_until(STANDSTILL, || tree.iter().all(|pid| stands_still(*pid)));
        for pid in tree.into_iter().rev() {
            let _ = kill(pid, Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }

    /// Stops the program and its descendants, as a hang.
    pub fn freeze(&self) {
        // Twice: a child may have been forked between the reading and the signal.
        for _ in 0..2 {
            self.signal_tree(Signal::SIGSTOP);
        }
    }

    /// Ends [`Process::freeze`].
    pub fn thaw(&self) {
        self.signal_tree(Signal::SIGCONT);
    }

    /// Asks the program to end (SIGTERM) and waits for it; panics when it has not ended after `bound`.
    #[track_caller]
    pub fn terminate(&mut self, bound: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait(bound)
    }

    /// Waits for the end of the program itself.
    #[track_caller]
    pub fn wait(&mut self, bound: Duration) -> ExitStatus {
        wait_for(&format!("end of {}", self.name), bound, || !self.is_running());
        self.child.wait().unwrap_or_else(|error| panic!("cannot wait for {}: {error}", self.name))
    }

    /// All it has printed so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Waits until `text` is in the log; panics with the log when it does not come, or when the program ends first.
    #[track_caller]
    pub fn wait_for_log(&mut self, text: &str, bound: Duration) {
        let mut ended = false;
        let seen = wait_until(bound, || {
            let seen = self.log().contains(text);
            ended = !seen && !self.is_running();
            seen || ended
        });
        assert!(
            seen && !ended,
            "{} did not print {text:?} (ended: {ended}); it printed:\n{}",
            self.name,
            self.log()
        );
    }

    /// What the program and its descendants have used until now.
    pub fn usage(&self) -> Usage {
        let add = |sum: Usage, one: Usage| Usage {
            cpu: sum.cpu + one.cpu,
            resident: sum.resident + one.resident,
            processes: sum.processes + 1,
        };
        self.tree().into_iter().filter_map(usage_of).fold(Usage::default(), add)
    }

    /// How many files and sockets the program itself has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).into_iter().flatten().count()
    }

    /// Who is gone already needs no signal.
    fn signal_tree(&self, signal: Signal) {
        for pid in self.tree() {
            let _ = kill(pid, signal);
        }
    }

    /// The program and its descendants, parents first.
    pub fn tree(&self) -> Vec<Pid> {
        let mut found = vec![self.id()];
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(children_of(parent));
            next += 1;
        }
        found
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- last lines of {}:\n{}\n---", self.name, tail.join("\n"));
        }
        self.kill();
    }
}

/// Stopped, dead, or gone.
fn stands_still(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rfind(')').and_then(|end| stat[end + 1..].trim_start().chars().next());
    state.is_none_or(|state| "TtZX".contains(state))
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let tasks = fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    texts
        .flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>())
        .map(Pid::from_raw)
        .collect()
}

fn usage_of(pid: Pid) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let memory = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    let page = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    let ticks = ticks_in(&stat)?;
    Some(Usage {
        cpu: Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64),
        resident: memory.split_whitespace().nth(1)?.parse::<u64>().ok()? * page.cast_unsigned(),
        processes: 1,
    })
}

/// utime + stime of /proc/PID/stat: fields 14 and 15, counted behind the name, which may contain anything.
fn ticks_in(stat: &str) -> Option<u64> {
    let behind_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = behind_name.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_read_behind_a_hostile_name() {
        let stat = "12 (a) 9 (b) S 1 12 12 0 -1 4194560 1 2 3 4 70 5 0 0 20 0 1 0 100 0 0";
        assert_eq!(ticks_in(stat), Some(75));
    }
}
