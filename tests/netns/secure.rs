//! Nodes that talk over TLS: the certificates that `hactl pki` makes, the configuration that goes with them, and hactl asking.

use std::process::{Command, Output};

use ha_tests::{Agent, Lab, Node, hactl_binary, outside_of_cargo, peer_table};

use crate::common::{SOON, only_four};

/// Who asks and changes.
pub(crate) const OPERATOR: &str = "alice";

const API: u16 = 7443;

/// `hactl pki` with these words, in a folder of the lab.
#[track_caller]
pub(crate) fn pki(lab: &Lab, folder: &str, words: &str) {
    let mut command = outside_of_cargo(Command::new(hactl_binary()));
    command.arg("pki").args(words.split(' ')).arg("--folder").arg(lab.scratch().file(folder));
    let output = command.output().expect("hactl starts");
    assert!(output.status.success(), "pki {words}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An authority, a certificate for each node, and one for the operator.
pub(crate) fn make_certificates(lab: &Lab) {
    pki(lab, "pki", "init");
    for node in lab.nodes() {
        pki(lab, "pki", &format!("issue node node-{} --address {}", node.index(), node.address4(0)));
    }
    pki(lab, "pki", &format!("issue client {OPERATOR} --role operator"));
}

/// Where a node is asked.
pub(crate) fn endpoint(node: &Node) -> String {
    format!("https://{}:{API}", node.address4(0))
}

/// What makes a node listen, and all nodes its peers; goes where `[api]` is open.
pub(crate) fn configuration(lab: &Lab, node: &Node) -> String {
    let file = |name: &str| lab.scratch().file(&format!("pki/{name}")).display().to_string();
    let peer = |node: &Node| peer_table(node, &endpoint(node));
    let name = format!("node-{}", node.index());
    format!(
        "listen = [\"{}:{API}\"]\ncertificate = \"{}\"\nkey = \"{}\"\nclient_ca = \"{}\"\n{}",
        node.address4(0),
        file(&format!("{name}.crt")),
        file(&format!("{name}.key")),
        file("ca.crt"),
        lab.nodes().iter().map(peer).collect::<String>()
    )
}

/// A node with the usual router at 100 ms adverts, whose `[api]` goes on with these lines.
#[track_caller]
pub(crate) fn start_with(lab: &Lab, node: &Node, lines: &str) -> Agent {
    let body = format!("{lines}{}", only_four(node, lab, "").toml());
    let mut agent = Agent::start_with(node, lab.scratch(), &body);
    agent.wait_until_ready(SOON);
    agent
}

/// All nodes of a lab, which know each other.
#[track_caller]
pub(crate) fn start(lab: &Lab) -> Vec<Agent> {
    lab.nodes().iter().map(|node| start_with(lab, node, &configuration(lab, node))).collect()
}

/// Adds the certificates of a client to a command, as hactl and the example in Python take them.
pub(crate) fn identify(command: &mut Command, lab: &Lab, client: &str) {
    for (flag, file) in
        [("--cacert", "ca.crt"), ("--cert", &format!("{client}.crt")), ("--key", &format!("{client}.key"))]
    {
        command.arg(flag).arg(lab.scratch().file("pki").join(file));
    }
}

/// hactl on the client, over TLS to all nodes.
pub(crate) fn hactl(lab: &Lab, client: &str, words: &[&str]) -> Output {
    let mut command = outside_of_cargo(Command::new(hactl_binary()));
    for node in lab.nodes() {
        command.args(["--endpoint", &endpoint(node)]);
    }
    identify(&mut command, lab, client);
    command.args(words);
    lab.client.run(|| command.output()).expect("hactl starts")
}
