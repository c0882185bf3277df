//! Planned moves as chance has them, one into the other: at every moment somebody holds the address, and never two for long.

use std::{env, thread, time::Duration};

use ha_tests::{Agent, AgentInstance, Lab, Pinger, Random, hactl, peers_over_sockets};

use super::{
    LOST, MILLISECOND, friends_with,
    quick::{OVERLAP, overlap_during},
};
use crate::common::{FOUR, SOON, only_four, vip};

const MOVES: usize = 40;
/// Between two moves, ms: the next finds the last one under way, or just over, or long past.
const PAUSES: [u64; 5] = [0, 20, 100, 400, 1000];
/// Done; not done on a node that was just away; refused, because nobody would take over or another change came first.
const ANSWERS: [i32; 5] = [0, 4, 5, 7, 8];

/// One move, or what makes one. Says what it was.
fn act(random: &mut Random, agents: &mut [Agent], lab: &Lab) -> String {
    let index = random.index(agents.len());
    let (node, agent) = (lab.node(index), &mut agents[index]);
    match random.index(8) {
        0 => {
            agent.hand_on(node);
            agent.wait_until_ready(SOON);
            format!("node-{index} restarted")
        }
        1 => {
            agent.replace(node);
            agent.wait_until_ready(SOON);
            format!("node-{index} replaced")
        }
        2 => {
            // Whoever is to take over has to be there.
            thread::sleep(Duration::from_secs(1));
            assert_eq!(agent.process.terminate(SOON).code(), Some(0));
            agent.restart(node);
            agent.wait_until_ready(SOON);
            format!("node-{index} stopped and started")
        }
        _ => ask(random, agents, index),
    }
}

fn ask(random: &mut Random, agents: &[Agent], index: usize) -> String {
    let (node, router) = (format!("node-{index}"), format!("node-{index}/{FOUR}"));
    let priority = random.between(1, 254).to_string();
    let words: &[&str] = match random.index(5) {
        0 => &["drain", &node, "--yes"],
        1 | 2 => &["undrain", &node, "--yes"],
        3 => &["instance", "transfer", FOUR, "--ttl", "2s", "--yes"],
        _ => &["instance", "priority", "set", &router, &priority, "--ttl", "2s", "--yes"],
    };
    let answer = hactl(&agents.iter().collect::<Vec<_>>(), words);
    assert!(answer.status.code().is_some_and(|code| ANSWERS.contains(&code)), "{words:?}: {answer:?}");
    format!("{}: {}", words.join(" "), answer.status)
}

/// The seed is `HA_SEED`, or 1.
#[test]
fn moves_as_chance_has_them_leave_the_address_with_somebody_and_never_long_with_two() {
    let seed = env::var("HA_SEED").map_or(1, |seed| seed.parse().expect("HA_SEED is a number"));
    let mut cluster = friends_with(|node, lab| {
        let extra = peers_over_sockets(lab);
        vec![AgentInstance { interval: "100ms".to_owned(), ..only_four(node, lab, &extra) }]
    });
    let (vip, mut random) = (vip(&cluster), Random::new(seed));
    let pinger = Pinger::start(&cluster.lab.client, vip, MILLISECOND);
    pinger.wait_for_answers(200, SOON);
    let (agents, lab) = cluster.agents_and_lab();
    let overlap = overlap_during(lab, vip, || {
        for number in 0..MOVES {
            println!("{number}: {}", act(&mut random, agents, lab));
            thread::sleep(Duration::from_millis(random.pick(&PAUSES)));
        }
    });
    for node in ["node-0", "node-1", "node-2"] {
        let answer = hactl(&agents.iter().collect::<Vec<_>>(), &["undrain", node, "--yes"]);
        assert!(answer.status.success(), "{answer:?}");
    }
    let report = pinger.stop();
    println!("seed {seed}: two holders for {overlap:?}, {report}");
    assert!(overlap < OVERLAP, "seed {seed}: {overlap:?}");
    assert!(report.longest_outage().duration < LOST, "seed {seed}: {report}");
    cluster.wait_for_holder(0);
    cluster.audit();
}
