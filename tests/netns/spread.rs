//! One virtual router with addresses on two links and of both families, of which adverts carry two: they are held, announced,
//! watched and moved together.

use std::{net::IpAddr, time::Duration};

use ha_tests::{Agent, Capture, Lab, Prober, Wanted, ask_hactl, wait_for};

use crate::common::SOON;

const NAME: &str = "spread";

struct Pair {
    agents: Vec<Agent>,
    lab: Lab,
}

/// The addresses by link: the first of each is in adverts.
fn addresses(lab: &Lab, link: u8) -> [IpAddr; 2] {
    [lab.vip4(link, 1).into(), lab.vip6(link, 1).into()]
}

fn body(lab: &Lab, node: usize) -> String {
    let [[four, six], [four_beside, six_beside]] = [addresses(lab, 0), addresses(lab, 1)];
    format!(
        "[[instance]]\nname = \"{NAME}\"\ninterface = \"eth0\"\nvirtual_router_id = 51\nadvertisement_interval = \"300ms\"\n\
         priority = {}\naddresses = [\"{four}\", {{ address = \"{four_beside}/24\", interface = \"eth1\" }}, \
         {{ address = \"{six}/64\", advertised = false }}, \
         {{ address = \"{six_beside}\", interface = \"eth1\", advertised = false }}]\n",
        200 - node * 50
    )
}

impl Pair {
    fn start() -> Self {
        let lab = Lab::new(2, 2);
        let start = |node: usize| {
            let mut agent = Agent::start_with(lab.node(node), lab.scratch(), &body(&lab, node));
            agent.wait_until_ready(SOON);
            agent
        };
        let agents = vec![start(0), start(1)];
        let pair = Self { agents, lab };
        pair.wait_for_holder(0);
        pair
    }

    /// How many of the addresses a node has, each on its link.
    fn held(&self, node: usize) -> usize {
        let on = |link: u8| {
            let text = self.lab.node(node).space.try_ip(&format!("-o address show dev eth{link}"));
            let text = text.unwrap_or_default();
            let has = |address: &IpAddr| text.contains(&format!(" {address}/"));
            addresses(&self.lab, link).iter().filter(|address| has(address)).count()
        };
        on(0) + on(1)
    }

    #[track_caller]
    fn wait_for_holder(&self, node: usize) {
        wait_for(&format!("node {node} alone has all\n{}", self.logs()), SOON, || {
            (self.held(node), self.held(1 - node)) == (4, 0)
        });
    }

    fn logs(&self) -> String {
        self.agents.iter().map(|agent| agent.process.log()).collect::<Vec<_>>().join("\n---\n")
    }

    fn hactl(&self, line: &str) -> (i32, String) {
        ask_hactl(&self.agents.iter().collect::<Vec<_>>(), line)
    }
}

#[test]
fn what_is_on_two_links_and_of_two_families_moves_together_when_either_link_goes() {
    let pair = Pair::start();
    let (lab, both) = (&pair.lab, [0, 1]);
    let captures =
        both.map(|link| Capture::start(&lab.switch, &format!("br{link}"), Wanted::VrrpAndAnnouncements));
    let prober = Prober::start(&lab.client, "eth1", addresses(lab, 1)[0], Duration::from_millis(20));
    for link in both {
        captures.iter().for_each(Capture::clear);
        lab.unplug(lab.node(0), link);
        pair.wait_for_holder(1);
        pair.agents[0].wait_for_state(NAME, "FAULT", SOON);
        for (link, capture) in (0..).zip(&captures) {
            let wanted = addresses(lab, link).map(|address| (address, lab.node(1).mac(link)));
            wait_for(&format!("announcements on link {link}"), SOON, || {
                let seen = capture.announcements();
                wanted.iter().all(|wanted| seen.iter().any(|(_, address, mac)| (*address, *mac) == *wanted))
            });
            let all = capture.announcements();
            assert!(all.iter().all(|(_, address, _)| addresses(lab, link).contains(address)), "{all:?}");
        }
        if link == 1 {
            let (_, text) = pair.hactl(&format!("instance get {NAME} --node node-0"));
            assert!(text.contains("link eth1, which is to have addresses, is without carrier"), "{text}");
        }
        lab.plug(lab.node(0), link);
        pair.wait_for_holder(0);
    }
    let carried = [addresses(lab, 0)[0], addresses(lab, 1)[0]];
    let adverts = captures[0].adverts();
    assert!(adverts.iter().all(|(_, advert)| advert.addresses == carried), "{adverts:?}");
    assert_eq!(captures[1].adverts(), []);
    let answerers = prober.stop().answerers();
    assert!(answerers == [0, 1].map(|node| lab.node(node).mac(1)).into(), "{answerers:?}");
}

#[test]
fn a_link_of_addresses_may_be_deleted_and_made_anew_and_who_stops_leaves_nothing_on_either() {
    let mut pair = Pair::start();
    // What somebody removes comes back, whichever link it is on.
    let beside = addresses(&pair.lab, 1)[1];
    pair.lab.node(0).space.ip(&format!("address del {beside}/128 dev eth1"));
    pair.wait_for_holder(0);
    pair.agents[0]
        .wait_for_event("vip.lost", SOON, |event| event.text("subject").ends_with(&beside.to_string()));
    pair.lab.node(0).space.ip("link del eth1");
    wait_for("node 1 has all", SOON, || (pair.held(0), pair.held(1)) == (0, 4));
    pair.agents[0].wait_for_state(NAME, "FAULT", SOON);
    pair.lab.recreate_link(pair.lab.node(0), 1);
    pair.wait_for_holder(0);
    pair.agents[0].process.terminate(SOON);
    assert_eq!(pair.held(0), 0);
    pair.wait_for_holder(1);
}

#[test]
fn every_layer_agrees_about_them_and_a_restart_goes_on_with_them_on_both_links() {
    let mut pair = Pair::start();
    let (code, text) = pair.hactl("verify --probe");
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("desired, kernel and wire agree for 4 addresses"), "{text}");
    let (_, text) = pair.hactl(&format!("vip get {}", addresses(&pair.lab, 1)[1]));
    assert!(text.contains("do not carry it"), "{text}");
    let capture = Capture::start(&pair.lab.switch, "br0", Wanted::Vrrp);
    let before = pair.agents[1].events(&["instance.state_changed"]).len();
    let node = pair.lab.node(0);
    pair.agents[0].hand_on(node);
    pair.agents[0].wait_until_ready(SOON);
    pair.agents[0].wait_for_state(NAME, "ACTIVE", SOON);
    assert_eq!((pair.held(0), pair.held(1)), (4, 0), "{}", pair.logs());
    // As long as a peer would take to take over.
    std::thread::sleep(Duration::from_millis(1200));
    assert_eq!((pair.held(0), pair.held(1)), (4, 0), "{}", pair.logs());
    let adverts = capture.adverts();
    assert!(adverts.iter().all(|(_, advert)| advert.priority == 200), "{adverts:?}");
    assert_eq!(pair.agents[1].events(&["instance.state_changed"]).len(), before);
}
