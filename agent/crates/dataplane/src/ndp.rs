//! Unsolicited neighbour advertisement (RFC 4861 §7.2.6, RFC 9568 §6.4.1): to all nodes, overriding what they know.

use std::net::Ipv6Addr;

use crate::socket::{ETHERTYPE_IPV6, checksum, ethernet, group_mac_v6, ipv6_header};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ICMPV6: u8 = 58;
const MESSAGE: usize = 32;
const FRAME: usize = 14 + 40 + MESSAGE;

/// The whole frame. `is_router` as the node forwards IPv6 on that link: hosts drop a default router whose advertisement
/// denies it.
pub(crate) fn unsolicited(mac: [u8; 6], address: Ipv6Addr, is_router: bool) -> [u8; FRAME] {
    let header = ipv6_header(address, ALL_NODES, 255, ICMPV6, MESSAGE).expect("32 octets fit into a packet");
    let mut message = [0; MESSAGE];
    message[0] = 136;
    message[4] = if is_router { 0xa0 } else { 0x20 };
    message[8..24].copy_from_slice(&address.octets());
    // Target link-layer address, one unit of eight octets.
    message[24..26].copy_from_slice(&[2, 1]);
    message[26..].copy_from_slice(&mac);
    let mut pseudo = [0; 40];
    pseudo[..32].copy_from_slice(&header[8..]);
    pseudo[35] = MESSAGE as u8;
    pseudo[39] = ICMPV6;
    let sum = checksum(&[&pseudo, &message]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = [0; FRAME];
    frame[..14].copy_from_slice(&ethernet(group_mac_v6(ALL_NODES), mac, ETHERTYPE_IPV6));
    frame[14..54].copy_from_slice(&header);
    frame[54..].copy_from_slice(&message);
    frame
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
}
