//! `process`: processes are counted, by the kernel's name or by their command line. Says that a program runs, not that it works.
//!
//! Followed, the end of each process is told by the kernel (a pidfd becomes readable as it ends). Starts are told by the proc
//! connector where it is to be had (CAP_NET_ADMIN, in the first network, user and process namespace), and looked for every
//! second where it is not; the evidence says which.

mod connector;
mod events;
mod follower;
mod table;

use std::fmt::Write;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::spawn_blocking;

use crate::attempt::{Reason, Trouble};
use crate::course::Course;
use crate::errno;
use crate::failure::{Failure, Success};
use crate::spec::Invalid;
pub(crate) use follower::Follower;
use table::Seen;

/// Processes are counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Process {
    /// Which are counted. This process and zombies are not.
    pub matching: Matching,
    /// Passes with at least so many.
    pub minimum: u32,
    /// Passes with at most so many; `None` = no limit; 0 = passes as long as none runs.
    pub maximum: Option<u32>,
}

/// Which processes are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matching {
    /// What is compared.
    pub field: Field,
    /// With what; not empty.
    pub text: String,
    /// How.
    pub extent: Extent,
}

/// What of a process is compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    /// The kernel's name of it (`/proc/PID/comm`), which it cuts to 15 octets.
    Name,
    /// Its arguments, the program first, joined by blanks (`/proc/PID/cmdline`), of which 32 KiB are read.
    CommandLine,
}

/// How a text is compared.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Extent {
    /// All of it is the same.
    #[default]
    Whole,
    /// It begins with the text.
    Beginning,
    /// The text is somewhere in it.
    Part,
}

impl Matching {
    /// Whether `found` is meant.
    pub(crate) fn fits(&self, found: &[u8]) -> bool {
        let text = self.text.as_bytes();
        match self.extent {
            Extent::Whole => found == text,
            Extent::Beginning => found.starts_with(text),
            Extent::Part => found.windows(text.len()).any(|part| part == text),
        }
    }
}

impl std::fmt::Display for Matching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let how = match (self.field, self.extent) {
            (Field::Name, Extent::Whole) => "named",
            (Field::Name, Extent::Beginning) => "with a name that begins with",
            (Field::Name, Extent::Part) => "with a name that contains",
            (Field::CommandLine, Extent::Whole) => "with the command line",
            (Field::CommandLine, Extent::Beginning) => "with a command line that begins with",
            (Field::CommandLine, Extent::Part) => "with a command line that contains",
        };
        write!(f, "{how} `{}`", self.text)
    }
}

#[derive(Debug)]
pub(crate) struct Compiled {
    spec: Process,
    /// What the last look found, so that whoever follows need not look again so soon.
    found: watch::Sender<Arc<[Seen]>>,
}

impl Compiled {
    pub(crate) fn new(spec: Process) -> Result<Arc<Self>, Invalid> {
        let Matching { field, text, .. } = &spec.matching;
        if text.is_empty() {
            return Err(Invalid::new("process", "it is empty, and every process would fit"));
        }
        if *field == Field::Name && text.len() > table::LONGEST_NAME {
            let text = format!(
                "the kernel cuts names to {} octets and `{text}` has {}; cut it, or compare the command line",
                table::LONGEST_NAME,
                text.len()
            );
            return Err(Invalid::new("process", text));
        }
        if spec.maximum.is_some_and(|maximum| maximum < spec.minimum) {
            return Err(Invalid::new("maximum", "it is less than the minimum, so that no count passes"));
        }
        Ok(Arc::new(Self { spec, found: watch::Sender::new(Arc::new([])) }))
    }

    pub(crate) async fn run(self: &Arc<Self>, course: &mut Course) -> Result<Success, Failure> {
        course.enter("scan");
        let found = self.look().await?;
        self.found.send_replace(Arc::clone(&found));
        course.note(|| format!("{} found", found.len()));
        self.judge(&numbers(&found), "")
    }

    /// Reads the kernel's table of processes.
    async fn look(self: &Arc<Self>) -> Result<Arc<[Seen]>, Failure> {
        let check = Arc::clone(self);
        let found = spawn_blocking(move || table::scan(&check.spec.matching)).await;
        let found = found.map_err(std::io::Error::other).flatten();
        found.map(Into::into).map_err(|error| {
            Failure::trouble(Trouble::Kernel, format!("cannot read /proc: {}", errno::words(&error)))
        })
    }

    fn judge(&self, found: &[i32], more: &str) -> Result<Success, Failure> {
        let count = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let text = format!("{}{more}", self.describe(found));
        if count < self.spec.minimum {
            let reason = if count == 0 { Reason::Missing } else { Reason::Count };
            return Err(Failure::failed(reason, text));
        }
        match self.spec.maximum {
            Some(maximum) if count > maximum => Err(Failure::failed(Reason::Count, text)),
            _ => Ok(Success::new(text)),
        }
    }

    /// "2 processes named `nginx` (812 815), at least 3 wanted".
    fn describe(&self, found: &[i32]) -> String {
        const SHOWN: usize = 5;
        let matching = &self.spec.matching;
        let mut text = match found.len() {
            0 => format!("no process {matching}"),
            1 => format!("1 process {matching}"),
            count => format!("{count} processes {matching}"),
        };
        let numbers: Vec<String> = found.iter().take(SHOWN).map(ToString::to_string).collect();
        let dots = if found.len() > SHOWN { " ..." } else { "" };
        let _ = match found.is_empty() {
            true => Ok(()),
            false => write!(text, " ({}{dots})", numbers.join(" ")),
        };
        let _ = match (self.spec.minimum, self.spec.maximum) {
            (_, Some(0)) => write!(text, ", none wanted"),
            (0 | 1, None) => Ok(()),
            (minimum, None) => write!(text, ", at least {minimum} wanted"),
            (minimum, Some(maximum)) if minimum == maximum => write!(text, ", {minimum} wanted"),
            (minimum, Some(maximum)) => write!(text, ", {minimum} to {maximum} wanted"),
        };
        text
    }
}

fn numbers(found: &[Seen]) -> Vec<i32> {
    found.iter().map(|seen| seen.process).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matching(field: Field, text: &str, extent: Extent) -> Matching {
        Matching { field, text: text.to_owned(), extent }
    }

    fn compiled(minimum: u32, maximum: Option<u32>) -> Result<Arc<Compiled>, Invalid> {
        Compiled::new(Process { matching: matching(Field::Name, "nginx", Extent::Whole), minimum, maximum })
    }

    #[test]
    fn a_text_fits_whole_at_the_beginning_or_anywhere() {
        let cases = [
            (Extent::Whole, "nginx", true),
            (Extent::Whole, "nginx2", false),
            (Extent::Beginning, "nginx2", true),
            (Extent::Beginning, "a nginx", false),
            (Extent::Part, "a nginx2", true),
            (Extent::Part, "ngin", false),
        ];
        for (extent, found, fits) in cases {
            assert_eq!(
                matching(Field::Name, "nginx", extent).fits(found.as_bytes()),
                fits,
                "{extent:?} {found}"
            );
        }
    }

    #[test]
    fn counts_are_judged_with_both_ends_included() {
        let missing = Err(Reason::Missing);
        let cases = [
            (1, None, 0, missing),
            (1, None, 1, Ok("1 process named `nginx` (1)")),
            (3, None, 2, Err(Reason::Count)),
            (0, None, 0, Ok("no process named `nginx`")),
            (0, Some(0), 0, Ok("no process named `nginx`, none wanted")),
            (0, Some(0), 1, Err(Reason::Count)),
            (2, Some(7), 7, Ok("7 processes named `nginx` (1 2 3 4 5 ...), 2 to 7 wanted")),
            (2, Some(7), 8, Err(Reason::Count)),
        ];
        for (minimum, maximum, count, expected) in cases {
            let found: Vec<i32> = (1..=count).collect();
            let judged = compiled(minimum, maximum).unwrap().judge(&found, "");
            match (judged, expected) {
                (Ok(success), Ok(text)) => assert_eq!(success.evidence, text),
                (Err(failure), Err(reason)) => assert_eq!(failure.outcome, crate::Outcome::Failed(reason)),
                (judged, _) => panic!("{minimum} {maximum:?} {count}: {judged:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        assert!(compiled(3, Some(2)).unwrap_err().message.contains("no count passes"));
        for (text, word) in [("", "every process"), ("a-name-of-17-octs", "cuts names to 15")] {
            let spec =
                Process { matching: matching(Field::Name, text, Extent::Whole), minimum: 1, maximum: None };
            assert!(Compiled::new(spec).unwrap_err().message.contains(word));
        }
    }
}
