//! Who answers for an address on a link: an ARP probe (RFC 5227 §2.1.1) or a neighbour solicitation (RFC 4861 §7.2.2),
//! and everything that is heard until the time is up. Uses sockets of its own and the thread of its caller, who waits. The kernel
//! does not hear what it sends itself, so this node's own address stays silent here: whoever answers is somebody else.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::ifaddrs::getifaddrs;
use socket2::{Domain, SockFilter, Socket, Type};

use crate::arp::{self, ETHERTYPE_ARP};
use crate::capability::Capability;
use crate::error::Error;
use crate::ndp;
use crate::socket::{ETHERTYPE_IPV6, Name};

/// Answers kept; more tell nothing new.
const MOST_HEARD: usize = 64;
/// Longer frames are cut: what matters stands in front.
const LONGEST: usize = 256;
/// The shortest wait that the kernel is asked for.
const TICK: Duration = Duration::from_millis(1);

/// What a link answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkAnswers {
    /// This node's own MAC address on the link.
    pub mac: [u8; 6],
    /// Who answered for what, in the order in which they were heard first.
    pub heard: Vec<Heard>,
}

/// Somebody who answered for an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The address that was asked for.
    pub address: IpAddr,
    /// Who says to have it.
    pub mac: [u8; 6],
    /// Since the first question.
    pub after: Duration,
}

/// Asks a link for addresses of one family, once and, those that nobody answered for, a second time after a third of `patience`;
/// then listens until `patience` is over. Blocks for as long.
///
/// # Errors
/// When the link is not there, has no Ethernet address, or the kernel refuses a socket.
pub fn who_has(interface: &str, addresses: &[IpAddr], patience: Duration) -> Result<LinkAnswers, Error> {
    let refused = |what: &'static str| {
        let action = format!("ask {interface} who has an address ({what})");
        move |source| Error::new(action.clone(), Capability::NetRaw, source)
    };
    let link = Link::find(interface).map_err(refused("find the link"))?;
    let Some(first) = addresses.first() else { return Ok(LinkAnswers { mac: link.mac, heard: Vec::new() }) };
    let mut inquiry = Inquiry {
        socket: open(&link, first.is_ipv6()).map_err(refused("open a packet socket"))?,
        link,
        asked: addresses,
        began: Instant::now(),
        heard: BTreeMap::new(),
    };
    inquiry.ask(addresses).map_err(refused("send"))?;
    inquiry.listen(patience / 3).map_err(refused("listen"))?;
    let silent: Vec<IpAddr> =
        addresses.iter().copied().filter(|address| !inquiry.is_answered(*address)).collect();
    inquiry.ask(&silent).map_err(refused("send"))?;
    inquiry.listen(patience).map_err(refused("listen"))?;
    Ok(inquiry.finish())
}

/// What is needed of a link.
struct Link {
    index: u32,
    mac: [u8; 6],
    /// Source of neighbour solicitations; unspecified when there is none.
    link_local: Ipv6Addr,
}

impl Link {
    fn find(interface: &str) -> io::Result<Self> {
        let own = getifaddrs().map_err(io::Error::from)?.filter(|entry| entry.interface_name == interface);
        let (mut ethernet, mut link_local) = (None, None);
        for address in own.filter_map(|entry| entry.address) {
            if let Some(link) = address.as_link_addr() {
                ethernet = link.addr().zip(u32::try_from(link.ifindex()).ok());
            }
            let six = address.as_sockaddr_in6().map(|six| six.ip());
            link_local = link_local.or(six.filter(Ipv6Addr::is_unicast_link_local));
        }
        let missing = || io::Error::new(ErrorKind::NotFound, "there is no such Ethernet link");
        let (mac, index) = ethernet.ok_or_else(missing)?;
        Ok(Self { index, mac, link_local: link_local.unwrap_or(Ipv6Addr::UNSPECIFIED) })
    }
}

/// A packet socket that hears ARP, or neighbour advertisements, on one link. The filter is there before the first packet.
fn open(link: &Link, is_ipv6: bool) -> io::Result<Socket> {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const NEXT_HEADER: u32 = 20;
    const ICMPV6_TYPE: u32 = 54;
    let socket = Socket::new(Domain::PACKET, Type::RAW.cloexec(), None)?;
    let neighbours = [
        SockFilter::new(LOAD_BYTE, 0, 0, NEXT_HEADER),
        SockFilter::new(JUMP_IF_EQUAL, 0, 3, 58),
        SockFilter::new(LOAD_BYTE, 0, 0, ICMPV6_TYPE),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, 136),
        SockFilter::new(RETURN, 0, 0, LONGEST as u32),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    // The socket's protocol lets nothing but ARP in: all of it is wanted.
    socket.attach_filter(if is_ipv6 { &neighbours } else { &neighbours[4..5] })?;
    let ethertype = if is_ipv6 { ETHERTYPE_IPV6 } else { ETHERTYPE_ARP };
    Name::link(link.index, ethertype).bind(socket.as_fd())?;
    Ok(socket)
}

/// A question that has been asked, and what came of it.
struct Inquiry<'a> {
    socket: Socket,
    link: Link,
    /// What else is said on a busy link must not fill the table.
    asked: &'a [IpAddr],
    began: Instant,
    heard: BTreeMap<(IpAddr, [u8; 6]), Duration>,
}

impl Inquiry<'_> {
    fn ask(&mut self, addresses: &[IpAddr]) -> io::Result<()> {
        for address in addresses {
            // A packet socket that is bound sends on its link.
            match address {
                IpAddr::V4(address) => self.socket.write(&arp::probe(self.link.mac, *address))?,
                IpAddr::V6(address) => {
                    let frame = ndp::solicitation(self.link.mac, self.link.link_local, *address);
                    self.socket.write(&frame)?
                }
            };
        }
        Ok(())
    }

    /// Hears what comes until this long after the beginning.
    fn listen(&mut self, until: Duration) -> io::Result<()> {
        let mut octets = [0; LONGEST];
        loop {
            let left = until.saturating_sub(self.began.elapsed());
            if left < TICK {
                return Ok(());
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.read(&mut octets) {
                Ok(length) => self.hear(octets.get(..length).unwrap_or_default()),
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn hear(&mut self, frame: &[u8]) {
        let said = arp::sender(frame)
            .map(|(mac, address)| (mac, IpAddr::from(address)))
            .or_else(|| ndp::advertised(frame).map(|(mac, address)| (mac, address.into())));
        let is_answer =
            |(mac, address): &([u8; 6], IpAddr)| *mac != self.link.mac && self.asked.contains(address);
        let Some((mac, address)) = said.filter(is_answer) else { return };
        let after = self.began.elapsed();
        if self.heard.len() < MOST_HEARD {
            self.heard.entry((address, mac)).or_insert(after);
        }
    }

    fn is_answered(&self, address: IpAddr) -> bool {
        self.heard.range((address, [0; 6])..=(address, [0xff; 6])).next().is_some()
    }

    fn finish(self) -> LinkAnswers {
        let heard = self.heard.into_iter().map(|((address, mac), after)| Heard { address, mac, after });
        let mut heard: Vec<Heard> = heard.collect();
        heard.sort_by_key(|heard| heard.after);
        LinkAnswers { mac: self.link.mac, heard }
    }
}

/// Whether a MAC address is that of a virtual router (RFC 9568 §7.3).
pub fn is_virtual_mac(mac: [u8; 6]) -> bool {
    matches!(mac, [0, 0, 0x5e, 0, 1 | 2, _])
}
