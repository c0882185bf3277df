//! What the agent may do on this machine, said plainly before it begins.

use ha_dataplane::{Capabilities, Capability};

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
