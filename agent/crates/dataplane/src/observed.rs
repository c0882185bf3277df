//! What the kernel has, kept fresh by notifications and dumps. Only the kernel's words get in here, never our own wishes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{LinkCondition, LinkState};

use crate::address::Prefixed;
use crate::netlink::decode::{Address, Change, Link};

/// Links and addresses of the network namespace.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    links: BTreeMap<u32, Link>,
    by_name: BTreeMap<Arc<str>, u32>,
    addresses: BTreeMap<u32, OnLink>,
    /// Counts addresses, so that they can be listed in the kernel's order.
    order: u64,
    has_changed: bool,
    /// How often anything changed.
    version: u64,
}

/// By address and prefix length; with its place in the kernel's order.
type OnLink = BTreeMap<(IpAddr, u8), (u64, Address)>;

impl Observed {
    /// Takes in one notification.
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Link(link) => self.put_link(link),
            Change::LinkGone(index) => self.remove_link(index),
            Change::Address(index, address) => self.put_address(index, address),
            Change::AddressGone(index, address, prefix_length) => {
                let removed =
                    self.addresses.get_mut(&index).and_then(|all| all.remove(&(address, prefix_length)));
                self.note(removed.is_some());
            }
        }
    }

    /// Takes in a whole dump: what is not in it is gone.
    pub(crate) fn replace(&mut self, changes: Vec<Change>) {
        let before = std::mem::take(self);
        changes.into_iter().for_each(|change| self.apply(change));
        (self.has_changed, self.version) = (before.has_changed, before.version);
        self.note(self.links != before.links || self.differs(&before));
    }

    /// Whether anything changed since the last call.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.has_changed)
    }

    /// Another number after each change.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    fn note(&mut self, has_changed: bool) {
        self.has_changed |= has_changed;
        self.version += u64::from(has_changed);
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    pub(crate) fn link_named(&self, name: &str) -> Option<&Link> {
        self.link(self.index_of(name)?)
    }

    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// All addresses on a link.
    pub(crate) fn on(&self, index: u32) -> impl Iterator<Item = &Address> {
        self.addresses.get(&index).into_iter().flatten().map(|(_, (_, address))| address)
    }

    /// An address on a link, with whatever prefix lengths it is there.
    pub(crate) fn find(&self, index: u32, address: IpAddr) -> impl Iterator<Item = &Address> {
        let all = self.addresses.get(&index);
        all.into_iter()
            .flat_map(move |all| all.range((address, 0)..=(address, u8::MAX)))
            .map(|(_, (_, found))| found)
    }

    /// Every address that carries our tag, with its link.
    pub(crate) fn ours(&self) -> impl Iterator<Item = (u32, Prefixed)> {
        self.addresses.iter().flat_map(|(index, all)| {
            let ours = all.values().filter(|(_, address)| address.is_ours);
            ours.map(|(_, found)| {
                (*index, Prefixed { address: found.address, prefix_length: found.prefix_length })
            })
        })
    }

    /// What the engine hears of a link: virtual addresses and unusable ones left out, primary first.
    pub(crate) fn state(&self, name: &str) -> LinkState {
        let Some(link) = self.link_named(name) else { return LinkState::default() };
        let condition = match (link.is_up, link.is_running) {
            (false, _) => LinkCondition::Down,
            (true, false) => LinkCondition::NoCarrier,
            (true, true) => LinkCondition::Up,
        };
        let all = self.addresses.get(&link.index).into_iter().flat_map(BTreeMap::values);
        let mut usable: Vec<_> = all.filter(|(_, address)| address.is_usable && !address.is_ours).collect();
        usable.sort_by_key(|(order, address)| rank(*order, address));
        LinkState { condition, addresses: usable.into_iter().map(|(_, address)| address.address).collect() }
    }

    fn put_link(&mut self, link: Link) {
        let (index, name) = (link.index, Arc::clone(&link.name));
        let before = self.links.insert(index, link);
        if let Some(before) = &before
            && before.name != name
            && self.by_name.get(&before.name) == Some(&index)
        {
            self.by_name.remove(&before.name);
        }
        self.by_name.insert(name, index);
        self.note(before.as_ref() != self.links.get(&index));
    }

    fn remove_link(&mut self, index: u32) {
        self.addresses.remove(&index);
        if let Some(link) = self.links.remove(&index) {
            if self.by_name.get(&link.name) == Some(&index) {
                self.by_name.remove(&link.name);
            }
            self.note(true);
        }
    }

    fn put_address(&mut self, index: u32, address: Address) {
        let all = self.addresses.entry(index).or_default();
        let key = (address.address, address.prefix_length);
        let is_news = if let Some((_, known)) = all.get_mut(&key) {
            std::mem::replace(known, address) != address
        } else {
            self.order += 1;
            all.insert(key, (self.order, address));
            true
        };
        self.note(is_news);
    }

    fn differs(&self, other: &Self) -> bool {
        let flat = |observed: &Self| -> Vec<(u32, Address)> {
            let each = |(index, all): (&u32, &OnLink)| {
                all.values().map(|(_, address)| (*index, *address)).collect::<Vec<_>>()
            };
            observed.addresses.iter().flat_map(each).collect()
        };
        flat(self) != flat(other)
    }
}

/// IPv4 before IPv6; IPv4 primaries first in the kernel's order; IPv6 link-local first. The order of IPv6 addresses in the
/// kernel means nothing.
fn rank(order: u64, address: &Address) -> (bool, bool, u64, IpAddr) {
    match address.address {
        IpAddr::V4(_) => (false, address.is_secondary, order, address.address),
        IpAddr::V6(six) => (true, !six.is_unicast_link_local(), 0, address.address),
    }
}

#[cfg(test)]
mod tests;
