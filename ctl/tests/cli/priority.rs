//! Priorities: plan, confirmation, request id, and waiting until the effect is seen.

use ha_proto::v1::instance::State;
use tonic::Code;

use crate::support::{Cluster, refused};

/// Lets b take over as soon as a's priority is below its own.
fn let_b_take_over(cluster: &Cluster) {
    let other = cluster.b().shared();
    cluster.a().world().effect = Some(Box::new(move |own, priority| {
        if priority < 120 {
            own.become_state("web", State::Backup);
            other.lock().unwrap().become_state("web", State::Active);
        }
    }));
}

#[test]
fn a_lowered_priority_is_followed_until_the_address_is_in_the_other_kernel() {
    let cluster = Cluster::new();
    let_b_take_over(&cluster);
    let words = ["instance", "priority", "set", "a/web", "50", "--reason", "disk swap", "--yes"];
    let run = cluster.hactl_words(&words).ends(0);
    assert!(run.err.contains("Will set the priority of a/web to 50 for 1h"), "{}", run.err);
    assert!(run.err.contains("10.0.0.10 moves from a to b (eff 120 against 50, preempt on)"), "{}", run.err);
    assert!(run.out.contains("a/web  priority 150 → 50, overridden until "), "{}", run.out);
    assert!(run.out.contains("10.0.0.10 moved from a to b, in its kernel after "), "{}", run.out);
    assert!(run.out.contains("priority is 50"), "{}", run.out);
    let world = cluster.a().world();
    let (asked, made) = (&world.overrides[0], &world.overrides[1]);
    assert!(asked.validate_only && !made.validate_only);
    assert_eq!((made.priority, made.reason.as_str(), made.etag.as_str()), (50, "disk swap", "1"));
    assert_eq!(made.ttl.as_ref().map(|ttl| ttl.seconds), Some(3_600));
    assert_eq!(made.request_id.len(), 36);
    drop(world);
    let status = cluster.hactl("status").ends(0);
    assert!(status.out.contains(" b "), "{}", status.out);
}

#[test]
fn an_effect_that_is_not_seen_in_time_ends_with_8() {
    let cluster = Cluster::new();
    let run = cluster.hactl("instance priority set a/web 50 --yes --timeout 2s").ends(8);
    assert!(run.err.contains("its effect was not seen within 2s: b has not become ACTIVE"), "{}", run.err);
    let json = cluster.hactl("instance priority set a/web 40 --yes --timeout 2s -o json").ends(8).json();
    assert_eq!(json["error"]["reason"], "EFFECT_NOT_OBSERVED");
    assert_eq!(json["items"][0]["observed"], false);
}

#[test]
fn a_dry_run_changes_nothing_and_prints_the_plan() {
    let cluster = Cluster::new();
    let run = cluster.hactl("instance priority set a/web 50 --dry-run --ttl never").ends(0);
    assert!(run.out.contains("Would set the priority of a/web to 50 until cleared"), "{}", run.out);
    assert!(run.out.contains("10.0.0.10 moves from a to b"), "{}", run.out);
    assert!(cluster.a().world().instances[0].priority_override.is_none());
    assert!(cluster.a().world().overrides[0].ttl.is_none());
    let json = cluster.hactl("instance priority set b/web 130 --dry-run -o json").ends(0).json();
    assert_eq!(json["items"][0]["dry_run"], true);
    assert_eq!(json["items"][0]["current"]["effective_priority"], 130);
    assert_eq!(json["items"][0]["movement"], serde_json::Value::Null);
}

#[test]
fn the_plan_names_the_other_members_of_the_sync_group() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.a().world();
        world.add("lan", "10.0.1.10", State::Active, 150);
        world.instances.iter_mut().for_each(|router| router.sync_group = "nodes/a/groups/edge".to_owned());
    }
    let run = cluster.hactl("instance priority set a/web 50 --dry-run").ends(0);
    assert!(run.out.contains("also      lan too, the other members of sync group edge"), "{}", run.out);
}

#[test]
fn without_a_terminal_a_change_needs_yes() {
    let cluster = Cluster::new();
    let run = cluster.hactl("instance priority set a/web 50").ends(2);
    assert!(run.err.contains("no terminal to ask on"), "{}", run.err);
    assert!(run.err.contains("add --yes to do it, or --dry-run"), "{}", run.err);
    assert!(cluster.a().world().overrides.is_empty());
}

#[test]
fn an_instance_on_several_nodes_must_be_named_with_its_node() {
    let cluster = Cluster::new();
    let run = cluster.hactl("instance priority set web 50 --yes").ends(2);
    assert!(run.err.contains("say which: a/web, b/web, c/web"), "{}", run.err);
    cluster.a().world().instances[0].name = "nodes/a/instances/only".to_owned();
    cluster.hactl("instance priority set only 140 --yes").ends(0);
}

#[test]
fn clearing_goes_back_and_is_a_success_also_when_there_is_nothing_to_clear() {
    let cluster = Cluster::new();
    cluster.hactl("instance priority set b/web 110 --yes").ends(0);
    assert_eq!(cluster.b().world().instances[0].effective_priority, 110);
    let run = cluster.hactl("instance priority clear b/web --yes").ends(0);
    assert!(run.out.contains("b/web  priority 110 → 120, no override"), "{}", run.out);
    cluster.hactl("instance priority clear b/web --yes").ends(0);
}

#[test]
fn a_refusal_by_state_ends_with_7_and_names_the_way_out() {
    let cluster = Cluster::new();
    let refusal = refused(Code::FailedPrecondition, "ADDRESS_OWNER", "a owns the address");
    cluster.a().world().refuse_changes = Some(refusal);
    let run = cluster.hactl("instance priority set a/web 50 --yes").ends(7);
    assert!(
        run.err.contains("cannot set the priority of a/web on a: a owns the address (ADDRESS_OWNER)"),
        "{}",
        run.err
    );
    assert!(run.err.contains("next: priority 255 means"), "{}", run.err);
    let json = cluster.hactl("instance priority set a/web 50 --yes -o json").ends(7).json();
    assert_eq!(json["error"]["code"], "FAILED_PRECONDITION");
    assert_eq!(json["kind"], "PriorityChange");
}
