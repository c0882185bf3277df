//! A sync group of ours on one node and one of keepalived's on the other, each with a router on two links: whichever link
//! fails, the whole group moves, both ways.

use std::net::IpAddr;

use ha_tests::{Agent, AgentInstance, Keepalived, KeepalivedInstance, Lab, Told, wait_for};

use crate::versus::SOON;

/// Virtual router of each link.
const VRIDS: [u8; 2] = [51, 52];

/// Ours on node 0, theirs on node 1.
struct Groups {
    ours: Agent,
    theirs: Keepalived,
    lab: Lab,
}

impl Groups {
    fn start(our_priority: u8, their_priority: u8) -> Self {
        let lab = Lab::new(2, 2);
        let vip = |link: u8| vec![IpAddr::from(lab.vip4(link, 1))];
        let ours = [0, 1].map(|link| AgentInstance {
            interface: format!("eth{link}"),
            interval: "100ms".to_owned(),
            extra: "group = \"edge\"\n".to_owned(),
            ..AgentInstance::new(VRIDS[usize::from(link)], our_priority, &vip(link))
        });
        let theirs = [0, 1].map(|link| KeepalivedInstance {
            link: format!("eth{link}"),
            interval: 0.1,
            ..KeepalivedInstance::new(VRIDS[usize::from(link)], their_priority, &vip(link))
        });
        let group = "vrrp_sync_group edge {\n  group {\n    eth0_51\n    eth1_52\n  }\n}\n";
        let theirs = Keepalived::start_beside(&lab.node(1).space, lab.scratch(), group, &theirs);
        let mut ours = Agent::start(lab.node(0), lab.scratch(), &ours);
        ours.wait_until_ready(SOON);
        Self { ours, theirs, lab }
    }

    /// Waits until this node alone holds both addresses.
    #[track_caller]
    fn wait_for_holder(&self, node: usize) {
        let holders = || [0, 1].map(|link| self.lab.holders(self.lab.vip4(link, 1)));
        wait_for(&format!("both addresses on node {node}\n{}", self.logs()), SOON, || {
            holders().iter().all(|held| *held == [node])
        });
    }

    fn logs(&self) -> String {
        format!("ours:\n{}\ntheirs:\n{}", self.ours.process.log(), self.theirs.process.log())
    }

    /// Our transitions so far: each member's at the instant of the other's.
    #[track_caller]
    fn assert_moved_as_one(&self) {
        let told = self.ours.events(&["instance.state_changed"]);
        let of = |name: &str| -> Vec<(String, String)> {
            let own = told.iter().filter(|event| event.text("subject").ends_with(name));
            own.map(|event| (to(event), event.text("event_time").to_owned())).collect()
        };
        let is_active = |list: Vec<(String, String)>| -> Vec<(String, String)> {
            list.into_iter().filter(|(state, _)| matches!(state.as_str(), "ACTIVE" | "FAULT")).collect()
        };
        let (one, other) = (is_active(of("router-51")), is_active(of("router-52")));
        assert!(!one.is_empty());
        assert_eq!(one, other, "{told:#?}");
    }
}

fn to(event: &Told) -> String {
    event.text("current_state").to_owned()
}

#[test]
fn a_group_of_ours_gives_way_to_keepalived_s_as_a_whole_when_either_link_fails() {
    let groups = Groups::start(200, 100);
    groups.wait_for_holder(0);
    for link in [0, 1] {
        groups.lab.unplug(groups.lab.node(0), link);
        groups.wait_for_holder(1);
        groups.lab.plug(groups.lab.node(0), link);
        groups.wait_for_holder(0);
    }
    groups.assert_moved_as_one();
    let told = groups.ours.events(&["group.state_changed"]);
    let states: Vec<String> = told.iter().map(to).collect();
    assert_eq!(states, ["BACKUP", "ACTIVE", "FAULT", "BACKUP", "ACTIVE", "FAULT", "BACKUP", "ACTIVE"]);
}

#[test]
fn a_group_of_keepalived_s_gives_way_to_ours_as_a_whole_when_either_link_fails() {
    let groups = Groups::start(100, 200);
    groups.wait_for_holder(1);
    for link in [0, 1] {
        groups.lab.unplug(groups.lab.node(1), link);
        groups.wait_for_holder(0);
        groups.lab.plug(groups.lab.node(1), link);
        groups.wait_for_holder(1);
    }
    groups.assert_moved_as_one();
}

#[test]
fn a_silent_link_alone_moves_neither_group() {
    let groups = Groups::start(200, 100);
    groups.wait_for_holder(0);
    // keepalived hears nothing of us on the second link any more; on the first one it does.
    let deaf = "add table inet deaf; add chain inet deaf in { type filter hook input priority 0; }; \
                add rule inet deaf in iifname eth1 meta l4proto 112 drop";
    groups.lab.node(1).space.nft(deaf);
    std::thread::sleep(std::time::Duration::from_secs(2));
    groups.wait_for_holder(0);
    groups.lab.node(1).space.nft("delete table inet deaf");
    std::thread::sleep(std::time::Duration::from_secs(1));
    groups.wait_for_holder(0);
}
