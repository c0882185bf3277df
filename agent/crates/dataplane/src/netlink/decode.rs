//! Reads what the kernel says: links, addresses, acknowledgements. Unknown attributes are passed over; a message that is cut
//! short ends the reading.

use std::net::IpAddr;
use std::sync::Arc;

/// IFLA_IFALIAS of a macvlan that is ours.
pub(crate) const LINK_TAG: &str = "ha-agent";

const MESSAGE_HEADER: usize = 16;
const ATTRIBUTE_HEADER: usize = 4;
/// Of the attribute's type; the rest are flags.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

/// nlmsghdr and what follows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) payload: &'a [u8],
}

/// The messages of one datagram.
pub(crate) fn messages(mut octets: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(word(octets, 0)?).ok()?;
        let message = Message {
            kind: half(octets, 4)?,
            flags: half(octets, 6)?,
            sequence: word(octets, 8)?,
            payload: octets.get(MESSAGE_HEADER..length)?,
        };
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes in a part of a message: type and value.
pub(crate) fn attributes(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(half(octets, 0)?);
        let kind = half(octets, 2)? & ATTRIBUTE_TYPE;
        let value = octets.get(ATTRIBUTE_HEADER..length)?;
        octets = octets.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn half(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|octets| u16::from_ne_bytes(*octets))
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|octets| u32::from_ne_bytes(*octets))
}

fn text(value: &[u8]) -> &str {
    let end = value.iter().position(|octet| *octet == 0).unwrap_or(value.len());
    std::str::from_utf8(&value[..end]).unwrap_or_default()
}

/// News about a link or an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Link(Link),
    LinkGone(u32),
    Address(u32, Address),
    AddressGone(u32, IpAddr, u8),
}

/// A link, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: Arc<str>,
    /// Administratively.
    pub(crate) is_up: bool,
    /// With carrier and, where that applies, authenticated (IFF_RUNNING).
    pub(crate) is_running: bool,
    pub(crate) mac: Option<[u8; 6]>,
    pub(crate) mtu: u32,
    /// The link that it stands on.
    pub(crate) lower: Option<u32>,
    /// A macvlan that carries our tag.
    pub(crate) is_ours: bool,
}

/// An address on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) address: IpAddr,
    pub(crate) prefix_length: u8,
    /// Carries our tag.
    pub(crate) is_ours: bool,
    /// Neither tentative nor a duplicate.
    pub(crate) is_usable: bool,
    /// IPv4: another address of the same network is the primary one.
    pub(crate) is_secondary: bool,
    /// Has a limited lifetime.
    pub(crate) is_leased: bool,
}

/// A message of RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR or RTNLGRP_IPV6_IFADDR, or of a dump of links or addresses.
pub(crate) fn change(message: &Message<'_>) -> Option<Change> {
    match message.kind {
        libc::RTM_NEWLINK => link(message.payload).map(Change::Link),
        libc::RTM_DELLINK => link(message.payload).map(|link| Change::LinkGone(link.index)),
        libc::RTM_NEWADDR => address(message.payload).map(|(index, address)| Change::Address(index, address)),
        libc::RTM_DELADDR => address(message.payload)
            .map(|(index, address)| Change::AddressGone(index, address.address, address.prefix_length)),
        _ => None,
    }
}

/// struct ifinfomsg { u8 family; u8 pad; u16 type; i32 index; u32 flags; u32 change; }
fn link(payload: &[u8]) -> Option<Link> {
    const HEADER: usize = 16;
    // Ports of a bridge and IPv6 settings are told in messages of the same type; a port that leaves a bridge is no link
    // that has gone.
    if i32::from(*payload.first()?) != libc::AF_UNSPEC {
        return None;
    }
    let flags = word(payload, 8)?;
    let mut link = Link {
        index: word(payload, 4)?,
        name: Arc::from(""),
        is_up: flags & libc::IFF_UP as u32 != 0,
        is_running: flags & libc::IFF_RUNNING as u32 != 0,
        mac: None,
        mtu: 0,
        lower: None,
        is_ours: false,
    };
    let (mut is_tagged, mut is_macvlan) = (false, false);
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            libc::IFLA_IFNAME => link.name = Arc::from(text(value)),
            libc::IFLA_ADDRESS => link.mac = <[u8; 6]>::try_from(value).ok(),
            libc::IFLA_MTU => link.mtu = word(value, 0)?,
            libc::IFLA_LINK => link.lower = word(value, 0),
            libc::IFLA_IFALIAS => is_tagged = text(value) == LINK_TAG,
            libc::IFLA_LINKINFO => {
                is_macvlan = attributes(value)
                    .any(|(kind, value)| kind == libc::IFLA_INFO_KIND && text(value) == "macvlan");
            }
            _ => {}
        }
    }
    link.is_ours = is_tagged && is_macvlan;
    Some(link)
}

/// struct ifaddrmsg { u8 family; u8 prefixlen; u8 flags; u8 scope; u32 index; }
fn address(payload: &[u8]) -> Option<(u32, Address)> {
    const HEADER: usize = 8;
    const IFA_PROTO: u16 = 11;
    let mut flags = u32::from(*payload.get(2)?);
    let (mut local, mut remote, mut protocol) = (None, None, 0);
    for (kind, value) in attributes(payload.get(HEADER..)?) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => remote = ip(value),
            libc::IFA_FLAGS => flags = word(value, 0)?,
            IFA_PROTO => protocol = value.first().copied().unwrap_or_default(),
            _ => {}
        }
    }
    let has = |flag: u32| flags & flag != 0;
    let address = Address {
        // On a point-to-point link IFA_ADDRESS is the other end's.
        address: local.or(remote)?,
        prefix_length: *payload.get(1)?,
        is_ours: protocol == crate::address::ADDRESS_PROTOCOL,
        is_usable: !has(libc::IFA_F_DADFAILED)
            && (!has(libc::IFA_F_TENTATIVE) || has(libc::IFA_F_OPTIMISTIC)),
        is_secondary: has(libc::IFA_F_SECONDARY),
        is_leased: !has(libc::IFA_F_PERMANENT),
    };
    Some((word(payload, 4)?, address))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => value.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

/// A request that the kernel turned down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rejection {
    pub(crate) errno: i32,
    /// The kernel's own words, or empty.
    pub(crate) explanation: String,
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", std::io::Error::from_raw_os_error(self.errno))?;
        if self.explanation.is_empty() { Ok(()) } else { write!(f, " ({})", self.explanation) }
    }
}

/// The payload of NLMSG_ERROR or of an NLMSG_DONE: errno, for the former the request (or only its header), then attributes.
pub(crate) fn acknowledgement(message: &Message<'_>) -> Result<(), Rejection> {
    const NLM_F_CAPPED: u16 = 0x100;
    const NLM_F_ACK_TLVS: u16 = 0x200;
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let Some(code) = word(message.payload, 0).map(u32::cast_signed).filter(|code| *code != 0) else {
        return Ok(());
    };
    let request = match word(message.payload, 4) {
        Some(length) if message.flags & NLM_F_CAPPED == 0 => usize::try_from(length).unwrap_or(usize::MAX),
        _ => MESSAGE_HEADER,
    };
    let after = request.checked_next_multiple_of(4).and_then(|length| message.payload.get(4 + length..));
    let explanation = attributes(after.filter(|_| message.flags & NLM_F_ACK_TLVS != 0).unwrap_or_default())
        .find(|(kind, _)| *kind == NLMSGERR_ATTR_MSG)
        .map(|(_, value)| text(value).to_owned());
    Err(Rejection { errno: code.saturating_neg(), explanation: explanation.unwrap_or_default() })
}

#[cfg(test)]
mod tests;
