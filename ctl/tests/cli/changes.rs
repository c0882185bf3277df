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
fn what_is_in_force_stands_first_and_names_drains_and_transfers_too() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.a().world();
        world.instances[0].drained = true;
        let actor = v1::Actor { principal: "alice(certificate)".to_owned(), ..v1::Actor::default() };
        world.drain = v1::Drain {
            reason: "new kernel".to_owned(),
            actor: Some(actor.clone()),
            expire_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
            ..v1::Drain::default()
        };
        world.instances[0].preempt_hold = Some(v1::PreemptHold {
            reason: "new switch".to_owned(),
            actor: Some(actor),
            ..v1::PreemptHold::default()
        });
    }
    let run = cluster.hactl("changes --since 1h -o jsonl").ends(0);
    let held: Vec<_> = run.lines().into_iter().filter(|line| line["kind"] == "Change").collect();
    let words = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let told: Vec<_> = held.iter().map(|line| (words(line, "state"), words(line, "subject"))).collect();
    let expected = [("DRAINED", "nodes/a"), ("TRANSFERRED", "nodes/a/instances/web")];
    assert_eq!(told, expected.map(|(state, subject)| (state.to_owned(), subject.to_owned())));
    assert_eq!(
        (words(&held[0], "reason"), words(&held[0], "expire_time"), &held[0]["actor"]["principal"]),
        ("new kernel".to_owned(), "2096-10-02T07:06:40Z".to_owned(), &"alice(certificate)".into())
    );
    assert_eq!(
        (words(&held[1], "reason"), &held[1]["actor"]["principal"]),
        ("new switch".to_owned(), &"alice(certificate)".into())
    );
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
