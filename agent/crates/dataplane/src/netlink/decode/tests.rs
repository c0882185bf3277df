//! Reading hand-made and hostile octets.

use super::*;

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
    octets.extend(kind.to_ne_bytes());
    octets.extend(value);
    octets.resize(octets.len().next_multiple_of(4), 0);
    octets
}

fn message(kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.extend(u32::try_from(payload.len() + 16).unwrap().to_ne_bytes());
    octets.extend(kind.to_ne_bytes());
    octets.extend(flags.to_ne_bytes());
    octets.extend(7_u32.to_ne_bytes());
    octets.extend(0_u32.to_ne_bytes());
    octets.extend(payload);
    octets
}

fn read(octets: &[u8]) -> Option<Change> {
    messages(octets).next().as_ref().and_then(change)
}

fn link_payload(family: u8, flags: u32) -> Vec<u8> {
    let mut payload = vec![family, 0, 1, 0];
    payload.extend(5_u32.to_ne_bytes());
    payload.extend(flags.to_ne_bytes());
    payload.extend([0; 4]);
    payload.extend(attribute(libc::IFLA_IFNAME, b"vrrp4-7.abcde\0"));
    payload.extend(attribute(libc::IFLA_ADDRESS, &[0, 0, 0x5e, 0, 1, 7]));
    payload.extend(attribute(libc::IFLA_MTU, &1500_u32.to_ne_bytes()));
    payload.extend(attribute(libc::IFLA_LINK, &2_u32.to_ne_bytes()));
    payload.extend(attribute(0x7fff & ATTRIBUTE_TYPE, b"from the future"));
    payload
}

#[test]
fn a_macvlan_is_ours_only_with_our_tag() {
    let mut payload = link_payload(0, 0x41);
    payload.extend(attribute(libc::IFLA_LINKINFO | 0x8000, &attribute(libc::IFLA_INFO_KIND, b"macvlan\0")));
    let untagged = message(libc::RTM_NEWLINK, 0, &payload);
    payload.extend(attribute(libc::IFLA_IFALIAS, b"ha-agent\0"));
    let tagged = message(libc::RTM_NEWLINK, 0, &payload);
    let expected = Link {
        index: 5,
        name: "vrrp4-7.abcde".into(),
        is_up: true,
        is_running: true,
        mac: Some([0, 0, 0x5e, 0, 1, 7]),
        mtu: 1500,
        lower: Some(2),
        is_ours: true,
    };
    assert_eq!(read(&tagged), Some(Change::Link(expected.clone())));
    assert_eq!(read(&untagged), Some(Change::Link(Link { is_ours: false, ..expected })));
}

#[test]
fn a_port_that_leaves_a_bridge_is_no_link_that_has_gone() {
    let bridge = u8::try_from(libc::AF_BRIDGE).unwrap();
    assert_eq!(read(&message(libc::RTM_DELLINK, 0, &link_payload(bridge, 1))), None);
    assert_eq!(read(&message(libc::RTM_DELLINK, 0, &link_payload(0, 1))), Some(Change::LinkGone(5)));
}

#[test]
fn an_address_is_told_with_its_tag_and_flags() {
    let payload = |flags: u32, protocol: u8| {
        let mut payload = vec![2, 24, 0, 0];
        payload.extend(3_u32.to_ne_bytes());
        payload.extend(attribute(libc::IFA_ADDRESS, &[192, 0, 2, 254]));
        payload.extend(attribute(libc::IFA_LOCAL, &[192, 0, 2, 1]));
        payload.extend(attribute(libc::IFA_FLAGS, &flags.to_ne_bytes()));
        payload.extend(attribute(11, &[protocol]));
        message(libc::RTM_NEWADDR, 0, &payload)
    };
    let plain = Address {
        address: IpAddr::from([192, 0, 2, 1]),
        prefix_length: 24,
        is_ours: false,
        is_usable: true,
        is_secondary: false,
        is_leased: false,
    };
    let table = [
        (0x80, 0, plain),
        (0x80, 112, Address { is_ours: true, ..plain }),
        (0x01, 0, Address { is_secondary: true, is_leased: true, ..plain }),
        (0xc0, 0, Address { is_usable: false, ..plain }),
        (0xc4, 0, plain),
        (0x88, 0, Address { is_usable: false, ..plain }),
    ];
    for (flags, protocol, expected) in table {
        assert_eq!(read(&payload(flags, protocol)), Some(Change::Address(3, expected)), "{flags:#x}");
    }
}

#[test]
fn the_kernels_words_are_found_behind_whole_and_capped_requests() {
    let words = attribute(1, b"mtu greater than device maximum\0");
    let errno = (-22_i32).to_ne_bytes();
    let request = message(16, 0, &[9; 24]);
    let rejection = |explanation: &str| Err(Rejection { errno: 22, explanation: explanation.to_owned() });
    let told = "mtu greater than device maximum";
    let table = [
        (0x300, [&errno[..], &request[..16], &words].concat(), rejection(told)),
        (0x200, [&errno[..], &request, &words].concat(), rejection(told)),
        (0x100, [&errno[..], &request[..16], &words].concat(), rejection("")),
        (0x200, [&errno[..], &[0xff; 16], &words].concat(), rejection("")),
        (0x100, [&[0; 4], &request[..16]].concat(), Ok(())),
    ];
    for (flags, payload, expected) in table {
        let octets = message(2, flags, &payload);
        assert_eq!(acknowledgement(&messages(&octets).next().unwrap()), expected);
    }
}

#[test]
fn octets_that_are_cut_short_are_survived() {
    let whole = message(libc::RTM_NEWLINK, 0, &link_payload(0, 1));
    for length in 0..whole.len() {
        let _ = read(&whole[..length]);
        let mut lying = whole[..length].to_vec();
        if let Some(claim) = lying.first_chunk_mut::<4>() {
            *claim = u32::try_from(length).unwrap().to_ne_bytes();
        }
        for message in messages(&lying) {
            let _ = (change(&message), acknowledgement(&message));
        }
    }
    assert_eq!(messages(&[0; 64]).count(), 0);
    assert_eq!(attributes(&[0; 64]).count(), 0);
}
