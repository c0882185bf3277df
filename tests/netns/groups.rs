//! A sync group of two routers on two links, on two real nodes: a check's weight, a check without one, a link and an
//! operator each move it as a whole, and the two adverts of a takeover leave together.

use std::{
    net::IpAddr,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use ha_tests::{Agent, AgentInstance, Capture, Lab, Wanted, wait_for};

use crate::common::SOON;

const VRIDS: [u8; 2] = [51, 52];
/// Between two adverts.
const INTERVAL: Duration = Duration::from_millis(100);

struct Groups {
    agents: Vec<Agent>,
    captures: Vec<Capture>,
    lab: Lab,
}

impl Groups {
    /// Node 0 is better by 50; each node tracks a file of its own, as the group's table says.
    fn start(track: &str) -> Self {
        let lab = Lab::new(2, 2);
        let captures = [0, 1].map(|link| Capture::start(&lab.switch, &format!("br{link}"), Wanted::Vrrp));
        let start = |node: usize| {
            let flag = lab.scratch().file(&format!("flag-{node}"));
            std::fs::write(&flag, "").expect("the folder is ours");
            let check = format!(
                "[[group]]\nname = \"edge\"\ntrack = [{track}]\n[[check]]\nname = \"flag\"\nkind = \"script\"\n\
                 command = [\"/usr/bin/test\", \"-e\", \"{}\"]\ninterval = \"50ms\"\ntimeout = \"40ms\"\n\
                 user = \"root\"\n",
                flag.display()
            );
            let priority = if node == 0 { 150 } else { 100 };
            let members = [0, 1].map(|link| AgentInstance {
                interface: format!("eth{link}"),
                interval: "100ms".to_owned(),
                extra: "group = \"edge\"\n".to_owned(),
                ..AgentInstance::new(VRIDS[usize::from(link)], priority, &[lab.vip4(link, 1).into()])
            });
            let body: String = members.iter().map(AgentInstance::toml).collect();
            Agent::start_with(lab.node(node), lab.scratch(), &format!("{check}{body}"))
        };
        let mut agents: Vec<Agent> = [0, 1].map(start).into();
        agents.iter_mut().for_each(|agent| agent.wait_until_ready(SOON));
        Self { agents, captures: captures.into(), lab }
    }

    fn flag(&self, node: usize) -> PathBuf {
        self.lab.scratch().file(&format!("flag-{node}"))
    }

    /// Waits until this node alone holds both addresses; then both must have changed hands together.
    #[track_caller]
    fn wait_for_holder(&self, node: usize) {
        let holders = || [0, 1].map(|link| self.lab.holders(self.lab.vip4(link, 1)));
        let log = || self.agents.iter().map(|agent| agent.process.log()).collect::<String>();
        let took = wait_for(&format!("both addresses on node {node}\n{}", log()), SOON, || {
            holders().iter().all(|held| *held == [node])
        });
        let first = [0, 1].map(|link| self.first_advert(node, link));
        let apart = match first[0].duration_since(first[1]) {
            Ok(apart) => apart,
            Err(error) => error.duration(),
        };
        println!("node {node} has both after {took:.1?}; its first adverts left {apart:.1?} apart");
        assert!(apart < INTERVAL, "{apart:?}");
        self.captures.iter().for_each(Capture::clear);
    }

    /// When this node's first advert that is no release was on a link.
    #[track_caller]
    fn first_advert(&self, node: usize, link: u8) -> SystemTime {
        let source: IpAddr = self.lab.node(node).address4(link).into();
        let adverts = self.captures[usize::from(link)].adverts();
        let first = adverts.iter().find(|(_, advert)| advert.source == source && advert.priority > 0);
        first.unwrap_or_else(|| panic!("no advert of node {node} on link {link}")).0
    }
}

#[test]
fn a_weight_moves_the_whole_group_and_brings_it_back() {
    let groups = Groups::start("{ check = \"flag\", weight = -80 }");
    groups.wait_for_holder(0);
    std::fs::remove_file(groups.flag(0)).expect("it is there");
    groups.wait_for_holder(1);
    std::fs::write(groups.flag(0), "").expect("the folder is ours");
    groups.wait_for_holder(0);
}

#[test]
fn a_failing_check_without_a_weight_releases_the_whole_group() {
    let groups = Groups::start("\"flag\"");
    groups.wait_for_holder(0);
    std::fs::remove_file(groups.flag(0)).expect("it is there");
    groups.wait_for_holder(1);
    for vrid in VRIDS {
        groups.agents[0].wait_for_state(&format!("router-{vrid}"), "FAULT", SOON);
    }
    std::fs::write(groups.flag(0), "").expect("the folder is ours");
    groups.wait_for_holder(0);
}

#[test]
fn a_link_and_an_operator_move_the_whole_group() {
    let groups = Groups::start("");
    groups.wait_for_holder(0);
    groups.lab.unplug(groups.lab.node(0), 1);
    groups.wait_for_holder(1);
    groups.lab.plug(groups.lab.node(0), 1);
    groups.wait_for_holder(0);
    let answer = groups.agents[0].ask(&["instance", "priority", "set", "node-0/router-52", "50", "--yes"]);
    assert_eq!(answer["error"], serde_json::Value::Null, "{answer:#}");
    groups.wait_for_holder(1);
    for vrid in VRIDS {
        let answer = groups.agents[0].ask(&["explain", &format!("node-0/router-{vrid}")]);
        assert_eq!(answer["items"][0]["priority_override"]["priority"], 50, "{answer:#}");
    }
    groups.agents[0].ask(&["instance", "priority", "clear", "node-0/router-51", "--yes"]);
    groups.wait_for_holder(0);
}
