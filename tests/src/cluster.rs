//! Agents on all nodes of a lab, and the audits that every test ends with, whatever it tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use crate::{
    Agent, AgentInstance, Lab, Mac, Namespace, Node, Told,
    agent::{ask_hactl, hactl},
    prober::sweep,
    wait_for, wait_until,
};

const SOON: Duration = Duration::from_secs(20);
/// More than an agent ever needs in these tests, less than a leak would take.
const RESIDENT_BOUND: u64 = 96 << 20;
/// Standard streams, timers, runtimes, netlink, a socket or two for each link and family, clients that are just leaving.
const DESCRIPTOR_BOUND: usize = 40;

/// Agents on the nodes of a lab. All instances of all nodes should list the same addresses.
#[derive(Debug)]
pub struct Cluster {
    // Before the lab: agents end before their namespaces do.
    agents: Vec<Agent>,
    before: Vec<BTreeSet<(String, IpAddr)>>,
    links: Vec<BTreeSet<String>>,
    expected_errors: Vec<String>,
    verdict: String,
    vips: BTreeSet<IpAddr>,
    /// The network.
    pub lab: Lab,
}

impl Cluster {
    /// Starts an agent on each node of a new lab, and waits until all are ready.
    #[track_caller]
    pub fn start(nodes: u8, instances: impl Fn(&Node, &Lab) -> Vec<AgentInstance>) -> Self {
        Self::start_in(Lab::new(nodes, 1), instances)
    }

    /// As [`Cluster::start`], in a lab that has been prepared.
    #[track_caller]
    pub fn start_in(lab: Lab, instances: impl Fn(&Node, &Lab) -> Vec<AgentInstance>) -> Self {
        let before = lab.nodes().iter().map(|node| address_set(&node.space)).collect();
        let links = lab.nodes().iter().map(|node| link_names(&node.space)).collect();
        let mut vips = BTreeSet::new();
        let start = |node: &Node| {
            let own = instances(node, &lab);
            vips.extend(own.iter().flat_map(|instance| instance.addresses.iter().copied()));
            Agent::start(node, lab.scratch(), &own)
        };
        let mut agents: Vec<Agent> = lab.nodes().iter().map(start).collect();
        agents.iter_mut().for_each(|agent| agent.wait_until_ready(SOON));
        let verdict = "OK".to_owned();
        Self { agents, before, links, expected_errors: Vec::new(), verdict, vips, lab }
    }

    /// The agent of node `index`.
    #[track_caller]
    pub fn agent(&self, index: usize) -> &Agent {
        &self.agents[index]
    }

    /// The agent of node `index`, to be killed, stopped, frozen.
    #[track_caller]
    pub fn agent_mut(&mut self, index: usize) -> &mut Agent {
        &mut self.agents[index]
    }

    /// An agent to be restarted, with its node.
    #[track_caller]
    pub fn agent_and_node(&mut self, index: usize) -> (&mut Agent, &Node) {
        (&mut self.agents[index], self.lab.node(index))
    }

    /// All agents, to be restarted while somebody else looks at the network.
    pub fn agents_and_lab(&mut self) -> (&mut [Agent], &Lab) {
        (&mut self.agents, &self.lab)
    }

    /// Kills what is left of an agent and starts it again.
    #[track_caller]
    pub fn restart(&mut self, index: usize) {
        self.agents[index].restart(self.lab.node(index));
        self.agents[index].wait_until_ready(SOON);
    }

    /// Has an agent leave everything to the next process of it, and waits until that one answers.
    #[track_caller]
    pub fn hand_on(&mut self, index: usize) {
        self.agents[index].hand_on(self.lab.node(index));
        self.agents[index].wait_until_ready(SOON);
    }

    /// The node's own network.
    #[track_caller]
    pub fn space(&self, index: usize) -> &Namespace {
        &self.lab.node(index).space
    }

    /// Lines of severity ERROR with this text belong to the test; all others fail the audit.
    pub fn expect_errors(&mut self, text: &str) {
        self.expected_errors.push(text.to_owned());
    }

    /// The verdict of hactl that the audit waits for, instead of `OK`.
    pub fn expect_verdict(&mut self, word: &str) {
        word.clone_into(&mut self.verdict);
    }

    /// From now on these are the virtual addresses of the cluster, after a change of configuration.
    pub fn now_has(&mut self, vips: &[IpAddr]) {
        self.vips = vips.iter().copied().collect();
    }

    /// Waits until all virtual addresses are on this node alone.
    #[track_caller]
    pub fn wait_for_holder(&self, node: usize) {
        let holders = || self.holders();
        let all_there = |holders: &BTreeMap<IpAddr, Vec<usize>>| holders.values().all(|held| *held == [node]);
        let done = wait_until(SOON, || all_there(&holders()));
        assert!(
            done,
            "not all addresses came to node {node} alone: {:?}\n{}",
            holders(),
            self.agents[node].process.log()
        );
    }

    /// The nodes whose kernel has each virtual address.
    pub fn holders(&self) -> BTreeMap<IpAddr, Vec<usize>> {
        let spaces: Vec<BTreeSet<IpAddr>> = self.lab.nodes().iter().map(|node| all_of(&node.space)).collect();
        let of = |vip: &IpAddr| (0..spaces.len()).filter(|node| spaces[*node].contains(vip)).collect();
        self.vips.iter().map(|vip| (*vip, of(vip))).collect()
    }

    /// The audits: one holder of each address by kernel and by ARP, nothing of ours left elsewhere and nothing
    /// of others taken, desired equals kernel, no error that the test did not announce, memory and descriptors
    /// bounded, all nodes answer. Waits until all hold; panics with what does not.
    #[track_caller]
    pub fn audit(&mut self) {
        let mut found = Vec::new();
        let is_clean = |cluster: &mut Self, found: &mut Vec<String>| {
            *found = cluster.violations();
            found.is_empty()
        };
        if !wait_until(SOON, || is_clean(self, &mut found)) {
            panic!("audit: {}", found.join("\n       "));
        }
    }

    /// After an orderly end of all agents: no address or link of ours, and none of others missing.
    #[track_caller]
    pub fn audit_clean(&self) {
        wait_for("nothing of ours on any node", SOON, || {
            let spaces = self.lab.nodes().iter().map(|node| &node.space).enumerate();
            spaces.into_iter().all(|(index, space)| {
                address_set(space) == self.before[index] && link_names(space) == self.links[index]
            })
        });
    }

    /// What the audits find wrong at this moment, a line each; `audit` waits until it is nothing.
    pub fn violations(&mut self) -> Vec<String> {
        let mut found = self.holder_violations();
        for index in 0..self.agents.len() {
            found.extend(self.kernel_violations(index));
            found.extend(self.agent_violations(index));
        }
        found.extend(self.status_violation());
        found
    }

    fn holder_violations(&self) -> Vec<String> {
        let holders = self.holders();
        let vips: Vec<IpAddr> = self.vips.iter().copied().filter(|vip| !is_link_local(*vip)).collect();
        let answers = sweep(&self.lab.client, "eth0", &vips, Duration::from_millis(150));
        let mut found = Vec::new();
        for (vip, held) in &holders {
            if held.len() != 1 {
                found.push(format!("{vip} is held by nodes {held:?}"));
            }
        }
        for vip in &vips {
            let macs = answers.get(vip).cloned().unwrap_or_default();
            let holder = holders[vip].first().copied();
            let is_right = |mac: &Mac| mac.0[..4] == [0, 0, 0x5e, 0] || self.lab.node_of(*mac) == holder;
            if macs.len() != 1 || !macs.iter().all(is_right) {
                found.push(format!("{vip} is answered for by {macs:?}, held by {holder:?}"));
            }
        }
        found
    }

    /// Nothing but the virtual addresses came, and nothing at all went.
    fn kernel_violations(&self, index: usize) -> Vec<String> {
        let now = address_set(&self.lab.node(index).space);
        let mut found = Vec::new();
        for (link, address) in now.difference(&self.before[index]) {
            let is_automatic = link.starts_with("vrrp") && is_link_local(*address);
            if !self.vips.contains(address) && !is_automatic {
                found.push(format!("node {index}: {address} on {link} is nobody's"));
            }
        }
        for (link, address) in self.before[index].difference(&now) {
            found.push(format!("node {index}: {address} on {link} is missing"));
        }
        let links = link_names(&self.lab.node(index).space);
        for link in links.symmetric_difference(&self.links[index]).filter(|link| !link.starts_with("vrrp")) {
            found.push(format!("node {index}: link {link} came or went"));
        }
        found
    }

    fn agent_violations(&mut self, index: usize) -> Vec<String> {
        let agent = &mut self.agents[index];
        let mut found: Vec<String> = Vec::new();
        if !agent.process.is_running() {
            return vec![format!("node {index}: the agent is not running")];
        }
        for (address, desired, kernel) in agent.vips() {
            if desired != kernel {
                found.push(format!("node {index}: {address} is {kernel}, should be {desired}"));
            }
        }
        found.extend(gap_in(&agent.events(&[])).map(|gap| format!("node {index}: {gap}")));
        let log = agent.process.log();
        let is_expected = |line: &str| self.expected_errors.iter().any(|text| line.contains(text));
        let bad = |line: &&str| (line.contains("ERROR") && !is_expected(line)) || line.contains("panicked");
        found.extend(log.lines().filter(bad).map(|line| format!("node {index} said: {line}")));
        let resident = agent.process.usage().resident;
        if resident > RESIDENT_BOUND {
            found.push(format!("node {index}: {resident} bytes resident"));
        }
        let descriptors = agent.process.descriptors();
        if descriptors > DESCRIPTOR_BOUND {
            found.push(format!("node {index}: {descriptors} descriptors"));
        }
        found
    }

    /// Exit status and standard output of hactl on all agents.
    #[track_caller]
    pub fn hactl(&self, line: &str) -> (i32, String) {
        ask_hactl(&self.agents.iter().collect::<Vec<_>>(), line)
    }

    fn status_violation(&self) -> Option<String> {
        let agents: Vec<&Agent> = self.agents.iter().collect();
        let begin = Instant::now();
        let output = hactl(&agents, &["status"]);
        let took = begin.elapsed();
        let said = String::from_utf8_lossy(&output.stdout);
        let wanted = if self.verdict == "OK" { 0 } else { 3 };
        if output.status.code() != Some(wanted) || !said.starts_with(&self.verdict) {
            return Some(format!("hactl status ended with {}: {said}", output.status));
        }
        (took > Duration::from_secs(1)).then(|| format!("hactl status took {took:?}"))
    }
}

/// Events of one life of an agent are numbered without a hole.
fn gap_in(events: &[Told]) -> Option<String> {
    let of_one_life = |pair: &&[Told]| pair[0].text("incarnation_id") == pair[1].text("incarnation_id");
    let numbers = events.windows(2).filter(of_one_life);
    let mut numbers = numbers.map(|pair| (pair[0].number("sequence"), pair[1].number("sequence")));
    let (before, behind) = numbers.find(|(before, behind)| *behind != before + 1)?;
    Some(format!("event {before} is followed by {behind}"))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(six) if six.is_unicast_link_local())
}

fn all_of(space: &Namespace) -> BTreeSet<IpAddr> {
    space.addresses().into_iter().map(|found| found.address).collect()
}

fn address_set(space: &Namespace) -> BTreeSet<(String, IpAddr)> {
    space.addresses().into_iter().map(|found| (found.link, found.address)).collect()
}

fn link_names(space: &Namespace) -> BTreeSet<String> {
    let shown = space.ip("-o link show");
    let name = |line: &str| Some(line.split(": ").nth(1)?.split('@').next()?.to_owned());
    shown.lines().filter_map(name).collect()
}
