//! The same keepalived.conf on both nodes, with addresses on another link and others that are not advertised: keepalived reads it on
//! one node, the agent on the other.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ha_tests::{Advert, Agent, Capture, Keepalived, Lab, Wanted, wait_for};

use crate::versus::SOON;

/// Those that are advertised, one a link, and those that are not: more of the first family, and one of the other on each link.
fn addresses(lab: &Lab) -> [(IpAddr, u8); 5] {
    [
        (lab.vip4(0, 1).into(), 0),
        (lab.vip4(1, 1).into(), 1),
        (lab.vip4(0, 2).into(), 0),
        (lab.vip6(0, 1).into(), 0),
        (lab.vip6(1, 1).into(), 1),
    ]
}

fn file(lab: &Lab) -> String {
    let [one, two, three, four, five] = addresses(lab).map(|(address, _)| address);
    format!(
        "vrrp_instance VI_1 {{\n  state BACKUP\n  interface eth0\n  virtual_router_id 51\n  priority 100\n  advert_int 1\n  \
         virtual_ipaddress {{\n    {one}/24\n    {two}/24 dev eth1 label eth1:1\n  }}\n  virtual_ipaddress_excluded {{\n    \
         {three}/24\n    {four}/64\n    {five}/64 dev eth1\n  }}\n}}\n"
    )
}

struct Both {
    ours: Agent,
    theirs: Keepalived,
    lab: Lab,
}

impl Both {
    fn start() -> Self {
        let lab = Lab::new(2, 2);
        let theirs = Keepalived::start_file(&lab.node(1).space, lab.scratch(), &file(&lab));
        let mut ours = Agent::start_as_keepalived(lab.node(0), lab.scratch(), &file(&lab));
        ours.wait_until_ready(SOON);
        Self { ours, theirs, lab }
    }

    /// How many of the addresses a node has, each on its link.
    fn held(&self, node: usize) -> usize {
        let links =
            [0, 1].map(|link| self.lab.node(node).space.ip(&format!("-o address show dev eth{link}")));
        let has =
            |(address, link): &(IpAddr, u8)| links[usize::from(*link)].contains(&format!(" {address}/"));
        addresses(&self.lab).iter().filter(|address| has(address)).count()
    }

    #[track_caller]
    fn wait_for_holder(&self, node: usize) {
        let logs = || format!("ours:\n{}\ntheirs:\n{}", self.ours.process.log(), self.theirs.process.log());
        wait_for(&format!("node {node} alone has all\n{}", logs()), SOON, || {
            (self.held(node), self.held(1 - node)) == (5, 0)
        });
    }
}

#[test]
fn adverts_are_keepalived_s_and_all_addresses_move_both_ways_when_either_link_goes() {
    let both = Both::start();
    let lab = &both.lab;
    let captures =
        [0, 1].map(|link| Capture::start(&lab.switch, &format!("br{link}"), Wanted::VrrpAndAnnouncements));
    // Neither preempts the other, which has the same priority: whoever holds them does so until its link goes.
    wait_for("somebody has all", SOON, || both.held(0) + both.held(1) == 5);
    for link in [1, 0, 1] {
        for holder in [0, 1] {
            // The better address has won at the start; with its link gone it is the other's turn.
            lab.unplug(lab.node(1 - holder), link);
            both.wait_for_holder(holder);
            lab.plug(lab.node(1 - holder), link);
            wait_for("an advert of each", SOON, || {
                captures[0].adverts().iter().any(|(_, advert)| is_of(lab, holder, advert))
            });
        }
    }
    let bodies = [0, 1].map(|node| -> BTreeSet<Vec<u8>> {
        let adverts = captures[0].adverts().into_iter().map(|(_, advert)| advert);
        let own = adverts.filter(|advert| is_of(lab, node, advert) && advert.priority > 0);
        own.map(|advert| advert.message).collect()
    });
    assert_eq!(bodies[0].len(), 1, "an advert of ours is always the same");
    assert_eq!(bodies[0], bodies[1], "and octet by octet keepalived's");
    assert_eq!(captures[1].adverts(), []);
    for node in [0, 1] {
        for (address, link) in addresses(lab) {
            let said = |capture: &Capture| {
                capture.announcements().iter().any(|(_, said, mac)| {
                    *said == address && (0..2).any(|link| *mac == lab.node(node).mac(link))
                })
            };
            let seen = [said(&captures[0]), said(&captures[1])];
            assert_eq!(seen, [link == 0, link == 1], "{address} announced by node {node}");
        }
    }
}

fn is_of(lab: &Lab, node: usize, advert: &Advert) -> bool {
    advert.source == IpAddr::from(lab.node(node).address4(0))
}

#[test]
fn who_stops_leaves_the_addresses_of_all_links_and_families_to_the_other() {
    let mut both = Both::start();
    both.lab.unplug(both.lab.node(1), 0);
    both.wait_for_holder(0);
    both.lab.plug(both.lab.node(1), 0);
    both.ours.process.terminate(SOON);
    assert_eq!(both.held(0), 0);
    both.wait_for_holder(1);
}
