//! `hactl debug …`: what the agents log, changed for a while; and their inner state.

use tonic::Code;

use crate::support::{Cluster, refused};

#[test]
fn what_each_agent_logs_is_shown_and_changed_for_a_while() {
    let cluster = Cluster::new();
    let run = cluster.hactl("debug log-level").ends(0);
    assert!(
        run.out.starts_with("NODE  LEVEL  CONFIGURED  ASKED FOR\na     info   info        -\n"),
        "{}",
        run.out
    );
    let line = "debug log-level set b ha_agent::peers=debug --ttl 5m --reason deaf --dry-run";
    let run = cluster.hactl(line).ends(0);
    assert_eq!(run.out, "would log on b at ha_agent::peers=debug\n");
    assert!(cluster.b().world().log_level.is_none());
    let run =
        cluster.hactl("debug log-level set b ha_agent::peers=debug --ttl 5m --reason deaf --yes").ends(0);
    assert!(run.err.contains("log on b at ha_agent::peers=debug for 5m, then at info again"), "{}", run.err);
    // What has passed since may be less than the two clocks are uncertain by.
    let said = |left: &str| format!("b  logs at ha_agent::peers=debug, for {left} more, by cert:alice: deaf");
    assert!(["4m59s", "5m"].iter().any(|left| run.out.starts_with(&said(left))), "{}", run.out);
    let asked = cluster.b().world().log_level.clone().unwrap();
    assert_eq!((asked.name.as_str(), asked.ttl.unwrap().seconds), ("nodes/b/logLevel", 300));
    assert_eq!(asked.request_id.len(), 36);
    let json = cluster.hactl("debug log-level -o json -n b").ends(0).json();
    assert_eq!(json["items"].as_array().unwrap().len(), 1);
    assert_eq!(json["items"][0]["override"]["reason"], "deaf");
    cluster.hactl("debug log-level reset b --yes").ends(0);
    assert!(cluster.b().world().log_level.is_none());
}

#[test]
fn a_level_is_changed_on_a_node_that_is_there_and_allows_it_and_with_consent() {
    let cluster = Cluster::new();
    let run = cluster.hactl("debug log-level set d debug --yes").ends(2);
    assert!(run.err.contains("node d is on none of the nodes asked"), "{}", run.err);
    cluster.hactl("debug log-level set b debug").ends(2);
    cluster.hactl("debug log-level set b debug --ttl 2d --yes").ends(2);
    cluster.b().world().refuse_changes =
        Some(refused(Code::PermissionDenied, "ROLE_MISSING", "cert:alice has not the role admin"));
    let run = cluster.hactl("debug log-level set b debug --yes").ends(6);
    assert!(run.err.contains("cannot set the log level of b"), "{}", run.err);
    cluster.a().world().is_old = true;
    let run = cluster.hactl("debug log-level").ends(4);
    assert!(run.err.contains("missing: "), "{}", run.err);
}

#[test]
fn the_state_of_each_agent_is_shown_whole_or_said_to_be_cut() {
    let cluster = Cluster::new();
    let run = cluster.hactl("debug state-dump -n b").ends(0);
    let wanted = "b     queue     vrrp.requests  {\"capacity\":1024,\"waiting\":0}";
    assert!(run.out.contains(wanted) && !run.out.contains("\na "), "{}", run.out);
    let json = cluster.hactl("debug state-dump --section instance -o json").ends(0).json();
    let items = json["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    assert_eq!((&items[0]["node"], &items[0]["state"]["substate"]), (&"a".into(), &"SETTLED".into()));
    let run = cluster.hactl("debug state-dump --section instances").ends(2);
    let told = "there is no section instances (NOT_FOUND)\n  next: did you mean instance? sections are: agent, thread";
    assert!(run.err.contains(told), "{}", run.err);
    cluster.b().world().dump_is_cut = true;
    let json = cluster.hactl("debug state-dump -o json").ends(4).json();
    assert_eq!(json["missing"][0]["reason"], "STATE_TRUNCATED");
    let denied = refused(
        Code::PermissionDenied,
        "ROLE_MISSING",
        "cert:alice has operator here and this call needs admin",
    );
    cluster.b().world().refuse_dump = Some(denied);
    let run = cluster.hactl("debug state-dump").ends(4);
    assert!(run.err.contains("cannot ask for the state of the agent"), "{}", run.err);
}
