//! The cluster as one node sees it, when two nodes cannot hear each other on the control plane and everybody else can.

use ha_tests::{Agent, AgentInstance, Lab, Node, wait_until};
use serde_json::Value;

use crate::{
    common::{SOON, priority_of},
    secure::{self, OPERATOR},
};

/// Three nodes over TLS with one router.
fn start(lab: &Lab) -> Vec<Agent> {
    let start = |node: &Node| {
        let router = AgentInstance {
            interval: "100ms".to_owned(),
            ..AgentInstance::new(51, priority_of(node), &[lab.vip4(0, 1).into()])
        };
        let body = secure::configuration(lab, node) + &router.toml();
        let mut agent = Agent::start_with(node, lab.scratch(), &body);
        agent.wait_until_ready(SOON);
        agent
    };
    lab.nodes().iter().map(start).collect()
}

/// hactl's exit code, verdict and first item, and what it prints for people.
fn status(lab: &Lab, words: &[&str]) -> (Option<i32>, String, Value, String) {
    let words = [&["status"], words].concat();
    let output = secure::hactl(lab, OPERATOR, &[&words[..], &["-o", "json"]].concat());
    let text = secure::hactl(lab, OPERATOR, &words);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let verdict = answer["verdict"].as_str().unwrap_or_default().to_owned();
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    (output.status.code(), verdict, answer["items"][0].clone(), text)
}

#[track_caller]
fn wait_for_status(lab: &Lab, words: &[&str], code: i32, verdict: &str) -> (Value, String) {
    let mut last = (None, String::new(), Value::Null, String::new());
    let came = wait_until(SOON, || {
        last = status(lab, words);
        (last.0, last.1.as_str()) == (Some(code), verdict)
    });
    let (found, word, item, text) = last;
    println!("$ hactl status {}\n{text}", words.join(" "));
    assert!(came, "{words:?}: {found:?} {word}, wanted {code} {verdict}: {item:#}");
    (item, text)
}

#[test]
fn nodes_that_do_not_hear_each_other_have_a_partial_view_and_the_difference_is_named() {
    let lab = Lab::new(3, 1);
    secure::make_certificates(&lab);
    let _agents = start(&lab);
    for node in ["node-0", "node-1", "node-2"] {
        let (view, _) = wait_for_status(&lab, &["--from", node], 0, "OK");
        assert_eq!(view["vips"][0]["active_on"], serde_json::json!(["node-0"]), "{view:#}");
        let heard = view["nodes"].as_array().map_or(0, Vec::len);
        assert_eq!((heard, view["differences"].as_array().map_or(9, Vec::len)), (3, 0), "{view:#}");
    }
    // Nodes 1 and 2 lose each other on the control plane alone.
    let other = lab.node(2).address4(0);
    lab.node(1).space.nft(&format!(
        "table ip apart {{\nchain in {{\ntype filter hook input priority 0\nip saddr {other} tcp sport 7443 drop\n\
         ip saddr {other} tcp dport 7443 drop\n}}\n}}\n"
    ));
    for (node, lost) in [("node-1", "node-2"), ("node-2", "node-1")] {
        let (view, text) = wait_for_status(&lab, &["--from", node], 4, "DEGRADED");
        assert_eq!(view["complete"], false, "{view:#}");
        assert_eq!(view["differences"][0]["code"], "NOT_HEARD", "{view:#}");
        assert!(
            text.contains(&format!("otherwise: {lost} answers here, and {node} does not hear it")),
            "{text}"
        );
    }
    // Who hears both, and who asks all, sees it whole.
    wait_for_status(&lab, &["--from", "node-0"], 0, "OK");
    wait_for_status(&lab, &[], 0, "OK");
}
