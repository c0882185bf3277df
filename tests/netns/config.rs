//! The configuration over the control plane: shown, compared, judged and put in force on real agents.

use ha_tests::{Agent, AgentInstance, Cluster, ask_hactl};

use crate::common::{FOUR, only_four, pair, vip};

fn both(cluster: &Cluster) -> [&Agent; 2] {
    [cluster.agent(0), cluster.agent(1)]
}

fn with_priority(cluster: &Cluster, node: usize, priority: u8) -> String {
    let instance = only_four(cluster.lab.node(node), &cluster.lab, "");
    AgentInstance { priority, ..instance }.toml()
}

#[test]
fn a_reload_by_hactl_shows_its_plan_takes_effect_and_leaves_an_audit_event() {
    let mut cluster = pair("");
    let agents = both(&cluster);
    assert_eq!(ask_hactl(&agents, "config diff").0, 0, "nothing differs at first");
    cluster.agent(1).rewrite(&with_priority(&cluster, 1, 220));
    let (code, text) = ask_hactl(&agents, "config diff");
    assert_eq!(code, 3);
    assert!(text.contains("instance router-51 changed: priority"), "{text}");

    let (code, text) = ask_hactl(&agents, "config reload --dry-run");
    assert_eq!(code, 0);
    assert!(
        text.contains("would reload the configuration of node-0: nothing that is in force changes"),
        "{text}"
    );
    assert!(text.contains("node-1: instance router-51 changed: priority"), "{text}");
    assert_eq!(cluster.holders()[&vip(&cluster)], [0], "a dry run changes nothing");

    let (code, text) = ask_hactl(&agents, "config reload --yes --reason ticket-7 -n node-1");
    assert_eq!(code, 0);
    assert!(text.contains("is in force: instance router-51 changed: priority"), "{text}");
    cluster.wait_for_holder(1);
    let events = cluster.agent(1).events(&["config.loaded"]);
    let last = events.last().expect("the reload is in the history");
    assert_eq!(last.text("cause"), "CONFIG_RELOAD");
    let (actor, evidence) = (last.0["actor"].to_string(), last.0["evidence"].to_string());
    assert!(actor.contains("uid=0(unix)"), "{actor}");
    assert!(evidence.contains("ticket-7") && evidence.contains("before: configuration"), "{evidence}");
    assert_eq!(ask_hactl(&agents, "config diff").0, 0);
    cluster.audit();
}

#[test]
fn a_broken_file_is_shown_line_by_line_and_nothing_is_reloaded() {
    let mut cluster = pair("");
    let before = cluster.agent(0).instance(FOUR).expect("it answers");
    cluster.agent(0).rewrite(&with_priority(&cluster, 0, 200).replace("priority = 200", "priority = 300"));
    let agents = both(&cluster);
    let (code, _) = ask_hactl(&agents, "config reload --yes");
    assert_eq!(code, 7, "refused by the state of the node");
    let (code, text) = ask_hactl(&agents, "config diff");
    assert_eq!(code, 3);
    assert!(text.contains("cannot be put in force on node-0"), "{text}");
    let after = cluster.agent(0).instance(FOUR).expect("it answers");
    assert_eq!(before.number("effective_priority"), after.number("effective_priority"));
    assert!(cluster.agent(0).events(&["config.rejected"]).is_empty(), "nobody asked for more than a look");
    cluster.audit();
}

#[test]
fn a_file_from_afar_is_judged_by_each_node_and_two_nodes_are_compared() {
    let mut cluster = pair("");
    let agents = both(&cluster);
    let body = format!("[node]\nname = \"node-1\"\n{}", with_priority(&cluster, 1, 150));
    let good = cluster.lab.scratch().write("good.toml", &body);
    let (code, text) = ask_hactl(&agents, &format!("config validate {}", good.display()));
    assert_eq!(code, 0, "{text}");
    let bad = cluster.lab.scratch().write("bad.toml", &body.replace("eth0", "a-name-that-is-too-long"));
    let (code, text) = ask_hactl(&agents, &format!("config validate {}", bad.display()));
    assert_eq!(code, 3);
    assert!(text.contains("bad.toml:5:13: error:") && text.contains("(node-0, node-1)"), "{text}");
    let (code, text) = ask_hactl(&agents, &format!("config diff --against {} -n node-0", good.display()));
    assert_eq!(code, 3);
    assert!(text.contains("instance router-51 changed: priority"), "{text}");
    let (code, text) = ask_hactl(&agents, "config diff --against node-0");
    assert_eq!(code, 3);
    assert!(text.contains("instance.router-51.priority = 150, there 200"), "{text}");
    let (code, text) = ask_hactl(&agents, "config show -n node-1");
    assert_eq!(code, 0);
    assert!(text.contains("instance.router-51.advertisement_interval = \"100ms\""), "{text}");
    cluster.audit();
}
