//! The running nginx as the kernel shows it: its master, found by the pid file and made sure of, and the master's workers.
//!
//! nginx writes into its command line what each process is: `nginx: master process /usr/sbin/nginx`,
//! `nginx: worker process`, `nginx: worker process is shutting down`. The kernel shows that to everybody, unless /proc
//! is mounted with `hidepid`.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use rustix::time::{ClockId, clock_gettime};

use crate::Error;

/// More than any of nginx's titles has.
const LONGEST_TITLE: u64 = 256;
/// More workers than any machine has, at 8 octets each.
const LONGEST_LIST: u64 = 64 * 1024;

/// A process, told apart from a later one with the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct ProcessId {
    pub(super) pid: u32,
    /// When it was forked, in clock ticks since boot.
    pub(super) started: u64,
}

/// A running master. The descriptor keeps a signal from reaching another process that got its number.
#[derive(Debug)]
pub(super) struct Master {
    pub(super) id: ProcessId,
    fd: OwnedFd,
}

/// A process that serves connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Worker {
    pub(super) id: ProcessId,
    /// It accepts no connection any more and ends when those that it has do.
    pub(super) is_shutting_down: bool,
}

impl Master {
    /// The master that the pid file names, if it is one and runs.
    ///
    /// # Errors
    /// [`Error::NotRunning`] with how that was seen; or the process is there and cannot be looked at.
    pub(super) fn find(pid_file: &Path) -> Result<Self, Error> {
        let pid = read_pid(pid_file)?;
        let number = pid.as_raw_nonzero().get().cast_unsigned();
        let gone = || not_running(format!("{} names process {number}, which is gone", pid_file.display()));
        // First the descriptor, then the title: what is read is of this process, or the signal later finds nobody.
        let Ok(fd) = pidfd_open(pid, PidfdFlags::empty()) else { return Err(gone()) };
        let title = match read_title(number) {
            Ok(title) => title,
            Err(_) if pidfd_open(pid, PidfdFlags::empty()).is_err() => return Err(gone()),
            Err(source) => return Err(Error::Process { action: "look at", process: number, source }),
        };
        if role_in(&title) != Some(Role::Master) {
            let title: String = title.escape_default().take(80).collect();
            let file = pid_file.display();
            return Err(not_running(format!(
                "{file} names process {number}, which is \"{title}\", no nginx master"
            )));
        }
        let started = started(number).ok_or_else(gone)?;
        Ok(Self { id: ProcessId { pid: number, started }, fd })
    }

    /// Tells it to read its configuration.
    pub(super) fn hang_up(&self) -> Result<(), Error> {
        match pidfd_send_signal(&self.fd, Signal::HUP) {
            Ok(()) => Ok(()),
            Err(Errno::SRCH) => Err(self.ended()),
            Err(errno) => {
                Err(Error::Process { action: "send SIGHUP to", process: self.id.pid, source: errno.into() })
            }
        }
    }

    /// Whether the process is still this one.
    pub(super) fn is_alive(&self) -> bool {
        started(self.id.pid) == Some(self.id.started)
    }

    /// That it has ended while we worked.
    pub(super) fn ended(&self) -> Error {
        not_running(format!("its master, process {}, has just ended", self.id.pid))
    }

    /// Its workers. One that is just being forked still has the master's title and is not counted, nor is one that is dead.
    pub(super) fn workers(&self) -> Vec<Worker> {
        let pid = self.id.pid;
        let list = read_some(format!("/proc/{pid}/task/{pid}/children"), LONGEST_LIST).unwrap_or_default();
        let pids = list.split_ascii_whitespace().filter_map(|word| word.parse().ok());
        pids.filter_map(worker).collect()
    }

    /// Whether a SIGHUP waits for it: it is still busy with what came before, and signals wait meanwhile.
    pub(super) fn has_hangup_pending(&self) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id.pid)).unwrap_or_default();
        is_hangup_pending(&status)
    }
}

fn not_running(reason: String) -> Error {
    Error::NotRunning { reason }
}

fn read_pid(pid_file: &Path) -> Result<Pid, Error> {
    let file = pid_file.display();
    let text = match read_some(pid_file, 32) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(not_running(format!("there is no {file}")));
        }
        Err(source) => return Err(Error::File { action: "read", path: pid_file.to_owned(), source }),
    };
    // `nginx -t` makes it, empty, when nginx is not running.
    if text.trim().is_empty() {
        return Err(not_running(format!("{file} is empty")));
    }
    let pid = text.trim().parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    pid.ok_or_else(|| not_running(format!("{file} does not hold the number of a process")))
}

fn read_title(pid: u32) -> io::Result<String> {
    Ok(read_some(format!("/proc/{pid}/cmdline"), LONGEST_TITLE)?.replace('\0', " ").trim_end().to_owned())
}

fn read_some(path: impl AsRef<Path>, most: u64) -> io::Result<String> {
    let mut octets = Vec::new();
    File::open(path)?.take(most).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Master,
    Worker,
    ShuttingDown,
}

/// The program's name stands before: `nginx`, or that of one of its relatives.
fn role_in(title: &str) -> Option<Role> {
    let (program, role) = title.split_once(": ")?;
    if program.contains(' ') {
        return None;
    }
    if role.starts_with("master process") {
        Some(Role::Master)
    } else if role.starts_with("worker process") {
        let is_shutting_down = role.ends_with("is shutting down");
        Some(if is_shutting_down { Role::ShuttingDown } else { Role::Worker })
    } else {
        None
    }
}

fn worker(pid: u32) -> Option<Worker> {
    let is_shutting_down = match role_in(&read_title(pid).ok()?)? {
        Role::Master => return None,
        Role::Worker => false,
        Role::ShuttingDown => true,
    };
    Some(Worker { id: ProcessId { pid, started: started(pid)? }, is_shutting_down })
}

fn started(pid: u32) -> Option<u64> {
    started_in(&read_some(format!("/proc/{pid}/stat"), 4096).ok()?)
}

/// Field 22 of /proc/PID/stat, counted behind the name, which may contain anything. A dead process has none.
fn started_in(stat: &str) -> Option<u64> {
    let mut fields = stat[stat.rfind(')')? + 1..].split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| !is_dead)
}

/// Signals are numbered from 1: SIGHUP is the lowest bit.
fn is_hangup_pending(status: &str) -> bool {
    let masks = status.lines().filter_map(|line| {
        let mask = line.strip_prefix("ShdPnd:").or_else(|| line.strip_prefix("SigPnd:"))?;
        u64::from_str_radix(mask.trim(), 16).ok()
    });
    masks.fold(0, |all, mask| all | mask) & 1 == 1
}

/// How long ago a process was forked; up to a clock tick too much.
pub(super) fn age(process: ProcessId) -> Duration {
    let tick = 1_000_000_000 / clock_ticks_per_second().max(1);
    let started = Duration::from_nanos(process.started.saturating_mul(tick));
    let now = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
    now.saturating_sub(started)
}

/// The time of day at which a process was forked, by the clock of now; up to a clock tick too early.
pub(super) fn time_of_day(process: ProcessId) -> SystemTime {
    SystemTime::now() - age(process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_tell_what_a_process_is() {
        let table = [
            ("nginx: master process /usr/sbin/nginx -g daemon on;", Some(Role::Master)),
            ("nginx: worker process", Some(Role::Worker)),
            ("nginx: worker process is shutting down", Some(Role::ShuttingDown)),
            ("angie: worker process #1", Some(Role::Worker)),
            ("nginx: cache manager process", None),
            ("/usr/sbin/sshd -D", None),
            ("vi notes on nginx: master process", None),
            ("", None),
        ];
        for (title, role) in table {
            assert_eq!(role_in(title), role, "{title}");
        }
    }

    #[test]
    fn the_start_is_read_behind_a_hostile_name_and_the_dead_have_none() {
        let stat =
            |state: char| format!("12 (a) 9 (b) {state} 1 12 12 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 4711 0 0");
        assert_eq!(started_in(&stat('S')), Some(4711));
        assert_eq!(started_in(&stat('Z')), None);
        assert_eq!(started_in("12 (nginx) S 1"), None);
        assert_eq!(started_in(""), None);
    }

    #[test]
    fn a_pending_hangup_is_seen_among_other_signals() {
        let table = [
            ("SigPnd:\t0000000000000000\nShdPnd:\t0000000000000001\n", true),
            ("SigPnd:\t0000000000000001\nShdPnd:\t0000000000000000\n", true),
            ("SigPnd:\t0000000000000000\nShdPnd:\t0000000000010002\n", false),
            ("SigBlk:\t0000000000000001\n", false),
            ("", false),
        ];
        for (status, is_pending) in table {
            assert_eq!(is_hangup_pending(status), is_pending, "{status}");
        }
    }

    #[test]
    fn our_own_start_is_a_moment_ago() {
        let pid = std::process::id();
        let age = age(ProcessId { pid, started: started(pid).unwrap() });
        assert!(age < Duration::from_secs(3600), "{age:?}");
    }

    #[test]
    fn a_pid_file_that_names_no_nginx_says_what_it_names() {
        let path = std::env::temp_dir().join(format!("hat-{}-pid", std::process::id()));
        let table = [
            (std::process::id().to_string(), "no nginx master"),
            ("4194999\n".to_owned(), "which is gone"),
            (String::new(), "is empty"),
            ("1\n".to_owned(), "does not hold"),
            ("-5".to_owned(), "does not hold"),
            ("nginx".to_owned(), "does not hold"),
            ("9".repeat(100), "does not hold"),
        ];
        for (text, words) in table {
            fs::write(&path, &text).unwrap();
            let error = Master::find(&path).unwrap_err();
            assert!(matches!(&error, Error::NotRunning { reason } if reason.contains(words)), "{error}");
        }
        fs::remove_file(&path).unwrap();
        let error = Master::find(&path).unwrap_err();
        assert!(error.to_string().contains("there is no"), "{error}");
    }
}
