//! A laboratory network: nodes and a client on one or more bridges, every party a namespace of its own.
//!
//! ```text
//!   node 0      node 1      node 2      client        each a namespace; links eth0, eth1, ...
//!     |eth0       |eth0       |eth0       |eth0
//!   n0l0        n1l0        n2l0        cl0           ports in the switch namespace
//!     +-----------+-----br0---+-----------+           one bridge per link number
//! ```
//! Addresses can be read: link L is 10.(80+L).0.0/16 and fd00:(80+L)::/64, node N has .0.(N+1) and ::(N+1),
//! the client .0.250 and ::fa, virtual addresses are .1.K and ::1:K; MACs are 02:00:00:00:0L:0(N+1).

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use crate::{Mac, Namespace, Scratch, wait_for};

const CLIENT: u8 = 249;
const SOON: Duration = Duration::from_secs(20);
const FIRST_NET: u8 = 80;

/// The network. Dropping it kills everything inside and removes it.
#[derive(Debug)]
pub struct Lab {
    nodes: Vec<Node>,
    /// Where the probers and pingers live.
    pub client: Namespace,
    /// Where the bridges `br0`, `br1`... are; capture there to see every frame once.
    pub switch: Namespace,
    links: u8,
    // Last, so that the folder outlives what writes into it.
    scratch: Scratch,
}

/// One node of the cluster.
#[derive(Debug)]
pub struct Node {
    index: u8,
    /// Its namespace.
    pub space: Namespace,
}

impl Lab {
    /// Builds a network of `nodes` nodes and a client on `links` bridges.
    #[track_caller]
    pub fn new(nodes: u8, links: u8) -> Self {
        assert!(nodes < CLIENT && links > 0 && links < 100, "a lab of {nodes} nodes and {links} links");
        let scratch = Scratch::new();
        let switch = Namespace::create(&format!("{}-switch", scratch.name()));
        let client = Namespace::create(&format!("{}-client", scratch.name()));
        let make = |index| Node { index, space: Namespace::create(&format!("{}-n{index}", scratch.name())) };
        let lab = Self { nodes: (0..nodes).map(make).collect(), client, switch, links, scratch };
        lab.connect();
        lab
    }

    /// Node `index`, from 0.
    #[track_caller]
    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    /// All nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The folder of this lab.
    pub fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The client's address on link `link`.
    pub fn client_address4(&self, link: u8) -> Ipv4Addr {
        address4(link, CLIENT)
    }

    /// Virtual IPv4 address `number` of link `link`.
    pub fn vip4(&self, link: u8, number: u16) -> Ipv4Addr {
        let [high, low] = number.to_be_bytes();
        Ipv4Addr::new(10, FIRST_NET + link, 1 + high, low)
    }

    /// Virtual IPv6 address `number` of link `link`.
    pub fn vip6(&self, link: u8, number: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, readable(FIRST_NET + link), 0, 0, 0, 0, 1, number)
    }

    /// The nodes whose kernel carries `address`, by index: who holds it, whatever anyone claims.
    #[track_caller]
    pub fn holders(&self, address: impl Into<IpAddr>) -> Vec<usize> {
        let address = address.into();
        (0..self.nodes.len()).filter(|index| self.node(*index).space.has_address(address)).collect()
    }

    /// The node that has this MAC on any link.
    pub fn node_of(&self, mac: Mac) -> Option<usize> {
        let is_theirs = |node: &Node| (0..self.links).any(|link| node.mac(link) == mac);
        self.nodes.iter().position(is_theirs)
    }

    fn connect(&self) {
        let mut bridges = String::new();
        for link in 0..self.links {
            writeln!(bridges, "link add br{link} type bridge forward_delay 0 stp_state 0 mcast_snooping 0")
                .and_then(|()| writeln!(bridges, "link set br{link} up"))
                .expect("writing to a String cannot fail");
        }
        self.switch.sysctl("ipv6/conf/default/disable_ipv6", "1");
        // A switch does not ask a firewall; where the kernel has no such hook there is nothing to turn off.
        let hook = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        let _ = self.switch.run(|| std::fs::write(hook, "0"));
        self.switch.ip_batch(&bridges);
        for node in &self.nodes {
            prepare(&node.space);
            (0..self.links).for_each(|link| self.plug_in(&node.space, link, node.index, &node.port(link)));
        }
        prepare(&self.client);
        (0..self.links).for_each(|link| self.plug_in(&self.client, link, CLIENT, &format!("cl{link}")));
        // The kernel makes these on its own, a moment later; nobody may take them for something new.
        let have_all =
            |node: &Node| (0..self.links).all(|link| node.space.has_address(node.link_local(link).into()));
        wait_for("the link-local addresses", SOON, || self.nodes.iter().all(have_all));
    }

    fn plug_in(&self, space: &Namespace, link: u8, host: u8, port: &str) {
        let mac = mac_of(link, host);
        self.switch.ip_batch(&format!(
            "link add {port} type veth peer name eth{link} address {mac} netns {}\n\
             link set {port} master br{link} up\n",
            space.name()
        ));
        space.ip_batch(&format!(
            "address add {}/16 dev eth{link}\naddress add {}/64 dev eth{link} nodad\nlink set eth{link} up\n",
            address4(link, host),
            address6(link, host)
        ));
    }

    /// Makes link `link` of a node anew, as after a delete: same name, new index, same MAC and addresses.
    #[track_caller]
    pub fn recreate_link(&self, node: &Node, link: u8) {
        self.plug_in(&node.space, link, node.index, &node.port(link));
    }
}

impl Node {
    /// Its number, from 0.
    pub fn index(&self) -> usize {
        usize::from(self.index)
    }

    /// Its own IPv4 address on a link.
    pub fn address4(&self, link: u8) -> Ipv4Addr {
        address4(link, self.index)
    }

    /// Its own global IPv6 address on a link.
    pub fn address6(&self, link: u8) -> Ipv6Addr {
        address6(link, self.index)
    }

    /// Its link-local address on a link, made from the MAC (EUI-64).
    pub fn link_local(&self, link: u8) -> Ipv6Addr {
        self.mac(link).link_local()
    }

    /// Its MAC on a link.
    pub fn mac(&self, link: u8) -> Mac {
        mac_of(link, self.index)
    }

    /// The name of its port in the switch namespace.
    pub fn port(&self, link: u8) -> String {
        format!("n{}l{link}", self.index)
    }
}

/// Quiet and quick: no duplicate address detection before an address works, no router solicitations.
fn prepare(space: &Namespace) {
    for scope in ["all", "default"] {
        space.sysctl(&format!("ipv6/conf/{scope}/accept_dad"), "0");
        space.sysctl(&format!("ipv6/conf/{scope}/router_solicitations"), "0");
        space.sysctl(&format!("ipv6/conf/{scope}/addr_gen_mode"), "0");
    }
}

fn address4(link: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, FIRST_NET + link, 0, host + 1)
}

fn address6(link: u8, host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, readable(FIRST_NET + link), 0, 0, 0, 0, 0, u16::from(host) + 1)
}

/// 80 becomes 0x80, so that the text of an IPv6 address shows the same digits as the IPv4 one.
fn readable(number: u8) -> u16 {
    let number = u16::from(number);
    number / 100 * 256 + number / 10 % 10 * 16 + number % 10
}

fn mac_of(link: u8, host: u8) -> Mac {
    Mac([2, 0, 0, 0, link, host + 1])
}
