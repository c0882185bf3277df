//! Writes requests. Nothing here decides whether one is sent.

use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST};
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use rtnetlink::packet_route::link::{LinkAttribute, LinkExtentMask, LinkMessage, MacVlanMode};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{LinkMacVlan, LinkUnspec};

use super::decode::LINK_TAG;
use crate::address::{ADDRESS_PROTOCOL, Prefixed};

/// A message and how it is meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) message: RouteNetlinkMessage,
    pub(crate) flags: u16,
}

impl Request {
    fn change(message: RouteNetlinkMessage, flags: u16) -> Self {
        Self { message, flags: NLM_F_REQUEST | NLM_F_ACK | flags }
    }

    /// Not acknowledged: the kernel answers only when it refuses.
    pub(crate) fn silent(self) -> Self {
        Self { flags: self.flags & !NLM_F_ACK, ..self }
    }

    fn dump(message: RouteNetlinkMessage) -> Self {
        Self { message, flags: NLM_F_REQUEST | NLM_F_DUMP }
    }

    /// Adds an address that nobody has there. Exclusive, so that a stranger's address that came up a moment ago is neither
    /// taken over nor given our lifetime: the kernel answers EEXIST instead. `lease` in seconds.
    pub(crate) fn add_address(index: u32, address: Prefixed, lease: Option<u32>) -> Self {
        let message = RouteNetlinkMessage::NewAddress(address_message(index, address, lease));
        Self::change(message, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Gives an address of ours a new lifetime.
    pub(crate) fn renew_address(index: u32, address: Prefixed, lease: Option<u32>) -> Self {
        Self::change(RouteNetlinkMessage::NewAddress(address_message(index, address, lease)), NLM_F_REPLACE)
    }

    pub(crate) fn remove_address(index: u32, address: Prefixed) -> Self {
        let mut message = AddressMessage::default();
        set_identity(&mut message, index, address);
        Self::change(RouteNetlinkMessage::DelAddress(message), 0)
    }

    pub(crate) fn dump_links() -> Self {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]));
        Self::dump(RouteNetlinkMessage::GetLink(message))
    }

    /// Of both families.
    pub(crate) fn dump_addresses() -> Self {
        Self::dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))
    }

    pub(crate) fn dump_ipv6_addresses() -> Self {
        let mut message = AddressMessage::default();
        message.header.family = AddressFamily::Inet6;
        Self::dump(RouteNetlinkMessage::GetAddress(message))
    }

    /// A macvlan in bridge mode, down and untagged. In private mode the kernel would hand a multicast advert that came from
    /// our own virtual MAC, which is what a second Active router sends, to the macvlan alone and hide it from the link.
    pub(crate) fn create_macvlan(name: &str, lower: u32, mac: [u8; 6]) -> Self {
        let message = LinkMacVlan::new(name, lower, MacVlanMode::Bridge).address(mac.to_vec()).build();
        Self::change(RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Tags a macvlan of ours, makes it give itself no link-local address, and sets its IPv4 settings.
    pub(crate) fn tag_macvlan(name: &str, settings: &[(DeviceSetting, u32)]) -> Self {
        let specification = [ipv4_settings(settings), no_generated_addresses()].concat();
        let message = LinkUnspec::new_with_name(name)
            .alias(LINK_TAG)
            .append_extra_attribute(LinkAttribute::AfSpecUnknown(specification))
            .build();
        Self::change(RouteNetlinkMessage::SetLink(message), 0)
    }

    pub(crate) fn set_up(name: &str) -> Self {
        let message = LinkUnspec::new_with_name(name).up().build();
        Self::change(RouteNetlinkMessage::SetLink(message), 0)
    }

    pub(crate) fn delete_link(index: u32) -> Self {
        let message = LinkUnspec::new_with_index(index).build();
        Self::change(RouteNetlinkMessage::DelLink(message), 0)
    }

    /// Writes IPv4 settings of a link, as /proc/sys/net/ipv4/conf does, which a hardened service may not write.
    pub(crate) fn set_device(index: u32, settings: &[(DeviceSetting, u32)]) -> Self {
        let message = LinkUnspec::new_with_index(index)
            .append_extra_attribute(LinkAttribute::AfSpecUnknown(ipv4_settings(settings)))
            .build();
        Self::change(RouteNetlinkMessage::SetLink(message), 0)
    }
}

/// IPv4 settings of a link; numbers of include/uapi/linux/ip.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DeviceSetting {
    ReversePathFilter = 8,
    ArpAnnounce = 18,
    ArpIgnore = 19,
    PromoteSecondaries = 20,
}

/// IFLA_AF_SPEC { AF_INET { IFLA_INET_CONF { setting: value, ... } } }
fn ipv4_settings(settings: &[(DeviceSetting, u32)]) -> Vec<u8> {
    const IFLA_INET_CONF: u16 = 1;
    let values =
        settings.iter().flat_map(|(setting, value)| attribute(*setting as u16, &value.to_ne_bytes()));
    attribute(libc::AF_INET as u16, &attribute(IFLA_INET_CONF, &values.collect::<Vec<_>>()))
}

/// IFLA_AF_SPEC { AF_INET6 { IFLA_INET6_ADDR_GEN_MODE: none } }: with the same virtual MAC on every router the generated
/// link-local address would be the same on all of them.
fn no_generated_addresses() -> Vec<u8> {
    const IFLA_INET6_ADDR_GEN_MODE: u16 = 8;
    const IN6_ADDR_GEN_MODE_NONE: u8 = 1;
    attribute(libc::AF_INET6 as u16, &attribute(IFLA_INET6_ADDR_GEN_MODE, &[IN6_ADDR_GEN_MODE_NONE]))
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).expect("a few settings are short");
    let mut octets = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    octets.extend_from_slice(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

fn address_message(index: u32, address: Prefixed, lease: Option<u32>) -> AddressMessage {
    const FOREVER: u32 = u32::MAX;
    let mut message = AddressMessage::default();
    set_identity(&mut message, index, address);
    let is_host = address.is_host();
    let mut lifetime = CacheInfo::default();
    lifetime.ifa_valid = lease.unwrap_or(FOREVER);
    // Of no preferred lifetime: never chosen as the source of what the node itself sends.
    lifetime.ifa_preferred = if address.address.is_ipv6() && is_host { 0 } else { lifetime.ifa_valid };
    let mut flags = AddressFlags::empty();
    if address.address.is_ipv6() {
        // A virtual address is by design on several nodes; DAD would also keep it silent for a second.
        flags |= AddressFlags::Nodad;
        if is_host {
            flags |= AddressFlags::Noprefixroute;
        }
    }
    message.attributes.push(AddressAttribute::CacheInfo(lifetime));
    message.attributes.push(AddressAttribute::Flags(flags));
    message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(ADDRESS_PROTOCOL)));
    message
}

fn set_identity(message: &mut AddressMessage, index: u32, address: Prefixed) {
    message.header.index = index;
    message.header.prefix_len = address.prefix_length;
    message.header.family = match address.address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.attributes.push(AddressAttribute::Local(address.address));
    message.attributes.push(AddressAttribute::Address(address.address));
}
