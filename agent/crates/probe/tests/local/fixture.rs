//! Folders, programs and networks of a test's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ha_probe::{Attempt, Outcome, Probe, Watch};

/// A text that is unique on this machine as long as this process lives.
pub(crate) fn unique(prefix: &str) -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("{prefix}{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(unique("local-"));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A program with a name of its own, which sleeps.
pub(crate) struct Sleeper {
    _folder: Folder,
    path: PathBuf,
    pub(crate) name: String,
}

/// A process that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Sleeper {
    pub(crate) fn new() -> Self {
        let (folder, name) = (Folder::new(), unique("hat"));
        let path = folder.path(&name);
        fs::copy("/bin/sleep", &path).unwrap();
        Self { _folder: folder, path, name }
    }

    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub(crate) fn start(&self, seconds: &str) -> Running {
        let mut command = Command::new(&self.path);
        Running(command.arg(seconds).stdin(Stdio::null()).spawn().unwrap())
    }
}

impl Running {
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn attempt(probe: &Probe) -> Attempt {
    probe.attempt(tokio::time::Instant::now() + Duration::from_secs(5), true).await
}

/// The next result, which must come soon and be this one; how long it took and its evidence.
#[track_caller]
pub(crate) fn next(watch: &mut Watch, outcome: Outcome) -> impl Future<Output = (Duration, String)> {
    let place = std::panic::Location::caller();
    async move {
        let begun = Instant::now();
        let next = tokio::time::timeout(Duration::from_secs(5), watch.next()).await;
        let attempt = next.unwrap_or_else(|_| panic!("{place}: {outcome:?} did not come"));
        assert_eq!(attempt.outcome, outcome, "{place}: {}", attempt.evidence);
        (begun.elapsed(), attempt.evidence)
    }
}

/// Nothing comes for a while.
pub(crate) async fn silence(watch: &mut Watch) {
    let next = tokio::time::timeout(Duration::from_millis(300), watch.next()).await;
    assert!(next.is_err(), "{next:?}");
}

pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Moves this thread, and what it starts, into a network namespace of its own, which ends with it. Only with a runtime on
/// this thread.
pub(crate) fn enter_own_network() {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
}

/// Runs ip(8) here.
#[track_caller]
pub(crate) fn ip(words: &str) {
    let status = Command::new("ip").args(words.split_whitespace()).status().unwrap();
    assert!(status.success(), "ip {words}");
}
