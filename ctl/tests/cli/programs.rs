//! What programs read: the envelope, JSON lines, YAML, names; and the command line itself.

use crate::support::{Cluster, Run, hactl};

fn plain(line: &str) -> Run {
    let mut command = hactl();
    command.args(line.split_whitespace());
    Run::of(command)
}

#[test]
fn the_envelope_is_the_same_for_every_question() {
    let cluster = Cluster::new();
    for (line, kind) in [
        ("status", "Status"),
        ("vip list", "VipList"),
        ("vip get 10.0.0.10", "Vip"),
        ("instance list", "InstanceList"),
        ("instance get web", "Instance"),
        ("node list", "NodeList"),
        ("node get a", "Node"),
        ("events --last 5", "EventList"),
    ] {
        let json = cluster.hactl(&format!("{line} -o json")).ends(0).json();
        assert_eq!(json["api_version"], "ha.agent.v1", "{line}");
        assert_eq!(json["kind"], kind, "{line}");
        assert_eq!(json["complete"], true, "{line}");
        assert!(json["observer"]["time"].is_string(), "{line}");
        assert!(json["items"].is_array(), "{line}");
        assert_eq!(json["nodes"].as_array().unwrap().len(), 3, "{line}");
        for node in json["nodes"].as_array().unwrap() {
            assert_eq!(
                (node["state"].as_str(), node["code"].as_str()),
                (Some("ANSWERED"), Some("OK")),
                "{line}"
            );
        }
        let yaml = cluster.hactl(&format!("{line} -o yaml")).ends(0).out;
        let yaml: serde_json::Value = serde_yaml_ng::from_str(&yaml).unwrap();
        assert_eq!(yaml["kind"], kind, "{line}");
    }
}

#[test]
fn every_column_of_a_table_is_in_the_json() {
    let cluster = Cluster::new();
    let vip = &cluster.hactl("vip list -o json").ends(0).json()["items"][0];
    for field in [
        "address",
        "prefix_length",
        "verdict",
        "held_by",
        "since",
        "age",
        "next",
        "why",
        "virtual_router_id",
        "family",
        "members",
    ] {
        assert!(vip.get(field).is_some(), "{field}");
    }
    let instance = &cluster.hactl("instance list -o json").ends(0).json()["items"][0];
    for field in [
        "instance",
        "node",
        "state",
        "effective_priority",
        "base_priority",
        "virtual_router_id",
        "interface",
        "last_transition_time",
        "state_age",
        "why",
        "vips",
        "family",
        "vrrp_version",
        "preempt",
        "advertisement_interval",
        "active_down_interval",
        "observed_active_address",
        "rival_address",
        "fault_reasons",
    ] {
        assert!(instance.get(field).is_some(), "{field}");
    }
    let node = &cluster.hactl("node list -o json").ends(0).json()["items"][0];
    for field in [
        "node",
        "version",
        "uptime",
        "active_count",
        "instance_count",
        "clock_offset",
        "clock_uncertainty",
        "config_digest",
        "conditions",
        "endpoint",
        "start_time",
        "config_load_time",
        "incarnation_id",
    ] {
        assert!(node.get(field).is_some(), "{field}");
    }
}

#[test]
fn json_lines_carry_the_state_of_the_nodes_and_an_end() {
    let mut cluster = Cluster::new();
    cluster.agents[2].end();
    let lines = cluster.hactl("vip list -o jsonl").ends(4).lines();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Vip", "NodeStatus", "NodeStatus", "NodeStatus", "End"]);
    assert_eq!(lines[3]["state"], "UNREACHABLE");
    assert_eq!(
        (lines[4]["complete"].as_bool(), lines[4]["verdict"].as_str()),
        (Some(false), Some("DEGRADED"))
    );
}

#[test]
fn a_failure_has_the_same_envelope() {
    let cluster = Cluster::new();
    let json = cluster.hactl("instance get nothing -o json").ends(2).json();
    assert_eq!(json["kind"], "Instance");
    assert_eq!(json["items"], serde_json::json!([]));
    assert_eq!(json["error"]["reason"], "NOT_FOUND");
    assert_eq!(json["error"]["exit_code"], 2);
    assert_eq!(json["nodes"].as_array().unwrap().len(), 3);
    let lines = cluster.hactl("instance get nothing -o jsonl").ends(2).lines();
    assert_eq!(lines.last().unwrap()["error"]["reason"], "NOT_FOUND");
}

#[test]
fn a_mistake_on_the_command_line_ends_with_2_and_an_envelope_for_those_who_want_one() {
    let run = plain("stats").ends(2);
    assert!(run.err.contains("status"), "{}", run.err);
    assert_eq!(run.out, "");
    for line in ["stats -o json", "stats --output=json", "stats -ojson"] {
        let json = plain(line).ends(2).json();
        assert_eq!(json["error"]["code"], "USAGE", "{line}");
    }
    plain("").ends(2);
    plain("events -f -o json").ends(2);
}

#[test]
fn names_are_bare_and_one_a_line() {
    let cluster = Cluster::new();
    assert_eq!(cluster.hactl("node list -o name").ends(0).out, "nodes/a\nnodes/b\nnodes/c\n");
    assert_eq!(cluster.hactl("vip list -o name").ends(0).out, "vips/10.0.0.10\n");
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let cluster = Cluster::new();
    assert!(!cluster.hactl("status").ends(0).out.contains('\u{1b}'));
    assert!(cluster.hactl("status --color always").ends(0).out.contains("\u{1b}[32mOK\u{1b}[0m"));
    assert!(!cluster.hactl("status --color always -o json").ends(0).out.contains('\u{1b}'));
}

#[test]
fn control_characters_of_an_agent_do_not_reach_the_terminal() {
    let cluster = Cluster::new();
    cluster.a().world().instances[0].interface = "eth0\u{1b}]0;owned\u{7}".to_owned();
    let out = cluster.hactl("instance list --color always").ends(0).out;
    assert!(!out.contains("\u{1b}]0"), "{out}");
}

#[test]
fn the_environment_gives_defaults_and_flags_beat_it() {
    let cluster = Cluster::new();
    let endpoints: Vec<String> = cluster.agents.iter().map(|agent| agent.endpoint()).collect();
    let run = |words: &[&str]| {
        let mut command = hactl();
        command.env("HACTL_ENDPOINT", endpoints.join(",")).env("HACTL_OUTPUT", "name").args(words);
        Run::of(command)
    };
    assert_eq!(run(&["node", "list"]).ends(0).out.lines().count(), 3);
    assert!(run(&["status", "-o", "table"]).ends(0).out.starts_with("OK"));
    assert_eq!(run(&["node", "list", "--endpoint", &endpoints[1]]).ends(0).out, "nodes/b\n");
}

#[test]
fn version_and_completion_need_no_agent() {
    let run = plain("version").ends(0);
    assert_eq!(run.out, format!("hactl {} (API ha.agent.v1)\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(plain("version -o json").ends(0).json()["items"][0]["program"], "hactl");
    assert!(plain("--version").ends(0).out.starts_with("hactl "));
    for (shell, part) in [("bash", "_hactl()"), ("zsh", "#compdef hactl"), ("fish", "complete -c hactl")] {
        assert!(plain(&format!("completion {shell}")).ends(0).out.contains(part), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_made_from_the_command_line_itself() {
    let run = plain("man vip outages").ends(0);
    assert!(run.out.contains(".TH hactl-vip-outages 1"), "{}", run.out);
    assert!(run.out.contains("How long nobody held a virtual address"), "{}", run.out);
    assert!(plain("man").ends(0).out.contains(".TH hactl 1"));
    assert!(plain("man vip nothing").ends(2).err.contains("there is no command hactl vip nothing"));
    let directory = crate::support::Directory::new();
    let folder = directory.path().join("man1");
    plain(&format!("man --folder {}", folder.display())).ends(0);
    let pages: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["hactl.1", "hactl-status.1", "hactl-vip-get.1", "hactl-instance-priority-set.1"] {
        assert!(pages.iter().any(|known| known == page), "{page}: {pages:?}");
    }
}

#[test]
fn the_descriptor_set_holds_every_service_with_its_comments() {
    let directory = crate::support::Directory::new();
    let file = directory.path().join("ha-agent.binpb");
    plain(&format!("descriptors --file {}", file.display())).ends(0);
    let written = std::fs::read(&file).unwrap();
    assert_eq!(written, ha_proto::DESCRIPTORS);
    for word in ["NodeService", "EventService", "google/protobuf/timestamp.proto", "The node that answers."] {
        assert!(written.windows(word.len()).any(|part| part == word.as_bytes()), "{word}");
    }
    let piped = hactl().arg("descriptors").output().unwrap();
    assert_eq!(piped.stdout, ha_proto::DESCRIPTORS);
}
