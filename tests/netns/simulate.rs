//! Predictions against reality: random clusters of real agents, a random mishap, and the holder that was predicted before.

use std::collections::BTreeSet;

use ha_tests::{Agent, AgentInstance, Cluster, Direction, hactl, wait_until};
use serde_json::Value;

use crate::common::{FOUR, SOON, pair, vip};

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Three nodes with one router each, of random priorities, all with or without preemption.
fn cluster(random: &mut Random) -> Cluster {
    let preempt = random.below(3) > 0;
    let equal = random.below(4) == 0;
    let priorities: Vec<u8> =
        (0..3).map(|_| if equal { 100 } else { 1 + u8::try_from(random.below(253)).unwrap_or(1) }).collect();
    println!("priorities {priorities:?}, preempt {preempt}");
    let cluster = Cluster::start(3, |node, lab| {
        let instance = AgentInstance::new(51, priorities[node.index()], &[lab.vip4(0, 1).into()]);
        let extra = format!("preempt = {preempt}");
        vec![AgentInstance { interval: "100ms".to_owned(), extra, ..instance }]
    });
    // At rest: one holder, and none that still wants to preempt.
    assert!(wait_until(SOON, || cluster.holders()[&vip(&cluster)].len() == 1));
    std::thread::sleep(std::time::Duration::from_secs(1));
    cluster
}

fn ask(cluster: &Cluster, line: &str) -> (i32, Value) {
    let agents: Vec<&Agent> = cluster.lab.nodes().iter().map(|node| cluster.agent(node.index())).collect();
    let words: Vec<&str> = line.split(' ').chain(["-o", "json"]).collect();
    let output = hactl(&agents, &words);
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap_or(-1), answer)
}

/// A mishap in hactl's words, and what makes it happen.
fn mishap(random: &mut Random, cluster: &Cluster) -> (String, Mishap) {
    let node = usize::try_from(random.below(3)).unwrap_or(0);
    // Half of them hit the holder.
    let node = if random.below(2) == 0 { cluster.holders()[&vip(cluster)][0] } else { node };
    match random.below(3) {
        0 => (format!("fail node-{node}"), Mishap::Fail(node)),
        1 => {
            let priority = 1 + random.below(253);
            (format!("priority node-{node}/router-51 {priority}"), Mishap::Priority(node, priority))
        }
        _ => (format!("partition node-{node}"), Mishap::Partition(node)),
    }
}

enum Mishap {
    Fail(usize),
    Priority(usize, u64),
    Partition(usize),
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
        }
    }
}

#[test]
fn the_holder_of_20_random_clusters_is_the_one_that_was_predicted() {
    let mut random = Random(0x5eed_0020);
    for round in 0..20 {
        let mut cluster = cluster(&mut random);
        let address = vip(&cluster);
        let (line, mishap) = mishap(&mut random, &cluster);
        let (code, answer) = ask(&cluster, &format!("simulate {line}"));
        let fate = &answer["items"][0];
        let names = |field: &str| -> BTreeSet<String> {
            let all = fate[field].as_array().into_iter().flatten();
            all.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let observed = |cluster: &Cluster| -> BTreeSet<String> {
            cluster.holders()[&address].iter().map(|node| format!("node-{node}")).collect()
        };
        assert_eq!(names("before"), observed(&cluster), "round {round}: at rest");
        let predicted = names("after");
        println!(
            "round {round}: {line}: {:?} -> {predicted:?}, gap {}, exit {code}",
            names("before"),
            fate["gap"]
        );
        assert_eq!(code == 3, fate["loss"] == true, "{answer}");
        mishap.happen(&mut cluster);
        let came = wait_until(SOON, || observed(&cluster) == predicted);
        assert!(came, "round {round}: {line}: predicted {predicted:?}, observed {:?}", observed(&cluster));
        // And it stays so.
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(observed(&cluster), predicted, "round {round}: {line}");
    }
}

#[test]
fn a_prediction_says_who_follows_when_and_why_and_ends_with_3_when_nobody_does() {
    let mut cluster = pair("");
    cluster.expect_errors("the link has no carrier");
    let text = |cluster: &Cluster, line: &str| {
        let agents = [cluster.agent(0), cluster.agent(1)];
        let output = hactl(&agents, &line.split(' ').collect::<Vec<_>>());
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        println!("$ hactl {line}\n{out}{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), out)
    };
    let (code, drained) = text(&cluster, "simulate drain node-0");
    assert_eq!(code, 0);
    assert!(drained.starts_with("if node-0 is drained: nothing is lost"), "{drained}");
    assert!(drained.contains("ADMIN_DRAIN"), "{drained}");
    let (code, failed) = text(&cluster, "simulate fail node-0");
    assert_eq!(code, 0);
    assert!(
        failed.contains("node-1 BACKUP to ACTIVE after") && failed.contains("ACTIVE_DOWN_TIMER"),
        "{failed}"
    );
    assert_eq!(text(&cluster, "simulate fail node-7").0, 2);
    // Unplugged, node-1 is nobody's successor.
    cluster.lab.unplug(cluster.lab.node(1), 0);
    cluster.agent(1).wait_for_state(FOUR, "FAULT", SOON);
    let (code, alone) = text(&cluster, "simulate fail node-0");
    assert_eq!(code, 3);
    assert!(alone.contains("1 address is lost") && alone.contains("node-1 stays FAULT"), "{alone}");
    let (code, recovered) = text(&cluster, "simulate recover node-1");
    assert_eq!(code, 0);
    assert!(recovered.contains("node-0"), "{recovered}");
    cluster.lab.plug(cluster.lab.node(1), 0);
    cluster.agent(1).wait_for_state(FOUR, "BACKUP", SOON);
    cluster.audit();
}
