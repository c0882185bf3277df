//! The kernel's table of processes, read from /proc.

use std::fs::{self, File};
use std::io::{self, Read};

use super::{Field, Matching};

/// The kernel keeps 15 octets and a zero (TASK_COMM_LEN).
pub(super) const LONGEST_NAME: usize = 15;
/// So much of a command line is read.
const LONGEST_LINE: u64 = 32 << 10;

/// A process that is meant, and not another one that got its number later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    pub(super) process: i32,
    /// When it started, in clock ticks after boot.
    pub(super) start: u64,
}

/// All processes that are meant, by number.
pub(super) fn scan(matching: &Matching) -> io::Result<Vec<Seen>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let process = name.to_str().and_then(|name| name.parse().ok());
        found.extend(process.and_then(|process| look(process, matching)));
    }
    found.sort_unstable_by_key(|seen| seen.process);
    Ok(found)
}

/// The process of this number, if it lives and is meant.
pub(super) fn look(process: i32, matching: &Matching) -> Option<Seen> {
    if u32::try_from(process) == Ok(std::process::id()) {
        return None;
    }
    // Whatever cannot be read has ended, or is hidden from us.
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    let stat = Stat::parse(&stat)?;
    if stat.is_dead {
        return None;
    }
    let fits = match matching.field {
        Field::Name => matching.fits(stat.name),
        Field::CommandLine => matching.fits(&command_line(process)?),
    };
    fits.then_some(Seen { process, start: stat.start })
}

fn command_line(process: i32) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    File::open(format!("/proc/{process}/cmdline")).ok()?.take(LONGEST_LINE).read_to_end(&mut line).ok()?;
    // Arguments end with a zero; who writes its own title may leave many.
    while line.last() == Some(&0) {
        line.pop();
    }
    line.iter_mut().filter(|octet| **octet == 0).for_each(|octet| *octet = b' ');
    Some(line)
}

/// What /proc/PID/stat says, see proc(5).
struct Stat<'a> {
    name: &'a [u8],
    is_dead: bool,
    start: u64,
}

impl<'a> Stat<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        // The name is in brackets and may contain anything, brackets too.
        let open = text.iter().position(|octet| *octet == b'(')?;
        let close = text.iter().rposition(|octet| *octet == b')')?;
        let name = text.get(open + 1..close)?;
        let rest = std::str::from_utf8(text.get(close + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let threads: u64 = fields.nth(16)?.parse().ok()?;
        let start = fields.nth(1)?.parse().ok()?;
        // A first thread that ended while others go on is a zombie with company.
        let is_dead = matches!(state, "X" | "x") || (state == "Z" && threads <= 1);
        Some(Self { name, is_dead, start })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Extent;
    use super::*;

    #[test]
    fn a_status_line_is_read_whatever_the_name_contains() {
        let rest = "S 1 2 2 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 987 2 3";
        for name in ["nginx", "a) S (b", "", ") Z 1", "\u{e9}\n"] {
            let line = format!("812 ({name}) {rest}");
            let stat = Stat::parse(line.as_bytes()).unwrap();
            assert_eq!((stat.name, stat.is_dead, stat.start), (name.as_bytes(), false, 987));
        }
        for (state, threads, dead) in [("Z", 1, true), ("Z", 2, false), ("X", 1, true), ("T", 1, false)] {
            let line = format!("1 (x) {state} 1 2 2 0 -1 0 1 0 0 0 0 0 0 0 20 0 {threads} 0 5");
            assert_eq!(Stat::parse(line.as_bytes()).unwrap().is_dead, dead, "{state} {threads}");
        }
        assert!(Stat::parse(b"").is_none() && Stat::parse(b"1 (x) S").is_none());
    }

    #[test]
    fn the_process_that_counts_does_not_count_itself() {
        let own = fs::read("/proc/self/stat").unwrap();
        let name = String::from_utf8(Stat::parse(&own).unwrap().name.to_vec()).unwrap();
        let matching = Matching { field: Field::Name, text: name, extent: Extent::Whole };
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(look(own, &matching), None);
        assert!(scan(&matching).unwrap().iter().all(|seen| seen.process != own));
    }
}
