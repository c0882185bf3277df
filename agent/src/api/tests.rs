//! The control plane over a real unix socket, with real clients and the real engine; only packets and kernel are missing.

mod agent;
mod asking;
mod audit;
mod authorisation;
mod changes;
mod checking;
mod configuring;
mod debugging;
mod ending;
mod guarantees;
mod history;
mod hostile;
mod limits;
mod listing;
mod peering;
mod pools;
mod probing;
mod roles;
mod secure;
mod sockets;
mod surviving;
mod unread;
mod watching;

use tonic::Status;
use tonic_types::StatusExt;

/// The reason of an error; checks that it says what the contract demands of every error.
pub(super) fn reason(status: &Status) -> String {
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "ha-agent");
    assert!(
        info.metadata.get("next").is_some_and(|next| status.message().ends_with(next.as_str())),
        "{status:?}"
    );
    info.reason
}
