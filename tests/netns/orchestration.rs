//! The example for orchestration systems, as it stands in deploy/examples/orchestration: real Python and real grpc against real
//! agents.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::Duration,
};

use ha_tests::{
    Cluster, Lab, Pinger, Program, hactl_binary, outside_of_cargo, python_packages, require, wait_for,
};

use crate::{
    common::{FOUR, SOON, vip},
    moves::{LOST, friends},
    secure,
};

const PYTHON: &str = "/usr/bin/python3";

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples/orchestration").join(file)
}

/// Python with the example's packages, and the descriptor set made as its README says.
fn python(lab: &Lab, script: &Path) -> (Command, PathBuf) {
    require(&[Program::Python]);
    let descriptors = lab.scratch().file("ha-agent.binpb");
    let mut command = outside_of_cargo(Command::new(hactl_binary()));
    command.args(["descriptors", "--file"]).arg(&descriptors);
    assert!(command.status().is_ok_and(|status| status.success()));
    let mut command = Command::new(PYTHON);
    let paths = [example("."), python_packages()];
    command.env("PYTHONPATH", std::env::join_paths(paths).expect("no colon in it"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(script);
    (command, descriptors)
}

/// maintenance.py on a node's socket.
fn maintenance(cluster: &Cluster, node: usize, words: &[&str]) -> Command {
    let (mut command, descriptors) = python(&cluster.lab, &example("maintenance.py"));
    command.arg("--endpoint").arg(cluster.agent(node).endpoint()).arg("--descriptors").arg(descriptors);
    command.args(["--within", "20"]).args(words);
    command
}

/// What it printed; its status must be this one.
#[track_caller]
fn says(status: i32, output: &Output) -> String {
    let said =
        [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    println!("{said}");
    assert_eq!(output.status.code(), Some(status), "{said}");
    said
}

#[test]
fn a_node_is_drained_rebooted_and_undrained_without_a_lost_packet() {
    let mut cluster = friends();
    let process = cluster.agent(0).process.id().to_string();
    // The reboot: the agent is gone with all that its kernel knew of it.
    let words = ["reboot", "--reason", "new kernel", "--", "kill", "-KILL", &process];
    let mut command = maintenance(&cluster, 0, &words);
    let pinger = Pinger::start(&cluster.lab.client, vip(&cluster), Duration::from_millis(1));
    pinger.wait_for_answers(200, SOON);
    let job = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python starts");
    wait_for("the reboot", SOON, || !cluster.agent_mut(0).process.is_running());
    assert_eq!(cluster.holders()[&vip(&cluster)], [1], "it was drained before");
    std::thread::sleep(Duration::from_secs(2));
    cluster.restart(0);
    let said = says(0, &job.wait_with_output().expect("it ends"));
    for part in ["router-51: nodes/node-1", "the kernel has no virtual address", "undrained"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    cluster.wait_for_holder(0);
    takes_nothing_before_it_is_undrained(&cluster);
    pinger.wait_for_answers(1500, SOON);
    let report = pinger.stop();
    println!("{report}");
    assert!(report.longest_outage().duration < LOST, "{report}");
    cluster.audit();
}

/// Back from the reboot node 0 is drained until the job has seen that it is whole.
fn takes_nothing_before_it_is_undrained(cluster: &Cluster) {
    let events = cluster.agent(0).events(&["instance.state_changed", "node.undrained"]);
    let life = events.last().map(|event| event.text("incarnation_id").to_owned()).expect("it has a history");
    let of_this_life = events.iter().filter(|event| event.text("incarnation_id") == life);
    let before = of_this_life.take_while(|event| event.text("type") != "node.undrained");
    let before: Vec<&str> = before.map(|event| event.text("current_state")).collect();
    assert!(!before.is_empty() && !before.contains(&"ACTIVE"), "{events:?}");
}

#[test]
fn a_drain_that_nobody_could_follow_ends_with_7_and_says_who_was_asked() {
    let mut cluster = friends();
    cluster.expect_errors("FAULT");
    for node in [1, 2] {
        cluster.lab.cut_off(cluster.lab.node(node));
    }
    for node in [1, 2] {
        cluster.agent(node).wait_for_state(FOUR, "FAULT", SOON);
    }
    let refused = maintenance(&cluster, 0, &["drain"]).output().expect("python starts");
    let said = says(7, &refused);
    for part in ["FAILED_PRECONDITION (NO_SUCCESSOR)", "node-1 is", "node-2 is", "allow_no_successor"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(cluster.agent(0).state(FOUR), "ACTIVE");
    let own = cluster.agent(0).instance(FOUR).expect("the instance is there");
    assert_eq!(own.number("effective_priority"), own.number("base_priority"), "nothing was changed: {own:?}");
    let allowed =
        maintenance(&cluster, 0, &["drain", "--allow-no-successor"]).output().expect("python starts");
    assert!(says(0, &allowed).contains("stays"));
    for node in [1, 2] {
        cluster.lab.reconnect(cluster.lab.node(node));
    }
}

#[test]
fn an_agent_that_does_not_answer_is_asked_again_and_drains_once() {
    let cluster = friends();
    let (mut command, descriptors) = python(&cluster.lab, &data("repeated_drain.py"));
    command.arg(cluster.agent(2).endpoint()).arg(descriptors).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut script = Script::start(command);
    script.says("connected");
    cluster.agent(2).process.freeze();
    script.go_on();
    script.says("DEADLINE_EXCEEDED True");
    cluster.agent(2).process.thaw();
    script.go_on();
    for _ in 0..3 {
        script.says("drained True");
    }
    let drained = cluster.agent(2).events(&["node.drained"]);
    assert_eq!(drained.len(), 1, "{drained:?}");
    assert_eq!(drained[0].0["actor"]["request_id"].as_str(), Some("job-17"), "{drained:?}");
}

#[test]
fn an_agent_that_is_not_there_yet_is_waited_for_and_one_that_never_comes_ends_with_5() {
    let mut cluster = friends();
    cluster.agent_mut(2).process.kill();
    let mut command = maintenance(&cluster, 2, &["drain"]);
    let job = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python starts");
    std::thread::sleep(Duration::from_secs(3));
    cluster.restart(2);
    says(0, &job.wait_with_output().expect("it ends"));
    assert_eq!(cluster.agent(2).events(&["node.drained"]).len(), 1);
    cluster.agent_mut(2).process.kill();
    let gone = maintenance(&cluster, 2, &["--within", "3", "undrain"]).output().expect("python starts");
    let said = says(5, &gone);
    assert!(said.contains("UNAVAILABLE (no agent answered)"), "{said}");
}

#[test]
fn over_tls_an_operator_drains_a_reader_may_not_and_a_stranger_is_not_heard() {
    let lab = Lab::new(2, 1);
    secure::make_certificates(&lab);
    secure::pki(&lab, "pki", "issue client robot --role operator");
    secure::pki(&lab, "pki", "issue client guest --role reader");
    secure::pki(&lab, "elsewhere", "init");
    secure::pki(&lab, "elsewhere", "issue client stranger --role operator");
    for file in ["stranger.crt", "stranger.key"] {
        let [from, to] = ["elsewhere", "pki"].map(|folder| lab.scratch().file(folder).join(file));
        std::fs::copy(from, to).expect("it was issued");
    }
    let agents = secure::start(&lab);
    wait_for("node 0 holds the address", SOON, || lab.holders(lab.vip4(0, 1)) == [0]);
    agents[0].wait_for_event("peer.reachable", SOON, |_| true);
    let run = |client: &str, words: &[&str]| {
        let (mut command, descriptors) = python(&lab, &example("maintenance.py"));
        command.args(["--endpoint", &secure::endpoint(lab.node(0))]).arg("--descriptors").arg(descriptors);
        secure::identify(&mut command, &lab, client);
        lab.client.run(|| command.args(words).output()).expect("python starts")
    };
    let said = says(6, &run("guest", &["drain"]));
    assert!(said.contains("PERMISSION_DENIED (ROLE_MISSING)"), "{said}");
    let said = says(5, &run("stranger", &["--within", "3", "drain"]));
    assert!(said.contains("no agent answered"), "{said}");
    assert_eq!(lab.holders(lab.vip4(0, 1)), [0]);
    says(0, &run("robot", &["drain", "--reason", "new kernel"]));
    assert_eq!(lab.holders(lab.vip4(0, 1)), [1]);
    let drained = agents[0].wait_for_event("node.drained", SOON, |_| true);
    assert_eq!(drained.0["actor"]["principal"].as_str(), Some("robot(certificate)"), "{drained:?}");
    says(0, &run("robot", &["undrain"]));
    wait_for("node 0 holds the address", SOON, || lab.holders(lab.vip4(0, 1)) == [0]);
}

fn data(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(file)
}

/// A script that goes step by step.
struct Script {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Script {
    #[track_caller]
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("python starts");
        let output = child.stdout.take().expect("it is piped");
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Self { child, lines }
    }

    #[track_caller]
    fn says(&self, wanted: &str) {
        assert_eq!(self.lines.recv_timeout(SOON).as_deref(), Ok(wanted));
    }

    #[track_caller]
    fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        input.write_all(b"\n").expect("it reads");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
