//! A night with incidents on three nodes that talk over TLS, and the ten questions that somebody asks afterwards: each answer
//! compared with what passed on the wire and what the kernels hold.

use std::{
    net::{IpAddr, TcpListener},
    process::Output,
    sync::mpsc,
    thread,
    time::{Duration, SystemTime},
};

use ha_tests::{Agent, AgentInstance, Capture, Lab, Wanted, wait_for};
use serde_json::Value;

use crate::{
    common::SOON,
    secure::{self, OPERATOR, configuration, make_certificates},
};

const SERVICE: u16 = 8080;
const NODES: [usize; 3] = [0, 1, 2];
const ROUTER: &str = "web";

/// Three nodes over TLS and a place to ask from.
struct Night {
    // First, so that they end before their network.
    agents: Vec<Agent>,
    services: Vec<Option<Service>>,
    capture: Capture,
    lab: Lab,
}

/// Something on a node that listens, until it is dropped.
struct Service {
    end: mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Service {
    fn start(lab: &Lab, node: usize) -> Self {
        let listener = lab.node(node).space.run(|| TcpListener::bind(("127.0.0.1", SERVICE)));
        let listener = listener.expect("the port is free");
        listener.set_nonblocking(true).expect("a socket");
        let (end, ended) = mpsc::channel();
        let serve = move || {
            while ended.recv_timeout(Duration::from_millis(10)) == Err(mpsc::RecvTimeoutError::Timeout) {
                while listener.accept().is_ok() {}
            }
        };
        Self { end, thread: Some(thread::spawn(serve)) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.end.send(());
        self.thread.take().into_iter().for_each(|thread| drop(thread.join()));
    }
}

impl Night {
    /// All is well: node 0 holds the address.
    fn begin() -> Self {
        let lab = Lab::new(3, 1);
        for node in lab.nodes() {
            node.space.ip("link set lo up");
        }
        make_certificates(&lab);
        let capture = Capture::start(&lab.switch, "br0", Wanted::Vrrp);
        let services = NODES.map(|node| Some(Service::start(&lab, node))).into();
        let agents = NODES.map(|node| start(&lab, node)).into();
        let night = Self { agents, services, capture, lab };
        night.wait_for_holder(0);
        night
    }

    fn address(&self) -> IpAddr {
        self.lab.vip4(0, 1).into()
    }

    #[track_caller]
    fn wait_for_holder(&self, node: usize) {
        wait_for(&format!("node {node} alone to hold the address"), SOON, || {
            self.lab.holders(self.address()) == [node]
        });
        // Its reports are faster than three of its adverts in a row, which everybody has heard.
        let own = IpAddr::from(self.lab.node(node).address4(0));
        wait_for(&format!("adverts of node {node} alone"), SOON, || {
            let adverts = self.capture.adverts();
            adverts.len() > 2 && adverts.iter().rev().take(3).all(|(_, advert)| advert.source == own)
        });
    }

    /// What happens in the night: the service of node 0 dies, then node 1, which returns; then somebody changes a priority.
    fn pass(&mut self) {
        self.services[0] = None;
        self.wait_for_holder(1);
        self.lab.cut_off(self.lab.node(1));
        self.agents[1].process.kill();
        wait_for("node 2 to hold the address", SOON, || self.lab.holders(self.address()).contains(&2));
        thread::sleep(Duration::from_secs(1));
        self.lab.reconnect(self.lab.node(1));
        self.agents[1].restart(self.lab.node(1));
        self.wait_for_holder(1);
        let set = ["--yes", "instance", "priority", "set", "node-2/web", "90", "--reason", "node-2 is slow"];
        self.says(0, &set);
    }

    /// hactl on the client, over TLS to all nodes.
    fn hactl(&self, words: &[&str]) -> Output {
        secure::hactl(&self.lab, OPERATOR, words)
    }

    /// What it prints for people; its status must be this one.
    #[track_caller]
    fn says(&self, status: i32, words: &[&str]) -> String {
        let output = self.hactl(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        println!("$ hactl {}\n{out}{err}", words.join(" "));
        assert_eq!(output.status.code(), Some(status), "hactl {}:\n{out}{err}", words.join(" "));
        out.into_owned()
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.hactl(&[words, &["-o", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// Who spoke, each time another began to, with the time of its first advert and of the last one before it.
    fn speakers(&self) -> Vec<(usize, SystemTime, Option<SystemTime>)> {
        let node_of =
            |source: IpAddr| NODES.into_iter().find(|node| self.lab.node(*node).address4(0) == source);
        let mut speakers: Vec<(usize, SystemTime, Option<SystemTime>)> = Vec::new();
        let mut last = None;
        for (at, advert) in self.capture.adverts() {
            let node = node_of(advert.source).expect("an advert of one of ours");
            if advert.priority == 0 {
                continue;
            }
            if speakers.last().is_none_or(|(speaker, ..)| *speaker != node) {
                speakers.push((node, at, last));
            }
            last = Some(at);
        }
        speakers
    }
}

fn start(lab: &Lab, node: usize) -> Agent {
    let router = AgentInstance {
        name: ROUTER.to_owned(),
        interval: "100ms".to_owned(),
        extra: "track = [\"service\"]".to_owned(),
        ..AgentInstance::new(51, [200, 150, 100][node], &[lab.vip4(0, 1).into()])
    };
    let body = format!(
        "{}[[check]]\nname = \"service\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = {SERVICE}\ninterval = \"100ms\"\n\
         timeout = \"90ms\"\nfall = 2\nrise = 2\n{}",
        configuration(lab, lab.node(node)),
        router.toml()
    );
    let mut agent = Agent::start_with(lab.node(node), lab.scratch(), &body);
    agent.wait_until_ready(SOON);
    agent
}

#[test]
fn after_a_night_of_incidents_every_question_has_a_true_answer() {
    let mut night = Night::begin();
    night.pass();
    let vip = night.address().to_string();
    let speakers = night.speakers();
    // Where the address is given back, an advert of each may cross the other's.
    let first = |node: usize| speakers.iter().position(|(speaker, ..)| *speaker == node).expect("each spoke");
    assert!(first(0) < first(1) && first(1) < first(2), "what passed on the wire: {speakers:?}");
    assert_eq!(speakers.last().map(|(node, ..)| *node), Some(1), "{speakers:?}");

    // 1. Is it all right now?
    let status = night.says(3, &["status"]);
    assert!(status.contains("DEGRADED") && status.contains("service"), "{status}");
    // 2. Who holds the address, since when, why, who is next?
    let held = night.says(0, &["vip", "get", &vip]);
    for wanted in ["node-1", "LOCAL_PREEMPT", "node-2"] {
        assert!(held.contains(wanted), "no {wanted} in:\n{held}");
    }
    // 3. Do kernels and wire agree?
    night.says(0, &["verify", "--probe"]);
    // 4. The transitions in order, with causes.
    let takeovers = takeovers(&night);
    let tail: Vec<(usize, &str)> =
        takeovers.iter().rev().take(3).rev().map(|(node, why)| (*node, why.as_str())).collect();
    assert_eq!(tail[1..], [(2, "ACTIVE_DOWN_TIMER"), (1, "LOCAL_PREEMPT")]);
    assert_eq!(tail[0].0, 1, "{takeovers:?}");
    // 5. What is happening now? The newest is the change that was just made.
    let newest = night.says(0, &["events", "--last", "1", "--type", "instance.priority_changed"]);
    assert!(newest.contains("node-2") && newest.contains("100 to 90"), "{newest}");
    // 6. What if node 1 is lost?
    let predicted = night.says(0, &["simulate", "fail", "node-1"]);
    assert!(predicted.contains("node-2"), "{predicted}");
    // 7. Why is node 0 not Active?
    let why = night.says(0, &["explain", "node-0/web"]);
    assert!(why.contains("service") && why.contains("FAULT"), "{why}");
    // 8. Which checks fail, and what do they endanger?
    let failing = night.says(0, &["check", "list", "--failing"]);
    assert!(failing.contains("service") && failing.contains("REFUSED"), "{failing}");
    // 9. Who changed what?
    let changes = night.says(0, &["changes", "--since", "1h"]);
    assert!(changes.contains(OPERATOR) && changes.contains("node-2 is slow"), "{changes}");
    assert!(!changes.contains("WatchReports"), "to look changes nothing:\n{changes}");
    // 10. How long was nobody there?
    let outages = night.says(0, &["vip", "outages", &vip, "--since", "1h"]);
    assert!(outages.contains("node-2"), "{outages}");
    has_the_outage(&night, &vip, &speakers);
    // And: can these answers be trusted?
    let doctor = night.hactl(&["doctor"]);
    println!("$ hactl doctor\n{}", String::from_utf8_lossy(&doctor.stdout));

    // What was predicted happens.
    night.lab.cut_off(night.lab.node(1));
    night.agents[1].process.kill();
    wait_for("node 2 to hold the address", SOON, || night.lab.holders(night.address()).contains(&2));
    assert!(!night.lab.holders(night.address()).contains(&0), "node 0 cannot serve");
}

/// Which node became Active and why, oldest first, as hactl merges it.
fn takeovers(night: &Night) -> Vec<(usize, String)> {
    let events = night.json(&["events", "--last", "50", "--type", "instance.state_changed"]);
    let events = events["items"].as_array().cloned().unwrap_or_default();
    let taken = events.iter().filter(|event| event["current_state"] == "ACTIVE");
    taken
        .map(|event| {
            let node = NODES.into_iter().find(|node| event["node"] == format!("node-{node}"));
            (node.expect("one of ours"), event["cause"].as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

/// The death of node 1 cost as long as on the wire, from its last advert to the first of node 2, less the time that it still held
/// the address behind its last advert.
fn has_the_outage(night: &Night, vip: &str, speakers: &[(usize, SystemTime, Option<SystemTime>)]) {
    let (_, first, last) = speakers.iter().find(|(node, ..)| *node == 2).expect("node 2 took over");
    let silent = first.duration_since(last.expect("somebody spoke before")).unwrap_or_default();
    let told = night.json(&["vip", "outages", vip, "--since", "1h"]);
    let outages = told["items"][0]["outages"].as_array().cloned().unwrap_or_default();
    let by_node_2 = outages.iter().find(|outage| outage["after"]["node"] == "node-2");
    let outage = by_node_2.unwrap_or_else(|| panic!("no outage that node 2 ended: {told}"));
    let seconds = outage["duration"].as_str().and_then(|text| text.strip_suffix('s')?.parse::<f64>().ok());
    let outage = Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("no duration: {outage}")));
    println!("silent on the wire for {silent:?}, {outage:?} without a holder");
    // One interval, and what the kernel takes.
    assert!(outage <= silent + Duration::from_millis(20), "{outage:?}");
    assert!(outage + Duration::from_millis(120) >= silent, "{outage:?}");
}
