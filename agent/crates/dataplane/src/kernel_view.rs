//! What the kernel has, read back and published as latest-wins for whoever shows it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::Instant;

use crate::announce::History;
use crate::netlink::decode::Address;
use crate::observed::Observed;
use crate::ownership::Holdings;

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

/// Every address on the watched links, every address that an ownership wants, and every address that was announced. Behind the
/// kernel by 2 ms, or by twenty times as long as it takes to be put together.
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

impl KernelView {
    /// Puts the view together; `watched` are the names of configured links.
    pub(crate) fn new<'a>(
        at: Instant,
        watched: impl Iterator<Item = &'a Arc<str>>,
        observed: &Observed,
        holdings: &Holdings,
        history: &History,
    ) -> Self {
        let mut addresses: BTreeMap<_, AddressView> = BTreeMap::new();
        for (_, holding) in holdings.iter() {
            for (device, address) in holding.addresses() {
                addresses.entry((Arc::clone(&device.interface), address.address)).or_default();
            }
        }
        for interface in watched {
            let Some(index) = observed.index_of(interface) else { continue };
            let stacked = observed.links().filter(|link| link.is_ours && link.lower == Some(index));
            for index in stacked.map(|link| link.index).chain([index]) {
                for address in observed.on(index) {
                    note(addresses.entry((Arc::clone(interface), address.address)).or_default(), address);
                }
            }
        }
        for (key, (announced, announcements)) in history {
            let view = addresses.entry(key.clone()).or_default();
            view.announced = Some(*announced);
            view.announcements = *announcements;
        }
        Self { at, addresses }
    }
}

/// Of an address that is there twice, with two prefix lengths, ours is shown.
fn note(view: &mut AddressView, address: &Address) {
    view.present = true;
    if address.is_ours || !view.ours {
        view.ours = address.is_ours;
        view.prefix_length = address.prefix_length;
        view.leased = address.is_leased;
    }
}
