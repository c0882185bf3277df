//! One virtual router of ours on one node and of a stranger on the other, through all elections that VRRP knows.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime},
};

use ha_tests::{
    Advert, Agent, AgentInstance, Capture, Direction, Frr, FrrRouter, Keepalived, KeepalivedInstance, Lab,
    Mac, Node, Wanted, sweep, wait_for, wait_until,
};

pub(crate) const SOON: Duration = Duration::from_secs(30);
const VRID: u8 = 51;
const NAME: &str = "router-51";

/// Who the other is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    Keepalived,
    Frr,
}

/// How the two speak.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Speech {
    pub(crate) version: u8,
    pub(crate) is_ipv6: bool,
    pub(crate) is_unicast: bool,
    pub(crate) password: Option<&'static str>,
}

/// Version 2, version 3 over IPv4 and over IPv6.
pub(crate) const V2: Speech = Speech { version: 2, is_ipv6: false, is_unicast: false, password: None };
pub(crate) const V3: Speech = Speech { version: 3, ..V2 };
pub(crate) const V3_IPV6: Speech = Speech { is_ipv6: true, ..V3 };

/// The two, and the network between them.
struct Versus {
    ours: Agent,
    theirs: Running,
    /// Our node; theirs is the other.
    our_node: usize,
    /// What is asked for by ARP or neighbour solicitation.
    vip: IpAddr,
    lab: Lab,
}

enum Running {
    Keepalived(Keepalived),
    Frr(Frr),
}

impl Versus {
    fn start(stranger: Stranger, speech: Speech, our_node: usize, priorities: [u8; 2]) -> Self {
        let lab = Lab::new(2, 1);
        let [ours, theirs] = priorities;
        let agent = start_ours(&lab, stranger, speech, our_node, ours);
        let theirs = start_theirs(&lab, stranger, speech, 1 - our_node, theirs);
        let vip = *addresses(&lab, stranger, speech).last().expect("there is one");
        let mut versus = Self { ours: agent, theirs, our_node, vip, lab };
        versus.ours.wait_until_ready(SOON);
        versus
    }

    fn our_side(&self) -> &Node {
        self.lab.node(self.our_node)
    }

    fn their_side(&self) -> &Node {
        self.lab.node(1 - self.our_node)
    }

    fn our_mac(&self) -> Mac {
        self.our_side().mac(0)
    }

    /// FRR holds addresses on a macvlan with the virtual MAC.
    fn their_mac(&self) -> Mac {
        match self.theirs {
            Running::Keepalived(_) => self.their_side().mac(0),
            Running::Frr(_) if self.vip.is_ipv4() => Mac::virtual4(VRID),
            Running::Frr(_) => Mac::virtual6(VRID),
        }
    }

    /// Who holds the address, as a neighbour sees it.
    #[track_caller]
    fn wait_for_answers_of(&self, mac: Mac) {
        let mut last = None;
        let answered = wait_until(SOON, || {
            let mut answers = sweep(&self.lab.client, "eth0", &[self.vip], Duration::from_millis(100));
            last = answers.remove(&self.vip);
            last == Some([mac].into())
        });
        assert!(
            answered,
            "{} should be answered for by {mac} alone, is by {last:?}\n{}",
            self.vip,
            self.logs()
        );
    }

    #[track_caller]
    fn wait_for_us(&self) {
        self.wait_for_answers_of(self.our_mac());
        self.ours.wait_for_state(NAME, "ACTIVE", SOON);
        self.wait_for_their_state(false);
    }

    #[track_caller]
    fn wait_for_them(&self) {
        self.wait_for_answers_of(self.their_mac());
        self.ours.wait_for_state(NAME, "BACKUP", SOON);
        self.wait_for_their_state(true);
    }

    #[track_caller]
    fn wait_for_their_state(&self, is_active: bool) {
        wait_for(&format!("the stranger Active: {is_active}\n{}", self.logs()), SOON, || {
            match &self.theirs {
                Running::Keepalived(_) => self.their_side().space.has_address(self.vip) == is_active,
                Running::Frr(frr) => {
                    let family = if self.vip.is_ipv4() { "v4" } else { "v6" };
                    let wanted = if is_active { "Master" } else { "Backup" };
                    frr.state(VRID, family).as_deref() == Some(wanted)
                }
            }
        });
    }

    fn logs(&self) -> String {
        let theirs = match &self.theirs {
            Running::Keepalived(keepalived) => keepalived.process.log(),
            Running::Frr(frr) => frr.vrrpd.log(),
        };
        format!("ours:\n{}\ntheirs:\n{theirs}", self.ours.process.log())
    }

    /// Neither party may have found anything wrong with the other's adverts.
    #[track_caller]
    fn assert_no_complaints(&self) {
        for kind in ["interface.packets_discarded", "instance.advertisement_differs"] {
            let told = self.ours.events(&[kind]);
            let own_fault = |event: &&ha_tests::Told| !self.is_known_of_frr(event.text("message"));
            let told: Vec<_> = told.iter().filter(own_fault).collect();
            assert!(told.is_empty(), "{told:#?}");
        }
        let theirs = match &self.theirs {
            Running::Keepalived(keepalived) => keepalived.process.log(),
            Running::Frr(frr) => frr.vrrpd.log(),
        };
        let words = ["nvalid", "bogus", "ncorrect", "mismatch", "ismatch", "malformed", "wrong", "expected"];
        let complaints: Vec<&str> =
            theirs.lines().filter(|line| words.iter().any(|word| line.contains(word))).collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    /// FRR's adverts over IPv6 do not begin with a link-local address, as RFC 9568 section 5.2.9 wants.
    fn is_known_of_frr(&self, message: &str) -> bool {
        matches!(self.theirs, Running::Frr(_)) && self.vip.is_ipv6() && message.contains("link-local")
    }
}

/// The virtual addresses. Over IPv6 the first should be link-local; FRR does not take one.
fn addresses(lab: &Lab, stranger: Stranger, speech: Speech) -> Vec<IpAddr> {
    match (speech.is_ipv6, stranger) {
        (false, _) => vec![lab.vip4(0, 1).into()],
        (true, Stranger::Keepalived) => vec![Mac::virtual6(VRID).link_local().into(), lab.vip6(0, 1).into()],
        (true, Stranger::Frr) => vec![lab.vip6(0, 1).into()],
    }
}

fn start_ours(lab: &Lab, stranger: Stranger, speech: Speech, node: usize, priority: u8) -> Agent {
    let mut extra = String::new();
    if speech.is_unicast {
        let peer = own_address(lab.node(1 - node), speech);
        // keepalived 2.2 leaves the hop limit of IPv6 unicast adverts at the kernel's 64, which is not 255 as VRRP wants.
        let minimum_ttl = if speech.is_ipv6 { 64 } else { 255 };
        extra.push_str(&format!(
            "unicast = {{ peers = [{{ address = \"{peer}\", minimum_ttl = {minimum_ttl} }}] }}\n"
        ));
    }
    if let Some(password) = speech.password {
        extra.push_str(&format!("password = \"{password}\"\n"));
    }
    let instance = AgentInstance {
        version: speech.version,
        interval: if speech.version == 2 { "1s" } else { "100ms" }.to_owned(),
        extra,
        ..AgentInstance::new(VRID, priority, &addresses(lab, stranger, speech))
    };
    Agent::start(lab.node(node), lab.scratch(), &[instance])
}

fn start_theirs(lab: &Lab, stranger: Stranger, speech: Speech, node: usize, priority: u8) -> Running {
    let addresses = addresses(lab, stranger, speech);
    let side = lab.node(node);
    match stranger {
        Stranger::Frr => {
            let interval = if speech.version == 2 { 1000 } else { 100 };
            let router = FrrRouter { version: speech.version, vrid: VRID, priority, interval, addresses };
            Running::Frr(Frr::start(&side.space, lab.scratch(), &[router]))
        }
        Stranger::Keepalived => {
            let peers = (own_address(side, speech), vec![own_address(lab.node(1 - node), speech)]);
            let instance = KeepalivedInstance {
                version: speech.version,
                interval: if speech.version == 2 { 1.0 } else { 0.1 },
                unicast: speech.is_unicast.then_some(peers),
                password: speech.password.map(str::to_owned),
                ..KeepalivedInstance::new(VRID, priority, &addresses)
            };
            Running::Keepalived(Keepalived::start(&side.space, lab.scratch(), &[instance]))
        }
    }
}

fn own_address(node: &Node, speech: Speech) -> IpAddr {
    if speech.is_ipv6 { node.link_local(0).into() } else { node.address4(0).into() }
}

/// We have the higher priority: the stranger stays Backup, takes over when our node dies and when we stop, and gives way
/// when we are back.
#[track_caller]
pub(crate) fn the_stranger_takes_over_from_us_and_gives_way_again(stranger: Stranger, speech: Speech) {
    let mut versus = Versus::start(stranger, speech, 0, [200, 100]);
    versus.wait_for_us();

    versus.lab.cut_off(versus.our_side());
    versus.wait_for_answers_of(versus.their_mac());
    versus.lab.reconnect(versus.our_side());
    versus.wait_for_us();

    assert_eq!(versus.ours.process.terminate(SOON).code(), Some(0));
    versus.wait_for_answers_of(versus.their_mac());
    let node = versus.our_node;
    versus.ours.restart(versus.lab.node(node));
    versus.ours.wait_until_ready(SOON);
    versus.wait_for_us();
    versus.assert_no_complaints();
}

/// The stranger has the higher priority: we stay Backup, take over when its node dies and when it stops, and give way.
#[track_caller]
pub(crate) fn we_take_over_from_the_stranger_and_give_way_again(stranger: Stranger, speech: Speech) {
    let mut versus = Versus::start(stranger, speech, 0, [100, 200]);
    versus.wait_for_them();

    versus.lab.cut_off(versus.their_side());
    versus.wait_for_answers_of(versus.our_mac());
    versus.lab.reconnect(versus.their_side());
    versus.wait_for_them();
    versus.assert_no_complaints();

    let capture = Capture::start(&versus.lab.switch, "br0", Wanted::Vrrp);
    match &mut versus.theirs {
        Running::Keepalived(keepalived) => drop(keepalived.process.terminate(SOON)),
        Running::Frr(frr) => drop(frr.vrrpd.terminate(SOON)),
    }
    versus.ours.wait_for_state(NAME, "ACTIVE", SOON);
    if capture.adverts().iter().any(|(_, advert)| advert.priority == 0) {
        let last = versus.ours.wait_for_event("instance.state_changed", SOON, |event| {
            event.text("current_state") == "ACTIVE" && event.text("cause") == "PEER_PRIORITY_ZERO"
        });
        println!("{}", last.text("message"));
    }
    if let Running::Frr(frr) = &mut versus.theirs {
        // Its macvlan stays open when it is gone; the node's death closes it.
        frr.kill();
        versus.lab.cut_off(versus.their_side());
    }
    versus.wait_for_answers_of(versus.our_mac());
}

/// We are Active and restarted, again and again: the stranger hears nothing that makes it speak.
#[track_caller]
pub(crate) fn the_stranger_notices_no_restart_of_ours(stranger: Stranger, speech: Speech) {
    let mut versus = Versus::start(stranger, speech, 0, [200, 100]);
    versus.wait_for_us();
    let capture = Capture::start(&versus.lab.switch, "br0", Wanted::Vrrp);
    for _ in 0..3 {
        let node = versus.lab.node(versus.our_node);
        // At 100 ms a start on a machine that compiles beside it may take too long.
        if speech.version == 2 {
            versus.ours.hand_on(node)
        } else {
            versus.ours.replace(node)
        }
        versus.ours.wait_until_ready(SOON);
        let event = versus.ours.wait_for_event("instance.adopted", SOON, |_| true);
        println!("{}", event.text("message"));
    }
    // Longer than it would wait before it takes over.
    let interval = if speech.version == 2 { Duration::from_secs(1) } else { Duration::from_millis(100) };
    std::thread::sleep(interval * 4);
    let strange =
        |advert: &Advert| advert.priority != 200 || advert.source != own_address(versus.our_side(), speech);
    let told: Vec<Advert> =
        capture.adverts().into_iter().map(|(_, advert)| advert).filter(|advert| strange(advert)).collect();
    assert!(told.is_empty(), "{told:?}\n{}", versus.logs());
    versus.wait_for_us();
    versus.assert_no_complaints();
}

/// Equal priorities, both Active because neither heard the other: the higher address stays, the other gives way.
#[track_caller]
pub(crate) fn equal_priorities_are_settled_by_the_address(
    stranger: Stranger,
    speech: Speech,
    our_node: usize,
) {
    let versus = Versus::start(stranger, speech, our_node, [100, 100]);
    let capture = Capture::start(&versus.lab.switch, "br0", Wanted::Vrrp);
    versus.lab.nodes().iter().for_each(|node| node.cut_vrrp(Direction::In));
    let begin = SystemTime::now();
    let speakers = || -> std::collections::BTreeSet<IpAddr> {
        capture.adverts().iter().filter(|(at, _)| *at > begin).map(|(_, advert)| advert.source).collect()
    };
    wait_for(&format!("adverts of both\n{}", versus.logs()), SOON, || speakers().len() == 2);
    let higher = *speakers().last().expect("there are two");
    let ours: [IpAddr; 2] = [versus.our_side().address4(0).into(), versus.our_side().link_local(0).into()];

    versus.lab.nodes().iter().for_each(Node::heal_vrrp);
    if ours.contains(&higher) {
        versus.wait_for_us()
    } else {
        versus.wait_for_them()
    }
    capture.clear();
    wait_for("five adverts of the one that stays", SOON, || capture.adverts().len() >= 5);
    let strangers: Vec<Advert> = capture
        .adverts()
        .into_iter()
        .map(|(_, advert)| advert)
        .filter(|advert| advert.source != higher)
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    versus.assert_no_complaints();
}
