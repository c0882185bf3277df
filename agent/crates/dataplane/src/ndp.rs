//! Unsolicited neighbour advertisement (RFC 4861 §7.2.6, RFC 9568 §6.4.1): to all nodes, overriding what they know. And the
//! question who has an address.

use std::net::Ipv6Addr;

use crate::socket::{ETHERTYPE_IPV6, checksum, ethernet, group_mac_v6, ipv6_header};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const MESSAGE: usize = 32;
const FRAME: usize = 14 + 40 + MESSAGE;

/// The whole frame. `is_router` as the node forwards IPv6 on that link: hosts drop a default router whose advertisement
/// denies it.
pub(crate) fn unsolicited(mac: [u8; 6], address: Ipv6Addr, is_router: bool) -> [u8; FRAME] {
    let flags = if is_router { 0xa0 } else { 0x20 };
    // Target link-layer address.
    frame(mac, address, ALL_NODES, message([ADVERTISEMENT, flags, 2], address, mac))
}

/// A neighbour solicitation (RFC 4861 §7.2.2) to the group of the address, from our link-local address. From the unspecified
/// address it is one of duplicate address detection (RFC 4862 §5.4.2) and does not tell our MAC.
pub(crate) fn solicitation(mac: [u8; 6], source: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    // Source link-layer address.
    let whole = message([SOLICITATION, 0, 1], target, mac);
    if source.is_unspecified() {
        return without_option(mac, group, whole);
    }
    frame(mac, source, group, whole).to_vec()
}

/// Who advertises which address in a neighbour advertisement; `None` for everything else. Only what was sent on this link counts.
pub(crate) fn advertised(frame: &[u8]) -> Option<([u8; 6], Ipv6Addr)> {
    let (ethernet, ip) = frame.split_at_checked(14)?;
    let (header, message) = ip.split_at_checked(40)?;
    let is_ours = ethernet.ends_with(&ETHERTYPE_IPV6.to_be_bytes())
        && header[6..8] == [ICMPV6, 255]
        && message.first() == Some(&ADVERTISEMENT);
    let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    // Target link-layer address, or who sent the frame.
    let told = message.get(24..32).filter(|option| option.starts_with(&[2, 1])).map(|option| &option[2..]);
    let mac: [u8; 6] = told.unwrap_or(&ethernet[6..12]).try_into().ok()?;
    is_ours.then_some((mac, target.into()))
}

/// Type, flags, the address and one option with a MAC address, without checksum.
fn message([kind, flags, option]: [u8; 3], target: Ipv6Addr, mac: [u8; 6]) -> [u8; MESSAGE] {
    let mut message = [0; MESSAGE];
    message[0] = kind;
    message[4] = flags;
    message[8..24].copy_from_slice(&target.octets());
    // One unit of eight octets.
    message[24..26].copy_from_slice(&[option, 1]);
    message[26..].copy_from_slice(&mac);
    message
}

fn frame(mac: [u8; 6], source: Ipv6Addr, group: Ipv6Addr, mut message: [u8; MESSAGE]) -> [u8; FRAME] {
    let header = complete(source, group, &mut message);
    let mut frame = [0; FRAME];
    frame[..14].copy_from_slice(&ethernet(group_mac_v6(group), mac, ETHERTYPE_IPV6));
    frame[14..54].copy_from_slice(&header);
    frame[54..].copy_from_slice(&message);
    frame
}

/// "The Source Link-Layer Address option MUST NOT be included when the source IP address is the unspecified address."
fn without_option(mac: [u8; 6], group: Ipv6Addr, mut message: [u8; MESSAGE]) -> Vec<u8> {
    let bare = &mut message[..MESSAGE - 8];
    let header = complete(Ipv6Addr::UNSPECIFIED, group, bare);
    [&ethernet(group_mac_v6(group), mac, ETHERTYPE_IPV6)[..], &header, bare].concat()
}

/// Puts the checksum into a message; returns the header before it.
fn complete(source: Ipv6Addr, group: Ipv6Addr, message: &mut [u8]) -> [u8; 40] {
    let length = message.len();
    let header = ipv6_header(source, group, 255, ICMPV6, length).expect("32 octets fit into a packet");
    let mut pseudo = [0; 40];
    pseudo[..32].copy_from_slice(&header[8..]);
    pseudo[35] = length as u8;
    pseudo[39] = ICMPV6;
    let sum = checksum(&[&pseudo, message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use etherparse::{Icmpv6Type, NetSlice, SlicedPacket, TransportSlice};

    use super::*;

    #[test]
    fn another_implementation_reads_our_neighbour_advertisement() {
        let (mac, address) = ([0, 0, 0x5e, 0, 2, 7], "2001:db8::100".parse::<Ipv6Addr>().unwrap());
        for is_router in [false, true] {
            let frame = unsolicited(mac, address, is_router);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
            let header = ip.header();
            assert_eq!((header.hop_limit(), header.source_addr()), (255, address));
            assert_eq!(header.destination_addr(), ALL_NODES);
            let Some(TransportSlice::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
            assert!(icmp.is_checksum_valid(header.source(), header.destination()));
            let Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else { panic!("{icmp:?}") };
            assert_eq!((flags.router, flags.solicited, flags.r#override), (is_router, false, true));
            assert_eq!(icmp.payload(), [&address.octets()[..], &[2, 1], &mac].concat());
            assert_eq!(frame[..12], [[0x33, 0x33, 0, 0, 0, 1], mac].concat());
        }
    }

    #[test]
    fn another_implementation_reads_our_neighbour_solicitation() {
        let (mac, target) = ([2, 0, 0, 0, 0, 9], "2001:db8::12:3456".parse::<Ipv6Addr>().unwrap());
        for (source, option) in [("fe80::9", &[1, 1, 2, 0, 0, 0, 0, 9][..]), ("::", &[][..])] {
            let frame = solicitation(mac, source.parse().unwrap(), target);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("{packet:?}") };
            let header = ip.header();
            assert_eq!(header.destination_addr().to_string(), "ff02::1:ff12:3456");
            assert_eq!(header.hop_limit(), 255);
            let Some(TransportSlice::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
            assert!(icmp.is_checksum_valid(header.source(), header.destination()));
            assert!(matches!(icmp.icmp_type(), Icmpv6Type::NeighborSolicitation), "{icmp:?}");
            assert_eq!(icmp.payload(), [&target.octets()[..], option].concat());
            assert_eq!(frame[..12], [[0x33, 0x33, 0xff, 0x12, 0x34, 0x56], mac].concat());
        }
    }

    #[test]
    fn an_advertisement_tells_who_has_the_address_and_nothing_else_does() {
        let (mac, address) = ([0, 0, 0x5e, 0, 2, 7], "2001:db8::100".parse::<Ipv6Addr>().unwrap());
        let frame = unsolicited(mac, address, false);
        assert_eq!(advertised(&frame), Some((mac, address)));
        let mut without_option = frame[..78].to_vec();
        without_option[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        assert_eq!(advertised(&without_option), Some(([2, 0, 0, 0, 0, 1], address)));
        let mut routed = frame;
        routed[21] = 254;
        assert_eq!(advertised(&routed), None);
        assert_eq!(advertised(&solicitation(mac, address, address)), None);
        (0..78).for_each(|cut| assert_eq!(advertised(&frame[..cut]), None, "{cut}"));
    }
}
