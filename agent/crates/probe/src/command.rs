//! Runs one program of the operator's: without a shell, without our privileges, within a time, and without leaving anything
//! behind. Script checks, remedies and notifications use it.
//!
//! The agent starts a **launcher**: its own binary again, in a process of its own, which was told over a socket what to run.
//! The launcher gives up what the agent has (capabilities, descriptors, session), judges every element of the program's path as it
//! opens it, runs the program, reads its output, ends it when its time is up, and reports. It is the reaper of everything
//! below it, so that it finds descendants that left the process group or the session; and it ends the program when the
//! agent's end of the socket closes, so that a killed agent leaves nothing behind.
//!
//! | rule | how |
//! |---|---|
//! | no shell | an argument vector; the first is an absolute path |
//! | path | each element opened without following, owner root or the program's user, nobody else may write, no setuid; the interpreter line too |
//! | what is judged is what runs | a binary and an interpreter are executed by descriptor; a script's path can be changed only by those who may |
//! | environment | `PATH`, `LANG=C` and what the caller documents; nothing inherited |
//! | privileges | no capabilities (root keeps root's), no_new_privs, umask 077, ordinary scheduling and OOM score |
//! | limits | open files, file size, CPU time, no core files; see [`Limits`] |
//! | time | SIGTERM to everything, one second later SIGKILL to everything |
//! | output | the first 64 KiB kept, the rest read and counted |

mod identity;
mod launch;
mod launcher;
mod path;
mod sweep;
mod wire;

use std::fmt;
use std::time::Duration;

pub use launch::{Commands, MOST_COMMANDS, Slot};
pub use launcher::launcher_main;

use crate::evidence::escaped;

/// What is run, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// The program by its absolute path, and its arguments; at least one, without NUL.
    pub argv: Vec<String>,
    /// The environment beside `PATH` and `LANG`, which it may not replace.
    pub environment: Vec<(String, String)>,
    /// The user it runs as, by name or number; `None` = the agent's own.
    pub user: Option<String>,
    /// Whether it may run as root. Without it, a command that would is refused.
    pub allow_root: bool,
    /// After this time it is ended.
    pub timeout: Duration,
    /// What it may use.
    pub limits: Limits,
    /// What becomes of processes that it leaves when it ends by itself.
    pub leftovers: Leftovers,
}

impl Command {
    /// A command for a check: nothing in the environment, the agent's user, limits and leftovers of a check.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>, timeout: Duration) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            user: None,
            allow_root: false,
            timeout,
            limits: Limits::CHECK,
            leftovers: Leftovers::Kill,
        }
    }
}

/// Resource limits of a command, see setrlimit(2). Core files are never written; CPU time is bounded by the timeout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Open files; `None` = as many as the agent may have.
    pub open_files: Option<u64>,
    /// Octets of a file that is written; `None` = no limit. Going beyond is SIGXFSZ.
    pub file_size: Option<u64>,
    /// Whether CPU time is bounded (by the timeout and ten seconds). Not for what starts a service.
    pub processor_time: bool,
}

impl Limits {
    /// A check looks and tells; it has no business with large files.
    pub const CHECK: Self = Self { open_files: Some(64), file_size: Some(1 << 20), processor_time: true };
    /// A notification may append to a log that is large already.
    pub const HOOK: Self = Self { open_files: Some(64), file_size: None, processor_time: true };
    /// A remedy may start a service, which inherits the limits.
    pub const REMEDY: Self = Self { open_files: None, file_size: None, processor_time: false };
}

/// What becomes of processes that a command leaves behind when it ends by itself. When its time is up they are always killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leftovers {
    /// They are killed.
    Kill,
    /// They stay: a remedy may start a service.
    Stay,
}

/// How a command ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// By what.
    pub ending: Ending,
    /// From its start to its end; to the moment when its time was up, when that is all that is known.
    pub took: Duration,
    /// What it wrote to standard output and standard error, in the order of writing.
    pub output: Output,
    /// Processes that it left and that were killed.
    pub killed: u32,
}

/// What ended a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It exited with this status, 0..=255.
    Exited(i32),
    /// A signal that we did not send ended it.
    Signalled(i32),
    /// Its time was up.
    TimedOut,
    /// It may not be run: which element of its path, and why.
    Refused(String),
    /// It could not be run: what is missing on this node.
    NotStarted(String),
    /// It ran, and how it ended is not known.
    Lost(String),
}

/// The output of a command.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Output {
    /// Its beginning, at most [`OUTPUT_LIMIT`] octets.
    pub beginning: Vec<u8>,
    /// How much there was.
    pub total: u64,
}

/// So many octets of a command's output are kept.
pub const OUTPUT_LIMIT: usize = 64 << 10;

impl Output {
    /// The last line that is not blank, escaped and at most `longest` characters; empty when there is none. Of an output that
    /// was cut it is the last line that was kept.
    pub fn last_line(&self, longest: usize) -> String {
        self.last_lines(1, longest)
    }

    /// The same of the last `count` lines, each at most `longest` characters, with slashes between them.
    fn last_lines(&self, count: usize, longest: usize) -> String {
        let lines = self.beginning.rsplit(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
        let lines = lines.filter(|line| !line.is_empty()).take(count);
        let mut lines: Vec<String> = lines.map(|line| escaped(line, longest)).collect();
        lines.reverse();
        lines.join(" / ")
    }

    /// What was kept, escaped, with its line ends.
    pub fn text(&self) -> String {
        let lines = self.beginning.split(|octet| *octet == b'\n');
        let lines: Vec<String> = lines.map(|line| escaped(line, OUTPUT_LIMIT)).collect();
        lines.join("\n")
    }
}

impl Ended {
    pub(crate) fn without_start(ending: Ending) -> Self {
        Self { ending, took: Duration::ZERO, output: Output::default(), killed: 0 }
    }

    /// Whether it exited with status 0.
    pub fn is_success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }
}

/// How long everything has between SIGTERM and SIGKILL.
pub const GRACE: Duration = Duration::from_secs(1);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LINE: usize = 160;
        self.ending.fmt(f)?;
        match &self.ending {
            Ending::Refused(_) | Ending::NotStarted(_) => return Ok(()),
            _ => write!(f, " after {:.3?}", self.took)?,
        }
        if self.killed > 0 {
            let plural = if self.killed == 1 { "process" } else { "processes" };
            write!(f, ", {} {plural} left behind and killed", self.killed)?;
        }
        if self.output.total > u64::try_from(OUTPUT_LIMIT).unwrap_or(u64::MAX) {
            write!(f, ", {} octets of output cut to {OUTPUT_LIMIT}", self.output.total)?;
        }
        // What went wrong often stands before a last line that only says where more is: systemctl does so.
        let lines = if self.is_success() { 1 } else { 2 };
        match self.output.last_lines(lines, LINE) {
            line if line.is_empty() => Ok(()),
            line => write!(f, ": {line}"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(126) => f.write_str("exit status 126 (a command in it may not be executed)"),
            Self::Exited(127) => f.write_str("exit status 127 (a command in it was not found)"),
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Signalled(signal) => write!(f, "ended by {}", signal_name(*signal)),
            Self::TimedOut => f.write_str("its time was up"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::NotStarted(why) => write!(f, "not started: {why}"),
            Self::Lost(why) => write!(f, "lost: {why}"),
        }
    }
}

/// `SIGSEGV`, with a word on those that our limits send.
fn signal_name(number: i32) -> String {
    let name = nix::sys::signal::Signal::try_from(number);
    let name = name.map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned());
    match &*name {
        "SIGXFSZ" => format!("{name} (a file would have grown beyond the limit of 1 MiB)"),
        "SIGXCPU" => format!("{name} (it used more CPU time than its timeout allows)"),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(ending: Ending, output: &[u8], total: u64) -> Ended {
        let output = Output { beginning: output.to_vec(), total };
        Ended { ending, took: Duration::from_millis(12), output, killed: 0 }
    }

    #[test]
    fn an_end_reads_as_one_sentence_without_control_characters() {
        let refused = Ending::Refused("/opt/x is writable by group".to_owned());
        let cases = [
            (ended(Ending::Exited(0), b"", 0), "exit status 0 after 12.000ms"),
            (ended(Ending::Exited(0), b"one\ntwo\n", 8), "exit status 0 after 12.000ms: two"),
            (
                ended(Ending::Exited(3), b"one\na\n\x1b[2J nginx gone\n\n", 26),
                "exit status 3 after 12.000ms: a / \\u{1b}[2J nginx gone",
            ),
            (ended(Ending::Signalled(11), b"", 0), "ended by SIGSEGV after 12.000ms"),
            (
                ended(Ending::TimedOut, b"x", 70_000),
                "its time was up after 12.000ms, 70000 octets of output cut to 65536: x",
            ),
            (ended(refused, b"", 0), "refused: /opt/x is writable by group"),
        ];
        for (ended, text) in cases {
            assert_eq!(ended.to_string(), text);
        }
    }

    #[test]
    fn stored_output_keeps_its_lines_and_nothing_that_a_terminal_obeys() {
        let output = Output { beginning: b"one\ntwo\x07\xff".to_vec(), total: 9 };
        assert_eq!(output.text(), "one\ntwo\\u{7}\\xff");
    }
}
