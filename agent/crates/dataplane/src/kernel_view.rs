//! What the kernel has, read back and published as latest-wins for whoever shows it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::Instant;

/// One address on one watched link, as the kernel has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AddressView {
    /// Whether it is on the link, or on our macvlan of the link.
    pub present: bool,
    /// Whether it carries our tag.
    pub ours: bool,
    /// Prefix length in the kernel; 0 when not present.
    pub prefix_length: u8,
    /// Whether it has a limited lifetime in the kernel.
    pub leased: bool,
    /// When it was last announced by this process.
    pub announced: Option<Instant>,
    /// How often it was announced by this process.
    pub announcements: u64,
}

/// Every address on the watched links, every address that an ownership wants, and every address that was announced. Not
/// older than about 20 ms.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KernelView {
    /// When it was put together.
    pub at: Instant,
    /// By configured link name and address.
    pub addresses: BTreeMap<(Arc<str>, IpAddr), AddressView>,
}

impl KernelView {
    /// What is known of an address; absent means that the kernel does not have it on that link.
    pub fn get(&self, interface: &Arc<str>, address: IpAddr) -> AddressView {
        self.addresses.get(&(Arc::clone(interface), address)).copied().unwrap_or_default()
    }
}
