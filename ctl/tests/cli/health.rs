//! Checks and pools: what is shown, what makes a status DEGRADED, and changes that are followed until they are seen.

use ha_proto::v1::Verdict;
use ha_proto::v1::pool_server::State;
use tonic::Code;

use crate::support::{Cluster, refused};

/// A check that fails on a, and one that passes everywhere.
fn with_checks() -> Cluster {
    let cluster = Cluster::new();
    for agent in &cluster.agents {
        agent.world().add_check("checks/route", Verdict::Passing, "PASSED", "default via 192.0.2.254");
        agent.world().add_check("checks/nginx", Verdict::Passing, "PASSED", "1 process");
    }
    let mut world = cluster.a().world();
    world.checks[1].set_verdict(Verdict::Failing);
    world.checks[1].last_result = "MISSING".to_owned();
    world.checks[1].last_evidence = "no process named nginx".to_owned();
    drop(world);
    cluster
}

/// A pool with one server down, on a and b.
fn with_pools() -> Cluster {
    let cluster = Cluster::new();
    for agent in &cluster.agents[..2] {
        agent.world().add_pool("app", &[State::Up, State::Up, State::Down]);
    }
    cluster
}

#[test]
fn failing_checks_come_with_what_they_saw_and_what_they_endanger() {
    let cluster = with_checks();
    let run = cluster.hactl("check list --failing").ends(0);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 2, "{}", run.out);
    assert!(lines[1].starts_with("nginx  a     FAILING"), "{}", run.out);
    assert!(lines[1].contains("MISSING: no process named nginx"), "{}", run.out);
    assert!(lines[1].ends_with("instance web"), "{}", run.out);
    assert_eq!(cluster.hactl("check list").ends(0).out.lines().count(), 7);
    let json = cluster.hactl("check list --failing -o json").ends(0).json();
    assert_eq!(json["kind"], "CheckList");
    assert_eq!(json["items"][0]["verdict"], "FAILING");
    assert_eq!(json["items"][0]["affected_instances"][0], "web");
}

#[test]
fn a_failing_check_makes_the_status_degraded_and_a_muted_one_does_not() {
    let cluster = with_checks();
    let status = cluster.hactl("status").ends(3);
    assert!(status.out.starts_with("DEGRADED"), "{}", status.out);
    let reason = "check nginx fails on a: MISSING: no process named nginx (endangers instance web)";
    assert!(status.out.contains(reason), "{}", status.out);
    cluster.hactl("check mute a/nginx --yes").ends(0);
    cluster.hactl("status").ends(0);
}

#[test]
fn one_check_is_shown_whole_on_each_of_its_nodes() {
    let cluster = with_checks();
    let run = cluster.hactl("check get nginx").ends(0);
    assert_eq!(run.out.matches("CHECK ").count(), 3, "{}", run.out);
    assert!(run.out.contains("2 of 3 in a row (rise 3, fall 2)"), "{}", run.out);
    let run = cluster.hactl("check get b/nginx").ends(0);
    assert!(run.out.starts_with("CHECK b/nginx  PASSING"), "{}", run.out);
    let run = cluster.hactl("check get nothing").ends(2);
    assert!(run.err.contains("check nothing is on none of the nodes asked"), "{}", run.err);
}

#[test]
fn an_attempt_is_shown_step_by_step_and_its_failure_is_the_exit_status() {
    let cluster = with_checks();
    let run = cluster.hactl("check run b/nginx").ends(0);
    assert!(run.out.contains("connect"), "{}", run.out);
    assert!(run.out.contains("first_byte"), "{}", run.out);
    let run = cluster.hactl("check run nginx -o json").ends(3);
    let json = run.json();
    assert_eq!(json["items"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["items"][0]["attempt"]["result"], "MISSING");
    assert_eq!(json["items"][0]["attempt"]["steps"][1]["step"], "first_byte");
}

#[test]
fn a_mute_is_made_on_each_node_and_followed_until_it_is_seen() {
    let cluster = with_checks();
    let words = ["check", "mute", "nginx", "--reason", "upgrade", "--yes"];
    let run = cluster.hactl_words(&words).ends(0);
    assert!(run.err.contains("mute b/nginx for 1h"), "{}", run.err);
    assert_eq!(run.out.lines().count(), 3, "{}", run.out);
    assert!(run.out.contains("a/nginx  stays FAILING, muted until it is ended: upgrade"), "{}", run.out);
    let run = cluster.hactl("check unmute a/nginx --yes").ends(0);
    assert_eq!(run.out, "a/nginx  FAILING, not muted\n");
    assert!(cluster.b().world().checks[1].mute.is_some());
}

#[test]
fn a_change_for_all_nodes_that_one_of_them_did_not_hear_of_ends_with_4() {
    let mut cluster = with_checks();
    cluster.agents[2].end();
    let run = cluster.hactl("check mute nginx --yes").ends(4);
    assert!(
        run.err.contains("missing: ") && run.out.contains("a/nginx  stays FAILING"),
        "{}{}",
        run.err,
        run.out
    );
    for enough in [
        "check unmute a/nginx --yes",
        "check mute nginx --yes -n a,b",
        "check unmute nginx --yes --require any",
    ] {
        cluster.hactl(enough).ends(0);
    }
    cluster.hactl("config reload --yes").ends(4);
}

#[test]
fn a_change_without_consent_or_refused_by_a_node_changes_nothing() {
    let cluster = with_checks();
    let run = cluster.hactl("check mute nginx").ends(2);
    assert!(run.err.contains("there is no terminal to ask on"), "{}", run.err);
    let run = cluster.hactl("check mute a/nginx --dry-run").ends(0);
    assert!(run.out.contains("would mute a/nginx for 1h"), "{}", run.out);
    cluster.b().world().refuse_changes =
        Some(refused(Code::PermissionDenied, "ROLE_MISSING", "only readers"));
    cluster.hactl("check mute nginx --yes").ends(6);
    assert!(cluster.a().world().checks[1].mute.is_none());
}

#[test]
fn a_pool_is_shown_with_its_servers() {
    let cluster = with_pools();
    let run = cluster.hactl("pool list").ends(0);
    assert!(run.out.contains("2/3 in"), "{}", run.out);
    assert!(run.out.contains("nginx CURRENT"), "{}", run.out);
    let run = cluster.hactl("pool get a/app").ends(0);
    assert!(run.out.starts_with("POOL a/app  PASSING"), "{}", run.out);
    assert!(run.out.contains("w3      192.0.2.3:80  DOWN   0 of 10"), "{}", run.out);
    let run = cluster.hactl("pool get nothing").ends(2);
    assert!(run.err.contains("hactl pool list shows what there is"), "{}", run.err);
}

#[test]
fn a_pool_that_has_lost_its_quorum_makes_the_status_degraded() {
    let cluster = with_pools();
    cluster.a().world().pools[0].set_verdict(Verdict::Failing);
    let status = cluster.hactl("status").ends(3);
    assert!(status.out.contains("pool app on a has lost its quorum (2/3 in)"), "{}", status.out);
}

#[test]
fn a_drain_is_done_when_the_balancer_runs_it() {
    let cluster = with_pools();
    let run = cluster.hactl("pool server drain app/w1 --yes").ends(0);
    assert!(run.out.contains("a/app/w1  DRAINING, drained until it is ended"), "{}", run.out);
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    let run = cluster.hactl("pool server undrain app/w1 --yes").ends(0);
    assert!(run.out.contains("b/app/w1  UP, weight 10"), "{}", run.out);
    cluster.a().world().balancer_lags = true;
    let run = cluster.hactl("pool server drain a/app/w1 --yes --timeout 1s").ends(8);
    assert!(run.err.contains("nginx does not run it yet"), "{}", run.err);
}

#[test]
fn agents_that_are_older_than_checks_have_none() {
    let cluster = with_checks();
    cluster.agents.iter().for_each(|agent| agent.world().is_old = true);
    cluster.hactl("status").ends(0);
    assert_eq!(cluster.hactl("check list").ends(0).out.lines().count(), 1);
}
