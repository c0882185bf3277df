//! `route`: a route is in the kernel's table and leads somewhere: its gateway and link are those wanted, and the link is up.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use crate::attempt::{Reason, Trouble};
use crate::course::Course;
use crate::errno;
use crate::failure::{Failure, Success};
use crate::follower::{self, Look};
use crate::interface::check_name;
use crate::netlink::{
    Attributes, GET_ROUTE, NEW_ROUTE, Notices, Request, Topic, ask, attributes, number, push_attribute,
};
use crate::spec::Invalid;

/// A route is present.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The network, exactly as it stands in the table: its address and the length of its prefix.
    pub destination: (IpAddr, u8),
    /// The gateway it leads to; `None` = any or none. Of several next hops one is enough.
    pub gateway: Option<IpAddr>,
    /// The link it leads through; `None` = any.
    pub interface: Option<String>,
    /// The table; 254 is the main one.
    pub table: u32,
}

#[derive(Debug)]
pub(crate) struct Compiled {
    spec: Route,
}

/// A route check, followed.
pub(crate) type Follower = follower::Follower<Compiled, Notices>;

impl Compiled {
    pub(crate) fn new(spec: Route) -> Result<Arc<Self>, Invalid> {
        let (address, length) = spec.destination;
        if length > longest(address) {
            let text = format!("{address} has no prefix of {length} bits; use 0..{}", longest(address));
            return Err(Invalid::new("destination", text));
        }
        let network = network(address, length);
        if network != address {
            let text = format!("{address}/{length} has bits beyond its prefix; write {network}/{length}");
            return Err(Invalid::new("destination", text));
        }
        spec.interface.as_deref().map_or(Ok(()), check_name)?;
        Ok(Arc::new(Self { spec }))
    }

    pub(crate) fn follow(self: &Arc<Self>) -> Follower {
        let (address, length) = self.spec.destination;
        Follower::new(Arc::clone(self), Notices::new(Topic::Route(address, length)))
    }

    pub(crate) async fn run(self: &Arc<Self>, course: &mut Course) -> Result<Success, Failure> {
        course.enter("look");
        follower::look(self).await
    }

    fn judge(&self, found: &[Hop], index: Option<u32>) -> Result<Success, Failure> {
        let Route { destination: (address, length), gateway, interface, table } = &self.spec;
        let what = format!("{address}/{length} in table {table}");
        if found.is_empty() {
            return Err(Failure::failed(Reason::Missing, format!("no route to {what}")));
        }
        let is_wanted = |hop: &&Hop| {
            (gateway.is_none() || hop.gateway == *gateway)
                && (interface.is_none() || (index.is_some() && hop.link == index))
        };
        let list = |hops: &mut dyn Iterator<Item = &Hop>| {
            const SHOWN: usize = 4;
            hops.take(SHOWN).map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        if let Some(hop) = found.iter().filter(is_wanted).find(|hop| hop.is_usable) {
            return Ok(Success::new(format!("route to {what} {hop}")));
        }
        let (reason, hops) = match found.iter().filter(is_wanted).count() {
            0 => (Reason::WrongAnswer, list(&mut found.iter())),
            _ => (Reason::Down, list(&mut found.iter().filter(is_wanted))),
        };
        Err(Failure::failed(reason, format!("route to {what} {hops}{}", self.wanted())))
    }

    /// ", via 10.0.0.1 dev eth0 wanted", when anything is.
    fn wanted(&self) -> String {
        let gateway = self.spec.gateway.map(|gateway| format!(" via {gateway}"));
        let link = self.spec.interface.as_ref().map(|name| format!(" dev {name}"));
        match (gateway, link) {
            (None, None) => String::new(),
            (gateway, link) => format!(",{}{} wanted", gateway.unwrap_or_default(), link.unwrap_or_default()),
        }
    }
}

impl Look for Compiled {
    fn look(&self) -> Result<Success, Failure> {
        let (address, length) = self.spec.destination;
        let index = self.spec.interface.as_deref().map(nix::net::if_::if_nametoindex);
        match find(address, length, self.spec.table) {
            Ok(found) => self.judge(&found, index.and_then(Result::ok)),
            Err(error) => {
                let text =
                    format!("cannot read the routes of table {}: {}", self.spec.table, errno::words(&error));
                Err(Failure::trouble(Trouble::Kernel, text))
            }
        }
    }
}

/// Where a route leads: one of its next hops.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Hop {
    gateway: Option<IpAddr>,
    link: Option<u32>,
    /// The route leads somewhere (it is no `unreachable`, `blackhole`, ...), over a link that is up.
    is_usable: bool,
    /// What it is instead.
    word: &'static str,
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(index) = self.link {
            let name = nix::net::if_::if_indextoname(index).ok();
            let name = name.and_then(|name| name.into_string().ok());
            write!(f, " dev {}", name.unwrap_or_else(|| format!("#{index}")))?;
        }
        Ok(())
    }
}

/// Next hops that are considered of all routes to a network.
const MOST_HOPS: usize = 256;

/// All next hops of the routes to exactly this network.
fn find(address: IpAddr, length: u8, table: u32) -> io::Result<Vec<Hop>> {
    let mut found = Vec::new();
    let asked = ask(&request(address, table), |message| {
        let is_there = message.kind == NEW_ROUTE
            && is_about(message.body, address, length)
            && table_of(message.body) == Some(table);
        if is_there && found.len() < MOST_HOPS {
            hops(message.body, &mut found);
        }
    });
    match asked {
        // A table that nobody has put a route into.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(found),
        Err(error) => Err(error),
        Ok(()) => Ok(found),
    }
}

/// rtmsg: family, destination and source length, tos, table, protocol, scope, type, flags.
const RTMSG: usize = 12;

fn request(address: IpAddr, table: u32) -> Request {
    let mut body = vec![0; RTMSG];
    if let Some(first) = body.first_mut() {
        *first = family(address);
    }
    push_attribute(&mut body, libc::RTA_TABLE, &table.to_ne_bytes());
    Request { kind: GET_ROUTE, is_dump: true, body }
}

fn family(address: IpAddr) -> u8 {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    u8::try_from(family).unwrap_or_default()
}

/// Whether a message about a route is about the one to this network. Copies that the kernel keeps for its own use are not.
pub(crate) fn is_about(body: &[u8], address: IpAddr, length: u8) -> bool {
    /// RTM_F_CLONED
    const CLONED: u32 = 0x200;
    let Some(&[own_family, own_length, source_length, ..]) = body.first_chunk::<RTMSG>() else {
        return false;
    };
    let flags = number(body, 8).unwrap_or_default();
    if (own_family, own_length, source_length) != (family(address), length, 0) || flags & CLONED != 0 {
        return false;
    }
    match attributes(body, RTMSG).get(libc::RTA_DST) {
        Some(octets) => address_of(octets) == Some(address),
        None => length == 0,
    }
}

fn table_of(body: &[u8]) -> Option<u32> {
    let table = attributes(body, RTMSG).get(libc::RTA_TABLE).and_then(|octets| number(octets, 0));
    table.or_else(|| body.get(4).copied().map(u32::from))
}

fn address_of(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        _ => None,
    }
}

fn hops(body: &[u8], found: &mut Vec<Hop>) {
    let (is_usable, word) = match body.get(7).copied().unwrap_or_default() {
        libc::RTN_UNICAST => (true, "leads"),
        libc::RTN_LOCAL => (true, "is local"),
        libc::RTN_BLACKHOLE => (false, "is a blackhole"),
        libc::RTN_UNREACHABLE => (false, "is `unreachable`"),
        libc::RTN_PROHIBIT => (false, "is `prohibit`"),
        libc::RTN_THROW => (false, "is `throw`"),
        _ => (false, "is of another type"),
    };
    let own = attributes(body, RTMSG);
    let hop = |attributes: &Attributes<'_>, link: Option<u32>, flags: u32| {
        let is_dead = flags & DEAD != 0;
        let word = if is_dead && is_usable { "over a dead link leads" } else { word };
        Hop { gateway: gateway(attributes), link, is_usable: is_usable && !is_dead, word }
    };
    match own.get(libc::RTA_MULTIPATH) {
        None => {
            let link = own.get(libc::RTA_OIF).and_then(|octets| number(octets, 0));
            found.push(hop(&own, link, number(body, 8).unwrap_or_default()));
        }
        Some(mut rest) => {
            // rtnexthop: length, flags, weight, link, attributes
            while let Some(&[low, high, flags, ..]) = rest.first_chunk::<8>() {
                let length = usize::from(u16::from_ne_bytes([low, high]));
                let Some(next) = rest.get(..length).filter(|next| next.len() >= 8) else { break };
                found.push(hop(&attributes(next, 8), number(next, 4), u32::from(flags)));
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
    found.truncate(MOST_HOPS);
}

/// RTNH_F_DEAD and RTNH_F_LINKDOWN
const DEAD: u32 = 1 | 16;

/// A gateway of the route's own family, or of another (RFC 5549), which the kernel calls `via`.
fn gateway(attributes: &Attributes<'_>) -> Option<IpAddr> {
    /// RTA_VIA
    const VIA: u16 = 18;
    let own = attributes.get(libc::RTA_GATEWAY).and_then(address_of);
    own.or_else(|| address_of(attributes.get(VIA)?.get(2..)?))
}

fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address with all bits beyond the prefix zero.
fn network(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_as_it_stands_in_the_table() {
        let cases = [
            ("10.0.0.0", 8, true),
            ("10.0.0.1", 8, false),
            ("10.0.0.1", 32, true),
            ("0.0.0.0", 0, true),
            ("10.0.0.0", 33, false),
            ("::", 0, true),
            ("2001:db8::", 32, true),
            ("2001:db8::1", 64, false),
            ("2001:db8::1", 128, true),
            ("2001:db8::", 129, false),
        ];
        for (address, length, is_valid) in cases {
            let destination = (address.parse().unwrap(), length);
            let spec = Route { destination, gateway: None, interface: None, table: 254 };
            assert_eq!(Compiled::new(spec).is_ok(), is_valid, "{address}/{length}");
        }
    }

    #[test]
    fn whatever_a_message_says_it_is_read_without_harm() {
        let mut body = vec![libc::AF_INET as u8, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let hop: [&[u8]; 2] = [&[16, 0, 0, 0, 2, 0, 0, 0], &[8, 0, 5, 0, 10, 0, 0, 1]];
        push_attribute(&mut body, libc::RTA_MULTIPATH, &[hop.concat(), hop.concat()].concat());
        for end in 0..=body.len() {
            let mut found = Vec::new();
            let cut = &body[..end];
            let _ = is_about(cut, IpAddr::from([0; 4]), 0);
            hops(cut, &mut found);
            assert!(found.len() <= 2);
        }
        let mut found = Vec::new();
        hops(&body, &mut found);
        let expected =
            Hop { gateway: Some(IpAddr::from([10, 0, 0, 1])), link: Some(2), is_usable: true, word: "leads" };
        assert_eq!(found, [expected.clone(), expected]);
    }
}
