//! What a keepalived.conf needs of the machine that it is for, and how the files that it includes are found.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The most alternatives that the braces of one pattern stand for.
const MOST_ALTERNATIVES: usize = 256;
/// The most files that one pattern finds, and the most folders in which it looks for them.
const MOST_FOUND: usize = 4096;

/// The machine as a keepalived.conf sees it. A TOML file asks nothing of it.
pub trait Machine {
    /// The text of an included file.
    ///
    /// # Errors
    /// Why it cannot be read, or is larger than [`crate::LARGEST_TEXT`].
    fn read(&mut self, path: &Path) -> io::Result<String>;

    /// The names in a folder, in any order.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn list(&mut self, folder: &Path) -> io::Result<Vec<String>>;

    /// Whether there is a user of that name; `None` when nobody can tell. Without `script_user` scripts run as `keepalived_script` if there
    /// is one.
    fn has_user(&mut self, name: &str) -> Option<bool>;

    /// Whether a program may be executed, given by its path or by a name; [`program_files`] are where it may be. `None` when nobody can
    /// tell, as for a text from afar.
    fn has_program(&mut self, _program: &str) -> Option<bool> {
        None
    }
}

/// The files that a program may be: the one that is named, or, without a path, those along the PATH that commands get.
pub fn program_files(program: &str) -> Vec<PathBuf> {
    const FOLDERS: [&str; 6] =
        ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    if program.contains('/') {
        return vec![PathBuf::from(program)];
    }
    FOLDERS.iter().map(|folder| Path::new(folder).join(program)).collect()
}

/// A machine that is not there: nothing is included, and nobody knows its users. For texts that come from elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMachine;

impl Machine for NoMachine {
    fn read(&mut self, _: &Path) -> io::Result<String> {
        Err(io::Error::other("the text comes from elsewhere; run `ha-agent check FILE` on the node"))
    }

    fn list(&mut self, folder: &Path) -> io::Result<Vec<String>> {
        self.read(folder).map(|_| Vec::new())
    }

    fn has_user(&mut self, _: &str) -> Option<bool> {
        None
    }
}

/// The files that a pattern such as `/etc/keepalived/conf.d/*.conf` or `/x/{a,b}.conf` finds, each alternative in order of names.
///
/// # Errors
/// Why a folder cannot be read, or that the pattern stands for too much.
pub(super) fn find(pattern: &Path, machine: &mut dyn Machine) -> io::Result<Vec<PathBuf>> {
    let mut search = Search { machine, found: Vec::new(), listed: 0 };
    for pattern in alternatives(&pattern.to_string_lossy())? {
        let before = search.found.len();
        search.walk(PathBuf::new(), &Path::new(&pattern).components().collect::<Vec<_>>())?;
        search.found[before..].sort();
    }
    Ok(search.found)
}

/// `{a,b}` written out, from left to right.
fn alternatives(pattern: &str) -> io::Result<Vec<String>> {
    let (mut ready, mut open) = (Vec::new(), vec![pattern.to_owned()]);
    while let Some(pattern) = open.pop() {
        if ready.len() + open.len() > MOST_ALTERNATIVES {
            return Err(io::Error::other("its braces stand for too many names"));
        }
        match braces(&pattern) {
            Some((before, parts, after)) => {
                open.extend(parts.iter().rev().map(|part| format!("{before}{part}{after}")));
            }
            None => ready.push(pattern),
        }
    }
    Ok(ready)
}

/// What stands before the first braces, the parts within, and what stands behind.
fn braces(pattern: &str) -> Option<(&str, Vec<&str>, &str)> {
    let open = pattern.find('{')?;
    let (mut depth, mut from, mut parts) = (0_usize, open + 1, Vec::new());
    for (at, character) in pattern[open..].char_indices().map(|(at, character)| (open + at, character)) {
        match character {
            '{' => depth += 1,
            ',' if depth == 1 => {
                parts.push(&pattern[from..at]);
                from = at + 1;
            }
            '}' if depth == 1 => {
                parts.push(&pattern[from..at]);
                return Some((&pattern[..open], parts, &pattern[at + 1..]));
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

struct Search<'m> {
    machine: &'m mut dyn Machine,
    found: Vec<PathBuf>,
    listed: usize,
}

impl Search<'_> {
    fn walk(&mut self, at: PathBuf, rest: &[Component<'_>]) -> io::Result<()> {
        let Some((first, rest)) = rest.split_first() else {
            self.found.push(at);
            return Ok(());
        };
        let name = first.as_os_str().to_string_lossy();
        if !name.contains(['*', '?', '[']) {
            return self.walk(at.join(first), rest);
        }
        let mut names = self.list(&at)?;
        names.sort();
        names.retain(|candidate| !candidate.starts_with('.') || name.starts_with('.'));
        for candidate in names.iter().filter(|candidate| matches(name.as_bytes(), candidate.as_bytes())) {
            if self.found.len() >= MOST_FOUND {
                return Err(io::Error::other("it finds too many files"));
            }
            self.walk(at.join(candidate), rest)?;
        }
        Ok(())
    }

    /// Nothing is in a folder that is not there, or is none.
    fn list(&mut self, at: &Path) -> io::Result<Vec<String>> {
        self.listed += 1;
        if self.listed > MOST_FOUND {
            return Err(io::Error::other("it looks into too many folders"));
        }
        let folder = if at.as_os_str().is_empty() { Path::new(".") } else { at };
        match self.machine.list(folder) {
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            listed => listed,
        }
    }
}

/// Whether a path names nothing, or goes on behind what is no folder.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Whether a name is like a pattern of `*`, `?` and `[a-z]`. Linear in both, however many stars there are.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and what it has taken so far.
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
            continue;
        }
        match pattern.get(at..).and_then(|rest| one(rest, name[read])) {
            Some(length) => {
                at += length;
                read += 1;
            }
            None => {
                let Some((place, taken)) = star else { return false };
                star = Some((place, taken + 1));
                (at, read) = (place + 1, taken + 1);
            }
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|octet| *octet == b'*'))
}

/// How long the piece of the pattern is that stands for this octet; `None` when it does not.
fn one(pattern: &[u8], octet: u8) -> Option<usize> {
    match pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let end = 1 + pattern.get(2..)?.iter().position(|octet| *octet == b']')? + 1;
            let set = pattern.get(1..end)?;
            let (negated, set) = match set.first() {
                Some(b'!' | b'^') => (true, &set[1..]),
                _ => (false, set),
            };
            (in_set(set, octet) != negated).then_some(end + 1)
        }
        literal => (*literal == octet).then_some(1),
    }
}

fn in_set(set: &[u8], octet: u8) -> bool {
    let mut rest = set;
    while let Some((first, after)) = rest.split_first() {
        match after {
            [b'-', last, more @ ..] => {
                if (*first..=*last).contains(&octet) {
                    return true;
                }
                rest = more;
            }
            _ => {
                if *first == octet {
                    return true;
                }
                rest = after;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names_are_those_of_a_shell() {
        let table = [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("?.conf", "ab.conf", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("a*b*c", "a-b-b-c", true),
            ("*", "", true),
            ("[", "[", false),
        ];
        for (pattern, name, expected) in table {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(!matches("*a".repeat(200).as_bytes(), "b".repeat(4000).as_bytes()));
    }

    #[test]
    fn braces_stand_for_their_parts_in_order_and_not_for_too_many() {
        let of = |pattern| alternatives(pattern).map_err(|error| error.to_string());
        let expected = ["foo/b", "foo/catb", "foo/dogb", "barb"].map(str::to_owned).to_vec();
        assert_eq!(of("{foo/{,cat,dog},bar}b"), Ok(expected));
        assert_eq!(of("a}b{c"), Ok(vec!["a}b{c".to_owned()]));
        assert!(of(&"{a,b}".repeat(20)).is_err());
    }

    /// Each folder has two, and there is no end of them.
    struct Endless;

    impl Machine for Endless {
        fn read(&mut self, _: &Path) -> io::Result<String> {
            Ok(String::new())
        }

        fn list(&mut self, _: &Path) -> io::Result<Vec<String>> {
            Ok(vec!["a".to_owned(), "b".to_owned()])
        }

        fn has_user(&mut self, _: &str) -> Option<bool> {
            None
        }
    }

    #[test]
    fn a_pattern_looks_into_a_bounded_number_of_folders() {
        let none = format!("/{}nothing[x]", "*/".repeat(64));
        let error = find(Path::new(&none), &mut Endless).unwrap_err().to_string();
        assert_eq!(error, "it looks into too many folders");
    }
}
