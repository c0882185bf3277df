//! The link that carries a virtual router MAC address (RFC 9568 §7.3): a macvlan of ours on top of the configured link, made
//! when an instance first holds addresses and removed when none does.

use std::sync::Arc;

use crate::handle::LinkSettings;
use crate::kernel::Kernel;
use crate::netlink::encode::{DeviceSetting, Request};
use crate::ownership::Device;
use crate::sysctl;

/// `vrrp4-7.k3x9a`: family, VRID, and five characters for the lower link, at most 15 in all, the longest name that the kernel
/// takes. The same on every start.
pub(crate) fn name(interface: &str, mac: [u8; 6]) -> String {
    let family = if mac[4] == 2 { 6 } else { 4 };
    format!("vrrp{family}-{}.{}", mac[5], digest(interface))
}

/// FNV-1a, in base 36.
fn digest(text: &str) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let step = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3);
    let mut hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    let mut digits = String::new();
    for _ in 0..5 {
        let digit = usize::try_from(hash % 36).expect("less than 36");
        digits.push(char::from(DIGITS[digit]));
        hash /= 36;
    }
    digits
}

/// Makes and removes macvlans.
#[derive(Debug, Default)]
pub(crate) struct Macvlans {
    /// What arp_ignore and arp_announce were on lower links before we set them.
    before: LinkSettings,
}

impl Macvlans {
    /// Makes sure that the device is there, tagged and up.
    ///
    /// # Errors
    /// What could not be done, with the kernel's words.
    pub(crate) fn ensure(&mut self, kernel: &mut Kernel, device: &Device) -> Result<(), String> {
        let Some(mac) = device.virtual_mac else { return Ok(()) };
        let name = name(&device.interface, mac);
        let is_up = |kernel: &Kernel| kernel.observed.link_named(&name).is_some_and(|link| link.is_up);
        if device.index(&kernel.observed).is_some() && is_up(kernel) {
            return Ok(());
        }
        let lower = kernel.observed.index_of(&device.interface);
        let lower = lower.ok_or_else(|| format!("there is no link {}", device.interface))?;
        self.clear_the_way(kernel, device, &name)?;
        if device.index(&kernel.observed).is_none() && kernel.observed.index_of(&name).is_none() {
            run(
                kernel,
                &format!("create {name} on {}", device.interface),
                Request::create_macvlan(&name, lower, mac),
            )?;
        }
        self.set_up(kernel, device, &name, lower).inspect_err(|_| discard(kernel, &name))
    }

    /// Removes the device when it is ours, and gives the lower link its settings back when it was the last on it.
    ///
    /// # Errors
    /// The kernel's words.
    pub(crate) fn remove(&mut self, kernel: &mut Kernel, device: &Device) -> Result<(), String> {
        let Some(index) = device.virtual_mac.and_then(|_| device.index(&kernel.observed)) else {
            return Ok(());
        };
        run(kernel, &format!("remove {device}"), Request::delete_link(index))?;
        let lower = kernel.observed.index_of(&device.interface);
        let is_last = !kernel.observed.links().any(|link| link.is_ours && link.lower == lower);
        match self.before.get(&device.interface).copied().filter(|_| is_last) {
            Some(before) => {
                self.before.remove(&device.interface);
                restore(kernel, &device.interface, before)
            }
            None => Ok(()),
        }
    }

    /// An earlier process of ours set these before this one could look.
    pub(crate) fn inherit(&mut self, settings: LinkSettings) {
        self.before.extend(settings);
    }

    /// For the next process.
    pub(crate) fn into_settings(self) -> LinkSettings {
        self.before
    }

    /// Gives all lower links their settings back; what could not be done.
    pub(crate) fn restore_all(self, kernel: &mut Kernel) -> Vec<String> {
        let each = self.before.iter().map(|(interface, before)| restore(kernel, interface, *before));
        each.filter_map(Result::err).collect()
    }

    /// A link of this name that is ours but stands elsewhere goes; a stranger's stays and is said.
    fn clear_the_way(&mut self, kernel: &mut Kernel, device: &Device, name: &str) -> Result<(), String> {
        match kernel.observed.link_named(name) {
            Some(_) if device.index(&kernel.observed).is_some() => Ok(()),
            Some(link) if link.is_ours => {
                let request = Request::delete_link(link.index);
                run(kernel, &format!("remove {name} from an earlier link"), request)
            }
            Some(_) => Err(format!("there is already a link {name} that is not ours")),
            None => Ok(()),
        }
    }

    fn set_up(&mut self, kernel: &mut Kernel, device: &Device, name: &str, lower: u32) -> Result<(), String> {
        // Netlink does not reach it; with it, a router's advertisements would give the macvlan addresses and routes.
        if let Err(error) = sysctl::write(&format!("ipv6/conf/{name}/accept_ra"), 0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            kernel.trouble(format!("cannot turn accept_ra off on {name}: {error}"));
        }
        self.remember(&device.interface);
        let settings = macvlan_settings();
        // The lower link answers for its own addresses only, and asks with its own: the virtual MAC alone stands for the
        // virtual address.
        let quiet = [(DeviceSetting::ArpIgnore, 1), (DeviceSetting::ArpAnnounce, 2)];
        run(kernel, &format!("tag {name}"), Request::tag_macvlan(name, &settings))?;
        run(kernel, &format!("set arp_ignore of {}", device.interface), Request::set_device(lower, &quiet))?;
        run(kernel, &format!("bring {name} up"), Request::set_up(name))
    }

    fn remember(&mut self, interface: &Arc<str>) {
        if !self.before.contains_key(interface) {
            let read = |key| sysctl::read(&format!("ipv4/conf/{interface}/{key}")).unwrap_or(0);
            self.before.insert(Arc::clone(interface), [read("arp_ignore"), read("arp_announce")]);
        }
    }
}

fn restore(kernel: &mut Kernel, interface: &str, [ignore, announce]: [u32; 2]) -> Result<(), String> {
    let Some(lower) = kernel.observed.index_of(interface) else { return Ok(()) };
    let settings = [(DeviceSetting::ArpIgnore, ignore), (DeviceSetting::ArpAnnounce, announce)];
    run(kernel, &format!("restore arp_ignore of {interface}"), Request::set_device(lower, &settings))
}

fn macvlan_settings() -> [(DeviceSetting, u32); 3] {
    // The way back to a client is the lower link, so a strict check would drop what clients send. The kernel takes the larger
    // of this and of "all"; 2 (loose) outdoes 1 (strict).
    let filter = if sysctl::read("ipv4/conf/all/rp_filter").unwrap_or(0) == 0 { 0 } else { 2 };
    [
        (DeviceSetting::ReversePathFilter, filter),
        (DeviceSetting::ArpIgnore, 1),
        (DeviceSetting::ArpAnnounce, 2),
    ]
}

fn discard(kernel: &mut Kernel, name: &str) {
    if let Some(index) = kernel.observed.index_of(name) {
        let outcome = run(kernel, &format!("remove {name}"), Request::delete_link(index));
        if let Err(text) = outcome {
            kernel.trouble(text);
        }
    }
}

fn run(kernel: &mut Kernel, action: &str, request: Request) -> Result<(), String> {
    let outcomes = kernel.execute(&[request]).map_err(|error| error.to_string())?;
    match outcomes.into_iter().next() {
        Some(Err(rejection)) => Err(format!("cannot {action}: {rejection}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ_by_link_family_and_router() {
        let mac = |family, router| [0, 0, 0x5e, 0, family, router];
        let names = [
            name("eth0", mac(1, 255)),
            name("eth0", mac(2, 255)),
            name("eth0", mac(1, 25)),
            name("eth1", mac(1, 255)),
            name("enp129s0f1np1.40", mac(2, 255)),
        ];
        assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
        assert_eq!(std::collections::BTreeSet::from(names.clone()).len(), names.len());
        assert_eq!(names[0], name("eth0", mac(1, 255)));
        assert!(names[0].starts_with("vrrp4-255.") && names[1].starts_with("vrrp6-255."));
    }
}
