//! The few kernel settings that netlink does not reach. Reading is always possible; writing is not in a hardened service.

use std::fs;
use std::io;

/// A number below /proc/sys/net, for the namespace of the calling thread.
pub(crate) fn read(path: &str) -> Option<u32> {
    fs::read_to_string(format!("/proc/sys/net/{path}")).ok()?.trim().parse().ok()
}

/// Writes a number below /proc/sys/net, unless it stands there already.
pub(crate) fn write(path: &str, value: u32) -> io::Result<()> {
    if read(path) == Some(value) {
        Ok(())
    } else {
        fs::write(format!("/proc/sys/net/{path}"), value.to_string())
    }
}
