//! Who put an address there (IFA_PROTO), which Debian 12's `ip` neither shows nor sets; written and read by
//! netlink-packet-route.

use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use crate::fixture::addresses;
use crate::namespace::Namespace;

/// Adds an address with a tag.
pub(crate) fn add(namespace: &Namespace, link: &'static str, text: &str, protocol: u8) {
    let (index, address) = (namespace.index(link), addresses(&[text])[0].clone());
    let mut message = AddressMessage::default();
    message.header.index = index;
    message.header.prefix_len = address.prefix_length;
    message.header.family =
        if address.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.attributes = vec![
        AddressAttribute::Local(address.address),
        AddressAttribute::Address(address.address),
        AddressAttribute::Protocol(AddressProtocol::Other(protocol)),
    ];
    let answers = ask(namespace, RouteNetlinkMessage::NewAddress(message), NLM_F_ACK | NLM_F_CREATE);
    assert!(matches!(&answers[..], [NetlinkPayload::Error(error)] if error.code.is_none()), "{answers:?}");
}

/// Addresses of a link that carry our tag, with their prefix lengths.
pub(crate) fn ours(namespace: &Namespace, link: &'static str) -> Vec<String> {
    let index = namespace.index(link);
    let tag = AddressAttribute::Protocol(AddressProtocol::Other(ha_dataplane::ADDRESS_PROTOCOL));
    let dump = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    let answers = ask(namespace, dump, NLM_F_DUMP);
    let each = answers.into_iter().filter_map(|answer| match answer {
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(message)) => Some(message),
        _ => None,
    });
    each.filter(|message| message.header.index == index && message.attributes.contains(&tag))
        .map(|message| {
            let address = message.attributes.iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(address) => Some(*address),
                _ => None,
            });
            format!("{}/{}", address.unwrap(), message.header.prefix_len)
        })
        .collect()
}

fn ask(
    namespace: &Namespace,
    message: RouteNetlinkMessage,
    flags: u16,
) -> Vec<NetlinkPayload<RouteNetlinkMessage>> {
    namespace.run(move || {
        let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
        socket.bind_auto().unwrap();
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::from(message));
        request.finalize();
        let mut octets = vec![0; request.buffer_len()];
        request.serialize(&mut octets);
        socket.send_to(&octets, &SocketAddr::new(0, 0), 0).unwrap();
        let mut answers = Vec::new();
        loop {
            let (datagram, _) = socket.recv_from_full().unwrap();
            let mut rest = &datagram[..];
            while !rest.is_empty() {
                let answer = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest).unwrap();
                let length = usize::try_from(answer.header.length).unwrap().next_multiple_of(4);
                rest = rest.get(length..).unwrap_or_default();
                let is_last = matches!(answer.payload, NetlinkPayload::Done(_) | NetlinkPayload::Error(_));
                answers.push(answer.payload);
                if is_last {
                    return answers;
                }
            }
        }
    })
}
