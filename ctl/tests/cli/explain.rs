//! `hactl explain`: the waterfall of a priority, and who wins.

use ha_proto::v1;
use ha_proto::v1::Verdict;
use ha_proto::v1::instance::{State, Wish};
use ha_proto::v1::tracked_fact::Effect;

use crate::support::{Cluster, Run, VIP};

fn track(
    node: &str,
    fact: &str,
    effect: Effect,
    weight: i32,
    verdict: Verdict,
    delta: i32,
) -> v1::TrackedFact {
    v1::TrackedFact {
        name: format!("nodes/{node}/{fact}"),
        effect: effect as i32,
        weight,
        verdict: verdict as i32,
        counted_verdict: verdict as i32,
        delta,
        ..v1::TrackedFact::default()
    }
}

fn step(source: &str, delta: i32, resulting_priority: i32) -> v1::PriorityContribution {
    v1::PriorityContribution { source: source.to_owned(), delta, resulting_priority }
}

/// b tracks four things, is overridden, and its sum left the range.
fn tracking() -> Cluster {
    let cluster = Cluster::new();
    let mut world = cluster.b().world();
    let now = world.now();
    let web = &mut world.instances[0];
    web.tracks = vec![
        track("b", "checks/http", Effect::Weight, -30, Verdict::Failing, -30),
        track("b", "checks/dns", Effect::Weight, 20, Verdict::Failing, 0),
        track("b", "pools/app", Effect::Fault, 0, Verdict::Passing, 0),
        track("b", "checks/load", Effect::Value, -10, Verdict::Unknown, -50),
    ];
    web.tracks[0].detail = "status 500".to_owned();
    web.tracks[0].last_change_time = Some(now);
    web.tracks[3].value = 5;
    web.tracks[3].counted_verdict = Verdict::Passing as i32;
    web.priority_override = Some(v1::PriorityOverride {
        priority: 50,
        reason: "disk".to_owned(),
        actor: Some(v1::Actor { principal: "uid=0(unix)".to_owned(), ..v1::Actor::default() }),
        ..v1::PriorityOverride::default()
    });
    web.priority_contributions = vec![
        step("config", 120, 120),
        step("override", -70, 50),
        step("checks/http", -30, 20),
        step("checks/load", -50, -30),
        step("clamp", 31, 1),
    ];
    web.effective_priority = 1;
    drop(world);
    cluster
}

#[track_caller]
fn shows(run: &Run, lines: &[&str]) {
    for line in lines {
        assert!(run.out.lines().any(|one| one.trim_end().ends_with(line)), "{line:?} is not in\n{}", run.out);
    }
}

#[test]
fn the_waterfall_names_each_step_with_its_verdict_and_evidence() {
    let run = tracking().hactl("explain b/web").ends(0);
    assert!(run.out.starts_with("EXPLAIN b/web  BACKUP  since "), "{}", run.out);
    shows(
        &run,
        &[
            "priority    120 config       configured",
            "            -70 override     50 instead until cleared by uid=0(unix): disk",
            "             +0 checks/dns   FAILING (+20 while passing)",
            "             +0 pools/app    PASSING (failing means FAULT)",
            "            -50 checks/load  UNKNOWN (PASSING goes on counting) (its value 5 times -10)",
            "            +31 clamp        kept within 1..254",
            "          =   1 effective",
            "wins      a: a is ACTIVE with the higher priority: 150 against 1 of b",
            "of        a ACTIVE eff 150",
            "          c BACKUP eff 100",
            "          b BACKUP eff 1",
        ],
    );
    let http = run.out.lines().find(|line| line.contains("-30 checks/http  FAILING ")).unwrap();
    assert!(http.ends_with("s: status 500 (-30 while failing)"), "{http}");
}

#[test]
fn an_instance_shown_whole_names_its_tracks_and_its_group() {
    let cluster = tracking();
    {
        let mut world = cluster.b().world();
        world.instances[0].sync_group = "nodes/b/groups/edge".to_owned();
        world.instances[0].wish = Wish::Active as i32;
        world.instances[0].tracks[2].faulty = true;
    }
    let run = cluster.hactl("instance get b/web").ends(0);
    let tracks =
        "checks/http FAILING -30, checks/dns FAILING, pools/app PASSING FAULT, checks/load UNKNOWN -50";
    shows(&run, &[&format!("tracks    {tracks}"), "group     edge, wants ACTIVE"]);
}

#[test]
fn the_json_has_everything_that_the_text_has_and_adds_up() {
    let run = tracking().hactl("explain b/web -o json").ends(0);
    let json = run.json();
    assert_eq!((&json["kind"], &json["complete"]), (&"Explanation".into(), &true.into()));
    let item = &json["items"][0];
    let steps = item["steps"].as_array().unwrap();
    let deltas: i64 = steps.iter().map(|step| step["delta"].as_i64().unwrap()).sum();
    assert_eq!(deltas, item["effective_priority"].as_i64().unwrap());
    let results: Vec<i64> = steps.iter().map(|step| step["result"].as_i64().unwrap()).collect();
    assert_eq!(results, [120, 50, 20, 20, 20, -30, 1]);
    assert_eq!(item["winners"], serde_json::json!(["a"]));
    assert_eq!(item["tracks"][0]["detail"], "status 500");
    assert_eq!(item["tracks"][3]["counted_verdict"], "PASSING");
    assert_eq!(item["contenders"].as_array().unwrap().len(), 3);
    assert_eq!(item["contenders"][2]["node"], "b");
}

#[test]
fn each_state_says_why_it_is_not_another() {
    let cluster = Cluster::new();
    let reason = |cluster: &Cluster, target: &str| {
        let json = cluster.hactl(&format!("explain {target} -o json")).ends(0).json();
        json["items"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert_eq!(reason(&cluster, "a/web"), "a is ACTIVE and has the highest priority: 150 against 120 of b");
    cluster.b().world().instances[0].effective_priority = 150;
    assert_eq!(reason(&cluster, "a/web"), "a is ACTIVE and stays so, although b has the same priority 150");
    assert_eq!(reason(&cluster, "b/web"), "a is ACTIVE and stays so, although b has the same priority 150");
    cluster.b().world().instances[0].effective_priority = 200;
    assert_eq!(reason(&cluster, "a/web"), "a is ACTIVE for now: 150 against 200 of b");
    assert_eq!(reason(&cluster, "b/web"), "a is ACTIVE for now: 150 against 200 of b, which preempts");
    cluster.b().world().instances[0].preempt = false;
    let expected = "a is ACTIVE with 150 against 200 of b, which does not preempt (preempt off)";
    assert_eq!(reason(&cluster, "b/web"), expected);
    {
        let mut world = cluster.b().world();
        world.become_state("web", State::Fault);
        world.instances[0].fault_reasons = vec!["checks/http fails: status 500".to_owned()];
    }
    assert_eq!(reason(&cluster, "b/web"), "b cannot take part: checks/http fails: status 500");
    {
        let mut world = cluster.b().world();
        world.become_state("web", State::Initialize);
        let mut unknown = track("b", "checks/http", Effect::Fault, 0, Verdict::Unknown, 0);
        unknown.undecided = true;
        world.instances[0].tracks = vec![unknown];
        world.instances[0].priority_contributions = vec![step("config", 200, 200)];
    }
    let expected = "b waits for the first verdict of http, which it must not do without";
    assert_eq!(reason(&cluster, "b/web"), expected);
    let text = cluster.hactl("explain b/web").ends(0);
    shows(&text, &["+0 checks/http  UNKNOWN (failing means FAULT, waited for)"]);
}

#[test]
fn who_was_moved_away_from_is_said_to_hold_back_everywhere_and_how_that_ends() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.b().world();
        world.instances[0].effective_priority = 200;
        let actor = Some(v1::Actor { principal: "cert:alice".to_owned(), ..v1::Actor::default() });
        let hold = v1::PreemptHold { reason: "disk".to_owned(), actor, ..v1::PreemptHold::default() };
        world.instances[0].preempt_hold = Some(hold);
    }
    let json = cluster.hactl("explain b/web -o json").ends(0).json();
    let expected =
        "a is ACTIVE with 150 against 200 of b, which does not preempt (held back after a transfer)";
    assert_eq!(json["items"][0]["reason"], expected);
    let warning = "b has 200, but does not preempt (held back after a transfer)";
    shows(
        &cluster.hactl("explain a/web").ends(0),
        &[warning, "b BACKUP eff 200, held back after a transfer"],
    );
    let vip = cluster.hactl("vip get 10.0.0.10").ends(0);
    shows(&vip, &["b has prio 200 > 150, but does not preempt (held back after a transfer)"]);
    let own = "held back after a transfer by cert:alice: disk (hactl instance transfer b/web --end ends it)";
    shows(&cluster.hactl("instance get b/web").ends(0), &[own]);
}

#[test]
fn a_better_router_that_holds_back_is_a_warning() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.b().world();
        world.instances[0].effective_priority = 200;
        world.instances[0].preempt = false;
        let mut world = cluster.agents[2].world();
        world.become_state("web", State::Fault);
        world.instances[0].effective_priority = 220;
        world.instances[0].fault_reasons = vec!["link eth0 has no carrier".to_owned()];
    }
    let run = cluster.hactl("explain a/web").ends(0);
    shows(
        &run,
        &[
            "warn      b has 200, but does not preempt (preempt off)",
            "warn      c will preempt with 220 when it leaves FAULT",
            "c FAULT eff 220: link eth0 has no carrier",
        ],
    );
}

#[test]
fn a_member_that_waits_for_its_sync_group_says_for_whom() {
    let cluster = Cluster::new();
    {
        let mut world = cluster.b().world();
        world.add("lan", "10.0.1.10", State::Backup, 120);
        for (router, wish) in world.instances.iter_mut().zip([Wish::Active, Wish::Backup]) {
            router.sync_group = "nodes/b/groups/edge".to_owned();
            router.wish = wish as i32;
        }
        world.instances[1].observed_active_address = "192.0.2.1".to_owned();
        world.instances[1].observed_active_priority = Some(150);
    }
    let run = cluster.hactl("explain b/web").ends(0);
    shows(
        &run,
        &[
            "group     edge: web BACKUP wants ACTIVE, lan BACKUP (hears 192.0.2.1 (prio 150))",
            "b would be ACTIVE, but its sync group edge waits for lan (hears 192.0.2.1 (prio 150))",
        ],
    );
    let json = cluster.hactl("explain b/web -o json").ends(0).json();
    assert_eq!(json["items"][0]["group"]["members"][0]["wish"], "ACTIVE");
    assert_eq!(
        (&json["items"][0]["sync_group"], &json["items"][0]["wish"]),
        (&"edge".into(), &"ACTIVE".into())
    );
}

#[test]
fn an_address_is_explained_on_each_of_its_nodes_and_a_name_too() {
    let cluster = Cluster::new();
    for target in [VIP, "web"] {
        let run = cluster.hactl(&format!("explain {target}")).ends(0);
        assert_eq!(run.out.matches("EXPLAIN ").count(), 3, "{}", run.out);
    }
    let run = cluster.hactl("explain web -o name").ends(0);
    assert_eq!(
        run.out,
        "nodes/a/instances/web
nodes/b/instances/web
nodes/c/instances/web
"
    );
}

#[test]
fn a_missing_node_makes_the_explanation_incomplete_and_the_wire_is_asked_instead() {
    let mut cluster = Cluster::new();
    {
        let mut world = cluster.b().world();
        world.instances[0].observed_active_address = "192.0.2.1".to_owned();
        world.instances[0].observed_active_priority = Some(150);
    }
    cluster.agents[0].end();
    let run = cluster.hactl("explain b/web").ends(4);
    shows(&run, &["wins      192.0.2.1: 192.0.2.1 is ACTIVE with the higher priority: 150 against 120 of b"]);
    assert!(run.err.contains("missing: "), "{}", run.err);
    cluster.b().world().instances[0].observed_active_address.clear();
    let run = cluster.hactl("explain b/web").ends(4);
    shows(&run, &["b hears no Active router and takes over after its Active_Down_Interval of 3s"]);
}

#[test]
fn what_is_not_there_cannot_be_explained() {
    let cluster = Cluster::new();
    for line in ["explain b/nothing", "explain 10.9.9.9"] {
        let run = cluster.hactl(line).ends(2);
        assert!(run.err.contains("is on none of the nodes asked"), "{line}: {}", run.err);
    }
}
