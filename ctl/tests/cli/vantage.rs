//! `hactl status --from NODE`: what that node hears, judged, and where we see it otherwise.

use ha_proto::v1::instance::State;
use ha_proto::v1::node_view::Contact::{Reachable, Silent};

use crate::support::Cluster;

#[test]
fn a_node_that_hears_all_others_sees_what_we_see() {
    let cluster = Cluster::new();
    cluster.b().world().hears("a", Reachable, State::Active, 150);
    cluster.b().world().hears("c", Reachable, State::Backup, 100);
    let run = cluster.hactl("status --from b").ends(0);
    assert!(run.out.starts_with("OK  as b sees it: 1 virtual address  (3/3 nodes heard)\n"), "{}", run.out);
    assert!(!run.out.contains("otherwise"), "{}", run.out);
    let json = cluster.hactl("status --from b -o json").ends(0).json();
    assert_eq!((&json["verdict"], &json["complete"]), (&"OK".into(), &true.into()));
    let view = &json["items"][0];
    assert_eq!(view["vips"][0]["active_on"], serde_json::json!(["a"]));
    assert_eq!(view["nodes"][0]["round_trip"], "0.0004s");
    assert_eq!(view["nodes"][1]["contact"], "SELF");
}

#[test]
fn what_it_does_not_hear_makes_its_view_partial_and_never_ok_although_all_answer_us() {
    let cluster = Cluster::new();
    cluster.b().world().hears("a", Silent, State::Active, 150);
    cluster.b().world().hears("c", Reachable, State::Backup, 100);
    let run = cluster.hactl("status --from b").ends(4);
    assert!(run.out.starts_with("UNKNOWN  as b sees it"), "{}", run.out);
    assert!(
        run.out.contains("otherwise: a answers here, and b does not hear it: nothing was heard"),
        "{}",
        run.out
    );
    let json = cluster.hactl("status --from b -o json").ends(4).json();
    assert_eq!((&json["verdict"], &json["complete"]), (&"UNKNOWN".into(), &false.into()));
    assert_eq!(json["items"][0]["differences"][0]["code"], "NOT_HEARD");
    cluster.hactl("status").ends(0);
}

#[test]
fn a_node_that_it_hears_and_that_does_not_answer_us_is_named() {
    let cluster = Cluster::new();
    cluster.b().world().hears("a", Reachable, State::Active, 150);
    cluster.b().world().hears("c", Reachable, State::Backup, 100);
    cluster.b().world().peers[1].endpoint = cluster.agents[2].endpoint();
    cluster.agents[2].world().hangs = true;
    let run = cluster.hactl("status --from b --node-timeout 500ms").ends(0);
    assert!(run.err.contains("missing: "), "{}", run.err);
    assert!(run.out.contains("otherwise: b hears c"), "{}", run.out);
}

#[test]
fn two_nodes_that_say_they_are_active_are_a_split_brain_in_its_view_and_the_difference_is_named() {
    let cluster = Cluster::new();
    cluster.a().world().hears("b", Reachable, State::Active, 120);
    cluster.a().world().hears("c", Reachable, State::Backup, 100);
    let run = cluster.hactl("status --from a").ends(3);
    assert!(run.out.starts_with("SPLIT_BRAIN  as a sees it"), "{}", run.out);
    assert!(run.out.contains("a was told that web of b is ACTIVE, and here b says BACKUP"), "{}", run.out);
}

#[test]
fn a_node_without_peers_sees_itself_alone_and_that_is_not_ok() {
    let cluster = Cluster::new();
    let run = cluster.hactl("status --from a").ends(4);
    assert!(run.out.contains("a knows no other node: no [[peer]] is configured there"), "{}", run.out);
    assert!(run.out.contains("b answers here, and a does not know it"), "{}", run.out);
}

#[test]
fn a_node_that_is_not_there_or_does_not_answer_has_no_view() {
    let cluster = Cluster::new();
    let run = cluster.hactl("status --from d").ends(2);
    assert!(run.err.contains("node d"), "{}", run.err);
    cluster.b().world().hangs = true;
    let run = cluster.hactl("status --from b --node-timeout 500ms").ends(4);
    assert_eq!(run.out, "");
}
