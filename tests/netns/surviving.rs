//! What operators want to survive a restart does: over a stop, a kill, and a restart that is no transition; and a drained node
//! never takes anything in between.

use std::{path::PathBuf, time::Duration};

use ha_tests::{Agent, AgentInstance, Capture, Lab, Node, Told, Wanted, hactl, wait_for};

use crate::common::{FOUR, SOON};

/// Adverts come every 200 ms, so that an election is decided within a second.
const INTERVAL: &str = "200ms";

struct Bed {
    // First, so that they end before their network.
    agents: Vec<Agent>,
    /// While it is there, the check fails.
    trouble: PathBuf,
    lab: Lab,
}

impl Bed {
    /// Node 0 is the better one, and tracks a check.
    #[track_caller]
    fn new() -> Self {
        let lab = Lab::new(2, 1);
        let trouble = lab.scratch().file("trouble");
        let start = |node: &Node| Agent::start_with(node, lab.scratch(), &body(node, &lab, &trouble));
        let mut agents: Vec<Agent> = lab.nodes().iter().map(start).collect();
        agents.iter_mut().for_each(|agent| agent.wait_until_ready(SOON));
        agents[0].wait_for_state(FOUR, "ACTIVE", SOON);
        agents[1].wait_for_state(FOUR, "BACKUP", SOON);
        Self { agents, trouble, lab }
    }

    #[track_caller]
    fn succeed(&self, line: &[&str]) -> serde_json::Value {
        let agents: Vec<&Agent> = self.agents.iter().collect();
        let output = hactl(&agents, &[line, &["-o", "json"]].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{line:?}: {output:?}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// What is in force, a line each.
    #[track_caller]
    fn in_force(&self) -> Vec<String> {
        let changes = self.succeed(&["changes", "--since", "1s"]);
        let items = changes["items"].as_array().expect("a list").iter();
        let is_held =
            |item: &&serde_json::Value| !matches!(item["state"].as_str(), Some("CHANGED" | "REFUSED"));
        let word = |item: &serde_json::Value, key: &str| item[key].as_str().unwrap_or("-").to_owned();
        let mut lines: Vec<String> = items
            .filter(is_held)
            .map(|item| format!("{} {} {}", word(item, "state"), word(item, "subject"), word(item, "reason")))
            .collect();
        lines.sort();
        lines
    }

    #[track_caller]
    fn again(&mut self, how: How) {
        let (agent, node) = (&mut self.agents[0], self.lab.node(0));
        match how {
            How::Stop => assert_eq!(agent.process.terminate(SOON).code(), Some(0)),
            How::Kill => agent.process.kill(),
            How::HandOn => agent.hand_on_to_nobody(),
        }
        agent.restart(node);
        agent.wait_until_ready(SOON);
    }

    fn told(&self, kind: &str) -> Vec<Told> {
        self.agents[0].events(&[kind])
    }
}

#[derive(Clone, Copy, Debug)]
enum How {
    Stop,
    Kill,
    HandOn,
}

fn body(node: &Node, lab: &Lab, trouble: &std::path::Path) -> String {
    let tables = format!(
        "[[check]]\nname = \"fine\"\nkind = \"script\"\nuser = \"root\"\ninterval = \"500ms\"\ntimeout = \"400ms\"\n\
         command = [\"/usr/bin/test\", \"!\", \"-e\", \"{}\"]\n\
         [[pool]]\nname = \"app\"\nport = 80\nserver = [{{ name = \"w1\", address = \"192.0.2.1\" }}, \
         {{ name = \"w2\", address = \"192.0.2.2\" }}]\n",
        trouble.display()
    );
    let priority = [200, 100][node.index()];
    let extra = if node.index() == 0 { "track = [\"fine\"]" } else { "" };
    let router = AgentInstance {
        interval: INTERVAL.to_owned(),
        extra: extra.to_owned(),
        ..AgentInstance::new(51, priority, &[lab.vip4(0, 1).into()])
    };
    format!("{tables}{}", router.toml())
}

#[test]
fn what_operators_want_survives_a_stop_a_kill_and_a_restart_and_a_drained_node_never_takes_anything() {
    let mut bed = Bed::new();
    bed.succeed(&["check", "mute", "node-0/fine", "--reason", "noise", "--survive-restart", "--yes"]);
    let server =
        ["pool", "server", "drain", "node-0/app/w1", "--reason", "disks", "--survive-restart", "--yes"];
    bed.succeed(&server);
    let set =
        ["instance", "priority", "set", "node-0/router-51", "220", "--reason", "ticket", "--survive-restart"];
    bed.succeed(&[&set[..], &["--yes"]].concat());
    bed.succeed(&["drain", "node-0", "--ttl", "2h", "--reason", "kernel", "--survive-restart", "--yes"]);
    bed.agents[1].wait_for_state(FOUR, "ACTIVE", SOON);
    // From now on it would fail; the frozen verdict must not.
    std::fs::write(&bed.trouble, "").expect("it can be written");
    let before = bed.in_force();
    assert_eq!(before.len(), 4, "{before:?}");
    let capture = Capture::start(&bed.lab.switch, "br0", Wanted::Vrrp);
    let mut restored = 0;
    for how in [How::Stop, How::Kill, How::HandOn, How::Kill, How::Stop] {
        bed.again(how);
        bed.agents[0].wait_for_state(FOUR, "BACKUP", SOON);
        // As long as it would take to become Active, and as a failing check would take to be known.
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(bed.agents[0].state(FOUR), "BACKUP", "{how:?}");
        assert_eq!(bed.in_force(), before, "{how:?}");
        restored += if matches!(how, How::HandOn) { 0 } else { 4 };
        let told = bed.told("intent.restored");
        assert_eq!(told.len(), restored, "{how:?}: {told:#?}");
    }
    let of_drain =
        bed.told("intent.restored").into_iter().find(|event| event.text("subject") == "nodes/node-0");
    let sentence = of_drain.expect("it is told").text("message").to_owned();
    println!("{sentence}");
    assert!(sentence.starts_with("drain of the node restored, set by uid=0(unix) at "), "{sentence}");
    assert!(sentence.contains(" because kernel, expires in 1h 59m"), "{sentence}");
    let from_node_0 = |source: std::net::IpAddr| source == bed.lab.node(0).address4(0);
    let adverts = capture.adverts();
    assert!(adverts.len() > 50, "{}", adverts.len());
    let own: Vec<_> = adverts.iter().filter(|(_, advert)| from_node_0(advert.source)).collect();
    assert!(own.is_empty(), "a drained node sent adverts: {own:#?}");
    // What has ended does not come back.
    bed.succeed(&["undrain", "node-0", "--yes"]);
    bed.agents[0].wait_for_state(FOUR, "ACTIVE", SOON);
    bed.succeed(&["instance", "priority", "clear", "node-0/router-51", "--yes"]);
    bed.succeed(&["pool", "server", "undrain", "node-0/app/w1", "--yes"]);
    bed.again(How::Kill);
    bed.agents[0].wait_for_state(FOUR, "ACTIVE", SOON);
    let left = bed.in_force();
    assert_eq!(left, ["MUTED nodes/node-0/checks/fine noise"]);
    bed.succeed(&["check", "unmute", "node-0/fine", "--yes"]);
    bed.agents[0].wait_for_state(FOUR, "FAULT", SOON);
}

#[test]
fn what_is_not_to_survive_goes_on_over_a_restart_that_is_none_and_ends_with_a_kill() {
    let mut bed = Bed::new();
    bed.succeed(&["check", "mute", "node-0/fine", "--reason", "noise", "--yes"]);
    bed.succeed(&["pool", "server", "drain", "node-0/app/w1", "--reason", "disks", "--yes"]);
    bed.succeed(&["instance", "priority", "set", "node-0/router-51", "220", "--reason", "ticket", "--yes"]);
    bed.succeed(&["instance", "transfer", "node-0/router-51", "--reason", "moved", "--yes"]);
    bed.agents[1].wait_for_state(FOUR, "ACTIVE", SOON);
    let before = bed.in_force();
    assert_eq!(before.len(), 4, "{before:?}");
    assert!(before.iter().any(|line| line.starts_with("TRANSFERRED")), "{before:?}");
    std::fs::write(&bed.trouble, "").expect("it can be written");
    // A quick one, and one that was so slow that no role is gone on with.
    for pause in [Duration::ZERO, Duration::from_secs(12)] {
        bed.agents[0].hand_on_to_nobody();
        std::thread::sleep(pause);
        bed.agents[0].restart(bed.lab.node(0));
        bed.agents[0].wait_until_ready(SOON);
        bed.agents[0].wait_for_state(FOUR, "BACKUP", SOON);
        std::thread::sleep(Duration::from_millis(2500));
        assert_eq!(bed.agents[0].state(FOUR), "BACKUP", "{pause:?}");
        assert_eq!(bed.in_force(), before, "{pause:?}");
    }
    assert!(bed.told("intent.*").is_empty(), "nothing was put in force again: it never ended");
    std::fs::remove_file(&bed.trouble).expect("it can be removed");
    bed.again(How::Kill);
    wait_for("nothing of it", SOON, || bed.in_force().is_empty());
    bed.agents[0].wait_for_state(FOUR, "ACTIVE", SOON);
}
