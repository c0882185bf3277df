//! Whom a command runs as, and what the launcher gives up before it.

use std::ffi::CString;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{User, geteuid, getgrouplist};
use rustix::process::{Gid, Uid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use super::Command;

/// A user, as the kernel knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    pub(super) user: u32,
    /// `None` = the one that the agent has; nothing is switched.
    groups: Option<(u32, Vec<u32>)>,
}

impl Identity {
    /// Whom `command` runs as.
    ///
    /// # Errors
    /// A sentence, when there is no such user or it is root and may not be.
    pub(super) fn of(command: &Command) -> Result<Self, String> {
        let own = geteuid().as_raw();
        let identity = match &command.user {
            None => Self { user: own, groups: None },
            Some(name) => look_up(name)?,
        };
        if identity.user == 0 && !command.allow_root {
            let whose = if command.user.is_some() { "as configured" } else { "as the agent does" };
            return Err(format!(
                "it would run as root, {whose}; name another user for it, or allow commands of root in the configuration"
            ));
        }
        if identity.user == own { Ok(Self { groups: None, ..identity }) } else { Ok(identity) }
    }

    /// Makes the calling thread, and what it starts, this user without capabilities; root keeps its own.
    ///
    /// # Errors
    /// A sentence, when the kernel refuses.
    pub(super) fn assume(&self) -> Result<(), String> {
        if let Some((group, groups)) = &self.groups {
            self.switch(*group, groups).map_err(|error| {
                format!(
                    "cannot become user {}: {error}; the agent needs to be root or to have CAP_SETUID and CAP_SETGID",
                    self.user
                )
            })?;
        }
        if self.user != 0 {
            drop_capabilities().map_err(|error| format!("cannot give up capabilities: {error}"))?;
        }
        Ok(())
    }

    fn switch(&self, group: u32, groups: &[u32]) -> rustix::io::Result<()> {
        let all: Vec<Gid> = groups.iter().map(|group| Gid::from_raw(*group)).collect();
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(group));
        set_thread_groups(&all)?;
        set_thread_res_gid(group, group, group)?;
        set_thread_res_uid(user, user, user)
    }
}

fn look_up(name: &str) -> Result<Identity, String> {
    let number = name.parse::<u32>().ok();
    let found = match number {
        Some(number) => User::from_uid(number.into()),
        None => User::from_name(name),
    };
    match (found, number) {
        (Ok(Some(user)), _) => {
            let groups = CString::new(user.name).map_err(|_| Errno::EINVAL);
            let groups = groups.and_then(|name| getgrouplist(&name, user.gid)).unwrap_or_default();
            let groups = groups.into_iter().map(|group| group.as_raw()).collect();
            Ok(Identity { user: user.uid.as_raw(), groups: Some((user.gid.as_raw(), groups)) })
        }
        // A number needs no name.
        (_, Some(number)) => Ok(Identity { user: number, groups: Some((number, Vec::new())) }),
        (Ok(None), None) => Err(format!("there is no user {name} on this node")),
        (Err(error), None) => Err(format!("cannot look up user {name}: {error}")),
    }
}

fn drop_capabilities() -> rustix::io::Result<()> {
    let nothing = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: nothing, permitted: nothing, inheritable: nothing })
}

/// What every command has less of, or other than the agent: privileges to gain, a wide umask, the agent's place before the
/// OOM killer, resources.
///
/// # Errors
/// A sentence, when the kernel refuses what must not be left out.
pub(super) fn confine(command: &Command) -> Result<(), String> {
    let fail = |what: &str, error: Errno| format!("cannot {what}: {error}");
    nix::sys::prctl::set_no_new_privs().map_err(|error| fail("set no_new_privs", error))?;
    nix::unistd::chdir("/").map_err(|error| fail("change to /", error))?;
    umask(Mode::from_bits_truncate(0o077));
    forget_oom_score();
    let mut limits = vec![(Resource::RLIMIT_CORE, Some(0))];
    limits.push((Resource::RLIMIT_NOFILE, command.limits.open_files));
    limits.push((Resource::RLIMIT_FSIZE, command.limits.file_size));
    let processor = command.timeout.as_secs().saturating_add(PROCESSOR_MARGIN);
    limits.push((Resource::RLIMIT_CPU, command.limits.processor_time.then_some(processor)));
    for (resource, limit) in limits {
        if let Some(limit) = limit {
            lower(resource, limit).map_err(|error| fail("set a resource limit", error))?;
        }
    }
    Ok(())
}

/// Seconds of CPU beside the timeout; a command that computes all the time ends by its timeout, not by this.
const PROCESSOR_MARGIN: u64 = 10;

/// A limit that is lower already stays.
fn lower(resource: Resource, limit: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    let limit = limit.min(hard);
    setrlimit(resource, limit, limit)
}

/// The agent's units ask the kernel to spare the agent; its commands are not worth that. A failure costs nothing else.
fn forget_oom_score() {
    const FILE: &str = "/proc/self/oom_score_adj";
    let spared = std::fs::read_to_string(FILE).is_ok_and(|score| score.starts_with('-'));
    if spared {
        let _ = std::fs::write(FILE, "0");
    }
}
