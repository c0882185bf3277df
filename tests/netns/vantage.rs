//! The cluster as one node sees it, when two nodes cannot hear each other on the control plane and everybody else can.

use ha_tests::{Lab, wait_until};
use serde_json::Value;

use crate::{
    common::SOON,
    secure::{self, OPERATOR},
};

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
    let _agents = secure::start(&lab);
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

/// What doctor found, without what this machine is to blame for, and its links between peers: who, whom, state, reason.
fn doctor(lab: &Lab) -> (Option<i32>, Vec<Value>, Vec<[String; 4]>, String) {
    let output = secure::hactl(lab, OPERATOR, &["doctor", "-o", "json"]);
    let answer: Value = serde_json::from_slice(&output.stdout).expect("hactl prints JSON");
    let entries = |name: &str| answer["items"][0][name].as_array().cloned().unwrap_or_default();
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let mut findings = entries("findings");
    findings.retain(|finding| finding["code"] != "CONDITION" && finding["severity"] != "INFO");
    let peers = entries("links").into_iter().filter(|link| link["over"] == "PEER");
    let peers = peers.map(|link| ["from", "to", "state", "reason"].map(|key| word(&link, key))).collect();
    let text = secure::hactl(lab, OPERATOR, &["doctor"]);
    (output.status.code(), findings, peers, String::from_utf8_lossy(&text.stdout).into_owned())
}

#[test]
fn doctor_names_exactly_the_one_way_in_which_the_control_network_is_cut() {
    let lab = Lab::new(3, 1);
    secure::make_certificates(&lab);
    let _agents = secure::start(&lab);
    let lost = |peers: &[[String; 4]]| -> Vec<[String; 4]> {
        peers.iter().filter(|[_, _, state, _]| state != "HEARD").cloned().collect()
    };
    let mut last = doctor(&lab);
    let well = wait_until(SOON, || {
        last = doctor(&lab);
        last.1.is_empty() && last.2.len() == 6 && lost(&last.2).is_empty()
    });
    println!("$ hactl doctor\n{}", last.3);
    assert!(well, "{last:#?}");
    // Each node dials those that it wants to hear: node 1 can dial node 2 no longer, and node 2 goes on hearing node 1.
    let (deaf, heard) = (lab.node(1).address4(0), lab.node(2).address4(0));
    lab.node(2).space.nft(&format!(
        "table ip oneway {{\nchain in {{\ntype filter hook input priority 0\n\
         ip saddr {deaf} ip daddr {heard} tcp dport 7443 drop\n}}\n}}\n"
    ));
    let cut = ["node-1", "node-2", "SILENT"].map(str::to_owned);
    let found = wait_until(SOON, || {
        last = doctor(&lab);
        lost(&last.2).first().is_some_and(|link| link[..3] == cut)
    });
    println!("$ hactl doctor\n{}", last.3);
    assert!(found, "{last:#?}");
    assert_eq!(lost(&last.2).len(), 1, "{last:#?}");
    assert_eq!(last.0, Some(3), "{last:#?}");
    let codes: Vec<&Value> = last.1.iter().map(|finding| &finding["code"]).collect();
    assert_eq!(codes, ["ONE_WAY"], "{last:#?}");
    assert_eq!(last.1[0]["nodes"], serde_json::json!(["node-1", "node-2"]));
    assert!(last.3.contains("node-1 does not hear node-2, and node-2 hears node-1: "), "{}", last.3);

    lab.node(2).space.nft("delete table ip oneway\n");
    let healed = wait_until(SOON, || {
        last = doctor(&lab);
        last.1.is_empty() && lost(&last.2).is_empty()
    });
    assert!(healed, "{last:#?}");
}
