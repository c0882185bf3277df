//! A network namespace: made, entered, configured by `ip` and `nft`, and removed with all that runs in it.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    thread,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Where `ip netns` keeps the names.
pub(crate) const FOLDER: &str = "/run/netns";

/// A network namespace of our own. Dropping it kills what runs inside and removes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    /// Makes the namespace `name` with its loopback up.
    #[track_caller]
    pub fn create(name: &str) -> Self {
        crate::programs::require(&[crate::Program::Ip]);
        add(name);
        let path = format!("{FOLDER}/{name}");
        let file = File::open(&path).unwrap_or_else(|error| panic!("cannot open {path}: {error}"));
        let namespace = Self { name: name.to_owned(), file };
        namespace.ip("link set lo up");
        namespace
    }

    /// The name `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` on a thread inside the namespace. Sockets and processes made there stay inside.
    #[track_caller]
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let enter = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .unwrap_or_else(|error| panic!("cannot enter namespace {}: {error}", self.name));
            work()
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs `ip` with these words inside; panics with its complaint when it fails.
    #[track_caller]
    pub fn ip(&self, words: &str) -> String {
        self.try_ip(words).unwrap_or_else(|error| panic!("ip {words} in {}: {error}", self.name))
    }

    /// Runs `ip` with these words inside and returns what it printed.
    ///
    /// # Errors
    /// What `ip` printed on standard error.
    pub fn try_ip(&self, words: &str) -> Result<String, String> {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(words.split_whitespace());
        output_of(command, None)
    }

    /// Runs many `ip` commands, one a line, in one process.
    #[track_caller]
    pub fn ip_batch(&self, lines: &str) {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name, "-batch", "-"]);
        output_of(command, Some(lines))
            .unwrap_or_else(|error| panic!("ip -batch in {}: {error}\n{lines}", self.name));
    }

    /// Feeds `script` to `nft -f -` inside, as one transaction.
    #[track_caller]
    pub fn nft(&self, script: &str) {
        crate::programs::require(&[crate::Program::Nft]);
        self.run(|| {
            let mut command = Command::new("nft");
            command.args(["-f", "-"]);
            output_of(command, Some(script))
                .unwrap_or_else(|error| panic!("nft in {}: {error}\n{script}", self.name))
        });
    }

    /// Runs a program inside to its end and returns its standard output.
    ///
    /// # Errors
    /// What it printed on standard error, when it could not start or its status was not 0.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        self.run(|| {
            let mut command = Command::new(program);
            command.args(arguments);
            output_of(command, None)
        })
    }

    /// Sets a network sysctl, e.g. `sysctl("ipv4/conf/all/arp_ignore", "1")`.
    #[track_caller]
    pub fn sysctl(&self, key: &str, value: &str) {
        let path = format!("/proc/sys/net/{key}");
        let result = self.run(|| fs::write(&path, value));
        result.unwrap_or_else(|error| panic!("cannot set {path} to {value} in {}: {error}", self.name));
    }

    /// The processes inside, ours excepted.
    pub fn processes(&self) -> Vec<Pid> {
        processes_in(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove_by_name(&self.name);
    }
}

/// Kills what runs in a namespace and removes its name. Best effort: used on drop and on leftovers.
pub(crate) fn remove_by_name(name: &str) {
    for pid in processes_in(name) {
        let _ = kill(pid, Signal::SIGKILL);
    }
    let mut command = Command::new("ip");
    command.args(["netns", "del", name]);
    let _ = output_of(command, None);
}

fn processes_in(name: &str) -> Vec<Pid> {
    let Ok(wanted) = fs::metadata(format!("{FOLDER}/{name}")) else { return Vec::new() };
    let is_inside = |pid: &i32| {
        fs::metadata(format!("/proc/{pid}/ns/net"))
            .is_ok_and(|found| (found.dev(), found.ino()) == (wanted.dev(), wanted.ino()))
    };
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let us = std::process::id().cast_signed();
    numbers.filter(|pid| *pid != us).filter(is_inside).map(Pid::from_raw).collect()
}

/// `ip netns add` makes its folder a mount of its own at first use, and two at once get in each other's way.
#[track_caller]
fn add(name: &str) {
    let lock = std::env::temp_dir().join("hat-netns.lock");
    let lock = File::create(&lock).unwrap_or_else(|error| panic!("cannot open {}: {error}", lock.display()));
    lock.lock().unwrap_or_else(|error| panic!("cannot lock for ip netns add: {error}"));
    let mut command = Command::new("ip");
    command.args(["netns", "add", name]);
    output_of(command, None)
        .unwrap_or_else(|error| panic!("cannot make namespace {name} (these tests run as root): {error}"));
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn output_of(mut command: Command, input: Option<&str>) -> Result<String, String> {
    let stdin = if input.is_some() { Stdio::piped() } else { Stdio::null() };
    let mut child = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {:?}: {error}", command.get_program()))?;
    if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
        pipe.write_all(text.as_bytes()).map_err(|error| error.to_string())?;
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }
}
