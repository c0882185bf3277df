//! Programs run within a time and with bounded output: `nginx -T`, and what the operator names instead.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use crate::Error;

/// What is kept of each output; the rest is read and forgotten.
const KEPT: usize = 8 * 1024;
/// What is told of it.
const TOLD: usize = 2 * 1024;
/// How many configuration files are remembered.
const MOST_FILES: usize = 16_384;
/// `nginx -T` announces each file so.
const ANNOUNCEMENT: &[u8] = b"# configuration file ";

/// A program that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    /// What it complained of, made fit to be printed.
    pub(super) complaint: String,
    /// The configuration files that it announced.
    pub(super) files: Vec<PathBuf>,
}

/// Program and arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Words(Vec<std::ffi::OsString>);

impl Words {
    pub(super) fn new<Word: Into<std::ffi::OsString>>(words: impl IntoIterator<Item = Word>) -> Self {
        Self(words.into_iter().map(Into::into).collect())
    }

    pub(super) fn push(&mut self, word: impl Into<std::ffi::OsString>) {
        self.0.push(word.into());
    }

    pub(super) fn program(&self) -> PathBuf {
        self.0.first().map(PathBuf::from).unwrap_or_default()
    }
}

impl std::fmt::Display for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, word) in self.0.iter().enumerate() {
            write!(f, "{}{}", if number == 0 { "" } else { " " }, word.display())?;
        }
        Ok(())
    }
}

/// Runs a program to its end. When it does not end in time, it and what it started is killed.
///
/// It has the rights of the agent, so one that everybody may change is not run.
pub(super) async fn run(words: &Words, timeout: Duration) -> Result<Ended, Error> {
    check(&words.program())?;
    let mut child = start(words).map_err(|source| Error::Program { program: words.program(), source })?;
    match tokio::time::timeout(timeout, listen(&mut child)).await {
        Ok(Ok(ended)) => Ok(ended),
        Ok(Err(source)) => Err(Error::Program { program: words.program(), source }),
        Err(_) => {
            kill(&mut child).await;
            Err(Error::Timeout { command: words.to_string(), after: timeout })
        }
    }
}

fn check(program: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let failure = |source| Error::Program { program: program.to_owned(), source };
    let real = program.canonicalize().map_err(failure)?;
    for path in [Some(real.as_path()), real.parent()].into_iter().flatten() {
        if path.metadata().map_err(failure)?.permissions().mode() & 0o002 != 0 {
            let reason = "everybody may change it, and it would run with the rights of the agent";
            return Err(Error::Unsafe { path: path.to_owned(), reason });
        }
    }
    Ok(())
}

/// Nothing of our environment: `NGINX` would make it take file descriptors for its sockets.
fn start(words: &Words) -> std::io::Result<Child> {
    let mut command = Command::new(words.program());
    command.args(words.0.iter().skip(1)).env_clear();
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true).spawn()
}

async fn listen(child: &mut Child) -> std::io::Result<Ended> {
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut out_heard, mut err_heard) = (Heard::default(), Heard::default());
    let (out, err) = tokio::join!(hear(out, &mut out_heard), hear(err, &mut err_heard));
    out.and(err)?;
    let status = child.wait().await?;
    // nginx complains on standard error; another program may do so on the other.
    let said = if err_heard.head.is_empty() { &out_heard.head } else { &err_heard.head };
    Ok(Ended { status, complaint: complaint(&String::from_utf8_lossy(said)), files: out_heard.files })
}

async fn hear(pipe: Option<impl AsyncRead + Unpin>, heard: &mut Heard) -> std::io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let length = pipe.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        heard.hear(&buffer[..length]);
    }
}

/// It leads a process group of its own and is not yet waited for, so the number is still its own.
async fn kill(child: &mut Child) {
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    if let Some(group) = group {
        // It may have ended meanwhile.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait().await;
}

/// What is kept of an output that may be endless.
#[derive(Debug, Default)]
struct Heard {
    head: Vec<u8>,
    files: Vec<PathBuf>,
    line: Vec<u8>,
}

impl Heard {
    fn hear(&mut self, octets: &[u8]) {
        let room = KEPT - self.head.len();
        self.head.extend_from_slice(&octets[..octets.len().min(room)]);
        for part in octets.split_inclusive(|octet| *octet == b'\n') {
            let room = KEPT - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.note_file();
                self.line.clear();
            }
        }
    }

    fn note_file(&mut self) {
        use std::os::unix::ffi::OsStrExt as _;
        let line = self.line.strip_prefix(ANNOUNCEMENT).and_then(|line| line.strip_suffix(b":\n"));
        if let Some(path) = line.filter(|_| self.files.len() < MOST_FILES) {
            self.files.push(Path::new(std::ffi::OsStr::from_bytes(path)).to_owned());
        }
    }
}

/// The lines that say what is wrong, without time and process id; all lines when none is marked so.
fn complaint(text: &str) -> String {
    let marked = text.lines().filter_map(marked).collect::<Vec<_>>().join("\n");
    let said = if marked.is_empty() { text.trim() } else { &marked };
    let is_fit = |letter: &char| !letter.is_control() || *letter == '\n';
    let mut told: String = said.chars().filter(is_fit).collect();
    let mut end = TOLD.min(told.len());
    while !told.is_char_boundary(end) {
        end -= 1;
    }
    told.truncate(end);
    if told.is_empty() { "it said nothing".to_owned() } else { told }
}

fn marked(line: &str) -> Option<&str> {
    let message =
        ["[emerg] ", "[alert] ", "[crit] "].iter().find_map(|mark| Some(line.split_once(mark)?.1))?;
    let is_number =
        |text: &str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit() || octet == b'#');
    Some(
        message
            .split_once(": ")
            .filter(|(before, _)| is_number(before))
            .map_or(message, |(_, message)| message),
    )
}

/// The file that a complaint of nginx is about, from its ` in FILE:LINE`.
pub(super) fn places(complaint: &str) -> Vec<PathBuf> {
    let place = |line: &'_ str| -> Option<(usize, usize)> {
        let start = line.rfind(" in ")? + 4;
        let end = line.rfind(':').filter(|end| *end > start)?;
        line[end + 1..].parse::<u32>().ok().map(|_| (start, end))
    };
    complaint
        .lines()
        .filter_map(|line| place(line).map(|(start, end)| PathBuf::from(&line[start..end])))
        .collect()
}

#[cfg(test)]
mod tests;
