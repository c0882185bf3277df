//! Which addresses each instance holds: desired against observed gives operations. Whether to hold one is the engine's
//! decision, and putting a lost one back is too.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ha_engine::{InstanceId, LinkCondition, Ownership, VirtualAddress};

use crate::address::Prefixed;
use crate::macvlan;
use crate::observed::Observed;

/// Where addresses are put: a link, or our macvlan on top of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Device {
    pub(crate) interface: Arc<str>,
    pub(crate) virtual_mac: Option<[u8; 6]>,
}

impl Device {
    /// Where an address belongs whose instance has this link and this virtual MAC address.
    pub(crate) fn of(interface: &Arc<str>, virtual_mac: Option<[u8; 6]>, address: &VirtualAddress) -> Self {
        let interface = address.interface.as_ref().unwrap_or(interface);
        let virtual_mac = virtual_mac.filter(|mac| address.takes_virtual_mac(*mac));
        Self { interface: Arc::clone(interface), virtual_mac }
    }

    /// Its index, when it is there and, for a macvlan, ours and as it should be.
    pub(crate) fn index(&self, observed: &Observed) -> Option<u32> {
        let lower = observed.index_of(&self.interface)?;
        let Some(mac) = self.virtual_mac else { return Some(lower) };
        let link = observed.link_named(&macvlan::name(&self.interface, mac))?;
        (link.is_ours && link.lower == Some(lower) && link.mac == Some(mac)).then_some(link.index)
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.virtual_mac {
            Some(mac) => write!(f, "{} on {}", macvlan::name(&self.interface, mac), self.interface),
            None => f.write_str(&self.interface),
        }
    }
}

/// What one instance should hold, and what of it the kernel was seen to have.
#[derive(Clone, Debug)]
pub(crate) struct Holding {
    pub(crate) generation: u64,
    /// By where they are put; nothing stands here without an address.
    pub(crate) places: BTreeMap<Device, Vec<Prefixed>>,
    /// Whole seconds.
    pub(crate) lease: Option<u32>,
    /// Seen in the kernel since they were asked for; the absence of one of these is a loss.
    pub(crate) held: BTreeSet<IpAddr>,
}

impl Holding {
    /// Nothing is held yet.
    pub(crate) fn new(ownership: &Ownership) -> Self {
        let mut places: BTreeMap<Device, Vec<Prefixed>> = BTreeMap::new();
        for address in ownership.addresses.iter() {
            let device = Device::of(&ownership.interface, ownership.virtual_mac, address);
            let address = on_device(address.into(), device.virtual_mac.is_some());
            places.entry(device).or_default().push(address);
        }
        let lease = ownership.lease.map(|lease| u32::try_from(lease.as_secs().max(1)).unwrap_or(u32::MAX));
        Self { generation: ownership.generation, places, lease, held: BTreeSet::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Every address with where it is put.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (&Device, Prefixed)> {
        self.places
            .iter()
            .flat_map(|(device, addresses)| addresses.iter().map(move |address| (device, *address)))
    }

    /// What it wants on one device.
    pub(crate) fn on(&self, device: &Device) -> &[Prefixed] {
        self.places.get(device).map(Vec::as_slice).unwrap_or_default()
    }
}

/// On a macvlan of its own an IPv6 link-local address needs the link's route, or its answers have none.
fn on_device(address: Prefixed, has_virtual_mac: bool) -> Prefixed {
    match address.address {
        IpAddr::V6(six) if has_virtual_mac && six.is_unicast_link_local() => {
            Prefixed { prefix_length: address.prefix_length.min(64), ..address }
        }
        _ => address,
    }
}

/// All holdings, with a count of claims on each address.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    by_instance: BTreeMap<InstanceId, Holding>,
    claims: BTreeMap<(Device, Prefixed), usize>,
    devices: BTreeMap<Device, usize>,
    /// How often anything was put.
    version: u64,
}

impl Holdings {
    pub(crate) fn get(&self, instance: InstanceId) -> Option<&Holding> {
        self.by_instance.get(&instance)
    }

    pub(crate) fn get_mut(&mut self, instance: InstanceId) -> Option<&mut Holding> {
        self.by_instance.get_mut(&instance)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (InstanceId, &Holding)> {
        self.by_instance.iter().map(|(instance, holding)| (*instance, holding))
    }

    /// Replaces what an instance should hold; gives back what it should hold until now.
    pub(crate) fn put(&mut self, instance: InstanceId, holding: Holding) -> Option<Holding> {
        self.version += 1;
        for (device, address) in holding.addresses() {
            *self.claims.entry((device.clone(), address)).or_default() += 1;
            *self.devices.entry(device.clone()).or_default() += 1;
        }
        let previous = self.by_instance.insert(instance, holding);
        for (device, address) in previous.iter().flat_map(Holding::addresses) {
            decrement(&mut self.devices, device);
            decrement(&mut self.claims, &(device.clone(), address));
        }
        previous
    }

    /// Another number after each [`Self::put`].
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether any instance wants the address there.
    pub(crate) fn claims(&self, device: &Device, address: Prefixed) -> bool {
        self.claims.contains_key(&(device.clone(), address))
    }

    /// Whether any instance wants an address there.
    pub(crate) fn uses(&self, device: &Device) -> bool {
        self.devices.contains_key(device)
    }

    /// Addresses that were held and are not there any more, each once. While the link is down or gone nothing is lost: that
    /// is told as the link's state, and IPv6 addresses go with it.
    pub(crate) fn take_losses(&mut self, observed: &Observed) -> Vec<(InstanceId, IpAddr)> {
        let mut losses = Vec::new();
        let mut conditions: BTreeMap<Arc<str>, LinkCondition> = BTreeMap::new();
        for (instance, holding) in &mut self.by_instance {
            if holding.held.is_empty() {
                continue;
            }
            for (device, addresses) in &holding.places {
                let condition = conditions
                    .entry(Arc::clone(&device.interface))
                    .or_insert_with(|| observed.state(&device.interface).condition);
                if *condition <= LinkCondition::Down {
                    continue;
                }
                let index = device.index(observed);
                let is_there =
                    |address| index.is_some_and(|index| observed.find(index, address).next().is_some());
                for Prefixed { address, .. } in addresses {
                    if !is_there(*address) && holding.held.remove(address) {
                        losses.push((*instance, *address));
                    }
                }
            }
        }
        losses
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// One step towards what is desired.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Operation {
    Remove(Prefixed),
    Add(Prefixed),
    /// Give it the lease that is now wanted.
    Renew(Prefixed),
}

/// An address as the kernel has it on the device in question.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Present {
    pub(crate) prefix_length: u8,
    pub(crate) is_ours: bool,
}

/// Desired × observed → operations, on one device. A stranger's address is never touched, and counts as held when it is the
/// wanted one. `previous` is what this instance wanted until now; `present` tells how an address is there; `is_claimed` tells
/// whether any instance wants it now; `has_new_lease` makes addresses that are there already get the lease.
pub(crate) fn plan(
    wanted: &[Prefixed],
    previous: &[Prefixed],
    has_new_lease: bool,
    present: impl Fn(IpAddr) -> Vec<Present>,
    is_claimed: impl Fn(Prefixed) -> bool,
) -> Vec<Operation> {
    let mut operations = Vec::new();
    for address in previous.iter().filter(|address| !is_claimed(**address)) {
        let exact = Present { prefix_length: address.prefix_length, is_ours: true };
        if present(address.address).contains(&exact) {
            operations.push(Operation::Remove(*address));
        }
    }
    for address in wanted {
        let found = present(address.address);
        let mut is_there = false;
        for found in &found {
            let other = Prefixed { prefix_length: found.prefix_length, ..*address };
            if found.is_ours && other != *address {
                if !is_claimed(other) && !operations.contains(&Operation::Remove(other)) {
                    operations.push(Operation::Remove(other));
                }
            } else {
                is_there = true;
                if found.is_ours && has_new_lease {
                    operations.push(Operation::Renew(*address));
                }
            }
        }
        if !is_there {
            operations.push(Operation::Add(*address));
        }
    }
    operations.sort_by_key(|operation| !matches!(operation, Operation::Remove(_)));
    operations
}

#[cfg(test)]
mod tests;
