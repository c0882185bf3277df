//! The kernel's notices about one file: the file itself is watched, and the folder that would get another one in its place.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::statfs::{
    AUTOFS_SUPER_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, CODA_SUPER_MAGIC, DEBUGFS_MAGIC,
    FUSE_SUPER_MAGIC, FsType, NFS_SUPER_MAGIC, PROC_SUPER_MAGIC, SMB_SUPER_MAGIC, SYSFS_MAGIC, statfs,
};
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until};

use crate::follower::Changes;
use crate::readiness::readable;

/// What tells of changes of one file.
pub(crate) struct Notices {
    path: PathBuf,
    source: Source,
    evidence: String,
    /// A notice was read, and more may follow at once.
    noticed: Option<Noticed>,
}

enum Source {
    /// Not asked yet: that needs a runtime.
    Unopened,
    Kernel {
        inotify: Inotify,
        ready: AsyncFd<OwnedFd>,
        watched: Vec<WatchDescriptor>,
    },
    /// Nobody tells.
    None,
}

#[derive(Clone, Copy)]
struct Noticed {
    quiet_at: Instant,
    latest: Instant,
}

/// A writer empties a file, fills it and closes it: one change, when nothing follows for so long.
const QUIET: Duration = Duration::from_millis(2);
/// For a writer that never stops.
const LATEST: Duration = Duration::from_millis(50);

impl std::fmt::Debug for Notices {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Notices({})", self.path.display())
    }
}

impl Notices {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), source: Source::Unopened, evidence: String::new(), noticed: None }
    }

    fn open(&mut self) {
        let source = match file_system_without_notices(&self.path) {
            Some(name) => Err(format!("{name} has no notices")),
            None => subscribe(&self.path).map_err(explain),
        };
        match source {
            Ok(source) => self.source = source,
            Err(why) => {
                self.source = Source::None;
                self.evidence = format!("; read at the interval only: {why}");
            }
        }
    }

    /// Watches again what there is now: another file may have the name, or the folder be another.
    fn renew(&mut self) {
        if let Source::Kernel { inotify, watched, .. } = &mut self.source {
            let now = watch(inotify, &self.path);
            let old = std::mem::replace(watched, now);
            for stale in old.into_iter().filter(|stale| !watched.contains(stale)) {
                // The kernel drops the watch of a file that is gone by itself.
                let _ = inotify.rm_watch(stale);
            }
        }
    }
}

impl Changes for Notices {
    async fn next(&mut self) {
        if matches!(self.source, Source::Unopened) {
            self.open();
            // What happened before it was watched is seen by looking.
            return;
        }
        loop {
            if self.noticed.is_some_and(|noticed| noticed.quiet_at <= Instant::now()) {
                self.noticed = None;
                self.renew();
                return;
            }
            let Source::Kernel { inotify, ready, .. } = &self.source else {
                return std::future::pending().await;
            };
            tokio::select! {
                guard = ready.readable() => match guard {
                    Ok(mut guard) => {
                        guard.clear_ready();
                        let now = Instant::now();
                        if drain(inotify) {
                            let latest = self.noticed.map_or(now + LATEST, |noticed| noticed.latest);
                            self.noticed = Some(Noticed { quiet_at: (now + QUIET).min(latest), latest });
                        }
                    }
                    // Not before the runtime ends.
                    Err(_) => sleep(LATEST).await,
                },
                () = sleep_until(self.noticed.map_or_else(Instant::now, |noticed| noticed.quiet_at)),
                    if self.noticed.is_some() => {}
            }
        }
    }

    fn evidence(&self) -> &str {
        &self.evidence
    }
}

/// Whether there was anything to read. What it was does not matter: the file is looked at.
fn drain(inotify: &Inotify) -> bool {
    let mut was_any = false;
    while inotify.read_events().is_ok_and(|events| !events.is_empty()) {
        was_any = true;
    }
    was_any
}

fn subscribe(path: &Path) -> Result<Source, Errno> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let watched = watch(&inotify, path);
    if watched.is_empty() {
        return Err(Errno::last());
    }
    let copy = inotify.as_fd().try_clone_to_owned().map_err(|_| Errno::EMFILE)?;
    let ready = readable(copy).map_err(|_| Errno::EMFILE)?;
    Ok(Source::Kernel { inotify, ready, watched })
}

/// Watches the file, and the folder where it is or will be; of a folder that is missing, the nearest that is there.
fn watch(inotify: &Inotify, path: &Path) -> Vec<WatchDescriptor> {
    let file = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_DELETE_SELF;
    let folder = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    let above = path.ancestors().skip(1).find_map(|above| inotify.add_watch(above, folder).ok());
    inotify.add_watch(path, file).ok().into_iter().chain(above).collect()
}

/// The name of the file system, when it tells nobody of changes, or only of our own.
fn file_system_without_notices(path: &Path) -> Option<&'static str> {
    const WITHOUT: [(FsType, &str); 10] = [
        (PROC_SUPER_MAGIC, "/proc"),
        (SYSFS_MAGIC, "sysfs"),
        (DEBUGFS_MAGIC, "debugfs"),
        (CGROUP_SUPER_MAGIC, "cgroup"),
        (CGROUP2_SUPER_MAGIC, "cgroup2"),
        (NFS_SUPER_MAGIC, "NFS"),
        (SMB_SUPER_MAGIC, "SMB"),
        (FUSE_SUPER_MAGIC, "FUSE"),
        (CODA_SUPER_MAGIC, "Coda"),
        (AUTOFS_SUPER_MAGIC, "autofs"),
    ];
    let kind = path.ancestors().find_map(|path| statfs(path).ok())?.filesystem_type();
    WITHOUT.into_iter().find(|(magic, _)| *magic == kind).map(|(_, name)| name)
}

fn explain(error: Errno) -> String {
    match error {
        Errno::ENOSPC => "no watches left; raise fs.inotify.max_user_watches".to_owned(),
        Errno::EMFILE => "no inotify instances left; raise fs.inotify.max_user_instances".to_owned(),
        _ => error.desc().to_lowercase(),
    }
}
