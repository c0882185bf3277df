//! Scripts in a folder that is trusted, and a look at who runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ha_probe::command::{Command, Commands, Ended};

/// A folder for scripts where only root may write: what is below /tmp or a user's home, as a checkout may be, is refused.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = Path::new("/var/lib").join(format!("hat-{}-command-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A shell script with these lines.
    pub(crate) fn script(&self, name: &str, lines: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The example is the launcher: a test's binary cannot be one.
pub(crate) fn launcher() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let launcher = deps.with_file_name("examples").join("run_command");
    assert!(launcher.exists(), "cargo builds examples with tests, and {} is missing", launcher.display());
    launcher
}

/// A copy of it that every user can reach, wherever the project lies.
pub(crate) struct PublicLauncher(PathBuf);

impl PublicLauncher {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hat-{}-{name}", std::process::id()));
        fs::copy(launcher(), &path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for PublicLauncher {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn commands() -> Commands {
    Commands::launched_by(launcher(), 8)
}

/// A command that may run as whoever runs the tests.
pub(crate) fn command<const N: usize>(argv: [&str; N], timeout: Duration) -> Command {
    Command { allow_root: true, ..Command::new(argv, timeout) }
}

pub(crate) async fn run<const N: usize>(argv: [&str; N]) -> Ended {
    commands().run(&command(argv, Duration::from_secs(20))).await
}

/// What a command printed, which must have succeeded.
#[track_caller]
pub(crate) fn output(ended: &Ended) -> String {
    assert!(ended.is_success(), "{ended}");
    String::from_utf8(ended.output.beginning.clone()).unwrap()
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// A text that no other process has in its command line.
pub(crate) fn marker() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    // As an argument of sleep: half an hour and a fraction that is unique.
    format!("1800.{}0{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// The processes with `marker` in their command line, zombies not included.
pub(crate) fn running(marker: &str) -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let has_marker = |process: &i32| {
        let line = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        line.windows(marker.len()).any(|part| part == marker.as_bytes())
    };
    processes.filter(has_marker).collect()
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
    begun.elapsed()
}
