//! Gratuitous ARP (RFC 5227 §3, RFC 9568 §6.4.1): a broadcast request whose sender and target are the virtual address, the
//! form that keepalived and FRR use and every stack takes in.

use std::net::Ipv4Addr;

use crate::socket::ethernet;

pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
const BROADCAST: [u8; 6] = [0xff; 6];

/// The whole frame, without padding.
pub(crate) fn gratuitous(mac: [u8; 6], address: Ipv4Addr) -> [u8; 42] {
    let mut frame = [0; 42];
    frame[..14].copy_from_slice(&ethernet(BROADCAST, mac, ETHERTYPE_ARP));
    // Ethernet, IPv4, their lengths, request.
    frame[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&mac);
    frame[28..32].copy_from_slice(&address.octets());
    frame[32..38].copy_from_slice(&BROADCAST);
    frame[38..].copy_from_slice(&address.octets());
    frame
}

#[cfg(test)]
mod tests {
    use etherparse::{ArpOperation, NetSlice, SlicedPacket};

    use super::*;

    #[test]
    fn another_implementation_reads_our_gratuitous_arp() {
        let mac = [0, 0, 0x5e, 0, 1, 7];
        let frame = gratuitous(mac, Ipv4Addr::new(192, 0, 2, 100));
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Arp(arp)) = &packet.net else { panic!("{packet:?}") };
        assert_eq!(arp.operation(), ArpOperation::REQUEST);
        assert_eq!((arp.sender_hw_addr(), arp.sender_protocol_addr()), (&mac[..], &[192, 0, 2, 100][..]));
        assert_eq!(
            (arp.target_hw_addr(), arp.target_protocol_addr()),
            (&[0xff; 6][..], &[192, 0, 2, 100][..])
        );
        assert_eq!(frame[..12], [BROADCAST, mac].concat());
    }
}
