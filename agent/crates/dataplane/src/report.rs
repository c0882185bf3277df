//! What the dataplane thread tells the `vrrp` thread.

use std::sync::Arc;

use ha_engine::{Applied, InstanceId, Instant, LinkId, LinkState};
use std::net::IpAddr;

/// One piece of news. When the receiver is slow, newer news of the same kind about the same object replaces older news;
/// nothing else is ever left out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Report {
    /// A watched link, complete: once after each [`crate::Handle::watch`], then whenever it changed.
    Link {
        /// Which.
        link: LinkId,
        /// Condition and usable addresses, primary first.
        state: LinkState,
        /// The kernel's number for it now; `None` while it is missing. A change means that sockets must be opened again.
        ifindex: Option<u32>,
        /// Its hardware address, when it has one of six octets.
        mac: Option<[u8; 6]>,
        /// Largest IP packet in octets; 0 while it is missing.
        mtu: u32,
    },
    /// What became of an ownership.
    Applied(Applied),
    /// One round of announcements left.
    Announced {
        /// Whose.
        instance: InstanceId,
        /// Whether one of the rounds was a takeover's first.
        takeover: bool,
        /// When the last frame was handed to the kernel.
        at: Instant,
        /// Frames that the kernel took. Addresses that the kernel does not hold are not announced.
        count: usize,
    },
    /// An address that was held is no longer there, and we did not remove it. Said once per loss.
    AddressLost {
        /// Whose.
        instance: InstanceId,
        /// Which.
        address: IpAddr,
    },
    /// Housekeeping that failed and is tried again: for the log.
    Trouble(Arc<str>),
}
