//! ARP: probes that ask who has an address, and what such a frame says. Gratuitous ARP (RFC 5227 §3, RFC 9568 §6.4.1): a broadcast request whose sender and target are the virtual address, the
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

/// An ARP probe (RFC 5227 §2.1.1): a request whose sender address is 0.0.0.0, so that nobody learns anything from it.
pub(crate) fn probe(mac: [u8; 6], target: Ipv4Addr) -> [u8; 42] {
    let mut frame = gratuitous(mac, target);
    frame[28..32].fill(0);
    // "The 'target hardware address' field is ignored and SHOULD be set to all zeroes."
    frame[32..38].fill(0);
    frame
}

/// Who speaks in an ARP frame, and for which address; `None` for what is no ARP for IPv4 over Ethernet, or a probe.
pub(crate) fn sender(frame: &[u8]) -> Option<([u8; 6], Ipv4Addr)> {
    let (ethernet, arp) = frame.split_at_checked(14)?;
    let is_arp = ethernet.ends_with(&ETHERTYPE_ARP.to_be_bytes()) && arp.starts_with(&[0, 1, 8, 0, 6, 4, 0]);
    let mac: [u8; 6] = arp.get(8..14)?.try_into().ok()?;
    let address: [u8; 4] = arp.get(14..18)?.try_into().ok()?;
    (is_arp && address != [0; 4]).then_some((mac, address.into()))
}

#[cfg(test)]
mod tests {
    use etherparse::{ArpOperation, NetSlice, SlicedPacket};

    use super::*;

    #[test]
    fn another_implementation_reads_our_probe_and_we_read_an_answer() {
        let (mac, address) = ([2, 0, 0, 0, 0, 9], Ipv4Addr::new(192, 0, 2, 100));
        let frame = probe(mac, address);
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Arp(arp)) = &packet.net else { panic!("{packet:?}") };
        assert_eq!(arp.operation(), ArpOperation::REQUEST);
        assert_eq!((arp.sender_hw_addr(), arp.sender_protocol_addr()), (&mac[..], &[0; 4][..]));
        assert_eq!((arp.target_hw_addr(), arp.target_protocol_addr()), (&[0; 6][..], &address.octets()[..]));
        assert_eq!(sender(&frame), None, "a probe claims nothing");
        assert_eq!(sender(&gratuitous(mac, address)), Some((mac, address)));
        for cut in 0..32 {
            assert_eq!(sender(&gratuitous(mac, address)[..cut]), None, "{cut}");
        }
    }

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
