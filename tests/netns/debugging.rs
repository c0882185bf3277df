//! Real agents looked into: their state is dumped again and again and one logs everything, and no advert is late enough for anybody to notice.

use ha_tests::{Cluster, wait_for};
use serde_json::Value;

use crate::common::{FOUR, SOON, only_four};

/// What hactl answers, as JSON.
#[track_caller]
fn ask(cluster: &Cluster, line: &str) -> Vec<Value> {
    let (code, text) = cluster.hactl(&format!("{line} -o json"));
    assert_eq!(code, 0, "{line}: {text}");
    let answer: Value = serde_json::from_str(&text).expect("hactl prints JSON");
    answer["items"].as_array().cloned().unwrap_or_default()
}

#[track_caller]
fn state<'a>(items: &'a [Value], node: &str, section: &str, name: &str) -> &'a Value {
    let is_it = |item: &&Value| item["node"] == node && item["section"] == section && item["name"] == name;
    &items.iter().find(is_it).unwrap_or_else(|| panic!("no {node}/{section}/{name}: {items:#?}"))["state"]
}

#[test]
fn agents_that_are_looked_into_go_on_as_if_nobody_looked() {
    let mut cluster = Cluster::start(2, |node, lab| vec![only_four(node, lab, "")]);
    cluster.wait_for_holder(0);
    let (code, text) = cluster.hactl("debug log-level set node-0 trace --ttl 5s --yes");
    assert_eq!(code, 0, "{text}");
    let levels = ask(&cluster, "debug log-level");
    assert_eq!((&levels[0]["level"], &levels[1]["level"]), (&"trace".into(), &"info".into()), "{levels:#?}");
    let mut items = Vec::new();
    for _ in 0..20 {
        items = ask(&cluster, "debug state-dump");
    }
    println!("{} entries: {:#}", items.len(), state(&items, "node-0", "instance", FOUR));
    for (node, stages) in [("node-0", &["ANNOUNCING", "SETTLED"][..]), ("node-1", &["FOLLOWING"])] {
        let router = state(&items, node, "instance", FOUR);
        assert!(stages.iter().any(|stage| router["substate"] == *stage), "{router:#}");
        assert!(router["next_in_s"].as_f64().is_some_and(|due| due < 1.0), "{router:#}");
        let vrrp = state(&items, node, "thread", "vrrp");
        assert!(vrrp["heartbeat_ago_s"].as_f64().is_some_and(|age| age < 1.0), "{vrrp:#}");
        assert!(
            items
                .iter()
                .any(|item| item["node"] == node && item["section"] == "os_thread" && item["name"] == "vrrp")
        );
    }
    // At 100 ms adverts node 1 would have taken over after 361 ms of silence.
    let taken = cluster.agent(1).events(&["instance.state_changed"]);
    assert!(taken.iter().all(|event| event.text("current_state") != "ACTIVE"), "{taken:?}");
    wait_for("the configured level is back", SOON, || ask(&cluster, "debug log-level")[0]["level"] == "info");
    cluster.audit();
}
