//! Which of the capabilities that the agent can use this thread has, so that it can say plainly which one is missing.

use std::fmt;
use std::fs;
use std::io;

/// A capability that the agent can use; see capabilities(7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Capability {
    /// Addresses, links, large socket buffers. Required.
    NetAdmin,
    /// Raw sockets. Required.
    NetRaw,
    /// Real-time scheduling; without it adverts can be late on a busy machine.
    SysNice,
    /// Locked memory; without it adverts can be late when memory is short.
    IpcLock,
}

impl Capability {
    /// All of them, the required ones first.
    pub const ALL: [Self; 4] = [Self::NetAdmin, Self::NetRaw, Self::SysNice, Self::IpcLock];

    /// Whether the agent cannot work without it.
    pub const fn is_required(self) -> bool {
        matches!(self, Self::NetAdmin | Self::NetRaw)
    }

    /// Bit number in the kernel's masks (include/uapi/linux/capability.h).
    const fn bit(self) -> u32 {
        match self {
            Self::NetAdmin => 12,
            Self::NetRaw => 13,
            Self::IpcLock => 14,
            Self::SysNice => 23,
        }
    }

    /// Whether this thread has it now; false also when that cannot be found out.
    pub(crate) fn is_held(self) -> bool {
        Capabilities::effective().is_ok_and(|held| held.has(self))
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetRaw => "CAP_NET_RAW",
            Self::SysNice => "CAP_SYS_NICE",
            Self::IpcLock => "CAP_IPC_LOCK",
        })
    }
}

/// The effective capabilities of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capabilities(u64);

impl Capabilities {
    /// Those of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted or says something unexpected.
    pub fn effective() -> io::Result<Self> {
        let status = fs::read_to_string("/proc/thread-self/status")?;
        Self::parse(&status)
            .ok_or_else(|| io::Error::other("/proc/thread-self/status has no readable line CapEff"))
    }

    /// Whether `capability` is among them.
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability.bit()) != 0
    }

    /// Those of [`Capability::ALL`] that are not among them.
    pub fn missing(self) -> Vec<Capability> {
        Capability::ALL.into_iter().filter(|capability| !self.has(*capability)).collect()
    }

    fn parse(status: &str) -> Option<Self> {
        let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(mask.trim(), 16).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_the_status_file_is_read() {
        let status = "Name:\tha-agent\nCapInh:\t0000000000000000\nCapEff:\t0000000000003000\nCapBnd:\t000001ffffffffff\n";
        let held = Capabilities::parse(status).unwrap();
        assert!(held.has(Capability::NetAdmin) && held.has(Capability::NetRaw));
        assert_eq!(held.missing(), [Capability::SysNice, Capability::IpcLock]);
        assert_eq!(Capabilities::parse("Name:\tx\n"), None);
    }

    #[test]
    fn this_thread_has_a_readable_mask() {
        Capabilities::effective().unwrap();
    }
}
