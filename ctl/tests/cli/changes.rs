//! Who changed what, over all nodes.

use ha_proto::v1;

use crate::support::{Cluster, at, transition};

fn audit(node: &str, principal: &str, audit: v1::Audit) -> v1::Event {
    let kind = if audit.refusal_code.is_empty() { "audit.changed" } else { "audit.refused" };
    v1::Event {
        r#type: kind.to_owned(),
        subject: format!("nodes/{node}/instances/web"),
        actor: Some(v1::Actor { principal: principal.to_owned(), ..v1::Actor::default() }),
        audit: Some(audit),
        ..transition(node, "", "", v1::Cause::OperatorRequest)
    }
}

#[test]
fn changes_of_all_nodes_stand_in_one_order_with_who_why_and_what_was_before() {
    let cluster = Cluster::new();
    let method = "/ha.agent.v1.InstanceService/OverridePriority".to_owned();
    let refused = v1::Audit {
        method: method.clone(),
        refusal_code: "PERMISSION_DENIED".to_owned(),
        refusal_reason: "ROLE_MISSING: bob has reader".to_owned(),
        ..v1::Audit::default()
    };
    cluster.b().emit(at(audit("b", "bob(certificate)", refused), 2_000));
    let made = v1::Audit {
        method,
        reason: "switch".to_owned(),
        before: "priority 100".to_owned(),
        after: "priority 50".to_owned(),
        ..v1::Audit::default()
    };
    cluster.a().emit(at(audit("a", "alice(certificate)", made), 1_000));
    cluster.a().emit(at(transition("a", "BACKUP", "ACTIVE", v1::Cause::ActiveDownTimer), 3_000));
    let run = cluster.hactl("changes --since 2023-11-14T22:13:20Z -o jsonl").ends(0);
    let lines = run.lines();
    let of = |state: &str| lines.iter().find(|line| line["state"] == state).cloned().expect(state);
    let states: Vec<_> =
        lines.iter().filter(|line| line["kind"] == "Change").map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["CHANGED", "REFUSED"]);
    let changed = of("CHANGED");
    assert_eq!(
        (changed["node"].as_str(), changed["actor"]["principal"].as_str()),
        (Some("a"), Some("alice(certificate)"))
    );
    assert_eq!(
        (changed["before"].as_str(), changed["after"].as_str()),
        (Some("priority 100"), Some("priority 50"))
    );
    assert!(of("REFUSED")["refusal"].as_str().unwrap().starts_with("PERMISSION_DENIED: ROLE_MISSING"));
    let text = cluster.hactl("changes --since 2023-11-14T22:13:20Z").ends(0).out;
    assert!(text.contains("OverridePriority: priority 50, before: priority 100"), "{text}");
}
