//! Predictions against reality: random clusters of real agents, a random mishap, and the holder that was predicted before.

use std::collections::BTreeSet;

use ha_tests::{AgentInstance, Cluster, Direction, Random, peers_over_sockets, wait_until};
use serde_json::Value;

use crate::common::{FOUR, SOON, pair, vip};

/// Three nodes with one router each, of random priorities, all with or without preemption; with `friends` they know each other.
fn cluster(random: &mut Random, friends: bool) -> Cluster {
    let preempt = random.up_to(2) > 0;
    let equal = random.up_to(3) == 0;
    let priorities: Vec<u8> =
        (0..3).map(|_| if equal { 100 } else { 1 + u8::try_from(random.up_to(252)).unwrap_or(1) }).collect();
    println!("priorities {priorities:?}, preempt {preempt}, peers {friends}");
    let cluster = Cluster::start(3, |node, lab| {
        let instance = AgentInstance::new(51, priorities[node.index()], &[lab.vip4(0, 1).into()]);
        let peers = if friends { peers_over_sockets(lab) } else { String::new() };
        let extra = format!("preempt = {preempt}\n{peers}");
        vec![AgentInstance { interval: "100ms".to_owned(), extra, ..instance }]
    });
    // At rest: one holder, and none that still wants to preempt.
    assert!(wait_until(SOON, || cluster.holders()[&vip(&cluster)].len() == 1));
    std::thread::sleep(std::time::Duration::from_secs(1));
    cluster
}

fn ask(cluster: &Cluster, line: &str) -> (i32, Value) {
    let (code, text) = cluster.hactl(&format!("{line} -o json"));
    (code, serde_json::from_str(&text).unwrap_or_default())
}

/// A mishap in hactl's words, and what makes it happen.
fn mishap(random: &mut Random, cluster: &Cluster) -> (String, Mishap) {
    let node = usize::try_from(random.up_to(2)).unwrap_or(0);
    // Half of them hit the holder.
    let node = if random.up_to(1) == 0 { cluster.holders()[&vip(cluster)][0] } else { node };
    match random.up_to(2) {
        0 => (format!("fail node-{node}"), Mishap::Fail(node)),
        1 => {
            let priority = 1 + random.up_to(252);
            (format!("priority node-{node}/router-51 {priority}"), Mishap::Priority(node, priority))
        }
        _ => (format!("partition node-{node}"), Mishap::Partition(node)),
    }
}

enum Mishap {
    Fail(usize),
    Priority(usize, u64),
    Partition(usize),
    Drain(usize),
    Undrain(usize),
}

impl Mishap {
    fn happen(&self, cluster: &mut Cluster) {
        match self {
            Mishap::Fail(node) => {
                // The machine dies: its wire is dead, and its kernel holds nothing any more that others could hear.
                cluster.agent_mut(*node).process.kill();
                cluster.space(*node).ip("link set eth0 down");
                cluster.space(*node).try_ip("address flush dev eth0").ok();
            }
            Mishap::Priority(node, priority) => {
                let line = format!("instance priority set node-{node}/router-51 {priority} --yes");
                assert_eq!(ask(cluster, &line).0, 0, "{line}");
            }
            Mishap::Partition(node) => cluster.lab.node(*node).cut_vrrp(Direction::Both),
            Mishap::Drain(node) => {
                let line = format!("drain node-{node} --allow-no-successor --yes");
                assert_eq!(ask(cluster, &line).0, 0, "{line}");
            }
            Mishap::Undrain(node) => {
                let line = format!("undrain node-{node} --yes");
                assert_eq!(ask(cluster, &line).0, 0, "{line}");
            }
        }
    }
}

/// What hactl predicts for `line` is what is seen after it happened, and goes on being seen.
#[track_caller]
fn holds_what_it_says(cluster: &mut Cluster, line: &str, mishap: &Mishap) {
    let address = vip(cluster);
    let (code, answer) = ask(cluster, &format!("simulate {line}"));
    let fate = &answer["items"][0];
    let names = |field: &str| -> BTreeSet<String> {
        let all = fate[field].as_array().into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let observed = |cluster: &Cluster| -> BTreeSet<String> {
        cluster.holders()[&address].iter().map(|node| format!("node-{node}")).collect()
    };
    assert_eq!(names("before"), observed(cluster), "{line}: at rest");
    let predicted = names("after");
    println!("{line}: {:?} -> {predicted:?}, gap {}, exit {code}", names("before"), fate["gap"]);
    assert_eq!(code == 3, fate["loss"] == true, "{answer}");
    let tied = tied(fate, &predicted);
    mishap.happen(cluster);
    let as_said = |seen: &BTreeSet<String>| *seen == predicted || (seen.len() == 1 && seen.is_subset(&tied));
    let came = wait_until(SOON, || as_said(&observed(cluster)));
    assert!(came, "{line}: predicted {predicted:?}, observed {:?}", observed(cluster));
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert!(as_said(&observed(cluster)), "{line}: it did not stay so: {:?}", observed(cluster));
}

/// Those whose timers end in the same moment, as hactl says, the predicted holder among them.
fn tied(fate: &Value, predicted: &BTreeSet<String>) -> BTreeSet<String> {
    let why = fate["why"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let said = why.filter_map(|why| why.split_once(" are due in the same moment")).next();
    let names: BTreeSet<String> =
        said.into_iter().flat_map(|(names, _)| names.split(" and ")).map(str::to_owned).collect();
    if predicted.is_subset(&names) { names } else { BTreeSet::new() }
}

#[test]
fn the_holder_of_20_random_clusters_is_the_one_that_was_predicted() {
    let mut random = Random::new(0x5eed_0020);
    for round in 0..20 {
        println!("round {round}");
        let mut cluster = cluster(&mut random, false);
        let (line, mishap) = mishap(&mut random, &cluster);
        holds_what_it_says(&mut cluster, &line, &mishap);
    }
}

/// By the agents' own choice among peers that know each other, and by VRRP alone where they do not.
#[test]
fn drains_of_random_clusters_end_where_it_was_predicted_and_so_does_what_follows() {
    let mut random = Random::new(0x5eed_d1a1);
    for round in 0..10 {
        println!("round {round}");
        let mut cluster = cluster(&mut random, round % 2 == 0);
        let holder = cluster.holders()[&vip(&cluster)][0];
        holds_what_it_says(&mut cluster, &format!("drain node-{holder}"), &Mishap::Drain(holder));
        // The one that is drained is the last resort: whoever has it now may be drained as well, or die.
        let second = cluster.holders()[&vip(&cluster)][0];
        let third = (0..3).find(|node| ![holder, second].contains(node)).unwrap_or(0);
        match random.up_to(2) {
            0 => holds_what_it_says(&mut cluster, &format!("drain node-{second}"), &Mishap::Drain(second)),
            1 => holds_what_it_says(&mut cluster, &format!("fail node-{second}"), &Mishap::Fail(second)),
            _ => holds_what_it_says(&mut cluster, &format!("fail node-{third}"), &Mishap::Fail(third)),
        }
        holds_what_it_says(&mut cluster, &format!("recover node-{holder}"), &Mishap::Undrain(holder));
    }
}

#[test]
fn a_prediction_says_who_follows_when_and_why_and_ends_with_3_when_nobody_does() {
    let mut cluster = pair("");
    cluster.expect_errors("the link has no carrier");
    let (code, drained) = cluster.hactl("simulate drain node-0");
    assert_eq!(code, 0);
    assert!(drained.starts_with("if node-0 is drained: nothing is lost"), "{drained}");
    assert!(drained.contains("ADMIN_DRAIN"), "{drained}");
    // They are not each other's peers: nobody is asked.
    assert!(drained.contains("PEER_PRIORITY_ZERO"), "{drained}");
    assert!(drained.contains("note node-0 hears no other node over the control plane"), "{drained}");
    let (code, failed) = cluster.hactl("simulate fail node-0");
    assert_eq!(code, 0);
    assert!(
        failed.contains("node-1 BACKUP to ACTIVE after") && failed.contains("ACTIVE_DOWN_TIMER"),
        "{failed}"
    );
    assert_eq!(cluster.hactl("simulate fail node-7").0, 2);
    // Unplugged, node-1 is nobody's successor.
    cluster.lab.unplug(cluster.lab.node(1), 0);
    cluster.agent(1).wait_for_state(FOUR, "FAULT", SOON);
    let (code, alone) = cluster.hactl("simulate fail node-0");
    assert_eq!(code, 3);
    assert!(alone.contains("1 address is lost") && alone.contains("node-1 stays FAULT"), "{alone}");
    let (code, recovered) = cluster.hactl("simulate recover node-1");
    assert_eq!(code, 0);
    assert!(recovered.contains("node-0"), "{recovered}");
    cluster.lab.plug(cluster.lab.node(1), 0);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.audit();
}
