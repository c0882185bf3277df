//! What the agent may do on this machine, said plainly before it begins; and what others of its own user may do to it.

use ha_dataplane::{Capabilities, Capability};
use nix::sys::prctl::set_dumpable;
use tracing::Level;

use crate::telemetry::logging::say;

/// Keys and passwords are in this process' memory: it leaves no core file behind, and no other process of its user may look
/// into it (proc(5), PR_SET_DUMPABLE). Programs that it starts are as they always were.
pub(super) fn close_memory() {
    if let Err(error) = set_dumpable(false) {
        say(Level::WARN, &format!("a crash may leave keys and passwords in a core file: prctl: {error}"));
    }
}

/// Says what is missing on standard error; `Err` when the agent cannot work without it.
pub(super) fn check() -> Result<(), String> {
    let held = Capabilities::effective().map_err(|error| format!("cannot read own capabilities: {error}"))?;
    let missing: Vec<String> = held
        .missing()
        .into_iter()
        .filter(|capability| capability.is_required())
        .map(|capability| format!("{capability} ({})", purpose(capability)))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "missing {}; run as root, or grant AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW in the systemd unit, or setcap \
         cap_net_admin,cap_net_raw+ep on the binary",
        missing.join(" and ")
    ))
}

fn purpose(capability: Capability) -> &'static str {
    match capability {
        Capability::NetAdmin => "holds addresses",
        Capability::NetRaw => "sends and receives VRRP",
        Capability::SysNice => "punctual adverts on a busy machine",
        Capability::IpcLock => "punctual adverts when memory is short",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_is_closed_to_core_files_and_to_others_of_the_same_user() {
        super::close_memory();
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(false));
    }
}
