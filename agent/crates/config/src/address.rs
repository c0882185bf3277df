//! Addresses as text: virtual addresses with their prefix length, sources and peers, and which of them make no sense.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ha_engine::{Family, VirtualAddress};
use toml::de::DeValue;

use crate::instance::interface;
use crate::keys;
use crate::report::Report;
use crate::section::Section;
use crate::value::{Value, quoted, shown};

/// An address, or `{ address = …, interface = …, advertised = … }`.
pub(crate) fn virtual_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<VirtualAddress> {
    let DeValue::Table(table) = value.inner else {
        return plain_address(value, report);
    };
    let section = Section::new("an address", value.span.clone(), table);
    section.reject_unknown(report, keys::ADDRESS, |_| None);
    let remedy = "write { address = \"10.0.0.10/24\", interface = \"eth1\" }";
    let address = section.required(report, "address", remedy, plain_address);
    let interface = section.read(report, "interface", interface);
    let advertised = section.read(report, "advertised", Value::boolean);
    let interface = interface.value().map(|name| name.as_str().into());
    Some(VirtualAddress { interface, advertised: advertised.value_or(true), ..address?.value })
}

/// `"10.0.0.10"` or `"10.0.0.10/24"`; without a prefix length the address alone, /32 or /128.
fn plain_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<VirtualAddress> {
    let text = value.text(report)?;
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<IpAddr>() else {
        let message = format!("{} is no IP address", shown(text));
        report.error(&value.span, message, "write an address such as \"10.0.0.10\" or \"2001:db8::10/64\"");
        return None;
    };
    if let Some(kind) = unusable(address).or_else(|| address.is_loopback().then_some("a loopback address")) {
        let message = format!("{address} cannot be a virtual address: it is {kind}");
        report.error(&value.span, message, "write the address that clients connect to");
        return None;
    }
    let longest = longest_prefix(address);
    let prefix_length = match prefix {
        None => longest,
        Some(prefix) => prefix_length(prefix, longest).or_else(|| {
            let message = format!("{address} has the prefix length {}", shown(prefix));
            report.error(&value.span, message, format!("use 1 to {longest}, or leave it out for {longest}"));
            None
        })?,
    };
    if is_network_or_broadcast(address, prefix_length) {
        let message = format!("{address}/{prefix_length} names the network or its broadcast, not a host");
        report.error(&value.span, message, "write the host's address, with the same prefix length");
        return None;
    }
    Some(VirtualAddress::new(address, prefix_length))
}

/// For a human: the address with its prefix length, and what is special about it.
pub(crate) fn described(own: &VirtualAddress) -> String {
    let link = own.interface.as_ref().map(|link| format!("on {link}"));
    let notes: Vec<String> =
        link.into_iter().chain((!own.advertised).then(|| "not advertised".to_owned())).collect();
    if notes.is_empty() { own.to_string() } else { format!("{own} ({})", notes.join(", ")) }
}

/// As it is written in the file.
pub(crate) fn written(own: &VirtualAddress) -> String {
    entry(&own.to_string(), own.interface.as_deref(), own.advertised)
}

/// An entry of `addresses`.
pub(crate) fn entry(address: &str, interface: Option<&str>, advertised: bool) -> String {
    let address = quoted(address);
    if interface.is_none() && advertised {
        return address;
    }
    let link = interface.map(|link| format!(", interface = {}", quoted(link))).unwrap_or_default();
    let advertised = if advertised { "" } else { ", advertised = false" };
    format!("{{ address = {address}{link}{advertised} }}")
}

/// An address from which adverts come or to which they go.
pub(crate) fn router_address(value: &Value<'_>, report: &mut Report<'_>) -> Option<IpAddr> {
    let address = value.address(report)?;
    if let Some(kind) = unusable(address) {
        let message = format!("{} {address} cannot send adverts: it is {kind}", value.key);
        report.error(&value.span, message, "write the address of a router");
        return None;
    }
    Some(address)
}

/// Whether it is fe80::/10.
pub(crate) fn is_link_local_v6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// "IPv4" or "IPv6".
pub(crate) fn family_name(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}

/// The link-local address that the virtual router MAC address makes (RFC 9568 §7.3 and RFC 4291 appendix A).
pub(crate) fn suggested_link_local(virtual_router_id: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0x0200, 0x5eff, 0xfe00, 0x0200 | u16::from(virtual_router_id))
}

pub(crate) fn unusable(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("the unspecified address"),
        _ if address.is_multicast() => Some("a multicast address"),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Some("the broadcast address"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Some("an IPv4 address written as IPv6"),
        _ => None,
    }
}

pub(crate) fn longest_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn prefix_length(text: &str, longest: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    let length = digits.then(|| text.parse::<u8>().ok()).flatten()?;
    (1..=longest).contains(&length).then_some(length)
}

/// IPv4 only: /31 (RFC 3021) and /32 have neither, and in IPv6 a host part of zeros is an address like others.
fn is_network_or_broadcast(address: IpAddr, prefix_length: u8) -> bool {
    let IpAddr::V4(address) = address else {
        return false;
    };
    let host_mask = u32::MAX.checked_shr(u32::from(prefix_length)).unwrap_or(0);
    let host = address.to_bits() & host_mask;
    prefix_length < 31 && (host == 0 || host == host_mask)
}
