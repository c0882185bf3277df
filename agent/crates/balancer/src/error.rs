//! What can go wrong on the way to a balancer, with the blame told apart and a remedy.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::MAX_SERVERS;

/// Whose doing an [`Error`] is, and so who can do something about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Blame {
    /// The operator's configuration, ours or the balancer's.
    Configuration,
    /// The balancer does not run, or does not do what it was told.
    Balancer,
    /// This process may not do it.
    Permission,
    /// The file system is full, read-only or broken.
    Disk,
    /// A mistake of this program.
    Ours,
}

impl Blame {
    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Balancer => "balancer",
            Self::Permission => "permission",
            Self::Disk => "disk",
            Self::Ours => "ours",
        }
    }
}

/// Something that kept a balancer from running what is wanted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The balancer does not accept its configuration. The old one is back in place and goes on.
    #[error("{} refuses {}: {output}", .program.display(), what_is_refused(.pools))]
    Refused {
        /// The program that was asked.
        program: PathBuf,
        /// The pools whose new servers it refuses; none when it refuses its configuration without them too.
        pools: Vec<Arc<str>>,
        /// Its own words, at most 2 KiB.
        output: String,
    },
    /// The balancer does not run. What is wanted is stored, its next start takes it over.
    #[error("nginx is not running: {reason}")]
    NotRunning {
        /// How that was seen.
        reason: String,
    },
    /// The balancer accepted its configuration and was told to reload, but went on as before.
    #[error("nginx (process {process}) was told to reload, but no new worker took over within {after:?}")]
    NotReloaded {
        /// The master process.
        process: u32,
        /// How long we waited.
        after: Duration,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", .path.display())]
    File {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The kernel's errno.
        source: io::Error,
    },
    /// A file or folder that is not safe to use.
    #[error("will not use {}: {reason}", .path.display())]
    Unsafe {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A program could not be started.
    #[error("cannot run {}: {source}", .program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The kernel's errno.
        source: io::Error,
    },
    /// A program failed that should not.
    #[error("{command} failed ({status}): {output}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: String,
        /// What it said, at most 2 KiB.
        output: String,
    },
    /// A program did not end; it was killed.
    #[error("{command} did not end within {after:?}")]
    Timeout {
        /// The program and its arguments.
        command: String,
        /// How long it had.
        after: Duration,
    },
    /// The balancer's process could not be looked at or signalled.
    #[error("cannot {action} process {process}: {source}")]
    Process {
        /// What was attempted.
        action: &'static str,
        /// The process id.
        process: u32,
        /// The kernel's errno.
        source: io::Error,
    },
    /// More servers than a pool may have.
    #[error("pool {pool:?} has {count} servers, more than the {MAX_SERVERS} that are possible")]
    TooManyServers {
        /// The pool.
        pool: Arc<str>,
        /// How many it should get.
        count: usize,
    },
    /// An option that cannot be used.
    #[error("{0}")]
    Option(String),
    /// A mistake of this program.
    #[error("internal error: {0}")]
    Internal(String),
}

/// `nginx -T` needs to open what nginx opens. In nginx's words the operator's configuration is wrong; it is not.
const DENIED: &str = "Permission denied";

fn what_is_refused(pools: &[Arc<str>]) -> String {
    match pools {
        [] => "its configuration, also with the servers of before".to_owned(),
        [pool] => format!("the new servers of pool {pool}"),
        pools => format!("the new servers of pools {}", pools.join(", ")),
    }
}

impl Error {
    /// Whose doing it is.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Refused { output, .. } if output.contains(DENIED) => Blame::Permission,
            Self::Refused { .. } | Self::Unsafe { .. } | Self::TooManyServers { .. } | Self::Option(_) => {
                Blame::Configuration
            }
            Self::NotRunning { .. } | Self::NotReloaded { .. } | Self::Timeout { .. } => Blame::Balancer,
            Self::Command { .. } => Blame::Configuration,
            Self::File { source, .. } => blame_of(source, Blame::Disk),
            Self::Program { source, .. } => blame_of(source, Blame::Configuration),
            Self::Process { source, .. } => blame_of(source, Blame::Balancer),
            Self::Internal(_) => Blame::Ours,
        }
    }

    /// What to do about it, as one sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::Refused { pools, output, .. } => remedy_of_refusal(pools, output).to_owned(),
            Self::NotRunning { .. } => {
                "start nginx: it takes the servers over as it starts; if it runs, correct `pid_file`"
                    .to_owned()
            }
            Self::NotReloaded { .. } => {
                "look at nginx's error log: it says why it kept its old configuration".to_owned()
            }
            Self::File { path, source, .. } => remedy_of_file(path, source),
            Self::Unsafe { .. } => {
                "put a regular file in its place, in a folder that only the agent and root can write"
                    .to_owned()
            }
            Self::Program { .. } => "correct the path of the program, or install it".to_owned(),
            Self::Command { command, .. } => format!("run it by hand as the agent's user: {command}"),
            Self::Timeout { .. } => {
                "run it by hand; nginx waits here for host names in its configuration that do not resolve"
                    .to_owned()
            }
            Self::Process { .. } => {
                "give the agent CAP_KILL and `ProtectProc=default` in its unit, or run it as root".to_owned()
            }
            Self::TooManyServers { .. } => "divide the pool".to_owned(),
            Self::Option(_) => "correct the configuration".to_owned(),
            Self::Internal(_) => "report this as a bug".to_owned(),
        }
    }
}

fn blame_of(source: &io::Error, otherwise: Blame) -> Blame {
    match source.kind() {
        ErrorKind::PermissionDenied => Blame::Permission,
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem => Blame::Disk,
        ErrorKind::NotFound | ErrorKind::NotADirectory => Blame::Configuration,
        _ => otherwise,
    }
}

fn remedy_of_refusal(pools: &[Arc<str>], output: &str) -> &'static str {
    const METHOD: &str = "balancing method does not support parameter \"backup\"";
    if output.contains(DENIED) {
        return "let the agent's user test nginx's configuration: CAP_DAC_OVERRIDE and CAP_NET_BIND_SERVICE in its unit, or run it as root";
    }
    if pools.is_empty() {
        "mend nginx's own configuration where its message says; until then nginx cannot reload, nor start again"
    } else if output.contains(METHOD) {
        "set `sorry = \"alone\"` in `[pool.nginx]`, or take another balancing method than hash, ip_hash or random"
    } else {
        "see where nginx's message says; the file belongs inside `upstream { }`, with `form = \"upstream\"` inside `http { }`"
    }
}

fn remedy_of_file(path: &std::path::Path, source: &io::Error) -> String {
    let folder = path.parent().unwrap_or(path).display();
    match source.kind() {
        ErrorKind::NotFound => {
            format!("make the folder: install -d -m 755 -o ha-agent {}", path.display())
        }
        ErrorKind::PermissionDenied => {
            format!("let the agent's user write {folder}: chown ha-agent {folder}")
        }
        ErrorKind::ReadOnlyFilesystem => {
            format!("add `ReadWritePaths={folder}` to the agent's unit, or mount it writable")
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            format!("make room on the file system of {folder}")
        }
        _ => format!("look at the file system of {folder}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(errno: rustix::io::Errno) -> Error {
        Error::File { action: "write", path: "/etc/nginx/ha-agent/web.servers".into(), source: errno.into() }
    }

    #[test]
    fn every_errno_has_its_blame_and_its_remedy() {
        use rustix::io::Errno;
        let table = [
            (Errno::ACCESS, Blame::Permission, "chown ha-agent /etc/nginx/ha-agent"),
            (Errno::ROFS, Blame::Disk, "ReadWritePaths=/etc/nginx/ha-agent"),
            (Errno::NOSPC, Blame::Disk, "make room"),
            (Errno::DQUOT, Blame::Disk, "make room"),
            (Errno::NOENT, Blame::Configuration, "install -d"),
            (Errno::IO, Blame::Disk, "look at the file system"),
        ];
        for (errno, blame, remedy) in table {
            let error = file(errno);
            assert_eq!(error.blame(), blame, "{error}");
            assert!(error.remedy().contains(remedy), "{error}: {}", error.remedy());
        }
    }

    #[test]
    fn a_refusal_says_whether_it_is_about_our_servers() {
        let refused = |pools: &[&str], output: &str| Error::Refused {
            program: "/usr/sbin/nginx".into(),
            pools: pools.iter().map(|pool| Arc::from(*pool)).collect(),
            output: output.to_owned(),
        };
        let theirs = refused(&[], "unknown directive \"x\" in /etc/nginx/nginx.conf:1");
        let text =
            "/usr/sbin/nginx refuses its configuration, also with the servers of before: unknown directive";
        assert!(theirs.to_string().starts_with(text), "{theirs}");
        let ours =
            refused(&["web"], "balancing method does not support parameter \"backup\" in web.servers:3");
        assert!(ours.to_string().contains("the new servers of pool web"), "{ours}");
        assert!(ours.remedy().contains("ip_hash"), "{}", ours.remedy());
        let denied = refused(&[], "open() \"/run/nginx.pid\" failed (13: Permission denied)");
        assert_eq!((theirs.blame(), denied.blame()), (Blame::Configuration, Blame::Permission));
        assert!(denied.remedy().contains("CAP_DAC_OVERRIDE"), "{}", denied.remedy());
    }
}
