//! `file`: a whole number is read from a file, as keepalived's `track_file`. Whoever writes it decides what it says.
//!
//! Followed, the kernel tells of writes, of a file that is put in its place, and of one that comes or goes (inotify). File systems that
//! have no such notices, /proc or NFS for example, are read at the check's interval only, and the evidence says so.

mod notices;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use nix::fcntl::OFlag;

use crate::attempt::{Reason, Trouble};
use crate::course::Course;
use crate::errno;
use crate::evidence::escaped;
use crate::failure::{Failure, Success};
use crate::follower::{self, Look};
use crate::spec::Invalid;
use notices::Notices;

/// A number is read from a file. It is also the attempt's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NumberFile {
    /// By its absolute path.
    pub path: PathBuf,
    /// Passes with at least this number; `None` = any.
    pub minimum: Option<i32>,
    /// Passes with at most this number; `None` = any.
    pub maximum: Option<i32>,
    /// What a missing file stands for; `None` = it fails. keepalived takes it for 0.
    pub missing: Option<i32>,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    spec: NumberFile,
}

/// A file check, followed.
pub(crate) type Follower = follower::Follower<Compiled, Notices>;

impl Compiled {
    pub(crate) fn new(spec: NumberFile) -> Result<Arc<Self>, Invalid> {
        if !spec.path.is_absolute() {
            let text = format!("`{}` is not an absolute path", spec.path.display());
            return Err(Invalid::new("path", text));
        }
        if spec.maximum < spec.minimum && spec.maximum.is_some() {
            return Err(Invalid::new("maximum", "it is less than the minimum, so that no number passes"));
        }
        Ok(Arc::new(Self { spec }))
    }

    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        Follower::new(Arc::clone(self), Notices::new(&self.spec.path))
    }

    pub(crate) async fn run(self: &Arc<Self>, course: &mut Course) -> Result<Success, Failure> {
        course.enter("read");
        follower::look(self).await
    }

    fn judge(&self, number: i32, what: &str) -> Result<Success, Failure> {
        let NumberFile { path, minimum, maximum, .. } = &self.spec;
        let text = format!("{} {what}", path.display());
        let wrong = match (minimum, maximum) {
            (Some(minimum), _) if number < *minimum => format!("{text}, at least {minimum} wanted"),
            (_, Some(maximum)) if number > *maximum => format!("{text}, at most {maximum} wanted"),
            _ => return Ok(Success { evidence: text, value: Some(number) }),
        };
        Err(Failure { value: Some(number), ..Failure::failed(Reason::WrongAnswer, wrong) })
    }
}

/// A number needs eleven octets; who writes more writes something else.
const LONGEST: u64 = 128;

impl Look for Compiled {
    fn look(&self) -> Result<Success, Failure> {
        let path = self.spec.path.display();
        match read(&self.spec.path) {
            Ok(octets) => match number(&octets) {
                Some(number) => self.judge(number, &format!("says {number}")),
                None => {
                    let text = format!("{path} says `{}`, which is no whole number", escaped(&octets, 40));
                    Err(Failure::failed(Reason::WrongAnswer, text))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => match self.spec.missing {
                Some(number) => self.judge(number, &format!("is missing, which stands for {number}")),
                None => Err(Failure::failed(Reason::Missing, format!("{path} is missing"))),
            },
            Err(error) => {
                let trouble = match error.kind() {
                    io::ErrorKind::PermissionDenied => Trouble::Permission,
                    _ => Trouble::Kernel,
                };
                Err(Failure::trouble(trouble, format!("cannot read {path}: {}", errno::words(&error))))
            }
        }
    }
}

/// What the file says, without waiting for a writer if it should be a pipe.
fn read(path: &std::path::Path) -> io::Result<Vec<u8>> {
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut octets = Vec::new();
    file.take(LONGEST).read_to_end(&mut octets)?;
    Ok(octets)
}

/// A whole number with its sign, in decimal, after `0x` in hexadecimal, after `0` in octal, with white space around it.
fn number(octets: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(octets).ok()?.trim();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = match lower.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None if lower.len() > 1 && lower.starts_with('0') => (&lower[1..], 8),
        None => (&*lower, 10),
    };
    // A second sign is not a digit.
    let number = i64::from_str_radix(digits, base).ok().filter(|_| !digits.starts_with(['+', '-']))?;
    i32::try_from(if is_negative { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_the_bases_that_keepalived_reads() {
        let cases: [(&[u8], Option<i32>); 20] = [
            (b"0", Some(0)),
            (b"42\n", Some(42)),
            (b" \t-7 \r\n", Some(-7)),
            (b"+7", Some(7)),
            (b"0x1F", Some(31)),
            (b"-0X10", Some(-16)),
            (b"010", Some(8)),
            (b"00", Some(0)),
            (b"2147483647", Some(i32::MAX)),
            (b"-2147483648", Some(i32::MIN)),
            (b"2147483648", None),
            (b"99999999999999999999", None),
            (b"", None),
            (b"-", None),
            (b"--1", None),
            (b"0x", None),
            (b"08", None),
            (b"1.5", None),
            (b"12 monkeys", None),
            (b"\xff", None),
        ];
        for (octets, expected) in cases {
            assert_eq!(number(octets), expected, "{}", String::from_utf8_lossy(octets));
        }
    }

    #[test]
    fn what_cannot_be_followed_is_refused() {
        let spec =
            |path: &str, minimum, maximum| NumberFile { path: path.into(), minimum, maximum, missing: None };
        assert_eq!(Compiled::new(spec("a", None, None)).unwrap_err().parameter, "path");
        assert_eq!(Compiled::new(spec("/a", Some(2), Some(1))).unwrap_err().parameter, "maximum");
        assert!(Compiled::new(spec("/a", Some(2), None)).is_ok());
        assert!(Compiled::new(spec("/a", None, Some(1))).is_ok());
    }
}
