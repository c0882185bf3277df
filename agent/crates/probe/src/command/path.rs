//! May this program be run? Every element of its path is opened without following and judged by what was opened, so that nothing
//! can be put in its place between the judgement and the use: whoever could change an element is root or the user that the
//! program runs as anyway. A link is followed by hand, and what it leads to is judged in the same way.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstat};

/// Where programs are looked for that an interpreter line names without a path, and `PATH` of every command.
pub(super) const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that may be run.
#[derive(Debug)]
pub(super) struct Program {
    /// Open without rights beyond those to execute it.
    pub(super) file: OwnedFd,
    /// What executes it, when it is a script.
    pub(super) interpreter: Option<Interpreter>,
}

/// What the first line of a script names.
#[derive(Debug)]
pub(super) struct Interpreter {
    /// Open, a binary.
    pub(super) file: OwnedFd,
    /// As written.
    pub(super) path: PathBuf,
    /// The one argument that the line may have.
    pub(super) argument: Option<OsString>,
}

/// Which element may not be used, and why.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Refusal {
    element: PathBuf,
    why: String,
    is_missing: bool,
}

impl Refusal {
    fn new(element: &Path, why: impl Into<String>) -> Self {
        Self { element: element.to_owned(), why: why.into(), is_missing: false }
    }

    fn kernel(element: &Path, error: Errno) -> Self {
        let why = error.desc().to_lowercase();
        Self { is_missing: error == Errno::ENOENT, ..Self::new(element, why) }
    }

    /// Whether the program is not there, rather than not trusted.
    pub(super) fn is_missing(&self) -> bool {
        self.is_missing
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.element.display(), self.why)
    }
}

/// Opens `path`, which runs as `user`.
pub(super) fn open(path: &Path, user: u32) -> Result<Program, Refusal> {
    let found = Walk::new(user)?.to(path)?;
    let interpreter = match first_line(&found)? {
        None => None,
        Some(line) => Some(interpreter(path, &line, user)?),
    };
    Ok(Program { file: found.file, interpreter })
}

/// The longest interpreter line, as the kernel's BINPRM_BUF_SIZE.
const LONGEST_LINE: u64 = 256;

/// The interpreter line of a script; `None` for a binary, and for what we may execute but not read.
fn first_line(found: &Found) -> Result<Option<Vec<u8>>, Refusal> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let readable = match openat(&found.folder, &*found.name, flags, Mode::empty()) {
        Ok(readable) => readable,
        // Whoever may not read a script cannot run it either: the interpreter has to read it.
        Err(Errno::EACCES) => return Ok(None),
        Err(error) => return Err(Refusal::kernel(&found.path, error)),
    };
    let again = fstat(&readable).map_err(|error| Refusal::kernel(&found.path, error))?;
    if (again.st_dev, again.st_ino) != (found.stat.st_dev, found.stat.st_ino) {
        return Err(Refusal::new(&found.path, "it was replaced while it was being opened; try again"));
    }
    let mut beginning = Vec::new();
    let read = File::from(readable).take(LONGEST_LINE).read_to_end(&mut beginning);
    read.map_err(|error| Refusal::new(&found.path, error.to_string()))?;
    let Some(line) = beginning.strip_prefix(b"#!") else { return Ok(None) };
    match line.iter().position(|octet| *octet == b'\n') {
        Some(end) => Ok(line.get(..end).map(<[u8]>::to_vec)),
        None => {
            Err(Refusal::new(&found.path, "its interpreter line is longer than 255 octets or has no end"))
        }
    }
}

fn interpreter(script: &Path, line: &[u8], user: u32) -> Result<Interpreter, Refusal> {
    let line = line.trim_ascii();
    let (path, argument) = match line.iter().position(u8::is_ascii_whitespace) {
        Some(at) => (line.get(..at), line.get(at..).map(<[u8]>::trim_ascii)),
        None => (Some(line), None),
    };
    let path = PathBuf::from(OsStr::from_bytes(path.unwrap_or_default()));
    let explain = |refusal: Refusal| Refusal {
        why: format!("{} (interpreter of {})", refusal.why, script.display()),
        ..refusal
    };
    if !path.is_absolute() {
        return Err(explain(Refusal::new(&path, "an interpreter is named by its absolute path")));
    }
    let found = Walk::new(user)?.to(&path).map_err(explain)?;
    if first_line(&found)?.is_some() {
        return Err(explain(Refusal::new(&path, "an interpreter that is a script itself is not run")));
    }
    if path.file_name() == Some(OsStr::new("env")) {
        searched(argument.unwrap_or_default(), user).map_err(explain)?;
    }
    let argument = argument.map(|argument| OsStr::from_bytes(argument).to_owned());
    Ok(Interpreter { file: found.file, path, argument })
}

/// Judges the program that `env` would find.
fn searched(argument: &[u8], user: u32) -> Result<(), Refusal> {
    let mut words = argument.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='));
    let name = OsStr::from_bytes(name.unwrap_or_default());
    if name.as_bytes().contains(&b'/') {
        return Walk::new(user)?.to(Path::new(name)).map(|_| ());
    }
    for folder in SEARCH_PATH.split(':') {
        match Walk::new(user)?.to(&Path::new(folder).join(name)) {
            Err(refusal) if refusal.is_missing => {}
            other => return other.map(|_| ()),
        }
    }
    Err(Refusal { is_missing: true, ..Refusal::new(Path::new(name), format!("not in {SEARCH_PATH}")) })
}

/// A regular file at the end of a path.
struct Found {
    folder: OwnedFd,
    name: OsString,
    file: OwnedFd,
    stat: FileStat,
    path: PathBuf,
}

/// The way from the root to a file.
struct Walk {
    user: u32,
    /// The folders that were gone through, the root first.
    folders: Vec<(OwnedFd, PathBuf)>,
    links: u32,
}

/// As many links as the kernel follows (MAXSYMLINKS).
const MOST_LINKS: u32 = 40;

impl Walk {
    fn new(user: u32) -> Result<Self, Refusal> {
        let path = Path::new("/");
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(AT_FDCWD, path, flags, Mode::empty());
        let root = root.map_err(|error| Refusal::kernel(path, error))?;
        let stat = fstat(&root).map_err(|error| Refusal::kernel(path, error))?;
        judge(path, &stat, user)?;
        Ok(Self { user, folders: vec![(root, path.to_owned())], links: 0 })
    }

    fn to(mut self, path: &Path) -> Result<Found, Refusal> {
        if !path.is_absolute() {
            return Err(Refusal::new(path, "a program is named by its absolute path"));
        }
        let mut ahead: VecDeque<OsString> = names(path).collect();
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                self.folders.truncate(self.folders.len().saturating_sub(1).max(1));
                continue;
            }
            let (folder, above) = self.folders.last().expect("the root is never left");
            let path = above.join(&name);
            let (file, stat) = open_element(folder, &name, &path)?;
            if matches!(kind(&stat), Kind::Other) {
                return Err(Refusal::new(&path, "it is not a regular file"));
            }
            judge(&path, &stat, self.user)?;
            match kind(&stat) {
                Kind::Folder => self.folders.push((file, path)),
                Kind::Link => self.follow(&file, &path, &mut ahead)?,
                Kind::File if ahead.is_empty() => {
                    let (folder, _) = self.folders.pop().expect("the root is never left");
                    judge_file(&path, &stat)?;
                    return Ok(Found { folder, name, file, stat, path });
                }
                Kind::File | Kind::Other => return Err(Refusal::kernel(&path, Errno::ENOTDIR)),
            }
        }
        Err(Refusal::new(path, "it is a folder"))
    }

    /// Puts what the link says before the names that are still ahead.
    fn follow(&mut self, link: &OwnedFd, path: &Path, ahead: &mut VecDeque<OsString>) -> Result<(), Refusal> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(Refusal::kernel(path, Errno::ELOOP));
        }
        let target = PathBuf::from(readlinkat(link, "").map_err(|error| Refusal::kernel(path, error))?);
        if target.is_absolute() {
            self.folders.truncate(1);
        }
        names(&target).collect::<Vec<_>>().into_iter().rev().for_each(|name| ahead.push_front(name));
        Ok(())
    }
}

fn open_element(folder: &OwnedFd, name: &OsStr, path: &Path) -> Result<(OwnedFd, FileStat), Refusal> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(folder, name, flags, Mode::empty()).map_err(|error| Refusal::kernel(path, error))?;
    let stat = fstat(&file).map_err(|error| Refusal::kernel(path, error))?;
    Ok((file, stat))
}

/// The names of a path without those that say nothing.
fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    })
}

enum Kind {
    Folder,
    File,
    Link,
    Other,
}

fn kind(stat: &FileStat) -> Kind {
    // inode(7): the type is in these bits of the mode.
    match stat.st_mode & 0o170_000 {
        0o040_000 => Kind::Folder,
        0o100_000 => Kind::File,
        0o120_000 => Kind::Link,
        _ => Kind::Other,
    }
}

/// Nobody but root and `user` may change what the element leads to. A sticky folder is no exception: while the file
/// is missing, anybody could put one of their own there.
fn judge(path: &Path, stat: &FileStat, user: u32) -> Result<(), Refusal> {
    if stat.st_uid != 0 && stat.st_uid != user {
        let why =
            format!("it belongs to user {}, neither root nor the command's user; chown root it", stat.st_uid);
        return Err(Refusal::new(path, why));
    }
    // The mode of a link says nothing: it is changed through its folder.
    let writers = match (kind(stat), stat.st_mode & 0o022) {
        (Kind::Link, _) | (_, 0) => return Ok(()),
        (_, 0o020) => "its group",
        (_, 0o002) => "others",
        _ => "its group and others",
    };
    let why = format!(
        "{writers} may write it (mode {:04o}); chmod go-w it, or move the program elsewhere",
        stat.st_mode & 0o7777
    );
    Err(Refusal::new(path, why))
}

fn judge_file(path: &Path, stat: &FileStat) -> Result<(), Refusal> {
    match stat.st_mode & 0o6111 {
        0 => Err(Refusal::new(path, "it is not executable; chmod +x it")),
        mode if mode & 0o6000 != 0 => {
            Err(Refusal::new(path, "it is setuid or setgid; name another user for the command instead"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
