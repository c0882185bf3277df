//! Faults of the network: unplugged, cut, deaf, lossy, deleted, renamed.

use std::net::IpAddr;

use crate::{Lab, Node};

/// Which way VRRP is cut at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The node hears nothing.
    In,
    /// Nobody hears the node.
    Out,
    /// Neither.
    Both,
}

impl Direction {
    fn hooks(self) -> &'static [&'static str] {
        match self {
            Self::In => &["input"],
            Self::Out => &["output"],
            Self::Both => &["input", "output"],
        }
    }
}

impl Lab {
    /// Pulls the cable at the switch: the node sees its carrier go.
    #[track_caller]
    pub fn unplug(&self, node: &Node, link: u8) {
        self.switch.ip(&format!("link set {} down", node.port(link)));
    }

    /// Plugs the cable back in.
    #[track_caller]
    pub fn plug(&self, node: &Node, link: u8) {
        self.switch.ip(&format!("link set {} up", node.port(link)));
    }

    /// Death of a node as the others see it: all its cables go silent at once.
    #[track_caller]
    pub fn cut_off(&self, node: &Node) {
        self.all_ports(node, "down");
    }

    /// Ends [`Lab::cut_off`].
    #[track_caller]
    pub fn reconnect(&self, node: &Node) {
        self.all_ports(node, "up");
    }

    fn all_ports(&self, node: &Node, state: &str) {
        let ports = self.switch.ip("-o link show type veth");
        let ours = format!("n{}l", node.index());
        let names = ports.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next());
        let lines: String = names
            .filter(|name| name.starts_with(&ours))
            .map(|name| format!("link set {name} {state}\n"))
            .collect();
        self.switch.ip_batch(&lines);
    }
}

impl Node {
    /// Takes the link down from inside, as an operator would.
    #[track_caller]
    pub fn link_down(&self, link: u8) {
        self.space.ip(&format!("link set eth{link} down"));
    }

    /// Takes it up again. The kernel forgets global IPv6 addresses of a link that went down: they are put back.
    #[track_caller]
    pub fn link_up(&self, link: u8) {
        self.space.ip(&format!("link set eth{link} up"));
        self.space.ip(&format!("address replace {}/64 dev eth{link} nodad", self.address6(link)));
    }

    /// Deletes the link; [`Lab::recreate_link`] makes it anew.
    #[track_caller]
    pub fn delete_link(&self, link: u8) {
        self.space.ip(&format!("link del eth{link}"));
    }

    /// Gives a link another name, while it is up if the kernel can (6.2 and later).
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn rename_link(&self, from: &str, to: &str) -> Result<(), String> {
        self.space.try_ip(&format!("link set {from} name {to}")).map(drop)
    }

    /// Cuts VRRP, and only VRRP, at this node. Replaces an earlier cut, loss or deafness.
    #[track_caller]
    pub fn cut_vrrp(&self, direction: Direction) {
        self.rules(direction, "meta l4proto 112 counter drop");
    }

    /// Loses VRRP packets at random, `percent` of 100.
    #[track_caller]
    pub fn lose_vrrp(&self, direction: Direction, percent: u8) {
        self.rules(direction, &format!("meta l4proto 112 numgen random mod 100 < {percent} counter drop"));
    }

    /// Makes the node deaf to VRRP from these sources only, e.g. for a ring.
    #[track_caller]
    pub fn deaf_to(&self, sources: &[IpAddr]) {
        let rule = |source: &IpAddr| match source {
            IpAddr::V4(source) => format!("meta l4proto 112 ip saddr {source} counter drop\n"),
            IpAddr::V6(source) => format!("meta l4proto 112 ip6 saddr {source} counter drop\n"),
        };
        let rules: String = sources.iter().map(rule).collect();
        self.rules(Direction::In, &rules);
    }

    /// Ends cuts, losses and deafness.
    #[track_caller]
    pub fn heal_vrrp(&self) {
        self.space.nft("table inet hat {}\ndelete table inet hat\n");
    }

    fn rules(&self, direction: Direction, rules: &str) {
        let chain =
            |hook: &&str| format!("chain {hook} {{ type filter hook {hook} priority -200;\n{rules}\n}}\n");
        let chains: String = direction.hooks().iter().map(chain).collect();
        self.space
            .nft(&format!("table inet hat {{}}\ndelete table inet hat\ntable inet hat {{\n{chains}}}\n"));
    }
}
